#![allow(clippy::unwrap_used)] // a test may fail

use std::os::unix::net::UnixStream as StdStream;

use super::*;
use crate::segments::{Parcel, Span};
use crate::shm::{Layout, Producer, SEGMENT_LEN, segment_for_test};

const WORKER: u64 = 4;
const JOB: JobId = JobId::from_u64(9);

/// One worker's books, and what it would read from.
struct Desk {
    lending: Lending,
    pool: Arc<Pool>,
    bell: ParentBell,
    outgoing: Outgoing,
    _theirs: StdStream,
}

impl Desk {
    fn new() -> Self {
        let (ours, theirs) = StdStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let pool = Pool::new(None);
        let ring = Producer::new(segment_for_test(SEGMENT_LEN), Layout::DOWN);
        Self {
            lending: Lending::new(WORKER, Arc::clone(&pool)),
            pool,
            bell: ParentBell::new(mio::net::UnixStream::from_std(ours)),
            outgoing: Outgoing::new(ring),
            _theirs: theirs,
        }
    }

    fn store(&self) -> Arc<Lease> {
        let data = vec![1; 200_000];
        let parcel = Parcel::new(&[Span::of(&data)], &[]);
        self.pool.store(&parcel).unwrap()
    }

    fn send(&mut self, lease: &Arc<Lease>) {
        let parts = [Part::Shared(Arc::clone(lease))];
        self.lending
            .send_parts(JOB, &parts, &mut self.bell, &mut self.outgoing)
            .unwrap();
    }

    fn want(&mut self, len: u64) -> Result<(), LineError> {
        self.lending
            .answer_want(JOB, len, &mut self.bell, &mut self.outgoing)
    }
}

#[test]
fn results_lie_only_where_the_worker_has_something_to_look_at() {
    let mut desk = Desk::new();
    let lease = desk.store();
    let id = lease.id();
    assert!(desk.lending.place(JOB, id).is_err(), "it was never sent");
    desk.send(&lease);
    desk.lending.place(JOB, id).unwrap();
    assert!(desk.lending.place(JOB, id + 1).is_err(), "there is none");
    desk.lending.release(id, 1, true).unwrap();
    assert!(desk.lending.place(JOB, id).is_err(), "it was given back");
    assert!(desk.lending.release(id, 1, true).is_err(), "and only once");
}

#[test]
fn places_are_those_of_the_result_that_comes_next() {
    let mut desk = Desk::new();
    let (one, two) = (desk.store(), desk.store());
    desk.send(&one);
    desk.send(&two);
    let other = JobId::from_u64(10);
    desk.lending.place(other, one.id()).unwrap();
    desk.lending.place(JOB, two.id()).unwrap();
    desk.lending.place(JOB, one.id()).unwrap();
    let found: Vec<u64> = desk.lending.finish(JOB).iter().map(Part::id).collect();
    assert_eq!(found, [two.id(), one.id()]);
    desk.lending.place(other, one.id()).unwrap();
    assert!(desk.lending.finish(JOB).is_empty());
}

#[test]
fn one_wish_at_a_time_and_the_grant_holds_until_the_result() {
    let mut desk = Desk::new();
    desk.want(200_000).unwrap();
    assert!(desk.want(200_000).is_err());
    let id = desk.lending.grant.as_ref().unwrap().lease.id();
    assert!(desk.pool.is_used_by(id, WORKER));
    desk.lending.place(JOB, id).unwrap();
    desk.lending.release(id, 1, true).unwrap();
    let placed = desk.lending.finish(JOB);
    assert_eq!(placed.iter().map(Part::id).collect::<Vec<_>>(), [id]);
    assert!(matches!(&placed[0], Part::Shared(lease) if lease.file().warm() == 200_000));
    drop(placed);
    desk.want(200_000).unwrap();
    assert_eq!(
        desk.lending.grant.as_ref().unwrap().lease.id(),
        id,
        "it is used again"
    );
}

#[test]
fn what_does_not_fit_is_refused_and_the_dead_hold_nothing() {
    let mut desk = Desk::new();
    desk.want(u64::MAX / 2).unwrap();
    assert!(desk.lending.grant.is_none());
    let lease = desk.store();
    desk.send(&lease);
    desk.want(200_000).unwrap();
    let granted = desk.lending.grant.as_ref().unwrap().lease.id();
    let Desk { lending, pool, .. } = desk;
    drop(lending);
    assert!(!pool.is_used_by(lease.id(), WORKER) && !pool.is_used_by(granted, WORKER));
}

#[test]
fn workers_are_told_to_forget_what_they_know_and_nothing_else() {
    let mut desk = Desk::new();
    let (sent, unsent) = (desk.store(), desk.store());
    desk.send(&sent);
    let carried = Arc::new(Carried::new(&desk.pool, Bytes::from_static(b"few")));
    let parts = [Part::Carried(Arc::clone(&carried))];
    desk.lending
        .send_parts(JOB, &parts, &mut desk.bell, &mut desk.outgoing)
        .unwrap();
    assert!(desk.lending.release(carried.id(), 1, true).is_ok());
    for (id, known) in [
        (sent.id(), true),
        (unsent.id(), false),
        (carried.id(), true),
    ] {
        assert_eq!(desk.lending.forget(id, &mut desk.outgoing).unwrap(), known);
        assert!(!desk.lending.forget(id, &mut desk.outgoing).unwrap());
    }
}
