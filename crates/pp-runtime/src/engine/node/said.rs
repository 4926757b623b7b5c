//! What nodes say, as far as it is for others than their ends of the protocol.

use std::sync::Arc;

use pp_core::{Charges, JobId};

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
    pub(super) fn capacity(slots: u32, credit: u32, most: u32) -> Self {
        Self::Capacity {
            slots,
            credit,
            most,
        }
    }
}
