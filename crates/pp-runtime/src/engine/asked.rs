//! What is asked for a job beyond the plain.

use std::sync::Arc;
use std::time::Duration;

use pp_core::{Data, Ending, ExecutorId, JobId, Retries, ShareId, Terms};

use super::job::Job;
use super::outcome::{JobFailure, Outcome};
use super::resources::{Names, Needs};

/// What is asked for a job beyond the plain: see [`Terms`].
#[derive(Debug, Clone, Default)]
pub struct Asked {
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
    /// It begins after these have ended well.
    pub after: Vec<Arc<Job>>,
    /// So it does after these, whose results are among its arguments.
    pub inputs: Vec<Arc<Job>>,
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
        Ok(Terms {
            data: self.data(),
            priority: self.priority,
            share,
            after,
            time_limit: self.time_limit,
            retries: self.retries,
            demand: names.demand(&self.needs),
        })
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
