//! The order in which the jobs of one share wait that need the same.

use std::num::NonZeroU32;

use crate::JobId;

mod fifo;
mod levels;

use fifo::Fifo;
use levels::Levels;

/// Jobs of one share and one demand that no executor holds: the higher priority first, and of one
/// priority in the order of submission.
///
/// Jobs of priority 0 are most or all of them, and cost what a plain deque does.
///
/// So that no priority starves, now and then a start goes to the job that has waited longest:
/// *ageing*. It counts starts. By time, every job of a batch that takes the night would be old
/// in the morning, and an urgent one would wait behind all of them; this way it waits for one
/// start in a few.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// Jobs of priority 0.
    plain: Fifo,
    /// All others.
    levels: Levels,
    /// Starts that passed somebody since the last one that went by age.
    starts: u32,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.levels.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.levels.is_empty()
    }

    /// Adds a job that is newer than all that were added before.
    #[inline]
    pub(crate) fn push(&mut self, job: JobId, priority: i32) {
        if priority == 0 {
            self.plain.push(job);
        } else {
            self.levels.push(job, priority);
        }
    }

    /// Gives a job its place that had left the queue, or never was in it.
    pub(crate) fn give_back(&mut self, job: JobId, priority: i32) {
        if priority == 0 {
            self.plain.give_back(job);
        } else {
            self.levels.give_back(job, priority);
        }
    }

    /// The job that is next, and its priority. One start in `ageing` goes by age.
    #[inline]
    pub(crate) fn front(
        &mut self,
        ageing: Option<NonZeroU32>,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<(JobId, i32)> {
        if self.levels.is_empty() {
            return Some((self.plain.front(is_live)?, 0));
        }
        self.choose(ageing, is_live)
    }

    /// Apart, so that the usual case stays small.
    #[inline(never)]
    fn choose(
        &mut self,
        ageing: Option<NonZeroU32>,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<(JobId, i32)> {
        if self.is_age_due(ageing) && self.has_choice() {
            self.oldest(is_live)
        } else {
            self.highest(is_live)
        }
    }

    /// Whether the next start goes by age, where there is a choice.
    pub(crate) fn is_age_due(&self, ageing: Option<NonZeroU32>) -> bool {
        ageing.is_some_and(|every| self.starts + 1 >= every.get())
    }

    /// The first of the highest priority.
    pub(crate) fn highest(
        &mut self,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<(JobId, i32)> {
        let is_above = self.levels.highest().is_some_and(|highest| highest > 0);
        if is_above || self.plain.is_empty() {
            self.levels.front(is_live)
        } else {
            Some((self.plain.front(is_live)?, 0))
        }
    }

    /// The one that has waited longest.
    pub(crate) fn oldest(
        &mut self,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<(JobId, i32)> {
        let plain = self.plain.front(is_live).map(|job| (job, 0));
        let other = self.levels.oldest(is_live);
        // Of two jobs the older one has the lower name.
        plain.into_iter().chain(other).min()
    }

    /// Whether jobs of several priorities wait.
    fn has_choice(&self) -> bool {
        self.levels.count() + usize::from(!self.plain.is_empty()) > 1
    }

    /// Removes the job that [`front`](Self::front) gave: it starts.
    #[inline]
    pub(crate) fn pop(&mut self, (job, priority): (JobId, i32), ageing: Option<NonZeroU32>) {
        if !self.levels.is_empty() && self.has_choice() {
            self.count_start(ageing);
        }
        self.take((job, priority));
    }

    /// Removes the first of its priority; whether that was by age, its caller counts.
    #[inline]
    pub(crate) fn take(&mut self, (job, priority): (JobId, i32)) {
        if priority == 0 {
            self.plain.pop(job);
        } else {
            self.levels.pop(job, priority);
        }
    }

    /// Counts a start that passed somebody, or went by age.
    pub(crate) fn count_start(&mut self, ageing: Option<NonZeroU32>) {
        if let Some(every) = ageing {
            self.starts = (self.starts + 1) % every.get();
        }
    }

    /// Removes a job that waits and has just ended.
    pub(crate) fn remove(
        &mut self,
        job: JobId,
        priority: i32,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) {
        if priority == 0 {
            self.plain.remove(job, is_live);
        } else {
            self.levels.remove(job, priority, is_live);
        }
    }

    /// Removes all jobs, and gives them in no particular order.
    pub(crate) fn take_all(&mut self, is_live: impl Fn(JobId) -> bool + Copy) -> Vec<JobId> {
        let mut all = self.plain.take_all(is_live);
        all.extend(self.levels.take_all(is_live));
        self.starts = 0;
        all
    }

    /// Every name that the queue holds, of ended jobs too, and its priority.
    pub(crate) fn names(&self) -> impl Iterator<Item = (JobId, i32)> {
        let plain = self.plain.names().map(|job| (job, 0));
        plain.chain(self.levels.names())
    }

    /// Whether the queue holds no name at all.
    pub(crate) fn is_bare(&self) -> bool {
        self.plain.is_bare() && self.levels.is_empty()
    }

    /// The first contradiction in it, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        self.levels.fault()
    }
}

#[cfg(test)]
mod tests;
