//! Who gets the next job.

use crate::effect::Effect;
use crate::{JobId, Scheduler};

impl<J> Scheduler<J> {
    /// Sends queued jobs, in order, as long as an executor may get one.
    ///
    /// An idle worker takes any job, the one that became idle last first: it may
    /// still be spinning. Then nodes with free slots. With none free, jobs whose length is
    /// known go ahead to the executor with nearly the least to do.
    pub(crate) fn pump(&mut self) {
        if self.suspects.queued() > 0 {
            self.pump_suspects();
        }
        while let Some((slot, is_idle)) = self.executors.next_to_serve() {
            let jobs = &self.jobs;
            let Some(job) = self.queue.front(|job| jobs.contains(job)) else {
                return;
            };
            let Some(function) = self.jobs.get(job).map(|entry| entry.function) else {
                return;
            };
            if !is_idle && !self.functions.estimate(function).is_known() {
                // Jobs behind it wait too: they are not to be started before it.
                return;
            }
            self.queue.pop(job);
            self.send(slot, job);
        }
    }

    /// Sends a job that is in no queue any more.
    pub(crate) fn send(&mut self, slot: u32, job: JobId) {
        let (Some(holder), Some(entry)) = (self.executors.get_mut(slot), self.jobs.get_mut(job))
        else {
            return;
        };
        let (executor, function) = (holder.id, entry.function);
        let is_new = holder.functions.insert(function);
        let expected = self.functions.estimate(function).expected();
        entry.executor = slot;
        entry.place = holder.push(job, expected, self.now);
        if is_new && let Some(known) = self.functions.get(function) {
            let function = known.id;
            self.effects
                .push_back(Effect::SendFunction { executor, function });
        }
        self.effects.push_back(Effect::Send { executor, job });
        if !self.time_limits.is_empty() {
            self.watch_time(slot);
        }
        if self.executors.refresh(slot) {
            self.watch(slot);
        }
    }
}
