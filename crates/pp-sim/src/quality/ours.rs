//! Our own policy: the real schedulers, of a client and of each machine.
//!
//! The client's [`Scheduler`] has the machines as nodes, with what a message to them and back
//! takes; each machine's has one worker for each slot, and works for the client by a
//! [`Service`], as `ppserver` does. So what is sent ahead, recalls, estimates and latencies are
//! those of the product. What is left out: connections, their death watch, the start of
//! workers, and the functions' bytes, all of which the rest of this crate is about.
//!
//! Data comes with the message that brings a job, so a machine hands a job to its scheduler
//! when all of it has come. The client's scheduler knows the network's rate and where results
//! have stayed, and takes whoever was sent a job to have what that needs. It knows a job's client
//! as a share; machines do not. It counts what jobs need beyond slots, as in the product. Graphs
//! are submitted as a whole, as programs do it; what is released later is submitted then.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;
use std::time::Duration;

use pp_core::{
    Answer, Config, Demand, Effect, Ending, ExecutorId, FunctionId, JobId, Machine, ResourceId,
    Scheduler, Service, ShareId, Terms, Time,
};

use super::{Amounts, Policy, World};

/// The most jobs that the client may have on a machine for each that runs, as in the product.
const CREDIT_PER_SLOT: u32 = 2_048;

/// The client, and a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Client,
    Machine(usize),
}

/// What client and machines say to each other.
#[derive(Debug)]
pub struct Message(Said);

#[derive(Debug)]
enum Said {
    Job {
        machine: usize,
        job: usize,
    },
    Recall {
        machine: usize,
        job: usize,
    },
    Recalled {
        machine: usize,
        job: usize,
        is_back: bool,
    },
    Tick {
        place: Place,
        at: u64,
    },
}

/// A job on a machine.
#[derive(Clone, Copy, Debug)]
struct Work {
    number: usize,
}

/// A worker: the one job that it runs, and those that it has ahead.
#[derive(Debug, Default)]
struct Worker {
    runs: Option<JobId>,
    waiting: VecDeque<JobId>,
}

/// The scheduler of a machine, and what is around it.
#[derive(Debug)]
struct Site {
    scheduler: Scheduler<Work>,
    service: Service,
    workers: BTreeMap<ExecutorId, Worker>,
    /// Which worker runs a job, and its name here.
    running: BTreeMap<usize, (ExecutorId, JobId)>,
    /// Jobs whose data is on the way, and whether they were asked back.
    coming: BTreeMap<usize, bool>,
    tick_at: Option<u64>,
    is_dirty: bool,
}

/// The policy.
#[derive(Debug)]
pub struct Ours {
    config: Config,
    client: Scheduler<usize>,
    /// The client's names for jobs.
    ids: Vec<Option<JobId>>,
    /// Its names for machines, while they are there.
    nodes: Vec<Option<ExecutorId>>,
    sites: Vec<Option<Site>>,
    tick_at: Option<u64>,
}

impl Ours {
    /// With these settings of all schedulers.
    pub fn new(config: Config) -> Self {
        Self {
            client: Scheduler::new(config.clone()),
            config,
            ids: Vec::new(),
            nodes: Vec::new(),
            sites: Vec::new(),
            tick_at: None,
        }
    }

    /// Submits a job, after those that it needs and that were submitted before. Data of others
    /// is where they have run.
    fn submit(&mut self, job: usize, world: &World<Message>) {
        let wanted = world.job(job);
        let function = FunctionId::from_u64(wanted.function.into());
        let inputs = wanted.inputs.iter();
        let after = inputs.filter_map(|&input| self.ids[input]).collect();
        let terms = Terms {
            priority: wanted.priority,
            share: ShareId::from_u64(wanted.client.into()),
            after,
            demand: Demand {
                slots: wanted.needs.slots,
                amounts: amounts(wanted.needs),
            },
            ..Terms::default()
        };
        let submitted = self.client.submit_with(function, &terms, job, time(world));
        self.ids[job] = submitted.ok();
    }

    fn machine_of(&self, executor: ExecutorId) -> Option<usize> {
        self.nodes.iter().position(|&node| node == Some(executor))
    }

    fn settle_client(&mut self, world: &mut World<Message>) {
        while let Some(effect) = self.client.poll() {
            match effect {
                Effect::Send { executor, job } => {
                    let to = self
                        .machine_of(executor)
                        .zip(self.client.data(job).copied());
                    if let Some((machine, job)) = to {
                        world.send(machine, Message(Said::Job { machine, job }));
                    }
                }
                Effect::Recall { executor, job } => {
                    let from = self
                        .machine_of(executor)
                        .zip(self.client.data(job).copied());
                    if let Some((machine, job)) = from {
                        world.send(machine, Message(Said::Recall { machine, job }));
                    }
                }
                Effect::End { data, ending, .. } => {
                    world.fail("all jobs have results", format!("job {data}: {ending:?}"));
                }
                // Nothing is cancelled, and functions are not counted.
                _ => {}
            }
        }
        let deadline = self.client.next_deadline();
        remind(Place::Client, deadline, &mut self.tick_at, world);
    }
}

