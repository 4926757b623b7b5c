//! The limits, from both sides of each.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use pp_proto::limits::{CHUNK_MAX, FAULT_MAX, FRAME_MAX, HANDSHAKE_MAX, INLINE_MAX};
use pp_proto::{
    EncodeError, FrameDecoder, FrameError, FromExecutor, MAGIC, Payload, Status, Stream,
    ToExecutor, Version, Violation,
};

const PREFIX: usize = 4;

fn frame(len: usize) -> Vec<u8> {
    let mut frame = u32::try_from(len).unwrap().to_le_bytes().to_vec();
    frame.resize(PREFIX + len, 7);
    frame
}

/// Every message with all its fields at their largest.
fn largest_frames() -> Vec<Vec<u8>> {
    let (inline, chunk, text) = (
        vec![0xff; INLINE_MAX],
        vec![0xff; CHUNK_MAX],
        "x".repeat(FAULT_MAX),
    );
    let payload = Payload::new(u64::MAX, &inline).unwrap();
    let max = u64::MAX;
    let to = [
        ToExecutor::Configure { settings: payload },
        ToExecutor::Function {
            function: max,
            digest: [0xff; 32],
            body: payload,
        },
        ToExecutor::Job {
            job: max,
            ticket: max,
            function: max,
            args: payload,
        },
        ToExecutor::More {
            stream: Stream::Job(max),
            bytes: &chunk,
        },
    ];
    let from = [
        FromExecutor::Result {
            job: max,
            status: Status::Unloadable,
            run_ns: max,
            worker: u32::MAX,
            attempts: u32::MAX,
            output_len: max,
            errors_len: max,
            body: payload,
        },
        FromExecutor::More {
            stream: Stream::Function(max),
            bytes: &chunk,
        },
        FromExecutor::Fault { text: &text },
    ];
    let mut frames = Vec::new();
    for message in to {
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        frames.push(frame);
    }
    for message in from {
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        frames.push(frame);
    }
    frames
}

#[test]
fn the_largest_messages_fit_into_a_frame() {
    for frame in largest_frames() {
        let mut decoder = FrameDecoder::new(FRAME_MAX);
        let body = decoder.next(&mut frame.as_slice()).unwrap().unwrap();
        assert_eq!(body.len(), frame.len() - PREFIX);
    }
}

#[test]
fn what_is_said_before_the_handshake_fits_into_its_limit() {
    let version = Version {
        major: u16::MAX,
        minor: u16::MAX,
    };
    let (mut to, mut from) = (Vec::new(), Vec::new());
    ToExecutor::Hello {
        magic: MAGIC,
        version,
        features: u64::MAX,
    }
    .encode(&mut to)
    .unwrap();
    FromExecutor::Hello {
        magic: MAGIC,
        version,
        features: u64::MAX,
        pid: u32::MAX,
        python: (255, 255, 255),
    }
    .encode(&mut from)
    .unwrap();
    FromExecutor::fault(&"x".repeat(2 * FAULT_MAX))
        .encode(&mut from)
        .unwrap();
    for stream in [to, from] {
        let mut decoder = FrameDecoder::new(HANDSHAKE_MAX);
        let mut input = stream.as_slice();
        while decoder.next(&mut input).unwrap().is_some() {}
        decoder.finish().unwrap();
    }
}

#[test]
fn a_frame_of_the_limit_passes_and_one_byte_more_does_not() {
    for max in [1, HANDSHAKE_MAX, FRAME_MAX] {
        for piece in [1, 1000, usize::MAX] {
            for (len, passes) in [(max, true), (max + 1, false)] {
                let stream = frame(len);
                let mut decoder = FrameDecoder::new(max);
                let mut outcome = Ok(None);
                for mut piece in stream.chunks(piece.min(stream.len())) {
                    outcome = decoder.next(&mut piece).map(|body| body.map(<[u8]>::len));
                    if outcome.is_err() {
                        break;
                    }
                }
                let too_long = FrameError::TooLong { len, max };
                assert_eq!(outcome, if passes { Ok(Some(max)) } else { Err(too_long) });
            }
        }
    }
}

