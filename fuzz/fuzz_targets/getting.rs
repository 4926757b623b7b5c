//! What two nodes say of which one gets something from the other.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_proto::{FrameDecoder, FromExecutor, Payload, Stream, Tail, ToExecutor, limits};
use pp_runtime::fuzzing::{fetch_from, give_to};

/// What a connection takes, and a frame that claims to be as long as it may be.
const CONNECTION: usize = 1 << 20;

#[derive(Debug, Arbitrary)]
enum Input<'a> {
    /// What the one that has it says.
    Gives {
        expected: u64,
        size: u64,
        head: &'a [u8],
        pieces: Vec<(u8, &'a [u8])>,
        rest: &'a [u8],
    },
    /// What the one says that wants it.
    Wants {
        content: &'a [u8],
        right: u8,
        rest: &'a [u8],
    },
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Gives {
        expected,
        size,
        head,
        pieces,
        rest,
    } => {
        let mut said = Vec::new();
        if let Ok(body) = Payload::new(size, head) {
            let carry = FromExecutor::Carry { segment: 0, body };
            carry.encode(&mut said).expect("it keeps the rules");
        }
        for (segment, bytes) in pieces {
            let mut tail = Tail::new(Stream::Segment(u64::from(segment / 128)), bytes, 0);
            while tail.encode(limits::FRAME_MAX, &mut said) > 0 {}
        }
        said.extend_from_slice(rest);
        let room = CONNECTION + 16 * said.len();
        if let Some(got) = meter::at_most(room, || fetch_from(&said, expected)) {
            assert_eq!(got.len() as u64, expected);
        }
    }
    Input::Wants {
        content,
        right,
        rest,
    } => {
        let right = usize::from(right % 4);
        let said = |ticket| {
            let mut said = Vec::new();
            for _ in 0..right {
                let get = ToExecutor::Get { ticket };
                get.encode(&mut said).expect("it keeps the rules");
            }
            said.extend_from_slice(rest);
            said
        };
        let room = CONNECTION + 16 * (content.len() + rest.len());
        let heard = meter::at_most(room, || give_to(said, content)).expect("it always ends");
        let mut decoder = FrameDecoder::new(limits::FRAME_MAX);
        let mut input = heard.as_slice();
        let mut given = 0;
        while let Some(body) = decoder.next(&mut input).expect("the answer is right") {
            match FromExecutor::decode(body).expect("the answer is right") {
                FromExecutor::Carry { .. } => given += 1,
                FromExecutor::More { .. } | FromExecutor::Fault { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(given, right, "only who has the ticket gets it");
        decoder.finish().expect("the answer is whole");
    }
});
