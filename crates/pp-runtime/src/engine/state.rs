//! What the engine's lock guards, and how scheduler, workers and jobs meet there.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pp_core::{Charges, ExecutorId, JobId, Machine, Scheduler, ShareId, Time};

use super::aside::{Aside, Missing};
use super::config::EngineConfig;
use super::functions::{Function, Functions};
use super::groups::Group;
use super::job::{Job, Origin, Waiters};
use super::links::Links;
use super::loans::Loans;
use super::outcome::{JobFailure, Outcome};
use super::record::{HERE, NOWHERE, Ran, Record};
use super::resources::{MEMORY, Names};
use super::results::Stop;
use super::worker::Worker;
use crate::channel::Received;
use crate::net::Link;
use crate::process::{Exit, ExitStatus};
use crate::segments::Pool;

/// Sums over jobs that have been finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many there were.
    pub jobs: u64,
    /// How long they ran, together.
    pub run_time: Duration,
}

impl Totals {
    pub(super) fn add(&mut self, run_time: Duration) {
        self.jobs += 1;
        self.run_time += run_time;
    }

    pub(crate) fn join(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.run_time += other.run_time;
    }
}

/// What jobs get together whose groups have no share of their own, in the units in which
/// others are weighed: thousandths.
const WEIGHT_OF_ALL: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// Where one big thing is sent, the next one is not far: so long, it is expected.
const BULK_LASTS: Duration = Duration::from_millis(50);

/// What the I/O thread is doing, or is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IoThread {
    Awake,
    Asleep,
    Ended,
}

/// All of it changes under one lock.
pub(super) struct State {
    pub(super) config: EngineConfig,
    pub(super) scheduler: Scheduler<Arc<Job>>,
    pub(super) workers: BTreeMap<ExecutorId, Worker>,
    /// What goes over the network.
    pub(super) links: Links,
    pub(super) functions: Functions,
    /// Of all jobs, and
    pub(super) totals: Totals,
    /// of those that workers of this machine have run.
    pub(super) local: Totals,
    pub(super) destroyed: bool,
    /// Workers with messages that their bell was not rung for yet.
    pub(super) unrung: Vec<ExecutorId>,
    /// Whether something was sent that waits for its turn or for room.
    pub(super) sending: bool,
    /// Spare room for the workers that have spoken, and
    pub(super) speakers: Vec<ExecutorId>,
    /// Spare room for messages being taken in.
    pub(super) news: Vec<Received>,
    /// How the worker ended whose loss is being handled, for the jobs that it ends.
    pub(super) last_exit: Option<Arc<Exit>>,
    /// Why the last worker that did not start did not.
    pub(super) start_failure: String,
    /// Links to be flushed when the lock is let go.
    pub(super) unflushed: Vec<Arc<Link>>,
    /// The shared memory for big data.
    pub(super) pool: Arc<Pool>,
    /// When the I/O thread will wake by itself; `None`: only when woken.
    pub(super) io_sleeps_until: Option<Instant>,
    /// What it is doing.
    pub(super) io: IoThread,
    /// How many waiting threads take in results themselves.
    pub(super) attending: u32,
    /// The names of resources.
    pub(super) resources: Names,
    /// What workers have of this machine's stock.
    pub(super) loans: Loans,
    /// How jobs ran last that were ended from outside, and may be run again.
    pub(super) stopped: BTreeMap<JobId, Stop>,
    /// Who waits for what lies at nodes.
    pub(super) aside: Aside,
    /// Whether there are new jobs in the inbox that make results again.
    pub(super) has_remakes: bool,
    /// How many shares there are beside that of all jobs which have none.
    pub(super) shares: u64,
    /// Until then, big things are taken to be on their way.
    pub(super) bulk_until: Option<Instant>,
    /// Who is to be woken when the lock is let go, and
    pub(super) woken: Vec<Arc<Waiters>>,
    /// the groups whose waiters may be.
    pub(super) changed: Vec<Arc<Group>>,
    /// Spare room for jobs that come from the inbox.
    pub(super) arrivals: Vec<Arc<Job>>,
    born: Instant,
}

/// The end of a worker that was another server's: that has told of it, and no more.
fn far_away() -> Exit {
    Exit {
        pid: 0,
        status: ExitStatus::Unknown,
        stderr: "The workers were those of nodes, whose logs tell more.".into(),
        killed_because: None,
        oom_suspected: false,
    }
}

impl State {
    pub(super) fn new(config: EngineConfig, born: Instant, pool: Arc<Pool>) -> Self {
        let core = pp_core::Config {
            max_worker_deaths: config.max_worker_deaths,
            max_node_losses: config.max_node_losses,
            jobs_per_executor: config.max_jobs_per_worker,
            cancel_grace: config.cancel_grace,
            ..pp_core::Config::default()
        };
        let mut scheduler = Scheduler::new(core);
        scheduler.set_share(ShareId::default(), WEIGHT_OF_ALL, None, Time::ZERO);
        let mut resources = Names::default();
        let supply = resources.amounts(&config.supply);
        scheduler.set_supply(Machine::Here, &supply, Time::ZERO);
        Self {
            scheduler,
            workers: BTreeMap::new(),
            links: Links::default(),
            functions: Functions::default(),
            totals: Totals::default(),
            local: Totals::default(),
            destroyed: false,
            unrung: Vec::new(),
            sending: false,
            speakers: Vec::new(),
            news: Vec::new(),
            last_exit: None,
            start_failure: String::new(),
            unflushed: Vec::new(),
            pool,
            io_sleeps_until: None,
            io: IoThread::Awake,
            attending: 0,
            stopped: BTreeMap::new(),
            resources,
            loans: Loans::new(&config),
            aside: Aside::default(),
            has_remakes: false,
            shares: 0,
            bulk_until: None,
            woken: Vec::new(),
            changed: Vec::new(),
            arrivals: Vec::new(),
            config,
            born,
        }
    }

