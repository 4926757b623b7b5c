//! Executors sorted roughly by how much work they hold, at constant cost.

use std::fmt;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// Buckets, one for each bit of the mask that tells which are in use.
const BUCKETS: usize = 64;

/// Puts slots into 64 buckets, and finds the lowest and the highest bucket in use.
///
/// With [`bucket_of`] an amount as the bucket, that finds the slot with nearly the
/// least or the most of it. Each step costs the same for two executors as for ten
/// thousand.
pub(crate) struct Buckets {
    /// By slot: the neighbours in its bucket.
    links: Vec<Link>,
    lists: [List; BUCKETS],
    /// Bit `n` is set while bucket `n` is in use.
    used: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// The bucket, or `UNPLACED`.
    bucket: u8,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    len: u32,
}

const UNPLACED: u8 = u8::MAX;

/// Amounts below 2 to this power of nanoseconds, about 1 us, are all alike.
const LEAST: u32 = 10;

/// The bucket for an amount of work; never bucket 0. Two for each power of two, so
/// amounts in one bucket differ by half of the smaller at the most; from 1 us to 40
/// minutes.
pub(crate) fn bucket_of(nanos: u64) -> u8 {
    let nanos = nanos.max(1 << LEAST);
    let log = nanos.ilog2();
    let is_upper_half = nanos >> (log - 1) & 1 == 1;
    let step = 2 * (log - LEAST) + u32::from(is_upper_half);
    u8::try_from(1 + step.min(62)).unwrap_or(63)
}

// By hand: 64 lists, most of them empty, would bury what one looks for.
impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = (0..).zip(&self.links);
        let placed = slots.filter(|(_, link)| link.bucket != UNPLACED);
        f.debug_map()
            .entries(placed.map(|(slot, link): (u32, _)| (slot, link.bucket)))
            .finish()
    }
}

impl Buckets {
    pub(crate) fn new() -> Self {
        let empty = List {
            first: NONE,
            last: NONE,
            len: 0,
        };
        Self {
            links: Vec::new(),
            lists: [empty; BUCKETS],
            used: 0,
        }
    }

    /// The bucket of a slot.
    pub(crate) fn bucket(&self, slot: u32) -> Option<u8> {
        let bucket = self.links.get(slot as usize)?.bucket;
        (bucket != UNPLACED).then_some(bucket)
    }

    /// How many slots are in a bucket.
    #[cfg(test)]
    fn len(&self, bucket: u8) -> usize {
        self.lists[usize::from(bucket)].len as usize
    }

    /// The first slot of the lowest bucket in use, and that bucket.
    pub(crate) fn lowest(&self) -> Option<(u32, u8)> {
        self.head(self.used.trailing_zeros())
    }

    /// The first slot that `is_meant`, of those from a bucket on, and its bucket.
    pub(crate) fn lowest_from(
        &self,
        bucket: u8,
        is_meant: impl Fn(u32) -> bool,
    ) -> Option<(u32, u8)> {
        let mut used = self.used >> bucket << bucket;
        while used != 0 {
            let (mut slot, bucket) = self.head(used.trailing_zeros())?;
            while let Some(link) = self.links.get(slot as usize) {
                if is_meant(slot) {
                    return Some((slot, bucket));
                }
                slot = link.next;
            }
            used &= used - 1;
        }
        None
    }

    /// The first slot of the highest bucket in use, and that bucket.
    pub(crate) fn highest(&self) -> Option<(u32, u8)> {
        self.head(63_u32.wrapping_sub(self.used.leading_zeros()))
    }

    fn head(&self, bucket: u32) -> Option<(u32, u8)> {
        let list = self.lists.get(bucket as usize)?;
        Some((list.first, u8::try_from(bucket).ok()?))
    }

    /// Moves a slot to a bucket: to the front of bucket 0 (so that the last to come
    /// is the first to be found), to the end of any other. `None` takes it out. True if it was in
    /// none, and is now.
    #[inline]
    pub(crate) fn place(&mut self, slot: u32, bucket: Option<u8>) -> bool {
        let wanted = bucket.unwrap_or(UNPLACED);
        let present = self
            .links
            .get(slot as usize)
            .map_or(UNPLACED, |link| link.bucket);
        // Mostly nothing changes.
        if wanted == present {
            return false;
        }
        self.relink(slot, wanted);
        present == UNPLACED
    }

