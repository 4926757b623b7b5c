#![allow(clippy::unwrap_used)] // a test may fail

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::{Ledger, Limits, Refusal, rounded};

const MB: u64 = 1 << 20;
const NOW: Duration = Duration::from_secs(100);

fn ledger() -> Ledger {
    Ledger::new(Limits {
        bytes: 100 * MB,
        segments: 10,
        idle_bytes: 50 * MB,
        idle_time: Duration::from_secs(3),
    })
}

#[test]
fn sizes_are_rounded_by_an_eighth_at_the_most() {
    for len in [
        1,
        65_536,
        65_537,
        1_000_000,
        100_000_000,
        u64::from(u32::MAX),
    ] {
        let whole = rounded(len);
        assert!(whole >= len, "{len}: {whole}");
        assert!(whole <= len + len / 8 + 65_536, "{len}: {whole}");
    }
    assert_eq!(rounded(99_000_000), rounded(100_000_000));
}

#[test]
fn what_is_free_is_taken_again_and_what_is_not_is_not() {
    let mut ledger = ledger();
    let first = ledger.take(10 * MB).unwrap();
    assert!(first.fresh);
    ledger.give(first.id, 7);
    ledger.unlease(first.id, true, NOW);
    assert!(
        ledger.take(10 * MB).unwrap().fresh,
        "a worker uses the first"
    );
    assert!(ledger.release(first.id, 7, 1, true, NOW));
    let again = ledger.take(9 * MB).unwrap();
    assert_eq!((again.id, again.fresh), (first.id, false));
    assert!(ledger.take_closed().is_empty());
}

#[test]
fn what_somebody_else_may_look_at_is_never_used_again() {
    for who in 0..3 {
        let mut ledger = ledger();
        let taken = ledger.take(MB).unwrap();
        ledger.give(taken.id, 1);
        assert!(ledger.release(taken.id, 1, 1, who != 0, NOW));
        if who == 1 {
            ledger.spoil(taken.id);
        }
        ledger.unlease(taken.id, who != 2, NOW);
        assert_eq!(ledger.take_closed(), [taken.id]);
        assert!(ledger.take(MB).unwrap().fresh);
    }
}

#[test]
fn workers_cannot_release_what_they_do_not_have() {
    let mut ledger = ledger();
    let taken = ledger.take(MB).unwrap();
    assert!(!ledger.release(taken.id, 1, 1, true, NOW));
    ledger.give(taken.id, 1);
    assert!(!ledger.release(taken.id, 2, 1, true, NOW));
    assert!(!ledger.release(taken.id, 1, 2, true, NOW));
    assert!(!ledger.release(taken.id + 1, 1, 1, true, NOW));
    assert!(ledger.release(taken.id, 1, 1, true, NOW));
}

#[test]
fn the_dead_use_nothing() {
    let mut ledger = ledger();
    let taken = ledger.take(MB).unwrap();
    ledger.give(taken.id, 1);
    ledger.give(taken.id, 1);
    ledger.give(taken.id, 2);
    ledger.unlease(taken.id, true, NOW);
    ledger.worker_gone(1, NOW);
    assert!(ledger.is_used_by(taken.id, 2) && !ledger.is_used_by(taken.id, 1));
    ledger.worker_gone(2, NOW);
    assert_eq!(ledger.next_expiry(), Some(NOW + Duration::from_secs(3)));
    ledger.expire(NOW + Duration::from_secs(2));
    assert!(ledger.take_closed().is_empty());
    ledger.expire(NOW + Duration::from_secs(3));
    assert_eq!(ledger.take_closed(), [taken.id]);
}

#[test]
fn limits_are_kept_and_idle_ones_make_room() {
    let mut ledger = ledger();
    let big = ledger.take(90 * MB).unwrap();
    assert!(matches!(ledger.take(20 * MB), Err(Refusal::Bytes { .. })));
    ledger.unlease(big.id, true, NOW);
    assert_eq!(ledger.take_closed(), [big.id], "too large to be kept");
    let half = ledger.take(45 * MB).unwrap();
    ledger.unlease(half.id, true, NOW);
    assert!(ledger.take(90 * MB).unwrap().fresh);
    assert_eq!(ledger.take_closed(), [half.id]);

    let mut ledger = self::ledger();
    for _ in 0..10 {
        ledger.take(MB).unwrap();
    }
    assert_eq!(ledger.take(MB), Err(Refusal::Segments { limit: 10 }));
    ledger.shut();
    assert_eq!(ledger.take(MB), Err(Refusal::Off));
}

