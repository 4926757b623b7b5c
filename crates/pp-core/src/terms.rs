//! What can be asked for a job beyond the plain.

use std::time::Duration;

use crate::{Data, Demand, JobId, ShareId};

/// What is asked for a job beyond the plain; see
/// [`Scheduler::submit_with`](crate::Scheduler::submit_with). The default is a plain job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Jobs of a higher priority go first, among those of their share. Default 0.
    pub priority: i32,
    /// The share that it belongs to. Default that of all jobs that name none.
    pub share: ShareId,
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
    /// Whether it is run again when it raises something. A node need not be told: it says what
    /// a job has raised, and that is decided here.
    pub retries: Retries,
    /// What it needs beyond a slot, where it runs. A node that runs it is to be told.
    pub demand: Demand,
    /// What it needs of data that executors have when it is submitted: it had best run there. What
    /// those jobs leave that it is to begin after, [is said](crate::Scheduler::result_stays) when
    /// they finish.
    pub data: Vec<Data>,
}

/// How often a job is run again that has [raised](crate::Scheduler::job_raised) something.
///
/// Deaths of workers and losses of nodes have their own limits, and use none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// How often at the most.
    pub count: u32,
    /// The pause before the first time. It doubles with each.
    pub pause: Duration,
    /// The longest pause; zero if there is no limit.
    pub max_pause: Duration,
    /// Whether it is run again too when it has run for longer than it may.
    pub on_timeout: bool,
}

impl Retries {
    /// The pause after so many retries.
    pub(crate) fn pause_after(&self, used: u32) -> Duration {
        let doublings = 1_u32.checked_shl(used).unwrap_or(u32::MAX);
        let pause = self.pause.saturating_mul(doublings);
        if self.max_pause.is_zero() {
            pause
        } else {
            pause.min(self.max_pause)
        }
    }
}
