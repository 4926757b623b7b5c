//! The line between a client and one worker: two rings, claim words, a bell.

mod bell;
mod invitation;
mod outgoing;
mod parent;
mod worker;

pub use bell::BellLost;
pub(crate) use bell::{ParentBell, WorkerStream};
pub(crate) use invitation::{Invitation, join};
pub(crate) use parent::{ParentChannel, Received};
pub use worker::Next;
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
    /// The other side cannot go on, and says why.
    #[error("{0}")]
    Fault(String),
}
