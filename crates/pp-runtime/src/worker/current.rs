//! Which job a worker runs, and whether it is to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::shm::{Claims, Segment};

/// No job.
const NONE: u64 = u64::MAX;

/// The job that runs, as a signal handler sees it, which cannot have the session.
#[derive(Debug, Clone)]
pub struct Current(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    claims: Claims,
    /// The ticket of the job that runs.
    ticket: AtomicU64,
}

impl Current {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Self(Arc::new(Inner {
            claims: Claims::new(segment),
            ticket: AtomicU64::new(NONE),
        }))
    }

    pub(crate) fn begins(&self, ticket: u64) {
        self.0.ticket.store(ticket, Ordering::Relaxed);
    }

    /// The job has run: from now on, nobody is told to end.
    pub fn ends(&self) {
        self.0.ticket.store(NONE, Ordering::Relaxed);
    }

    /// Whether the job that runs is to end, and was not told so before. To be asked in the
    /// thread that runs it: then the answer is about this job and no other.
    pub fn is_to_end(&self) -> bool {
        let ticket = self.0.ticket.load(Ordering::Relaxed);
        ticket != NONE && self.0.claims.tell(ticket)
    }

    /// Whether the job that runs was told to end.
    pub fn was_told(&self) -> bool {
        let ticket = self.0.ticket.load(Ordering::Relaxed);
        ticket != NONE && self.0.claims.was_told(ticket)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::shm::{SEGMENT_LEN, segment_for_test};

    #[test]
    fn only_the_job_that_runs_is_told_and_once() {
        let segment = segment_for_test(SEGMENT_LEN);
        let client = Claims::new(Arc::clone(&segment));
        let current = Current::new(segment);
        for ticket in 0..3 {
            client.open(ticket);
            assert!(!client.interrupt(ticket), "it has not begun");
            assert!(client.take(ticket));
            current.begins(ticket);
            assert!(!current.is_to_end());
            assert!(client.interrupt(ticket) && client.interrupt(ticket));
            assert!(client.is_taken(ticket));
            assert!(!current.was_told());
            assert!(current.is_to_end() && !current.is_to_end());
            assert!(current.was_told() && client.is_taken(ticket));
            assert!(!client.interrupt(ticket), "it was told");
            current.ends();
            assert!(!current.is_to_end() && !current.was_told());
        }
    }
}
