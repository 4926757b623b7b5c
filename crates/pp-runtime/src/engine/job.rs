//! A job as its submitter sees it: pending, then ended, once.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::segments::Parcel;
use crate::sync::Mutex;

use pp_core::{Ending, ShareId, Terms};

use super::asked::Asked;
use super::functions::Function;
use super::groups::Group;
use super::inputs::compose;
use super::notices::Notices;
use super::outcome::{JobFailure, Outcome, Report};
use super::recipe::Recipe;
use super::record::{Record, duration, micros};
use super::resources::{Names, Needs};

mod staying;
mod waiters;

pub(super) use waiters::Waiters;

/// A submitted job. Shared by the engine, until it ends, and by its submitter.
///
/// A million of them may be queued, so it is kept small: what only few need, such as
/// somebody who waits, is made when it is needed.
#[derive(Debug)]
pub struct Job {
    number: AtomicU64,
    function: Arc<Function>,
    group: Arc<Group>,
    pending: Mutex<Pending>,
    outcome: OnceLock<Outcome>,
    /// When it was submitted, from the engine's birth on.
    submitted: [u8; 6],
    origin: Origin,
    /// Whether its result is an argument of another job.
    feeds: AtomicU8,
}

/// Who has submitted a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This process.
    Here,
    /// This process, and more is asked for it than for a plain job.
    HereOnTerms,
    /// The parent, which is told of its end.
    Uplink,
}

/// What changes when a job ends.
#[derive(Debug)]
struct Pending {
    content: Content,
    /// There once somebody waits.
    waiters: Option<Arc<Waiters>>,
}

#[derive(Debug)]
enum Content {
    /// The arguments, kept until the end, because the job may have to run again.
    Args(Blob),
    /// The same of a job for which more is asked.
    Asked(Box<(Blob, Asked)>),
    /// Where and when the job ran.
    Ended(Record),
    /// The same of a job that failed, and may be looked into with its arguments.
    Failed(Box<Failed>),
    /// The same of a job whose result lies at a node.
    Kept(Box<Kept>),
}

#[derive(Debug)]
struct Kept {
    record: Record,
    /// How it was made, as long as it is not here.
    recipe: Option<Arc<Recipe>>,
    /// The job that has made the result anew, or does so, where it was lost.
    remade: Option<Arc<Job>>,
}

#[derive(Debug)]
struct Failed {
    record: Record,
    args: Blob,
    /// Those whose results are among the arguments.
    inputs: Vec<Arc<Job>>,
    name: Option<Arc<str>>,
}

impl Failed {
    /// The arguments with the results that are among them; none if it was never run, or there is
    /// too much of them.
    fn args(&self) -> Option<Blob> {
        if self.inputs.is_empty() {
            return Some(self.args.clone());
        }
        compose(&self.args, &self.inputs)
    }
}

impl Job {
    #[inline]
    pub(super) fn new(
        function: Arc<Function>,
        args: Blob,
        group: Arc<Group>,
        submitted: Duration,
        origin: Origin,
    ) -> Self {
        Self::with(Content::Args(args), function, group, submitted, origin)
    }

    /// A job of this process, for which more is asked than of a plain one.
    pub(super) fn asked(
        function: Arc<Function>,
        args: Blob,
        group: Arc<Group>,
        submitted: Duration,
        asked: Asked,
    ) -> Self {
        let content = Content::Asked(Box::new((args, asked)));
        Self::with(content, function, group, submitted, Origin::HereOnTerms)
    }

    #[inline]
    fn with(
        content: Content,
        function: Arc<Function>,
        group: Arc<Group>,
        submitted: Duration,
        origin: Origin,
    ) -> Self {
        Self {
            number: AtomicU64::new(0),
            function,
            group,
            pending: Mutex::new(Pending {
                content,
                waiters: None,
            }),
            outcome: OnceLock::new(),
            submitted: micros(submitted),
            origin,
            feeds: AtomicU8::new(staying::ALONE),
        }
    }

