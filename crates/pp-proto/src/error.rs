//! What can be wrong with a message, and with a conversation as a whole.

use crate::assemble::AssembleError;
use crate::frame::FrameError;
use crate::limits::{CHUNK_MAX, FAULT_MAX, INLINE_MAX, NAME_MAX, ROUTE_MAX};
use crate::message::Stream;
use crate::version::{CURRENT, MAGIC, VersionMismatch};

/// A message that could be read or written, but that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// More payload inside a message than may be there.
    #[error("{len} payload bytes inside a message, where {INLINE_MAX} are the most")]
    HeadTooLong {
        /// Bytes of the head.
        len: usize,
    },
    /// The inline part of a payload is longer than the payload says it is.
    #[error("{len} bytes of a payload that is said to have {size}")]
    HeadBeyondSize {
        /// Bytes of the head.
        len: usize,
        /// Bytes that the whole payload has by its own word.
        size: u64,
    },
    /// Captured output would have to start before the body does.
    #[error("{output_len} bytes of output in a result of {size}")]
    OutputBeyondBody {
        /// Bytes of captured output.
        output_len: u64,
        /// Bytes of result and output together.
        size: u64,
    },
    /// A `More` without bytes; a peer could send such ones for ever.
    #[error("a More frame without bytes, for {stream}")]
    EmptyMore {
        /// The payload that it names.
        stream: Stream,
    },
    /// A `More` that carries too much.
    #[error("{len} bytes in a More frame for {stream}, where {CHUNK_MAX} are the most")]
    ChunkTooLong {
        /// The payload that it names.
        stream: Stream,
        /// Bytes that it carries.
        len: usize,
    },
    /// The text of a `Fault` is too long.
    #[error("{len} bytes of text in a Fault, where {FAULT_MAX} are the most")]
    FaultTooLong {
        /// Bytes of the text.
        len: usize,
    },
    /// The name of a server is too long.
    #[error("a name of {len} bytes, where {NAME_MAX} are the most")]
    NameTooLong {
        /// Bytes of the name.
        len: usize,
    },
    /// The servers above a node are none, or too many.
    #[error("a route of {len} bytes, which is to be 16 for each server and at most {ROUTE_MAX}")]
    BadRoute {
        /// Bytes of the route.
        len: usize,
    },
}

/// A message cannot be written; nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The peer would refuse it.
    #[error("cannot send {message}: {violation}")]
    Violation {
        /// Name of the message.
        message: &'static str,
        /// Which rule it breaks.
        violation: Violation,
    },
    /// The serializer failed; no message of this crate makes it.
    #[error("cannot serialize {message}: {source}")]
    Serialize {
        /// Name of the message.
        message: &'static str,
        /// What the serializer says.
        source: postcard::Error,
    },
}

/// The body of a frame is no message that may come from this peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The peer sent a message that this release does not know.
    #[error(
        "message number {number} from the {sender}, where only 0 to {last} are known: \
         the {sender} runs a newer release or is broken"
    )]
    UnknownMessage {
        /// Who sent it: "parent" or "executor".
        sender: &'static str,
        /// Its number.
        number: u32,
        /// The highest number that is known here.
        last: u32,
    },
    /// The first message does not start as one of this protocol does.
    #[error(
        "the other side does not speak this protocol: its greeting starts with {found:02x?}, \
         not with {expected:02x?}", expected = MAGIC
    )]
    BadMagic {
        /// The bytes where [`MAGIC`] should be.
        found: [u8; 4],
    },
    /// The peer greets with another major version, so the rest cannot be read.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// The body ends too early or has a value that its type does not have.
    #[error("malformed {message} message: {source}")]
    Malformed {
        /// Name of the message, as far as it could be read.
        message: &'static str,
        /// What the deserializer says.
        source: postcard::Error,
    },
    /// The body goes on after the message's end.
    #[error("{count} bytes too many after a {message} message of version {version}", version = CURRENT)]
    TrailingBytes {
        /// Name of the message.
        message: &'static str,
        /// How many.
        count: usize,
    },
    /// A well-formed message that breaks a rule.
    #[error("bad {message} message: {violation}")]
    Violation {
        /// Name of the message.
        message: &'static str,
        /// Which rule it breaks.
        violation: Violation,
    },
}

/// Anything that ends a conversation: after it, the link is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The bytes are not cut into frames as they should be.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A frame is no message.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A message of our own is none that may be sent.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The pieces of a payload do not fit together.
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    /// The two sides have no version in common.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
}
