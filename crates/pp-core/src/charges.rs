//! What jobs are charged with when their executors are gone.

use crate::effect::{Charges, Ending};
use crate::held::HeldState;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

/// What the loss of a node counts. One for which the job is hardly to blame, since all nodes
/// were lost at once, counts one: a tenth. Nothing may go on like that for ever.
pub(crate) const LOSS: u16 = 10;

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
        let room = if self.is_suspect(entry.blame) {
            u32::MAX
        } else {
            suspect.saturating_sub(entry.losses())
        };
        let few = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let blame = few(charges.losses.min(room)).saturating_mul(LOSS);
        let added = (few(charges.deaths), blame);
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

    /// Charges a job with ends of executors, by deaths of workers and blame for the losses of
    /// nodes, the last of which was this one; how it ends if that was once too often.
    pub(crate) fn charge(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        (deaths, blame): (u16, u16),
    ) -> Option<Ending> {
        let entry = self.jobs.get_mut(job)?;
        entry.deaths = entry.deaths.saturating_add(deaths);
        entry.blame = entry.blame.saturating_add(blame);
        let (deaths, losses) = (u32::from(entry.deaths), entry.losses());
        if losses >= self.config.max_node_losses.get() {
            return Some(Ending::NodeLost { losses, executor });
        }
        let is_over = deaths >= self.config.max_worker_deaths.get();
        is_over.then_some(Ending::WorkerDied { deaths, executor })
    }
}
