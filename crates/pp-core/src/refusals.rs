//! Jobs that a machine had no room for after all.
//!
//! What is taken of a machine is counted here as if nobody else took any of it, and in sums only.
//! Whoever sends the jobs may know better. Then the demand is noted, and passed over with all its
//! jobs until something has changed: however many wait, one of them is refused, or as many as were
//! sent together.

use std::collections::BTreeSet;

use crate::effect::Ending;
use crate::executors::Site;
use crate::time::Time;
use crate::{Demand, ExecutorId, JobId, Scheduler};

impl<J> Scheduler<J> {
    /// A job that was [sent](crate::Effect::Send) to an executor has not begun there and is not
    /// there any more, since its machine has not what the job [needs](crate::Terms::demand):
    /// others have it, or it is not there in one piece. The job takes its place in the queue
    /// again, at no charge.
    ///
    /// Jobs that need the same do not go to that machine before one that has taken some of the
    /// same resource there gives that back, or its supply is set, or
    /// [`try_refused`](Self::try_refused) is called. They may go to others.
    ///
    /// A job that was being cancelled ends by this. Ignored if the executor does not hold it.
    pub fn refused(&mut self, executor: ExecutorId, job: JobId, now: Time) {
        self.see(now);
        let slot = self.executors.slot(executor);
        let Some(site) = slot.and_then(|slot| self.executors.site_of(slot)) else {
            return;
        };
        // What this one gives back, others had not in vain: they would be tried for ever.
        let mut refused = self.executors.set_refused(site, BTreeSet::new());
        let taken = self.take_unbegun(executor, job);
        let demand = self.demand_of(job);
        if !demand.is_plain() && taken.is_some_and(|(_, is_wanted)| is_wanted) {
            refused.insert(demand.clone());
        }
        self.executors.set_refused(site, refused);
        let Some((slot, is_wanted)) = taken else {
            return;
        };
        if is_wanted {
            self.requeue(job);
        } else {
            self.end(job, Ending::Cancelled);
        }
        self.go_on_without(slot);
    }

    /// What was [refused](Self::refused) for workers may fit by now: all of it is tried again.
    /// Whether there was any.
    pub fn try_refused(&mut self, now: Time) -> bool {
        self.see(now);
        let refused = self.executors.set_refused(Site::Here, BTreeSet::new());
        if !refused.is_empty() {
            self.executors.note_growth(Site::Here);
            self.pump();
        }
        !refused.is_empty()
    }

    /// Whether jobs that need this go to no worker, since one of them was
    /// [refused](Self::refused).
    pub fn is_refused(&self, demand: &Demand) -> bool {
        let refused = self.executors.refused(Site::Here);
        refused.is_some_and(|refused| refused.contains(&demand.tidy()))
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
}
