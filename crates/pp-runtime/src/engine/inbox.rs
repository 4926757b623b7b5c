//! Jobs on their way from submitters to the scheduler.
//!
//! Telling the scheduler of each job by itself would take its lock as often, and hand
//! it to and fro between the threads that submit and the one that takes in results.
//! So jobs gather here. Who holds the scheduler's lock takes them out, and does so
//! whenever it takes in results; a submitter does it by itself when a worker idles, or
//! when many have gathered.
//!
//! No job can be forgotten here. While no worker idles, each has work whose end will be
//! taken in. Before a worker is left idle, `is_eager` is set and the inbox looked at
//! once more; a submitter puts its job in and then looks at `is_eager`. As all four
//! are sequentially consistent, one of the two sees the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::job::Job;
use crate::sync::Mutex;

/// So many jobs are worth the scheduler's lock. Twice as many gained nothing where it
/// was measured, half as many cost a tenth of the throughput.
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
    next_number: AtomicU64,
}

#[derive(Debug, Default)]
struct Content {
    jobs: Vec<Arc<Job>>,
    closed: bool,
}

impl Inbox {
    /// The number for the next job.
    pub(super) fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts a job in; `None` if the inbox is closed.
    pub(super) fn put(&self, job: Arc<Job>) -> Option<Next> {
        let len = {
            let mut content = self.content.lock();
            if content.closed {
                return None;
            }
            job.group().job_submitted();
            content.jobs.push(job);
            let len = content.jobs.len();
            self.len.store(len, Ordering::SeqCst);
            len
        };
        Some(if self.is_eager.load(Ordering::SeqCst) {
            Next::Deliver
        } else if len >= BATCH {
            Next::Offer
        } else {
            Next::Nothing
        })
    }

    /// Takes all jobs out, in order, in exchange for an empty vector.
    pub(super) fn take(&self, into: &mut Vec<Arc<Job>>) {
        if self.len.load(Ordering::SeqCst) > 0 {
            let mut content = self.content.lock();
            std::mem::swap(&mut content.jobs, into);
            self.len.store(0, Ordering::SeqCst);
        }
    }

    /// Notes whether a worker idles; whether jobs have come that it might have.
    pub(super) fn set_eager(&self, is_eager: bool) -> bool {
        self.is_eager.store(is_eager, Ordering::SeqCst);
        is_eager && self.len.load(Ordering::SeqCst) > 0
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
