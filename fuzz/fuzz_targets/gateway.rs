//! A server between a parent and a node, both of which say whatever they like.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_fuzz::said::{ByNode, ByParent};
use pp_runtime::fuzzing::Gateway;

/// What a server takes, and for each byte that has come.
const SERVER: usize = 1 << 20;
const BYTE: usize = 128;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Parent(ByParent<'a>),
    Node(ByNode<'a>),
    Beat,
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let said: Vec<Vec<u8>> = steps.iter().map(frame).collect();
    let len = 16 * said.len() + said.iter().map(Vec::len).sum::<usize>();
    meter::at_most(SERVER + BYTE * len, || {
        let mut gateway = Gateway::new().expect("the system has means");
        for (step, frame) in steps.iter().zip(&said) {
            // One that has parted says no more, but the other goes on.
            match step {
                Step::Parent(_) => drop(gateway.hear_parent(frame)),
                Step::Node(_) => drop(gateway.hear_node(frame)),
                Step::Beat => gateway.beat(),
            }
        }
    });
});

fn frame(step: &Step<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match step {
        Step::Parent(message) => message.append_to(&mut out),
        Step::Node(message) => message.append_to(&mut out),
        Step::Beat => {}
    }
    out
}