/// What there is, or is needed, beyond slots.
fn amounts(all: Amounts) -> Vec<(ResourceId, u64)> {
    let resources = [(1, all.gpus), (2, all.memory)].into_iter();
    let some = resources.filter(|&(_, amount)| amount > 0);
    some.map(|(number, amount)| (ResourceId::from_u64(number), amount.into()))
        .collect()
}

/// Sees to it that a scheduler is told when its deadline comes.
fn remind(
    place: Place,
    deadline: Option<Time>,
    tick_at: &mut Option<u64>,
    world: &mut World<Message>,
) {
    let Some(deadline) = deadline else {
        return;
    };
    let at = deadline.as_nanos().max(world.now());
    if tick_at.is_none_or(|planned| at < planned) {
        *tick_at = Some(at);
        let after = at - world.now();
        world.remind(after, Message(Said::Tick { place, at }));
    }
}

fn time(world: &World<Message>) -> Time {
    Time::from_nanos(world.now())
}

fn number(job: usize) -> u64 {
    job as u64
}

impl Site {
    fn new(config: Config, slots: u32, now: Time) -> Self {
        let mut site = Self {
            scheduler: Scheduler::new(config),
            service: Service::default(),
            workers: BTreeMap::new(),
            running: BTreeMap::new(),
            coming: BTreeMap::new(),
            tick_at: None,
            is_dirty: false,
        };
        site.scheduler.resize(slots, now);
        while let Some(effect) = site.scheduler.poll() {
            if let Effect::Start { executor } = effect {
                site.workers.insert(executor, Worker::default());
            }
        }
        for &executor in site.workers.keys() {
            site.scheduler.executor_ready(executor, u32::MAX, now);
        }
        site
    }

    /// A job is here with all that it needs.
    fn submit(&mut self, job: usize, world: &World<Message>) {
        let function = FunctionId::from_u64(world.job(job).function.into());
        let work = Work { number: job };
        let terms = Terms {
            priority: world.job(job).priority,
            demand: Demand {
                slots: world.job(job).needs.slots,
                amounts: Vec::new(),
            },
            ..Terms::default()
        };
        let submitted = self
            .scheduler
            .submit_with(function, &terms, work, time(world));
        if let Ok(id) = submitted {
            self.service.accept(number(job), id);
        }
        self.is_dirty = true;
    }

    /// Carries out all decisions, and tells the client which jobs stay.
    fn settle(&mut self, machine: usize, world: &mut World<Message>) {
        if !std::mem::take(&mut self.is_dirty) {
            return;
        }
        while let Some(effect) = self.scheduler.poll() {
            match effect {
                Effect::Send { executor, job } => {
                    if let Some(worker) = self.workers.get_mut(&executor) {
                        worker.waiting.push_back(job);
                    }
                    self.begin(executor, machine, world);
                }
                Effect::Recall { executor, job } => {
                    let worker = self.workers.get_mut(&executor);
                    let is_back = worker.is_some_and(|worker| worker.give_back(job));
                    let now = time(world);
                    self.scheduler.recall_answered(executor, job, is_back, now);
                }
                Effect::End { data, ending, .. } => {
                    let is_cancelled = ending == Ending::Cancelled;
                    if self.service.ended(number(data.number), is_cancelled) == Answer::GivenBack {
                        give_back(machine, data.number, true, world);
                    }
                }
                _ => {}
            }
        }
        for job in self.service.begun(&self.scheduler) {
            give_back(machine, usize::try_from(job).unwrap_or(0), false, world);
        }
        let deadline = self.scheduler.next_deadline();
        remind(Place::Machine(machine), deadline, &mut self.tick_at, world);
    }

    /// Lets a worker begin the next job that it has, if it runs none.
    fn begin(&mut self, executor: ExecutorId, machine: usize, world: &mut World<Message>) {
        let Some(worker) = self.workers.get_mut(&executor) else {
            return;
        };
        if worker.runs.is_some() {
            return;
        }
        worker.runs = worker.waiting.pop_front();
        let runs = worker
            .runs
            .and_then(|id| Some((id, self.scheduler.data(id)?)));
        if let Some((id, work)) = runs {
            self.running.insert(work.number, (executor, id));
            world.begin(work.number, machine);
        }
    }
}

impl Worker {
    /// Gives a job back that has not begun.
    fn give_back(&mut self, job: JobId) -> bool {
        let place = self.waiting.iter().position(|&it| it == job);
        place.is_some_and(|place| self.waiting.remove(place).is_some())
    }
}

fn give_back(machine: usize, job: usize, is_back: bool, world: &mut World<Message>) {
    let said = Said::Recalled {
        machine,
        job,
        is_back,
    };
    world.send(machine, Message(said));
}

