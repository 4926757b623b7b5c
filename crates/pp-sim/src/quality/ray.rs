//! What Ray documents for tasks under the default strategy.
//!
//! Sources, read in November 2026:
//! * <https://docs.ray.io/en/latest/ray-core/scheduling/index.html>: a node's score is its
//!   utilisation, 0 below `RAY_scheduler_spread_threshold` (50 %); a node is chosen at random of
//!   the best k, 20 % of all and one at least; for tasks that need large objects, the node that
//!   has most bytes of them comes first;
//! * <https://docs.ray.io/en/latest/ray-core/scheduling/resources.html>: resources are logical
//!   amounts; a node is feasible if it has what is needed, and available if that is free;
//! * "Ray v2 Architecture" (the white paper of October 2022): owners, leases, spillback;
//! * Moritz et al., "Ray: A Distributed Framework for Emerging AI Applications", OSDI 2018: local
//!   schedulers first;
//! * where these leave numbers open, the sources at <https://github.com/ray-project/ray>:
//!   `direct_task_transport`, `hybrid_scheduling_policy`, `ray_config_def.h`.
//!
//! The model, and where it favours Ray:
//! * The owner of the tasks is the client, with a raylet that has no processors. For each
//!   *scheduling key* (client, function, large inputs) it asks for leases, as many at a time as
//!   there are nodes and ten at least. A node grants one when it has a free slot and the large
//!   inputs; else it sends the request on to a node that has a free slot, or keeps it.
//! * A leased worker gets one task after another of the same key from the owner, one at a
//!   time, and is given back when there is none or after 500 ms, so each task costs a round
//!   trip. Objects below 100 kB come with the task.
//! * What a task needs is part of its key. A node's utilisation is that of the resource that is
//!   used most. By the source, tasks without GPUs avoid nodes with some (`scheduler_avoid_gpu_nodes`),
//!   and a raylet passes requests for which it has too little at the moment.
//! * Every raylet knows at any time what is free everywhere, and what is on the way there. (The
//!   real ones hear of it every 100 ms.) So a request that waits goes to a slot as soon as one
//!   becomes free anywhere.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use crate::{MS, Rng};

use super::{Amounts, Policy, World};

/// How long a worker is leased.
const LEASE: u64 = 500 * MS;
/// Objects from this size on stay where they are, and count for locality.
const LARGE: u64 = 100_000;
/// The least number of requests that may be open for each key.
const REQUESTS: usize = 10;

/// What is said, or planned.
#[derive(Debug)]
pub struct Message(Said);

#[derive(Debug)]
enum Said {
    /// To a raylet: a lease is wanted.
    Request { key: usize, machine: usize },
    /// To the owner: it is granted.
    Granted { lease: usize },
    /// To a worker.
    Push { job: usize, lease: usize },
    /// To a raylet: the worker is not needed any more.
    Return { lease: usize },
}

/// Tasks that can use the same lease.
#[derive(Debug)]
struct Key {
    /// Stands for all of them where it is about inputs.
    sample: usize,
    needs: Amounts,
    is_local: bool,
    queue: VecDeque<usize>,
    /// Requests that were not answered, by machine.
    requests: Vec<usize>,
}

/// A worker that the owner may use.
#[derive(Debug)]
struct Lease {
    key: usize,
    machine: usize,
    until: u64,
    runs: Option<usize>,
    is_over: bool,
}

/// A raylet.
#[derive(Debug, Default)]
struct Raylet {
    is_there: bool,
    free: Amounts,
    /// What requests need that are on the way to it.
    coming: Amounts,
    /// Keys of requests that wait for a slot, or for data.
    waiting: VecDeque<usize>,
    fetching: VecDeque<usize>,
}

/// The policy.
#[derive(Debug)]
pub struct Ray {
    rng: Rng,
    keys: Vec<Key>,
    key_of: BTreeMap<(u32, u32, Amounts, Vec<usize>), usize>,
    leases: Vec<Lease>,
    lease_of: BTreeMap<usize, usize>,
    raylets: Vec<Raylet>,
    dirty: Vec<usize>,
}

impl Default for Ray {
    fn default() -> Self {
        Self {
            rng: Rng::new(1),
            keys: Vec::new(),
            key_of: BTreeMap::new(),
            leases: Vec::new(),
            lease_of: BTreeMap::new(),
            raylets: Vec::new(),
            dirty: Vec::new(),
        }
    }
}

impl Ray {
    fn key(&mut self, job: usize, world: &World<Message>) -> usize {
        let it = world.job(job);
        let is_large = |input: &usize| world.job(*input).output >= LARGE;
        let large: Vec<usize> = it.inputs.iter().copied().filter(is_large).collect();
        let is_local = !large.is_empty();
        let keys = &mut self.keys;
        let next = keys.len();
        let entry = self.key_of.entry((it.client, it.function, it.needs, large));
        *entry.or_insert_with(|| {
            keys.push(Key {
                sample: job,
                needs: it.needs,
                is_local,
                queue: VecDeque::new(),
                requests: Vec::new(),
            });
            next
        })
    }

