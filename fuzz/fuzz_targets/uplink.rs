//! The node's end of a link in use: whatever an authenticated but broken parent says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_fuzz::{meter, said::ByParent};
use pp_runtime::fuzzing::Gateway;

/// What a server takes, and for each byte that has come.
const SERVER: usize = 1 << 20;
const BYTE: usize = 128;

fuzz_target!(|steps: Vec<ByParent<'_>>| {
    let said: Vec<Vec<u8>> = steps.iter().map(frame).collect();
    let len = said.iter().map(Vec::len).sum::<usize>();
    meter::at_most(SERVER + BYTE * len, || {
        let mut gateway = Gateway::new().expect("the system has means");
        for frame in &said {
            if gateway.hear_parent(frame).is_some() {
                break;
            }
        }
    });
});

fn frame(step: &ByParent<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    step.append_to(&mut out);
    out
}
