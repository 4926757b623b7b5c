//! Jobs in the order of their priorities.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::fifo::Fifo;
use crate::JobId;

/// One queue for each priority of which jobs wait.
///
/// Few priorities are usual, and make a job as cheap as in a plain queue; but where each job
/// has its own, it costs the logarithm of their number.
#[derive(Debug, Default)]
pub(crate) struct Levels {
    /// The highest priority first. None of them is empty.
    by_priority: BTreeMap<Reverse<i32>, Level>,
    /// All levels by their `since`.
    ages: BTreeSet<(JobId, i32)>,
    len: usize,
}

#[derive(Debug)]
struct Level {
    queue: Fifo,
    /// No job of it is older than this one. Brought up to date only when the oldest of all is
    /// asked for, so that starts cost nothing here.
    since: JobId,
}

impl Levels {
    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many priorities they have.
    pub(crate) fn count(&self) -> usize {
        self.by_priority.len()
    }

    pub(crate) fn highest(&self) -> Option<i32> {
        let (&Reverse(priority), _) = self.by_priority.first_key_value()?;
        Some(priority)
    }

    #[inline(never)]
    pub(crate) fn push(&mut self, job: JobId, priority: i32) {
        self.level(job, priority).queue.push(job);
        self.len += 1;
    }

    pub(crate) fn give_back(&mut self, job: JobId, priority: i32) {
        self.level(job, priority).queue.give_back(job);
        self.len += 1;
    }

    /// The level of a job that is about to be put there.
    fn level(&mut self, job: JobId, priority: i32) -> &mut Level {
        let ages = &mut self.ages;
        let level = self
            .by_priority
            .entry(Reverse(priority))
            .or_insert_with(|| {
                ages.insert((job, priority));
                Level {
                    queue: Fifo::default(),
                    since: job,
                }
            });
        if job < level.since {
            ages.remove(&(level.since, priority));
            ages.insert((job, priority));
            level.since = job;
        }
        level
    }

    /// The oldest job of the highest priority.
    pub(crate) fn front(&mut self, is_live: impl Fn(JobId) -> bool) -> Option<(JobId, i32)> {
        let mut first = self.by_priority.first_entry()?;
        let Reverse(priority) = *first.key();
        Some((first.get_mut().queue.front(is_live)?, priority))
    }

    /// The oldest job of all.
    pub(crate) fn oldest(
        &mut self,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<(JobId, i32)> {
        loop {
            let &(since, priority) = self.ages.first()?;
            let level = self.by_priority.get_mut(&Reverse(priority))?;
            let front = level.queue.front(is_live)?;
            if front == since {
                return Some((front, priority));
            }
            // Each time a job that has left pays for this.
            self.ages.pop_first();
            self.ages.insert((front, priority));
            level.since = front;
        }
    }

    /// Removes the job that is the first of its priority.
    #[inline(never)]
    pub(crate) fn pop(&mut self, job: JobId, priority: i32) {
        self.change(priority, |queue| queue.pop(job));
    }

    pub(crate) fn remove(&mut self, job: JobId, priority: i32, is_live: impl Fn(JobId) -> bool) {
        self.change(priority, |queue| queue.remove(job, is_live));
    }

    /// Lets one job leave a level, which goes with its last one.
    fn change(&mut self, priority: i32, leave: impl FnOnce(&mut Fifo)) {
        let Some(level) = self.by_priority.get_mut(&Reverse(priority)) else {
            return;
        };
        leave(&mut level.queue);
        self.len -= 1;
        if level.queue.is_empty() {
            self.ages.remove(&(level.since, priority));
            self.by_priority.remove(&Reverse(priority));
        }
    }

    /// Removes all jobs.
    pub(crate) fn take_all(&mut self, is_live: impl Fn(JobId) -> bool + Copy) -> Vec<JobId> {
        let levels = std::mem::take(self).by_priority;
        let queues = levels.into_values().map(|level| level.queue);
        queues
            .flat_map(|mut queue| queue.take_all(is_live))
            .collect()
    }

    /// Every name, of ended jobs too, and its priority.
    pub(crate) fn names(&self) -> impl Iterator<Item = (JobId, i32)> {
        self.by_priority
            .iter()
            .flat_map(|(&Reverse(priority), level)| {
                let names = level.queue.names();
                names.map(move |job| (job, priority))
            })
    }

    /// The first contradiction in it, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        let len: usize = self
            .by_priority
            .values()
            .map(|level| level.queue.len())
            .sum();
        let are_sound = self.by_priority.iter().all(|(&Reverse(priority), level)| {
            let is_known = self.ages.contains(&(level.since, priority));
            let is_oldest = level.queue.names().all(|job| job >= level.since);
            is_known && is_oldest && !level.queue.is_empty()
        });
        let is_sound = are_sound && len == self.len && self.ages.len() == self.by_priority.len();
        (!is_sound).then(|| format!("levels are wrong: {self:?}"))
    }
}
