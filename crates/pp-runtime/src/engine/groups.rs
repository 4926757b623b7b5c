//! Groups of jobs that can be waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::time::{Duration, Instant};

use pp_core::ShareId;

use crate::sync::{Condvar, Mutex};

/// Counts the jobs of a group that have not ended.
///
/// Two counts that only grow: submitters write the one and who takes in results the
/// other, each in a cache line of its own. One count for both would go to and fro
/// between their processors with each job. Each has but one writer at a time, since that has a
/// lock: a plain store does, where an atomic addition would take longer than all else here.
#[derive(Debug, Default)]
pub struct Group {
    submitted: Padded<AtomicU64>,
    ended: Padded<AtomicU64>,
    /// How many threads sleep in `wait`.
    waiting: AtomicUsize,
    aborted: AtomicBool,
    /// The share of its jobs in the scheduler.
    share: AtomicU64,
    /// The group of all jobs, which each other group reports to.
    all: Option<Arc<Group>>,
    lock: Mutex<()>,
    /// How many of them wait for a number of jobs, and not for all.
    counting: AtomicUsize,
    changed: Condvar,
}

/// Has its cache line, and the one that is fetched with it, for itself.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl Padded<AtomicU64> {
    /// One more; for the only one that writes at the time.
    fn count(&self) {
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + 1, Ordering::Release);
    }
}

impl Group {
    /// A group within the group of all jobs.
    pub fn within(all: &Arc<Group>) -> Self {
        Self {
            all: Some(Arc::clone(all)),
            ..Self::default()
        }
    }

    /// A group that nobody knows, and whose jobs are of this share.
    pub(super) fn of_share(share: ShareId) -> Self {
        Self {
            share: AtomicU64::new(share.as_u64()),
            ..Self::default()
        }
    }

    /// Whether its jobs are counted among all jobs.
    pub(super) fn is_within(&self, all: &Arc<Self>) -> bool {
        let within = self.all.as_ref();
        std::ptr::eq(self, Arc::as_ptr(all)) || within.is_some_and(|it| Arc::ptr_eq(it, all))
    }

    /// The share of its jobs.
    pub(super) fn share(&self) -> ShareId {
        ShareId::from_u64(self.share.load(Ordering::Relaxed))
    }

    /// Gives its jobs, from the next one on, a share of their own unless they have one.
    pub(super) fn share_or(&self, new: impl FnOnce() -> ShareId) -> ShareId {
        if self.share() == ShareId::default() {
            self.share.store(new().as_u64(), Ordering::Relaxed);
        }
        self.share()
    }

    /// How many jobs have not ended.
    pub fn pending(&self) -> usize {
        // In this order: what ends in between is counted still, never the other way.
        let ended = self.ended.0.load(Ordering::SeqCst);
        let submitted = self.submitted.0.load(Ordering::SeqCst);
        usize::try_from(submitted.saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    /// Whether a job of it ended because its server was destroyed.
    pub fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Blocks until no job is pending or `patience` is over; whether none is.
    pub fn wait(&self, patience: Duration) -> bool {
        self.wait_for_count(1, patience)
    }

    /// Blocks until fewer than `count` jobs are pending or `patience` is over; whether
    /// that is so.
    pub fn wait_below(&self, count: usize, patience: Duration) -> bool {
        self.counting.fetch_add(1, Ordering::SeqCst);
        let reached = self.wait_for_count(count, patience);
        self.counting.fetch_sub(1, Ordering::SeqCst);
        reached
    }

    fn wait_for_count(&self, count: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut guard = self.lock.lock();
        // Either the end of the last job sees this, or `pending` sees that end.
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let mut is_reached = self.pending() < count;
        let mut is_late = false;
        while !is_reached && !is_late {
            (guard, is_late) = self.changed.wait_until(guard, deadline);
            is_reached = self.pending() < count;
        }
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        drop(guard);
        is_reached
    }

    /// Counts a job that was submitted. To be called under the inbox's lock only.
    pub(super) fn job_submitted(&self) {
        self.submitted.count();
        if let Some(all) = &self.all {
            all.job_submitted();
        }
    }

    /// Counts a job that has ended. To be called under the engine's lock only; once it is let
    /// go, call [`tell_waiters`](Self::tell_waiters).
    pub(super) fn job_ended(&self, aborted: bool) {
        if aborted {
            self.aborted.store(true, Ordering::Release);
        }
        self.ended.count();
        if let Some(all) = &self.all {
            all.job_ended(aborted);
        }
    }

    /// Wakes those who wait for so few pending jobs as there are now.
    pub(super) fn tell_waiters(&self) {
        // After the counts. A waiter says so before it looks at them: one sees the other.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0
            && (self.counting.load(Ordering::SeqCst) > 0 || self.pending() == 0)
        {
            // Taking the lock orders this after a waiter's look at the count.
            drop(self.lock.lock());
            self.changed.notify_all();
        }
        if let Some(all) = &self.all {
            all.tell_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_group_is_done_when_its_own_jobs_are() {
        let all = Arc::new(Group::default());
        let (one, two) = (Group::within(&all), Group::within(&all));
        one.job_submitted();
        two.job_submitted();
        two.job_submitted();
        one.job_ended(false);
        assert!(one.wait(LONG));
        assert!(!two.wait(SHORT));
        assert_eq!((two.pending(), all.pending()), (2, 2));
        two.job_ended(false);
        two.job_ended(true);
        assert!(two.wait(LONG) && all.wait(LONG));
        assert!(two.aborted() && all.aborted() && !one.aborted());
    }

    #[test]
    fn a_waiter_may_ask_for_less_than_all_ends() {
        let group = Arc::new(Group::default());
        for _ in 0..3 {
            group.job_submitted();
        }
        assert!(group.wait_below(4, LONG));
        assert!(!group.wait_below(3, SHORT));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| group.wait_below(2, LONG));
            group.job_ended(false);
            group.job_ended(false);
            group.tell_waiters();
            assert!(waiter.join().unwrap());
        });
        assert_eq!(group.pending(), 1);
    }

    #[test]
    fn a_waiter_is_woken_by_the_last_end() {
        let group = Arc::new(Group::default());
        group.job_submitted();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| group.wait(LONG));
            group.job_ended(false);
            group.tell_waiters();
            assert!(waiter.join().unwrap());
        });
    }
}
