//! How jobs end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pp_proto::Status;

use crate::blob::Blob;
use crate::process::Exit;
use crate::segments::{Away, Part};

use super::job::Job;

/// How a job ended.
///
/// Three words large: every job that was not collected yet has one.
#[derive(Debug)]
pub enum Outcome {
    /// Its function returned.
    Value(Report),
    /// Its function raised; the body describes the exception.
    Raised(Box<Report>),
    /// The same, and it may be tried again, if whoever has submitted it wants that. Only a
    /// parent gets to see it.
    Retriable(Box<Report>),
    /// Its function returned what cannot be serialized; the body describes why.
    Unserializable(Box<Report>),
    /// It could not be run to its end.
    Failed(Box<JobFailure>),
    /// The same; it was asked to end, and had printed something.
    Stopped(Box<Stopped>),
}

/// Of a job that was asked to end, and did.
#[derive(Debug)]
pub struct Stopped {
    /// Why it was.
    pub failure: JobFailure,
    /// What it had printed by then.
    pub printed: Report,
}

impl Outcome {
    /// What a worker, or a node's, reported.
    pub(super) fn reported(status: Status, report: Report) -> Self {
        match status {
            Status::Value => Self::Value(report),
            Status::Raised | Status::Unloadable => Self::Raised(Box::new(report)),
            Status::Retriable => Self::Retriable(Box::new(report)),
            Status::Unserializable => Self::Unserializable(Box::new(report)),
            Status::Stopped => Self::stopped(JobFailure::Cancelled, Some(report)),
            Status::Failed => {
                let failure = super::reported::decode(report.body());
                Self::stopped(failure, Some(report))
            }
        }
    }

    /// What could not be run to its end, and had printed this.
    pub(super) fn stopped(failure: JobFailure, printed: Option<Report>) -> Self {
        match printed.filter(Report::has_printed) {
            Some(printed) => Self::Stopped(Box::new(Stopped { failure, printed })),
            None => Self::Failed(Box::new(failure)),
        }
    }

    /// What it is called between servers.
    pub(super) fn status(&self) -> Status {
        match self {
            Self::Value(_) => Status::Value,
            Self::Raised(_) => Status::Raised,
            Self::Retriable(_) => Status::Retriable,
            Self::Unserializable(_) => Status::Unserializable,
            Self::Failed(_) | Self::Stopped(_) => Status::Failed,
        }
    }

    /// What the worker sent back, if the job ran to an end of its own or was asked to end.
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::Value(report) => Some(report),
            Self::Raised(report) | Self::Retriable(report) | Self::Unserializable(report) => {
                Some(report)
            }
            Self::Stopped(stopped) => Some(&stopped.printed),
            Self::Failed(_) => None,
        }
    }

    /// The same, alone.
    pub(super) fn into_report(self) -> Option<Report> {
        match self {
            Self::Value(report) => Some(report),
            Self::Raised(report) | Self::Retriable(report) | Self::Unserializable(report) => {
                Some(*report)
            }
            Self::Stopped(stopped) => Some(stopped.printed),
            Self::Failed(_) => None,
        }
    }

    /// Why the job could not be run to its end.
    pub fn failure(&self) -> Option<&JobFailure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Stopped(stopped) => Some(&stopped.failure),
            _ => None,
        }
    }
}

/// What a worker sent back about a job.
#[derive(Debug)]
pub struct Report(Content);

#[derive(Debug)]
enum Content {
    /// The job printed nothing.
    Body(Blob),
    WithPrinted(Box<WithPrinted>),
}

#[derive(Debug)]
struct WithPrinted {
    bytes: Blob,
    body_len: usize,
    errors_len: usize,
}

/// What a job printed, in UTF-8 with surrogates passed through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Printed<'a> {
    /// On standard output, then on standard error.
    pub(super) bytes: &'a [u8],
    errors_len: usize,
}

impl Printed<'_> {
    /// How many bytes all of it is, and what of it is for standard error.
    pub(super) fn lengths(&self) -> (usize, usize) {
        (self.bytes.len(), self.errors_len)
    }
}

impl Report {
    /// `bytes` is the body followed by `output_len` bytes of captured output, of which the last
    /// `errors_len` are of standard error. `None` if there are not that many.
    pub(super) fn new(bytes: Blob, output_len: u64, errors_len: u64) -> Option<Self> {
        if output_len == 0 {
            return Some(Self(Content::Body(bytes)));
        }
        let output_len = usize::try_from(output_len).ok()?;
        let errors_len = usize::try_from(errors_len).ok()?;
        let body_len = bytes.len().checked_sub(output_len)?;
        output_len.checked_sub(errors_len)?;
        Some(Self(Content::WithPrinted(Box::new(WithPrinted {
            bytes,
            body_len,
            errors_len,
        }))))
    }

    /// Whether the job printed anything.
    fn has_printed(&self) -> bool {
        !self.printed().bytes.is_empty()
    }

    /// The serialized value, exception or description.
    pub fn body(&self) -> &[u8] {
        match &self.0 {
            Content::Body(bytes) => bytes,
            Content::WithPrinted(printed) => &printed.bytes[..printed.body_len],
        }
    }

