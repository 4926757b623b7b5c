//! Large clusters with many faults, and many small ones, for as long as is asked for.
//!
//! `cargo run --release -p pp-sim --example soak -- [first seed] [small seeds] [large events]`
//!
//! Ends with what repeats the run if something is wrong. Default: 20,000 small clusters from
//! seed 100,000 on, then large ones until 2,000,000 events have happened.

use std::error::Error;
use std::io::{Write, stdout};

use pp_sim::scenario::{Scenario, Size};
use pp_sim::{Report, Violation};

fn play(seed: u64, size: Size) -> Result<Report, Violation> {
    Scenario::new(seed, size)?.play()
}

fn number(arguments: &[String], place: usize, default: u64) -> Result<u64, Box<dyn Error>> {
    match arguments.get(place) {
        Some(text) => Ok(text.parse()?),
        None => Ok(default),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let first = number(&arguments, 0, 100_000)?;
    let small = number(&arguments, 1, 20_000)?;
    let large = number(&arguments, 2, 2_000_000)?;
    let (mut events, mut losses) = (0, 0);
    for seed in first..first + small {
        let report = play(seed, Size::SMALL).map_err(|wrong| {
            let again = "cargo nextest run -p pp-sim --no-capture replay";
            format!("seed {seed}: {wrong}\nPP_SIM_SEED={seed} {again}")
        })?;
        events += report.events;
        losses += report.losses;
    }
    writeln!(
        stdout(),
        "{small} small clusters: {events} events, {losses} nodes lost, all is well"
    )?;
    let (mut events, mut seed) = (0, first);
    while events < large {
        let report =
            play(seed, Size::LARGE).map_err(|wrong| format!("large seed {seed}: {wrong}"))?;
        events += report.events;
        writeln!(
            stdout(),
            "large cluster {seed}: {} events, {} jobs done, {} nodes lost, {} recalls, {} s",
            report.events,
            report.done,
            report.losses,
            report.recalls,
            report.now / pp_sim::S
        )?;
        seed += 1;
    }
    Ok(())
}
