//! What the engine's threads share.

use std::sync::Arc;
use std::time::Instant;

use mio::{Poll, Registry, Token, Waker};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::EngineConfig;
use super::groups::Group;
use super::notices::Notices;
use super::state::State;
use crate::process::{ServerMark, WorkerSpec};

/// The poll token of the waker; workers have their numbers.
pub(super) const WAKE: Token = Token(usize::MAX);

/// State, and the means to wake who must act on it.
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) registry: Registry,
    pub(super) waker: Waker,
    pub(super) spec: Arc<WorkerSpec>,
    pub(super) mark: ServerMark,
    pub(super) all: Arc<Group>,
    pub(super) notices: Arc<Notices>,
    /// Told of each worker that has gone.
    pub(super) worker_gone: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(config: EngineConfig, poll: &Poll) -> std::io::Result<Arc<Self>> {
        let notices = Arc::new(Notices::default());
        Ok(Arc::new(Self {
            registry: poll.registry().try_clone()?,
            waker: Waker::new(poll.registry(), WAKE)?,
            spec: Arc::new(config.worker.clone()),
            mark: ServerMark::new(),
            all: Arc::new(Group::default()),
            notices: Arc::clone(&notices),
            worker_gone: Condvar::new(),
            state: Mutex::new(State::new(config, notices)),
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, State>> {
        self.state.try_lock()
    }

    /// Wakes the I/O thread.
    pub(super) fn wake_io(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "cannot wake the I/O thread");
        }
    }

    /// Ends all jobs and starts the end of all workers.
    pub(super) fn begin_destruction(self: &Arc<Self>) {
        let mut state = self.lock();
        if !state.destroyed {
            state.destroyed = true;
            let now = state.now();
            state.scheduler.destroy(now);
            self.settle(&mut state);
        }
        drop(state);
        self.wake_io();
    }

    /// Waits until no worker is left; one that survives SIGKILL is reported.
    pub(super) fn wait_for_workers(&self, deadline: Instant) {
        let mut state = self.lock();
        while !state.workers.is_empty() {
            if self
                .worker_gone
                .wait_until(&mut state, deadline)
                .timed_out()
            {
                let pids = state.pids();
                tracing::error!(?pids, "worker processes cannot be killed");
                state.workers.clear();
                break;
            }
        }
        drop(state);
        self.wake_io();
    }
}