    fn relink(&mut self, slot: u32, wanted: u8) {
        let index = slot as usize;
        if index >= self.links.len() {
            let unplaced = Link {
                previous: NONE,
                next: NONE,
                bucket: UNPLACED,
            };
            self.links.resize(index + 1, unplaced);
        }
        self.unlink(index);
        if wanted != UNPLACED {
            self.link(slot, wanted);
        }
    }

    fn unlink(&mut self, index: usize) {
        let Link {
            previous,
            next,
            bucket,
        } = self.links[index];
        if bucket == UNPLACED {
            return;
        }
        let list = &mut self.lists[usize::from(bucket)];
        list.len -= 1;
        if list.len == 0 {
            self.used &= !(1 << bucket);
        }
        match previous {
            NONE => list.first = next,
            slot => self.links[slot as usize].next = next,
        }
        match next {
            NONE => list.last = previous,
            slot => self.links[slot as usize].previous = previous,
        }
        self.links[index].bucket = UNPLACED;
    }

    fn link(&mut self, slot: u32, bucket: u8) {
        let list = &mut self.lists[usize::from(bucket)];
        let (previous, next) = if bucket == 0 {
            (NONE, list.first)
        } else {
            (list.last, NONE)
        };
        match previous {
            NONE => list.first = slot,
            other => self.links[other as usize].next = slot,
        }
        match next {
            NONE => list.last = slot,
            other => self.links[other as usize].previous = slot,
        }
        list.len += 1;
        self.used |= 1 << bucket;
        self.links[slot as usize] = Link {
            previous,
            next,
            bucket,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_least_and_the_most() {
        let mut buckets = Buckets::new();
        assert_eq!((buckets.lowest(), buckets.highest()), (None, None));
        buckets.place(4, Some(9));
        buckets.place(2, Some(63));
        buckets.place(7, Some(3));
        assert_eq!(
            (buckets.lowest(), buckets.highest()),
            (Some((7, 3)), Some((2, 63)))
        );
        buckets.place(7, None);
        buckets.place(2, None);
        assert_eq!(
            (buckets.lowest(), buckets.highest()),
            (Some((4, 9)), Some((4, 9)))
        );
        buckets.place(4, None);
        assert_eq!((buckets.lowest(), buckets.highest()), (None, None));
    }

    #[test]
    fn bucket_0_is_last_in_first_out_and_the_others_are_not() {
        for (bucket, expected) in [(0, [2, 1, 0]), (5, [0, 1, 2])] {
            let mut buckets = Buckets::new();
            assert!((0..3).all(|slot| buckets.place(slot, Some(bucket))));
            assert!(!buckets.place(1, Some(bucket)), "it is there");
            assert_eq!(buckets.len(bucket), 3);
            for slot in expected {
                assert_eq!(buckets.lowest(), Some((slot, bucket)));
                buckets.place(slot, None);
            }
        }
    }

    #[test]
    fn slots_can_leave_from_the_middle() {
        let mut buckets = Buckets::new();
        assert!((0..5).all(|slot| buckets.place(slot, Some(1))));
        for slot in [2, 0, 4] {
            buckets.place(slot, None);
        }
        buckets.place(2, Some(1));
        let order: Vec<_> = std::iter::from_fn(|| {
            let (slot, _) = buckets.lowest()?;
            buckets.place(slot, None);
            Some(slot)
        })
        .collect();
        assert_eq!(order, [1, 3, 2]);
    }

    #[test]
    fn amounts_in_one_bucket_are_nearly_alike() {
        assert_eq!((bucket_of(0), bucket_of(1_100)), (1, 1));
        assert_eq!(bucket_of(u64::MAX), 63);
        let mut amount = 1_024;
        while amount < 1 << 40 {
            let same = bucket_of(amount) == bucket_of(amount * 3 / 2 + 1);
            assert!(
                !same && bucket_of(amount + 1) >= bucket_of(amount),
                "{amount}"
            );
            amount += amount / 7;
        }
    }
}
