//! Jobs that run and are to end: first they are asked to, then their worker is killed.

use std::collections::VecDeque;

use crate::effect::Effect;
use crate::held::HeldState;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

/// Jobs that were asked to end, in the order in which patience with them ends: it is the
/// same with all.
#[derive(Debug, Default)]
pub(crate) struct Interrupts(VecDeque<(Time, ExecutorId, JobId)>);

impl Interrupts {
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.0.front().map(|&(time, ..)| time)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<J> Scheduler<J> {
    /// Asks the job at a place, which runs on the worker in this slot, to end, and marks it;
    /// without patience the worker is killed at once.
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
        let executor = executor.id;
        let until = self.now.saturating_add(grace);
        self.interrupts.0.push_back((until, executor, job));
        self.effects.push_back(Effect::Interrupt { executor, job });
    }

    /// Kills workers whose jobs were asked to end and have not.
    pub(crate) fn check_interrupts(&mut self) {
        while let Some(&(until, executor, job)) = self.interrupts.0.front()
            && until <= self.now
        {
            self.interrupts.0.pop_front();
            let slot = self.executors.slot(executor);
            let place = slot.and_then(|slot| Some((slot, self.place_at(slot, job)?)));
            if let Some((slot, place)) = place
                && let Some(holder) = self.executors.get(slot)
                && let Some(held) = holder.held.get(place)
                && held.state.is_asked_to_end()
            {
                self.kill(slot);
            }
        }
    }
}
