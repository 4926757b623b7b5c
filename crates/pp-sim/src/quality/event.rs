//! What happens in a run.

use std::cmp::Ordering;

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event<M> {
    /// A job is submitted.
    Released { job: usize },
    /// A job has run, unless its end was planned anew since.
    Ended {
        job: usize,
        machine: usize,
        plan: u32,
    },
    /// What a job needs is there.
    Fetched { job: usize, machine: usize },
    /// The client hears that a job has ended.
    Result {
        job: usize,
        machine: usize,
        ran: u64,
    },
    /// Something happens to a machine.
    Change { number: usize },
    /// The client hears of it.
    News { machine: usize, is_up: bool },
    /// A message of the policy, or whatever else it has planned.
    Message(M),
}

/// What happens when; at the same time, in the order of planning.
#[derive(Debug)]
pub(super) struct Entry<M> {
    pub(super) time: u64,
    pub(super) order: u64,
    pub(super) event: Event<M>,
}

impl<M> PartialEq for Entry<M> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<M> Eq for Entry<M> {}

impl<M> PartialOrd for Entry<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<M> Ord for Entry<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.order).cmp(&(other.time, other.order))
    }
}
