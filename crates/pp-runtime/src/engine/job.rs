//! A job as its submitter sees it: pending, then ended, once.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::segments::Parcel;
use crate::sync::{Condvar, Mutex};

use super::functions::Function;
use super::groups::Group;
use super::outcome::Outcome;

/// A submitted job. Shared by the engine, until it ends, and by its submitter.
///
/// A million of them may be queued, so it is kept small: what only few need, such as
/// somebody who waits, is made when it is needed.
#[derive(Debug)]
pub struct Job {
    number: u64,
    function: Arc<Function>,
    group: Arc<Group>,
    listener: Listener,
    pending: Mutex<Pending>,
    outcome: OnceLock<Outcome>,
}

/// Who is told of a job's end, beside those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listener {
    /// Nobody.
    Nobody,
    /// Whoever reads the notices.
    Notices,
    /// The parent, which has sent it.
    Uplink,
}

/// What a job has until it ends.
#[derive(Debug)]
struct Pending {
    /// Kept until the end, because the job may have to run again.
    args: Blob,
    /// There once somebody waits.
    waiters: Option<Arc<Waiters>>,
}

/// Those who sleep until a job has ended.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    ended: Mutex<bool>,
    changed: Condvar,
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
    }
}

impl Job {
    pub(super) fn new(
        number: u64,
        function: Arc<Function>,
        args: Blob,
        group: Arc<Group>,
        listener: Listener,
    ) -> Self {
        Self {
            number,
            function,
            group,
            listener,
            pending: Mutex::new(Pending {
                args,
                waiters: None,
            }),
            outcome: OnceLock::new(),
        }
    }

    /// The job's running number in its server, from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether its end appears in the notices.
    pub fn announced(&self) -> bool {
        self.listener == Listener::Notices
    }

    /// Who is told of its end.
    pub(super) fn listener(&self) -> Listener {
        self.listener
    }

    /// How it ended; `None` while it has not.
    #[inline]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Blocks until the job has ended or `patience` is over; whether it has ended.
    pub fn wait(&self, patience: Duration) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        let deadline = Instant::now() + patience;
        let waiters = {
            let mut pending = self.pending.lock();
            // Set under the lock, so that nobody comes too late to be woken.
            if self.outcome.get().is_some() {
                return true;
            }
            Arc::clone(pending.waiters.get_or_insert_default())
        };
        waiters.wait(deadline);
        self.outcome.get().is_some()
    }

    pub(super) fn function(&self) -> &Arc<Function> {
        &self.function
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The arguments; empty once the job has ended.
    pub(super) fn args(&self) -> Blob {
        self.pending.lock().args.clone()
    }

    /// How many bytes the arguments are; 0 once the job has ended.
    pub fn args_len(&self) -> usize {
        Parcel::weight(&self.pending.lock().args)
    }

    /// Ends the job; only the first call counts. Who waits for it is still to be woken.
    pub(super) fn end(&self, outcome: Outcome) -> Option<Arc<Waiters>> {
        let aborted = matches!(
            &outcome,
            Outcome::Failed(failure) if matches!(**failure, super::JobFailure::ServerDestroyed)
        );
        let mut pending = self.pending.lock();
        if self.outcome.set(outcome).is_err() {
            return None;
        }
        let spent = std::mem::take(&mut pending.args);
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
