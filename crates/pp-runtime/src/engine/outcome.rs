//! How jobs end.

use std::sync::Arc;

use bytes::Bytes;
use pp_proto::Status;

use crate::process::Exit;

/// How a job ended.
#[derive(Debug)]
pub enum Outcome {
    /// Its function returned.
    Value(Report),
    /// Its function raised; the body describes the exception.
    Raised(Report),
    /// Its function returned what cannot be serialized; the body describes why.
    Unserializable(Report),
    /// It could not be run to its end.
    Failed(JobFailure),
}

impl Outcome {
    /// What a worker reported.
    pub(super) fn reported(status: Status, report: Report) -> Self {
        match status {
            Status::Value => Self::Value(report),
            Status::Raised | Status::Unloadable => Self::Raised(report),
            Status::Unserializable => Self::Unserializable(report),
        }
    }
}

/// What a worker sent back about a job.
#[derive(Debug)]
pub struct Report {
    bytes: Bytes,
    body_len: usize,
}

impl Report {
    /// `bytes` is the body followed by `output_len` bytes of captured output.
    /// `None` if there are not that many.
    pub(super) fn new(bytes: Bytes, output_len: u64) -> Option<Self> {
        let output_len = usize::try_from(output_len).ok()?;
        let body_len = bytes.len().checked_sub(output_len)?;
        Some(Self { bytes, body_len })
    }

    /// The serialized value, exception or description.
    pub fn body(&self) -> &[u8] {
        &self.bytes[..self.body_len]
    }

    /// What the job printed, in UTF-8 with surrogates passed through.
    pub fn output(&self) -> &[u8] {
        &self.bytes[self.body_len..]
    }
}

/// Why a job could not be run to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobFailure {
    /// The workers that ran it died, as often as is allowed.
    #[error("the job took down {deaths} worker(s); the last {last}")]
    WorkerDied {
        /// How many workers died while they ran it.
        deaths: u32,
        /// How the last one ended.
        last: Arc<Exit>,
    },
    /// No worker process could be started to run it.
    #[error("no worker process could be started: {reason}")]
    NoWorker {
        /// What went wrong, for a reader.
        reason: String,
        /// How the last attempt ended, if a process was started at all.
        last: Option<Arc<Exit>>,
    },
    /// It was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// Its server was destroyed first.
    #[error("the server was destroyed before the job had ended")]
    ServerDestroyed,
}
