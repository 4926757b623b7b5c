//! A job as its submitter sees it: pending, then ended, once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::segments::Parcel;
use crate::sync::{Condvar, Mutex};

use super::functions::Function;
use super::groups::Group;
use super::notices::Notices;
use super::outcome::{JobFailure, Outcome};
use super::record::{Record, duration, micros};

/// A submitted job. Shared by the engine, until it ends, and by its submitter.
///
/// A million of them may be queued, so it is kept small: what only few need, such as
/// somebody who waits, is made when it is needed.
#[derive(Debug)]
pub struct Job {
    number: AtomicU64,
    function: Arc<Function>,
    group: Arc<Group>,
    pending: Mutex<Pending>,
    outcome: OnceLock<Outcome>,
    /// When it was submitted, from the engine's birth on.
    submitted: [u8; 6],
    origin: Origin,
}

/// Who has submitted a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This process.
    Here,
    /// The parent, which is told of its end.
    Uplink,
}

/// What changes when a job ends.
#[derive(Debug)]
struct Pending {
    content: Content,
    /// There once somebody waits.
    waiters: Option<Arc<Waiters>>,
}

#[derive(Debug)]
enum Content {
    /// The arguments, kept until the end, because the job may have to run again.
    Args(Blob),
    /// Where and when the job ran.
    Ended(Record),
    /// The same of a job that failed, and may be looked into with its arguments.
    Failed(Box<(Record, Blob)>),
}

/// Those who sleep until a job has ended, and those who are told of it.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    ended: Mutex<bool>,
    changed: Condvar,
    /// Where its end is noted, and by which number.
    told: Mutex<Vec<(Arc<Notices>, u64)>>,
}

impl Waiters {
    /// Sleeps until the job has ended or `deadline`.
    fn wait(&self, deadline: Instant) {
        let mut ended = self.ended.lock();
        while !*ended {
            let (guard, is_late) = self.changed.wait_until(ended, deadline);
            ended = guard;
            if is_late {
                return;
            }
        }
    }

    pub(super) fn wake(&self) {
        *self.ended.lock() = true;
        self.changed.notify_all();
        for (notices, number) in std::mem::take(&mut *self.told.lock()) {
            notices.note(number);
        }
    }
}

impl Job {
    pub(super) fn new(
        function: Arc<Function>,
        args: Blob,
        group: Arc<Group>,
        submitted: Duration,
        origin: Origin,
    ) -> Self {
        Self {
            number: AtomicU64::new(0),
            function,
            group,
            pending: Mutex::new(Pending {
                content: Content::Args(args),
                waiters: None,
            }),
            outcome: OnceLock::new(),
            submitted: micros(submitted),
            origin,
        }
    }

    /// The job's running number in its server, from 0; or what its parent calls it.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// To be called before others get to know the job.
    pub(super) fn set_number(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// How it ended; `None` while it has not.
    #[inline]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Whether it has ended by being cancelled.
    pub fn is_cancelled(&self) -> bool {
        let failure = self.outcome().and_then(Outcome::failure);
        matches!(failure, Some(JobFailure::Cancelled))
    }

    /// Blocks until the job has ended or `patience` is over; whether it has ended.
    pub fn wait(&self, patience: Duration) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        let deadline = Instant::now() + patience;
        let Some(waiters) = self.waiters() else {
            return true;
        };
        waiters.wait(deadline);
        self.outcome.get().is_some()
    }

    /// Lets the job's end be noted, as this number. False if it has ended: then it is not.
    pub fn tell(&self, notices: &Arc<Notices>, number: u64) -> bool {
        let mut pending = self.pending.lock();
        if self.outcome.get().is_some() {
            return false;
        }
        // Under the lock, which the end takes before it collects who is to be told.
        let waiters = pending.waiters.get_or_insert_default();
        waiters.told.lock().push((Arc::clone(notices), number));
        true
    }

    /// Those who wait; `None` if the job has ended.
    fn waiters(&self) -> Option<Arc<Waiters>> {
        let mut pending = self.pending.lock();
        // Set under the lock, so that nobody comes too late to be woken.
        if self.outcome.get().is_some() {
            return None;
        }
        Some(Arc::clone(pending.waiters.get_or_insert_default()))
    }

    /// What it runs.
    pub fn function(&self) -> &Arc<Function> {
        &self.function
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The arguments; empty once the job has ended well.
    pub(super) fn args(&self) -> Blob {
        match &self.pending.lock().content {
            Content::Args(args) => args.clone(),
            Content::Ended(_) => Blob::default(),
            Content::Failed(both) => both.1.clone(),
        }
    }

    /// How many bytes the arguments are; 0 once the job has ended.
    pub fn args_len(&self) -> usize {
        match &self.pending.lock().content {
            Content::Args(args) => Parcel::weight(args),
            _ => 0,
        }
    }

    /// When it was submitted, from the engine's birth on.
    pub(super) fn submitted(&self) -> Duration {
        duration(self.submitted)
    }

    /// Where and when it ran; `None` while it has not ended.
    pub(super) fn record(&self) -> Option<Record> {
        match &self.pending.lock().content {
            Content::Args(_) => None,
            Content::Ended(record) => Some(*record),
            Content::Failed(both) => Some(both.0),
        }
    }

    /// Ends the job; only the first call counts. Who waits for it is still to be woken.
    pub(super) fn end(&self, outcome: Outcome, record: Record) -> Option<Arc<Waiters>> {
        let failure = outcome.failure();
        let aborted = matches!(failure, Some(JobFailure::ServerDestroyed));
        let keeps_args = !matches!(
            (&outcome, failure),
            (Outcome::Value(_), _) | (_, Some(JobFailure::Cancelled | JobFailure::ServerDestroyed))
        );
        let mut pending = self.pending.lock();
        if self.outcome.set(outcome).is_err() {
            return None;
        }
        let before = std::mem::replace(&mut pending.content, Content::Ended(record));
        let spent = match before {
            Content::Args(args) if keeps_args => {
                pending.content = Content::Failed(Box::new((record, args)));
                None
            }
            other => Some(other),
        };
        let waiters = pending.waiters.take();
        drop(pending);
        drop(spent);
        self.group.job_ended(aborted);
        waiters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_small() {
        // With the two counts of its `Arc`, one block of 128 bytes of most allocators.
        assert!(size_of::<Job>() <= 104, "{}", size_of::<Job>());
    }
}
