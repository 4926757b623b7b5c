use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;

fn amounts(of: &[(&str, u64)]) -> Amounts {
    of.iter()
        .map(|&(name, amount)| (name.into(), amount))
        .collect()
}

fn gpus(count: usize) -> Arc<Stock> {
    let names: Vec<Arc<str>> = (0..count).map(|n| n.to_string().into()).collect();
    let supply = amounts(&[(GPU, count as u64 * 1_000)]);
    Stock::new(&supply, &names)
}

/// An owner, what it waits for, and a clock.
struct Client {
    owner: Owner,
    tickets: BTreeMap<Amounts, u64>,
    woken: Arc<AtomicUsize>,
}

impl Client {
    fn of(stock: &Arc<Stock>) -> Self {
        let woken = Arc::new(AtomicUsize::new(0));
        let owner = stock.join();
        let counter = Arc::clone(&woken);
        owner.set_wake(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        Self {
            owner,
            tickets: BTreeMap::new(),
            woken,
        }
    }

    fn take_at(&mut self, worker: u64, of: &[(&str, u64)], now: Instant) -> Option<String> {
        let amounts = amounts(of);
        let ticket = self.tickets.remove(&amounts);
        let mut calls = Calls::default();
        let taken = self.owner.take(worker, &amounts, ticket, now, &mut calls);
        taken
            .map_err(|ticket| self.tickets.insert(amounts, ticket))
            .ok()
    }

    fn take(&mut self, worker: u64, of: &[(&str, u64)]) -> Option<String> {
        self.take_at(worker, of, Instant::now())
    }

    fn gpu(&mut self, worker: u64, thousandths: u64) -> Option<String> {
        self.take(worker, &[(GPU, thousandths)])
    }

    fn give_back(&self, worker: u64) {
        self.owner.give_back(worker, &mut Calls::default());
    }

    fn withdraw(&mut self, of: &[(&str, u64)]) {
        let amounts = amounts(of);
        let ticket = self.tickets.remove(&amounts).unwrap();
        let mut calls = Calls::default();
        self.owner.withdraw(ticket, &amounts, &mut calls);
    }

    fn is_called(&self) -> bool {
        self.owner.is_called(Instant::now())
    }
}

const ONE: &[(&str, u64)] = &[("licence", 1_000)];
const TWO: &[(&str, u64)] = &[("licence", 2_000)];

fn licences(count: u64) -> (Arc<Stock>, Client, Client) {
    let stock = Stock::new(&amounts(&[("licence", count * 1_000)]), &[]);
    let (one, other) = (Client::of(&stock), Client::of(&stock));
    (stock, one, other)
}

#[test]
fn no_device_is_lent_twice() {
    let stock = gpus(3);
    let (mut one, mut other) = (Client::of(&stock), Client::of(&stock));
    assert_eq!(one.gpu(1, 1_000).as_deref(), Some("0"));
    assert_eq!(other.gpu(1, 2_000).as_deref(), Some("1,2"));
    assert_eq!(one.gpu(2, 1_000), None);
    other.give_back(1);
    assert_eq!(one.gpu(2, 1_000).as_deref(), Some("1"));
    assert_eq!(
        one.gpu(1, 2_500),
        None,
        "what it had is back, and too little"
    );
    assert_eq!(one.gpu(1, 1_500).as_deref(), Some("0,2"));
}

#[test]
fn parts_of_devices_are_put_together_and_never_more_than_a_whole() {
    let stock = gpus(2);
    let mut one = Client::of(&stock);
    assert_eq!(one.gpu(1, 600).as_deref(), Some("0"));
    assert_eq!(one.gpu(2, 400).as_deref(), Some("0"));
    assert_eq!(one.gpu(3, 600).as_deref(), Some("1"));
    one.give_back(2);
    assert_eq!(one.gpu(4, 800), None, "it is there in two pieces");
    one.give_back(1);
    assert_eq!(one.gpu(4, 800).as_deref(), Some("0"));
    assert_eq!(one.gpu(5, 1_000), None);
    one.give_back(3);
    assert_eq!(one.gpu(5, 1_000).as_deref(), Some("1"));
}

#[test]
fn more_devices_than_have_names_are_counted_all_the_same() {
    let stock = Stock::new(&amounts(&[(GPU, 2_500)]), &["4".into()]);
    let mut one = Client::of(&stock);
    assert_eq!(one.gpu(1, 2_500).as_deref(), Some("4"));
    one.give_back(1);
    assert_eq!(one.gpu(1, 600).as_deref(), Some("4"));
    assert_eq!(one.gpu(2, 600).as_deref(), Some(""));
    assert_eq!(one.gpu(3, 1_301), None);
    assert_eq!(one.gpu(3, 1_300).as_deref(), Some("4"));
}

#[test]
fn what_is_said_of_devices_limits_their_sum_and_not_which() {
    let names = ["4", "5", "7"].map(Arc::from);
    let stock = Stock::new(&amounts(&[(GPU, 1_000), (GPU, 1_000)]), &names);
    let mut one = Client::of(&stock);
    assert_eq!(one.gpu(1, 600).as_deref(), Some("4"));
    assert_eq!(one.gpu(2, 600).as_deref(), Some("5"));
    assert_eq!(one.gpu(3, 801), None);
    assert_eq!(one.gpu(3, 800).as_deref(), Some("7"));
}

#[test]
fn all_of_it_or_nothing() {
    let stock = Stock::new(&amounts(&[("a", 1), ("b", 1)]), &[]);
    let (mut one, mut other) = (Client::of(&stock), Client::of(&stock));
    assert!(one.take(1, &[("a", 1)]).is_some());
    assert!(other.take(1, &[("a", 1), ("b", 1)]).is_none());
    assert!(one.take(2, &[("b", 1)]).is_some(), "who waits has nothing");
    assert!(one.take(3, &[("nothing", 1)]).is_none());
}

#[test]
fn who_waits_is_called_and_comes_first() {
    let (_stock, mut one, mut other) = licences(1);
    assert!(one.take(1, ONE).is_some());
    assert!(other.take(1, ONE).is_none());
    assert!(!other.is_called());
    one.give_back(1);
    assert_eq!(other.woken.load(Ordering::Relaxed), 1);
    assert!(one.take(1, ONE).is_none(), "the other one waits for longer");
    assert!(other.is_called() && !other.is_called(), "it is told once");
    assert!(other.take(1, ONE).is_some());
    other.give_back(1);
    assert!(one.is_called());
    assert!(one.take(1, ONE).is_some());
    assert!(!other.is_called(), "it waits for nothing");
}

#[test]
fn who_cannot_take_it_holds_others_back_for_half_of_the_time() {
    let (_stock, mut one, mut other) = licences(1);
    let start = Instant::now();
    let ms = |millis| start + Duration::from_millis(millis);
    assert!(one.take_at(1, ONE, start).is_some());
    assert!(other.take_at(1, ONE, start).is_none());
    one.give_back(1);
    assert!(one.take_at(1, ONE, ms(10)).is_none());
    assert_eq!(one.owner.next_look(), Some(ms(110)));
    assert!(!one.owner.is_called(ms(109)) && one.owner.is_called(ms(110)));
    assert_eq!(one.owner.next_look(), None);
    assert!(one.take_at(1, ONE, ms(111)).is_some(), "now it rests");
    one.give_back(1);
    assert!(one.take_at(1, ONE, ms(209)).is_some());
    one.give_back(1);
    assert!(one.take_at(1, ONE, ms(211)).is_none());
    assert_eq!(one.owner.next_look(), Some(ms(411)), "twice as long");
    assert!(other.take_at(1, ONE, ms(300)).is_some());
    assert!(one.is_called(), "nobody holds it back any more");
}

#[test]
fn a_wide_wish_gets_what_narrow_ones_would_take() {
    let (_stock, mut narrow, mut wide) = licences(2);
    assert!(narrow.take(1, ONE).is_some());
    assert!(narrow.take(2, ONE).is_some());
    assert!(wide.take(1, TWO).is_none());
    narrow.give_back(1);
    assert!(narrow.take(1, ONE).is_none());
    narrow.give_back(2);
    assert!(wide.take(1, TWO).is_some());
}

#[test]
fn who_lacks_what_the_other_does_not_want_holds_nobody_back() {
    let stock = Stock::new(&amounts(&[("a", 1), ("b", 1)]), &[]);
    let (mut one, mut other) = (Client::of(&stock), Client::of(&stock));
    assert!(one.take(1, &[("a", 1)]).is_some());
    assert!(other.take(1, &[("a", 1), ("b", 1)]).is_none());
    assert!(one.take(2, &[("b", 1)]).is_some());
    one.give_back(2);
    assert!(one.take(2, &[("b", 1)]).is_some());
}

const BOTH: &[(&str, u64)] = &[("a", 1), ("b", 1)];

#[test]
fn who_wants_two_things_gets_them_beside_others_who_want_one_each() {
    let stock = Stock::new(&amounts(BOTH), &[]);
    let [mut one, mut other, mut wide] = [(); 3].map(|()| Client::of(&stock));
    let start = Instant::now();
    assert!(one.take_at(1, &[("a", 1)], start).is_some());
    assert!(other.take_at(1, &[("b", 1)], start).is_some());
    let is_served = (1..1_000).any(|step| {
        let now = start + Duration::from_millis(10 * step);
        let is_even = step % 2 == 0;
        let (client, name) = if is_even {
            (&mut one, "a")
        } else {
            (&mut other, "b")
        };
        client.give_back(1);
        let is_served = wide.take_at(1, BOTH, now).is_some();
        let _ = client.take_at(1, &[(name, 1)], now);
        is_served
    });
    assert!(is_served, "they are never free at the same time");
}

#[test]
fn who_lacks_what_others_have_for_long_holds_back_the_rest_seldom() {
    let stock = Stock::new(&amounts(BOTH), &[]);
    let [mut long, mut other, mut wide] = [(); 3].map(|()| Client::of(&stock));
    let start = Instant::now();
    assert!(long.take_at(1, &[("a", 1)], start).is_some());
    let served = (0..20_000).filter(|step| {
        let now = start + Duration::from_millis(10 * step);
        assert!(wide.take_at(1, BOTH, now).is_none());
        other.give_back(1);
        other.take_at(1, &[("b", 1)], now).is_some()
    });
    let served = served.count();
    assert!((16_000..20_000).contains(&served), "{served}");
}

#[test]
fn who_waits_no_more_holds_nobody_back() {
    let (_stock, mut one, mut other) = licences(1);
    assert!(one.take(1, ONE).is_some());
    assert!(other.take(1, ONE).is_none());
    one.give_back(1);
    assert!(one.take(1, ONE).is_none());
    other.withdraw(ONE);
    assert!(one.is_called());
    assert!(one.take(1, ONE).is_some());
}

#[test]
fn one_that_has_gone_has_given_everything_back() {
    let (_stock, mut one, mut other) = licences(2);
    assert!(one.take(1, ONE).is_some());
    assert!(one.take(2, ONE).is_some());
    assert!(other.take(1, TWO).is_none());
    assert!(one.take(3, ONE).is_none());
    drop(one);
    assert!(other.is_called());
    assert!(other.take(1, TWO).is_some());
}

#[test]
fn one_that_goes_while_it_waits_holds_nobody_back() {
    let (stock, mut one, mut other) = licences(1);
    let (_third, now) = (Client::of(&stock), Instant::now());
    assert!(one.take_at(1, ONE, now).is_some());
    assert!(other.take_at(1, ONE, now).is_none());
    one.give_back(1);
    assert!(one.take_at(1, ONE, now).is_none());
    drop(other);
    assert!(one.owner.is_called(now));
    assert_eq!(one.woken.load(Ordering::Relaxed), 1);
    assert!(one.take_at(1, ONE, now).is_some());
}

#[test]
fn all_who_wait_are_called() {
    let (stock, mut one, mut other) = licences(1);
    let mut third = Client::of(&stock);
    assert!(one.take(1, ONE).is_some());
    assert!(other.take(1, ONE).is_none());
    assert!(third.take(1, ONE).is_none());
    one.give_back(1);
    assert!(other.is_called() && third.is_called(), "one may not come");
}

#[test]
fn who_is_held_back_after_it_has_waited_knows_until_when() {
    let (stock, mut one, mut other) = licences(1);
    let (mut third, now) = (Client::of(&stock), Instant::now());
    assert!(one.take_at(1, ONE, now).is_some());
    assert!(other.take_at(1, ONE, now).is_none());
    assert!(third.take_at(1, ONE, now).is_none());
    assert_eq!(third.owner.next_look(), None, "nobody holds it back");
    one.give_back(1);
    assert!(third.take_at(1, ONE, now).is_none());
    let until = third.owner.next_look().unwrap();
    assert!(third.owner.is_called(until));
    assert!(third.take_at(1, ONE, until).is_some());
}

#[test]
fn what_is_held_back_for_less_is_looked_at_first() {
    let stock = Stock::new(&amounts(&[("a", 1), ("b", 1)]), &[]);
    let (mut one, mut other) = (Client::of(&stock), Client::of(&stock));
    let start = Instant::now();
    let ms = |millis| start + Duration::from_millis(millis);
    for (worker, name) in [(1, "a"), (2, "b")] {
        assert!(one.take_at(worker, &[(name, 1)], start).is_some());
        assert!(other.take_at(worker, &[(name, 1)], start).is_none());
        one.give_back(worker);
    }
    assert!(one.take_at(1, &[("a", 1)], ms(10)).is_none());
    assert!(one.take_at(2, &[("b", 1)], ms(20)).is_none());
    assert_eq!(one.owner.next_look(), Some(ms(110)));
    assert!(one.owner.is_called(ms(110)));
    assert_eq!(one.owner.next_look(), Some(ms(120)));
}

#[test]
fn who_wants_something_else_is_neither_held_back_nor_called() {
    let stock = Stock::new(&amounts(&[("a", 1), ("b", 1)]), &[]);
    let (mut one, mut other) = (Client::of(&stock), Client::of(&stock));
    assert!(one.take(1, &[("a", 1)]).is_some());
    assert!(other.take(1, &[("a", 1)]).is_none());
    assert!(one.take(2, &[("b", 1)]).is_some());
    one.give_back(2);
    assert!(!other.is_called());
    one.give_back(1);
    assert!(one.take(2, &[("b", 1)]).is_some(), "a is there for it");
}

#[test]
fn one_that_was_woken_is_not_woken_again_before_it_has_looked() {
    let (_stock, mut one, mut other) = licences(2);
    assert!(one.take(1, ONE).is_some());
    assert!(one.take(2, ONE).is_some());
    assert!(other.take(1, TWO).is_none());
    let woken = |other: &Client| other.woken.load(Ordering::Relaxed);
    one.give_back(1);
    one.give_back(2);
    assert_eq!(woken(&other), 1);
    assert!(other.is_called());
    assert!(one.take(1, ONE).is_none(), "the other one comes first");
    assert!(other.take(1, TWO).is_some());
}

#[test]
fn all_owners_get_their_turn() {
    let stock = Stock::new(&amounts(&[("licence", 1_000)]), &[]);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::of(&stock)).collect();
    let mut served = Vec::new();
    for _ in 0..40 {
        // The one that has had it tries first, as in life.
        let last = served.last().copied().unwrap_or(0);
        let order = (0..4).map(|number| (last + number) % 4);
        let mut holder = None;
        for number in order {
            if clients[number].take(7, ONE).is_some() {
                holder = Some(number);
            }
        }
        let holder = holder.unwrap();
        served.push(holder);
        clients[holder].give_back(7);
    }
    for number in 0..4 {
        let count = served.iter().filter(|&&one| one == number).count();
        assert!((9..=11).contains(&count), "{served:?}");
    }
}
