//! What the scheduler wants done, and how jobs end.

use std::fmt;
use std::time::Duration;

use crate::{ExecutorId, FunctionId, JobId, Lack};

/// One thing for the caller to do.
///
/// Effects are to be carried out in the order in which
/// [`Scheduler::poll`](crate::Scheduler::poll) gives them. `poll` leaves out what
/// later events have made pointless: nothing is ever asked of an executor that has
/// been reported gone, and no job is sent that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<J> {
    /// Start an executor. Answer with
    /// [`executor_ready`](crate::Scheduler::executor_ready) or
    /// [`executor_start_failed`](crate::Scheduler::executor_start_failed): one of them
    /// must come, so set a time limit.
    Start {
        /// The new executor.
        executor: ExecutorId,
    },
    /// Give the executor a function. Comes before the first [`Effect::Send`] of a
    /// job that uses it, and again after an [`Effect::Forget`].
    SendFunction {
        /// Who gets it.
        executor: ExecutorId,
        /// What to send.
        function: FunctionId,
    },
    /// Give the executor a job. [`Scheduler::data`](crate::Scheduler::data) has it.
    Send {
        /// Who gets it.
        executor: ExecutorId,
        /// What to send.
        job: JobId,
    },
    /// Take a job back unless it has been started. Answer with
    /// [`recall_answered`](crate::Scheduler::recall_answered), at once or later.
    Recall {
        /// Who holds it.
        executor: ExecutorId,
        /// What to take back.
        job: JobId,
    },
    /// Let a job end that a worker runs, without the worker's end: it may clean up, and
    /// either ends as it likes or, after a while, with its worker.
    Interrupt {
        /// Who runs it.
        executor: ExecutorId,
        /// What is to end.
        job: JobId,
    },
    /// Let the node end a job, wherever it is there. Answer with
    /// [`recall_answered`](crate::Scheduler::recall_answered), at once or later: true once
    /// the job has been ended, false if its result is on the way.
    Cancel {
        /// Who holds it.
        executor: ExecutorId,
        /// What to end.
        job: JobId,
    },
    /// Ask the executor, which holds no job, to exit. Answer with
    /// [`executor_exited`](crate::Scheduler::executor_exited).
    Retire {
        /// Who is to go.
        executor: ExecutorId,
    },
    /// End the executor by force. Answer with
    /// [`executor_lost`](crate::Scheduler::executor_lost) when it is gone.
    Kill {
        /// Who is to go.
        executor: ExecutorId,
    },
    /// Let the executor forget a function.
    Forget {
        /// Who holds it.
        executor: ExecutorId,
        /// What to forget.
        function: FunctionId,
    },
    /// The job has ended, and nobody was told so by
    /// [`job_finished`](crate::Scheduler::job_finished),
    /// [`job_raised`](crate::Scheduler::job_raised) or
    /// [`job_failed`](crate::Scheduler::job_failed).
    End {
        /// Which job; its name means nothing from now on.
        job: JobId,
        /// What the caller gave with the job.
        data: J,
        /// Why it has ended.
        ending: Ending,
        /// What it was charged with. Of a job that is given back to a parent, the parent
        /// must hear; see [`Scheduler::job_charged`](crate::Scheduler::job_charged).
        charges: Charges,
    },
}

impl<J> Effect<J> {
    /// The executor that is to do something, if it is one that must exist.
    pub(crate) fn executor(&self) -> Option<ExecutorId> {
        match *self {
            Self::Start { executor }
            | Self::SendFunction { executor, .. }
            | Self::Send { executor, .. }
            | Self::Recall { executor, .. }
            | Self::Interrupt { executor, .. }
            | Self::Cancel { executor, .. }
            | Self::Retire { executor }
            | Self::Kill { executor }
            | Self::Forget { executor, .. } => Some(executor),
            Self::End { .. } => None,
        }
    }
}

/// How often executors were gone that ran or held a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charges {
    /// Workers that died while running it.
    pub deaths: u32,
    /// Nodes that were lost while holding it.
    pub losses: u32,
}

impl Charges {
    /// Whether there is nothing.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// Why a job has ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Executors died while running it, as often as
    /// [`Config::max_worker_deaths`](crate::Config::max_worker_deaths) allows.
    WorkerDied {
        /// How many died.
        deaths: u32,
        /// The last of them.
        executor: ExecutorId,
    },
    /// Nodes were lost while holding it, as often as
    /// [`Config::max_node_losses`](crate::Config::max_node_losses) allows.
    NodeLost {
        /// How many were lost.
        losses: u32,
        /// The last of them.
        executor: ExecutorId,
    },
    /// No executor could be started.
    StartFailed {
        /// How many starts failed in a row.
        attempts: u32,
    },
    /// [`Scheduler::give_up`](crate::Scheduler::give_up) ended it: nobody was there to run it.
    GivenUp,
    /// [`Scheduler::cancel`](crate::Scheduler::cancel) ended it.
    Cancelled,
    /// It ran for longer than it [may](crate::Terms::time_limit).
    TimedOut {
        /// How long it may run.
        limit: Duration,
    },
    /// It was to begin [after](crate::Terms::after) a job that has failed, or after one that
    /// ended because of that.
    DependencyFailed {
        /// The job that failed first.
        root: JobId,
    },
    /// The same where the first was cancelled.
    DependencyCancelled {
        /// The job that was cancelled.
        root: JobId,
    },
    /// [`Scheduler::end_hopeless`](crate::Scheduler::end_hopeless) ended it: no machine could
    /// ever hold what it [needs](crate::Terms::demand).
    Unsatisfiable {
        /// What is lacking.
        lack: Lack,
    },
    /// [`Scheduler::destroy`](crate::Scheduler::destroy) ended it.
    Destroyed,
}

impl Ending {
    /// How those jobs end that depend on a job which ends like this.
    pub(crate) fn of_dependants(self, job: JobId) -> Self {
        match self {
            Self::DependencyFailed { .. } | Self::DependencyCancelled { .. } => self,
            Self::Cancelled => Self::DependencyCancelled { root: job },
            _ => Self::DependencyFailed { root: job },
        }
    }
}

/// A job was submitted after [`Scheduler::destroy`](crate::Scheduler::destroy).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Destroyed<J> {
    /// What was submitted, handed back.
    pub data: J,
}

// By hand: the data need not be printable for the error to be.
impl<J> fmt::Debug for Destroyed<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destroyed").finish_non_exhaustive()
    }
}

impl<J> fmt::Display for Destroyed<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was not accepted: the scheduler has been destroyed")
    }
}

impl<J> std::error::Error for Destroyed<J> {}
