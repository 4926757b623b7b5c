//! What a driver needs to know to wait well: when something will end, and whether
//! anybody runs out of work meanwhile.

use std::time::Duration;

use crate::executor::{Executor, ExecutorState};
use crate::{FunctionId, Scheduler};

/// The work that executors have ahead of what they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Supply {
    /// No executor runs out of work sooner, as far as is known: if all jobs are as short as
    /// the short ones of their functions.
    pub lasts: Duration,
    /// How many jobs it is, of all executors together.
    pub jobs: usize,
}

impl<J> Scheduler<J> {
    /// Whether a job that is submitted now is of use at once: an executor has nothing,
    /// or only one job, and would take it; or it would make starting executors be tried
    /// again. Otherwise it is as good to submit it with the next event.
    pub fn wants_jobs_now(&self) -> bool {
        let is_hungry = |(slot, _)| self.executors.get(slot).is_some_and(is_hungry);
        self.executors.next_to_serve().is_some_and(is_hungry) || self.starts.is_given_up()
    }

    /// What executors have ahead; `None` if one of them has nothing, or none is ready.
    pub fn supply(&self) -> Option<Supply> {
        let mut ready = self
            .executors
            .iter()
            .filter(|&(slot, executor)| {
                executor.state == ExecutorState::Ready && !self.executors.is_closed_node(slot)
            })
            .map(|(_, executor)| executor)
            .peekable();
        ready.peek()?;
        let mut supply = Supply {
            lasts: Duration::MAX,
            jobs: 0,
        };
        let mut kept = self.executors.kept_idle();
        for executor in ready {
            if executor.held.is_empty() && !executor.is_node() && kept > 0 {
                // It is to idle, for a job that needs several slots.
                kept -= 1;
                continue;
            }
            if is_hungry(executor) || executor.stalled {
                return None;
            }
            let runs = executor.held.oldest().map_or(0, |held| held.expected.least);
            let least = executor.held.least() / (executor.held.lanes() as u64).max(1);
            let ahead = least.saturating_sub(u64::from(runs));
            supply.lasts = supply.lasts.min(Duration::from_nanos(ahead));
            supply.jobs += executor.held.len() - executor.held.lanes();
        }
        Some(supply)
    }

    /// How long a job of a function takes; `None` if none was measured yet.
    pub fn expected_run_time(&self, function: FunctionId) -> Option<Duration> {
        let estimate = self.functions.known(function)?.estimate;
        let nanos = u64::from(estimate.expected().time);
        estimate.is_known().then(|| Duration::from_nanos(nanos))
    }
}

/// Whether an executor has nothing ahead of what it runs.
fn is_hungry(executor: &Executor) -> bool {
    executor.held.len() <= executor.held.lanes()
}
