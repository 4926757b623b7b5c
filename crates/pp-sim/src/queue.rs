//! What will happen, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use pp_core::{ExecutorId, JobId};

/// One thing that happens at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// A client submits some jobs of the book.
    Submit { first: usize, count: usize },
    /// A client cancels a job of the book.
    Cancel { number: usize },
    /// A client gives up what no machine could hold.
    EndHopeless { host: usize },
    /// A client lets everybody forget a function.
    Forget { host: usize, function: u64 },
    /// A client sets a share of its own.
    SetShare {
        host: usize,
        share: u64,
        weight: NonZeroU32,
        limit: Option<u32>,
    },
    /// A worker has been started.
    Ready { engine: usize, executor: ExecutorId },
    /// A worker could not be started.
    NotStarted { engine: usize, executor: ExecutorId },
    /// A worker has woken up.
    Begin { engine: usize, executor: ExecutorId },
    /// A worker has finished a job.
    End {
        engine: usize,
        executor: ExecutorId,
        job: JobId,
        /// When that run began.
        since: u64,
    },
    /// A job that was asked to end does so, if it still runs.
    Interrupted {
        engine: usize,
        executor: ExecutorId,
        job: JobId,
        /// When that run began.
        since: u64,
    },
    /// What a worker has written is read.
    Notice { engine: usize, executor: ExecutorId },
    /// A worker dies, if it still runs that job.
    Dies {
        engine: usize,
        executor: ExecutorId,
        job: JobId,
        /// When that run began.
        since: u64,
    },
    /// A worker that was killed, or asked to go, is gone.
    Gone { engine: usize, executor: ExecutorId },
    /// The next messages of one end of a link have arrived at the other.
    Arrive { link: usize, from: usize },
    /// A scheduler's deadline.
    Tick { engine: usize, at: u64 },
    /// The ends of links are asked whether they live.
    Beat { engine: usize, at: u64 },
    /// A connection is tried.
    Dial { engine: usize, mind: usize },
    /// It is made, unless something has come between.
    Connect { engine: usize, mind: usize },
    /// A node divides its workers among its sessions.
    Share { host: usize },
    /// A fault of the plan.
    Fault { number: usize },
    /// The end of a fault that lasts for a while.
    Mend { number: usize },
    /// A job takes its node down, if it still runs there.
    TakeDown {
        engine: usize,
        executor: ExecutorId,
        job: JobId,
        /// When that run began.
        since: u64,
    },
    /// A node that was taken down by a job starts again.
    Restart { host: usize },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    time: u64,
    order: u64,
    event: Event,
}

/// All events to come. What is due at the same time happens in the order of planning.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    order: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, time: u64, event: Event) {
        self.order += 1;
        let order = self.order;
        self.heap.push(Reverse(Entry { time, order, event }));
    }

    pub(crate) fn peek(&self) -> Option<(u64, Event)> {
        let Reverse(entry) = self.heap.peek()?;
        Some((entry.time, entry.event))
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, Event)> {
        let Reverse(entry) = self.heap.pop()?;
        Some((entry.time, entry.event))
    }
}
