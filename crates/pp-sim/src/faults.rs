//! What goes wrong, and how it is mended.

use pp_core::{ExecutorId, JobId};

use crate::engine::{Engine, Parting};
use crate::host::{Power, Role};
use crate::message::Message;
use crate::net::{NODE, PARENT};
use crate::queue::Event;
use crate::simulation::Simulation;
use crate::violation::Violation;
use crate::worker::Phase;

/// One fault. Machines and ways are named by their numbers; all times are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// The program on a machine dies; the machine says so to whoever asks. A node comes
    /// back after some time, with perhaps another number of workers.
    Crash {
        /// Where.
        host: usize,
        /// After how long it comes back.
        lasts: u64,
        /// With how many workers; `None` for as many as before.
        workers: Option<u32>,
    },
    /// The same, but the machine says nothing any more.
    PowerOff {
        /// Where.
        host: usize,
        /// After how long it comes back.
        lasts: u64,
        /// With how many workers; `None` for as many as before.
        workers: Option<u32>,
    },
    /// A machine does nothing for a while, and then goes on.
    Freeze {
        /// Where.
        host: usize,
        /// For how long.
        lasts: u64,
    },
    /// Nothing gets through on a way for a while.
    Partition {
        /// On which.
        path: usize,
        /// For how long.
        lasts: u64,
    },
    /// Every connection on a way is reset.
    Reset {
        /// On which.
        path: usize,
    },
    /// A node says that it goes, goes at last, and comes back.
    Leave {
        /// Which.
        host: usize,
        /// For how long it waits for the jobs that run.
        patience: u64,
        /// After how long it comes back.
        lasts: u64,
    },
    /// A client is destroyed in good order.
    Destroy {
        /// Which.
        host: usize,
    },
    /// A client wants another number of own workers.
    Resize {
        /// Which.
        host: usize,
        /// How many.
        workers: u32,
    },
    /// A worker dies, and with it the job that it runs.
    KillWorker {
        /// On which machine.
        host: usize,
        /// Which of those that run jobs, modulo how many there are.
        number: usize,
    },
    /// A way takes another time from now on.
    Delay {
        /// Which.
        path: usize,
        /// How long it takes.
        delay: u64,
    },
}

/// A fault, and when it happens.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// When, in nanoseconds.
    pub at: u64,
    /// What.
    pub what: What,
}

impl Simulation {
    pub(crate) fn fault(&mut self, number: usize) -> Result<(), Violation> {
        let Some(&Fault { what, .. }) = self.faults.get(number) else {
            return Ok(());
        };
        self.world.counts.faults += 1;
        self.world.trace.note(self.world.now, &what);
        let mend = Event::Mend { number };
        match what {
            What::Crash { host, lasts, .. } => {
                self.crash(host, Power::Down);
                self.world.plan(lasts, mend);
            }
            What::PowerOff { host, lasts, .. } => {
                self.crash(host, Power::Off);
                self.world.plan(lasts, mend);
            }
            What::Freeze { host, lasts } => {
                let until = self.world.now + lasts;
                if let Some(host) = self.world.hosts.get_mut(host) {
                    host.frozen_until = host.frozen_until.max(until);
                }
            }
            What::Partition { path, lasts } => {
                self.world.net.block(path);
                self.world.plan(lasts, mend);
            }
            What::Reset { path } => self.reset(path),
            What::Leave { host, patience, .. } => {
                self.announce_leaving(host)?;
                self.world.plan(patience, mend);
            }
            What::Destroy { host } => return self.destroy_client(host),
            What::Resize { host, workers } => {
                if let Some(engine) = self.engine_of_client(host) {
                    self.with(engine, |engine, world| {
                        engine.scheduler.resize(workers, world.time());
                    })?;
                }
            }
            What::KillWorker { host, number } => return self.kill_worker(host, number),
            What::Delay { path, delay } => {
                if let Some(path) = self.world.net.paths.get_mut(path) {
                    path.delay = delay;
                }
            }
        }
        Ok(())
    }

    /// The end of a fault that lasts.
    pub(crate) fn mend(&mut self, number: usize) -> Result<(), Violation> {
        let Some(&Fault { what, .. }) = self.faults.get(number) else {
            return Ok(());
        };
        match what {
            What::Crash { host, workers, .. } | What::PowerOff { host, workers, .. } => {
                self.restart(host, workers);
            }
            What::Partition { path, .. } if self.world.net.unblock(path) => {
                let world = &mut self.world;
                let (now, rng, queue) = (world.now, &mut world.rng, &mut world.queue);
                world.net.release(path, now, rng, queue);
            }
            What::Leave { host, lasts, .. } => {
                self.stop(host)?;
                self.world.plan(lasts, Event::Restart { host });
            }
            _ => {}
        }
        Ok(())
    }

