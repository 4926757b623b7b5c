//! Virtual time: the service that a share has had, for its weight.

use std::num::NonZeroU32;

/// Virtual time per nanosecond at weight 1. Divided by the greatest weight it still tells
/// weights apart to one in 65,536; and 128 bits hold the service of 65,536 jobs that each ran
/// for 584 years, the longest that can be told.
const UNIT: u64 = 1 << 48;

/// A moment in virtual time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VirtualTime(u128);

/// How fast virtual time passes for a share while it is served: the slower, the greater its
/// weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(u64);

impl Rate {
    pub(crate) fn new(weight: NonZeroU32) -> Self {
        Self(UNIT / u64::from(weight.get()))
    }

    fn of(self, nanos: u64) -> u128 {
        u128::from(nanos) * u128::from(self.0)
    }
}

impl VirtualTime {
    /// After so many nanoseconds of service more.
    pub(crate) fn plus(self, nanos: u64, rate: Rate) -> Self {
        Self(self.0.saturating_add(rate.of(nanos)))
    }

    /// Without so many nanoseconds of service.
    pub(crate) fn minus(self, nanos: u64, rate: Rate) -> Self {
        Self(self.0.saturating_sub(rate.of(nanos)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(weight: u32) -> Rate {
        Rate::new(NonZeroU32::new(weight).unwrap())
    }

    #[test]
    fn service_counts_less_the_greater_the_weight() {
        let zero = VirtualTime::default();
        assert_eq!(zero.plus(4_000, rate(4)), zero.plus(1_000, rate(1)));
        assert!(zero.plus(1, rate(u32::MAX)) > zero);
        let (heavy, heavier) = (rate(u32::MAX / 2), rate(u32::MAX));
        assert!(zero.plus(1_000, heavy) > zero.plus(1_000, heavier));
    }

    #[test]
    fn what_was_added_can_be_taken_back() {
        let some = VirtualTime::default().plus(123, rate(7));
        assert_eq!(some.plus(999, rate(3)).minus(999, rate(3)), some);
        assert_eq!(some.minus(u64::MAX, rate(1)), VirtualTime::default());
    }

    #[test]
    fn nonsense_does_not_overflow() {
        let mut time = VirtualTime::default();
        for _ in 0..200_000 {
            let later = time.plus(u64::MAX, rate(1));
            assert!(later >= time);
            time = later;
        }
    }
}
