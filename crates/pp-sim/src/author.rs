//! Making up a cluster, its jobs and its troubles.

use std::num::NonZeroU32;

use pp_core::Config;

use crate::book::{JobSpec, Kind};
use crate::faults::{Fault, What};
use crate::net::Path;
use crate::rng::Rng;
use crate::scenario::Size;
use crate::setup::Setup;
use crate::world::Settings;
use crate::{MS, S, US};

mod needs;

/// What a scenario may do to its jobs, so that only what it does is excused.
#[derive(Clone, Copy, Debug, Default)]
// Each of these is a choice of its own.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Menace {
    /// Nodes may be lost.
    pub(crate) nodes: bool,
    /// Workers may die.
    pub(crate) workers: bool,
    /// Workers may fail to start.
    pub(crate) starts: bool,
    /// Clients may go.
    pub(crate) clients: bool,
    /// Jobs are cancelled, and workers killed for it, which may have begun others.
    pub(crate) cancels: bool,
    /// Jobs may run for too long, and workers be killed for it.
    pub(crate) limits: bool,
}

/// A cluster that is being made up.
pub(crate) struct Author {
    rng: Rng,
    pub(crate) setup: Setup,
    size: Size,
    clients: Vec<usize>,
    nodes: Vec<usize>,
    paths: Vec<usize>,
    pub(crate) menace: Menace,
    horizon: u64,
}

