//! How large things may be, in bytes, and why.
//!
//! A receiver refuses what is larger, so none of these may shrink, and a sender
//! may use a larger one only with a peer whose minor version has it.

/// Bytes of the length in front of each frame: a little-endian `u32`.
pub const PREFIX_LEN: usize = 4;

/// Longest frame body before the peer's `Hello` was accepted. Who has not yet said
/// who they are can make us hold this much and no more.
pub const HANDSHAKE_MAX: usize = 4 * 1024;

/// Most payload bytes that one `More` frame carries.
///
/// Large enough that the cost of a frame vanishes beside that of copying it, small
/// enough that the messages behind it wait for well under a millisecond on any
/// link that a payload of this size makes sense on.
pub const CHUNK_MAX: usize = 256 * 1024;

/// Most payload bytes that travel inside a message itself (the *head*).
///
/// A quarter of [`CHUNK_MAX`], since the two wait in different places: heads are
/// copied into the batch when a job is sent ahead, up to a whole window of them at
/// once, while the rest of a payload stays where it is until the link has room.
/// Nearly all arguments and results fit, and take one frame.
pub const INLINE_MAX: usize = 64 * 1024;

/// Room for all fields of a message beside its payload bytes.
pub const FRAME_SLACK: usize = 1024;

/// Longest frame body after the handshake.
pub const FRAME_MAX: usize = CHUNK_MAX + FRAME_SLACK;

/// Longest text of a `Fault`, in bytes of UTF-8: it fits into a frame of
/// [`HANDSHAKE_MAX`], because an executor may have to give up that early.
pub const FAULT_MAX: usize = 4000;

/// Longest name of a server, in bytes of UTF-8: as long as a name of DNS may be.
pub const NAME_MAX: usize = 255;

/// Longest route of an `Introduce`, in bytes: 32 servers above each other, far more than
/// anybody needs.
pub const ROUTE_MAX: usize = 512;
