//! What waits to be written to a link.

use std::collections::VecDeque;

use bytes::Bytes;
use pp_proto::{EncodeError, Stream, Tail};

/// Bytes of one piece of a large payload: what a small message may have to wait for. A
/// quarter of a millisecond even on a link of 4 Gbit/s.
const PIECE: usize = 128 * 1024;

/// Messages and payloads on their way, the small ones first.
///
/// Messages go out in the order in which they were put in. What is large waits beside
/// them, in *lanes*: whenever there is no message, each lane in turn may send a piece.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: Vec<u8>,
    lanes: VecDeque<Lane>,
}

/// Things that go out one after the other.
#[derive(Debug, Default)]
pub(crate) struct Lane(VecDeque<Item>);

#[derive(Debug)]
enum Item {
    Frames(Vec<u8>),
    Rest(Tail<Bytes>),
}

impl Lane {
    /// Adds a message.
    pub(crate) fn send(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        if let Some(Item::Frames(frames)) = self.0.back_mut() {
            return encode(frames);
        }
        let mut frames = Vec::new();
        encode(&mut frames)?;
        self.0.push_back(Item::Frames(frames));
        Ok(())
    }

    /// Adds what of a payload did not go as its head, which was `sent` bytes.
    pub(crate) fn send_rest(&mut self, stream: Stream, payload: Bytes, sent: usize) {
        let tail = Tail::new(stream, payload, sent);
        if tail.remaining() > 0 {
            self.0.push_back(Item::Rest(tail));
        }
    }

    /// Appends the next piece of it, and says whether that was all.
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        match self.0.front_mut() {
            Some(Item::Frames(frames)) => {
                out.append(frames);
                self.0.pop_front();
            }
            Some(Item::Rest(tail)) => {
                tail.encode(PIECE, out);
                if tail.remaining() == 0 {
                    self.0.pop_front();
                }
            }
            None => {}
        }
        self.0.is_empty()
    }

    fn is_rest_of(&self, stream: Stream) -> bool {
        matches!(self.0.front(), Some(Item::Rest(tail)) if tail.stream() == stream)
    }
}

impl Outbox {
    /// Adds a message.
    pub(crate) fn send(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        encode(&mut self.frames)
    }

    /// Adds a lane.
    pub(crate) fn open(&mut self, lane: Lane) {
        if !lane.0.is_empty() {
            self.lanes.push_back(lane);
        }
    }

    /// Adds what of a payload did not go as its head, which was `sent` bytes.
    pub(crate) fn send_rest(&mut self, stream: Stream, payload: Bytes, sent: usize) {
        let mut lane = Lane::default();
        lane.send_rest(stream, payload, sent);
        self.open(lane);
    }

    /// Drops what of a payload has not gone out, which must be alone in its lane.
    pub(crate) fn withdraw(&mut self, stream: Stream) {
        self.lanes.retain(|lane| !lane.is_rest_of(stream));
    }

    /// Fills `out`, which is empty, with what is to be written next; nothing if nothing
    /// waits.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) {
        if !self.frames.is_empty() {
            std::mem::swap(&mut self.frames, out);
            return;
        }
        while out.is_empty()
            && let Some(mut lane) = self.lanes.pop_front()
        {
            if !lane.next(out) {
                self.lanes.push_back(lane);
            }
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.lanes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use pp_proto::{FrameDecoder, FromExecutor, Payload, limits};

    use super::*;

    fn ping(outbox: &mut Outbox, nonce: u64) {
        outbox
            .send(|out| FromExecutor::Pong { nonce }.encode(out))
            .unwrap();
    }

    /// What goes out next: the names of the messages.
    fn written(outbox: &mut Outbox) -> Vec<String> {
        let mut out = Vec::new();
        outbox.next(&mut out);
        let mut decoder = FrameDecoder::new(limits::FRAME_MAX);
        let (mut input, mut names) = (out.as_slice(), Vec::new());
        while let Some(body) = decoder.next(&mut input).unwrap() {
            names.push(match FromExecutor::decode(body).unwrap() {
                FromExecutor::More { stream, .. } => format!("more of {stream}"),
                other => other.name().to_owned(),
            });
        }
        names
    }

    #[test]
    fn messages_pass_what_is_large() {
        let mut outbox = Outbox::default();
        for job in 1..3 {
            outbox.send_rest(Stream::Job(job), vec![0; 2 * PIECE].into(), 0);
        }
        ping(&mut outbox, 1);
        ping(&mut outbox, 2);
        assert_eq!(written(&mut outbox), ["Pong", "Pong"]);
        assert_eq!(written(&mut outbox), ["more of job 1"]);
        assert_eq!(written(&mut outbox), ["more of job 2"]);
        ping(&mut outbox, 3);
        assert_eq!(written(&mut outbox), ["Pong"]);
        assert_eq!(written(&mut outbox), ["more of job 1"]);
        outbox.withdraw(Stream::Job(2));
        assert_eq!(written(&mut outbox), ["more of job 1"]);
        assert!(outbox.is_empty() && written(&mut outbox).is_empty());
    }

    #[test]
    fn what_is_in_a_lane_keeps_its_order() {
        let mut outbox = Outbox::default();
        let mut lane = Lane::default();
        let content = Bytes::from(vec![0; PIECE / 2]);
        let body = Payload::new(content.len() as u64, b"").unwrap();
        lane.send(|out| FromExecutor::Carry { segment: 1, body }.encode(out))
            .unwrap();
        lane.send_rest(Stream::Segment(1), content, 0);
        lane.send(|out| FromExecutor::Leaving.encode(out)).unwrap();
        outbox.open(lane);
        ping(&mut outbox, 1);
        let all: Vec<_> =
            std::iter::from_fn(|| Some(written(&mut outbox)).filter(|w| !w.is_empty()))
                .flatten()
                .collect();
        assert_eq!(all, ["Pong", "Carry", "more of segment 1", "Leaving"]);
    }
}
