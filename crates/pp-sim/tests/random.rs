//! Thousands of clusters from seeds, each with faults of its own.
//!
//! One that fails is printed, and can be looked at again:
//! `PP_SIM_SEED=123 cargo nextest run -p pp-sim --no-capture replay`.

// A test fails by panicking, and prints what repeats it.
#![allow(clippy::panic, clippy::print_stdout)]

use pp_sim::scenario::{Scenario, Size};
use pp_sim::{Report, Violation};

/// How many seeds each of the tests below takes.
const SEEDS: u64 = 400;

fn play(seed: u64) -> Result<Report, Violation> {
    Scenario::new(seed, Size::SMALL)?.play()
}

fn play_all(seeds: std::ops::Range<u64>) {
    let (mut events, mut losses) = (0, 0);
    for seed in seeds.clone() {
        match play(seed) {
            Ok(report) => {
                events += report.events;
                losses += report.losses;
            }
            Err(violation) => panic!(
                "seed {seed}: {violation}\nPP_SIM_SEED={seed} cargo nextest run -p pp-sim --no-capture replay"
            ),
        }
    }
    println!("seeds {seeds:?}: {events} events, {losses} nodes lost");
    assert!(events > 0);
}

macro_rules! batches {
    ($($name:ident: $number:literal,)*) => {
        $(#[test]
        fn $name() {
            play_all($number * SEEDS..($number + 1) * SEEDS);
        })*
    };
}

batches! {
    first_batch: 0,
    second_batch: 1,
    third_batch: 2,
    fourth_batch: 3,
    fifth_batch: 4,
    sixth_batch: 5,
    seventh_batch: 6,
    eighth_batch: 7,
}

/// The scenario of `$PP_SIM_SEED`, with what has happened in it; else a few scenarios
/// twice, which must be the same each time.
#[test]
fn replay() {
    let Some(seed) = std::env::var_os("PP_SIM_SEED") else {
        for seed in 0..20 {
            let (one, two) = (play(seed), play(seed));
            let fingerprint = |result: Result<Report, _>| result.map(|report| report.fingerprint);
            assert_eq!(fingerprint(one), fingerprint(two), "seed {seed}");
        }
        return;
    };
    let seed = seed.to_str().and_then(|text| text.parse().ok());
    let Some(seed) = seed else {
        panic!("$PP_SIM_SEED must be a number");
    };
    let mut scenario = match Scenario::new(seed, Size::SMALL) {
        Ok(scenario) => scenario,
        Err(violation) => panic!("seed {seed}: {violation}"),
    };
    scenario.simulation().keep_trace();
    let result = scenario.play();
    for line in scenario.simulation().trace() {
        println!("{line}");
    }
    match result {
        Ok(report) => println!("seed {seed}: {report:?}"),
        Err(violation) => panic!("seed {seed}: {violation}"),
    }
}
