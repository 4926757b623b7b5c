//! Names of jobs, executors and functions, and a fast map keyed by them.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Names one job of one [`Scheduler`](crate::Scheduler).
///
/// Numbers are given in the order of submission and never again, so `Ord` is
/// the order of submission and a stale name can never mean another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// Names one executor of one [`Scheduler`](crate::Scheduler), from its
/// [`Effect::Start`](crate::Effect::Start) to its end. Never used again; `Ord` is
/// the order of starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecutorId(u64);

/// Names a function. Given by the caller, who must not use one name for two
/// functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(u64);

/// Names a share: jobs that are served together, in proportion to its weight, beside other
/// shares. Given by the caller; 0, the default, is the share of all jobs that name none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShareId(u64);

/// Names a resource, such as GPUs or licences of some kind. Given by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(u64);

macro_rules! number {
    ($name:ident, $word:literal) => {
        impl $name {
            /// The name as it travels between processes.
            pub const fn as_u64(self) -> u64 {
                self.0
            }

            /// The name that [`as_u64`](Self::as_u64) gave.
            pub const fn from_u64(number: u64) -> Self {
                Self(number)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($word, " {}"), self.0)
            }
        }
    };
}

number!(JobId, "job");
number!(ExecutorId, "executor");
number!(FunctionId, "function");
number!(ShareId, "share");
number!(ResourceId, "resource");

/// A map keyed by one of our own numbers.
///
/// Keys are counters of this process, never chosen by a peer, so the hash need
/// not resist collisions; and it is the same in each run, so replays agree.
pub(crate) type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Room for so many is kept in a side table that has become empty.
pub(crate) const SMALL: usize = 1024;

/// So many low bits of a key tell where it is among its neighbours.
const NEIGHBOURS: u32 = 4;

/// Keeps neighbours together: numbers that differ only in their last four bits lie side by side
/// in the table, since jobs that were submitted together are looked up together, and most of what
/// a look-up costs in a large table is the way to memory. Where such a block lies is random: one
/// folded multiplication, in which every bit of its number reaches every bit of the hash. The
/// table compares keys whose hashes have the same first seven bits, so neighbours differ there.
#[derive(Default)]
pub(crate) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let number = self.0 ^ number;
        let place = number & ((1 << NEIGHBOURS) - 1);
        // The golden ratio in 64 bits: odd, and without a pattern.
        let product = u128::from(number >> NEIGHBOURS) * 0x9E37_79B9_7F4A_7C15;
        #[allow(clippy::cast_possible_truncation)] // both halves are taken
        let block = (product >> 64) as u64 ^ product as u64;
        self.0 = (block << NEIGHBOURS | place) ^ place << (64 - NEIGHBOURS);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use super::*;

    fn hash(number: u64) -> u64 {
        BuildHasherDefault::<IdHasher>::default().hash_one(JobId::from_u64(number))
    }

    #[test]
    fn neighbours_lie_side_by_side_and_are_told_apart() {
        for block in [0, 1, 77, 1 << 40] {
            let first = 16 * block;
            let hashes: Vec<_> = (first..first + 16).map(hash).collect();
            let places = hashes.iter().map(|hash| hash & 0xffff);
            let start = hashes[0] & 0xffff;
            assert!(places.eq(start..start + 16), "{block}");
            let tags: BTreeSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
            assert_eq!(tags.len(), 16, "{block}");
        }
    }

    #[test]
    fn blocks_are_spread_whatever_lies_between_the_numbers() {
        for step in [1, 16, 64, 100, 1024, 4096] {
            let places = (0..4096).map(|number| hash(number * step) >> NEIGHBOURS & 0xfff);
            let mut counts = [0; 4096];
            places.for_each(|place| counts[usize::try_from(place).unwrap()] += 1);
            let most = counts.into_iter().max().unwrap();
            // As many as one block has, and a few blocks may share a place.
            assert!(most <= 16 * 8, "{most} of those {step} apart");
        }
    }
}
