//! The callers' book: what each job is, and what has become of it.

use std::time::Duration;

use pp_core::{Demand, Ending, JobId, ResourceId, Retries, ShareId, Terms};

use crate::violation::Violation;

/// What a job does besides running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: it ends well.
    Good,
    /// It kills whatever worker runs it, half-way.
    KillsWorker,
    /// It takes down whatever node runs it, half-way. Where it is run by a client's own
    /// worker, it kills that.
    KillsNode,
    /// It raises something at its end, so many times; then it is good.
    Raises(u32),
}

/// The longest pause before a job is run again.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How much of each of two resources.
pub type Amounts = [u64; 2];

/// What machines have that run jobs themselves, and gateways have not: of these nobody knows
/// what one of the machines behind them has.
const MACHINE: ResourceId = ResourceId::from_u64(0);

/// What a machine has that has so much of each resource.
pub(crate) fn supply(amounts: Amounts) -> Vec<(ResourceId, u64)> {
    let machine = std::iter::once((MACHINE, u64::from(u32::MAX)));
    machine.chain(named(amounts)).collect()
}

fn named(amounts: Amounts) -> impl Iterator<Item = (ResourceId, u64)> {
    (1..).map(ResourceId::from_u64).zip(amounts)
}

/// A job as its caller submits it.
#[derive(Clone, Copy, Debug)]
pub struct JobSpec {
    /// The function that it uses.
    pub function: u32,
    /// How long it runs on a machine of ordinary speed, in nanoseconds.
    pub run_time: u64,
    /// The size of its arguments, in bytes.
    pub size: u32,
    /// What else it does.
    pub kind: Kind,
    /// How long it may run at a time, in nanoseconds.
    pub time_limit: Option<u64>,
    /// How often it is run again when it has raised something.
    pub retries: u32,
    /// The pause before the first time, in nanoseconds.
    pub pause: u64,
    /// Whether it is run again too when it has run for too long.
    pub outlives_timeout: bool,
    /// Its priority, at its client.
    pub priority: i32,
    /// The share that it belongs to, at its client.
    pub share: u64,
    /// How many slots it takes of one machine.
    pub slots: u32,
    /// How much it needs of each resource there.
    pub amounts: Amounts,
}

impl JobSpec {
    /// A good job without arguments to speak of.
    pub const fn new(function: u32, run_time: u64) -> Self {
        Self {
            function,
            run_time,
            size: 100,
            kind: Kind::Good,
            time_limit: None,
            retries: 0,
            pause: 0,
            outlives_timeout: false,
            priority: 0,
            share: 0,
            slots: 1,
            amounts: [0; 2],
        }
    }

    /// What it needs of the machine that runs it.
    pub(crate) fn demand(&self) -> Demand {
        if !self.is_demanding() {
            return Demand::default();
        }
        let amounts = std::iter::once((MACHINE, 1)).chain(named(self.amounts));
        Demand {
            slots: self.slots,
            amounts: amounts.collect(),
        }
    }

    /// Whether it needs more than a slot.
    pub(crate) fn is_demanding(&self) -> bool {
        self.slots > 1 || self.amounts != [0; 2]
    }

    /// What the scheduler of its caller is asked for.
    pub(crate) fn terms(&self, after: Vec<JobId>) -> Terms {
        let retries = Retries {
            count: self.retries,
            pause: Duration::from_nanos(self.pause),
            max_pause: MAX_PAUSE,
            on_timeout: self.outlives_timeout,
        };
        Terms {
            priority: self.priority,
            share: ShareId::from_u64(self.share),
            after,
            retries,
            ..self.terms_for_node()
        }
    }

    /// What a node is asked for that is to run it: whether it is run again is not decided
    /// there.
    pub(crate) fn terms_for_node(&self) -> Terms {
        Terms {
            time_limit: self.time_limit.map(Duration::from_nanos),
            demand: self.demand(),
            ..Terms::default()
        }
    }
}

/// How a job has ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With its result.
    Done,
    /// With an exception.
    Raised,
    /// Too many workers died of it.
    WorkerDied,
    /// Too many nodes were lost with it.
    NodeLost,
    /// No worker could be started.
    StartFailed,
    /// Nobody was left to run it.
    GivenUp,
    /// It was cancelled.
    Cancelled,
    /// It ran for longer than it may.
    TimedOut,
    /// One that it was to begin after has failed.
    DependencyFailed,
    /// One that it was to begin after was cancelled.
    DependencyCancelled,
    /// No machine could ever hold it.
    Unsatisfiable,
    /// Its client was destroyed.
    Destroyed,
}

impl Outcome {
    /// How a job ends that was to begin after one which ended like this; `None` if it may
    /// begin.
    pub(crate) fn of_dependants(self) -> Option<Self> {
        match self {
            Self::Done => None,
            Self::Cancelled | Self::DependencyCancelled => Some(Self::DependencyCancelled),
            Self::Destroyed => Some(Self::Destroyed),
            _ => Some(Self::DependencyFailed),
        }
    }
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::WorkerDied { .. } => Self::WorkerDied,
            Ending::NodeLost { .. } => Self::NodeLost,
            Ending::StartFailed { .. } => Self::StartFailed,
            Ending::GivenUp => Self::GivenUp,
            Ending::Cancelled => Self::Cancelled,
            Ending::TimedOut { .. } => Self::TimedOut,
            Ending::DependencyFailed { .. } => Self::DependencyFailed,
            Ending::DependencyCancelled { .. } => Self::DependencyCancelled,
            Ending::Unsatisfiable { .. } => Self::Unsatisfiable,
            Ending::Destroyed => Self::Destroyed,
        }
    }
}

