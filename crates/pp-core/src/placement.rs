//! Who gets the next job.

use crate::effect::Effect;
use crate::{JobId, Scheduler};

impl<J> Scheduler<J> {
    /// Sends queued jobs, in order, as long as an executor may get one.
    ///
    /// An idle executor takes any job, the one that became idle last first: it may
    /// still be spinning. With none idle, jobs whose length is known go ahead to the
    /// executor with nearly the least to do.
    pub(crate) fn pump(&mut self) {
        while let Some((slot, is_idle)) = self.executors.next_to_serve() {
            let jobs = &self.jobs;
            let Some(job) = self.queue.front(|job| jobs.contains(job)) else {
                return;
            };
            let Some(entry) = self.jobs.get_mut(job) else {
                return;
            };
            let function = entry.function;
            let estimate = self.functions.estimate(function);
            if !is_idle && !estimate.is_known() {
                // Jobs behind it wait too: they are not to be started before it.
                return;
            }
            entry.executor = slot;
            self.queue.pop(job);
            self.send(slot, job, function, estimate.expected());
        }
    }

    fn send(&mut self, slot: u32, job: JobId, function: u32, expected: u32) {
        let Some(holder) = self.executors.get_mut(slot) else {
            return;
        };
        let executor = holder.id;
        let is_new = holder.functions.insert(function);
        holder.push(job, expected, self.now);
        if is_new && let Some(known) = self.functions.get(function) {
            let function = known.id;
            self.effects
                .push_back(Effect::SendFunction { executor, function });
        }
        self.effects.push_back(Effect::Send { executor, job });
        if self.executors.refresh(slot) {
            self.watch(slot);
        }
    }
}
