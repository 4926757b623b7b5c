//! What has come of a run, in figures.

use std::collections::BTreeMap;

use crate::Violation;

use super::{Counts, Outcome, Policy, Trace, run};

/// How long jobs have waited after they were ready, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// Of all, divided by their number.
    pub mean: u64,
    /// That of one in a hundred is longer.
    pub p99: u64,
}

impl Delay {
    fn of(mut delays: Vec<u64>) -> Self {
        if delays.is_empty() {
            return Self::default();
        }
        delays.sort_unstable();
        let count = delays.len();
        Self {
            mean: delays.iter().sum::<u64>() / count as u64,
            p99: delays[(count * 99 / 100).min(count - 1)],
        }
    }
}

/// The figures of a policy and a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The workload.
    pub workload: &'static str,
    /// The policy.
    pub policy: &'static str,
    /// From the first release to when the client knew of the last end, in nanoseconds.
    pub makespan: u64,
    /// Of all jobs.
    pub delay: Delay,
    /// Of those of each priority.
    pub by_priority: BTreeMap<i32, Delay>,
    /// Jain's index of what clients have got; 1 if there is one client.
    pub fairness: f64,
    /// What else it took.
    pub counts: Counts,
    /// How often jobs have begun: more than there are if machines were lost.
    pub begins: u64,
}

impl Report {
    /// Lets a policy do what there is to do.
    pub fn of<P: Policy>(policy: &mut P, trace: &Trace) -> Result<Self, Violation> {
        let name = policy.name();
        let (outcomes, counts) =
            run(policy, trace).map_err(|it| it.at(&format!("{name}, {}", trace.name)))?;
        let first = trace.jobs.iter().map(|job| job.release).min().unwrap_or(0);
        let last = outcomes.iter().map(|it| it.known).max().unwrap_or(first);
        let mut by_priority: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
        for (job, outcome) in trace.jobs.iter().zip(&outcomes) {
            let delays = by_priority.entry(job.priority).or_default();
            delays.push(outcome.begun - outcome.ready);
        }
        let all = by_priority.values().flatten().copied().collect();
        let each = by_priority.into_iter();
        Ok(Self {
            workload: trace.name,
            policy: name,
            makespan: last - first,
            delay: Delay::of(all),
            by_priority: each.map(|(key, it)| (key, Delay::of(it))).collect(),
            fairness: fairness(trace, &outcomes),
            counts,
            begins: outcomes.iter().map(|it| u64::from(it.begins)).sum(),
        })
    }
}

/// Jain's index (Jain, Chiu, Hawe, 1984) of how fast clients got their work done: the time
/// that each would need with an equal share of the machines to itself, by the time that it took,
/// 1 at the most.
#[allow(clippy::cast_precision_loss)] // figures for people
fn fairness(trace: &Trace, outcomes: &[Outcome]) -> f64 {
    let mut clients: BTreeMap<u32, (u64, u64, u64)> = BTreeMap::new();
    for (job, outcome) in trace.jobs.iter().zip(outcomes) {
        let (work, from, to) = clients.entry(job.client).or_insert((0, u64::MAX, 0));
        *work += job.run_time;
        *from = job.release.min(*from);
        *to = outcome.known.max(*to);
    }
    let speed = trace.cluster.capacity().iter().map(|it| it.speed).max();
    let share = speed.unwrap_or(100) as f64 / 100.0 / clients.len() as f64;
    let got =
        |(work, from, to): (u64, u64, u64)| (work as f64 / share / (to - from) as f64).min(1.0);
    let got: Vec<f64> = clients.into_values().map(got).collect();
    let (sum, squares) = got.iter().fold((0.0, 0.0), |(sum, squares), it| {
        (sum + it, squares + it * it)
    });
    sum * sum / (got.len() as f64 * squares)
}