/// What a ledger is told.
#[derive(Debug, Clone)]
enum Step {
    Take(u64),
    Lease(usize),
    Unlease(usize, bool),
    Give(usize, u64),
    Release(usize, u64, u64, bool),
    Gone(u64),
    Wait(u64),
    Shut,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..60 * MB).prop_map(Step::Take),
        2 => any::<usize>().prop_map(Step::Lease),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(at, clean)| Step::Unlease(at, clean)),
        4 => (any::<usize>(), 0..3_u64).prop_map(|(at, worker)| Step::Give(at, worker)),
        4 => (any::<usize>(), 0..3_u64, 0..3_u64, prop::bool::weighted(0.9))
            .prop_map(|(at, worker, uses, clean)| Step::Release(at, worker, uses, clean)),
        1 => (0..3_u64).prop_map(Step::Gone),
        2 => (0..5_u64).prop_map(Step::Wait),
        1 => Just(Step::Shut),
    ]
}

/// What the test knows of a segment that is held.
#[derive(Debug, Default)]
struct Held {
    leases: u64,
    uses: BTreeMap<u64, u64>,
}

impl Held {
    fn is_free(&self) -> bool {
        self.leases == 0 && self.uses.values().all(|&uses| uses == 0)
    }
}

proptest! {
    #[test]
    fn nothing_that_is_held_is_closed_or_taken_again(steps in prop::collection::vec(step(), 0..200)) {
        let mut ledger = ledger();
        let mut held: BTreeMap<u64, Held> = BTreeMap::new();
        let mut unclean: Vec<u64> = Vec::new();
        let mut now = NOW;
        for step in steps {
            let ids: Vec<u64> = held.keys().copied().collect();
            let pick = |at: usize| ids.get(at % ids.len().max(1)).copied();
            match step {
                Step::Take(len) => if let Ok(taken) = ledger.take(len) {
                    prop_assert!(taken.len >= len);
                    prop_assert!(!held.contains_key(&taken.id), "it is held");
                    prop_assert!(!unclean.contains(&taken.id), "somebody may look at it");
                    held.insert(taken.id, Held { leases: 1, ..Held::default() });
                },
                Step::Lease(at) => if let Some(id) = pick(at) {
                    prop_assert!(ledger.lease(id));
                    held.get_mut(&id).unwrap().leases += 1;
                },
                Step::Unlease(at, clean) => if let Some(id) = pick(at) {
                    let entry = held.get_mut(&id).unwrap();
                    if entry.leases > 0 {
                        entry.leases -= 1;
                        ledger.unlease(id, clean, now);
                        if !clean { unclean.push(id); }
                    }
                },
                Step::Give(at, worker) => if let Some(id) = pick(at) {
                    prop_assert!(ledger.give(id, worker));
                    *held.get_mut(&id).unwrap().uses.entry(worker).or_default() += 1;
                },
                Step::Release(at, worker, uses, clean) => if let Some(id) = pick(at) {
                    let entry = held.get_mut(&id).unwrap();
                    let has = entry.uses.get(&worker).copied().unwrap_or(0);
                    let accepted = ledger.release(id, worker, uses, clean, now);
                    prop_assert_eq!(accepted, has > 0 && has >= uses);
                    if accepted {
                        entry.uses.insert(worker, has - uses);
                        if !clean { unclean.push(id); }
                    }
                },
                Step::Gone(worker) => {
                    ledger.worker_gone(worker, now);
                    for entry in held.values_mut() { entry.uses.remove(&worker); }
                }
                Step::Wait(seconds) => {
                    now += Duration::from_secs(seconds);
                    ledger.expire(now);
                    prop_assert!(ledger.next_expiry().is_none_or(|next| next > now));
                }
                Step::Shut => ledger.shut(),
            }
            held.retain(|_, entry| !entry.is_free());
            for closed in ledger.take_closed() {
                prop_assert!(!held.contains_key(&closed), "closed while it is held");
            }
            prop_assert!(ledger.bytes <= 100 * MB);
            prop_assert!(ledger.entries.len() <= 10);
            prop_assert!(ledger.idle_bytes() <= 50 * MB);
            let total: u64 = ledger.entries.values().map(|entry| entry.len).sum();
            prop_assert_eq!(total, ledger.bytes);
        }
    }
}
