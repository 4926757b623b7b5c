//! Looking out for work before falling asleep.
//!
//! Who sleeps has to be woken, and that takes longer than much of the work. Who looks out
//! instead takes processor time from others. So it is done for as long as falling asleep and
//! being woken takes, and only where it was worth it the last time: looking out then at most
//! doubles the cost of a wait (the argument of competitive spinning, Karlin et al., "Empirical
//! studies of competitive spinning for a shared-memory multiprocessor", SOSP 1991).

use std::time::{Duration, Instant};

/// What falling asleep and being woken takes, where all processors have something to do.
const LONG: Duration = Duration::from_micros(60);

/// How long to look out, learned from how long it took the last time.
#[derive(Debug)]
pub(crate) struct Lookout {
    /// How long at the least.
    short: Duration,
    /// Since when nothing has come.
    since: Instant,
    /// Whether something came within `LONG` the last time.
    pays: bool,
}

impl Lookout {
    /// Looks out for `short` at the least.
    pub(crate) fn new(short: Duration) -> Self {
        Self {
            short,
            since: Instant::now(),
            pays: false,
        }
    }

    /// Work has come, or was looked for in vain until it came.
    pub(crate) fn note_work(&mut self, now: Instant) {
        self.pays = now.saturating_duration_since(self.since) <= LONG;
        self.since = now;
    }

    /// From now on there is nothing to do.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.since = now;
    }

    /// Whether to go on looking out.
    pub(crate) fn goes_on(&self, now: Instant) -> bool {
        let length = if self.pays { LONG } else { self.short };
        now.saturating_duration_since(self.since) < length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn it_lasts_longer_after_it_was_worth_it() {
        let mut lookout = Lookout::new(20 * US);
        let start = Instant::now();
        lookout.begin(start);
        assert!(lookout.goes_on(start + 19 * US) && !lookout.goes_on(start + 20 * US));
        lookout.note_work(start + 60 * US);
        lookout.begin(start + 100 * US);
        assert!(lookout.goes_on(start + 159 * US) && !lookout.goes_on(start + 160 * US));
        lookout.note_work(start + 161 * US);
        assert!(!lookout.goes_on(start + 181 * US));
    }
}
