//! How long to wait before trying again.

use std::time::Duration;

/// Doubles from try to try, up to a bound, with some chance in it: nodes that were cut off
/// together should not all come back at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    first: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Self { next: first, first }
    }

    /// All is well again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait, `most` at the most.
    pub(super) fn pause(&mut self, most: Duration) -> Duration {
        let pause = self.next.min(most);
        self.next = (self.next * 2).min(most);
        pause.mul_f64(0.5 + chance() / 2.0)
    }
}

/// A number from 0 to 1.
fn chance() -> f64 {
    // Without randomness from the system there still is a pause.
    f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_start_over() {
        let first = Duration::from_millis(100);
        let most = Duration::from_secs(1);
        let mut backoff = Backoff::new(first);
        let pauses: Vec<_> = (0..8).map(|_| backoff.pause(most)).collect();
        for (pause, doublings) in pauses.iter().zip(0..) {
            let full = (first * 2_u32.pow(doublings)).min(most);
            assert!(*pause >= full / 2 && *pause <= full, "{pauses:?}");
        }
        backoff.reset();
        assert!(backoff.pause(most) <= first);
    }
}