#[test]
fn the_limit_can_rise_between_two_frames_of_one_slice() {
    let stream = [frame(10), frame(HANDSHAKE_MAX + 1)].concat();
    let mut decoder = FrameDecoder::new(HANDSHAKE_MAX);
    let mut input = stream.as_slice();
    assert_eq!(decoder.next(&mut input).unwrap().map(<[u8]>::len), Some(10));
    decoder.set_max(FRAME_MAX);
    assert_eq!(
        decoder.next(&mut input).unwrap().map(<[u8]>::len),
        Some(HANDSHAKE_MAX + 1)
    );

    let mut decoder = FrameDecoder::new(HANDSHAKE_MAX);
    let mut input = stream.as_slice();
    assert!(decoder.next(&mut input).is_ok());
    assert!(decoder.next(&mut input).is_err());
}

#[test]
fn a_frame_without_content_is_refused() {
    let zeroed = [0; 64];
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    assert_eq!(decoder.next(&mut &zeroed[..]), Err(FrameError::Empty));
    assert_eq!(decoder.finish(), Err(FrameError::Empty));
}

#[test]
fn whole_frames_are_lent_from_the_input() {
    let stream = [frame(100), frame(5)].concat();
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    let mut input = stream.as_slice();
    let first = decoder.next(&mut input).unwrap().unwrap().as_ptr();
    assert_eq!(first, stream[PREFIX..].as_ptr());
    let second = decoder.next(&mut input).unwrap().unwrap().as_ptr();
    assert_eq!(second, stream[100 + 2 * PREFIX..].as_ptr());
}

#[test]
fn a_message_beyond_a_limit_is_not_sent_and_leaves_no_trace() {
    let (chunk, text) = (vec![0; CHUNK_MAX + 1], "x".repeat(FAULT_MAX + 1));
    let stream = Stream::Function(3);
    let mut out = b"before".to_vec();
    let outcomes = [
        ToExecutor::More {
            stream,
            bytes: &chunk,
        }
        .encode(&mut out),
        ToExecutor::More { stream, bytes: b"" }.encode(&mut out),
        FromExecutor::Fault { text: &text }.encode(&mut out),
    ];
    let violations = [
        (
            "More",
            Violation::ChunkTooLong {
                stream,
                len: CHUNK_MAX + 1,
            },
        ),
        ("More", Violation::EmptyMore { stream }),
        ("Fault", Violation::FaultTooLong { len: FAULT_MAX + 1 }),
    ];
    for (outcome, (message, violation)) in outcomes.into_iter().zip(violations) {
        assert_eq!(outcome, Err(EncodeError::Violation { message, violation }));
    }
    assert_eq!(out, b"before");
}

#[test]
fn a_fault_keeps_the_end_of_its_text_and_whole_characters() {
    // With three bytes at the end, the cut falls within a character of two.
    let text = format!("{}why", "ü".repeat(FAULT_MAX));
    let FromExecutor::Fault { text: kept } = FromExecutor::fault(&text) else {
        panic!("no fault");
    };
    assert!(kept.ends_with("üwhy"));
    assert!(
        (FAULT_MAX - 3..=FAULT_MAX).contains(&kept.len()),
        "{}",
        kept.len()
    );
    assert_eq!(
        FromExecutor::fault("short"),
        FromExecutor::Fault { text: "short" }
    );
}

#[test]
fn a_frame_that_was_lent_is_not_waited_for() {
    let stream = frame(100);
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    let (mut first, mut second) = stream.split_at(50);
    assert_eq!(decoder.next(&mut first), Ok(None));
    assert_eq!(decoder.buffered(), 50);
    assert!(decoder.next(&mut second).unwrap().is_some());
    assert_eq!((decoder.buffered(), decoder.finish()), (0, Ok(())));
}
