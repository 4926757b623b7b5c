//! A worker as the engine sees it.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crate::channel::ParentChannel;
use crate::process::Process;

/// How far a worker has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its process is being started, or not yet ready.
    Starting,
    /// It takes jobs.
    Ready,
    /// It was asked to leave.
    Leaving,
}

/// One worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) stage: Stage,
    /// Since when it is in that stage.
    pub(super) since: Instant,
    /// Since when its process is stopped.
    pub(super) stopped: Option<Instant>,
    /// Since when its end of the socket is closed.
    pub(super) hung_up: Option<Instant>,
    /// None before the process runs.
    pub(super) line: Option<Line>,
    /// Something was written to it, and its bell not rung yet.
    pub(super) is_unrung: bool,
    /// To be killed as soon as its process is known.
    pub(super) condemned: Option<String>,
    pub(super) keeper: Option<JoinHandle<()>>,
}

/// The process and the way to it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) process: Arc<Process>,
    pub(super) channel: ParentChannel,
    /// Set once the channel has failed: it is not read any more.
    pub(super) broken: bool,
}

impl Worker {
    pub(super) fn starting(now: Instant) -> Self {
        Self {
            stage: Stage::Starting,
            since: now,
            stopped: None,
            hung_up: None,
            line: None,
            is_unrung: false,
            condemned: None,
            keeper: None,
        }
    }

    pub(super) fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.since = now;
    }

    /// Kills the process, now or as soon as there is one.
    pub(super) fn kill(&mut self, reason: &str) {
        match &self.line {
            Some(line) => line.process.kill(reason),
            None => self.condemned = Some(reason.to_owned()),
        }
    }

    /// Gives up a line that does not keep to the protocol, and its process.
    pub(super) fn break_line(&mut self, error: &dyn std::fmt::Display) {
        if let Some(line) = &mut self.line {
            line.broken = true;
            tracing::warn!(pid = line.process.pid(), %error, "the line to a worker broke");
            line.process.kill(&error.to_string());
        }
    }

    /// The channel, while it can be used.
    pub(super) fn channel(&mut self) -> Option<&mut ParentChannel> {
        self.line
            .as_mut()
            .filter(|line| !line.broken)
            .map(|line| &mut line.channel)
    }
}
