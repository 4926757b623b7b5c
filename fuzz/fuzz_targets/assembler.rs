//! Pieces of payloads in any order, beside a model that is too plain to be wrong.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_proto::{Assembler, AssemblerLimits, Payload, Stream};

const STREAMS_MAX: usize = 3;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Begin {
        name: u8,
        size: u64,
        head: &'a [u8],
    },
    BeginSmall {
        name: u8,
        missing: u8,
        head: &'a [u8],
    },
    More {
        name: u8,
        bytes: &'a [u8],
    },
    Discard {
        name: u8,
    },
    Ignore {
        name: u8,
    },
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    payload_max: u64,
    steps: Vec<Step<'a>>,
}

/// What has come of a payload, its size, and whether anybody wants it.
type Model = BTreeMap<Stream, (Vec<u8>, u64, bool)>;

fuzz_target!(|input: Input<'_>| {
    let mut assembler = Assembler::new(AssemblerLimits {
        payload: input.payload_max,
        streams: STREAMS_MAX,
    });
    let mut model = Model::new();
    for step in input.steps {
        let go_on = match step {
            Step::Begin { name, size, head } => begin(
                &mut assembler,
                &mut model,
                input.payload_max,
                stream(name),
                size,
                head,
            ),
            Step::BeginSmall {
                name,
                missing,
                head,
            } => {
                let size = head.len() as u64 + u64::from(missing);
                begin(
                    &mut assembler,
                    &mut model,
                    input.payload_max,
                    stream(name),
                    size,
                    head,
                )
            }
            Step::More { name, bytes } => more(&mut assembler, &mut model, stream(name), bytes),
            Step::Discard { name } => {
                let was_open = model.remove(&stream(name)).is_some();
                assert_eq!(assembler.discard(stream(name)), was_open);
                true
            }
            Step::Ignore { name } => {
                let open = model.get_mut(&stream(name));
                assert_eq!(assembler.ignore(stream(name)), open.is_some());
                if let Some((_, _, wanted)) = open {
                    *wanted = false;
                }
                true
            }
        };
        if !go_on {
            return;
        }
        assert_eq!(assembler.streams(), model.len());
        let wanted = model.values().filter(|(_, _, wanted)| *wanted);
        assert_eq!(
            assembler.buffered(),
            wanted.map(|(bytes, ..)| bytes.len()).sum::<usize>()
        );
    }
});

fn stream(name: u8) -> Stream {
    match name % 5 {
        0 => Stream::Configure,
        1 | 2 => Stream::Function(u64::from(name % 5)),
        _ => Stream::Job(u64::from(name % 5)),
    }
}

/// Whether the link would go on.
fn begin(
    assembler: &mut Assembler,
    model: &mut Model,
    max: u64,
    stream: Stream,
    size: u64,
    head: &[u8],
) -> bool {
    let Ok(payload) = Payload::new(size, head) else {
        return true;
    };
    let complete = size == head.len() as u64;
    let fits =
        size <= max && !model.contains_key(&stream) && (complete || model.len() < STREAMS_MAX);
    match assembler.begin(stream, payload) {
        Ok(Some(bytes)) => assert!(fits && complete && bytes == head),
        Ok(None) => {
            assert!(fits && !complete);
            model.insert(stream, (head.to_vec(), size, true));
        }
        Err(error) => {
            assert!(!fits, "{error}");
            return false;
        }
    }
    true
}

/// Whether the link would go on.
fn more(assembler: &mut Assembler, model: &mut Model, stream: Stream, bytes: &[u8]) -> bool {
    let answer = assembler.more(stream, bytes);
    let Some((all, size, wanted)) = model.get_mut(&stream) else {
        assert!(answer.is_err());
        return false;
    };
    all.extend_from_slice(bytes);
    let received = all.len() as u64;
    if bytes.is_empty() || received > *size {
        assert!(answer.is_err());
        return false;
    }
    let expected = (received == *size && *wanted).then(|| all.clone());
    assert_eq!(answer.expect("it fits").map(Vec::from), expected);
    if received == *size {
        model.remove(&stream);
    }
    true
}