    /// What a node has that nobody uses and nobody is about to get.
    fn free(&self, machine: usize) -> Amounts {
        let raylet = &self.raylets[machine];
        raylet.free.less(raylet.coming)
    }

    /// Nodes that have what a key needs, used or not.
    fn feasible(&self, key: usize, world: &World<Message>) -> impl Iterator<Item = usize> {
        let needs = self.keys[key].needs;
        let all = 0..self.raylets.len();
        all.filter(move |&it| self.raylets[it].is_there && world.has(it).covers(needs))
    }

    /// The hybrid policy: one of the best nodes.
    fn hybrid(&mut self, key: usize, world: &World<Message>) -> Option<usize> {
        let needs = self.keys[key].needs;
        let score = |it: usize| {
            let (has, free) = (world.has(it), self.free(it));
            let is_busy = !free.covers(needs);
            let used = has.all().into_iter().zip(free.all());
            let used = used.filter(|(has, _)| *has > 0);
            let used = used.map(|(has, free)| 1000 * (has - free.min(has)) / has);
            let used = used.max().unwrap_or(0);
            let is_dear = needs.gpus == 0 && has.gpus > 0;
            (is_busy, is_dear, if used < 500 { 0 } else { used }, it)
        };
        let mut scores: Vec<_> = self.feasible(key, world).map(score).collect();
        scores.sort_unstable();
        let best = scores.len().div_ceil(5);
        // Nodes without a free slot are no choice while another has one.
        let &(is_busy, is_dear, ..) = scores.first()?;
        scores.truncate(best);
        scores.retain(|it| (it.0, it.1) == (is_busy, is_dear));
        let chosen = self.rng.index(scores.len());
        scores.get(chosen).map(|it| it.3)
    }

    /// Where the owner asks: where most of the data is, or where the client's raylet says.
    fn choose(&mut self, key: usize, world: &World<Message>) -> Option<usize> {
        let (sample, is_local) = (self.keys[key].sample, self.keys[key].is_local);
        if !is_local {
            return self.hybrid(key, world);
        }
        let there = self.feasible(key, world);
        there.min_by_key(|&it| (world.missing_bytes(sample, it), it))
    }

    /// Asks for as many leases as are of use.
    fn request(&mut self, key: usize, world: &mut World<Message>) {
        let most = REQUESTS.max(self.raylets.len());
        while self.keys[key].requests.len() < self.keys[key].queue.len().min(most) {
            let Some(machine) = self.choose(key, world) else {
                return;
            };
            self.keys[key].requests.push(machine);
            self.expect(key, machine);
            world.send(machine, Message(Said::Request { key, machine }));
        }
    }

    /// A request is on the way to a raylet.
    fn expect(&mut self, key: usize, machine: usize) {
        let coming = &mut self.raylets[machine].coming;
        *coming = coming.plus(self.keys[key].needs);
    }

    /// A raylet gets a request: from the owner, or from another raylet.
    fn requested(&mut self, key: usize, machine: usize, world: &mut World<Message>) {
        if !world.is_up(machine) {
            return;
        }
        let (needs, raylet) = (self.keys[key].needs, &mut self.raylets[machine]);
        raylet.coming = raylet.coming.less(needs);
        if !raylet.free.covers(needs)
            && let Some(other) = self.elsewhere(key, world)
        {
            return self.spill(key, machine, other, world);
        }
        // Large inputs come before a slot is given.
        let sample = self.keys[key].sample;
        if self.keys[key].is_local && world.missing_bytes(sample, machine) > 0 {
            self.raylets[machine].fetching.push_back(key);
            if !world.fetch(sample, machine) {
                return;
            }
            self.raylets[machine].fetching.retain(|&it| it != key);
        }
        self.raylets[machine].waiting.push_back(key);
        self.grant(machine, world);
    }

    /// A node that has what is needed, and free.
    fn elsewhere(&mut self, key: usize, world: &World<Message>) -> Option<usize> {
        let other = self.hybrid(key, world)?;
        let is_free = self.free(other).covers(self.keys[key].needs);
        is_free.then_some(other)
    }

    fn spill(&mut self, key: usize, from: usize, to: usize, world: &mut World<Message>) {
        let requests = &mut self.keys[key].requests;
        if let Some(place) = requests.iter().position(|&it| it == from) {
            requests[place] = to;
        }
        self.expect(key, to);
        world.note_move();
        // The owner is told, and asks there: one way back, and another there.
        let way = world.cluster().machines[from].delay;
        let there = world.cluster().machines[to].delay;
        world.remind(way + there, Message(Said::Request { key, machine: to }));
    }

    /// Takes out the first request of those that wait at a node for which so much is enough.
    fn waiting(&mut self, machine: usize, free: Amounts) -> Option<usize> {
        let waiting = &mut self.raylets[machine].waiting;
        let fits = |&key: &usize| free.covers(self.keys[key].needs);
        let place = waiting.iter().position(fits)?;
        waiting.remove(place)
    }

