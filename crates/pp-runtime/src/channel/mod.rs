//! The line between a client and one worker: two rings, claim words, a bell.

mod arrivals;
mod bell;
mod borrowing;
#[cfg(unix)]
mod descriptors;
mod invitation;
mod lending;
mod outgoing;
mod parent;
mod worker;

pub use arrivals::{Next, Share};
pub use bell::BellLost;
pub(crate) use bell::{ParentBell, WorkerStream};
pub(crate) use invitation::{Invitation, join};
pub(crate) use lending::Lending;
pub(crate) use parent::{ParentChannel, Received, ResultHeader};
pub(crate) use worker::WorkerChannel;

/// Why a line cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// Shared memory does not hold what it should.
    #[error(transparent)]
    Ring(#[from] crate::shm::RingCorrupt),
    /// The other side sent what is no message.
    #[error("bad message: {0}")]
    Message(#[from] pp_proto::ProtocolError),
    /// The other side sent a message that does not fit the moment.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
    /// The other side has gone, or the socket to it was closed.
    #[error(transparent)]
    Bell(#[from] BellLost),
    /// What was said of shared memory does not fit.
    #[error(transparent)]
    Segment(#[from] crate::segments::SegmentError),
    /// The other side cannot go on, and says why.
    #[error("{0}")]
    Fault(String),
}
