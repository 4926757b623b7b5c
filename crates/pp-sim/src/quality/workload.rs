//! What there is to do, from a seed.

use crate::{MS, Rng, S};

use super::{Amounts, Change, Cluster, Job, Trace, What, graphs};

/// The numbers of machines and slots of most workloads.
const MACHINES: usize = 8;
const SLOTS: u32 = 8;

/// All workloads, `1 / divisor` as large as those of the report. Each has chance of its own.
pub fn all(seed: u64, divisor: usize) -> Vec<Trace> {
    let makers: [fn(&mut Rng, usize) -> Trace; 17] = [
        |_, part| uniform("uniform-1ms", MS, 64_000 / part),
        |_, part| uniform("uniform-10ms", 10 * MS, 25_600 / part),
        |_, part| uniform("uniform-1s", S, 64 * (20 / part).max(2)),
        pareto,
        bimodal,
        bursts,
        priorities,
        clients,
        |rng, part| {
            graph(
                "chains",
                graphs::chains(256, 40 / part.min(8), 1_000_000, rng),
            )
        },
        |rng, part| {
            graph(
                "chains-big",
                graphs::chains(96, 24 / part.min(6), 20_000_000, rng),
            )
        },
        |rng, part| graph("fans", graphs::fans((16 / part).max(2), 640, 100_000, rng)),
        |rng, part| graph("lattice", graphs::lattice(96 / part.min(4), 200_000, rng)),
        |rng, part| {
            graph(
                "layers",
                graphs::layers(40 / part.min(8), 256, 500_000, rng),
            )
        },
        |rng, part| {
            graph(
                "tree",
                graphs::tree(8192 / part.next_power_of_two(), 500_000, rng),
            )
        },
        slow_machine,
        churn,
        mixed_resources,
    ];
    let part = divisor.max(1);
    let made = makers.iter().zip(seed..);
    made.map(|(make, seed)| make(&mut Rng::new(seed), part))
        .collect()
}

/// The workload of a name.
pub fn named(name: &str, seed: u64, divisor: usize) -> Option<Trace> {
    all(seed, divisor)
        .into_iter()
        .find(|trace| trace.name == name)
}

fn graph(name: &'static str, jobs: Vec<Job>) -> Trace {
    Trace {
        name,
        jobs,
        cluster: Cluster::ordinary(MACHINES, SLOTS),
    }
}

/// Jobs that all take the same.
fn uniform(name: &'static str, run_time: u64, count: usize) -> Trace {
    graph(name, vec![Job::new(1, run_time); count])
}

/// Heavy tails: Pareto's distribution with a shape of 1.3 from 4 ms on, cut off at 4 s.
fn pareto(rng: &mut Rng, part: usize) -> Trace {
    let jobs = (0..40_000 / part).map(|_| Job::new(1, heavy(rng, 4 * MS, 1.3, 4 * S)));
    graph("pareto", jobs.collect())
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn heavy(rng: &mut Rng, least: u64, shape: f64, most: u64) -> u64 {
    let factor = (1.0 - rng.unit()).powf(-1.0 / shape);
    ((least as f64 * factor) as u64).min(most)
}

/// One function that is short nine times of ten and long else.
fn bimodal(rng: &mut Rng, part: usize) -> Trace {
    let run_time = |rng: &mut Rng| if rng.chance(100) { 200 * MS } else { 2 * MS };
    let jobs = (0..20_000 / part).map(|_| Job::new(1, run_time(rng)));
    graph("bimodal", jobs.collect())
}

/// All at once, and then nothing for a while, again and again.
fn bursts(rng: &mut Rng, part: usize) -> Trace {
    let mut jobs = Vec::new();
    for burst in 0..10 {
        let count = (500 + rng.index(2_500)) / part;
        let release = burst * 500 * MS;
        jobs.extend((0..count).map(|_| Job {
            release,
            ..Job::new(1, rng.between(5 * MS, 15 * MS))
        }));
    }
    graph("bursts", jobs)
}

/// Much to do, and now and then something that is urgent.
fn priorities(rng: &mut Rng, part: usize) -> Trace {
    let mut jobs: Vec<Job> = (0..16_000 / part)
        .map(|_| Job::new(1, around(rng, 20 * MS)))
        .collect();
    let end = 5 * S / part as u64;
    jobs.extend((0..400 / part).map(|_| Job {
        release: rng.below(end),
        priority: 1,
        ..Job::new(2, around(rng, 20 * MS))
    }));
    graph("priorities", jobs)
}

/// One client that has very much to do, and twenty that have little and come later.
fn clients(rng: &mut Rng, part: usize) -> Trace {
    let mut jobs: Vec<Job> = (0..32_000 / part)
        .map(|_| Job::new(1, around(rng, 10 * MS)))
        .collect();
    for client in 1..=20 {
        let release = rng.below(4 * S / part as u64);
        jobs.extend((0..100).map(|_| Job {
            release,
            client,
            ..Job::new(1 + client, around(rng, 10 * MS))
        }));
    }
    graph("clients", jobs)
}

/// One machine is a third as fast as the others.
fn slow_machine(rng: &mut Rng, part: usize) -> Trace {
    let jobs = (0..12_800 / part).map(|_| Job::new(1, around(rng, 30 * MS)));
    let mut trace = graph("slow-machine", jobs.collect());
    trace.cluster.machines[3].speed = 33;
    trace
}

/// Machines come and go, and one slows down.
fn churn(rng: &mut Rng, part: usize) -> Trace {
    let jobs = (0..19_200 / part).map(|_| Job::new(1, around(rng, 30 * MS)));
    let mut trace = graph("churn", jobs.collect());
    let unit = 9 * S / part as u64 / 12;
    let change = |at: u64, machine, what| Change {
        at: at * unit,
        machine,
        what,
    };
    trace.cluster.changes = vec![
        change(1, 6, What::Joins),
        change(3, 0, What::Leaves),
        change(4, 2, What::Speed(40)),
        change(5, 7, What::Joins),
        change(7, 1, What::Leaves),
        change(8, 0, What::Joins),
    ];
    trace
}

/// Jobs of six kinds, mixed, on machines that differ: two have GPUs, and two much memory.
fn mixed_resources(rng: &mut Rng, part: usize) -> Trace {
    let need = |slots, gpus, memory| Amounts {
        slots,
        gpus,
        memory,
    };
    let kinds = [
        (4_000, need(1, 0, 0), 50),
        (500, need(2, 0, 0), 80),
        (125, need(4, 0, 0), 100),
        (50, need(8, 0, 0), 80),
        (250, need(1, 1, 0), 120),
        (250, need(1, 0, 24), 80),
    ];
    let mut jobs = Vec::new();
    for (function, (count, needs, mean)) in (1..).zip(kinds) {
        jobs.extend((0..count / part).map(|_| Job {
            needs,
            ..Job::new(function, around(rng, mean * MS))
        }));
    }
    for last in (1..jobs.len()).rev() {
        jobs.swap(last, rng.index(last + 1));
    }
    let mut trace = graph("mixed-resources", jobs);
    for (number, machine) in trace.cluster.machines.iter_mut().enumerate() {
        machine.gpus = if number % 4 == 1 { 4 } else { 0 };
        machine.memory = if number % 4 == 2 { 256 } else { 64 };
    }
    trace
}

fn around(rng: &mut Rng, mean: u64) -> u64 {
    rng.between(mean / 2, mean + mean / 2)
}
