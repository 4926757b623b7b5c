//! Jobs on their way from submitters to the scheduler.
//!
//! Telling the scheduler of each job by itself would take its lock as often, and hand
//! it to and fro between the threads that submit and the one that takes in results.
//! So jobs gather here. Who holds the scheduler's lock takes them out, and does so
//! whenever it takes in results; a submitter does it by itself when a worker idles, or
//! when many have gathered.
//!
//! No job can be forgotten here. While no worker idles, each has work whose end will be
//! taken in. Before a worker is left idle, `is_eager` is set and then the inbox looked into
//! under its lock; a submitter puts its job in under the lock and then looks at `is_eager`.
//! Whoever has the lock later sees what the other did before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::groups::Group;
use super::job::Job;
use crate::sync::Mutex;

/// So many jobs are worth the scheduler's lock: half of what a worker gets ahead, so that
/// they are there before it runs dry.
const BATCH: usize = 128;

/// What a submitter has to do after its job was put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: whoever takes in results comes for it.
    Nothing,
    /// Take the jobs to the scheduler if its lock is free.
    Offer,
    /// Take them there: a worker idles.
    Deliver,
}

/// Jobs that were submitted and that the scheduler has not been told of.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    len: AtomicUsize,
    is_eager: AtomicBool,
}

#[derive(Debug, Default)]
struct Content {
    jobs: Vec<Arc<Job>>,
    /// The number of the next job.
    next_number: u64,
    closed: bool,
}

impl Inbox {
    /// Puts a job in, and gives it its number: they count up in the order in which the
    /// scheduler hears of the jobs, which names them by the same. `None` if the inbox is
    /// closed.
    pub(super) fn put(&self, job: Arc<Job>) -> Option<Next> {
        let len = {
            let mut content = self.content.lock();
            if content.closed {
                return None;
            }
            job.set_number(content.next_number);
            content.next_number += 1;
            job.group().job_submitted();
            content.jobs.push(job);
            let len = content.jobs.len();
            self.len.store(len, Ordering::Relaxed);
            len
        };
        Some(if self.is_eager.load(Ordering::Relaxed) {
            Next::Deliver
        } else if len >= BATCH {
            Next::Offer
        } else {
            Next::Nothing
        })
    }

    /// Counts a job that does not come by here.
    pub(super) fn count(&self, group: &Group) {
        let content = self.content.lock();
        group.job_submitted();
        drop(content);
    }

    /// Takes all jobs out, in order, in exchange for an empty vector.
    pub(super) fn take(&self, into: &mut Vec<Arc<Job>>) {
        // A job that is missed here is seen next time, or by `set_eager`.
        if self.len.load(Ordering::Relaxed) > 0 {
            let mut content = self.content.lock();
            std::mem::swap(&mut content.jobs, into);
            self.len.store(0, Ordering::Relaxed);
        }
    }

    /// Notes whether a worker idles; whether jobs have come that it might have.
    pub(super) fn set_eager(&self, is_eager: bool) -> bool {
        // Mostly nothing changes; then a submitter's cache keeps it.
        if self.is_eager.load(Ordering::Relaxed) != is_eager {
            self.is_eager.store(is_eager, Ordering::Relaxed);
        }
        is_eager && !self.content.lock().jobs.is_empty()
    }

    /// Refuses all further jobs.
    pub(super) fn close(&self) {
        self.content.lock().closed = true;
    }

