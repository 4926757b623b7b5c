//! A scheduler with virtual executors and a virtual clock.
//!
//! Every call of a method of `events` is one event. After each, the effects are
//! carried out on the virtual executors, and everything is checked (see `checks`).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{
    Config, Demand, Effect, Ending, ExecutorId, ExecutorState, FunctionId, JobId, ResourceId,
    Scheduler, ShareId, Terms, Time,
};

/// The credit of executors that get no other.
pub(crate) const CREDIT: u32 = 1_000;

/// A virtual executor.
pub(crate) struct Worker {
    pub(crate) phase: Phase,
    pub(crate) credit: u32,
    /// In the order in which they were sent.
    pub(crate) held: Vec<JobId>,
    /// The job that it has begun, always the first that it holds.
    pub(crate) begun: bool,
    /// The first that it holds, and since when that is the first.
    pub(crate) first: Option<(JobId, Time)>,
    pub(crate) functions: BTreeSet<FunctionId>,
    /// Asked back, and no answer given.
    pub(crate) asked: Vec<JobId>,
    /// Asked back at any time, so never to be asked for again while held.
    pub(crate) ever_asked: BTreeSet<JobId>,
    /// Jobs given and not taken back.
    pub(crate) given: u32,
    pub(crate) finished: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    /// Was told to retire.
    Leaving,
    /// Was killed.
    Dying,
}

/// What the model knows of a job.
pub(crate) struct Job {
    pub(crate) function: FunctionId,
    pub(crate) terms: Terms,
    /// Whose results it needs, as far as these stay where they were made.
    pub(crate) items: BTreeSet<JobId>,
    /// Jobs that it waits for.
    pub(crate) unmet: BTreeSet<JobId>,
    pub(crate) data: u64,
    pub(crate) place: Place,
    pub(crate) deaths: u32,
    /// It came back to the queue at least once.
    pub(crate) returned: bool,
    pub(crate) cancelled: bool,
    /// It was asked to end.
    pub(crate) interrupted: bool,
    /// When it was asked to end the last time.
    pub(crate) asked_at: Option<Time>,
    /// Retries that it has used.
    pub(crate) retries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Waits for other jobs.
    Waiting,
    /// Was set aside.
    Aside,
    /// Is to be run again at that time.
    Paused(Time),
    Queue,
    With(ExecutorId),
}

// Each of these is a choice or a fact of its own.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Env {
    pub(crate) scheduler: Scheduler<u64>,
    pub(crate) config: Config,
    pub(crate) now: Time,
    pub(crate) workers: BTreeMap<ExecutorId, Worker>,
    /// Live jobs.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// Which executors have had what a job has left, as long as a live one needs that.
    pub(crate) copies: BTreeMap<JobId, BTreeSet<ExecutorId>>,
    /// How the others ended; `None` for those that finished or failed.
    pub(crate) ended: BTreeMap<JobId, Option<Ending>>,
    /// Those that failed.
    pub(crate) failed: BTreeSet<JobId>,
    /// Those that have run for longer than they may.
    pub(crate) overdue: BTreeSet<JobId>,
    /// Recalls are answered while effects are polled, as with claims in shared
    /// memory; else by [`Env::answer`].
    pub(crate) answers_at_once: bool,
    pub(crate) destroyed: bool,
    /// Effects since the last [`Env::effects`].
    pub(crate) log: Vec<Effect<u64>>,
    /// Failed starts in a row, as the scheduler should count them.
    pub(crate) failures: u32,
    /// No more starts until somebody asks for something.
    pub(crate) given_up: bool,
    /// Since when an executor has idled while another held jobs ahead.
    pub(crate) unbalanced_since: Option<Time>,
    pub(crate) started: u32,
    pub(crate) submitted: u64,
    /// So many of the next events come before effects are polled again, as when a
    /// caller reads a batch of results.
    pub(crate) hold: u32,
    /// Effects were held back: the model learns late of what was decided.
    pub(crate) is_late: bool,
    /// Executors that held a job when it ended: they must be killed for it.
    pub(crate) condemned: Vec<ExecutorId>,
    /// The limits of shares that have one.
    pub(crate) limits: BTreeMap<ShareId, u32>,
    /// What there is of each resource.
    pub(crate) supply: BTreeMap<ResourceId, u64>,
    /// What was refused since the last time that all of it was to be tried again.
    pub(crate) refused: Vec<Demand>,
    /// How many workers are wanted.
    pub(crate) target: u32,
    /// By share: the job that has waited longest, and how many have passed it since.
    pub(crate) passed: BTreeMap<ShareId, (JobId, u32)>,
}

pub(crate) fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn function(number: u64) -> FunctionId {
    FunctionId::from_u64(number)
}

/// Functions of the scenarios.
pub(crate) const F: FunctionId = FunctionId::from_u64(1);
pub(crate) const G: FunctionId = FunctionId::from_u64(2);

