//! Jobs that run and are to end: first they are asked to, then their worker is killed.

use std::collections::VecDeque;
use std::time::Duration;

use crate::effect::Effect;
use crate::held::HeldState;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

/// After how long a job that has not ended is asked again: it may have been about to wait for
/// something, and have missed it.
const AGAIN: Duration = Duration::from_millis(50);

/// A job that was asked to end.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// When to look at it.
    next: Time,
    /// When patience with it ends.
    until: Time,
    executor: ExecutorId,
    job: JobId,
    /// How many retries it had used: it may come to the same worker again.
    retries: u32,
}

/// Jobs that were asked to end, in the order in which they are looked at: always after the
/// same time, so patience may end later by as much.
#[derive(Debug, Default)]
pub(crate) struct Interrupts(VecDeque<Asked>);

impl Interrupts {
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.front().map(|asked| asked.next)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<J> Scheduler<J> {
    /// Asks the job at a place, which runs on the worker in this slot, to end, and marks it;
    /// without patience the worker is killed at once.
    ///
    /// What waits behind it is asked back, and nothing more is sent: so when the worker has to
    /// be killed, it cannot have begun with another job, whatever has not been heard of it.
    pub(crate) fn interrupt(&mut self, slot: u32, place: u32, mark: HeldState) {
        let grace = self.config.cancel_grace;
        let Some(executor) = self.executors.get_mut(slot) else {
            return;
        };
        let Some(job) = executor.held.get(place).map(|held| held.job) else {
            return;
        };
        executor.held.mark(place, mark);
        if grace.is_zero() {
            self.kill(slot);
            return;
        }
        let asked = Asked {
            next: self.now,
            until: self.now.saturating_add(grace),
            executor: executor.id,
            job,
            retries: self.retries.used(job),
        };
        self.stop_sending_ahead(slot);
        self.recall_all(slot);
        self.ask(asked);
    }

    fn ask(&mut self, asked: Asked) {
        let (executor, job) = (asked.executor, asked.job);
        self.interrupts.0.push_back(Asked {
            next: self.now.saturating_add(AGAIN),
            ..asked
        });
        self.effects.push_back(Effect::Interrupt { executor, job });
    }

    /// Asks jobs again that were asked to end and have not, and at last kills their workers.
    pub(crate) fn check_interrupts(&mut self) {
        while let Some(&asked) = self.interrupts.0.front()
            && asked.next <= self.now
        {
            self.interrupts.0.pop_front();
            if let Some(slot) = self.still_runs(asked) {
                if asked.until > self.now {
                    self.ask(asked);
                } else {
                    self.kill(slot);
                }
            }
        }
    }

    /// Where the worker is that runs the job still.
    fn still_runs(&self, asked: Asked) -> Option<u32> {
        let slot = self.executors.slot(asked.executor)?;
        let place = self.place_at(slot, asked.job)?;
        let held = self.executors.get(slot)?.held.get(place)?;
        let is_same = self.retries.used(asked.job) == asked.retries;
        (held.state.is_asked_to_end() && is_same).then_some(slot)
    }
}
