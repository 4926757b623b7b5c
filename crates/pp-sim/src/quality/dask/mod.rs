//! What Dask's distributed scheduler documents.
//!
//! Sources, read in November 2026:
//! * <https://distributed.dask.org/en/stable/scheduling-policies.html>: the choice of workers
//!   and of tasks, queueing, `worker-saturation`;
//! * <https://distributed.dask.org/en/stable/work-stealing.html>: stealing;
//! * <https://distributed.dask.org/en/stable/resources.html>: what a worker has is what it says of
//!   itself, names and amounts without a meaning, and it runs no more at a time than these allow;
//! * where these leave numbers open, `distributed/scheduler.py` and `distributed/stealing.py`
//!   of <https://github.com/dask/distributed>: how often is looked for something to steal, and
//!   what a steal must gain.
//!
//! The model, and where it favours Dask:
//! * Each machine is one worker with as many threads as slots, so that data is shared among
//!   them and a task is sent to a machine, not to a slot.
//! * *Root-ish* tasks (more than twice as many in the group as there are threads, fewer than
//!   five different inputs in it) wait in the scheduler, and go to the least busy worker of
//!   those that have fewer than `ceil(1.1 * threads)`. All others go at once to the worker that
//!   would start them soonest, of those that hold an input: by occupancy, and by what is missing
//!   there over the bandwidth. A *group* is a function.
//! * Priority: what the user says, then first come first served between graphs, then depth
//!   first along the longest way, which is what `dask/order.py` strives for.
//! * The scheduler knows the bandwidth of the network exactly, and at once where copies of data
//!   are. The latency that it reckons with for a steal is that of the network, not 100 ms. It
//!   asks for the newest tasks, those that have least likely begun.
//! * Whoever has more tasks than threads may be stolen from, and any task, if its function was
//!   measured; the source asks for more: 200 ms of work at the victim, 5 ms of a task with inputs.
//! * It is looked for something to steal whenever tasks were sent or have ended, as the page says,
//!   and besides every 100 ms, which is all that the source does.
//! * A task needs a thread, and a worker has no other notion of processors. So whoever mixes jobs of
//!   several slots has to give each task slots as a resource. By the source, tasks with resources
//!   are never root-ish: they go at once to a worker that has enough of all in total, whatever is
//!   free there, and may be stolen by such a one. The worker begins the first of them when all
//!   that it needs is free, and nothing before it.
//! * What is expected of a function is a moving average; 0.5 s if nothing is known.

mod order;
mod stealing;

use std::collections::{BTreeMap, BTreeSet};

use crate::MS;

use super::{Policy, World};
use order::{Key, keys};
use stealing::Stealing;

/// `distributed.scheduler.unknown-task-durations`.
const UNKNOWN: u64 = 500 * MS;

/// What is said, or planned.
#[derive(Debug)]
pub struct Message(Said);

#[derive(Debug)]
enum Said {
    /// To a worker.
    Task { job: usize, worker: usize },
    /// To the victim of a steal.
    StealRequest { job: usize, victim: usize },
    /// From it.
    StealAnswer {
        job: usize,
        victim: usize,
        is_given: bool,
    },
    /// To the scheduler, by its clock.
    Balance,
}

/// What the scheduler knows of a worker.
#[derive(Debug, Default)]
struct Worker {
    is_there: bool,
    threads: usize,
    /// Tasks that it has, and what was expected of each, transfers included.
    processing: BTreeMap<usize, u64>,
    occupancy: u64,
    /// Bytes that it holds.
    bytes: u64,
}

impl Worker {
    fn is_full(&self) -> bool {
        // ceil(1.1 * threads)
        self.processing.len() >= (11 * self.threads).div_ceil(10)
    }

    fn take(&mut self, job: usize) -> Option<u64> {
        let expected = self.processing.remove(&job)?;
        self.occupancy -= expected;
        Some(expected)
    }
}

/// What a worker knows itself.
#[derive(Debug, Default)]
struct Site {
    waiting: BTreeSet<usize>,
    ready: BTreeSet<(Key, usize)>,
}

/// The policy.
#[derive(Debug, Default)]
pub struct Dask {
    workers: Vec<Worker>,
    sites: Vec<Site>,
    keys: Vec<Key>,
    is_rootish: BTreeMap<u32, bool>,
    queue: BTreeSet<(Key, usize)>,
    /// Expected run times, by function.
    durations: BTreeMap<u32, u64>,
    stealing: Stealing,
    /// Tasks were sent, or have ended, since it was last looked for something to steal.
    has_news: bool,
}

impl Dask {
    /// What a task is expected to take, and whether that is known.
    fn duration(&self, job: usize, world: &World<Message>) -> (u64, bool) {
        let known = self.durations.get(&world.job(job).function);
        (known.copied().unwrap_or(UNKNOWN), known.is_some())
    }

    fn observe(&mut self, function: u32, ran: u64) {
        let average = self.durations.entry(function).or_insert(ran);
        *average = u64::midpoint(*average, ran);
    }

    fn assign(&mut self, job: usize, worker: usize, world: &mut World<Message>) {
        let expected = self.duration(job, world).0 + transfer(job, worker, world);
        let entry = &mut self.workers[worker];
        entry.processing.insert(job, expected);
        entry.occupancy += expected;
        self.has_news = true;
        world.send(worker, Message(Said::Task { job, worker }));
    }