/// What is known of a job.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: JobSpec,
    /// The numbers of those that it is to begin after.
    pub(crate) after: Vec<usize>,
    /// Whose it is.
    pub(crate) client: u32,
    /// Its name at its client.
    pub(crate) id: Option<JobId>,
    /// How often it has begun.
    pub(crate) begun: u32,
    /// When it began for the last time.
    pub(crate) begun_at: u64,
    pub(crate) ended_at: u64,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) is_cancelled: bool,
    /// How often it has raised something.
    pub(crate) raised: u32,
    /// How often it was asked to end because its time was over.
    pub(crate) overdue: u32,
}

impl Entry {
    /// Whether it has failed so often, by what its retries are for, that none are left.
    pub(crate) fn is_exhausted(&self) -> bool {
        let overdue = if self.spec.outlives_timeout {
            self.overdue
        } else {
            0
        };
        self.raised + overdue > self.spec.retries
    }

    fn is_done(&self) -> bool {
        self.outcome == Some(Outcome::Done)
    }
}

/// What is told of the jobs that another one is to begin after.
#[derive(Debug, Default)]
pub(crate) struct After {
    /// Their names, as far as they have not ended.
    pub(crate) live: Vec<JobId>,
    /// How it ends because one of them has failed.
    pub(crate) failed: Option<Outcome>,
}

fn unknown(number: usize) -> Violation {
    Violation::new("jobs are known", format!("job {number} is not"))
}

/// All jobs of all clients.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) entries: Vec<Entry>,
    /// Jobs that have not ended, of clients that live.
    pub(crate) open: usize,
    pub(crate) done: usize,
}

impl Book {
    pub(crate) fn add(&mut self, client: usize, spec: JobSpec) -> usize {
        self.entries.push(Entry {
            spec,
            after: Vec::new(),
            client: u32::try_from(client).unwrap_or(u32::MAX),
            id: None,
            begun: 0,
            begun_at: 0,
            ended_at: 0,
            outcome: None,
            is_cancelled: false,
            raised: 0,
            overdue: 0,
        });
        self.open += 1;
        self.entries.len() - 1
    }

    /// A job has ended for its caller, who must not have heard of an end before.
    pub(crate) fn end(
        &mut self,
        number: usize,
        outcome: Outcome,
        now: u64,
    ) -> Result<(), Violation> {
        let entry = self.entry(number)?;
        if let Some(before) = entry.outcome {
            let detail = format!("job {number} has ended as {before:?}, and again as {outcome:?}");
            return Err(Violation::new("each job ends once", detail));
        }
        if outcome == Outcome::Cancelled && !entry.is_cancelled {
            let detail = format!("nobody cancelled job {number}");
            return Err(Violation::new("jobs end for a reason", detail));
        }
        entry.outcome = Some(outcome);
        entry.ended_at = now;
        self.open -= 1;
        self.done += usize::from(outcome == Outcome::Done);
        Ok(())
    }

    /// What is to be told of the jobs that one is to begin after, when it is submitted; `None`
    /// if it has ended already.
    pub(crate) fn begins_after(&self, number: usize) -> Result<Option<After>, Violation> {
        let Some(entry) = self.entries.get(number) else {
            return Err(unknown(number));
        };
        if entry.outcome.is_some() {
            return Ok(None);
        }
        let others = entry
            .after
            .iter()
            .filter_map(|&other| self.entries.get(other));
        let mut after = After::default();
        for other in others {
            let failed = other.outcome.and_then(Outcome::of_dependants);
            after.failed = after.failed.or(failed);
            after
                .live
                .extend(other.id.filter(|_| other.outcome.is_none()));
        }
        Ok(Some(after))
    }

    /// A job begins: what it was to begin after must have ended well.
    pub(crate) fn begin(&mut self, number: usize, now: u64) -> Result<JobSpec, Violation> {
        let entry = self.entry(number)?;
        entry.begun += 1;
        entry.begun_at = now;
        let spec = entry.spec;
        // The others of a client that is gone are not heard of any more.
        if entry.outcome.is_none() {
            let after = entry.after.clone();
            let mut early = after.iter().filter_map(|&other| self.entries.get(other));
            if let Some(other) = early.find(|other| other.id.is_some() && !other.is_done()) {
                let detail = format!("job {number} begins before {other:?} has ended well");
                return Err(Violation::new(
                    "jobs begin after those that they name",
                    detail,
                ));
            }
        }
        Ok(spec)
    }

    pub(crate) fn entry(&mut self, number: usize) -> Result<&mut Entry, Violation> {
        self.entries.get_mut(number).ok_or_else(|| unknown(number))
    }

    pub(crate) fn spec(&self, number: usize) -> Option<&JobSpec> {
        self.entries.get(number).map(|entry| &entry.spec)
    }

    /// A client is gone: nobody waits for its jobs any more.
    pub(crate) fn abandon(&mut self, client: usize) {
        for entry in &mut self.entries {
            if entry.client as usize == client && entry.outcome.is_none() {
                entry.outcome = Some(Outcome::Destroyed);
                self.open -= 1;
            }
        }
    }
}
