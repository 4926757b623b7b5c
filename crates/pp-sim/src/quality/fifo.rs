//! FIFO to idle: one queue, and a job is sent when a slot is known to be idle.
//!
//! What one writes first, and what `concurrent.futures` and many task queues do in essence: no
//! slot ever has a job waiting, so each waits for a round trip between two jobs. It knows
//! nothing of run times and data. What cannot run anywhere at the moment is passed: it does not
//! hold up what needs less, or something else.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Amounts, Policy, World};

/// The policy.
#[derive(Debug, Default)]
pub struct Fifo {
    /// What waits, by what it needs; with the place of each in the one queue.
    queues: BTreeMap<Amounts, VecDeque<(i64, usize)>>,
    /// The places of the first and the last one.
    ends: (i64, i64),
    /// What each machine is known to run, or to be about to.
    held: Vec<BTreeSet<usize>>,
    /// What is known to be free on each.
    free: Vec<Amounts>,
    is_there: Vec<bool>,
}

impl Fifo {
    /// Of the machines that could run a job at once, the one with the most idle slots.
    fn idlest(&self, needs: Amounts) -> Option<usize> {
        let machines = 0..self.held.len();
        let fit = machines.filter(|&it| self.is_there[it] && self.free[it].covers(needs));
        fit.min_by_key(|&machine| (Reverse(self.free[machine].slots), machine))
    }

    /// The first in the queue that could run at once, and where; it leaves the queue.
    fn next(&mut self) -> Option<(usize, usize)> {
        let queues = self.queues.iter();
        let mut fit: Vec<_> = queues
            .filter_map(|(&needs, queue)| Some((queue.front()?.0, needs)))
            .collect();
        fit.sort_unstable();
        let next = |(_, needs)| Some((needs, self.idlest(needs)?));
        let (needs, machine) = fit.into_iter().find_map(next)?;
        let (_, job) = self.queues.get_mut(&needs)?.pop_front()?;
        Some((job, machine))
    }
}

/// A job arrives at a machine.
#[derive(Debug)]
pub struct Sent {
    job: usize,
    machine: usize,
}

impl Policy for Fifo {
    type Message = Sent;

    fn name(&self) -> &'static str {
        "fifo"
    }

    fn start(&mut self, world: &mut World<Sent>) {
        let count = world.cluster().machines.len();
        self.held = vec![BTreeSet::new(); count];
        self.free = vec![Amounts::default(); count];
        self.is_there = vec![false; count];
    }

    fn ready(&mut self, job: usize, world: &mut World<Sent>) {
        self.ends.1 += 1;
        let queue = self.queues.entry(world.job(job).needs).or_default();
        queue.push_back((self.ends.1, job));
    }

    fn message(&mut self, Sent { job, machine }: Sent, world: &mut World<Sent>) {
        if world.is_up(machine) && world.fetch(job, machine) {
            world.begin(job, machine);
        }
    }

    fn fetched(&mut self, job: usize, machine: usize, world: &mut World<Sent>) {
        world.begin(job, machine);
    }

    fn ended(&mut self, _job: usize, _machine: usize, _ran: u64, _world: &mut World<Sent>) {}

    fn result(&mut self, job: usize, machine: usize, _ran: u64, world: &mut World<Sent>) {
        if self.held[machine].remove(&job) {
            self.free[machine] = self.free[machine].plus(world.job(job).needs);
        }
    }

    fn joined(&mut self, machine: usize, world: &mut World<Sent>) {
        self.is_there[machine] = true;
        self.free[machine] = world.has(machine);
    }

    fn lost(&mut self, machine: usize, world: &mut World<Sent>) {
        self.is_there[machine] = false;
        for job in std::mem::take(&mut self.held[machine]).into_iter().rev() {
            self.ends.0 -= 1;
            let queue = self.queues.entry(world.job(job).needs).or_default();
            queue.push_front((self.ends.0, job));
        }
    }

    fn settle(&mut self, world: &mut World<Sent>) {
        while let Some((job, machine)) = self.next() {
            self.held[machine].insert(job);
            self.free[machine] = self.free[machine].less(world.job(job).needs);
            world.send(machine, Sent { job, machine });
        }
    }
}
