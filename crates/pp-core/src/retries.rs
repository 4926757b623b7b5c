//! Jobs that are run again after they have failed.

use std::collections::BTreeSet;

use crate::effect::Ending;
use crate::held::{Held, HeldState};
use crate::ids::{IdMap, SMALL};
use crate::job::PAUSED;
use crate::terms::Retries;
use crate::time::Time;
use crate::{JobId, Scheduler};

/// The live jobs that may be run again.
#[derive(Debug, Default)]
pub(crate) struct RetryTable {
    entries: IdMap<JobId, Entry>,
    /// Those that pause, and until when.
    paused: BTreeSet<(Time, JobId)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    retries: Retries,
    used: u32,
    /// Until when it pauses.
    until: Option<Time>,
}

impl Entry {
    fn is_left(&self) -> bool {
        self.used < self.retries.count
    }
}

impl RetryTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn add(&mut self, job: JobId, retries: Retries) {
        let entry = Entry {
            retries,
            used: 0,
            until: None,
        };
        self.entries.insert(job, entry);
    }

    /// How many retries a job has used.
    pub(crate) fn used(&self, job: JobId) -> u32 {
        if self.entries.is_empty() {
            return 0;
        }
        self.entries.get(&job).map_or(0, |entry| entry.used)
    }

    /// Whether a job is run again if its time is over.
    pub(crate) fn outlives_timeout(&self, job: JobId) -> bool {
        let entry = self.entries.get(&job);
        entry.is_some_and(|entry| entry.retries.on_timeout && entry.is_left())
    }

    /// How many jobs pause.
    pub(crate) fn paused(&self) -> usize {
        self.paused.len()
    }

    /// Those that pause, in the order of submission.
    pub(crate) fn names(&self) -> Vec<JobId> {
        let mut names: Vec<_> = self.paused.iter().map(|&(_, job)| job).collect();
        names.sort_unstable();
        names
    }

    /// When the next pause ends.
    pub(crate) fn next(&self) -> Option<Time> {
        self.paused.first().map(|&(time, _)| time)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Uses a retry of a job, if one is left: until when it pauses before that.
    fn again(&mut self, job: JobId, now: Time) -> Option<Time> {
        let entry = self.entries.get_mut(&job).filter(|entry| entry.is_left())?;
        let pause = entry.retries.pause_after(entry.used);
        entry.used += 1;
        Some(now.saturating_add(pause))
    }

    fn pause(&mut self, job: JobId, until: Time) {
        if let Some(entry) = self.entries.get_mut(&job) {
            entry.until = Some(until);
            self.paused.insert((until, job));
        }
    }

    /// Takes out a job whose pause has ended.
    fn pop(&mut self, now: Time) -> Option<JobId> {
        self.next().filter(|&time| time <= now)?;
        let (_, job) = self.paused.pop_first()?;
        if let Some(entry) = self.entries.get_mut(&job) {
            entry.until = None;
        }
        Some(job)
    }

    /// A job has ended.
    #[inline]
    pub(crate) fn remove(&mut self, job: JobId) {
        if !self.entries.is_empty() {
            self.remove_noted(job);
        }
    }

    #[inline(never)]
    fn remove_noted(&mut self, job: JobId) {
        let entry = self.entries.remove(&job);
        if let Some(until) = entry.and_then(|entry| entry.until) {
            self.paused.remove(&(until, job));
        }
        if self.entries.is_empty() {
            self.entries.shrink_to(SMALL);
        }
    }

    /// The first contradiction in it, if there is one. `is_live` tells which jobs have not
    /// ended.
    pub(crate) fn fault(&self, is_live: impl Fn(JobId) -> bool) -> Option<String> {
        let is_wrong = |(job, entry): (JobId, &Entry)| {
            let is_paused = entry
                .until
                .is_none_or(|until| self.paused.contains(&(until, job)));
            !is_live(job) || entry.used > entry.retries.count || !is_paused
        };
        let mut entries = self.entries.iter().map(|(&job, entry)| (job, entry));
        if let Some((job, entry)) = entries.find(|&entry| is_wrong(entry)) {
            return Some(format!("{job}: {entry:?}"));
        }
        let pausing = self.entries.values();
        let pausing = pausing.filter(|entry| entry.until.is_some()).count();
        let noted = self.paused.len();
        (pausing != noted).then(|| format!("{pausing} pause, {noted} noted"))
    }
}

impl<J> Scheduler<J> {
    /// Lets a job run again that nobody holds any more, after a pause, if it has a retry left
    /// and anybody still wants it.
    pub(crate) fn try_again(&mut self, held: Held) -> bool {
        let job = held.job;
        if held.state.is_called_off() {
            return false;
        }
        let Some(until) = self.retries.again(job, self.now) else {
            return false;
        };
        if held.state == HeldState::Returning {
            // The parent wants it back, and it does not run any more.
            self.end(job, Ending::Cancelled);
        } else if until <= self.now {
            self.requeue(job);
            self.start_missing();
        } else if let Some(entry) = self.jobs.get_mut(job) {
            entry.executor = PAUSED;
            self.suspects.left(job);
            self.time_limits.left(job);
            self.retries.pause(job, until);
        }
        true
    }

    /// Queues the jobs whose pause has ended.
    pub(crate) fn check_retries(&mut self) {
        while let Some(job) = self.retries.pop(self.now) {
            self.requeue(job);
        }
    }
}
