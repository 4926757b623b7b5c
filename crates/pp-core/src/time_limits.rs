//! Jobs that may not run longer than they were allowed to.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::effect::{Effect, Ending};
use crate::executor::ExecutorState;
use crate::held::{Held, HeldState};
use crate::ids::{IdMap, SMALL};
use crate::time::Time;
use crate::{JobId, Scheduler};

/// The least that a limit counts: before a worker has woken up, a job has not begun.
const LEAST: Duration = Duration::from_millis(1);

/// The limits of live jobs that have one.
#[derive(Debug, Default)]
pub(crate) struct TimeLimits {
    limits: IdMap<JobId, TimeLimit>,
    /// When those that run are to have ended.
    deadlines: BTreeSet<(Time, JobId)>,
}

#[derive(Clone, Copy, Debug)]
struct TimeLimit {
    limit: Duration,
    /// When it is to have ended, if it runs on a worker.
    deadline: Option<Time>,
}

impl TimeLimits {
    /// Whether no job has a limit.
    pub(crate) fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }

    pub(crate) fn add(&mut self, job: JobId, limit: Duration) {
        let deadline = None;
        self.limits.insert(job, TimeLimit { limit, deadline });
    }

    pub(crate) fn get(&self, job: JobId) -> Option<Duration> {
        self.limits.get(&job).map(|entry| entry.limit)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The next deadline of all.
    pub(crate) fn next(&self) -> Option<Time> {
        self.deadlines.first().map(|&(time, _)| time)
    }

    /// A job runs from now on, if it did not before.
    fn begun(&mut self, job: JobId, now: Time) {
        let Some(entry) = self.limits.get_mut(&job) else {
            return;
        };
        if entry.deadline.is_none() {
            let deadline = now.saturating_add(entry.limit.max(LEAST));
            entry.deadline = Some(deadline);
            self.deadlines.insert((deadline, job));
        }
    }

    /// Whether a job has run for longer than it may.
    fn is_over(&self, job: JobId, now: Time) -> bool {
        let deadline = self.limits.get(&job).and_then(|entry| entry.deadline);
        deadline.is_some_and(|deadline| deadline <= now)
    }

    /// A job runs no more.
    pub(crate) fn left(&mut self, job: JobId) {
        if self.limits.is_empty() {
            return;
        }
        let deadline = self.limits.get_mut(&job);
        if let Some(deadline) = deadline.and_then(|entry| entry.deadline.take()) {
            self.deadlines.remove(&(deadline, job));
        }
    }

    /// A job has ended.
    #[inline]
    pub(crate) fn remove(&mut self, job: JobId) {
        if !self.limits.is_empty() {
            self.remove_noted(job);
        }
    }

    #[inline(never)]
    fn remove_noted(&mut self, job: JobId) {
        self.left(job);
        self.limits.remove(&job);
        if self.limits.is_empty() {
            self.limits.shrink_to(SMALL);
        }
    }

    /// Takes out the deadline of a job whose time is over.
    fn pop(&mut self, now: Time) -> Option<JobId> {
        self.next().filter(|&time| time <= now)?;
        self.deadlines.pop_first().map(|(_, job)| job)
    }

    /// The first contradiction in it, if there is one. `runs` tells which jobs live, and of
    /// these which are the first of a worker.
    pub(crate) fn fault(&self, runs: impl Fn(JobId) -> Option<bool>) -> Option<String> {
        for (&job, entry) in &self.limits {
            let is_known = match entry.deadline {
                Some(deadline) => runs(job) == Some(true) || !self.is_set(deadline, job),
                None => runs(job) == Some(false),
            };
            if !is_known {
                return Some(format!("{job}: {entry:?}, it runs: {:?}", runs(job)));
            }
        }
        let unknown = |&&(time, job): &&(Time, JobId)| {
            let entry = self.limits.get(&job);
            entry.and_then(|entry| entry.deadline) != Some(time)
        };
        let unknown = self.deadlines.iter().find(unknown);
        unknown.map(|(time, job)| format!("{time:?} of {job} is set and not known"))
    }

    fn is_set(&self, deadline: Time, job: JobId) -> bool {
        self.deadlines.contains(&(deadline, job))
    }
}

impl<J> Scheduler<J> {
    /// Lets the time of the job begin that the worker in this slot runs, if it has begun.
    pub(crate) fn watch_time(&mut self, slot: u32) {
        let Some(executor) = self.executors.get(slot) else {
            return;
        };
        if executor.is_node() || executor.state == ExecutorState::Killing {
            return;
        }
        if let Some(first) = executor.held.oldest() {
            self.time_limits.begun(first.job, self.now);
        }
    }

    /// Lets all jobs end whose time is over.
    pub(crate) fn check_time_limits(&mut self) {
        while let Some(job) = self.time_limits.pop(self.now) {
            let slot = self.jobs.get(job).map(|entry| entry.executor);
            if let Some(slot) = slot
                && let Some(place) = self.place_at(slot, job)
            {
                self.time_is_over(slot, place);
                self.settle(slot);
            }
        }
    }

    /// After an answer from which we know that the job at a place runs: ends it if its time is
    /// over already.
    pub(crate) fn check_time_of(&mut self, slot: u32, place: u32) {
        if self.time_limits.is_empty() {
            return;
        }
        let holder = self.executors.get(slot);
        let held = holder.and_then(|holder| holder.held.get(place));
        if held.is_some_and(|held| self.time_limits.is_over(held.job, self.now)) {
            self.time_is_over(slot, place);
        }
    }

    /// The job at a place of a worker has run for as long as it may. Whether it runs at all is
    /// only now made sure of.
    fn time_is_over(&mut self, slot: u32, place: u32) {
        let Some(holder) = self.executors.get_mut(slot) else {
            return;
        };
        let Some(&held) = holder.held.get(place) else {
            return;
        };
        if holder.state == ExecutorState::Killing {
            return;
        }
        let (executor, job) = (holder.id, held.job);
        match held.state {
            HeldState::Sent => {
                holder.held.mark(place, HeldState::Expiring);
                self.effects.push_back(Effect::Recall { executor, job });
            }
            HeldState::Recalling => {
                holder.held.mark(place, HeldState::Expiring);
                self.recalls.pending -= 1;
            }
            HeldState::Started => self.interrupt(slot, place, HeldState::Expired),
            HeldState::Withdrawn => self.interrupt(slot, place, HeldState::Interrupted),
            // It is to end anyway, or the answer is still to come.
            HeldState::Cancelling
            | HeldState::Withdrawing
            | HeldState::Returning
            | HeldState::Expiring
            | HeldState::Interrupted
            | HeldState::Expired => {}
        }
    }

    /// A job that nobody holds any more was ended because its time was over.
    pub(crate) fn timed_out(&mut self, held: Held) {
        let job = held.job;
        let Some(limit) = self.time_limits.get(job) else {
            // Nobody asked for that: whoever ends jobs of its own accord cancels them.
            return self.end(job, Ending::Cancelled);
        };
        if !(self.retries.outlives_timeout(job) && self.try_again(held)) {
            self.end(job, Ending::TimedOut { limit });
        }
    }
}
