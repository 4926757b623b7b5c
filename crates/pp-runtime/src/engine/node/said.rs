//! What nodes say, as far as it is for others than their ends of the protocol.

use std::sync::Arc;

use pp_core::{Charges, JobId};
use pp_proto::FromExecutor;

use crate::blob::Blob;
use crate::channel::ResultHeader;
use crate::segments::{Away, Part};

/// What a node said.
#[derive(Debug)]
pub(in crate::engine) enum Said {
    Capacity {
        slots: u32,
        credit: u32,
        most: u32,
    },
    Result {
        job: JobId,
        header: ResultHeader,
        bytes: Blob,
    },
    Recalled {
        job: JobId,
        recalled: bool,
    },
    /// It has this much of a resource.
    Supply {
        resource: Arc<str>,
        amount: u64,
    },
    /// It will go.
    Leaving,
    /// What it keeps.
    Kept {
        away: Arc<Away>,
        content: Part,
    },
    /// It cannot get a segment that the job uses, which comes back.
    Lacks {
        job: JobId,
        segment: u64,
    },
    /// The job, which comes back next, was charged there.
    Charge {
        job: JobId,
        charges: Charges,
    },
}

impl Said {
    /// What a message says by itself; none if this end of the protocol has to see to it, or an
    /// executor of this kind does not say it.
    pub(super) fn of_itself(message: &FromExecutor<'_>) -> Option<Self> {
        match *message {
            FromExecutor::Capacity {
                slots,
                credit,
                most,
            } => Some(Self::Capacity {
                slots,
                credit,
                most,
            }),
            FromExecutor::Supply { resource, amount } => Some(Self::Supply {
                resource: resource.into(),
                amount,
            }),
            FromExecutor::Leaving => Some(Self::Leaving),
            FromExecutor::Charge {
                job,
                deaths,
                losses,
            } => Some(Self::Charge {
                job: JobId::from_u64(job),
                charges: Charges { deaths, losses },
            }),
            FromExecutor::Lacks { job, segment } => Some(Self::Lacks {
                job: JobId::from_u64(job),
                segment,
            }),
            FromExecutor::Hello { .. }
            | FromExecutor::Introduce { .. }
            | FromExecutor::Ready { .. }
            | FromExecutor::Credit { .. }
            | FromExecutor::Want { .. }
            | FromExecutor::Result { .. }
            | FromExecutor::More { .. }
            | FromExecutor::Recalled { .. }
            | FromExecutor::Carry { .. }
            | FromExecutor::Place { .. }
            | FromExecutor::Release { .. }
            | FromExecutor::Kept { .. }
            | FromExecutor::Pong { .. }
            | FromExecutor::Fault { .. } => None,
        }
    }
}
