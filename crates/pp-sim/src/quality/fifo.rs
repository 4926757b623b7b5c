//! FIFO to idle: one queue, and a job is sent when a slot is known to be idle.
//!
//! What one writes first, and what `concurrent.futures` and many task queues do in essence: no
//! slot ever has a job waiting, so each waits for a round trip between two jobs. It knows
//! nothing of run times and data.

use std::collections::{BTreeSet, VecDeque};

use super::{Policy, World};

/// The policy.
#[derive(Debug, Default)]
pub struct Fifo {
    queue: VecDeque<usize>,
    /// What each machine is known to run, or to be about to.
    held: Vec<BTreeSet<usize>>,
    is_there: Vec<bool>,
}

impl Fifo {
    /// The machine with the most idle slots.
    fn idlest(&self, world: &World<<Self as Policy>::Message>) -> Option<usize> {
        let machines = 0..self.held.len();
        let idle = |machine: usize| {
            world
                .slots(machine)
                .saturating_sub(self.held[machine].len())
        };
        let there = machines.filter(|&machine| self.is_there[machine] && idle(machine) > 0);
        there.min_by_key(|&machine| (std::cmp::Reverse(idle(machine)), machine))
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
        self.is_there = vec![false; count];
    }

    fn ready(&mut self, job: usize, _world: &mut World<Sent>) {
        self.queue.push_back(job);
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

    fn result(&mut self, job: usize, machine: usize, _ran: u64, _world: &mut World<Sent>) {
        self.held[machine].remove(&job);
    }

    fn joined(&mut self, machine: usize, _world: &mut World<Sent>) {
        self.is_there[machine] = true;
    }

    fn lost(&mut self, machine: usize, _world: &mut World<Sent>) {
        self.is_there[machine] = false;
        for job in std::mem::take(&mut self.held[machine]).into_iter().rev() {
            self.queue.push_front(job);
        }
    }

    fn settle(&mut self, world: &mut World<Sent>) {
        while let Some(machine) = self.idlest(world)
            && let Some(job) = self.queue.pop_front()
        {
            self.held[machine].insert(job);
            world.send(machine, Sent { job, machine });
        }
    }
}
