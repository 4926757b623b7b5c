//! Idle workers take over what waits at busy ones.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::MS;
use crate::quality::World;

use super::{Dask, Message, Said, transfer};

/// How often is looked for something to steal.
pub(super) const INTERVAL: u64 = 100 * MS;
/// A task whose inputs take so many times longer than it does is never stolen.
const DEAREST: u64 = 256;

/// A steal that was not answered.
#[derive(Clone, Copy, Debug)]
struct Steal {
    victim: usize,
    thief: usize,
    /// What less the one has to do by it, and what more the other.
    less: u64,
    more: u64,
}

/// All steals that were not answered.
#[derive(Debug, Default)]
pub(super) struct Stealing {
    in_flight: BTreeMap<usize, Steal>,
}

impl Stealing {
    pub(super) fn ended(&mut self, job: usize) {
        self.in_flight.remove(&job);
    }
}

impl Dask {
    /// What a worker has to do once all steals have come to pass.
    fn occupancy(&self, worker: usize) -> u64 {
        let mut occupancy = self.workers[worker].occupancy;
        for steal in self.stealing.in_flight.values() {
            if steal.thief == worker {
                occupancy += steal.more;
            }
            if steal.victim == worker {
                occupancy = occupancy.saturating_sub(steal.less);
            }
        }
        occupancy
    }

    /// How many tasks it will have by then.
    fn count(&self, worker: usize) -> usize {
        let steals = self.stealing.in_flight.values();
        let more = steals.clone().filter(|it| it.thief == worker).count();
        let less = steals.filter(|it| it.victim == worker).count();
        (self.workers[worker].processing.len() + more).saturating_sub(less)
    }

    fn there(&self) -> impl Iterator<Item = usize> {
        (0..self.workers.len()).filter(|&it| self.workers[it].is_there)
    }

    /// Workers with fewer tasks than threads.
    fn idle(&self) -> Vec<usize> {
        let is_idle = |&it: &usize| self.count(it) < self.workers[it].threads;
        self.there().filter(is_idle).collect()
    }

    /// Workers with more tasks than threads, those that have most to do first.
    fn victims(&self) -> Vec<usize> {
        let is_busy = |&it: &usize| self.count(it) > self.workers[it].threads;
        let mut busy: Vec<usize> = self.there().filter(is_busy).collect();
        busy.sort_by_key(|&it| Reverse(self.occupancy(it)));
        busy
    }

    /// How dear it is to move a task: the time that its inputs take by the time that it takes,
    /// as a power of two. None if it is not to be moved.
    fn level(&self, job: usize, world: &World<Message>) -> Option<u32> {
        let it = world.job(job);
        let bytes: u64 = it.inputs.iter().map(|&input| world.job(input).output).sum();
        if bytes == 0 {
            return Some(0);
        }
        let (takes, is_known) = self.duration(job, world);
        if !is_known {
            return None;
        }
        let moves = bytes.saturating_mul(1_000_000_000) / world.cluster().rate.max(1);
        if moves > takes * DEAREST {
            return None;
        }
        // In 64ths, so that what is cheaper than it takes is told apart too.
        Some((moves * 64 / takes.max(1)).max(1).ilog2() + 1)
    }

    /// Asks for tasks that would run sooner elsewhere, the cheapest first.
    pub(super) fn balance(&mut self, world: &mut World<Message>) {
        let mut idle = self.idle();
        if idle.is_empty() || idle.len() == self.there().count() {
            return;
        }
        let mut wanted = Vec::new();
        for (rank, victim) in self.victims().into_iter().enumerate() {
            for &job in self.workers[victim].processing.keys() {
                if let Some(level) = self.level(job, world)
                    && !self.stealing.in_flight.contains_key(&job)
                {
                    let newest = Reverse(self.keys[job]);
                    wanted.push((level, rank, newest, job, victim));
                }
            }
        }
        wanted.sort_unstable();
        for (_, _, _, job, victim) in wanted {
            if idle.is_empty() {
                return;
            }
            let needs = world.job(job).needs;
            let able = idle.iter().filter(|&&it| world.has(it).covers(needs));
            let Some(&thief) = able.min_by_key(|&&it| self.occupancy(it)) else {
                continue;
            };
            if self.count(victim) <= self.workers[victim].threads {
                continue;
            }
            self.steal(job, victim, thief, world);
            idle.retain(|&it| self.count(it) < self.workers[it].threads);
        }
    }

    /// Asks for a task if it gains by that.
    fn steal(&mut self, job: usize, victim: usize, thief: usize, world: &mut World<Message>) {
        let takes = self.duration(job, world).0;
        let (here, there) = (transfer(job, victim, world), transfer(job, thief, world));
        let after = self.occupancy(thief) + there + takes;
        let before = self.occupancy(victim);
        if after + u64::midpoint(here, takes) > before {
            return;
        }
        let less = self.workers[victim].processing.get(&job).copied();
        let steal = Steal {
            victim,
            thief,
            less: less.unwrap_or(0),
            more: there + takes,
        };
        self.stealing.in_flight.insert(job, steal);
        world.send(victim, Message(Said::StealRequest { job, victim }));
    }

    /// On a worker: it gives away what it has not begun.
    pub(super) fn asked(&mut self, job: usize, victim: usize, world: &mut World<Message>) {
        let site = &mut self.sites[victim];
        let key = self.keys[job];
        let is_given = site.waiting.remove(&job) || site.ready.remove(&(key, job));
        let said = Said::StealAnswer {
            job,
            victim,
            is_given,
        };
        world.send(victim, Message(said));
    }

    /// In the scheduler: the task was given away, or not.
    pub(super) fn answered(
        &mut self,
        job: usize,
        victim: usize,
        is_given: bool,
        world: &mut World<Message>,
    ) {
        let Some(steal) = self.stealing.in_flight.remove(&job) else {
            return;
        };
        if !is_given || self.workers[victim].take(job).is_none() {
            return;
        }
        world.note_move();
        if self.workers[steal.thief].is_there {
            self.assign(job, steal.thief, world);
        } else {
            super::Policy::ready(self, job, world);
        }
    }
}
