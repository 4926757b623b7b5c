//! What a client wants of the workers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_runtime::fuzzing::settings;

fuzz_target!(|bytes: &[u8]| {
    let again = meter::at_most(1024 + 8 * bytes.len(), || settings(bytes));
    if let Some(again) = again {
        assert_eq!(settings(&again).as_ref(), Some(&again));
    }
});
