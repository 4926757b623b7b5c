#![allow(clippy::unwrap_used)] // a test may fail

use std::sync::Arc;

use super::*;
use crate::segments::{Carried, Pool};

fn part(byte: u8) -> Part {
    let pool = Pool::new(Some(0));
    Part::Carried(Arc::new(Carried::new(&pool, vec![byte; 3].into())))
}

#[test]
fn what_is_offered_is_there_until_it_is_withdrawn() {
    let exports = Exports::default();
    let (first, second) = (part(1), part(2));
    let one = exports.offer(first.clone()).unwrap();
    let other = exports.offer(second).unwrap();
    assert_ne!(one, other);
    assert!(!first.is_alone(), "it is kept");
    assert_eq!(*exports.get(&other).unwrap().content().unwrap(), [2, 2, 2]);
    exports.withdraw(&one);
    exports.withdraw(&one);
    assert!(first.is_alone());
    assert!(exports.get(&one).is_none() && exports.get(&other).is_some());
    assert!(exports.get(&Ticket::default()).is_none());
}

#[test]
fn the_same_thing_may_be_offered_twice() {
    let exports = Exports::default();
    let part = part(1);
    let one = exports.offer(part.clone()).unwrap();
    let other = exports.offer(part.clone()).unwrap();
    exports.withdraw(&one);
    assert!(exports.get(&other).is_some());
    exports.withdraw(&other);
    assert!(part.is_alone());
}

#[test]
fn tickets_are_not_shown() {
    let exports = Exports::default();
    exports.offer(part(1)).unwrap();
    assert_eq!(format!("{exports:?}"), "Exports(1)");
}