    /// Where a task that is not root-ish would start soonest.
    fn soonest(&self, job: usize, world: &World<Message>) -> Option<usize> {
        let inputs = world.job(job).inputs.iter();
        let holders = inputs.flat_map(|&input| world.holders(input).iter().copied());
        let mut candidates: Vec<usize> = holders.filter(|&it| self.workers[it].is_there).collect();
        if candidates.is_empty() {
            let all = 0..self.workers.len();
            candidates = all.filter(|&it| self.workers[it].is_there).collect();
        }
        candidates.retain(|&it| world.has(it).covers(world.job(job).needs));
        candidates.into_iter().min_by_key(|&it| {
            let worker = &self.workers[it];
            let wait = worker.occupancy / worker.threads.max(1) as u64;
            (wait + transfer(job, it, world), worker.bytes, it)
        })
    }

    /// The worker with the least tasks for its threads, of those that are not full.
    fn least_busy(&self) -> Option<usize> {
        let all = self.workers.iter().enumerate();
        let open = all.filter(|(_, worker)| worker.is_there && !worker.is_full());
        // Compared as 1/1000 of a thread.
        let busy = |worker: &Worker| 1000 * worker.processing.len() / worker.threads.max(1);
        let best = open.min_by_key(|&(number, worker)| (busy(worker), worker.occupancy, number));
        best.map(|(number, _)| number)
    }

    /// Lets a worker begin what is ready and comes first.
    fn run(&mut self, worker: usize, world: &mut World<Message>) {
        while let Some(&(_, job)) = self.sites[worker].ready.first()
            && world.fits(job, worker)
        {
            self.sites[worker].ready.pop_first();
            world.begin(job, worker);
        }
    }

    fn ready_at(&mut self, job: usize, worker: usize, world: &mut World<Message>) {
        self.sites[worker].ready.insert((self.keys[job], job));
        self.run(worker, world);
    }
}

/// What it takes to bring what a task needs to a worker, but for the way.
fn transfer(job: usize, worker: usize, world: &World<Message>) -> u64 {
    let bytes = u128::from(world.missing_bytes(job, worker));
    let nanos = bytes * 1_000_000_000 / u128::from(world.cluster().rate.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// Which functions' tasks are root-ish.
fn rootish(world: &World<Message>, threads: usize) -> BTreeMap<u32, bool> {
    let mut groups: BTreeMap<u32, (usize, BTreeSet<usize>)> = BTreeMap::new();
    for job in world.jobs() {
        let (size, inputs) = groups.entry(job.function).or_default();
        *size += 1;
        if inputs.len() < 5 {
            inputs.extend(&job.inputs);
        }
    }
    let is_rootish =
        |(size, inputs): (usize, BTreeSet<usize>)| size > 2 * threads && inputs.len() < 5;
    let groups = groups.into_iter();
    groups
        .map(|(function, group)| (function, is_rootish(group)))
        .collect()
}

impl Policy for Dask {
    type Message = Message;

    fn name(&self) -> &'static str {
        "dask"
    }

    fn start(&mut self, world: &mut World<Message>) {
        let count = world.cluster().machines.len();
        self.workers = (0..count).map(|_| Worker::default()).collect();
        self.sites = (0..count).map(|_| Site::default()).collect();
        self.keys = keys(world.trace());
        let threads = (0..count).map(|it| world.slots(it)).sum();
        if world.trace().is_plain() {
            self.is_rootish = rootish(world, threads);
        }
        world.remind(stealing::INTERVAL, Message(Said::Balance));
    }

    fn ready(&mut self, job: usize, world: &mut World<Message>) {
        let is_rootish = self.is_rootish.get(&world.job(job).function) == Some(&true);
        match self.soonest(job, world) {
            Some(worker) if !is_rootish => self.assign(job, worker, world),
            _ => {
                self.queue.insert((self.keys[job], job));
            }
        }
    }

    fn fetched(&mut self, job: usize, machine: usize, world: &mut World<Message>) {
        if self.sites[machine].waiting.remove(&job) {
            self.ready_at(job, machine, world);
        }
    }

    fn ended(&mut self, _job: usize, machine: usize, _ran: u64, world: &mut World<Message>) {
        self.run(machine, world);
    }

    fn result(&mut self, job: usize, machine: usize, ran: u64, world: &mut World<Message>) {
        let it = world.job(job);
        self.observe(it.function, ran);
        let worker = &mut self.workers[machine];
        worker.take(job);
        worker.bytes += it.output;
        self.stealing.ended(job);
        self.has_news = true;
    }

    fn message(&mut self, Message(said): Message, world: &mut World<Message>) {
        match said {
            Said::Task { job, worker } => {
                if !world.is_up(worker) {
                    return;
                }
                if world.fetch(job, worker) {
                    self.ready_at(job, worker, world);
                } else {
                    self.sites[worker].waiting.insert(job);
                }
            }
            Said::StealRequest { job, victim } => self.asked(job, victim, world),
            Said::StealAnswer {
                job,
                victim,
                is_given,
            } => self.answered(job, victim, is_given, world),
            Said::Balance => {
                self.balance(world);
                world.remind(stealing::INTERVAL, Message(Said::Balance));
            }
        }
    }

    fn joined(&mut self, machine: usize, world: &mut World<Message>) {
        self.workers[machine] = Worker {
            is_there: true,
            threads: world.slots(machine),
            ..Worker::default()
        };
    }

    fn lost(&mut self, machine: usize, world: &mut World<Message>) {
        self.sites[machine] = Site::default();
        let gone = std::mem::take(&mut self.workers[machine]);
        for job in gone.processing.into_keys() {
            self.stealing.ended(job);
            self.ready(job, world);
        }
    }

    fn settle(&mut self, world: &mut World<Message>) {
        while let Some(worker) = self.least_busy()
            && let Some((_, job)) = self.queue.pop_first()
        {
            self.assign(job, worker, world);
        }
        if std::mem::take(&mut self.has_news) {
            self.balance(world);
        }
    }
}
