//! Putting a cluster together.

use std::num::NonZeroU32;

use crate::book::{Amounts, Book, JobSpec};
use crate::engine::Engine;
use crate::faults::Fault;
use crate::host::{Host, Role, Target};
use crate::net::{Net, Path};
use crate::queue::{Event, Queue};
use crate::report::Counts;
use crate::rng::Rng;
use crate::simulation::Simulation;
use crate::trace::Trace;
use crate::violation::Violation;
use crate::world::{Settings, World};

/// A cluster that is being put together.
#[derive(Debug)]
pub struct Setup {
    world: World,
    faults: Vec<Fault>,
}

impl Setup {
    /// Nothing yet. All chance follows from `seed`.
    pub fn new(seed: u64, settings: Settings) -> Self {
        Self {
            world: World {
                now: 0,
                queue: Queue::default(),
                rng: Rng::new(seed),
                hosts: Vec::new(),
                net: Net::default(),
                book: Book::default(),
                settings,
                counts: Counts::default(),
                trace: Trace::default(),
            },
            faults: Vec::new(),
        }
    }

    /// Adds a client with so many workers of its own, and gives its number among machines.
    pub fn client(&mut self, workers: u32) -> usize {
        self.host(Host::new(Role::Client, workers, 100))
    }

    /// Adds a node with so many workers, `speed` percent as fast as ordinary ones.
    pub fn node(&mut self, workers: u32, speed: u64) -> usize {
        self.host(Host::new(Role::Node, workers, speed))
    }

    fn host(&mut self, host: Host) -> usize {
        self.world.hosts.push(host);
        self.world.hosts.len() - 1
    }

    /// So many of a thousand workers of a machine do not start.
    pub fn failing_starts(&mut self, host: usize, per_mille: u64) {
        if let Some(host) = self.world.hosts.get_mut(host) {
            host.failing_starts = per_mille;
        }
    }

    /// Gives a machine so much of each resource, for each client that uses it.
    pub fn supply(&mut self, host: usize, amounts: Amounts) {
        if let Some(host) = self.world.hosts.get_mut(host) {
            host.supply = amounts;
        }
    }

    /// At a time, a client gives up the jobs that no machine which is there could ever hold.
    pub fn end_hopeless(&mut self, host: usize, at: u64) {
        self.world.queue.push(at, Event::EndHopeless { host });
    }

    /// Lets a client, or a node that is a gateway by that, use a node over a way. Gives the
    /// number of the way.
    pub fn link(&mut self, from: usize, to: usize, path: Path) -> usize {
        self.world.net.paths.push(path);
        let path = self.world.net.paths.len() - 1;
        if let Some(host) = self.world.hosts.get_mut(from) {
            host.targets.push(Target { host: to, path });
        }
        path
    }

    /// A client submits jobs at a time. Gives the number of the first; the others follow.
    pub fn submit(
        &mut self,
        client: usize,
        at: u64,
        jobs: impl IntoIterator<Item = JobSpec>,
    ) -> usize {
        let first = self.world.book.entries.len();
        for job in jobs {
            self.world.book.add(client, job);
        }
        let count = self.world.book.entries.len() - first;
        if count > 0 {
            self.world.queue.push(at, Event::Submit { first, count });
        }
        first
    }

    /// A job is to begin after others of the same client. Those that are not submitted before
    /// it cannot be named, and do not count.
    pub fn after(&mut self, number: usize, others: &[usize]) {
        if let Some(entry) = self.world.book.entries.get_mut(number) {
            entry.after.extend(others);
        }
    }

    /// A client cancels a job at a time. One with an odd number may go on if it has begun.
    pub fn cancel(&mut self, number: usize, at: u64) {
        self.world.queue.push(at, Event::Cancel { number });
    }

    /// A client lets everybody forget a function at a time, if no job uses it then.
    pub fn forget(&mut self, host: usize, function: u32, at: u64) {
        let function = function.into();
        self.world.queue.push(at, Event::Forget { host, function });
    }

    /// A client sets a share of its own at a time.
    pub fn set_share(
        &mut self,
        host: usize,
        share: u64,
        (weight, limit): (NonZeroU32, Option<u32>),
        at: u64,
    ) {
        let event = Event::SetShare {
            host,
            share,
            weight,
            limit,
        };
        self.world.queue.push(at, event);
    }

    /// Something goes wrong.
    pub fn fault(&mut self, fault: Fault) {
        let number = self.faults.len();
        self.world.queue.push(fault.at, Event::Fault { number });
        self.faults.push(fault);
    }

    /// Starts the clients.
    pub fn start(self) -> Result<Simulation, Violation> {
        let mut simulation = Simulation::new(self.world, self.faults);
        let hosts = simulation.world.hosts.iter().enumerate();
        let clients = hosts.filter(|(_, host)| host.role == Role::Client);
        let clients: Vec<usize> = clients.map(|(number, _)| number).collect();
        for host in clients {
            let id = simulation.engines.len();
            let engine = Engine::new(id, host, host, &simulation.world);
            let minds = engine.minds.len();
            simulation.engines.push(Some(Box::new(engine)));
            for mind in 0..minds {
                let dial = Event::Dial { engine: id, mind };
                simulation.world.plan(0, dial);
            }
            if let Some(entry) = simulation.world.hosts.get_mut(host) {
                entry.engines.push(id);
                let workers = entry.workers;
                simulation.with(id, |engine, world| {
                    engine.stock_up(world);
                    engine.scheduler.resize(workers, world.time());
                })?;
            }
        }
        Ok(simulation)
    }
}
