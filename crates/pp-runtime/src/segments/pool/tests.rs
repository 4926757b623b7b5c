#![allow(clippy::unwrap_used, clippy::useless_vec)] // a test may fail

use std::fs::File;
use std::sync::Arc;

use super::{NoSegment, Pool};
use crate::segments::memory::{Region, Span};
use crate::segments::parcel::{Contents, Item, Parcel};
use crate::segments::received::Cabinet;

const LEN: usize = 300_000;
const WORKER: u64 = 3;

fn store(pool: &Arc<Pool>, byte: u8) -> Arc<super::Lease> {
    let data = vec![byte; LEN];
    let items = [Item::Copied(Span::of(&data))];
    pool.store(&Parcel::new(&[Span::of(b"body")], &items))
        .unwrap()
}

fn data_of(region: &Region) -> Vec<u8> {
    let contents = Contents::open(region, &[]).unwrap();
    assert_eq!(contents.body.span().bytes(), b"body");
    contents.buffers[0].span().bytes().to_vec()
}

/// As if it had come through a socket.
fn receive(cabinet: &mut Cabinet, lease: &super::Lease) -> Result<(), String> {
    let file: File = lease.file().file().try_clone().unwrap();
    cabinet
        .receive(lease.id(), lease.file().warm(), lease.file().inode(), file)
        .map_err(|error| error.to_string())
}

#[test]
fn what_is_stored_is_read_by_both_sides_and_its_memory_is_used_again() {
    let pool = Pool::new(None);
    let mut cabinet = Cabinet::default();
    let mut ids = Vec::new();
    for byte in 1..5 {
        let lease = store(&pool, byte);
        ids.push(lease.id());
        assert_eq!(data_of(&lease.region(false).unwrap()), vec![byte; LEN]);
        assert!(pool.give(lease.id(), WORKER));
        if byte == 1 {
            receive(&mut cabinet, &lease).unwrap();
        }
        let region = cabinet.for_job(lease.id()).unwrap();
        drop(lease);
        assert_eq!(data_of(&region), vec![byte; LEN]);
        let inside = region.part(100, 50).unwrap();
        assert_eq!(cabinet.find(inside.span()), Some((ids[0], 100)));
        assert!(cabinet.take_endings().is_empty());
        drop((region, inside));
        assert!(cabinet.find(Span::of(&[])).is_none());
        for ended in cabinet.take_endings() {
            assert!(pool.release(ended.segment, WORKER, ended.uses, ended.reusable));
        }
    }
    assert_eq!(ids, [ids[0]; 4]);
}

#[test]
fn private_copies_leave_the_segment_as_it_is() {
    let pool = Pool::new(None);
    let lease = store(&pool, 1);
    let copy = lease.region(true).unwrap();
    assert!(copy.is_writable() && copy.start() != lease.region(false).unwrap().start());
    assert_eq!(data_of(&copy), vec![1; LEN]);
    let heap = lease.region(false).unwrap().to_writable().unwrap();
    assert_eq!(data_of(&heap), vec![1; LEN]);
}

#[test]
fn results_are_written_to_cold_and_to_warm_segments() {
    let pool = Pool::new(None);
    let mut cabinet = Cabinet::default();
    for round in 0..3 {
        let data = vec![round; LEN + usize::from(round)];
        let items = [Item::Copied(Span::of(&data))];
        let parcel = Parcel::new(&[Span::of(b"body")], &items);
        let lease = Arc::new(pool.take(parcel.len()).unwrap());
        assert!(pool.give(lease.id(), WORKER));
        receive(&mut cabinet, &lease).unwrap();
        let mut granted = cabinet.granted(lease.id(), lease.file().warm());
        granted.write(&parcel).unwrap();
        cabinet.keep_mapping(&granted);
        lease.file().warmed(parcel.len());
        assert_eq!(data_of(&lease.region(false).unwrap()), data);
        drop((granted, lease));
        for ended in cabinet.take_endings() {
            assert!(pool.release(ended.segment, WORKER, ended.uses, ended.reusable));
        }
    }
}

#[test]
fn another_file_is_not_taken_for_a_segment() {
    let pool = Pool::new(None);
    let (lease, other) = (store(&pool, 1), store(&pool, 2));
    let mut cabinet = Cabinet::default();
    let file = other.file().file().try_clone().unwrap();
    let error = cabinet.receive(lease.id(), 1, lease.file().inode(), file);
    assert!(error.unwrap_err().to_string().contains("another file"));
    assert!(cabinet.for_job(lease.id()).is_err());
}

#[test]
fn leases_outlive_the_pools_end_and_nothing_else_does() {
    let pool = Pool::new(None);
    let (kept, idle) = (store(&pool, 1), store(&pool, 2));
    let region = kept.region(false).unwrap();
    drop(idle);
    pool.shut();
    assert!(matches!(pool.take(1), Err(NoSegment::Refused(_))));
    drop(kept);
    assert_eq!(data_of(&region), vec![1; LEN]);
    assert_eq!(pool.state.lock().files.len(), 1);
    drop(region);
    assert!(pool.state.lock().files.is_empty());
}

#[test]
fn without_memory_nothing_is_stored() {
    let pool = Pool::new(Some(0));
    assert!(
        pool.store(&Parcel::new(&[Span::of(b"body")], &[]))
            .is_none()
    );
}
