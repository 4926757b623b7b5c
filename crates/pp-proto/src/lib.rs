//! What a parent and an executor say to each other, and how it lies in bytes.
//!
//! The parent is a `Server`. An executor is what runs its jobs: a worker process
//! on this machine, reached through rings in shared memory, or another server on
//! another machine, reached through TLS. Both speak this protocol.
//!
//! - [`ToExecutor`] and [`FromExecutor`] are the messages. They borrow from the
//!   frame that they were decoded from; payloads are opaque bytes.
//! - [`FrameDecoder`] cuts a stream of bytes into frames, one message each.
//!   Frames that lie back to back are a batch; nothing else marks one.
//! - [`Payload`] is the part of a message that may be large. What does not fit
//!   into the first frame is sent by a [`Tail`], piece by piece as the link has
//!   room, and put together by an [`Assembler`].
//! - [`limits`] bounds all of it. What a peer claims costs no memory; only what
//!   it really sends does.
//!
//! Nothing here reads, writes, waits or asks for the time. `docs/design/protocol.md`
//! tells the rules of order and of change.
//!
//! ```
//! use pp_proto::{FrameDecoder, Payload, ToExecutor, limits};
//!
//! let mut batch = Vec::new();
//! for job in 0..2 {
//!     let args = Payload::of(b"pickled arguments");
//!     ToExecutor::Job { job, ticket: job, function: 7, args }.encode(&mut batch)?;
//! }
//!
//! let mut decoder = FrameDecoder::new(limits::FRAME_MAX);
//! let mut input = batch.as_slice();
//! let mut jobs = 0;
//! while let Some(body) = decoder.next(&mut input)? {
//!     if let ToExecutor::Job { job, args, .. } = ToExecutor::decode(body)? {
//!         assert_eq!(job, jobs);
//!         assert_eq!(args.whole(), Some(&b"pickled arguments"[..]));
//!         jobs += 1;
//!     }
//! }
//! assert_eq!(jobs, 2);
//! # Ok::<(), pp_proto::ProtocolError>(())
//! ```
#![forbid(unsafe_code)]

mod assemble;
mod codec;
mod error;
mod frame;
mod from_executor;
mod grow;
pub mod limits;
mod message;
mod payload;
mod tail;
mod to_executor;
mod version;

pub use assemble::{AssembleError, Assembler, AssemblerLimits};
pub use error::{DecodeError, EncodeError, ProtocolError, Violation};
pub use frame::{FrameDecoder, FrameError};
pub use from_executor::FromExecutor;
pub use message::{Digest, NodeId, Status, Stream, Ticket};
pub use payload::Payload;
pub use tail::{Piece, Tail};
pub use to_executor::ToExecutor;
pub use version::{CURRENT, MAGIC, Version, VersionMismatch, negotiate};
