//! What is said over links: the protocol without its bytes.

use pp_core::{Charges, JobId};

use crate::book::{Amounts, Outcome};

/// One message. The first ones go from a parent to its node, the others back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// A function, once, before its first job.
    Function { function: u64 },
    /// A function is not needed any more.
    Forget { function: u64 },
    /// A job, by the parent's name for it and by its number in the book.
    Job { job: JobId, number: usize },
    /// A job is wanted back unless it has begun.
    Recall { job: JobId },
    /// A job is to end.
    Cancel { job: JobId },
    /// Whether the node lives.
    Ping { nonce: u64 },
    /// The parent needs the node no more.
    Shutdown,
    /// How many jobs run at a time, and how many may be here.
    Capacity { slots: u32, credit: u32 },
    /// How much there is of each resource.
    Supply { amounts: Amounts },
    /// How a job has ended, and how long it ran.
    Result {
        job: JobId,
        outcome: Outcome,
        run_time: u64,
    },
    /// Whether a job that was asked for comes back.
    Recalled { job: JobId, recalled: bool },
    /// What a job was charged with that comes back next.
    Charge { job: JobId, charges: Charges },
    /// The node lives.
    Pong { nonce: u64 },
    /// The node will go.
    Leaving,
    /// The node cannot go on.
    Fault,
    /// The connection has ended, from either side.
    Closed,
}
