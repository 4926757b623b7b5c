//! One engine: a scheduler, and what the runtime has around it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{ExecutorId, FunctionId, Machine, Raised, Scheduler, Service, ShareId};

use crate::book::{Amounts, Outcome, supply};
use crate::host::Role;
use crate::message::Message;
use crate::net::NODE;
use crate::pulse::Pulse;
use crate::queue::Event;
use crate::violation::Violation;
use crate::worker::Worker;
use crate::world::World;

/// What a scheduler carries for a job: its number in the book, and the parent's name for
/// it. As large as what the runtime has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    number: u32,
    up: u32,
}

impl Work {
    pub(crate) fn new(number: usize, up: u64) -> Self {
        // No run has four billion jobs.
        Self {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            up: u32::try_from(up).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn number(self) -> usize {
        self.number as usize
    }

    pub(crate) fn up(self) -> u64 {
        self.up.into()
    }
}

/// Why a link is not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parting {
    /// Its connection has ended.
    Ended,
    /// Nothing was heard.
    Silent,
    /// The other end said that it cannot go on.
    Fault,
    /// It left, as it had said.
    Left,
    /// This end is destroyed.
    Destroyed,
}

impl Parting {
    pub(crate) fn is_loss(self) -> bool {
        matches!(self, Self::Ended | Self::Silent)
    }
}

/// A node that is used.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) link: usize,
    pub(crate) slots: Option<u32>,
    /// The most jobs that it ever wanted.
    pub(crate) most_credit: u32,
    pub(crate) pulse: Pulse,
    /// Which of the minds keeps it.
    pub(crate) mind: usize,
    pub(crate) since: u64,
}

/// A node that is wanted, connected or not.
#[derive(Debug)]
pub(crate) struct Mind {
    pub(crate) host: usize,
    pub(crate) path: usize,
    /// The longest pause before the next try, for now.
    pub(crate) pause: u64,
}

/// The parent that is worked for.
#[derive(Debug, Default)]
pub(crate) struct Uplink {
    pub(crate) link: usize,
    pub(crate) service: Service,
    pub(crate) told: Option<u32>,
    /// The most that the parent was ever allowed to have here.
    pub(crate) most_credit: u32,
    pub(crate) functions: BTreeSet<u64>,
}

/// One engine.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) id: usize,
    pub(crate) host: usize,
    /// Whose jobs it runs in the end.
    pub(crate) client: usize,
    pub(crate) scheduler: Scheduler<Work>,
    pub(crate) workers: BTreeMap<ExecutorId, Worker>,
    pub(crate) children: BTreeMap<ExecutorId, Child>,
    pub(crate) minds: Vec<Mind>,
    pub(crate) uplink: Option<Uplink>,
    /// How many workers there are to be for the parent, and how many it is told of.
    pub(crate) share: Option<(u32, u32)>,
    pub(crate) is_busy: bool,
    /// Nodes to be given up, and why.
    pub(crate) condemned: Vec<(ExecutorId, Parting)>,
    /// No worker can be started for the parent.
    pub(crate) is_unable: bool,
    pub(crate) tick_at: Option<u64>,
    pub(crate) beat_at: Option<u64>,
    /// Until then nobody is blamed for what is lost: this end was cut off from all.
    pub(crate) excused_until: u64,
    /// How often it was settled.
    pub(crate) settled: u64,
    /// The highest limit that each share ever had, of those that were set at all times.
    pub(crate) limits: BTreeMap<ShareId, u32>,
}

impl Engine {
    pub(crate) fn new(id: usize, host: usize, client: usize, world: &World) -> Self {
        let targets = world.hosts.get(host).map(|host| host.targets.as_slice());
        let minds = targets.unwrap_or_default().iter().map(|target| Mind {
            host: target.host,
            path: target.path,
            pause: FIRST_PAUSE,
        });
        Self {
            id,
            host,
            client,
            scheduler: Scheduler::new(world.settings.core.clone()),
            workers: BTreeMap::new(),
            children: BTreeMap::new(),
            minds: minds.collect(),
            uplink: None,
            share: None,
            is_busy: false,
            condemned: Vec::new(),
            is_unable: false,
            tick_at: None,
            beat_at: None,
            excused_until: 0,
            settled: 0,
            limits: BTreeMap::new(),
        }
    }

    /// What its machine has of each resource, if it runs jobs and is no gateway.
    pub(crate) fn supply(&self, world: &World) -> Option<Amounts> {
        let host = world.hosts.get(self.host)?;
        let runs_jobs = host.role == Role::Client || host.targets.is_empty();
        runs_jobs.then_some(host.supply)
    }

    /// Lets its scheduler know what its machine has.
    pub(crate) fn stock_up(&mut self, world: &World) {
        if let Some(amounts) = self.supply(world) {
            let now = world.time();
            self.scheduler
                .set_supply(Machine::Here, &supply(amounts), now);
        }
    }

    /// What its workers run needs no more than its machine has.
    pub(crate) fn check_amounts(&self, world: &World) -> Result<(), Violation> {
        let runs = self.workers.values().filter_map(|worker| worker.runs);
        let works = runs.filter_map(|job| self.scheduler.data(job));
        let specs = works.filter_map(|work| world.book.spec(work.number()));
        let mut taken: Amounts = [0; 2];
        for spec in specs {
            let amounts = taken.iter_mut().zip(spec.amounts);
            amounts.for_each(|(sum, amount)| *sum += amount);
        }
        let has = self.supply(world).unwrap_or_default();
        if taken.iter().zip(has).all(|(&taken, has)| taken <= has) {
            return Ok(());
        }
        let detail = format!(
            "engine {} runs jobs with {taken:?}, it has {has:?}",
            self.id
        );
        Err(Violation::new("no machine is overcommitted", detail))
    }

