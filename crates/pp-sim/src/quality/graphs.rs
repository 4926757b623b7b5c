//! Jobs that need each other.

use crate::{MS, Rng};

use super::Job;

/// A job of a graph.
fn job(function: u32, run_time: u64, inputs: Vec<usize>, output: u64) -> Job {
    Job {
        inputs,
        output,
        ..Job::new(function, run_time)
    }
}

/// Run times around a mean, evenly spread from half of it to one and a half.
fn around(rng: &mut Rng, mean: u64) -> u64 {
    rng.between(mean / 2, mean + mean / 2)
}

/// Chains side by side: in each, every job needs the one before.
pub(super) fn chains(count: usize, length: usize, output: u64, rng: &mut Rng) -> Vec<Job> {
    let mut jobs = Vec::new();
    for step in 0..length {
        for chain in 0..count {
            let inputs = if step == 0 {
                Vec::new()
            } else {
                vec![(step - 1) * count + chain]
            };
            let run_time = around(rng, 20 * MS);
            jobs.push(job(u32::from(step > 0), run_time, inputs, output));
        }
    }
    jobs
}

/// Stages: many jobs that all need what one has made, and one that needs what all have made.
pub(super) fn fans(stages: usize, width: usize, output: u64, rng: &mut Rng) -> Vec<Job> {
    let mut jobs = vec![job(0, 5 * MS, Vec::new(), output)];
    for _ in 0..stages {
        let hub = jobs.len() - 1;
        let arms = hub + 1..hub + 1 + width;
        for _ in arms.clone() {
            let run_time = around(rng, 20 * MS);
            jobs.push(job(1, run_time, vec![hub], output / 16));
        }
        jobs.push(job(2, 5 * MS, arms.collect(), output));
    }
    jobs
}

/// A square lattice: each job needs its neighbours above and to the left.
pub(super) fn lattice(side: usize, output: u64, rng: &mut Rng) -> Vec<Job> {
    let mut jobs = Vec::new();
    for row in 0..side {
        for column in 0..side {
            let mut inputs = Vec::new();
            if row > 0 {
                inputs.push((row - 1) * side + column);
            }
            if column > 0 {
                inputs.push(row * side + column - 1);
            }
            let run_time = around(rng, 10 * MS);
            jobs.push(job(0, run_time, inputs, output));
        }
    }
    jobs
}

/// Layers: each job needs up to three of the layer before.
pub(super) fn layers(count: usize, width: usize, output: u64, rng: &mut Rng) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for layer in 0..count {
        for _ in 0..width {
            let mut inputs = Vec::new();
            if layer > 0 {
                let first = (layer - 1) * width;
                inputs = (0..rng.between(1, 3))
                    .map(|_| first + rng.index(width))
                    .collect();
                inputs.sort_unstable();
                inputs.dedup();
            }
            let function = u32::try_from(layer % 4).unwrap_or(0);
            let run_time = rng.magnitude(4 * MS, 60 * MS);
            jobs.push(job(function, run_time, inputs, output));
        }
    }
    jobs
}

/// Leaves, and a tree of jobs that join two each.
pub(super) fn tree(leaves: usize, output: u64, rng: &mut Rng) -> Vec<Job> {
    let mut jobs = Vec::new();
    for _ in 0..leaves {
        let run_time = around(rng, 20 * MS);
        jobs.push(job(0, run_time, Vec::new(), output));
    }
    let mut first = 0;
    let mut width = leaves;
    while width > 1 {
        let next = jobs.len();
        for pair in 0..width / 2 {
            let inputs = vec![first + 2 * pair, first + 2 * pair + 1];
            let run_time = around(rng, 10 * MS);
            jobs.push(job(1, run_time, inputs, output));
        }
        (first, width) = (next, width / 2);
    }
    jobs
}
