//! Everything that can be said before two servers know each other, and right after.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_proto::{CURRENT, FromExecutor, MAGIC, Payload, ToExecutor};
use pp_runtime::fuzzing::{Stranger, hear_as_caller, hear_as_host, shake_hands};

/// What a connection takes, its buffers and keys.
const CONNECTION: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Whom {
    /// In clear, as if TLS had said that it is one of us.
    Caller,
    Host,
    /// Through TLS, or in its place.
    Dials,
    IsDialed,
    TurnsPlain,
    Belongs,
    Offers,
    Gets,
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    whom: Whom,
    /// How many messages are as they should be.
    right: u8,
    settings: u64,
    rest: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let said = said(&input);
    let room = CONNECTION + 16 * said.len();
    meter::at_most(room, || match input.whom {
        Whom::Caller => check_host(&said),
        Whom::Host => drop(hear_as_caller(&said)),
        Whom::Dials => refused(Stranger::Dials, &said),
        Whom::IsDialed => refused(Stranger::IsDialed, &said),
        Whom::TurnsPlain => refused(Stranger::TurnsPlain, &said),
        Whom::Belongs => drop(shake_hands(Stranger::Belongs, &said)),
        Whom::Offers => drop(shake_hands(Stranger::Offers, &said)),
        Whom::Gets => drop(shake_hands(Stranger::Gets, &said)),
    });
});

/// Who has not shown the secret is never let in, whatever they say.
fn refused(stranger: Stranger, said: &[u8]) {
    assert!(shake_hands(stranger, said).is_some(), "{stranger:?} got in");
}

/// A caller gets a greeting or a reason, and nothing that is not in the protocol.
fn check_host(said: &[u8]) {
    let (error, answer) = hear_as_host(said);
    assert!(error.is_some() || !answer.is_empty());
    let mut decoder = pp_proto::FrameDecoder::new(pp_proto::limits::HANDSHAKE_MAX);
    let mut input = answer.as_slice();
    while let Some(body) = decoder.next(&mut input).expect("the answer is right") {
        FromExecutor::decode(body).expect("the answer is right");
    }
    decoder.finish().expect("the answer is whole");
}

fn said(input: &Input<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let to = [
        ToExecutor::Hello {
            magic: MAGIC,
            version: CURRENT,
            features: 0,
        },
        ToExecutor::Introduce {
            python: (3, 11, 0),
            patience_ms: 5_000,
            route: &[7; 32],
            name: "caller",
        },
        ToExecutor::Configure {
            settings: Payload::new(input.settings, b"").expect("an empty head fits"),
        },
    ];
    let from = [
        FromExecutor::Hello {
            magic: MAGIC,
            version: CURRENT,
            features: 0,
            pid: 1,
            python: (3, 11, 0),
        },
        FromExecutor::Introduce {
            node: [7; 16],
            name: "node",
        },
    ];
    let right = usize::from(input.right % 4);
    match input.whom {
        Whom::Caller | Whom::Belongs | Whom::Gets => to
            .iter()
            .take(right)
            .for_each(|message| message.encode(&mut out).expect("it keeps the rules")),
        Whom::Host | Whom::Offers => from
            .iter()
            .take(right)
            .for_each(|message| message.encode(&mut out).expect("it keeps the rules")),
        Whom::Dials | Whom::IsDialed | Whom::TurnsPlain => {}
    }
    out.extend_from_slice(input.rest);
    out
}
