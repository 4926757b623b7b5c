//! What is known of a job that an executor holds.

use crate::JobId;
use crate::estimate::Expected;
use crate::shares::Took;

/// What is known of a job that an executor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldState {
    /// Sent. The first of an executor, as many as it has slots, are taken to run.
    Sent,
    /// Asked back, to run elsewhere.
    Recalling,
    /// Asked back, to be cancelled.
    Cancelling,
    /// Asked back, to be cancelled if it has not begun.
    Withdrawing,
    /// Asked back, to be cancelled if it has not begun; else nothing was asked.
    Returning,
    /// Asked back, to run elsewhere; if it has begun, its time is over.
    Expiring,
    /// Known to run, because it could not be taken back.
    Started,
    /// Known to run, and not to be run again.
    Withdrawn,
    /// Known to run, and asked to end, to be cancelled.
    Interrupted,
    /// Known to run, and asked to end because its time is over.
    Expired,
}

impl HeldState {
    /// Whether an answer is to come.
    pub(crate) fn is_asked_back(self) -> bool {
        matches!(
            self,
            Self::Recalling
                | Self::Cancelling
                | Self::Withdrawing
                | Self::Returning
                | Self::Expiring
        )
    }

    /// Whether it is known to run and asked to end.
    pub(crate) fn is_asked_to_end(self) -> bool {
        matches!(self, Self::Interrupted | Self::Expired)
    }

    /// Whether nobody wants it to run any more.
    pub(crate) fn is_called_off(self) -> bool {
        matches!(
            self,
            Self::Cancelling | Self::Withdrawing | Self::Withdrawn | Self::Interrupted
        )
    }

    /// What the executor did for the job if it is gone, or being killed.
    pub(crate) fn took(self) -> Took {
        match self {
            Self::Started | Self::Withdrawn | Self::Interrupted | Self::Expired => Took::Unknown,
            Self::Sent
            | Self::Recalling
            | Self::Cancelling
            | Self::Withdrawing
            | Self::Returning
            | Self::Expiring => Took::Nothing,
        }
    }
}

/// Where a job has taken what it needs beyond a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It needs nothing more.
    Nothing,
    /// On this machine, as all workers.
    Here,
    /// Of the node that holds it.
    OfNode,
}

/// A job that an executor holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) job: JobId,
    /// What was expected of it when it was sent.
    pub(crate) expected: Expected,
    /// What its share was charged with for it, in nanoseconds.
    pub(crate) charge: u32,
    pub(crate) state: HeldState,
    pub(crate) taken: Taken,
}

impl Held {
    #[inline]
    pub(super) fn is_sent(&self) -> bool {
        self.state == HeldState::Sent
    }

    /// Whether it has taken something of a node, which few may have: where it waits, it stays.
    #[inline]
    pub(super) fn is_bound(&self) -> bool {
        self.taken == Taken::OfNode
    }
}
