//! What is written to a ring, and what waits for room in it.

use std::collections::VecDeque;

use bytes::Bytes;
use pp_proto::{EncodeError, Piece, Stream, Tail};

use super::LineError;
use crate::shm::Producer;

/// The rest of a large payload is sent in pieces no smaller than this, if it can be
/// helped: below it, the cost of a frame shows.
const PIECE_MIN: usize = 16 * 1024;
/// And no larger than this: reader and writer are to work at the same time.
const PIECE_MAX: usize = 64 * 1024;
/// After so many bytes, others get their turn, also if there still is room.
const BURST: usize = 1024 * 1024;

/// The writing end of a ring with an unbounded queue before it. Large payloads
/// wait uncopied.
#[derive(Debug)]
pub(super) struct Outgoing {
    ring: Producer,
    waiting: VecDeque<Waiting>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Waiting {
    Frames { bytes: Vec<u8>, sent: usize },
    Rest(Tail<Bytes>),
}

impl Outgoing {
    pub(super) fn new(ring: Producer) -> Self {
        Self {
            ring,
            waiting: VecDeque::new(),
            scratch: Vec::new(),
        }
    }

    /// Sends one message.
    pub(super) fn send(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), LineError> {
        self.scratch.clear();
        encode(&mut self.scratch).map_err(pp_proto::ProtocolError::from)?;
        let sent = if self.waiting.is_empty() {
            self.ring.put(&self.scratch)?
        } else {
            0
        };
        if sent < self.scratch.len() {
            match self.waiting.back_mut() {
                Some(Waiting::Frames { bytes, .. }) => bytes.extend_from_slice(&self.scratch),
                _ => self.waiting.push_back(Waiting::Frames {
                    bytes: self.scratch[sent..].to_vec(),
                    sent: 0,
                }),
            }
            self.push()?;
        }
        Ok(())
    }

    /// Sends what is left of a payload after its first `head` bytes.
    pub(super) fn send_rest(
        &mut self,
        stream: Stream,
        payload: Bytes,
        head: usize,
    ) -> Result<(), LineError> {
        if head < payload.len() {
            let rest = Tail::new(stream, payload, head);
            self.waiting.push_back(Waiting::Rest(rest));
            self.push()?;
        }
        Ok(())
    }

    /// Writes a burst, as far as there is room; whether nothing waits any more. If
    /// something does, see [`Self::can_go_on`].
    pub(super) fn push(&mut self) -> Result<bool, LineError> {
        let mut burst = BURST;
        while let Some(first) = self.waiting.front_mut() {
            let wanted = first.room_wanted();
            let room = self.ring.room(wanted)?;
            if room < wanted || burst == 0 {
                return Ok(false);
            }
            let (written, is_done) = first.push(&mut self.ring, room)?;
            burst = burst.saturating_sub(written);
            if is_done {
                self.waiting.pop_front();
            }
        }
        Ok(true)
    }

    /// Whether `push` would write something now. If it would not for want of room,
    /// the consumer rings when there is some.
    pub(super) fn can_go_on(&mut self) -> Result<bool, LineError> {
        let Some(first) = self.waiting.front() else {
            return Ok(false);
        };
        let wanted = first.room_wanted();
        self.ring.ask_for_room();
        Ok(self.ring.room(wanted)? >= wanted)
    }

    /// Whether the consumer sleeps and must be rung for what was written.
    pub(super) fn consumer_needs_bell(&self) -> bool {
        self.ring.consumer_needs_bell()
    }

    /// Whether something waits for room.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

impl Waiting {
    /// Less room than this is not worth a try.
    fn room_wanted(&self) -> usize {
        match self {
            Self::Frames { .. } => 1,
            Self::Rest(rest) => PIECE_MIN.min(rest.remaining() + Piece::ROOM_MIN),
        }
    }

    /// Writes once: how many bytes, and whether that was all.
    fn push(&mut self, ring: &mut Producer, room: usize) -> Result<(usize, bool), LineError> {
        match self {
            Self::Frames { bytes, sent } => {
                let count = ring.put(&bytes[*sent..])?;
                *sent += count;
                Ok((count, *sent == bytes.len()))
            }
            Self::Rest(rest) => {
                let mut len = 0;
                if let Some(piece) = rest.piece(room.min(PIECE_MAX)) {
                    ring.put(piece.header())?;
                    ring.put(piece.bytes())?;
                    len = piece.bytes().len();
                }
                rest.advance(len);
                Ok((len, rest.remaining() == 0))
            }
        }
    }
}