pub(crate) fn share(number: u64) -> ShareId {
    ShareId::from_u64(number)
}

pub(crate) fn resource(number: u64) -> ResourceId {
    ResourceId::from_u64(number)
}

/// Terms of a job of the default share.
pub(crate) fn priority(priority: i32) -> Terms {
    Terms {
        priority,
        ..Terms::default()
    }
}

/// Terms of a job of a share.
pub(crate) fn of_share(number: u64) -> Terms {
    Terms {
        share: share(number),
        ..Terms::default()
    }
}

pub(crate) fn fresh_process_per_job() -> Config {
    Config {
        jobs_per_executor: Some(NonZeroU32::MIN),
        ..Config::default()
    }
}

impl Env {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            scheduler: Scheduler::new(config.clone()),
            config,
            now: Time::from_nanos(1_000_000),
            workers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            copies: BTreeMap::new(),
            ended: BTreeMap::new(),
            failed: BTreeSet::new(),
            overdue: BTreeSet::new(),
            submitted: 0,
            hold: 0,
            is_late: false,
            condemned: Vec::new(),
            limits: BTreeMap::new(),
            supply: BTreeMap::new(),
            refused: Vec::new(),
            target: 0,
            passed: BTreeMap::new(),
            answers_at_once: true,
            destroyed: false,
            log: Vec::new(),
            failures: 0,
            given_up: false,
            unbalanced_since: None,
            started: 0,
        }
    }

    /// A scheduler with default settings and this many ready executors.
    pub(crate) fn ready(workers: u32) -> (Self, Vec<ExecutorId>) {
        Self::ready_with(Config::default(), workers)
    }

    pub(crate) fn ready_with(config: Config, workers: u32) -> (Self, Vec<ExecutorId>) {
        let mut env = Self::new(config);
        env.resize(workers);
        let ids = env.make_ready();
        env.effects();
        (env, ids)
    }

    /// Lets a function be known to take `run_time`, on the only executor or any.
    pub(crate) fn measure(&mut self, function: FunctionId, run_time: Duration) -> &mut Self {
        let job = self.submit(function);
        let Place::With(executor) = self.jobs[&job].place else {
            panic!("nobody is free to measure {function}");
        };
        self.finish(executor, run_time);
        self.effects();
        self
    }

    // What can be seen.

    /// The effects since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect<u64>> {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn held(&self, executor: ExecutorId) -> &[JobId] {
        &self.workers[&executor].held
    }

    pub(crate) fn place(&self, job: JobId) -> Place {
        self.jobs[&job].place
    }

    pub(crate) fn ending(&self, job: JobId) -> Option<Ending> {
        let ending = self.ended.get(&job);
        *ending.unwrap_or_else(|| panic!("{job} has not ended: {:?}", self.place(job)))
    }

    pub(crate) fn in_phase(&self, phase: Phase) -> Vec<ExecutorId> {
        let workers = self.workers.iter();
        workers
            .filter(|(_, worker)| worker.phase == phase)
            .map(|(&id, _)| id)
            .collect()
    }

    pub(crate) fn queued(&self) -> Vec<JobId> {
        self.jobs_at(|place| place == Place::Queue)
    }

    pub(crate) fn waiting(&self) -> Vec<JobId> {
        self.jobs_at(|place| matches!(place, Place::Waiting | Place::Aside))
    }

    pub(crate) fn paused(&self) -> Vec<JobId> {
        self.jobs_at(|place| matches!(place, Place::Paused(_)))
    }

    fn jobs_at(&self, is_meant: impl Fn(Place) -> bool) -> Vec<JobId> {
        let jobs = self.jobs.iter();
        jobs.filter(|(_, job)| is_meant(job.place))
            .map(|(&id, _)| id)
            .collect()
    }

    /// How many of its jobs are with executors.
    pub(crate) fn held_of(&self, share: ShareId) -> u32 {
        let is_held = |job: &&Job| job.terms.share == share && matches!(job.place, Place::With(_));
        let held = self.jobs.values().filter(is_held).count();
        u32::try_from(held).expect("it is small")
    }

    /// Whether executors may hold more of its jobs.
    pub(crate) fn has_room(&self, share: ShareId) -> bool {
        let limit = self.limits.get(&share);
        limit.is_none_or(|&limit| self.held_of(share) < limit)
    }

    /// It is to be killed, whether it has heard of it or not.
    pub(crate) fn is_killed(&self, executor: ExecutorId) -> bool {
        let stats = self.scheduler.executor_stats(executor);
        stats.is_some_and(|stats| stats.state == ExecutorState::Killing)
    }

    pub(crate) fn is_wanted(&self, executor: ExecutorId) -> bool {
        use pp_core::ExecutorState::{Ready, Starting};
        let stats = self.scheduler.executor_stats(executor);
        stats.is_some_and(|stats| matches!(stats.state, Ready | Starting))
    }
}
