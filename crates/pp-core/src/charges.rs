//! What jobs are charged with when their executors are gone.

use crate::effect::{Charges, Ending};
use crate::held::HeldState;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

impl<J> Scheduler<J> {
    /// A node says that a job, which it gives back next, was charged there.
    ///
    /// Otherwise a job that takes down the nodes behind a gateway would begin anew each time
    /// that it is given back, and never end. Losses at a distance make a job a suspect at the
    /// most, unless it was one: like losses of our own, they say only that it was there. May
    /// end the job; then its return is not heard any more.
    pub fn job_charged(&mut self, node: ExecutorId, job: JobId, charges: Charges, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(node) else {
            return;
        };
        let Some(place) = self.place_at(slot, job) else {
            return;
        };
        let (Some(holder), Some(entry)) = (self.executors.get(slot), self.jobs.get(job)) else {
            return;
        };
        let state = holder.held.get(place).map(|held| held.state);
        if !matches!(state, Some(HeldState::Recalling | HeldState::Returning)) {
            // It ends anyway.
            return;
        }
        let suspect = self.config.max_node_losses.get().saturating_sub(1);
        let room = if self.is_suspect(entry.losses) {
            u32::MAX
        } else {
            suspect.saturating_sub(entry.losses.into())
        };
        let few = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let added = (few(charges.deaths), few(charges.losses.min(room)));
        let Some(ending) = self.charge(node, job, added) else {
            return;
        };
        let holder = self.executors.get_mut(slot);
        if let Some(held) = holder.and_then(|holder| holder.held.remove(place)) {
            self.recalls.pending -= usize::from(held.state == HeldState::Recalling);
        }
        self.end(job, ending);
        self.doubt_effects();
        self.settle(slot);
        self.pump();
    }

    /// Charges a job with ends of executors, by deaths and losses, the last of which was
    /// this one; how it ends if that was once too often.
    pub(crate) fn charge(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        (deaths, losses): (u16, u16),
    ) -> Option<Ending> {
        let entry = self.jobs.get_mut(job)?;
        entry.deaths = entry.deaths.saturating_add(deaths);
        entry.losses = entry.losses.saturating_add(losses);
        let (deaths, losses) = (u32::from(entry.deaths), u32::from(entry.losses));
        if losses >= self.config.max_node_losses.get() {
            return Some(Ending::NodeLost { losses, executor });
        }
        let is_over = deaths >= self.config.max_worker_deaths.get();
        is_over.then_some(Ending::WorkerDied { deaths, executor })
    }
}
