//! How users name nodes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_fuzz::meter;
use pp_runtime::{Target, parse};

/// As many names as a range may stand for, as long as they may be, and what holds them.
const MOST: usize = 64 << 20;

fuzz_target!(|text: &str| {
    let Ok(targets) = meter::at_most(MOST, || parse(text)) else {
        return;
    };
    assert!(!targets.is_empty());
    // All names of a range are alike.
    for target in [&targets[0], &targets[targets.len() - 1]] {
        // With its port, it reads as the addresses behind a name.
        if matches!(target, Target::Host { host, .. } if host == "dns") {
            continue;
        }
        let name = target.name();
        assert_eq!(parse(&name).as_deref(), Ok(&[target.clone()][..]), "{name}");
    }
});