    /// The job's running number in its server, from 0; or what its parent calls it.
    pub fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// To be called before others get to know the job.
    pub(super) fn set_number(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// How it ended; `None` while it has not.
    #[inline]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }

    /// Whether it has ended by being cancelled.
    pub fn is_cancelled(&self) -> bool {
        let failure = self.outcome().and_then(Outcome::failure);
        matches!(
            failure,
            Some(JobFailure::Cancelled | JobFailure::DependencyCancelled(_))
        )
    }

    /// Blocks until the job has ended or `patience` is over; whether it has ended.
    pub fn wait(&self, patience: Duration) -> bool {
        if self.outcome.get().is_some() {
            return true;
        }
        let deadline = Instant::now() + patience;
        let Some(waiters) = self.waiters() else {
            return true;
        };
        waiters.wait(deadline);
        self.outcome.get().is_some()
    }

    /// Lets the job's end be noted, as this number. False if it has ended: then it is not.
    pub fn tell(&self, notices: &Arc<Notices>, number: u64) -> bool {
        let mut pending = self.pending.lock();
        if self.outcome.get().is_some() {
            return false;
        }
        // Under the lock, which the end takes before it collects who is to be told.
        let waiters = pending.waiters.get_or_insert_default();
        waiters.tell(notices, number);
        true
    }

    /// Those who wait; `None` if the job has ended.
    fn waiters(&self) -> Option<Arc<Waiters>> {
        let mut pending = self.pending.lock();
        // Set under the lock, so that nobody comes too late to be woken.
        if self.outcome.get().is_some() {
            return None;
        }
        Some(Arc::clone(pending.waiters.get_or_insert_default()))
    }

    /// What it runs.
    pub fn function(&self) -> &Arc<Function> {
        &self.function
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The arguments, with the results that are among them; empty once the job has ended well.
    /// `None` if there is too much of them for one message.
    pub(super) fn args(&self) -> Option<Blob> {
        match &self.pending.lock().content {
            Content::Args(args) => Some(args.clone()),
            Content::Asked(both) if both.1.inputs.is_empty() => Some(both.0.clone()),
            Content::Asked(both) => compose(&both.0, &both.1.inputs),
            Content::Ended(_) | Content::Kept(_) => Some(Blob::default()),
            Content::Failed(failed) => failed.args(),
        }
    }

    /// The arguments of a job that has failed, unless it was never run.
    pub fn args_of_failed(&self) -> Option<Blob> {
        match &self.pending.lock().content {
            Content::Failed(failed) => failed.args(),
            _ => None,
        }
    }

    /// What `look` sees in what is asked for the job beyond the plain, if there is anything and
    /// the job has not ended.
    pub(super) fn if_asked<T>(&self, look: impl FnOnce(&Asked) -> T) -> Option<T> {
        match &self.pending.lock().content {
            Content::Asked(both) => Some(look(&both.1)),
            _ => None,
        }
    }

    /// What the scheduler is to be told beyond what it is told of a plain job, if there is
    /// anything; or how the job ends at once, because one that it depends on has failed.
    pub(super) fn terms(&self, names: &mut Names) -> Option<Result<Terms, Ending>> {
        let share = self.group.share();
        if self.origin == Origin::HereOnTerms {
            return self.if_asked(|asked| asked.terms(share, names));
        }
        (share != ShareId::default()).then(|| {
            Ok(Terms {
                share,
                ..Terms::default()
            })
        })
    }

    /// What it needs of the machine that runs it; of a job that has ended nobody knows.
    pub(super) fn needs(&self) -> Needs {
        self.if_asked(Asked::needs).unwrap_or_default()
    }

    /// The job whose failure is why this one cannot run, if it depends on others: the first
    /// that failed.
    pub(super) fn root_of_failure(&self) -> Option<Arc<Job>> {
        self.if_asked(Asked::root_of_failure).flatten()
    }

    /// What a job that has not ended well, or not at all, is called: the name that it was given,
    /// or its function's.
    pub fn name(&self) -> Arc<str> {
        let given = match &self.pending.lock().content {
            Content::Asked(both) => both.1.name(),
            Content::Failed(failed) => failed.name.clone(),
            _ => None,
        };
        given.unwrap_or_else(|| self.function.name().into())
    }

    /// How many bytes the arguments are; 0 once the job has ended.
    pub fn args_len(&self) -> usize {
        match &self.pending.lock().content {
            Content::Args(args) => Parcel::weight(args),
            Content::Asked(both) => Parcel::weight(&both.0),
            _ => 0,
        }
    }

    /// When it was submitted, from the engine's birth on.
    pub(super) fn submitted(&self) -> Duration {
        duration(self.submitted)
    }

    /// Where and when it ran; `None` while it has not ended.
    pub(super) fn record(&self) -> Option<Record> {
        match &self.pending.lock().content {
            Content::Args(_) | Content::Asked(_) => None,
            Content::Ended(record) => Some(*record),
            Content::Failed(failed) => Some(failed.record),
            Content::Kept(kept) => Some(kept.record),
        }
    }

    /// Ends the job; only the first call counts. Who waits for it is still to be woken.
    pub(super) fn end(&self, outcome: Outcome, record: Record) -> Option<Arc<Waiters>> {
        let failure = outcome.failure();
        let aborted = matches!(failure, Some(JobFailure::ServerDestroyed));
        let keeps_args = !matches!(
            (&outcome, failure),
            (Outcome::Value(_), _)
                | (
                    _,
                    Some(
                        JobFailure::Cancelled
                            | JobFailure::DependencyCancelled(_)
                            | JobFailure::DependencyFailed(_)
                            | JobFailure::ServerDestroyed
                    )
                )
        );
        let stays = outcome.report().is_some_and(Report::is_kept);
        let mut pending = self.pending.lock();
        if self.outcome.set(outcome).is_err() {
            return None;
        }
        let before = std::mem::replace(&mut pending.content, Content::Ended(record));
        let spent = match before {
            Content::Args(args) if stays => {
                pending.content = self.kept(record, args, None);
                None
            }
            Content::Asked(both) if stays => {
                pending.content = self.kept(record, both.0, Some(both.1));
                None
            }
            Content::Args(args) if keeps_args => {
                pending.content = Content::Failed(Box::new(Failed {
                    record,
                    args,
                    inputs: Vec::new(),
                    name: None,
                }));
                None
            }
            Content::Asked(both) if keeps_args => {
                let (args, asked) = *both;
                pending.content = Content::Failed(Box::new(Failed {
                    record,
                    args,
                    name: asked.name(),
                    inputs: asked.inputs,
                }));
                None
            }
            other => Some(other),
        };
        let waiters = pending.waiters.take();
        drop(pending);
        drop(spent);
        self.group.job_ended(aborted);
        waiters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_small() {
        // With the two counts of its `Arc`, one block of 128 bytes of most allocators.
        assert!(size_of::<Job>() <= 104, "{}", size_of::<Job>());
    }
}