    fn grant(&mut self, machine: usize, world: &mut World<Message>) {
        while let Some(key) = self.waiting(machine, self.raylets[machine].free) {
            let free = &mut self.raylets[machine].free;
            *free = free.less(self.keys[key].needs);
            let lease = self.leases.len();
            self.leases.push(Lease {
                key,
                machine,
                until: world.now() + LEASE,
                runs: None,
                is_over: false,
            });
            world.send(machine, Message(Said::Granted { lease }));
        }
    }

    /// The owner gives a leased worker its next task, or the worker back.
    fn use_lease(&mut self, lease: usize, world: &mut World<Message>) {
        let entry = &mut self.leases[lease];
        let key = &mut self.keys[entry.key];
        let job = if world.now() < entry.until {
            key.queue.pop_front()
        } else {
            None
        };
        entry.runs = job;
        self.dirty.push(entry.key);
        let machine = entry.machine;
        if let Some(job) = job {
            self.lease_of.insert(job, lease);
            world.send(machine, Message(Said::Push { job, lease }));
        } else {
            entry.is_over = true;
            world.send(machine, Message(Said::Return { lease }));
        }
    }

    /// Requests that wait for a slot go to a node that has one.
    fn look_again(&mut self, to: usize, world: &mut World<Message>) {
        loop {
            let mut all: Vec<usize> = (0..self.raylets.len()).collect();
            all.sort_by_key(|&it| Reverse((self.raylets[it].waiting.len(), it)));
            let free = self.free(to);
            let mut all = all.into_iter();
            let next = all.find_map(|from| Some((self.waiting(from, free)?, from)));
            let Some((key, from)) = next else {
                return;
            };
            self.spill(key, from, to, world);
        }
    }
}

impl Policy for Ray {
    type Message = Message;

    fn name(&self) -> &'static str {
        "ray"
    }

    fn start(&mut self, world: &mut World<Message>) {
        let count = world.cluster().machines.len();
        self.raylets = (0..count).map(|_| Raylet::default()).collect();
    }

    fn ready(&mut self, job: usize, world: &mut World<Message>) {
        let key = self.key(job, world);
        self.keys[key].queue.push_back(job);
        self.dirty.push(key);
    }

    fn fetched(&mut self, job: usize, machine: usize, world: &mut World<Message>) {
        // What a task itself has waited for, or a request of its key.
        if let Some(&lease) = self.lease_of.get(&job)
            && self.leases[lease].machine == machine
            && !self.leases[lease].is_over
        {
            world.begin(job, machine);
            return;
        }
        let keys = &self.keys;
        let fetching = &mut self.raylets[machine].fetching;
        if let Some(place) = fetching.iter().position(|&key| keys[key].sample == job)
            && let Some(key) = fetching.remove(place)
        {
            self.raylets[machine].waiting.push_back(key);
            self.grant(machine, world);
        }
    }

    fn ended(&mut self, _job: usize, _machine: usize, _ran: u64, _world: &mut World<Message>) {}

    fn result(&mut self, job: usize, _machine: usize, _ran: u64, world: &mut World<Message>) {
        if let Some(lease) = self.lease_of.remove(&job)
            && !self.leases[lease].is_over
        {
            self.use_lease(lease, world);
        }
    }

    fn message(&mut self, Message(said): Message, world: &mut World<Message>) {
        match said {
            Said::Request { key, machine } => self.requested(key, machine, world),
            Said::Granted { lease } => {
                let Lease { key, machine, .. } = self.leases[lease];
                let requests = &mut self.keys[key].requests;
                if let Some(place) = requests.iter().position(|&it| it == machine) {
                    requests.swap_remove(place);
                }
                self.use_lease(lease, world);
            }
            Said::Push { job, lease } => {
                let machine = self.leases[lease].machine;
                if world.is_up(machine) && world.fetch(job, machine) {
                    world.begin(job, machine);
                }
            }
            Said::Return { lease } => {
                let machine = self.leases[lease].machine;
                let (raylet, key) = (&mut self.raylets[machine], self.leases[lease].key);
                raylet.free = raylet.free.plus(self.keys[key].needs);
                self.grant(machine, world);
                self.look_again(machine, world);
            }
        }
    }

    fn joined(&mut self, machine: usize, world: &mut World<Message>) {
        let free = world.has(machine);
        self.raylets[machine] = Raylet {
            is_there: true,
            free,
            ..Raylet::default()
        };
        self.look_again(machine, world);
    }

    fn lost(&mut self, machine: usize, _world: &mut World<Message>) {
        self.raylets[machine] = Raylet::default();
        for (number, key) in self.keys.iter_mut().enumerate() {
            key.requests.retain(|&it| it != machine);
            self.dirty.push(number);
        }
        for lease in &mut self.leases {
            if lease.machine == machine
                && !std::mem::replace(&mut lease.is_over, true)
                && let Some(job) = lease.runs.take()
            {
                self.lease_of.remove(&job);
                self.keys[lease.key].queue.push_front(job);
            }
        }
    }

    fn settle(&mut self, world: &mut World<Message>) {
        for key in std::mem::take(&mut self.dirty) {
            self.request(key, world);
        }
    }
}
