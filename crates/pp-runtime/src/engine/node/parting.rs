//! Why nodes go.

use std::time::Duration;

use pp_proto::ProtocolError;

use crate::net::LinkEnd;

/// Why a node is not used any more.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Parting {
    /// Its connection has ended.
    #[error(transparent)]
    Ended(#[from] LinkEnd),
    /// Nothing was heard of it.
    #[error("nothing was heard of it for {:.1} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It said that it cannot go on.
    #[error("it says: {0}")]
    Fault(String),
    /// It said something that it should not.
    #[error("it does not keep to the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// It named what was not sent, or sent what nobody asked for.
    #[error("it does not keep to the protocol: unexpected {0}")]
    Unexpected(&'static str),
    /// It left, as it had said.
    #[error("it has left")]
    Left,
    /// This server ends; a parent of it hears why.
    #[error("this node was told to end")]
    Destroyed,
}

impl Parting {
    /// Whether the jobs that it held may be to blame. Who can still say why it goes was
    /// not taken down by a job.
    pub(in crate::engine) fn is_loss(&self) -> bool {
        !matches!(self, Self::Fault(_) | Self::Left | Self::Destroyed)
    }
}
