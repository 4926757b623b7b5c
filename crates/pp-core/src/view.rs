//! What can be seen of a scheduler from outside.

use std::time::Duration;

use crate::demand::NOTHING;
use crate::executor::{ExecutorKind, ExecutorState};
use crate::held::HeldState;
use crate::job::{ASIDE, PAUSED, QUEUED, WAITING};
use crate::time::Time;
use crate::{Demand, ExecutorId, FunctionId, JobId, Scheduler, ShareId};

/// Where a live job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits for the end of others, or was [set aside](crate::Scheduler::set_aside).
    Waiting,
    /// Has raised something, and waits until it is run again.
    Paused,
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

impl JobState {
    /// Who holds it, if anybody does.
    pub fn executor(self) -> Option<ExecutorId> {
        match self {
            Self::Waiting | Self::Paused | Self::Queued => None,
            Self::Sent { executor }
            | Self::Recalling { executor }
            | Self::Cancelling { executor } => Some(executor),
        }
    }
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
    /// Which run this is, of those that it does not owe to others: 1, and one more for each
    /// [retry](crate::Terms::retries) that it has used.
    pub attempts: u32,
    /// Its priority.
    pub priority: i32,
    /// The share that it belongs to.
    pub share: ShareId,
    /// What it needs where it runs, each resource once.
    pub demand: &'a Demand,
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
        let (record, class) = (self.records.get(job), self.classes.get(entry.class));
        Some(JobView {
            data: &entry.data,
            function: self.functions.get(entry.function)?.id,
            deaths: record.deaths.into(),
            losses: record.losses(),
            attempts: self.retries.used(job).saturating_add(1),
            priority: class.priority,
            share: self.shares.get(class.share)?.id,
            demand: self.demands.get(class.demand),
            state: self.job_state(entry.executor, entry.place)?,
        })
    }

    fn job_state(&self, slot: u32, place: u32) -> Option<JobState> {
        match slot {
            QUEUED => return Some(JobState::Queued),
            WAITING | ASIDE => return Some(JobState::Waiting),
            PAUSED => return Some(JobState::Paused),
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

    /// How often a live job was begun and did not come to an end of its own: for the death of a
    /// worker, the loss of a node, or to be tried again.
    pub fn failed_attempts(&self, job: JobId) -> u32 {
        let record = self.records.get(job);
        let charged = u32::from(record.deaths).saturating_add(record.losses());
        charged.saturating_add(self.retries.used(job))
    }

    /// What a live job needs, if that is more than one slot.
    pub fn demand(&self, job: JobId) -> Option<&Demand> {
        let class = self.classes.get(self.jobs.get(job)?.class);
        (class.demand != NOTHING).then(|| self.demands.get(class.demand))
    }

    /// The priority of a live job; 0 of one that is not.
    pub fn priority(&self, job: JobId) -> i32 {
        let class = self.jobs.get(job).map(|entry| entry.class);
        class.map_or(0, |class| self.classes.get(class).priority)
    }

    /// How long a live job may run at a time, if that is limited.
    pub fn time_limit(&self, job: JobId) -> Option<Duration> {
        self.time_limits.get(job)
    }

    /// Since when a worker runs a live job, as far as is known.
    pub fn runs_since(&self, job: JobId) -> Option<Time> {
        let entry = self.jobs.get(job)?;
        let holder = self.executors.get(entry.executor)?;
        let is_first = !holder.is_node() && holder.held.is_at_front(entry.place);
        is_first.then_some(holder.progress)
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
        self.shares.queued() + self.suspects.queued()
    }

    /// How many jobs wait for the end of others, or were [set aside](Self::set_aside).
    pub fn waiting(&self) -> usize {
        self.dependencies.len() + self.asides.len()
    }

    /// How many jobs pause before they are run again.
    pub fn paused(&self) -> usize {
        self.retries.paused()
    }

    /// How many jobs executors hold.
    pub fn outstanding(&self) -> usize {
        self.jobs.len() - self.queued() - self.waiting() - self.paused()
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
    /// to be polled. Executors, known functions and shares that were
    /// [set](Self::set_share) may remain.
    pub fn is_empty(&self) -> bool {
        self.jobs.len() == 0
            && self.shares.is_bare()
            && self.classes.is_bare()
            && self.demands.is_bare()
            && self.gathering.is_none()
            && self.executors.is_untaken()
            && self.records.is_empty()
            && self.suspects.is_empty()
            && self.dependencies.is_empty()
            && self.asides.is_empty()
            && self.nears.is_empty()
            && self.time_limits.is_empty()
            && self.retries.is_empty()
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
