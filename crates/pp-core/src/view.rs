//! What can be seen of a scheduler from outside.

use std::time::Duration;

use crate::executor::{ExecutorKind, ExecutorState};
use crate::held::HeldState;
use crate::job::{QUEUED, WAITING};
use crate::{ExecutorId, FunctionId, JobId, Scheduler};

/// Where a live job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits for the end of others.
    Waiting,
    /// Waits for an executor.
    Queued,
    /// Was sent to an executor, and has perhaps begun.
    Sent {
        /// Who holds it.
        executor: ExecutorId,
    },
    /// Is being asked back, to run elsewhere.
    Recalling {
        /// Who holds it.
        executor: ExecutorId,
    },
    /// Is being asked back or killed, to be cancelled.
    Cancelling {
        /// Who holds it.
        executor: ExecutorId,
    },
}

/// One live job.
#[derive(Clone, Copy, Debug)]
pub struct JobView<'a, J> {
    /// What the caller gave with it.
    pub data: &'a J,
    /// The function that it uses.
    pub function: FunctionId,
    /// How many workers have died while running it.
    pub deaths: u32,
    /// How many nodes were lost while holding it.
    pub losses: u32,
    /// Where it is.
    pub state: JobState,
}

/// How many executors are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExecutorCounts {
    /// In [`ExecutorState::Starting`].
    pub starting: usize,
    /// In [`ExecutorState::Surplus`].
    pub surplus: usize,
    /// In [`ExecutorState::Ready`].
    pub ready: usize,
    /// In [`ExecutorState::Draining`].
    pub draining: usize,
    /// In [`ExecutorState::Retiring`].
    pub retiring: usize,
    /// In [`ExecutorState::Killing`].
    pub killing: usize,
}

impl ExecutorCounts {
    /// Executors that count towards the number that is wanted.
    pub fn wanted(self) -> usize {
        self.starting + self.ready
    }

    /// All executors that have not been reported gone.
    pub fn total(self) -> usize {
        self.wanted() + self.surplus + self.draining + self.retiring + self.killing
    }

    pub(crate) fn of(&mut self, state: ExecutorState) -> &mut usize {
        match state {
            ExecutorState::Starting => &mut self.starting,
            ExecutorState::Surplus => &mut self.surplus,
            ExecutorState::Ready => &mut self.ready,
            ExecutorState::Draining => &mut self.draining,
            ExecutorState::Retiring => &mut self.retiring,
            ExecutorState::Killing => &mut self.killing,
        }
    }
}

/// One executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutorStats {
    /// What it is.
    pub kind: ExecutorKind,
    /// Where it is in its life.
    pub state: ExecutorState,
    /// How many jobs it runs at a time.
    pub slots: usize,
    /// What a message to it and the answer take, beyond what it takes for a worker.
    pub latency: Duration,
    /// The most jobs that it will hold.
    pub credit: u32,
    /// How many it holds: the one that runs and those ahead.
    pub held: usize,
    /// How long these are expected to take it. Jobs of unknown length count as 4.29 s.
    pub backlog: Duration,
    /// How many it has finished.
    pub finished: u64,
    /// How long those ran.
    pub run_time: Duration,
    /// Jobs that it may still be given before it is replaced; `None` for any number.
    pub remaining: Option<u32>,
}

impl<J> Scheduler<J> {
    /// What was submitted as a live job's data; `None` if it has ended.
    pub fn data(&self, job: JobId) -> Option<&J> {
        self.jobs.get(job).map(|entry| &entry.data)
    }

    /// A live job; `None` if it has ended.
    pub fn job(&self, job: JobId) -> Option<JobView<'_, J>> {
        let entry = self.jobs.get(job)?;
        Some(JobView {
            data: &entry.data,
            function: self.functions.get(entry.function)?.id,
            deaths: u32::from(entry.deaths),
            losses: entry.losses(),
            state: self.job_state(entry.executor, entry.place)?,
        })
    }

    fn job_state(&self, slot: u32, place: u32) -> Option<JobState> {
        match slot {
            QUEUED => return Some(JobState::Queued),
            WAITING => return Some(JobState::Waiting),
            _ => {}
        }
        let holder = self.executors.get(slot)?;
        let executor = holder.id;
        Some(match holder.held.get(place)?.state {
            HeldState::Sent | HeldState::Started | HeldState::Withdrawn | HeldState::Expired => {
                JobState::Sent { executor }
            }
            HeldState::Recalling | HeldState::Expiring => JobState::Recalling { executor },
            HeldState::Cancelling
            | HeldState::Withdrawing
            | HeldState::Returning
            | HeldState::Interrupted => JobState::Cancelling { executor },
        })
    }

    /// Whether an executor has a live job and is taken to run it: it is among the first that
    /// the executor holds, as many as it runs at a time.
    pub fn is_taken_to_run(&self, job: JobId) -> bool {
        let entry = self.jobs.get(job);
        entry.is_some_and(|entry| {
            let holder = self.executors.get(entry.executor);
            holder.is_some_and(|holder| holder.held.is_at_front(entry.place))
        })
    }

    /// How many jobs wait for an executor.
    pub fn queued(&self) -> usize {
        self.queue.len() + self.suspects.queued()
    }

    /// How many jobs wait for the end of others.
    pub fn waiting(&self) -> usize {
        self.dependencies.len()
    }

    /// How many jobs executors hold.
    pub fn outstanding(&self) -> usize {
        self.jobs.len() - self.queued() - self.waiting()
    }

    /// How many live jobs use a function.
    pub fn function_in_use(&self, function: FunctionId) -> usize {
        self.functions.jobs(function)
    }

    /// How many workers are in each state.
    pub fn worker_counts(&self) -> ExecutorCounts {
        self.executors.workers()
    }

    /// How many nodes are in each state.
    pub fn node_counts(&self) -> ExecutorCounts {
        self.executors.nodes()
    }

    /// One executor; `None` if it is gone.
    pub fn executor_stats(&self, executor: ExecutorId) -> Option<ExecutorStats> {
        let executor = self.executors.get(self.executors.slot(executor)?)?;
        Some(ExecutorStats {
            state: executor.state,
            credit: executor.credit,
            kind: executor.kind,
            slots: executor.held.slots(),
            latency: Duration::from_nanos(executor.latency),
            held: executor.held.len(),
            backlog: Duration::from_nanos(executor.backlog()),
            finished: executor.finished,
            run_time: executor.run_time,
            remaining: executor.remaining,
        })
    }

    /// Whether nothing is left of any job: none is live, and no effect is waiting
    /// to be polled. Executors and known functions may remain.
    pub fn is_empty(&self) -> bool {
        self.jobs.len() == 0
            && self.queue.is_bare()
            && self.suspects.is_empty()
            && self.dependencies.is_empty()
            && self.time_limits.is_empty()
            && self.effects.is_empty()
            && self.recalls.pending == 0
            && self.recalls.deadline.is_none()
            && self
                .executors
                .iter()
                .all(|(_, executor)| executor.held.is_empty())
    }

    /// Whether [`destroy`](Self::destroy) was called.
    pub fn is_destroyed(&self) -> bool {
        self.destroyed
    }
}
