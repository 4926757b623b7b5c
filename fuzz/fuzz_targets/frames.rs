//! A stream of bytes, whole and cut anywhere: both must be read alike.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_proto::limits::PREFIX_LEN;
use pp_proto::{FrameDecoder, FrameError};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Longest frame.
    max: u16,
    /// Lengths of the pieces, used again and again.
    pieces: Vec<u8>,
    stream: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let max = usize::from(input.max);
    let whole = read(max, &[], input.stream);
    let cut = read(max, &input.pieces, input.stream);
    assert_eq!(whole, cut);
});

/// The bodies that were found, and how the stream ended.
fn read(max: usize, pieces: &[u8], stream: &[u8]) -> (Vec<Vec<u8>>, Result<(), FrameError>) {
    let mut decoder = FrameDecoder::new(max);
    let mut bodies = Vec::new();
    let mut lengths = pieces.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let len = lengths
            .next()
            .map_or(rest.len(), |&len| usize::from(len).max(1));
        let (mut piece, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(body)) => {
                    assert!((1..=max).contains(&body.len()));
                    bodies.push(body.to_vec());
                }
                Ok(None) => break,
                Err(error) => return (bodies, Err(error)),
            }
        }
        assert!(piece.is_empty());
        assert!(decoder.buffered() < PREFIX_LEN + max);
    }
    (bodies, decoder.finish())
}
