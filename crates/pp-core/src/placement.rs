//! Who gets the next job.

use crate::demand::NOTHING;
use crate::effect::Effect;
use crate::{JobId, Scheduler};

impl<J> Scheduler<J> {
    /// Sends queued jobs, in the order of their shares and priorities, as long as an executor
    /// may get one.
    ///
    /// An idle worker takes any job, the one that became idle last first: it may
    /// still be spinning. Then nodes with free slots. With none free, jobs whose length is
    /// known go ahead to the executor with nearly the least to do. Where jobs wait that need
    /// more than a slot, see [`pump_packed`](Self::pump_packed).
    pub(crate) fn pump(&mut self) {
        let is_plain = !self.shares.has_demanding() && self.gathering.is_none();
        if !is_plain || self.suspects.queued() > 0 {
            return self.pump_packed();
        }
        while let Some((slot, is_idle)) = self.executors.next_to_serve() {
            let jobs = &self.jobs;
            let Some(next) = self.shares.next(|job| jobs.contains(job)) else {
                return;
            };
            let Some(function) = self.jobs.get(next.job).map(|entry| entry.function) else {
                return;
            };
            if !is_idle && !self.functions.estimate(function).is_known() {
                // Those that come after it wait too: they are not to be started before it.
                return;
            }
            self.shares.pop(next);
            self.send(slot, next.job);
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
        let estimate = self.functions.estimate(function);
        let expected = estimate.expected();
        let known = estimate.is_known().then_some(expected.time);
        let class = self.classes.get(entry.class);
        let demand = (class.demand != NOTHING).then(|| self.demands.get(class.demand));
        let slots = demand.map_or(1, |demand| demand.slots);
        let charge = self.shares.sent(class.share, known, slots);
        entry.executor = slot;
        entry.place = holder.push(job, expected, charge, self.now);
        if let Some(demand) = demand {
            self.executors.take(slot, entry.place, demand);
        }
        if is_new && let Some(known) = self.functions.get(function) {
            let function = known.id;
            self.effects
                .push_back(Effect::SendFunction { executor, function });
        }
        self.effects.push_back(Effect::Send { executor, job });
        if !self.nears.is_empty() {
            self.note_sent(job, slot);
        }
        if !self.time_limits.is_empty() {
            self.watch_time(slot);
        }
        if self.executors.refresh(slot) {
            self.watch(slot);
        }
    }
}
