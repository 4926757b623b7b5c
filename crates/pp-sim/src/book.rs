//! The callers' book: what each job is, and what has become of it.

use pp_core::{Ending, JobId};

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
}

impl JobSpec {
    /// A good job without arguments to speak of.
    pub const fn new(function: u32, run_time: u64) -> Self {
        Self {
            function,
            run_time,
            size: 100,
            kind: Kind::Good,
        }
    }
}

/// How a job has ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With its result.
    Done,
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
    /// Its client was destroyed.
    Destroyed,
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::WorkerDied { .. } => Self::WorkerDied,
            Ending::NodeLost { .. } => Self::NodeLost,
            Ending::StartFailed { .. } => Self::StartFailed,
            Ending::GivenUp => Self::GivenUp,
            Ending::Cancelled => Self::Cancelled,
            Ending::Destroyed => Self::Destroyed,
        }
    }
}

/// What is known of a job.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: JobSpec,
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
            client: u32::try_from(client).unwrap_or(u32::MAX),
            id: None,
            begun: 0,
            begun_at: 0,
            ended_at: 0,
            outcome: None,
            is_cancelled: false,
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

    pub(crate) fn entry(&mut self, number: usize) -> Result<&mut Entry, Violation> {
        let missing = || Violation::new("jobs are known", format!("job {number} is not"));
        self.entries.get_mut(number).ok_or_else(missing)
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
