//! Claim words: who gets a job that was sent ahead, the worker or a recall.
//!
//! Each job sent to a worker has a ticket, counted up per worker, and the word
//! in slot `ticket % CLAIM_SLOTS`. The client sets the word to *queued* before it
//! sends the job. Then exactly one of two swaps succeeds: the worker's to
//! *taken*, as it starts the job, or the client's to *recalled*. A job that was taken and is
//! to end is set to *interrupted*, which the worker looks at when it is told that there is one, and
//! sets to *told* then: it need not be told again.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layout::{CLAIM_SLOTS, claim_offset};
use super::segment::Segment;

const QUEUED: u64 = 1;
const TAKEN: u64 = 2;
const RECALLED: u64 = 3;
const INTERRUPTED: u64 = 4;
const TOLD: u64 = 5;

/// The claim words of one segment.
#[derive(Debug)]
pub(crate) struct Claims {
    segment: Arc<Segment>,
}

impl Claims {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Self { segment }
    }

    /// Opens `ticket` for claiming; done by the client before it sends the job.
    pub(crate) fn open(&self, ticket: u64) {
        self.word(ticket)
            .store(stamp(ticket, QUEUED), Ordering::Release);
    }

    /// The worker takes the job; false if it was recalled.
    pub(crate) fn take(&self, ticket: u64) -> bool {
        self.swap(ticket, QUEUED, TAKEN)
    }

    /// The client takes the job back; false if the worker has started it.
    pub(crate) fn recall(&self, ticket: u64) -> bool {
        self.swap(ticket, QUEUED, RECALLED)
    }

    /// The client wants a job to end that the worker has started; false if it has not, or has
    /// heard of it.
    pub(crate) fn interrupt(&self, ticket: u64) -> bool {
        self.swap(ticket, TAKEN, INTERRUPTED) || self.is(ticket, INTERRUPTED)
    }

    /// The worker tells the job that it is to end; false if it is not, or was told.
    pub(crate) fn tell(&self, ticket: u64) -> bool {
        self.swap(ticket, INTERRUPTED, TOLD)
    }

    /// Whether the worker has started the job.
    pub(crate) fn is_taken(&self, ticket: u64) -> bool {
        let word = self.word(ticket).load(Ordering::Acquire);
        [TAKEN, INTERRUPTED, TOLD].contains(&(word ^ stamp(ticket, 0)))
    }

    /// Whether a job was told that it is to end.
    pub(crate) fn was_told(&self, ticket: u64) -> bool {
        self.is(ticket, TOLD)
    }

    fn is(&self, ticket: u64, state: u64) -> bool {
        self.word(ticket).load(Ordering::Acquire) == stamp(ticket, state)
    }

    fn swap(&self, ticket: u64, from: u64, to: u64) -> bool {
        self.word(ticket)
            .compare_exchange(
                stamp(ticket, from),
                stamp(ticket, to),
                Ordering::AcqRel,
                Ordering::Acquire,
            )
            .is_ok()
    }

    fn word(&self, ticket: u64) -> &std::sync::atomic::AtomicU64 {
        let slot = usize::try_from(ticket % CLAIM_SLOTS as u64).unwrap_or(0);
        self.segment.word(claim_offset(slot))
    }
}

/// A word names its ticket, so that an old claim never fits a new job.
fn stamp(ticket: u64, state: u64) -> u64 {
    (ticket << 3) | state
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::shm::{SEGMENT_LEN, segment_for_test};

    #[test]
    fn exactly_one_side_wins_each_claim() {
        let segment = segment_for_test(SEGMENT_LEN);
        let (ours, theirs) = (
            Claims::new(Arc::clone(&segment)),
            Claims::new(Arc::clone(&segment)),
        );
        let rounds = 50_000;
        let start = std::sync::Barrier::new(2);
        let (taken, recalled) = std::thread::scope(|scope| {
            let start = &start;
            let worker = scope.spawn(move || {
                start.wait();
                (0..rounds).filter(|&t| theirs.take(t)).collect::<Vec<_>>()
            });
            for ticket in 0..CLAIM_SLOTS as u64 {
                ours.open(ticket);
            }
            start.wait();
            // Only tickets that fit the slots can be open at a time.
            let recalled: Vec<_> = (0..CLAIM_SLOTS as u64)
                .rev()
                .filter(|&t| ours.recall(t))
                .collect();
            (worker.join().unwrap(), recalled)
        });
        let mut all: Vec<_> = taken.into_iter().chain(recalled).collect();
        all.sort_unstable();
        assert_eq!(all, (0..CLAIM_SLOTS as u64).collect::<Vec<_>>());
    }

    #[test]
    fn an_old_ticket_does_not_fit_a_reused_slot() {
        let claims = Claims::new(segment_for_test(SEGMENT_LEN));
        claims.open(1);
        claims.open(1 + CLAIM_SLOTS as u64);
        assert!(!claims.take(1));
        assert!(!claims.recall(1));
        assert!(claims.take(1 + CLAIM_SLOTS as u64));
        assert!(claims.is_taken(1 + CLAIM_SLOTS as u64));
        assert!(!claims.is_taken(1));
    }
}
