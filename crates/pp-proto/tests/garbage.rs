//! Whatever a peer sends: an error that says so, or a message that keeps the rules.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use common::{Draft, draft};
use pp_proto::limits::{FRAME_MAX, HANDSHAKE_MAX, INLINE_MAX};
use pp_proto::{
    Assembler, AssemblerLimits, CURRENT, DecodeError, FrameDecoder, FrameError, FromExecutor,
    Payload, ToExecutor, Version, VersionMismatch, Violation,
};
use proptest::prelude::*;

const PREFIX: usize = 4;

fn frame_to(message: &ToExecutor<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

fn frame_from(message: &FromExecutor<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

/// Reads `bytes` in both directions to the first error, as a link would do.
fn read_as_a_link(bytes: &[u8], piece: usize, max: usize) {
    let mut decoder = FrameDecoder::new(max);
    let mut assembler = Assembler::new(AssemblerLimits {
        payload: 1 << 40,
        streams: 16,
    });
    for piece in bytes.chunks(piece) {
        let mut input = piece;
        loop {
            match decoder.next(&mut input) {
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next(&mut input), Err(error));
                    return;
                }
                Ok(Some(body)) => {
                    assert!(!body.is_empty() && body.len() <= max);
                    check_both(body, &mut assembler);
                }
            }
        }
        assert!(decoder.buffered() < PREFIX + max);
    }
}

