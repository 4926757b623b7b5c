//! What a peer claims costs no memory; only what it sends does.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(unsafe_code, reason = "a counting allocator is one")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::draft;
use pp_proto::limits::{CHUNK_MAX, FRAME_MAX, HANDSHAKE_MAX};
use pp_proto::{Assembler, FrameDecoder, FromExecutor, Payload, Stream, ToExecutor};
use proptest::prelude::*;

/// The system's allocator, counting what each thread holds and held at most.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

fn count(change: isize) {
    // A thread that ends may free after its thread-locals are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + change);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    });
}

fn signed(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

// SAFETY: every call goes to `System` with the very same arguments; counting neither
// allocates nor touches the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(signed(layout.size()));
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-signed(layout.size()));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` gives, the most bytes that it held beyond those before, and how often it
/// asked for or returned some.
fn measure<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let (before, calls) = (HELD.get(), CALLS.get());
    PEAK.set(before);
    let result = work();
    let peak = usize::try_from(PEAK.get() - before).unwrap();
    (result, peak, CALLS.get() - calls)
}

#[test]
fn the_measure_measures() {
    let (bytes, peak, calls) = measure(|| drop(vec![0_u8; 5000]));
    assert_eq!((bytes, peak, calls), ((), 5000, 2));
}

#[test]
fn a_giant_claimed_frame_costs_nothing() {
    for (claimed, max) in [
        (u32::MAX, FRAME_MAX),
        (u32::MAX, HANDSHAKE_MAX),
        (1 << 20, FRAME_MAX),
    ] {
        let prefix = claimed.to_le_bytes();
        for piece in [1, 4] {
            let (refused, peak, _) = measure(|| {
                let mut decoder = FrameDecoder::new(max);
                prefix
                    .chunks(piece)
                    .any(|mut bytes| decoder.next(&mut bytes).is_err())
            });
            assert!(refused);
            assert!(peak <= 1024, "{claimed} claimed: {peak} bytes");
        }
    }
}

#[test]
fn an_allowed_frame_costs_what_has_come_of_it() {
    let mut stream = u32::try_from(FRAME_MAX).unwrap().to_le_bytes().to_vec();
    stream.resize(4 + FRAME_MAX, 7);
    for sent in [5, 100, 5000, 100_000, FRAME_MAX, FRAME_MAX + 4] {
        let ((), peak, _) = measure(|| {
            let mut decoder = FrameDecoder::new(FRAME_MAX);
            for mut piece in stream[..sent].chunks(512) {
                let _ = decoder.next(&mut piece).unwrap();
            }
        });
        // Twice what has come, and while the buffer moves, the old one beside the new.
        let most = 1024.max(3 * sent);
        assert!(peak <= most, "{sent} sent: {peak} bytes");
    }
}

#[test]
fn a_giant_claimed_payload_costs_what_has_come_of_it() {
    let stream = Stream::Job(1);
    for size in [1 << 40, 1 << 62] {
        let (streams, peak, _) = measure(|| {
            let mut assembler = Assembler::default();
            let head = [1; 100];
            assembler
                .begin(stream, Payload::new(size, &head).unwrap())
                .unwrap();
            assembler.more(stream, &[1; 900]).unwrap();
            assembler.streams()
        });
        assert_eq!(streams, 1);
        assert!(peak <= 4096, "{size} claimed: {peak} bytes");
    }
}

#[test]
fn ignored_payloads_cost_nothing() {
    let stream = Stream::Job(1);
    let bytes = vec![1; CHUNK_MAX];
    let ((), peak, _) = measure(|| {
        let mut assembler = Assembler::default();
        assembler
            .begin(stream, Payload::new(1 << 30, b"").unwrap())
            .unwrap();
        assembler.ignore(stream);
        for _ in 0..(1 << 30) / CHUNK_MAX {
            assembler.more(stream, &bytes).unwrap();
        }
        assert_eq!(assembler.streams(), 0);
    });
    assert!(peak <= 4096, "{peak} bytes");
}

#[test]
fn whole_frames_are_read_without_any_allocation() {
    let mut stream = Vec::new();
    for job in 0..100 {
        let args = Payload::of(b"small arguments");
        ToExecutor::Job {
            job,
            ticket: job,
            function: 1,
            args,
        }
        .encode(&mut stream)
        .unwrap();
    }
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    let (jobs, _, calls) = measure(|| {
        let (mut input, mut jobs) = (stream.as_slice(), 0);
        while let Some(body) = decoder.next(&mut input).unwrap() {
            jobs += usize::from(ToExecutor::decode(body).is_ok());
        }
        jobs
    });
    assert_eq!((jobs, calls), (100, 0));
}

#[test]
fn a_batch_is_written_without_allocation_where_there_is_room() {
    let mut out = Vec::with_capacity(100_000);
    let ((), _, calls) = measure(|| {
        for job in 0..100 {
            let args = Payload::of(b"small arguments");
            ToExecutor::Job {
                job,
                ticket: job,
                function: 1,
                args,
            }
            .encode(&mut out)
            .unwrap();
        }
    });
    assert_eq!(calls, 0);
}

proptest! {
    /// Whatever a body says, to decode it takes no memory at all.
    #[test]
    fn decoding_allocates_nothing(draft in draft(), at in any::<usize>(), byte in any::<u8>()) {
        let (mut to, mut from) = (Vec::new(), Vec::new());
        draft.message_to().encode(&mut to).unwrap();
        draft.message_from().encode(&mut from).unwrap();
        for frame in [&mut to, &mut from] {
            let at = 4 + at % (frame.len() - 4);
            frame[at] = byte;
        }
        let ((), _, calls) = measure(|| {
            let _ = ToExecutor::decode(&to[4..]);
            let _ = FromExecutor::decode(&from[4..]);
        });
        prop_assert_eq!(calls, 0);
    }
}
