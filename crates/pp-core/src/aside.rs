//! Jobs that cannot begin where they were sent before something has been brought there.

use std::collections::BTreeSet;

use crate::effect::Ending;
use crate::held::HeldState;
use crate::job::ASIDE;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

/// Jobs that were set aside.
#[derive(Debug, Default)]
pub(crate) struct Asides(BTreeSet<JobId>);

impl Asides {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = JobId> + '_ {
        self.0.iter().copied()
    }

    /// Takes a job out; false if it is not here.
    pub(crate) fn remove(&mut self, job: JobId) -> bool {
        self.0.remove(&job)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl<J> Scheduler<J> {
    /// A job that was [sent](crate::Effect::Send) to an executor has not begun there and is not
    /// there any more: it was never sent on, or the executor has given it back of its own
    /// accord. It [waits](crate::JobState::Waiting) until [`resume`](Self::resume), at no
    /// charge, and its time does not run.
    ///
    /// One that was being cancelled ends by this, as if the executor had been asked for it and
    /// had given it back; one that was asked back to run elsewhere waits like any other. An
    /// answer that is still to come is ignored.
    ///
    /// True if the job waits now. False if it has ended by this, or if the executor does not
    /// hold it.
    pub fn set_aside(&mut self, executor: ExecutorId, job: JobId, now: Time) -> bool {
        self.see(now);
        let Some((slot, is_wanted)) = self.take_unbegun(executor, job) else {
            return false;
        };
        if is_wanted {
            self.put_aside(job);
        } else {
            self.end(job, Ending::Cancelled);
        }
        self.go_on_without(slot);
        is_wanted
    }

    /// What follows when a job was taken from the executor in this slot.
    pub(crate) fn go_on_without(&mut self, slot: u32) {
        self.doubt_effects();
        self.settle(slot);
        self.start_missing();
        self.pump();
    }

    /// Takes a job from an executor that has not begun it and does not have it; where that is, and
    /// whether the job is still to run.
    pub(crate) fn take_unbegun(&mut self, executor: ExecutorId, job: JobId) -> Option<(u32, bool)> {
        let slot = self.executors.slot(executor)?;
        let place = self.place_at(slot, job)?;
        let state = self.take_back(slot, place)?;
        self.recalls.pending -= usize::from(state == HeldState::Recalling);
        let is_wanted = !state.is_called_off() && state != HeldState::Returning;
        Some((slot, is_wanted))
    }

    fn put_aside(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get_mut(job) else {
            return;
        };
        entry.executor = ASIDE;
        self.suspects.left(job);
        self.time_limits.left(job);
        self.asides.0.insert(job);
    }

    /// A job that was [set aside](Self::set_aside) takes its place in the queue. Others are not
    /// changed by this.
    pub fn resume(&mut self, job: JobId, now: Time) {
        self.see(now);
        if self.asides.remove(job) {
            self.requeue(job);
            self.start_missing();
            self.pump();
        }
    }
}
