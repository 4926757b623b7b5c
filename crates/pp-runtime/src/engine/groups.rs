//! Groups of jobs that can be waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// Counts the jobs of a group that have not ended.
#[derive(Debug, Default)]
pub struct Group {
    pending: AtomicUsize,
    aborted: AtomicBool,
    /// The group of all jobs, which each other group reports to.
    all: Option<Arc<Group>>,
    lock: Mutex<()>,
    emptied: Condvar,
}

impl Group {
    /// A group within the group of all jobs.
    pub fn within(all: &Arc<Group>) -> Self {
        Self {
            all: Some(Arc::clone(all)),
            ..Self::default()
        }
    }

    /// How many jobs have not ended.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Acquire)
    }

    /// Whether a job of it ended because its server was destroyed.
    pub fn aborted(&self) -> bool {
        self.aborted.load(Ordering::Acquire)
    }

    /// Blocks until no job is pending or `patience` is over; whether none is.
    pub fn wait(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut guard = self.lock.lock();
        while self.pending() > 0 {
            let (again, is_late) = self.emptied.wait_until(guard, deadline);
            guard = again;
            if is_late {
                return self.pending() == 0;
            }
        }
        true
    }

    pub(super) fn job_submitted(&self) {
        self.pending.fetch_add(1, Ordering::AcqRel);
        if let Some(all) = &self.all {
            all.job_submitted();
        }
    }

    pub(super) fn job_ended(&self, aborted: bool) {
        if aborted {
            self.aborted.store(true, Ordering::Release);
        }
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Taking the lock orders this after a waiter's look at the count.
            drop(self.lock.lock());
            self.emptied.notify_all();
        }
        if let Some(all) = &self.all {
            all.job_ended(aborted);
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
    fn a_waiter_is_woken_by_the_last_end() {
        let group = Arc::new(Group::default());
        group.job_submitted();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| group.wait(LONG));
            group.job_ended(false);
            assert!(waiter.join().unwrap());
        });
    }
}
