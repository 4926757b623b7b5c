//! The parent's end of a link in use: whatever an authenticated but broken node says.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_fuzz::{meter, said::ByNode};
use pp_runtime::fuzzing::Gateway;

/// What a server takes, and for each byte that has come.
const SERVER: usize = 1 << 20;
const BYTE: usize = 128;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Node(ByNode<'a>),
    Submit(&'a [u8], &'a [u8]),
    Beat,
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let said: Vec<Vec<u8>> = steps.iter().map(frame).collect();
    let submitted = steps.iter().map(|step| match step {
        Step::Submit(function, args) => 16 + function.len() + args.len(),
        Step::Node(_) | Step::Beat => 16,
    });
    let len = submitted.sum::<usize>() + said.iter().map(Vec::len).sum::<usize>();
    meter::at_most(SERVER + BYTE * len, || {
        let mut gateway = Gateway::new().expect("the system has means");
        for (step, frame) in steps.iter().zip(&said) {
            match step {
                Step::Node(_) => {
                    if gateway.hear_node(frame).is_some() {
                        break;
                    }
                }
                Step::Submit(function, args) => gateway.submit(function, args),
                Step::Beat => gateway.beat(),
            }
        }
    });
});

fn frame(step: &Step<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    if let Step::Node(message) = step {
        message.append_to(&mut out);
    }
    out
}
