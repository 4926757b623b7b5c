//! How good decisions are: our scheduler beside FIFO, and what Dask and Ray document.
//!
//! `cargo run --release -p pp-sim --example quality -- [csv file] [workload...]`
//!
//! Prints a table, and writes it into a file of comma-separated values. Each figure is the mean
//! over [`SEEDS`], but for `worst`, the worst ratio. Times are in milliseconds. Ratios are to
//! the bound, which cannot be beaten; `oracle` is that of somebody who knew everything and to
//! whom messages and data came at once.

use std::error::Error;
use std::fs::File;
use std::io::{Write, stdout};

use pp_sim::quality::{Report, Trace, bound, dask, fifo, oracle, ours, ray, workload};

/// Each makes all workloads anew.
const SEEDS: [u64; 5] = [1_000, 2_000, 3_000, 4_000, 5_000];

/// The columns of figures.
const COLUMNS: [&str; 13] = [
    "bound_ms",
    "oracle",
    "ratio",
    "delay_ms",
    "delay_p99_ms",
    "urgent_ms",
    "urgent_p99_ms",
    "fairness",
    "moved_mb",
    "messages",
    "moves",
    "jobs",
    "worst",
];

/// The place of the ratio among them.
const RATIO: usize = 2;

/// What has been found out about a policy and a workload.
struct Row {
    workload: &'static str,
    policy: &'static str,
    sums: [f64; COLUMNS.len() - 1],
    worst: f64,
    runs: f64,
}

impl Row {
    fn means(&self) -> Vec<f64> {
        let means = self.sums.iter().map(|sum| sum / self.runs);
        means.chain([self.worst]).collect()
    }
}

fn reports(trace: &Trace) -> Result<[Report; 4], Box<dyn Error>> {
    let config = pp_core::Config::default();
    Ok([
        Report::of(&mut ours::Ours::new(config), trace)?,
        Report::of(&mut fifo::Fifo::default(), trace)?,
        Report::of(&mut dask::Dask::default(), trace)?,
        Report::of(&mut ray::Ray::default(), trace)?,
    ])
}

#[allow(clippy::cast_precision_loss)] // figures for people
fn figures(trace: &Trace, report: &Report, bound: u64, oracle: u64) -> [f64; COLUMNS.len() - 1] {
    let ms = |nanos: u64| nanos as f64 / 1e6;
    let urgent = report.by_priority.get(&1).copied().unwrap_or_default();
    [
        ms(bound),
        oracle as f64 / bound as f64,
        report.makespan as f64 / bound as f64,
        ms(report.delay.mean),
        ms(report.delay.p99),
        ms(urgent.mean),
        ms(urgent.p99),
        report.fairness,
        report.counts.moved as f64 / 1e6,
        report.counts.messages as f64,
        report.counts.moves as f64,
        trace.jobs.len() as f64,
    ]
}

/// Runs the workloads of a seed, and adds what is found out to the rows.
fn measure(seed: u64, wanted: &[String], rows: &mut Vec<Row>) -> Result<(), Box<dyn Error>> {
    for trace in workload::all(seed, 1) {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == trace.name) {
            continue;
        }
        let bound = bound::makespan(&trace);
        let oracle = oracle::makespan(&trace)?;
        for report in reports(&trace)? {
            let found = figures(&trace, &report, bound, oracle);
            let is_it = |row: &&mut Row| (row.workload, row.policy) == (trace.name, report.policy);
            let Some(row) = rows.iter_mut().find(is_it) else {
                rows.push(Row {
                    workload: trace.name,
                    policy: report.policy,
                    sums: found,
                    worst: found[RATIO],
                    runs: 1.0,
                });
                continue;
            };
            for (sum, figure) in row.sums.iter_mut().zip(found) {
                *sum += figure;
            }
            row.worst = row.worst.max(found[RATIO]);
            row.runs += 1.0;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "quality.csv".into());
    let wanted: Vec<String> = arguments.collect();
    let mut rows = Vec::new();
    for seed in SEEDS {
        measure(seed, &wanted, &mut rows)?;
    }
    let mut file = File::create(path)?;
    write!(file, "workload,policy,{}", COLUMNS.join(","))?;
    let mut terminal = stdout();
    write!(terminal, "{:15} {:6}", "workload", "policy")?;
    for column in COLUMNS {
        write!(terminal, "{column:>14}")?;
    }
    for row in rows {
        write!(file, "\n{},{}", row.workload, row.policy)?;
        write!(terminal, "\n{:15} {:6}", row.workload, row.policy)?;
        for figure in row.means() {
            write!(file, ",{figure:.4}")?;
            write!(terminal, "{figure:>14.3}")?;
        }
    }
    writeln!(file)?;
    writeln!(terminal)?;
    Ok(())
}
