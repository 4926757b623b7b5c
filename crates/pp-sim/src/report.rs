//! Figures of a run.

/// What is counted while it runs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) events: u64,
    pub(crate) effects: u64,
    pub(crate) recalls: u64,
    pub(crate) losses: u64,
    pub(crate) begun: u64,
    /// How long workers ran jobs, together, in nanoseconds.
    pub(crate) busy: u64,
    /// When a job last ended for its caller.
    pub(crate) last_end: u64,
    /// How many faults have happened.
    pub(crate) faults: u64,
}

/// Figures of a run.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// The virtual time, in nanoseconds.
    pub now: u64,
    /// When the last job ended for its caller.
    pub last_end: u64,
    /// Events that happened.
    pub events: u64,
    /// Decisions that all schedulers took: sends, recalls, starts, ends and so on.
    pub decisions: u64,
    /// Messages that were sent over links.
    pub messages: u64,
    /// Jobs that were asked back.
    pub recalls: u64,
    /// Nodes that were given up.
    pub losses: u64,
    /// How often a job began.
    pub begun: u64,
    /// Jobs that ended with their result.
    pub done: usize,
    /// Jobs that have not ended.
    pub open: usize,
    /// How long workers ran jobs, together, in nanoseconds.
    pub busy: u64,
    /// The same for two runs that are alike.
    pub fingerprint: u64,
}
