//! The body of a frame from an executor.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_proto::FromExecutor;
use pp_proto::limits::{FRAME_MAX, PREFIX_LEN};

fuzz_target!(|body: &[u8]| {
    let Ok(message) = FromExecutor::decode(body) else {
        return;
    };
    let mut frame = Vec::new();
    message
        .encode(&mut frame)
        .expect("what decodes keeps the rules");
    assert!(frame.len() <= PREFIX_LEN + FRAME_MAX);
    assert_eq!(FromExecutor::decode(&frame[PREFIX_LEN..]), Ok(message));
});
