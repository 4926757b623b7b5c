//! First in, first out.

use std::collections::{BTreeSet, VecDeque};

use crate::JobId;

/// Below this many places the memory of a queue is not worth freeing.
const SMALL: usize = 1024;

/// Jobs that no executor holds, of one share and one priority, in the order of their
/// submission.
///
/// New jobs come at the end in order, which a plain deque does in no time. Those
/// that come back from an executor are few and older: a small ordered set beside
/// it. Names of ended jobs stay in the deque until they come to its front or are
/// more than half of it.
///
/// The queue holds names only and asks its caller which of them still live. Other orders are
/// built from several of these.
#[derive(Debug, Default)]
pub(crate) struct Fifo {
    fresh: VecDeque<JobId>,
    returned: BTreeSet<JobId>,
    /// Names in `fresh` of jobs that have ended.
    dead: usize,
}

impl Fifo {
    pub(crate) fn len(&self) -> usize {
        self.fresh.len() - self.dead + self.returned.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a job that is newer than all that were added before.
    pub(crate) fn push(&mut self, job: JobId) {
        self.fresh.push_back(job);
    }

    /// Gives a job its place back that had left the queue.
    pub(crate) fn give_back(&mut self, job: JobId) {
        self.returned.insert(job);
    }

    /// The job that is next. `is_live` tells which jobs have not ended.
    pub(crate) fn front(&mut self, is_live: impl Fn(JobId) -> bool) -> Option<JobId> {
        while self.dead > 0 && self.fresh.front().is_some_and(|&job| !is_live(job)) {
            self.fresh.pop_front();
            self.dead -= 1;
        }
        match (self.fresh.front(), self.returned.first()) {
            (Some(&fresh), Some(&returned)) => Some(fresh.min(returned)),
            (fresh, returned) => fresh.or(returned).copied(),
        }
    }

    /// Removes the job that [`front`](Self::front) gave.
    pub(crate) fn pop(&mut self, job: JobId) {
        if self.fresh.front() == Some(&job) {
            self.fresh.pop_front();
            if self.fresh.len() == self.dead {
                self.fresh.clear();
                self.dead = 0;
            }
            let capacity = self.fresh.capacity();
            // Each time this frees three quarters, so it is paid for by the pops before.
            if capacity > SMALL && self.fresh.len() < capacity / 8 {
                self.fresh.shrink_to(capacity / 4);
            }
        } else {
            self.returned.remove(&job);
        }
    }

    /// Removes a job that waits and has just ended.
    pub(crate) fn remove(&mut self, job: JobId, is_live: impl Fn(JobId) -> bool) {
        if self.returned.remove(&job) {
            return;
        }
        self.dead += 1;
        if self.dead * 2 > self.fresh.len() {
            self.fresh.retain(|&job| is_live(job));
            self.dead = 0;
            if self.fresh.capacity() > SMALL {
                self.fresh.shrink_to(self.fresh.len() * 2);
            }
        }
    }

    /// Removes all jobs, and gives them in order.
    pub(crate) fn take_all(&mut self, is_live: impl Fn(JobId) -> bool) -> Vec<JobId> {
        let mut all: Vec<_> = std::mem::take(&mut self.fresh).into();
        if std::mem::take(&mut self.dead) > 0 {
            all.retain(|&job| is_live(job));
        }
        all.extend(std::mem::take(&mut self.returned));
        all.sort_unstable();
        all
    }

    /// Every name that the queue holds, of ended jobs too.
    pub(crate) fn names(&self) -> impl Iterator<Item = JobId> {
        self.fresh.iter().chain(&self.returned).copied()
    }

    /// Whether the queue holds no name at all.
    pub(crate) fn is_bare(&self) -> bool {
        self.fresh.is_empty() && self.returned.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> JobId {
        JobId::from_u64(number)
    }

    fn pop_all(queue: &mut Fifo, is_live: impl Fn(JobId) -> bool + Copy) -> Vec<u64> {
        std::iter::from_fn(|| {
            let job = queue.front(is_live)?;
            queue.pop(job);
            Some(job.as_u64())
        })
        .collect()
    }

    #[test]
    fn jobs_that_come_back_regain_their_place() {
        let mut queue = Fifo::default();
        (0..6).for_each(|n| queue.push(id(n)));
        let first: Vec<_> = (0..4)
            .map(|_| {
                let job = queue.front(|_| true).unwrap();
                queue.pop(job);
                job
            })
            .collect();
        for job in [first[2], first[0], first[3]] {
            queue.give_back(job);
        }
        assert_eq!(pop_all(&mut queue, |_| true), [0, 2, 3, 4, 5]);
    }

    #[test]
    fn ended_jobs_leave_nothing_behind() {
        let mut queue = Fifo::default();
        (0..10_000).for_each(|n| queue.push(id(n)));
        for n in (0..10_000).filter(|n| n % 100 != 0) {
            // Dead are the job itself and those before it that are not kept.
            queue.remove(id(n), |job| job > id(n) || job.as_u64() % 100 == 0);
            assert!(queue.dead * 2 <= queue.fresh.len());
        }
        assert_eq!(queue.len(), 100);
        assert!(queue.fresh.len() <= 200);
        assert_eq!(
            pop_all(&mut queue, |job| job.as_u64() % 100 == 0).len(),
            100
        );
        assert!(queue.is_bare());
        assert!(queue.fresh.capacity() <= SMALL);
    }

    #[test]
    fn an_ended_job_at_the_end_leaves_with_the_last_live_one() {
        let mut queue = Fifo::default();
        (0..5).for_each(|n| queue.push(id(n)));
        queue.remove(id(4), |job| job != id(4));
        for n in 0..4 {
            assert_eq!(queue.front(|job| job != id(4)), Some(id(n)));
            queue.pop(id(n));
        }
        assert!(queue.is_bare(), "without being asked again");
    }

    #[test]
    fn all_are_taken_in_order() {
        let mut queue = Fifo::default();
        (0..10).for_each(|n| queue.push(id(n)));
        let front = queue.front(|_| true).unwrap();
        queue.pop(front);
        queue.give_back(front);
        queue.remove(id(5), |job| job != id(5));
        let all: Vec<_> = queue
            .take_all(|job| job != id(5))
            .into_iter()
            .map(JobId::as_u64)
            .collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
        assert!(queue.is_bare() && queue.is_empty());
    }
}
