//! Payloads that are sent piece by piece, all at the same time, and put together again.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_proto::limits::FRAME_MAX;
use pp_proto::{Assembler, FrameDecoder, Payload, Piece, Stream, Tail, ToExecutor};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Each with the length of its head.
    payloads: Vec<(&'a [u8], u8)>,
    /// Whose turn it is, and for how much there is room; then all that is left goes.
    turns: Vec<(u8, u16)>,
}

fuzz_target!(|input: Input<'_>| {
    let mut sent = Vec::new();
    let mut tails = Vec::new();
    for (job, &(bytes, head)) in (0..).zip(&input.payloads) {
        let head = usize::from(head).min(bytes.len());
        let args = Payload::new(bytes.len() as u64, &bytes[..head]).expect("it is as it says");
        let message = ToExecutor::Job {
            job,
            ticket: 0,
            function: 0,
            args,
        };
        message.encode(&mut sent).expect("it keeps the rules");
        tails.push(Tail::new(Stream::Job(job), bytes, head));
    }
    let last = (0..tails.len()).map(|number| (number, FRAME_MAX));
    let turns = input.turns.iter();
    let turns = turns.map(|&(number, room)| (usize::from(number), usize::from(room)));
    for (number, room) in turns.chain(last) {
        let Some(tail) = tails.get_mut(number) else {
            continue;
        };
        let (length, remaining) = (sent.len(), tail.remaining());
        let grown = tail.encode(room, &mut sent);
        assert_eq!(sent.len() - length, grown);
        assert!(grown <= room);
        let moves = remaining > 0 && room >= Piece::ROOM_MIN;
        assert_eq!(tail.remaining() < remaining, moves);
    }
    let complete = receive(&sent);
    for (job, (bytes, _)) in (0..).zip(&input.payloads) {
        assert_eq!(complete.get(&job).map(Vec::as_slice), Some(*bytes));
    }
});

/// The payloads by the numbers of their jobs.
fn receive(mut sent: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let mut complete = BTreeMap::new();
    let mut decoder = FrameDecoder::new(FRAME_MAX);
    let mut assembler = Assembler::default();
    while let Some(body) = decoder.next(&mut sent).expect("what was sent is right") {
        let (job, whole) = match ToExecutor::decode(body).expect("what was sent is right") {
            ToExecutor::Job { job, args, .. } => (job, assembler.begin(Stream::Job(job), args)),
            ToExecutor::More {
                stream: stream @ Stream::Job(job),
                bytes,
            } => (job, assembler.more(stream, bytes)),
            other => panic!("nobody has sent {other:?}"),
        };
        if let Some(whole) = whole.expect("what was sent fits together") {
            complete.insert(job, whole.into());
        }
    }
    assert_eq!(assembler.streams(), 0);
    complete
}
