//! Virtual worker processes: each runs one job after another.

use std::collections::VecDeque;

use pp_core::JobId;

use crate::book::Outcome;

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    /// Was asked to go.
    Leaving,
    /// Was killed.
    Dying,
}

/// One worker process.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) phase: Phase,
    /// Jobs that it has not begun, and their numbers in the book.
    pub(crate) waiting: VecDeque<(JobId, usize)>,
    pub(crate) runs: Option<JobId>,
    /// When that began.
    pub(crate) since: u64,
    /// Jobs that it has finished, which nobody has read of, how they have ended, and how long
    /// they ran. What it has written can be read after its death.
    pub(crate) written: Vec<(JobId, Outcome, u64)>,
    pub(crate) functions: Vec<u32>,
}

impl Worker {
    pub(crate) fn starting() -> Self {
        Self {
            phase: Phase::Starting,
            waiting: VecDeque::new(),
            runs: None,
            since: 0,
            written: Vec::new(),
            functions: Vec::new(),
        }
    }

    /// Takes a job; true if that wakes it.
    pub(crate) fn take(&mut self, job: JobId, number: usize) -> bool {
        let sleeps = self.runs.is_none() && self.waiting.is_empty();
        self.waiting.push_back((job, number));
        sleeps
    }

    /// Takes a job back unless it has begun, as a claim does.
    pub(crate) fn recall(&mut self, job: JobId) -> bool {
        let place = self.waiting.iter().rposition(|&(other, _)| other == job);
        place.and_then(|place| self.waiting.remove(place)).is_some()
    }
}
