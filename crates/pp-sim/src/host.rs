//! Machines.

use crate::book::Amounts;

/// What a machine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has jobs to run.
    Client,
    /// It runs them.
    Node,
}

/// Whether a machine can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Power {
    /// Our program runs.
    On,
    /// It does not; the machine says so.
    Down,
    /// The machine says nothing.
    Off,
}

/// Another machine that a machine wants to use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) host: usize,
    /// The way there.
    pub(crate) path: usize,
}

/// One machine.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) role: Role,
    pub(crate) power: Power,
    /// It does nothing before then.
    pub(crate) frozen_until: u64,
    /// How many jobs it runs at a time, with its own workers.
    pub(crate) workers: u32,
    /// How much it has of each resource, for each engine.
    pub(crate) supply: Amounts,
    /// How fast it is, in percent.
    pub(crate) speed: u64,
    /// Nodes that it uses.
    pub(crate) targets: Vec<Target>,
    /// The engines that work on it: one for each client of a node, one for a client.
    pub(crate) engines: Vec<usize>,
    /// It lets nobody in any more.
    pub(crate) is_leaving: bool,
    pub(crate) share_is_planned: bool,
    /// When it stopped to want its jobs done, if it is a client.
    pub(crate) gone_since: Option<u64>,
    /// How many workers of a thousand do not start.
    pub(crate) failing_starts: u64,
}

impl Host {
    pub(crate) fn new(role: Role, workers: u32, speed: u64) -> Self {
        Self {
            role,
            power: Power::On,
            frozen_until: 0,
            workers,
            supply: [0; 2],
            speed: speed.max(1),
            targets: Vec::new(),
            engines: Vec::new(),
            is_leaving: false,
            share_is_planned: false,
            gone_since: None,
            failing_starts: 0,
        }
    }

    pub(crate) fn is_frozen(&self, now: u64) -> bool {
        now < self.frozen_until
    }
}