    /// The body as bytes that can be kept, and what they refer to.
    pub fn message(&self) -> (Bytes, &[Part]) {
        let (blob, len) = match &self.0 {
            Content::Body(bytes) => (bytes, bytes.len()),
            Content::WithPrinted(printed) => (&printed.bytes, printed.body_len),
        };
        let mut bytes = blob.clone().into_bytes();
        bytes.truncate(len);
        (bytes, blob.parts())
    }

    /// What the body refers to.
    pub(super) fn parts(&self) -> &[Part] {
        match &self.0 {
            Content::Body(bytes) => bytes.parts(),
            Content::WithPrinted(printed) => printed.bytes.parts(),
        }
    }

    /// What of the body lies at nodes, or did so.
    pub(super) fn away(&self) -> impl Iterator<Item = &Arc<Away>> {
        self.parts().iter().filter_map(Part::away)
    }

    /// How many bytes that is.
    pub(super) fn away_size(&self) -> u64 {
        self.away()
            .fold(0, |sum, away| sum.saturating_add(away.size()))
    }

    /// Whether some of it lies at a node, or did so.
    pub(super) fn is_kept(&self) -> bool {
        self.away().next().is_some()
    }

    /// Whether some of it has to be brought before it can be read.
    pub fn is_away(&self) -> bool {
        self.parts().iter().any(Part::is_away)
    }

    /// What the job printed on standard output, in UTF-8 with surrogates passed through.
    pub fn output(&self) -> &[u8] {
        let Printed { bytes, errors_len } = self.printed();
        &bytes[..bytes.len() - errors_len]
    }

    /// What it wrote to standard error, in the same form.
    pub fn errors(&self) -> &[u8] {
        let Printed { bytes, errors_len } = self.printed();
        &bytes[bytes.len() - errors_len..]
    }

    pub(super) fn printed(&self) -> Printed<'_> {
        match &self.0 {
            Content::Body(_) => Printed::default(),
            Content::WithPrinted(printed) => Printed {
                bytes: &printed.bytes[printed.body_len..],
                errors_len: printed.errors_len,
            },
        }
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
        /// The most bytes of memory that it was given; 0 if it has not asked for any.
        memory: u64,
    },
    /// No machine could ever run it.
    #[error("the job needs {wanted} of {}, and no machine has more than {most}",
            resource.as_deref().unwrap_or("the processors"))]
    Unsatisfiable {
        /// What it needs too much of; none: processors.
        resource: Option<Arc<str>>,
        /// How much it needs.
        wanted: u64,
        /// The most that one machine has.
        most: u64,
    },
    /// No worker process could be started to run it.
    #[error("no worker process could be started: {reason}")]
    NoWorker {
        /// What went wrong, for a reader.
        reason: String,
        /// How the last attempt ended, if a process was started at all.
        last: Option<Arc<Exit>>,
    },
    /// Nodes were lost while they had it, as often as is allowed.
    #[error("{losses} node(s) were lost while they had the job; the last was {node}: {why}")]
    NodeLost {
        /// How many were lost.
        losses: u32,
        /// The last of them.
        node: Arc<str>,
        /// What happened to it.
        why: Arc<str>,
    },
    /// Nobody was there to run it.
    #[error("there are no local workers, and no node has been there for {} s", .0.as_secs_f64())]
    NobodyLeft(Duration),
    /// A node reports a failure of another kind.
    #[error("{text}")]
    Reported {
        /// What it says.
        text: String,
    },
    /// It was cancelled.
    #[error("the job was cancelled")]
    Cancelled,
    /// It ran for longer than it may.
    #[error("the job ran for longer than {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// A job that it depends on, directly or not, has failed: this one, first of all.
    #[error("job {}, on which this job depends, has failed", .0.number())]
    DependencyFailed(Arc<Job>),
    /// A job that it depends on was cancelled: this one.
    #[error("job {}, on which this job depends, was cancelled", .0.number())]
    DependencyCancelled(Arc<Job>),
    /// The results that it is to get are too much for one message.
    #[error("the results of other jobs that this job gets are more than 4 GiB together")]
    TooMuch,
    /// Its server was destroyed first.
    #[error("the server was destroyed before the job had ended")]
    ServerDestroyed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn body_and_output_are_told_apart() {
        let report = |output, errors| Report::new(Blob::from(&b"bodyouter"[..]), output, errors);
        let parts =
            |report: &Report| [report.body(), report.output(), report.errors()].map(<[u8]>::to_vec);
        let printed = report(5, 2).unwrap();
        assert_eq!(parts(&printed), [&b"body"[..], b"out", b"er"]);
        let quiet = report(0, 0).unwrap();
        assert_eq!(parts(&quiet), [&b"bodyouter"[..], b"", b""]);
        assert!(report(10, 0).is_none() && report(u64::MAX, 0).is_none() && report(3, 4).is_none());
    }

    #[test]
    fn an_outcome_is_three_words() {
        assert!(size_of::<Outcome>() <= 24, "{}", size_of::<Outcome>());
    }
}
