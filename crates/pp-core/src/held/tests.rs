//! Tests of the list of jobs that an executor holds.

use super::*;

fn id(number: u64) -> JobId {
    JobId::from_u64(number)
}

const EXPECTED: Expected = Expected { time: 10, least: 3 };

fn with(slots: u32, jobs: u64) -> (HeldJobs, Vec<u32>) {
    let mut held = HeldJobs::new(slots);
    let places = (0..jobs).map(|n| held.push(id(n), EXPECTED, 0)).collect();
    (held, places)
}

fn waiting(held: &HeldJobs) -> Vec<u64> {
    held.recallable_places()
        .map(|(_, held)| held.job.as_u64())
        .collect()
}

#[test]
fn those_behind_move_up_as_others_end() {
    let (mut held, places) = with(2, 6);
    assert_eq!(waiting(&held), [5, 4, 3, 2]);
    assert_eq!(held.remove(places[1]).map(|held| held.job), Some(id(1)));
    assert_eq!(waiting(&held), [5, 4, 3]);
    held.remove(places[4]);
    assert_eq!(waiting(&held), [5, 3]);
    held.remove(places[0]);
    assert_eq!(
        (waiting(&held), held.recallable_places().count(), held.len()),
        (vec![5], 1, 3)
    );
    assert!(held.remove(places[0]).is_none(), "it has gone");
    assert_eq!(held.fault(), None);
}

#[test]
fn a_pinned_job_waits_where_it_is() {
    let (mut held, places) = with(1, 4);
    held.pin(places[2]);
    assert_eq!(
        (waiting(&held), held.recallable_places().count()),
        (vec![3, 1], 2)
    );
    assert_eq!((held.waiting(), held.waiting_places().count()), (3, 3));
    held.remove(places[1]);
    held.compact(|_, _| {});
    assert_eq!(
        (waiting(&held), held.recallable_places().count()),
        (vec![3], 1)
    );
    held.set_slots(2);
    assert_eq!((waiting(&held), held.waiting()), (vec![3], 1), "it may run");
    assert_eq!(held.fault(), None);
    let place = held.places().nth(1).unwrap().0;
    held.remove(place);
    held.set_slots(0);
    assert_eq!((waiting(&held), held.fault()), (vec![3, 0], None));
}

#[test]
fn slots_come_and_go() {
    let (mut held, places) = with(0, 5);
    assert_eq!(held.recallable_places().count(), 5);
    held.set_slots(3);
    assert_eq!(waiting(&held), [4, 3]);
    held.mark(places[1], HeldState::Started);
    held.mark(places[3], HeldState::Recalling);
    assert_eq!(waiting(&held), [4]);
    held.set_slots(1);
    assert_eq!(waiting(&held), [4, 2]);
    assert_eq!(held.fault(), None);
}

#[test]
fn a_long_job_at_the_front_does_not_keep_the_places_of_those_that_pass_it() {
    let (mut held, _) = with(2, 1);
    let mut places = std::collections::HashMap::from([(0, 0)]);
    for n in 1..100_000 {
        let place = held.push(id(n), EXPECTED, 0);
        assert_eq!(held.remove(place).map(|held| held.job), Some(id(n)));
        if n % 10 == 0 {
            places.insert(n, held.push(id(n), EXPECTED, 0));
        }
        if n % 100 == 0 {
            let kept: Vec<_> = places.drain().filter(|&(job, _)| job > 0).collect();
            for (job, place) in kept {
                assert_eq!(held.remove(place).map(|held| held.job), Some(id(job)));
            }
            places.insert(0, 0);
        }
        if held.is_sparse() {
            held.compact(|job, place| {
                places.insert(job.as_u64(), place);
            });
        }
        assert!(held.entries.len() <= 200, "{}", held.entries.len());
    }
    assert_eq!(held.fault(), None);
}

#[test]
fn places_count_around() {
    let mut held = HeldJobs::new(1);
    held.first = u32::MAX - 1;
    let places: Vec<_> = (0..4).map(|n| held.push(id(n), EXPECTED, 0)).collect();
    assert_eq!(places, [u32::MAX - 1, u32::MAX, 0, 1]);
    for (n, place) in (0..).zip(places) {
        assert_eq!(held.get(place).map(|held| held.job), Some(id(n)));
        assert_eq!(held.remove(place).map(|held| held.job), Some(id(n)));
    }
    assert_eq!((held.len(), held.backlog(), held.fault()), (0, 0, None));
}
