//! A ring of bytes between two processes: one producer, one consumer.
//!
//! Head and tail count bytes since the start and never wrap in practice. Each
//! side keeps the truth about its own index privately and checks the other's at
//! each use, so a scribbled word is noticed, never followed.
//!
//! Sleeping follows Dekker's pattern: who is about to sleep sets its flag, then
//! looks once more; who has just put or taken bytes looks at the flag afterwards.
//! With a full fence on both sides, at least one of them sees the other.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::layout::Layout;
use super::segment::Segment;

/// The peer has put a ring's indices into an impossible state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("shared ring is corrupt: head {head}, tail {tail}, capacity {capacity}")]
pub struct RingCorrupt {
    /// Bytes taken, as found.
    pub head: u64,
    /// Bytes put, as found.
    pub tail: u64,
    /// Bytes that the ring holds.
    pub capacity: usize,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Producer {
    segment: Arc<Segment>,
    at: Layout,
    tail: u64,
    head_seen: u64,
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct Consumer {
    segment: Arc<Segment>,
    at: Layout,
    head: u64,
}

impl Producer {
    /// The writing end of a fresh ring.
    pub(crate) fn new(segment: Arc<Segment>, at: Layout) -> Self {
        Self {
            segment,
            at,
            tail: 0,
            head_seen: 0,
        }
    }

    /// Room in bytes, at least `wanted` if there is that much.
    pub(crate) fn room(&mut self, wanted: usize) -> Result<usize, RingCorrupt> {
        let room = self.at.len - self.used(self.head_seen)?;
        if room >= wanted {
            return Ok(room);
        }
        self.head_seen = self.segment.word(self.at.head).load(Ordering::Acquire);
        Ok(self.at.len - self.used(self.head_seen)?)
    }

    /// Puts as much of `bytes` as fits and returns how much that was.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<usize, RingCorrupt> {
        let count = self.room(bytes.len())?.min(bytes.len());
        let start = position(self.tail, self.at.len);
        let first = count.min(self.at.len - start);
        self.segment.copy_in(self.at.data + start, &bytes[..first]);
        self.segment.copy_in(self.at.data, &bytes[first..count]);
        self.tail += count as u64;
        self.segment
            .word(self.at.tail)
            .store(self.tail, Ordering::Release);
        Ok(count)
    }

    /// After `put`: whether the consumer sleeps and its doorbell must be rung.
    /// Says so once per sleep.
    pub(crate) fn consumer_needs_bell(&self) -> bool {
        take_flag(&self.segment, self.at.consumer_asleep)
    }

    /// Asks for a bell when there is room; look at `room` again afterwards.
    pub(crate) fn ask_for_room(&self) {
        raise_flag(&self.segment, self.at.producer_waits);
    }

    fn used(&self, head: u64) -> Result<usize, RingCorrupt> {
        distance(head, self.tail, self.at.len)
    }
}

impl Consumer {
    /// The reading end of a fresh ring.
    pub(crate) fn new(segment: Arc<Segment>, at: Layout) -> Self {
        Self {
            segment,
            at,
            head: 0,
        }
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> Result<usize, RingCorrupt> {
        let tail = self.segment.word(self.at.tail).load(Ordering::Acquire);
        distance(self.head, tail, self.at.len)
    }

    /// Appends up to `most` waiting bytes to `out` and frees their room.
    pub(crate) fn take(&mut self, most: usize, out: &mut Vec<u8>) -> Result<usize, RingCorrupt> {
        let count = self.waiting()?.min(most);
        let start = position(self.head, self.at.len);
        let first = count.min(self.at.len - start);
        self.segment.copy_out(self.at.data + start, first, out);
        self.segment.copy_out(self.at.data, count - first, out);
        self.head += count as u64;
        self.segment
            .word(self.at.head)
            .store(self.head, Ordering::Release);
        Ok(count)
    }

    /// After `take`: whether the producer waits for room and must be rung.
    pub(crate) fn producer_needs_bell(&self) -> bool {
        take_flag(&self.segment, self.at.producer_waits)
    }

    /// Asks for a bell when bytes come; look at `waiting` again afterwards.
    pub(crate) fn fall_asleep(&self) {
        raise_flag(&self.segment, self.at.consumer_asleep);
    }

    /// Awake again: the bell is not needed.
    pub(crate) fn wake_up(&self) {
        self.segment
            .word(self.at.consumer_asleep)
            .store(0, Ordering::Relaxed);
    }
}

fn raise_flag(segment: &Segment, offset: usize) {
    segment.word(offset).store(1, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

fn take_flag(segment: &Segment, offset: usize) -> bool {
    fence(Ordering::SeqCst);
    let flag = segment.word(offset);
    flag.load(Ordering::Relaxed) != 0 && flag.swap(0, Ordering::Relaxed) != 0
}

fn distance(head: u64, tail: u64, capacity: usize) -> Result<usize, RingCorrupt> {
    tail.checked_sub(head)
        .and_then(|d| usize::try_from(d).ok())
        .filter(|&d| d <= capacity)
        .ok_or(RingCorrupt {
            head,
            tail,
            capacity,
        })
}

/// Where in the data the byte with running number `index` lies.
fn position(index: u64, len: usize) -> usize {
    // `len` is a power of two far below u32::MAX, so the mask loses nothing.
    usize::try_from(index & (len as u64 - 1)).unwrap_or(0)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::shm::{SEGMENT_LEN, segment_for_test};

    fn pair() -> (Producer, Consumer, Arc<Segment>) {
        let segment = segment_for_test(SEGMENT_LEN);
        (
            Producer::new(Arc::clone(&segment), Layout::DOWN),
            Consumer::new(Arc::clone(&segment), Layout::DOWN),
            segment,
        )
    }

    #[test]
    fn bytes_come_out_as_they_went_in_across_the_wrap() {
        let (mut producer, mut consumer, _segment) = pair();
        let piece: Vec<u8> = (0..=250u8).cycle().take(100_003).collect();
        let mut out = Vec::new();
        for round in 0..20 {
            assert_eq!(producer.put(&piece).unwrap(), piece.len(), "round {round}");
            out.clear();
            assert_eq!(consumer.take(usize::MAX, &mut out).unwrap(), piece.len());
            assert_eq!(out, piece, "round {round}");
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_and_loses_nothing() {
        let (mut producer, mut consumer, _segment) = pair();
        let big = vec![7u8; Layout::DOWN.len + 10];
        assert_eq!(producer.put(&big).unwrap(), Layout::DOWN.len);
        assert_eq!(producer.put(&[1]).unwrap(), 0);
        let mut out = Vec::new();
        consumer.take(3, &mut out).unwrap();
        assert_eq!(producer.put(&[1, 2, 3, 4]).unwrap(), 3);
        consumer.take(usize::MAX, &mut out).unwrap();
        assert_eq!(out.len(), Layout::DOWN.len + 3);
        assert_eq!(&out[out.len() - 3..], &[1, 2, 3]);
    }

    #[test]
    fn scribbled_indices_are_noticed_by_both_ends() {
        let (mut producer, consumer, segment) = pair();
        segment
            .word(Layout::DOWN.tail)
            .store(u64::MAX, Ordering::Relaxed);
        assert!(consumer.waiting().is_err());
        segment
            .word(Layout::DOWN.head)
            .store(Layout::DOWN.len as u64 + 5, Ordering::Relaxed);
        let error = producer
            .put(&vec![0; Layout::DOWN.len])
            .and_then(|_| producer.put(&[0]));
        assert_eq!(error.map_err(|e| e.head), Err(Layout::DOWN.len as u64 + 5));
    }

    #[test]
    fn a_stream_crosses_threads_with_bells_and_no_lost_wakeup() {
        let (mut producer, mut consumer, _segment) = pair();
        let (to_consumer, consumer_bell) = std::sync::mpsc::channel();
        let (to_producer, producer_bell) = std::sync::mpsc::channel();
        let total: usize = 8 << 20;
        let reader = std::thread::spawn(move || {
            let (mut seen, mut buffer) = (0usize, Vec::new());
            while seen < total {
                buffer.clear();
                if consumer.take(4096, &mut buffer).unwrap() == 0 {
                    consumer.fall_asleep();
                    if consumer.waiting().unwrap() == 0 {
                        consumer_bell.recv().unwrap();
                    }
                    consumer.wake_up();
                    continue;
                }
                for &byte in &buffer {
                    assert_eq!(usize::from(byte), seen % 251);
                    seen += 1;
                }
                if consumer.producer_needs_bell() {
                    let _ = to_producer.send(());
                }
            }
        });
        let source: Vec<u8> = (0..251u8).cycle().take(total).collect();
        let mut sent = 0;
        while sent < total {
            let end = total.min(sent + 1 + (sent * 31) % 70_000);
            let put = producer.put(&source[sent..end]).unwrap();
            sent += put;
            if put > 0 && producer.consumer_needs_bell() {
                let _ = to_consumer.send(());
            }
            if put == 0 {
                producer.ask_for_room();
                if producer.room(1).unwrap() == 0 {
                    producer_bell.recv().unwrap();
                }
            }
        }
        reader.join().unwrap();
    }
}