    /// Something big has come or gone, or is about to.
    pub(super) fn note_bulk(&mut self) {
        self.bulk_until = Some(Instant::now() + BULK_LASTS);
    }

    /// The scheduler's time.
    pub(super) fn now(&self) -> Time {
        Time::from_nanos(u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// When the scheduler's `time` comes.
    pub(super) fn instant(&self, time: Time) -> Instant {
        self.born + Duration::from_nanos(time.as_nanos())
    }

    /// Stores a function and lets workers forget those that make room for it.
    pub(super) fn intern(&mut self, blob: Bytes, name: &str) -> Arc<Function> {
        let (function, evicted) = self.functions.intern(blob, name);
        for id in evicted {
            self.scheduler.forget_function(id);
        }
        function
    }

    /// Ends a job for its submitter.
    pub(super) fn end(&mut self, job: &Arc<Job>, outcome: Outcome, ran: Ran, now: Time) {
        if job.origin() == Origin::Uplink {
            self.report_end(job, &outcome, ran);
        }
        let record = Record::new(Duration::from_nanos(now.as_nanos()), ran);
        self.woken.extend(job.end(outcome, record));
        self.note_ended(job.group());
        self.note_came(Missing::Result(job.number()));
    }

    /// Who waits for jobs of this group is to be told that one has ended.
    fn note_ended(&mut self, group: &Arc<Group>) {
        let is_noted = |last: &Arc<Group>| Arc::ptr_eq(last, group);
        if !self.changed.last().is_some_and(is_noted) {
            self.changed.push(Arc::clone(group));
        }
    }

    /// A job's failure, from how the scheduler ended it.
    pub(super) fn failure(&self, job: &Job, ending: &pp_core::Ending) -> JobFailure {
        match ending {
            pp_core::Ending::WorkerDied { deaths, .. } => JobFailure::WorkerDied {
                deaths: *deaths,
                last: self
                    .last_exit
                    .clone()
                    .unwrap_or_else(|| Arc::new(far_away())),
                memory: job.needs().amount(MEMORY),
            },
            pp_core::Ending::NodeLost { losses, .. } => {
                let (node, why) = self.links.last_loss.clone().unwrap_or_default();
                let losses = *losses;
                JobFailure::NodeLost { losses, node, why }
            }
            // Nobody is asked for more than a slot yet.
            pp_core::Ending::GivenUp => JobFailure::NobodyLeft(self.config.patience),
            pp_core::Ending::StartFailed { .. } => self.no_worker(),
            pp_core::Ending::Cancelled => JobFailure::Cancelled,
            pp_core::Ending::Unsatisfiable { lack } => JobFailure::Unsatisfiable {
                resource: lack
                    .resource
                    .and_then(|id| self.resources.name(id))
                    .cloned(),
                wanted: lack.wanted,
                most: lack.most,
            },
            pp_core::Ending::TimedOut { limit } => JobFailure::TimedOut(*limit),
            pp_core::Ending::DependencyFailed { .. } => match job.root_of_failure() {
                Some(root) => JobFailure::DependencyFailed(root),
                None => JobFailure::Cancelled,
            },
            pp_core::Ending::DependencyCancelled { .. } => match job.root_of_failure() {
                Some(root) => JobFailure::DependencyCancelled(root),
                None => JobFailure::Cancelled,
            },
            pp_core::Ending::Destroyed => JobFailure::ServerDestroyed,
        }
    }

    /// How a job ran that has failed, as far as is known.
    pub(super) fn ran_before(&mut self, failure: &JobFailure, charges: Charges) -> Ran {
        let (worker, site) = match failure {
            JobFailure::WorkerDied { last, .. } if last.pid > 0 => (last.pid, HERE),
            JobFailure::NodeLost { node, .. } => (0, self.links.sites.number(node)),
            _ => (0, NOWHERE),
        };
        Ran {
            worker,
            site,
            attempts: charges.deaths + charges.losses,
            ..Ran::NOT
        }
    }

    fn no_worker(&self) -> JobFailure {
        JobFailure::NoWorker {
            reason: self.start_failure.clone(),
            last: self.last_exit.clone(),
        }
    }

    /// The identifiers of all worker processes.
    pub(super) fn pids(&self) -> Vec<u32> {
        self.workers
            .values()
            .filter_map(|w| Some(w.line.as_ref()?.process.pid()))
            .collect()
    }

    /// The jobs that a worker holds and has begun.
    pub(super) fn started_jobs(&self, id: ExecutorId) -> Vec<JobId> {
        self.workers
            .get(&id)
            .and_then(|w| w.line.as_ref())
            .map(|line| line.channel.started().collect())
            .unwrap_or_default()
    }
}