impl Policy for Ours {
    type Message = Message;

    fn name(&self) -> &'static str {
        "pp"
    }

    fn start(&mut self, world: &mut World<Message>) {
        let count = world.cluster().machines.len();
        let rate = NonZeroU64::new(world.cluster().rate);
        self.config.transfer_rate = rate.unwrap_or(NonZeroU64::MIN);
        self.client = Scheduler::new(self.config.clone());
        self.ids = vec![None; world.jobs().len()];
        self.nodes = vec![None; count];
        self.sites = (0..count).map(|_| None).collect();
        let is_graph = world.jobs().iter().any(|job| !job.inputs.is_empty());
        for job in 0..world.jobs().len() {
            if is_graph && world.job(job).release == 0 {
                self.submit(job, world);
            }
        }
    }

    fn ready(&mut self, job: usize, world: &mut World<Message>) {
        if self.ids[job].is_none() {
            self.submit(job, world);
        }
    }

    fn fetched(&mut self, job: usize, machine: usize, world: &mut World<Message>) {
        let Some(site) = &mut self.sites[machine] else {
            return;
        };
        match site.coming.remove(&job) {
            Some(false) => site.submit(job, world),
            Some(true) => give_back(machine, job, true, world),
            None => {}
        }
    }

    fn ended(&mut self, job: usize, machine: usize, ran: u64, world: &mut World<Message>) {
        let Some(site) = &mut self.sites[machine] else {
            return;
        };
        let Some((executor, id)) = site.running.remove(&job) else {
            return;
        };
        if let Some(worker) = site.workers.get_mut(&executor) {
            worker.runs = None;
        }
        let ran = Duration::from_nanos(ran);
        site.scheduler.job_finished(executor, id, ran, time(world));
        site.service.ended(number(job), false);
        site.is_dirty = true;
        site.begin(executor, machine, world);
    }

    fn result(&mut self, job: usize, machine: usize, ran: u64, world: &mut World<Message>) {
        if let (Some(node), Some(id)) = (self.nodes[machine], self.ids[job]) {
            let ran = Duration::from_nanos(ran);
            self.client.result_stays(node, id, world.job(job).output);
            self.client.job_finished(node, id, ran, time(world));
        }
    }

    fn message(&mut self, Message(said): Message, world: &mut World<Message>) {
        let now = time(world);
        match said {
            Said::Job { machine, job } => {
                let Some(site) = self.sites[machine].as_mut() else {
                    return;
                };
                if world.fetch(job, machine) {
                    site.submit(job, world);
                } else {
                    site.coming.insert(job, false);
                }
            }
            Said::Recall { machine, job } => {
                let Some(site) = self.sites[machine].as_mut() else {
                    return;
                };
                if let Some(is_asked) = site.coming.get_mut(&job) {
                    *is_asked = true;
                } else {
                    site.service.recall(number(job), &mut site.scheduler, now);
                }
                site.is_dirty = true;
            }
            Said::Recalled {
                machine,
                job,
                is_back,
            } => {
                if let (Some(node), Some(id)) = (self.nodes[machine], self.ids[job]) {
                    if is_back {
                        world.note_move();
                    }
                    self.client.recall_answered(node, id, is_back, now);
                }
            }
            Said::Tick { place, at } => self.tick(place, at, now),
        }
    }

    fn joined(&mut self, machine: usize, world: &mut World<Message>) {
        let it = world.cluster().machines[machine];
        let now = time(world);
        self.sites[machine] = Some(Site::new(self.config.clone(), it.slots, now));
        let credit = it.slots.saturating_mul(CREDIT_PER_SLOT);
        let latency = Duration::from_nanos(2 * it.delay);
        self.nodes[machine] = self.client.node_joined(it.slots, credit, latency, now);
        if let Some(node) = self.nodes[machine] {
            let supply = amounts(it.has());
            self.client.set_supply(Machine::Node(node), &supply, now);
        }
    }

    fn lost(&mut self, machine: usize, world: &mut World<Message>) {
        self.sites[machine] = None;
        if let Some(node) = self.nodes[machine].take() {
            self.client.executor_lost(node, &[], time(world));
        }
    }

    fn settle(&mut self, world: &mut World<Message>) {
        for (machine, site) in self.sites.iter_mut().enumerate() {
            if let Some(site) = site.as_mut().filter(|_| world.is_up(machine)) {
                site.settle(machine, world);
            }
        }
        self.settle_client(world);
    }
}

impl Ours {
    fn tick(&mut self, place: Place, at: u64, now: Time) {
        match place {
            Place::Client if self.tick_at == Some(at) => {
                self.tick_at = None;
                self.client.tick(now);
            }
            Place::Machine(machine) => {
                if let Some(site) = &mut self.sites[machine]
                    && site.tick_at == Some(at)
                {
                    site.tick_at = None;
                    site.scheduler.tick(now);
                    site.is_dirty = true;
                }
            }
            Place::Client => {}
        }
    }
}