    /// Whether it belongs to the caller of the jobs.
    pub(crate) fn is_client(&self) -> bool {
        self.host == self.client
    }

    /// Whether it has come to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.scheduler.is_destroyed() && self.workers.is_empty() && self.children.is_empty()
    }

    /// How many jobs run at a time, here and on nodes.
    pub(crate) fn slots(&self) -> u32 {
        let workers = match self.share {
            Some((_, slots)) => slots,
            None => u32::try_from(self.scheduler.worker_counts().wanted()).unwrap_or(u32::MAX),
        };
        let nodes = self.children.values().filter_map(|child| child.slots);
        workers.saturating_add(nodes.fold(0, u32::saturating_add))
    }

    /// A caller has a job.
    pub(crate) fn submit(&mut self, number: usize, world: &mut World) -> Result<(), Violation> {
        let now = world.time();
        let Some(after) = world.book.begins_after(number)? else {
            return Ok(());
        };
        if let Some(outcome) = after.failed {
            return world.book.end(number, outcome, world.now);
        }
        let entry = world.book.entry(number)?;
        let function = FunctionId::from_u64(entry.spec.function.into());
        let terms = entry.spec.terms(after.live);
        let work = Work::new(number, 0);
        match self.scheduler.submit_with(function, &terms, work, now) {
            Ok(id) => {
                entry.id = Some(id);
                Ok(())
            }
            Err(_) => world.book.end(number, Outcome::Destroyed, world.now),
        }
    }

    /// The client sets a share.
    pub(crate) fn set_share(
        &mut self,
        share: ShareId,
        weight: NonZeroU32,
        limit: Option<u32>,
        world: &World,
    ) {
        let before = self.scheduler.share_stats(share);
        let is_used = before.is_some_and(|stats| stats.limit.is_none() && stats.held > 0);
        if is_used {
            // It may go on to hold more for a while.
            self.limits.insert(share, u32::MAX);
        }
        let most = self.limits.entry(share).or_insert(0);
        *most = (*most).max(limit.unwrap_or(u32::MAX));
        self.scheduler.set_share(share, weight, limit, world.time());
    }

    /// A job has ended: whoever waits for it is told.
    pub(crate) fn ended(
        &mut self,
        work: Work,
        outcome: Outcome,
        run_time: u64,
        world: &mut World,
    ) -> Result<(), Violation> {
        if self.is_client() {
            world.counts.last_end = world.now;
            return world.book.end(work.number(), outcome, world.now);
        }
        if outcome == Outcome::StartFailed {
            self.is_unable = true;
        }
        let Some(uplink) = &mut self.uplink else {
            return Ok(());
        };
        if matches!(outcome, Outcome::Destroyed | Outcome::StartFailed) {
            return Ok(());
        }
        let job = pp_core::JobId::from_u64(work.up());
        let link = uplink.link;
        let is_cancelled = outcome == Outcome::Cancelled;
        match uplink.service.ended(work.up(), is_cancelled) {
            // One that had begun is told of otherwise; here, every other one had.
            pp_core::Answer::Cancelled if work.up() % 2 == 1 => {
                let result = Message::Result {
                    job,
                    outcome,
                    run_time,
                };
                world.say(link, NODE, result);
            }
            pp_core::Answer::GivenBack | pp_core::Answer::Cancelled => {
                let recalled = true;
                world.say(link, NODE, Message::Recalled { job, recalled });
            }
            pp_core::Answer::End if is_cancelled => {
                let detail = format!("engine {} cancelled {job} unasked", self.id);
                return Err(Violation::new("nodes cancel what was asked for", detail));
            }
            pp_core::Answer::End => {
                let result = Message::Result {
                    job,
                    outcome,
                    run_time,
                };
                world.say(link, NODE, result);
            }
        }
        Ok(())
    }

    /// A job has run to its end somewhere.
    pub(crate) fn finished(
        &mut self,
        executor: ExecutorId,
        (job, outcome): (pp_core::JobId, Outcome),
        run_time: u64,
        world: &mut World,
    ) -> Result<(), Violation> {
        let took = Duration::from_nanos(run_time);
        let now = world.time();
        let work = match outcome {
            Outcome::Done => self.scheduler.job_finished(executor, job, took, now),
            Outcome::Raised => match self.scheduler.job_raised(executor, job, took, now) {
                Raised::Ended(work) => Some(work),
                Raised::Again | Raised::Unknown => None,
            },
            Outcome::Cancelled | Outcome::TimedOut => {
                self.scheduler.job_stopped(executor, job, took, now);
                None
            }
            _ => self.scheduler.job_failed(executor, job, took, now),
        };
        match work {
            Some(work) => self.ended(work, outcome, run_time, world),
            None => Ok(()),
        }
    }

    /// Its end begins: nothing is accepted any more, and everybody is let go.
    pub(crate) fn destroy(&mut self, world: &World) {
        self.minds.clear();
        self.scheduler.destroy(world.time());
    }

    /// Sees to it that the scheduler will be told when its deadline comes.
    pub(crate) fn plan_tick(&mut self, world: &mut World) {
        let Some(deadline) = self.scheduler.next_deadline() else {
            return;
        };
        let at = deadline.as_nanos().max(world.now);
        if self.tick_at.is_none_or(|planned| at < planned) {
            self.tick_at = Some(at);
            let engine = self.id;
            world.queue.push(at, Event::Tick { engine, at });
        }
    }
}

/// The pause after the first failure of a connection.
pub(crate) const FIRST_PAUSE: u64 = 50_000_000;
