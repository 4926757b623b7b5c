//! What can be asked of a job while it is on its way, and afterwards.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use pp_core::{ExecutorId, JobId, JobState, ShareId};

use super::job::Job;
use super::record::{HERE, NOWHERE};
use super::state::State;
use super::{Engine, EngineError};

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It has not begun.
    Queued,
    /// It runs, as far as is known.
    Running(Place),
    /// It has ended.
    Ended(Past),
}

/// Who runs a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name of the node; "local" is this machine.
    pub node: Arc<str>,
    /// The process, if it is known.
    pub worker: Option<u32>,
}

/// How a job ran that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Who ran it last; none if it never ran, or nobody knows.
    pub place: Option<Place>,
    /// How often it was begun.
    pub attempts: u32,
    /// How long ago it ended.
    pub age: Duration,
    /// How long it ran, the last time.
    pub run_time: Duration,
}

impl Engine {
    /// Ends a job wherever it is: see [`Scheduler::cancel`](pp_core::Scheduler::cancel).
    /// False if it has ended.
    ///
    /// # Errors
    /// This is a forked child.
    pub fn cancel(&self, job: &Job) -> Result<bool, EngineError> {
        self.check_process()?;
        if job.outcome().is_some() {
            return Ok(false);
        }
        let mut state = self.shared.lock();
        // The scheduler may not even have been told of it.
        self.shared.unpack(&mut state);
        let now = state.now();
        let is_live = state.scheduler.cancel(id_of(job), now);
        self.shared.settle(&mut state);
        Ok(is_live)
    }

    /// Ends a job, as cancelled, if it has not begun: it is queued, or a worker of this machine
    /// has it and has not taken it. False, and nothing happens, if it may have begun; so it is
    /// with what a node has.
    ///
    /// # Errors
    /// This is a forked child.
    pub fn withdraw_job(&self, job: &Job) -> Result<bool, EngineError> {
        self.check_process()?;
        if job.outcome().is_some() {
            return Ok(false);
        }
        let mut state = self.shared.lock();
        self.shared.unpack(&mut state);
        let id = id_of(job);
        let place = state.scheduler.job(id).map(|job| job.state);
        let is_near = match place {
            None => false,
            Some(JobState::Queued | JobState::Waiting | JobState::Paused) => true,
            Some(
                JobState::Sent { executor }
                | JobState::Recalling { executor }
                | JobState::Cancelling { executor },
            ) => state.workers.contains_key(&executor),
        };
        if is_near {
            let now = state.now();
            state.scheduler.give_back(id, now);
        }
        // A worker's claim answers at once.
        self.shared.settle(&mut state);
        Ok(job.is_cancelled())
    }

    /// Ends all jobs of a group, wherever they are; how many there were.
    ///
    /// # Errors
    /// This is a forked child.
    pub fn cancel_group(&self, group: &Arc<super::Group>) -> Result<usize, EngineError> {
        self.check_process()?;
        let mut state = self.shared.lock();
        self.shared.unpack(&mut state);
        let now = state.now();
        let is_all = Arc::ptr_eq(group, &self.shared.all);
        // Those that nobody has submitted make results again that were not cancelled.
        let all = &self.shared.all;
        let is_meant = |job: &Arc<Job>| {
            Arc::ptr_eq(job.group(), group) || is_all && job.group().is_within(all)
        };
        let count = state.scheduler.cancel_all(is_meant, now);
        self.shared.settle(&mut state);
        Ok(count)
    }

    /// Sets what the jobs of a group get, from the next one on: see
    /// [`Scheduler::set_share`](pp_core::Scheduler::set_share).
    ///
    /// # Errors
    /// This is a forked child, or the engine was destroyed.
    pub fn set_group_share(
        &self,
        group: &super::Group,
        weight: NonZeroU32,
        limit: Option<u32>,
    ) -> Result<(), EngineError> {
        self.check_process()?;
        let mut state = self.shared.lock();
        if state.destroyed {
            return Err(EngineError::Destroyed);
        }
        // Those that came before are not of the share.
        self.shared.unpack(&mut state);
        let next = &mut state.shares;
        let share = group.share_or(|| {
            *next += 1;
            ShareId::from_u64(*next)
        });
        let now = state.now();
        state.scheduler.set_share(share, weight, limit, now);
        self.shared.settle(&mut state);
        Ok(())
    }

    /// Where a job is.
    ///
    /// # Errors
    /// This is a forked child, where only ends are known.
    pub fn stage(&self, job: &Job) -> Result<Stage, EngineError> {
        if let Some(past) = self.past(job) {
            return Ok(Stage::Ended(past));
        }
        self.check_process()?;
        let mut state = self.shared.lock();
        // It may have begun, or ended, without anybody having looked.
        self.shared.take_in_all(&mut state);
        if job.outcome().is_some() {
            drop(state);
            let past = self.past(job);
            return Ok(past.map_or(Stage::Queued, Stage::Ended));
        }
        Ok(match state.runner_of(id_of(job)) {
            Some(place) => Stage::Running(place),
            None => Stage::Queued,
        })
    }

    /// How long ago a job was submitted.
    pub fn age(&self, job: &Job) -> Duration {
        self.shared.born.elapsed().saturating_sub(job.submitted())
    }

    fn past(&self, job: &Job) -> Option<Past> {
        let record = job.record()?;
        let ran = record.ran();
        let node = match ran.site {
            HERE => Some("local".into()),
            NOWHERE => None,
            // In a forked child, somebody may have the lock for ever.
            _ if self.check_process().is_err() => None,
            site => self.shared.lock().links.sites.name(site).cloned(),
        };
        let worker = (ran.worker > 0).then_some(ran.worker);
        Some(Past {
            place: node.map(|node| Place { node, worker }),
            attempts: ran.attempts,
            age: self.shared.born.elapsed().saturating_sub(record.ended()),
            run_time: ran.run_time,
        })
    }
}

/// What the scheduler calls a job of this process: its number.
fn id_of(job: &Job) -> JobId {
    JobId::from_u64(job.number())
}

impl State {
    /// Who runs a live job, if it has begun as far as is known.
    fn runner_of(&self, job: JobId) -> Option<Place> {
        let executor = match self.scheduler.job(job)?.state {
            JobState::Queued | JobState::Waiting | JobState::Paused => return None,
            JobState::Sent { executor }
            | JobState::Recalling { executor }
            | JobState::Cancelling { executor } => executor,
        };
        match self.workers.get(&executor) {
            Some(_) => self.worker_that_runs(executor, job),
            None => self.node_that_runs(executor, job),
        }
    }

    fn worker_that_runs(&self, executor: ExecutorId, job: JobId) -> Option<Place> {
        let line = self.workers.get(&executor)?.line.as_ref()?;
        let has_begun = line.channel.started().any(|started| started == job);
        has_begun.then(|| Place {
            node: "local".into(),
            worker: line.process.pid().into(),
        })
    }

    /// A node does not say what it has begun: the first that it got, as many as it runs at a
    /// time, are taken to run.
    fn node_that_runs(&self, executor: ExecutorId, job: JobId) -> Option<Place> {
        let node = self.links.nodes.get(&executor)?;
        self.scheduler.is_taken_to_run(job).then(|| Place {
            node: Arc::clone(&node.name),
            worker: None,
        })
    }
}
