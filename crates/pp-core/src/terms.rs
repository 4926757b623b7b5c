//! What can be asked for a job beyond the plain.

use std::time::Duration;

use crate::JobId;

/// What is asked for a job beyond the plain. The default is a plain job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// It begins after all these have ended well, by
    /// [`job_finished`](crate::Scheduler::job_finished). Names may occur twice. One that is
    /// not live any more counts as ended well: the caller knows how it ended.
    pub after: Vec<JobId>,
    /// How long it may run at a time. Then it is ended like one that runs and is
    /// [cancelled](crate::Scheduler::cancel), but with
    /// [`Ending::TimedOut`](crate::Ending::TimedOut). Where a node runs it, the node's own
    /// scheduler sees to that; it is to be told of the limit.
    /// Less than a millisecond counts as one.
    pub time_limit: Option<Duration>,
}
