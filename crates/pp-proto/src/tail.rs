//! What of a payload did not fit into its message, sent bit by bit.

use bytes::Buf;

use crate::limits::{CHUNK_MAX, PREFIX_LEN};
use crate::message::Stream;

/// The number of `More`, which is the same in both directions.
const MORE: u8 = 4;

/// Longest frame prefix and fields of a `More` before its bytes: the number of the
/// message and of the stream's kind, a `u64` and a length.
const HEADER_MAX: usize = PREFIX_LEN + 1 + 1 + 10 + 5;

/// The unsent rest of a payload. The link asks for the next piece when it has room,
/// so that even the largest payload is never copied as a whole.
///
/// ```
/// use pp_proto::{Payload, Stream, Tail, ToExecutor};
///
/// let args = vec![7; 1_000_000];
/// let payload = Payload::of(&args);
/// let mut out = Vec::new();
/// ToExecutor::Job { job: 1, ticket: 0, function: 0, args: payload }.encode(&mut out)?;
/// let mut tail = Tail::new(Stream::Job(1), args.as_slice(), payload.head().len());
/// while tail.remaining() > 0 {
///     out.clear(); // as if the link had sent it
///     tail.encode(80_000, &mut out);
///     assert!(!out.is_empty() && out.len() <= 80_000);
/// }
/// # Ok::<(), pp_proto::EncodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tail<B> {
    stream: Stream,
    source: B,
}

/// The next frame of a [`Tail`], not yet copied: `header`, then `bytes`.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    header: [u8; HEADER_MAX],
    header_len: usize,
    bytes: &'a [u8],
}

impl<B: Buf> Tail<B> {
    /// What is left of `source` after its first `sent` bytes, which went as the head.
    pub fn new(stream: Stream, mut source: B, sent: usize) -> Self {
        source.advance(sent.min(source.remaining()));
        Self { stream, source }
    }

    /// Which payload this is the rest of.
    pub const fn stream(&self) -> Stream {
        self.stream
    }

    /// Bytes of the payload that are still to be sent; at 0 the tail has done its work.
    pub fn remaining(&self) -> usize {
        self.source.remaining()
    }

    /// The next frame, at most `room` bytes in all, without copying the payload. Once it
    /// is sent, say so by [`advance`](Self::advance).
    ///
    /// `None` if nothing remains, or if `room` is below [`Piece::ROOM_MIN`].
    pub fn piece(&self, room: usize) -> Option<Piece<'_>> {
        if room < Piece::ROOM_MIN {
            return None;
        }
        let part = self.source.chunk();
        let len = part.len().min(CHUNK_MAX).min(room - HEADER_MAX);
        let bytes = part.get(..len).filter(|bytes| !bytes.is_empty())?;
        Piece::new(self.stream, bytes)
    }

    /// Goes past `len` payload bytes, those of the last [`piece`](Self::piece).
    pub fn advance(&mut self, len: usize) {
        self.source.advance(len.min(self.source.remaining()));
    }

    /// Appends the next frame to `out` and goes past it: [`piece`](Self::piece) with a
    /// copy. Returns by how many bytes `out` grew, 0 where there is no piece.
    pub fn encode(&mut self, room: usize, out: &mut Vec<u8>) -> usize {
        let Some(piece) = self.piece(room) else {
            return 0;
        };
        out.reserve(piece.frame_len());
        out.extend_from_slice(piece.header());
        out.extend_from_slice(piece.bytes);
        let (len, frame_len) = (piece.bytes.len(), piece.frame_len());
        self.advance(len);
        frame_len
    }
}

impl<'a> Piece<'a> {
    /// The least room that a frame with at least one byte of payload surely fits in.
    pub const ROOM_MIN: usize = HEADER_MAX + 1;

    /// The bytes in front of the payload's: length and fields of the frame.
    pub fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }

    /// The payload's own bytes: at least one, lent from the source.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of the whole frame.
    pub const fn frame_len(&self) -> usize {
        self.header_len + self.bytes.len()
    }

    /// `None` only if the header did not fit, which [`HEADER_MAX`] sees to.
    fn new(stream: Stream, bytes: &'a [u8]) -> Option<Self> {
        let mut header = [0; HEADER_MAX];
        let (prefix, fields) = header.split_first_chunk_mut::<PREFIX_LEN>()?;
        let fields_len = postcard::to_slice(&(MORE, stream, bytes.len()), fields)
            .ok()?
            .len();
        *prefix = u32::try_from(fields_len + bytes.len()).ok()?.to_le_bytes();
        Some(Self {
            header,
            header_len: PREFIX_LEN + fields_len,
            bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_executor::FromExecutor;
    use crate::to_executor::ToExecutor;

    const STREAMS: [Stream; 5] = [
        Stream::Configure,
        Stream::Function(0),
        Stream::Function(u64::MAX),
        Stream::Job(u64::MAX),
        Stream::Segment(u64::MAX),
    ];

    #[test]
    fn a_piece_is_the_frame_that_more_encodes_to_in_both_directions() {
        for stream in STREAMS {
            for len in [1, 127, 128, CHUNK_MAX] {
                let bytes = &vec![5; len][..];
                let (mut to, mut from, mut pieces) = (Vec::new(), Vec::new(), Vec::new());
                ToExecutor::More { stream, bytes }.encode(&mut to).unwrap();
                FromExecutor::More { stream, bytes }
                    .encode(&mut from)
                    .unwrap();
                let mut tail = Tail::new(stream, bytes, 0);
                assert_eq!(tail.encode(usize::MAX, &mut pieces), to.len());
                assert_eq!(tail.remaining(), 0);
                assert!(pieces == to && pieces == from, "{stream} with {len} bytes");
            }
        }
    }

    #[test]
    fn a_frame_stays_within_the_room_and_uses_it_well() {
        let bytes = vec![1; 3 * CHUNK_MAX];
        for stream in STREAMS {
            for room in [Piece::ROOM_MIN, 100, 5000, CHUNK_MAX, 2 * CHUNK_MAX] {
                let tail = Tail::new(stream, bytes.as_slice(), 0);
                let piece = tail.piece(room).unwrap();
                assert!(piece.bytes().len() <= CHUNK_MAX);
                assert!(piece.frame_len() <= room);
                assert!(piece.frame_len() + HEADER_MAX >= room.min(CHUNK_MAX));
            }
            let tail = Tail::new(stream, bytes.as_slice(), 0);
            assert!(tail.piece(Piece::ROOM_MIN - 1).is_none());
        }
    }

    #[test]
    fn pieces_follow_the_head_across_the_parts_of_a_source_to_its_end() {
        let whole: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let source = whole[..300].chain(&whole[300..]);
        let mut tail = Tail::new(Stream::Job(1), source, 250);
        let mut sent = whole[..250].to_vec();
        while let Some(piece) = tail.piece(120) {
            sent.extend_from_slice(piece.bytes());
            let len = piece.bytes().len();
            tail.advance(len);
        }
        assert_eq!(sent, whole);
        assert_eq!(tail.encode(120, &mut sent), 0);
    }
}
