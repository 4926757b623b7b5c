//! What messages of both directions consist of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Violation;
use crate::limits::{CHUNK_MAX, NAME_MAX, ROUTE_MAX};

/// BLAKE3 of a serialized function: equal functions have equal names everywhere.
pub type Digest = [u8; 32];

/// A number that tells one run of a server from any other.
pub type NodeId = [u8; 16];

/// What a node gives a segment to other nodes for: a number that nobody can guess.
pub type Ticket = [u8; 16];

/// Which payload a `More` goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// The settings of `Configure`.
    Configure,
    /// The body of the function with this alias.
    Function(u64),
    /// The arguments of this job, or its result, by the direction that it travels in.
    Job(u64),
    /// The content of this segment, where it cannot be shared.
    Segment(u64),
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configure => f.write_str("the settings"),
            Self::Function(function) => write!(f, "function {function}"),
            Self::Job(job) => write!(f, "job {job}"),
            Self::Segment(segment) => write!(f, "segment {segment}"),
        }
    }
}

/// How a job ended, and so what the first part of its result's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It returned; the body is its serialized value.
    Value,
    /// It raised; the body describes the exception.
    Raised,
    /// It returned what cannot be serialized; the body describes why.
    Unserializable,
    /// It did not start, because its function or arguments could not be loaded; the
    /// body describes the exception.
    Unloadable,
    /// A node could not run it to its end; the body says why, in a form that the two
    /// servers agree on.
    Failed,
    /// It ended because it was asked to; the body is empty.
    Stopped,
    /// It raised something after which it is to be tried again, if that was asked for; the
    /// body describes the exception.
    Retriable,
}

pub(crate) fn check_more(stream: Stream, bytes: &[u8]) -> Result<(), Violation> {
    match bytes.len() {
        0 => Err(Violation::EmptyMore { stream }),
        1..=CHUNK_MAX => Ok(()),
        len => Err(Violation::ChunkTooLong { stream, len }),
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), Violation> {
    match name.len() {
        0..=NAME_MAX => Ok(()),
        len => Err(Violation::NameTooLong { len }),
    }
}

pub(crate) fn check_route(route: &[u8]) -> Result<(), Violation> {
    let len = route.len();
    if len > ROUTE_MAX || !len.is_multiple_of(size_of::<NodeId>()) {
        return Err(Violation::BadRoute { len });
    }
    Ok(())
}
