//! A job as its submitter sees it: pending, then ended, once.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};
use bytes::Bytes;

use super::functions::Function;
use super::groups::Group;
use super::outcome::Outcome;

/// A submitted job. Shared by the engine, until it ends, and by its submitter.
#[derive(Debug)]
pub struct Job {
    number: u64,
    function: Arc<Function>,
    group: Arc<Group>,
    announced: bool,
    /// Kept until the end, because the job may have to run again.
    args: Mutex<Bytes>,
    outcome: OnceLock<Outcome>,
    ended: Condvar,
}

impl Job {
    pub(super) fn new(
        number: u64,
        function: Arc<Function>,
        args: Bytes,
        group: Arc<Group>,
        announced: bool,
    ) -> Self {
        Self {
            number,
            function,
            group,
            announced,
            args: Mutex::new(args),
            outcome: OnceLock::new(),
            ended: Condvar::new(),
        }
    }

    /// The job's running number in its server, from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How it ended; `None` while it has not.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Blocks until the job has ended or `patience` is over; whether it has ended.
    pub fn wait(&self, patience: Duration) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        let deadline = Instant::now() + patience;
        let mut args = self.args.lock();
        while self.outcome.get().is_none() {
            let (guard, is_late) = self.ended.wait_until(args, deadline);
            args = guard;
            if is_late {
                return self.outcome.get().is_some();
            }
        }
        true
    }

    /// Whether its end is to be announced to the notifier.
    pub(super) fn announced(&self) -> bool {
        self.announced
    }

    pub(super) fn function(&self) -> &Arc<Function> {
        &self.function
    }

    /// The arguments; empty once the job has ended.
    pub(super) fn args(&self) -> Bytes {
        self.args.lock().clone()
    }

    /// Ends the job and wakes who waits for it. Only the first call counts.
    pub(super) fn end(&self, outcome: Outcome) {
        let aborted = matches!(outcome, Outcome::Failed(super::JobFailure::ServerDestroyed));
        // Under the lock of the waiters, so that none misses the notification.
        let mut args = self.args.lock();
        if self.outcome.set(outcome).is_err() {
            return;
        }
        let spent = std::mem::take(&mut *args);
        self.ended.notify_all();
        drop(args);
        drop(spent);
        self.group.job_ended(aborted);
    }
}
