//! Jobs that a machine had no room for after all.
//!
//! What is taken of this machine is counted here as if nobody else took any of it, and in sums
//! only. Whoever sends the jobs may know better. Then the demand is noted, and passed over with
//! all its jobs until something has changed: however many wait, one of them is refused, or as many
//! as were sent together.

use std::collections::BTreeSet;

use crate::effect::Ending;
use crate::executors::Site;
use crate::time::Time;
use crate::{Demand, ExecutorId, JobId, Scheduler};

impl<J> Scheduler<J> {
    /// A job that was [sent](crate::Effect::Send) to a worker was not sent on, since this machine
    /// has not what it [needs](crate::Terms::demand): others have it, or it is not in one piece.
    /// It takes its place in the queue again, at no charge.
    ///
    /// Jobs that need the same go to no worker before one that has taken some of the same
    /// resource gives that back, or [`try_refused`](Self::try_refused) is called. They may go to
    /// nodes.
    ///
    /// A job that was being cancelled ends by this. Ignored if the executor does not hold the
    /// job, or is a node.
    pub fn refused(&mut self, worker: ExecutorId, job: JobId, now: Time) {
        self.see(now);
        let slot = self.executors.slot(worker);
        if slot.and_then(|slot| self.executors.site_of(slot)) != Some(Site::Here) {
            return;
        }
        // What this one gives back, others had not in vain: they would be tried for ever.
        let refused = self.executors.replace_refused(BTreeSet::new());
        let taken = self.take_unbegun(worker, job);
        self.executors.replace_refused(refused);
        let Some((slot, is_wanted)) = taken else {
            return;
        };
        if is_wanted {
            let demand = self.demand_of(job);
            if !demand.is_plain() {
                let demand = demand.clone();
                self.executors.refuse(demand);
            }
            self.requeue(job);
        } else {
            self.end(job, Ending::Cancelled);
        }
        self.doubt_effects();
        self.settle(slot);
        self.start_missing();
        self.pump();
    }

    /// What was [refused](Self::refused) may fit by now: all of it is tried again.
    pub fn try_refused(&mut self, now: Time) {
        self.see(now);
        if !self.executors.refused().is_empty() {
            self.forget_refusals();
            self.executors.note_growth(Site::Here);
            self.pump();
        }
    }

    /// Whether jobs that need this are passed over, since one of them was
    /// [refused](Self::refused).
    pub fn is_refused(&self, demand: &Demand) -> bool {
        self.executors.refused().contains(&demand.tidy())
    }

    /// Whether a job is queued that needs this, and more than a slot.
    pub fn is_queued_for(&self, demand: &Demand) -> bool {
        let demand = demand.tidy();
        let Some(place) = self.demands.place(&demand) else {
            return false;
        };
        let mut suspects = self.suspects.names();
        self.shares.has_demand(place) || suspects.any(|job| *self.demand_of(job) == demand)
    }

    /// Lets nothing be refused any more.
    pub(crate) fn forget_refusals(&mut self) {
        self.executors.replace_refused(BTreeSet::new());
    }
}
