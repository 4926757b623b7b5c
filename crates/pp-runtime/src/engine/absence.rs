//! This process, or the machine under it, may have been away itself: stopped, suspended,
//! or with no processor to run on. What is lost then is nobody else's fault.

use std::time::{Duration, Instant, SystemTime};

/// What time it is, by the clock that never jumps and by the one on the wall. The first may
/// stand still while a machine is suspended, the second does not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    steady: Instant,
    wall: SystemTime,
}

impl Clocks {
    pub(super) fn now() -> Self {
        Self {
            steady: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// How long it is since `before`, by the clock that shows more.
    fn since(self, before: Self) -> Duration {
        let wall = self.wall.duration_since(before.wall).unwrap_or_default();
        let steady = self.steady.saturating_duration_since(before.steady);
        wall.max(steady)
    }
}

/// When this process was away so long that nodes have given it up.
#[derive(Debug, Default)]
pub(super) struct Absence {
    /// The last beat.
    seen: Option<Clocks>,
    /// Until then jobs are hardly blamed for what is lost.
    excused_until: Option<Instant>,
}

impl Absence {
    /// This is a beat. Nodes give up whom they have not heard for `patience`.
    pub(super) fn beat(&mut self, now: Clocks, patience: Duration) {
        if let Some(before) = self.seen.replace(now)
            && now.since(before) > patience
        {
            self.excuse(now, patience);
        }
    }

    /// Jobs are hardly blamed for what is lost from now on, for `patience`; whether that is news.
    pub(super) fn excuse(&mut self, now: Clocks, patience: Duration) -> bool {
        let is_news = self.excused_until.is_none_or(|until| until < now.steady);
        self.excused_until = Some(now.steady + patience);
        is_news
    }

    /// There are no beats for now.
    pub(super) fn rest(&mut self) {
        self.seen = None;
    }

    /// Whether what is lost now may be for our own absence. `patience` as for a beat.
    pub(super) fn excuses(&self, now: Clocks, patience: Duration) -> bool {
        let is_excused = self.excused_until.is_some_and(|until| now.steady <= until);
        // Who comes back hears of losses before the next beat.
        is_excused || self.seen.is_some_and(|seen| now.since(seen) > patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PATIENCE: Duration = Duration::from_secs(5);

    fn after(start: Clocks, steady: Duration, wall: Duration) -> Clocks {
        Clocks {
            steady: start.steady + steady,
            wall: start.wall + wall,
        }
    }

    #[test]
    fn who_was_there_excuses_nothing() {
        let (mut absence, start) = (Absence::default(), Clocks::now());
        absence.beat(start, PATIENCE);
        let later = after(start, SECOND, SECOND);
        assert!(!absence.excuses(later, PATIENCE));
        absence.beat(later, PATIENCE);
        assert!(!absence.excuses(later, PATIENCE));
    }

    #[test]
    fn who_was_stopped_or_suspended_excuses_what_is_lost_soon_afterwards() {
        let minute = 60 * SECOND;
        for steady in [minute, Duration::ZERO] {
            let (mut absence, start) = (Absence::default(), Clocks::now());
            absence.beat(start, PATIENCE);
            let back = after(start, steady, minute);
            assert!(absence.excuses(back, PATIENCE), "before the next beat");
            absence.beat(back, PATIENCE);
            assert!(absence.excuses(after(back, PATIENCE, PATIENCE), PATIENCE));
            let later = after(back, 2 * PATIENCE, 2 * PATIENCE);
            absence.beat(after(back, PATIENCE, PATIENCE), PATIENCE);
            assert!(!absence.excuses(later, PATIENCE));
        }
    }

    #[test]
    fn a_clock_that_is_set_back_is_no_absence() {
        let (mut absence, start) = (Absence::default(), Clocks::now());
        absence.beat(start, PATIENCE);
        let later = Clocks {
            steady: start.steady + SECOND,
            wall: start.wall - 3_600 * SECOND,
        };
        absence.beat(later, PATIENCE);
        assert!(!absence.excuses(later, PATIENCE));
    }

    #[test]
    fn a_time_without_links_is_no_absence() {
        let (mut absence, start) = (Absence::default(), Clocks::now());
        absence.beat(start, PATIENCE);
        absence.rest();
        let later = after(start, 60 * SECOND, 60 * SECOND);
        absence.beat(later, PATIENCE);
        assert!(!absence.excuses(later, PATIENCE));
    }
}
