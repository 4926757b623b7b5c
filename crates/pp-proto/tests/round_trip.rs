//! What was said is what is heard, however the bytes were cut on the way.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use bytes::{Buf, Bytes};
use common::{Draft, draft, fragments};
use pp_proto::limits::{FRAME_MAX, INLINE_MAX};
use pp_proto::{Assembler, FrameDecoder, FromExecutor, Payload, Status, Stream, Tail, ToExecutor};
use proptest::prelude::*;

/// Hands each body of `stream`, fed in `fragments`, to `take`.
fn each_body(fragments: &[&[u8]], mut take: impl FnMut(&[u8])) {
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    for fragment in fragments {
        let mut input = *fragment;
        while let Some(body) = decoder.next(&mut input).unwrap() {
            take(body);
        }
        assert!(input.is_empty());
    }
    decoder.finish().unwrap();
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..40)
}

proptest! {
    #[test]
    fn a_batch_to_an_executor_arrives_as_it_was_sent(
        drafts in prop::collection::vec(draft(), 1..12), cuts in cuts()
    ) {
        let mut stream = Vec::new();
        for draft in &drafts {
            draft.message_to().encode(&mut stream).unwrap();
        }
        let mut expected = drafts.iter().map(Draft::message_to);
        each_body(&fragments(&stream, &cuts), |body| {
            assert_eq!(ToExecutor::decode(body).ok(), expected.next());
        });
        prop_assert_eq!(expected.next(), None);
    }

    #[test]
    fn a_batch_from_an_executor_arrives_as_it_was_sent(
        drafts in prop::collection::vec(draft(), 1..12), cuts in cuts()
    ) {
        let mut stream = Vec::new();
        for draft in &drafts {
            draft.message_from().encode(&mut stream).unwrap();
        }
        let mut expected = drafts.iter().map(Draft::message_from);
        each_body(&fragments(&stream, &cuts), |body| {
            assert_eq!(FromExecutor::decode(body).ok(), expected.next());
        });
        prop_assert_eq!(expected.next(), None);
    }

    #[test]
    fn every_cut_of_a_small_stream_gives_the_same_frames(drafts in prop::collection::vec(draft(), 1..3)) {
        let mut stream = Vec::new();
        for draft in &drafts {
            let message = draft.message_to();
            if draft.bytes.len() < 200 {
                message.encode(&mut stream).unwrap();
            }
        }
        let mut whole = Vec::new();
        each_body(&[&stream], |body| whole.push(body.to_vec()));
        for cut in 0..=stream.len() {
            let mut found = Vec::new();
            each_body(&[&stream[..cut], &stream[cut..]], |body| found.push(body.to_vec()));
            prop_assert_eq!(&found, &whole, "cut at {}", cut);
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        let mut found = Vec::new();
        each_body(&single, |body| found.push(body.to_vec()));
        prop_assert_eq!(&found, &whole);
    }

    /// Several large results with output, their pieces interleaved by a link with little
    /// room, come out whole.
    #[test]
    fn large_payloads_share_a_link(
        sizes in prop::collection::vec((0..3 * INLINE_MAX, 0..3 * INLINE_MAX), 1..5),
        rooms in prop::collection::vec(2000..2 * INLINE_MAX, 1..8),
        cuts in cuts(),
    ) {
        let parts: Vec<(Bytes, Bytes)> = sizes
            .iter()
            .map(|&(value, output)| (Bytes::from(vec![b'v'; value]), Bytes::from(vec![b'o'; output])))
            .collect();
        let stream = interleaved(&parts, &rooms);
        let mut assembler = Assembler::default();
        let mut done = vec![None; parts.len()];
        each_body(&fragments(&stream, &cuts), |body| match FromExecutor::decode(body).unwrap() {
            FromExecutor::Result { job, body, .. } => {
                done[usize::try_from(job).unwrap()] = assembler.begin(Stream::Job(job), body).unwrap();
            }
            FromExecutor::More { stream: stream @ Stream::Job(job), bytes } => {
                if let Some(whole) = assembler.more(stream, bytes).unwrap() {
                    done[usize::try_from(job).unwrap()] = Some(whole);
                }
            }
            other => panic!("{other:?}"),
        });
        for ((value, output), done) in parts.iter().zip(&done) {
            prop_assert!(done.as_deref() == Some(&[&value[..], &output[..]].concat()[..]));
        }
        prop_assert_eq!(assembler.streams(), 0);
    }
}

fn interleaved(parts: &[(Bytes, Bytes)], rooms: &[usize]) -> Vec<u8> {
    let (mut stream, mut scratch) = (Vec::new(), Vec::new());
    let mut tails = Vec::new();
    for (job, (value, output)) in (0_u64..).zip(parts) {
        let body = Payload::of_parts(&[value, output], &mut scratch);
        let sent = body.head().len();
        FromExecutor::Result {
            job,
            status: Status::Value,
            run_ns: 1,
            worker: 0,
            attempts: 0,
            output_len: output.len() as u64,
            errors_len: 0,
            body,
        }
        .encode(&mut stream)
        .unwrap();
        let source = value.clone().chain(output.clone());
        tails.push(Tail::new(Stream::Job(job), source, sent));
    }
    let mut rooms = rooms.iter().cycle();
    while tails.iter().any(|tail| tail.remaining() > 0) {
        for tail in &mut tails {
            tail.encode(*rooms.next().unwrap(), &mut stream);
        }
    }
    stream
}
