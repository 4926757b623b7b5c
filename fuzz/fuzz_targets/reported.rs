//! How a node reports the failure of a job.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_runtime::fuzzing::reported;

fuzz_target!(|bytes: &[u8]| {
    let (text, again) = meter::at_most(4096 + 16 * bytes.len(), || reported(bytes));
    assert_eq!(reported(&again).0, text);
});