/// What decodes can be encoded again to a message that is equal.
fn check_both(body: &[u8], assembler: &mut Assembler) {
    if let Ok(message) = FromExecutor::decode(body) {
        let again = frame_from(&message);
        assert_eq!(FromExecutor::decode(&again[PREFIX..]).ok(), Some(message));
    }
    let Ok(message) = ToExecutor::decode(body) else {
        return;
    };
    let again = frame_to(&message);
    assert_eq!(ToExecutor::decode(&again[PREFIX..]).ok(), Some(message));
    let stream = pp_proto::Stream::Configure;
    match message {
        ToExecutor::Configure { settings } => drop(assembler.begin(stream, settings)),
        ToExecutor::More { stream, bytes } => drop(assembler.more(stream, bytes)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1..300_usize) {
        read_as_a_link(&bytes, piece, HANDSHAKE_MAX);
        let mut assembler = Assembler::default();
        check_both(&bytes, &mut assembler);
    }

    /// Random fields behind the number of a message get further than random bytes.
    #[test]
    fn random_fields_do_no_harm(number in 0..10_u8, mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        bytes.insert(0, number);
        check_both(&bytes, &mut Assembler::default());
    }

    #[test]
    fn flipped_bits_do_no_harm(
        drafts in prop::collection::vec(draft(), 1..6),
        flips in prop::collection::vec((any::<usize>(), 0..8_u8), 1..4),
        piece in 1..5000_usize,
    ) {
        for from in [false, true] {
            let mut stream = Vec::new();
            for draft in &drafts {
                stream.extend(if from { frame_from(&draft.message_from()) } else { frame_to(&draft.message_to()) });
            }
            for &(at, bit) in &flips {
                let at = at % stream.len();
                stream[at] ^= 1 << bit;
            }
            read_as_a_link(&stream, piece, FRAME_MAX);
        }
    }

    /// A cut frame is not delivered, and a cut body is an error: no message is the
    /// beginning of another.
    #[test]
    fn what_is_cut_short_is_noticed(draft in draft(), cut in any::<usize>()) {
        for frame in [frame_to(&draft.message_to()), frame_from(&draft.message_from())] {
            let cut = cut % frame.len();
            let mut decoder = FrameDecoder::new(FRAME_MAX);
            prop_assert_eq!(decoder.next(&mut &frame[..cut]), Ok(None));
            let expected = if cut < PREFIX { PREFIX } else { frame.len() };
            let truncated = FrameError::Truncated { received: cut, expected };
            prop_assert_eq!(decoder.finish(), if cut == 0 { Ok(()) } else { Err(truncated) });
        }
        let frame = frame_to(&draft.message_to());
        if frame.len() > PREFIX + 1 {
            let body = &frame[PREFIX..PREFIX + cut % (frame.len() - PREFIX)];
            let is_malformed = matches!(ToExecutor::decode(body), Err(DecodeError::Malformed { .. }));
            prop_assert!(is_malformed, "{} of {}", body.len(), frame.len() - PREFIX);
        }
    }

    #[test]
    fn bytes_after_a_message_are_noticed_except_after_hello(draft in draft(), extra in 1..9_usize) {
        let message = draft.message_to();
        let mut frame = frame_to(&message);
        frame.extend(vec![0; extra]);
        let expected = match message {
            ToExecutor::Hello { .. } => Ok(message),
            _ => Err(DecodeError::TrailingBytes { message: message.name(), count: extra }),
        };
        prop_assert_eq!(ToExecutor::decode(&frame[PREFIX..]), expected);
    }
}

#[test]
fn an_unknown_message_is_named_by_its_number() {
    for number in [26_u8, 100] {
        let error = ToExecutor::decode(&[number, 0, 0]).unwrap_err();
        let expected = DecodeError::UnknownMessage {
            sender: "parent",
            number: u32::from(number),
            last: 25,
        };
        assert_eq!(error, expected);
    }
    let error = FromExecutor::decode(&[0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("number 4294967295 from the executor") && text.contains("0 to 18"),
        "{text}"
    );
}

#[test]
fn a_stranger_and_another_major_version_are_told_apart() {
    let greeting = frame_to(&plain(0).message_to());
    let mut body = greeting[PREFIX..].to_vec();
    body[1] = b'H';
    let found = *b"Hp/2";
    assert_eq!(
        ToExecutor::decode(&body),
        Err(DecodeError::BadMagic { found })
    );
    assert_eq!(
        FromExecutor::decode(&body),
        Err(DecodeError::BadMagic { found })
    );

    // All that is known of another major version's greeting is its beginning.
    let body = [b"\0pp/2".as_slice(), &[3, 7], b"and nobody knows what else"].concat();
    let mismatch = VersionMismatch {
        ours: CURRENT,
        theirs: Version { major: 3, minor: 7 },
    };
    assert_eq!(
        ToExecutor::decode(&body),
        Err(DecodeError::Version(mismatch))
    );
    assert_eq!(
        FromExecutor::decode(&body),
        Err(DecodeError::Version(mismatch))
    );
}

#[test]
fn rules_hold_for_what_is_received() {
    let job = |size: u8, head: &[u8]| {
        [&[3, 1, 1, 1, size, u8::try_from(head.len()).unwrap()], head].concat()
    };
    assert!(ToExecutor::decode(&job(2, b"ab")).is_ok());
    assert_eq!(
        ToExecutor::decode(&job(1, b"ab")),
        Err(DecodeError::Violation {
            message: "Job",
            violation: Violation::HeadBeyondSize { len: 2, size: 1 }
        })
    );
    // Number, stream, length.
    let empty_more = [4, 2, 9, 0];
    for error in [
        ToExecutor::decode(&empty_more).unwrap_err(),
        FromExecutor::decode(&empty_more).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "bad More message: a More frame without bytes, for job 9"
        );
    }
    // Number, job, status, time, worker, attempts, output, errors, size, head.
    assert!(FromExecutor::decode(&[3, 1, 0, 1, 0, 0, 2, 1, 2, 2, b'a', b'b']).is_ok());
    assert_eq!(
        FromExecutor::decode(&[3, 1, 0, 1, 0, 0, 3, 0, 2, 2, b'a', b'b']),
        Err(DecodeError::Violation {
            message: "Result",
            violation: Violation::OutputBeyondBody {
                output_len: 3,
                size: 2
            }
        })
    );
    assert!(FromExecutor::decode(&[3, 1, 0, 1, 0, 0, 1, 2, 2, 2, b'a', b'b']).is_err());
    let mut long = vec![1];
    long.extend([0x81, 0x80, 0x04, 0x81, 0x80, 0x04]);
    long.extend(vec![0; INLINE_MAX + 1]);
    assert_eq!(
        ToExecutor::decode(&long),
        Err(DecodeError::Violation {
            message: "Configure",
            violation: Violation::HeadTooLong {
                len: INLINE_MAX + 1
            }
        })
    );
}

#[test]
fn values_that_a_type_does_not_have_are_malformed() {
    let status = [3, 1, 5, 1, 0, 0, 0];
    let stream = [4, 4, 1, 1, b'x'];
    let text = [7, 2, 0xff, 0xfe];
    let flag = [5, 1, 2];
    for (name, body) in [
        ("Result", &status[..]),
        ("More", &stream),
        ("Fault", &text),
        ("Recalled", &flag),
    ] {
        match FromExecutor::decode(body) {
            Err(DecodeError::Malformed { message, .. }) => assert_eq!(message, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(matches!(
        ToExecutor::decode(&[]),
        Err(DecodeError::Malformed {
            message: "unnamed",
            ..
        })
    ));
}

#[test]
fn a_payload_larger_than_its_frame_is_malformed_not_awaited() {
    let mut frame = frame_to(&ToExecutor::Configure {
        settings: Payload::of(b"abc"),
    });
    let head_len = frame.len() - 4;
    frame[head_len] = 4;
    assert!(matches!(
        ToExecutor::decode(&frame[PREFIX..]),
        Err(DecodeError::Malformed {
            message: "Configure",
            ..
        })
    ));
}

fn plain(kind: usize) -> Draft {
    Draft {
        kind,
        numbers: [1, 2, 3, 4],
        small: (0, 1, 2, false),
        bytes: b"abc".to_vec(),
        text: "why".to_owned(),
    }
}
