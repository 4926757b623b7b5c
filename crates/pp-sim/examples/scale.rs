//! How large clusters may get: up to 10,000 nodes with 64 workers each, and 10 million jobs.
//!
//! `cargo run --release -p pp-sim --example scale -- [csv file] [most nodes]`
//!
//! Prints what each size costs, and writes the same into a file of comma-separated values:
//! decisions of all schedulers in a second of real time, the work of the simulator included;
//! bytes that a queued job takes in its client; how busy workers are; and how long it took,
//! in virtual time, against what cannot be beaten.

use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};
use std::time::Instant;

use pp_sim::{JobSpec, MS, Path, Rng, S, Settings, Setup, Simulation, US};

const WORKERS: u32 = 64;

/// Jobs for each worker, and a few.
const JOBS_PER_NODE: usize = 1_000;

/// When jobs are submitted: all nodes have joined, and their workers run.
const START: u64 = 2 * S;

/// The columns.
const HEAD: &str = "nodes,workers,jobs,real_s,events,decisions,decisions_per_s,messages,\
                    recalls,bytes_per_job,peak_bytes,makespan_s,ideal_s,utilisation";

fn cluster(nodes: usize, rng: &mut Rng) -> (Setup, u64) {
    let settings = Settings {
        check_every: 0,
        ..Settings::default()
    };
    let mut setup = Setup::new(1, settings);
    let client = setup.client(0);
    for _ in 0..nodes {
        let node = setup.node(WORKERS, 100);
        let delay = rng.between(100 * US, 2 * MS);
        setup.link(client, node, Path::new(delay));
    }
    let jobs: Vec<JobSpec> = (0..nodes * JOBS_PER_NODE)
        .map(|_| JobSpec::new(1, rng.between(200 * MS, 600 * MS)))
        .collect();
    let work = jobs.iter().map(|job| job.run_time).sum();
    setup.submit(client, START, jobs);
    (setup, work)
}

/// A figure of this process in `/proc`, in bytes; none where there is no such thing.
fn memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let figure = line.split_ascii_whitespace().nth(1)?;
    Some(figure.parse::<u64>().ok()? * 1024)
}

/// Lets the jobs be submitted, and says by how much memory has grown.
fn submit(simulation: &mut Simulation) -> Result<Option<u64>, Box<dyn Error>> {
    simulation.pass(START - 1)?;
    let before = memory("VmRSS:");
    simulation.pass(1)?;
    Ok(memory("VmRSS:")
        .zip(before)
        .map(|(after, before)| after.saturating_sub(before)))
}

#[allow(clippy::cast_precision_loss, clippy::disallowed_methods)] // figures for people; real time
fn measure(nodes: usize) -> Result<String, Box<dyn Error>> {
    let (setup, work) = cluster(nodes, &mut Rng::new(7));
    let jobs = nodes * JOBS_PER_NODE;
    let workers = nodes as u64 * u64::from(WORKERS);
    let begin = Instant::now();
    let mut simulation = setup.start()?;
    let grown = submit(&mut simulation)?;
    simulation.run(1_000 * S)?;
    let real = begin.elapsed().as_secs_f64();
    let report = simulation.report();
    if report.done != jobs || report.losses > 0 {
        return Err(format!("something went wrong: {report:?}").into());
    }
    let took = report.last_end - START;
    let ideal = work / workers;
    let each =
        |bytes: Option<u64>| bytes.map_or(String::new(), |bytes| (bytes / jobs as u64).to_string());
    let peak = memory("VmHWM:").map_or(String::new(), |bytes| bytes.to_string());
    let utilisation = report.busy as f64 / (workers as f64 * took as f64);
    Ok(format!(
        "{nodes},{workers},{jobs},{real:.2},{},{},{:.0},{},{},{},{peak},{:.3},{:.3},{utilisation:.4}",
        report.events,
        report.decisions,
        report.decisions as f64 / real,
        report.messages,
        report.recalls,
        each(grown),
        took as f64 / 1e9,
        ideal as f64 / 1e9,
    ))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "scale.csv".into());
    let most: usize = arguments.next().map_or(Ok(10_000), |text| text.parse())?;
    let mut file = File::create(path)?;
    let mut tell = |line: &str| -> std::io::Result<()> {
        writeln!(file, "{line}")?;
        writeln!(stdout(), "{line}")
    };
    tell(HEAD)?;
    for nodes in [10, 100, 1_000, 10_000]
        .into_iter()
        .filter(|&nodes| nodes <= most)
    {
        tell(&measure(nodes)?)?;
    }
    Ok(())
}
