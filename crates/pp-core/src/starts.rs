//! How many executors to start, and when to stop trying.

use crate::config::{BackoffConfig, Config};
use crate::time::Time;
use crate::view::ExecutorCounts;

/// Failures in a row from which on executors are started one at a time, and after
/// a pause: one failure may be chance.
const CAREFUL: u32 = 2;

/// Counts failures in a row. A failure is an executor that died before it began a
/// job: it does no work, and charges no job, so nothing else would end the trying.
#[derive(Debug)]
pub(crate) struct Starts {
    /// How many executors are wanted.
    pub(crate) target: usize,
    /// How many could be, if that is more.
    pub(crate) most: u32,
    attempts: u32,
    backoff: BackoffConfig,
    failures: u32,
    not_before: Time,
    /// No more starts until somebody asks for something.
    given_up: bool,
    /// Nothing has worked since it was given up: start no more at once than may fail.
    cautious: bool,
}

impl Starts {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            target: 0,
            most: 0,
            attempts: config.start_attempts.max(1),
            backoff: config.start_backoff.clone(),
            failures: 0,
            not_before: Time::ZERO,
            given_up: false,
            cautious: false,
        }
    }

    /// How many to start now.
    pub(crate) fn due(&self, counts: ExecutorCounts, now: Time) -> usize {
        let missing = self.target.saturating_sub(counts.wanted());
        if self.given_up {
            0
        } else if self.failures >= CAREFUL {
            let may = counts.starting == 0 && now >= self.not_before;
            missing.min(usize::from(may))
        } else if self.cautious {
            let left = self.attempts.saturating_sub(self.failures) as usize;
            missing.min(left.saturating_sub(counts.starting))
        } else {
            missing
        }
    }

    /// When [`due`](Self::due) will have to be asked again.
    pub(crate) fn deadline(&self, counts: ExecutorCounts) -> Option<Time> {
        let waits = !self.given_up
            && self.failures >= CAREFUL
            && counts.starting == 0
            && counts.wanted() < self.target;
        waits.then_some(self.not_before)
    }

    /// An executor has begun a job: starting them works.
    pub(crate) fn works(&mut self) {
        self.failures = 0;
        self.cautious = false;
    }

    /// An executor died before it began a job, and there are `others` that run jobs or
    /// may. If it is time to give up, gives the number of failures in a row.
    pub(crate) fn failed(&mut self, others: usize, now: Time) -> Option<u32> {
        self.failures = self.failures.saturating_add(1);
        let doublings = self.failures.saturating_sub(CAREFUL).min(30);
        let pause = self.backoff.first.saturating_mul(1 << doublings);
        self.not_before = now.saturating_add(pause.min(self.backoff.max));
        if self.failures < self.attempts || others > 0 {
            return None;
        }
        self.given_up = true;
        self.cautious = true;
        Some(self.failures)
    }

    /// The last ready executor is gone, and not for want of trying: the next start
    /// must neither wait for a long pause nor be the last for earlier failures.
    pub(crate) fn hurry(&mut self, now: Time) {
        self.failures = self.failures.min(self.attempts - 1);
        self.not_before = self.not_before.min(now);
    }

    /// Somebody asks for executors: begins a new series of attempts if the last one
    /// was given up.
    pub(crate) fn revive(&mut self) {
        if self.given_up {
            self.given_up = false;
            self.failures = 0;
        }
    }

    /// Begins a new series of attempts in any case.
    pub(crate) fn afresh(&mut self) {
        self.given_up = false;
        self.failures = 0;
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up
    }
}