    /// Whether it does.
    pub(super) fn is_closed(&self) -> bool {
        self.content.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use super::super::functions::Functions;
    use super::super::job::Origin;
    use super::*;
    use crate::blob::Blob;

    const SUBMITTERS: u64 = 4;
    const JOBS: u64 = 5_000;

    /// What the engine is to the inbox: a lock, and what was taken out under it.
    #[derive(Default)]
    struct Keeper {
        inbox: Inbox,
        taken: Mutex<Vec<Arc<Job>>>,
    }

    impl Keeper {
        fn settle(&self, taken: &mut Vec<Arc<Job>>, is_eager: bool) {
            let mut arrivals = Vec::new();
            loop {
                self.inbox.take(&mut arrivals);
                taken.append(&mut arrivals);
                if !self.inbox.set_eager(is_eager) {
                    return;
                }
            }
        }

        fn submit(&self, make: impl Fn() -> Arc<Job>) {
            match self.inbox.put(make()) {
                None => panic!("it is open"),
                Some(Next::Nothing) => {}
                Some(Next::Offer) => {
                    if let Some(mut taken) = self.taken.try_lock() {
                        self.settle(&mut taken, false);
                    }
                }
                Some(Next::Deliver) => self.settle(&mut self.taken.lock(), true),
            }
        }
    }

    fn maker() -> impl Fn() -> Arc<Job> {
        let (function, _) = Functions::default().intern(b"function".to_vec().into(), "f");
        let group = Arc::new(Group::default());
        move || {
            let (function, group) = (Arc::clone(&function), Arc::clone(&group));
            let args = Blob::default();
            let submitted = Duration::ZERO;
            Arc::new(Job::new(function, args, group, submitted, Origin::Here))
        }
    }

    #[test]
    fn no_job_is_forgotten_while_somebody_idles() {
        let (keeper, make) = (Keeper::default(), maker());
        let start = Barrier::new(usize::try_from(SUBMITTERS + 1).unwrap());
        std::thread::scope(|scope| {
            for _ in 0..SUBMITTERS {
                scope.spawn(|| {
                    start.wait();
                    (0..JOBS).for_each(|_| keeper.submit(&make));
                });
            }
            start.wait();
            for round in 0..2_000 {
                keeper.settle(&mut keeper.taken.lock(), round % 2 == 1);
            }
        });
        // The last one was left idle, so whoever came later has delivered.
        let numbers: Vec<_> = keeper.taken.lock().iter().map(|job| job.number()).collect();
        assert_eq!(numbers, (0..SUBMITTERS * JOBS).collect::<Vec<_>>());
    }

    #[test]
    fn a_job_that_comes_as_somebody_falls_idle_is_taken() {
        const ROUNDS: usize = 20_000;
        let (keeper, make) = (Keeper::default(), maker());
        // Both count up to the same number, and go on then: odd ones begin a round.
        let (one, other) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let meet = |mine: &AtomicUsize, theirs: &AtomicUsize| {
            let step = mine.fetch_add(1, Ordering::SeqCst) + 1;
            while theirs.load(Ordering::SeqCst) < step {
                std::thread::yield_now();
            }
        };
        let mut forgotten = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    meet(&one, &other);
                    keeper.submit(&make);
                    meet(&one, &other);
                }
            });
            for round in 0..ROUNDS {
                keeper.settle(&mut keeper.taken.lock(), false);
                meet(&other, &one);
                // Sooner or later, to meet the other at each step of its own.
                (0..round % 100).for_each(|_| std::hint::spin_loop());
                keeper.settle(&mut keeper.taken.lock(), true);
                meet(&other, &one);
                forgotten += round + 1 - keeper.taken.lock().len();
            }
        });
        assert_eq!(forgotten, 0, "jobs lay there while somebody idled");
    }

    #[test]
    fn a_submitter_is_told_what_to_do() {
        let (keeper, make) = (Keeper::default(), maker());
        let put = || keeper.inbox.put(make());
        assert_eq!(put(), Some(Next::Nothing));
        (2..BATCH).for_each(|_| assert_eq!(put(), Some(Next::Nothing)));
        assert_eq!(put(), Some(Next::Offer));
        keeper.settle(&mut keeper.taken.lock(), true);
        assert_eq!(put(), Some(Next::Deliver));
        keeper.inbox.close();
        assert_eq!(put(), None);
        assert!(keeper.inbox.is_closed());
    }
}
