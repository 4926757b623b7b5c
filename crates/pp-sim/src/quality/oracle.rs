//! Somebody who knows everything, and to whom messages and data come at once.
//!
//! What it reaches shows how near to the optimum a bound is: the optimum without messages and
//! data lies between the two. It begins what has the longest way to the end behind it (Graham's
//! list scheduling by critical path), in the fastest free slot. Of jobs that need more than a slot,
//! those that need most begin first, where they leave the least.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::Violation;

use super::{Amounts, Policy, Trace, World, run};

/// From the first release to the last end, in nanoseconds.
pub fn makespan(trace: &Trace) -> Result<u64, Violation> {
    let mut free = trace.clone();
    free.cluster.wake_up = 0;
    for machine in &mut free.cluster.machines {
        machine.delay = 0;
    }
    for job in &mut free.jobs {
        (job.argument, job.output) = (0, 0);
    }
    let (outcomes, _) = run(&mut Oracle::default(), &free)?;
    let last = outcomes.iter().map(|it| it.known).max().unwrap_or(0);
    let first = trace.jobs.iter().map(|job| job.release).min().unwrap_or(0);
    Ok(last - first)
}

#[derive(Debug, Default)]
struct Oracle {
    /// What is ready, by what it needs and what is to come from its begin on.
    ready: BTreeMap<Reverse<Amounts>, BTreeSet<(Reverse<u64>, usize)>>,
    rest: Vec<u64>,
    running: BTreeMap<usize, usize>,
}

impl Policy for Oracle {
    type Message = ();

    fn name(&self) -> &'static str {
        "oracle"
    }

    fn start(&mut self, world: &mut World<()>) {
        let (spans, tails) = (world.trace().spans(), world.trace().tails());
        self.rest = spans.into_iter().zip(tails).map(|(a, b)| a + b).collect();
    }

    fn ready(&mut self, job: usize, world: &mut World<()>) {
        let ready = self.ready.entry(Reverse(world.job(job).needs)).or_default();
        ready.insert((Reverse(self.rest[job]), job));
    }

    fn fetched(&mut self, _job: usize, _machine: usize, _world: &mut World<()>) {}

    fn ended(&mut self, job: usize, _machine: usize, _ran: u64, _world: &mut World<()>) {
        self.running.remove(&job);
    }

    fn result(&mut self, _job: usize, _machine: usize, _ran: u64, _world: &mut World<()>) {}

    fn message(&mut self, (): (), _world: &mut World<()>) {}

    fn joined(&mut self, _machine: usize, _world: &mut World<()>) {}

    fn lost(&mut self, machine: usize, world: &mut World<()>) {
        let running = self.running.iter();
        let lost = running.filter(|&(_, &at)| at == machine);
        for job in lost.map(|(&job, _)| job).collect::<Vec<_>>() {
            self.running.remove(&job);
            self.ready(job, world);
        }
    }

    fn settle(&mut self, world: &mut World<()>) {
        let machines = 0..world.cluster().machines.len();
        for (&Reverse(needs), jobs) in &mut self.ready {
            let fastest_free = |world: &World<()>| {
                let fit = machines.clone().filter(|&it| world.free(it).covers(needs));
                fit.max_by_key(|&it| {
                    let rest = world.free(it).less(needs);
                    let is_wide = needs.slots > 1;
                    let slots = if is_wide { rest.slots } else { 0 };
                    let rest = (rest.gpus, rest.memory, slots, it);
                    (world.speed(it), Reverse(rest))
                })
            };
            while !jobs.is_empty()
                && let Some(machine) = fastest_free(world)
                && let Some((_, job)) = jobs.pop_first()
            {
                world.begin(job, machine);
                self.running.insert(job, machine);
            }
        }
    }
}
