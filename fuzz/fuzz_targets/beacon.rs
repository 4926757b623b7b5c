//! Packets of discovery, such as anybody can send, and such as only members can.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_runtime::fuzzing::{beacon, sign_beacon};

fuzz_target!(|said: &[u8]| {
    assert_eq!(beacon(said), None, "nobody guesses a signature");
    if let Some(again) = beacon(&sign_beacon(said)) {
        assert_eq!(beacon(&again), Some(again));
    }
});