impl Author {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let mut rng = Rng::new(seed);
        let settings = Settings {
            check_every: size.check_every,
            ..settings(&mut rng)
        };
        Self {
            setup: Setup::new(rng.draw(), settings),
            horizon: rng.magnitude(100 * MS, size.horizon),
            rng,
            size,
            clients: Vec::new(),
            nodes: Vec::new(),
            paths: Vec::new(),
            menace: Menace::default(),
        }
    }

    pub(crate) fn topology(&mut self) {
        for _ in 0..self.rng.count(1, self.size.clients) {
            let workers = if self.rng.chance(300) {
                self.rng.count(1, 2)
            } else {
                0
            };
            let client = self.setup.client(workers);
            self.clients.push(client);
        }
        for _ in 0..self.rng.count(1, self.size.nodes) {
            let node = self.node(3);
            for client in self.clients.clone() {
                if self.rng.chance(850) || node == self.nodes[0] {
                    self.link(client, node);
                }
            }
        }
        if self.rng.chance(50) {
            self.menace.starts = true;
            let per_mille = self.rng.between(50, 400);
            let hosts = self.clients.len() + self.nodes.len();
            (0..hosts).for_each(|host| self.setup.failing_starts(host, per_mille));
        }
    }

    /// Adds a node, and perhaps others behind it: `depth` levels at the most.
    fn node(&mut self, depth: u32) -> usize {
        let is_gateway = depth > 1 && self.rng.chance(250);
        let least = u32::from(!is_gateway);
        let workers = self.rng.count(least, self.size.workers);
        let speed = self.rng.between(25, 200);
        let node = self.setup.node(workers, speed);
        self.nodes.push(node);
        if is_gateway {
            for _ in 0..self.rng.between(1, 2) {
                let behind = self.node(depth - 1);
                self.link(node, behind);
            }
        }
        node
    }

    fn link(&mut self, from: usize, to: usize) {
        let delay = self.rng.magnitude(20 * US, 50 * MS);
        let path = Path {
            jitter: self.rng.below(delay),
            loss: if self.rng.chance(500) {
                0
            } else {
                self.rng.below(40)
            },
            retry: self.rng.magnitude(10 * MS, 400 * MS),
            rate: if self.rng.chance(800) {
                0
            } else {
                self.rng.magnitude(10_000_000, 1_000_000_000)
            },
            ..Path::new(delay)
        };
        let path = self.setup.link(from, to, path);
        self.paths.push(path);
    }

    pub(crate) fn jobs(&mut self) {
        for client in self.clients.clone() {
            let functions: Vec<(u64, u64)> = (0..self.rng.between(1, 3))
                .map(|_| (self.rng.magnitude(10 * US, 400 * MS), self.rng.below(100)))
                .collect();
            let count = self.rng.count(1, self.size.jobs);
            let shares = self.shares(client, count);
            let mut jobs: Vec<JobSpec> = (0..count).map(|_| self.job(&functions)).collect();
            self.settle_terms(&mut jobs, shares);
            self.settle_needs(client, &mut jobs);
            self.spoil(&mut jobs);
            self.poison(&mut jobs);
            let batches = self.rng.index(5) + 1;
            let share = jobs.len().div_ceil(batches);
            while !jobs.is_empty() {
                let rest = jobs.split_off(share.min(jobs.len()));
                let at = if self.rng.chance(300) {
                    0
                } else {
                    self.rng.below(self.horizon)
                };
                self.batch(client, at, jobs);
                jobs = rest;
            }
        }
    }

    /// Sets some shares of a client that will have so many jobs, now and perhaps later. Gives
    /// how many shares there are beside the default one.
    fn shares(&mut self, client: usize, jobs: u32) -> u64 {
        if self.rng.chance(400) {
            return 0;
        }
        let shares = self.rng.between(0, 4);
        for share in 0..=shares {
            let times = self.rng.between(0, 2);
            for time in 0..times {
                let weight = NonZeroU32::MIN.saturating_add(self.rng.count(0, 9));
                // Few places for many jobs would take for ever.
                let least = 1 + jobs / 500;
                let limit = self
                    .rng
                    .chance(600)
                    .then(|| self.rng.count(least, least + 6));
                let at = if time == 0 {
                    0
                } else {
                    self.rng.below(self.horizon)
                };
                self.setup.set_share(client, share, (weight, limit), at);
            }
        }
        shares
    }

    /// Lets jobs belong to shares, and have priorities.
    fn settle_terms(&mut self, jobs: &mut [JobSpec], shares: u64) {
        let plain = self.rng.below(1_000);
        for job in jobs {
            if !self.rng.chance(plain) {
                job.share = self.rng.between(0, shares);
                let level = i32::try_from(self.rng.between(0, 4)).unwrap_or(0);
                job.priority = level - 2;
            }
        }
    }

    fn job(&mut self, functions: &[(u64, u64)]) -> JobSpec {
        let function = self.rng.index(functions.len());
        let (usual, wild) = functions[function];
        let mut run_time = self.rng.between(usual / 2, usual * 3 / 2);
        if self.rng.chance(wild) {
            run_time *= self.rng.between(10, 40);
        }
        JobSpec {
            size: self.rng.count(10, 10_000),
            ..JobSpec::new(u32::try_from(function).unwrap_or(0), run_time)
        }
    }

    /// Lets jobs of a batch begin after others of it: chains, fans, or whatever comes.
    fn dependencies(&mut self, first: usize, count: usize) {
        let (shape, per_mille) = (self.rng.below(3), self.rng.between(100, 1000));
        for place in 1..count {
            if !self.rng.chance(per_mille) {
                continue;
            }
            let others: Vec<usize> = match shape {
                0 => vec![place - 1],
                1 => vec![place / 8],
                _ => (0..self.rng.between(1, 3))
                    .map(|_| self.rng.index(place))
                    .collect(),
            };
            let others: Vec<usize> = others.iter().map(|other| first + other).collect();
            self.setup.after(first + place, &others);
        }
    }

    /// Lets some jobs fail, or take too long.
    fn spoil(&mut self, jobs: &mut [JobSpec]) {
        if self.rng.chance(200) {
            for _ in 0..self.rng.between(1, 5) {
                let victim = self.rng.index(jobs.len());
                let times = self.rng.count(1, 4);
                jobs[victim].kind = Kind::Raises(times);
            }
        }
        if self.rng.chance(400) {
            let outlives_timeout = self.rng.chance(500);
            for job in jobs.iter_mut() {
                job.retries = self.rng.count(0, 4);
                job.pause = self.rng.magnitude(US, S);
                job.outlives_timeout = outlives_timeout;
            }
        }
        if self.rng.chance(300) {
            self.menace.limits = true;
            let per_mille = self.rng.between(50, 1000);
            for job in jobs {
                if self.rng.chance(per_mille) {
                    let percent = self.rng.between(30, 400);
                    job.time_limit = Some(job.run_time * percent / 100);
                }
            }
        }
    }

    /// Lets some jobs take down what runs them.
    fn poison(&mut self, jobs: &mut [JobSpec]) {
        if self.rng.chance(150) {
            self.menace.workers = true;
            for _ in 0..self.rng.between(1, 2) {
                let victim = self.rng.index(jobs.len());
                jobs[victim].kind = Kind::KillsWorker;
            }
        }
        if self.rng.chance(150) {
            self.menace.nodes = true;
            // Where a client runs it by itself, a worker dies of it.
            self.menace.workers = true;
            let victim = self.rng.index(jobs.len());
            jobs[victim].kind = Kind::KillsNode;
        }
    }

    fn batch(&mut self, client: usize, at: u64, jobs: Vec<JobSpec>) {
        let count = jobs.len();
        let first = self.setup.submit(client, at, jobs);
        if self.rng.chance(350) {
            self.dependencies(first, count);
        }
        if self.rng.chance(300) {
            self.menace.cancels = true;
            for _ in 0..self.rng.index(count) {
                let number = first + self.rng.index(count);
                let after = self.rng.magnitude(US, 2 * S);
                self.setup.cancel(number, at + after);
            }
        }
        if self.rng.chance(100) {
            let after = self.rng.magnitude(MS, 4 * S);
            self.setup.forget(client, 0, at + after);
        }
    }

    pub(crate) fn faults(&mut self) {
        if self.rng.chance(200) {
            return;
        }
        for _ in 0..self.rng.count(0, self.size.faults) {
            let at = self.rng.below(self.horizon);
            for (after, what) in self.trouble() {
                let at = at + after;
                self.setup.fault(Fault { at, what });
            }
        }
        if self.rng.chance(120) {
            self.menace.clients = true;
            let host = self.clients[self.rng.index(self.clients.len())];
            let at = self.rng.below(self.horizon);
            let lasts = 0;
            let workers = None;
            let what = match self.rng.below(3) {
                0 => What::Crash {
                    host,
                    lasts,
                    workers,
                },
                1 => What::PowerOff {
                    host,
                    lasts,
                    workers,
                },
                _ => What::Destroy { host },
            };
            self.setup.fault(Fault { at, what });
        }
    }

    /// One trouble: a fault, or some that belong together.
    fn trouble(&mut self) -> Vec<(u64, What)> {
        let host = self.nodes[self.rng.index(self.nodes.len())];
        let path = self.paths[self.rng.index(self.paths.len())];
        let client = self.clients[self.rng.index(self.clients.len())];
        let lasts = self.rng.magnitude(MS, 8 * S);
        let workers = self
            .rng
            .chance(500)
            .then(|| self.rng.count(1, self.size.workers));
        let what = match self.rng.below(12) {
            0 => What::Crash {
                host,
                lasts,
                workers,
            },
            1 => What::PowerOff {
                host,
                lasts,
                workers,
            },
            2 => What::Freeze { host, lasts },
            3 => What::Freeze {
                host: client,
                lasts,
            },
            4 => What::Partition { path, lasts },
            5 => What::Reset { path },
            6 => {
                let patience = self.rng.magnitude(10 * MS, 5 * S);
                What::Leave {
                    host,
                    patience,
                    lasts,
                }
            }
            7 => {
                let workers = self.rng.count(0, 3);
                What::Resize {
                    host: client,
                    workers,
                }
            }
            8 => {
                self.menace.workers = true;
                let number = self.rng.index(100);
                return vec![(0, What::KillWorker { host, number })];
            }
            9 => {
                let delay = self.rng.magnitude(20 * US, 50 * MS);
                What::Delay { path, delay }
            }
            10 => return self.flapping(host),
            _ => return self.flickering(path),
        };
        let is_harmless = matches!(what, What::Resize { .. } | What::Delay { .. });
        self.menace.nodes |= !is_harmless;
        vec![(0, what)]
    }

    /// A node that comes and goes.
    fn flapping(&mut self, host: usize) -> Vec<(u64, What)> {
        self.menace.nodes = true;
        let (lasts, workers) = (self.rng.magnitude(MS, 500 * MS), None);
        let pause = lasts + self.rng.magnitude(10 * MS, S);
        let times = self.rng.between(2, 6);
        let crash = What::Crash {
            host,
            lasts,
            workers,
        };
        (0..times).map(|time| (time * pause, crash)).collect()
    }

    /// A way that comes and goes.
    fn flickering(&mut self, path: usize) -> Vec<(u64, What)> {
        self.menace.nodes = true;
        let lasts = self.rng.magnitude(10 * MS, 2 * S);
        let pause = lasts + self.rng.magnitude(10 * MS, S);
        let times = self.rng.between(2, 6);
        let cut = What::Partition { path, lasts };
        (0..times).map(|time| (time * pause, cut)).collect()
    }
}

fn settings(rng: &mut Rng) -> Settings {
    let several =
        |rng: &mut Rng, most| NonZeroU32::new(rng.count(1, most)).unwrap_or(NonZeroU32::MIN);
    let core = Config {
        max_worker_deaths: several(rng, 3),
        max_node_losses: several(rng, 4),
        ageing: rng.chance(800).then(|| several(rng, 20)),
        jobs_per_executor: rng.chance(100).then(|| several(rng, 5)),
        ..Config::default()
    };
    Settings {
        patience: rng.magnitude(500 * MS, 5 * S),
        wake_up: rng.magnitude(US, 200 * US),
        notice: rng.magnitude(US, 100 * US),
        start_time: rng.magnitude(5 * MS, 200 * MS),
        core,
        ..Settings::default()
    }
}
