//! What is asked for a job beyond the plain.

use std::sync::Arc;
use std::time::Duration;

use pp_core::{Data, Ending, ExecutorId, JobId, Retries, ShareId, Terms};

use super::job::Job;
use super::outcome::{JobFailure, Outcome};
use super::resources::{Names, Needs};

/// What is asked for a job beyond the plain. Of most it is only that they come after others: so
/// little memory is quickly had, and quickly given back by another thread.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// It begins after these have ended well.
    pub after: Vec<Arc<Job>>,
    /// So it does after these, whose results are among its arguments.
    pub inputs: Vec<Arc<Job>>,
    /// All else.
    pub wishes: Option<Arc<Wishes>>,
}

/// What is asked for a job that has nothing to do with others: see [`Terms`].
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// What it is called; none if as its function.
    pub name: Option<Arc<str>>,
    /// Jobs of higher priority go first. Default 0.
    pub priority: i32,
    /// How often it is tried again.
    pub retries: Retries,
    /// What it needs of the machine that runs it.
    pub needs: Needs,
    /// How long it may run at a time.
    pub time_limit: Option<Duration>,
}

impl Asked {
    /// What the scheduler is told; or how the job ends at once, because one that it depends on
    /// has failed.
    pub(super) fn terms(&self, share: ShareId, names: &mut Names) -> Result<Terms, Ending> {
        let mut after = Vec::with_capacity(self.after.len() + self.inputs.len());
        for job in self.dependencies() {
            let root = JobId::from_u64(job.number());
            match job.outcome() {
                None => after.push(root),
                Some(Outcome::Value(_)) => {}
                Some(_) if job.is_cancelled() => return Err(Ending::DependencyCancelled { root }),
                Some(_) => return Err(Ending::DependencyFailed { root }),
            }
        }
        let terms = Terms {
            data: self.data(),
            share,
            after,
            ..Terms::default()
        };
        let Some(wishes) = &self.wishes else {
            return Ok(terms);
        };
        Ok(Terms {
            priority: wishes.priority,
            time_limit: wishes.time_limit,
            retries: wishes.retries,
            demand: names.demand(&wishes.needs),
            ..terms
        })
    }

    /// What the job is called, if not as its function.
    pub(super) fn name(&self) -> Option<Arc<str>> {
        self.wishes.as_ref()?.name.clone()
    }

    /// What it needs of the machine that runs it.
    pub(super) fn needs(&self) -> Needs {
        let wishes = self.wishes.as_ref();
        wishes
            .map(|wishes| wishes.needs.clone())
            .unwrap_or_default()
    }

    /// Which of its inputs lie at nodes already.
    fn data(&self) -> Vec<Data> {
        let reports = self.inputs.iter().filter_map(|job| {
            let report = job.outcome().and_then(Outcome::report)?;
            Some((JobId::from_u64(job.number()), report))
        });
        let data = reports.filter_map(|(job, report)| {
            let mut away = report.away().filter(|away| !away.is_lost()).peekable();
            // All of it lies where it was made.
            let home = away.peek()?.home();
            let sizes = away.map(|away| away.size());
            Some(Data {
                job,
                executor: ExecutorId::from_u64(home.node),
                bytes: sizes.fold(0, u64::saturating_add),
            })
        });
        data.collect()
    }

    /// The job whose failure is why this one cannot run: the first that failed.
    pub(super) fn root_of_failure(&self) -> Option<Arc<Job>> {
        self.dependencies().find_map(|job| match job.outcome()? {
            Outcome::Value(_) => None,
            Outcome::Failed(failure) => Some(match &**failure {
                JobFailure::DependencyFailed(root) | JobFailure::DependencyCancelled(root) => {
                    Arc::clone(root)
                }
                _ => Arc::clone(job),
            }),
            _ => Some(Arc::clone(job)),
        })
    }

    /// All jobs that have to end first.
    fn dependencies(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.after.iter().chain(&self.inputs)
    }
}
