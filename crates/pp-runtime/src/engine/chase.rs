//! Short looks of the I/O thread for what follows at once.
//!
//! In a chain of short jobs, one can begin when the one before it has ended. To sleep in between,
//! and be woken by a worker, costs each of them 10 us and more (seen with jobs that take no time).
//! So after the end of a short job this thread looks out for the next one, for about as long as
//! that would take.

use std::time::{Duration, Instant};

use super::attend::LOOKOUT;
use super::shared::Shared;
use super::state::State;
use super::worker::Worker;

/// Decides when to look.
#[derive(Debug, Default)]
pub(super) struct Chase {
    /// How many jobs had ended at the last look, and how long they had run together.
    jobs: u64,
    run_time: Duration,
}

impl Chase {
    /// Whether what comes next may come at once.
    pub(super) fn is_due(&mut self, state: &State, pending: usize) -> bool {
        let totals = &state.totals;
        let ended = totals.jobs - self.jobs;
        let run_time = totals.run_time.saturating_sub(self.run_time);
        (self.jobs, self.run_time) = (totals.jobs, totals.run_time);
        let were_short = u32::try_from(ended).is_ok_and(|ended| run_time <= LOOKOUT * ended);
        // Over a network nothing is as quick as that, and here nobody listens to it.
        let is_alone = state.attending == 0 && state.links.all().next().is_none();
        let may_follow = ended > 0 && pending > 0 && were_short && is_alone;
        // If all have something ahead, nobody waits for what follows.
        may_follow && state.scheduler.supply().is_none()
    }
}

impl Shared {
    /// Looks whether a worker says something, for a moment.
    pub(super) fn chase(&self) {
        let until = Instant::now() + LOOKOUT;
        while Instant::now() < until {
            std::thread::yield_now();
            // Who has the lock takes it in.
            let state = self.try_lock();
            if state.is_some_and(|mut state| has_news(&mut state)) {
                return;
            }
        }
    }
}

fn has_news(state: &mut State) -> bool {
    let mut channels = state.workers.values_mut().filter_map(Worker::channel);
    channels.any(|channel| channel.has_news())
}