    /// A machine, or our program on it, is dead.
    pub(crate) fn crash(&mut self, host: usize, power: Power) {
        let Some(entry) = self.world.hosts.get_mut(host) else {
            return;
        };
        if entry.power == Power::Off || entry.power == power {
            return;
        }
        entry.power = power;
        entry.is_leaving = false;
        if entry.role == Role::Client {
            entry.gone_since.get_or_insert(self.world.now);
        }
        let engines = std::mem::take(&mut entry.engines);
        let is_client = entry.role == Role::Client;
        for engine in engines {
            let place = self.engines.get_mut(engine);
            if let Some(dead) = place.and_then(Option::take) {
                self.cut_links(&dead, power == Power::Down);
            }
        }
        if is_client {
            self.world.book.abandon(host);
        }
    }

    /// The ends of links that a dead engine had.
    fn cut_links(&mut self, dead: &Engine, is_told: bool) {
        let nodes = dead.children.values().map(|child| (child.link, PARENT));
        let parent = dead.uplink.iter().map(|uplink| (uplink.link, NODE));
        for (link, end) in nodes.chain(parent) {
            self.world.net.truncate(link, end, self.world.now);
            self.world.hang_up(link, end, is_told);
        }
    }

    /// A node works again.
    pub(crate) fn restart(&mut self, host: usize, workers: Option<u32>) {
        let Some(host) = self.world.hosts.get_mut(host) else {
            return;
        };
        if host.role == Role::Client {
            return;
        }
        host.power = Power::On;
        host.is_leaving = false;
        host.workers = workers.unwrap_or(host.workers);
    }

    /// Both ends of all links on a way hear that they have ended.
    fn reset(&mut self, path: usize) {
        let links = self.world.net.links.iter().enumerate();
        let meant = links.filter(|(_, link)| link.as_ref().is_some_and(|link| link.path == path));
        let meant: Vec<usize> = meant.map(|(number, _)| number).collect();
        for link in meant {
            for end in [PARENT, NODE] {
                self.world.net.truncate(link, end, self.world.now);
                self.world.say(link, end, Message::Closed);
            }
        }
    }

    fn announce_leaving(&mut self, host: usize) -> Result<(), Violation> {
        let Some(entry) = self.world.hosts.get_mut(host) else {
            return Ok(());
        };
        entry.is_leaving = entry.power == Power::On;
        for engine in entry.engines.clone() {
            self.with(engine, |engine, world| {
                if let Some(uplink) = &engine.uplink {
                    world.say(uplink.link, NODE, Message::Leaving);
                }
            })?;
        }
        Ok(())
    }

    /// A node ends, in good order.
    fn stop(&mut self, host: usize) -> Result<(), Violation> {
        let Some(entry) = self.world.hosts.get_mut(host) else {
            return Ok(());
        };
        if entry.power == Power::On {
            entry.power = Power::Down;
        }
        entry.is_leaving = false;
        for engine in entry.engines.clone() {
            self.with(engine, |engine, world| {
                engine.leave_parent(Parting::Destroyed, world);
            })?;
        }
        Ok(())
    }

    fn destroy_client(&mut self, host: usize) -> Result<(), Violation> {
        let Some(engine) = self.engine_of_client(host) else {
            return Ok(());
        };
        let now = self.world.now;
        if let Some(host) = self.world.hosts.get_mut(host) {
            host.gone_since.get_or_insert(now);
        }
        self.with(engine, |engine, world| engine.destroy(world))
    }

    fn kill_worker(&mut self, host: usize, number: usize) -> Result<(), Violation> {
        let host = self.world.hosts.get(host);
        let engines = host.map(|host| host.engines.clone()).unwrap_or_default();
        for engine in engines {
            let runner = self.engine(engine).and_then(|one| one.some_runner(number));
            if let Some((executor, job)) = runner {
                return self.fallible(engine, |engine, world| engine.dies(executor, job, world));
            }
        }
        Ok(())
    }

    /// A job takes its node down, if it still runs there.
    pub(crate) fn take_down(&mut self, engine: usize, executor: ExecutorId, job: JobId) {
        let Some(entry) = self.engine(engine) else {
            return;
        };
        let host = entry.host;
        let worker = entry.workers.get(&executor);
        let runs = worker.is_some_and(|one| one.runs == Some(job) && one.phase != Phase::Dying);
        if runs {
            let is_silent = self.world.rng.chance(500);
            let power = if is_silent { Power::Off } else { Power::Down };
            self.crash(host, power);
            let lasts = self.world.rng.between(200, 2000) * 1_000_000;
            self.world.plan(lasts, Event::Restart { host });
        }
    }
}
