//! What jobs are charged with when their executors are gone.

use std::collections::BTreeMap;

use crate::effect::{Charges, Ending};
use crate::held::HeldState;
use crate::shares::Took;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

/// What the loss of a node counts. One for which the job is hardly to blame, since all nodes
/// were lost at once, counts one: a tenth. Nothing may go on like that for ever.
pub(crate) const LOSS: u16 = 10;

/// What a job was charged with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    /// Workers that died while running it.
    pub(crate) deaths: u16,
    /// Nodes that were lost while holding it, in [`LOSS`]es.
    pub(crate) blame: u16,
}

impl Record {
    /// How many nodes were lost while holding it.
    pub(crate) fn losses(self) -> u32 {
        u32::from(self.blame / LOSS)
    }
}

impl From<Record> for Charges {
    fn from(record: Record) -> Self {
        Self {
            deaths: record.deaths.into(),
            losses: record.losses(),
        }
    }
}

/// The records of all live jobs that were charged with something: few, if any.
#[derive(Debug, Default)]
pub(crate) struct Records(BTreeMap<JobId, Record>);

impl Records {
    pub(crate) fn get(&self, job: JobId) -> Record {
        self.0.get(&job).copied().unwrap_or_default()
    }

    /// A job has ended. Gives what it was charged with.
    #[inline]
    pub(crate) fn remove(&mut self, job: JobId) -> Record {
        if self.0.is_empty() {
            return Record::default();
        }
        self.0.remove(&job).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = JobId> + '_ {
        self.0.keys().copied()
    }
}

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
        let Some(holder) = self.executors.get(slot) else {
            return;
        };
        let record = self.records.get(job);
        let state = holder.held.get(place).map(|held| held.state);
        if !matches!(state, Some(HeldState::Recalling | HeldState::Returning)) {
            // It ends anyway.
            return;
        }
        let suspect = self.config.max_node_losses.get().saturating_sub(1);
        let room = if self.is_suspect(record.blame) {
            u32::MAX
        } else {
            suspect.saturating_sub(record.losses())
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
            self.release(&held, Took::Nothing);
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
        if (deaths, blame) == (0, 0) {
            return None;
        }
        let record = self.records.0.entry(job).or_default();
        record.deaths = record.deaths.saturating_add(deaths);
        record.blame = record.blame.saturating_add(blame);
        let (deaths, losses) = (u32::from(record.deaths), record.losses());
        if losses >= self.config.max_node_losses.get() {
            return Some(Ending::NodeLost { losses, executor });
        }
        let is_over = deaths >= self.config.max_worker_deaths.get();
        is_over.then_some(Ending::WorkerDied { deaths, executor })
    }
}
