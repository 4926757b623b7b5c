//! What keepers report about their workers' processes.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::Token;
use pp_core::ExecutorId;

use super::intake::take_in;
use super::shared::Shared;
use super::state::State;
use super::worker::{Line, Stage, Worker};
use crate::channel::{Lending, ParentBell, ParentChannel};
use crate::process::{Exit, KeeperEvents, Pause, Process};
use crate::shm::Segment;

/// The engine's end of one keeper.
pub(super) struct WorkerEvents {
    shared: Arc<Shared>,
    id: ExecutorId,
}

impl WorkerEvents {
    pub(super) fn new(shared: Arc<Shared>, id: ExecutorId) -> Self {
        Self { shared, id }
    }

    fn gone(&self, state: &mut State, ended: impl FnOnce(&mut State, Stage)) {
        let reached = state.workers.get(&self.id).map(|w| w.stage);
        if let Some(reached) = reached {
            ended(state, reached);
        }
        if let Some(worker) = state.workers.remove(&self.id) {
            deregister(&self.shared, worker);
        }
        self.shared.settle(state);
        state.last_exit = None;
        self.shared.worker_gone.notify_all();
        self.shared.note_load();
        self.shared.wake_io();
    }
}

impl KeeperEvents for WorkerEvents {
    fn started(&self, process: Arc<Process>, bell: ParentBell, segment: Segment) {
        let lending = Lending::new(self.id.as_u64(), Arc::clone(&self.shared.pool));
        let mut channel = ParentChannel::new(bell, segment, lending);
        let token = usize::try_from(self.id.as_u64()).map_or(Token(0), Token);
        let mut state = self.shared.lock();
        let settings = state.config.settings.clone();
        let Some(worker) = state.workers.get_mut(&self.id) else {
            return process.kill("its server has gone");
        };
        if let Some(reason) = worker.condemned.take() {
            process.kill(&reason);
        }
        let registered = self.shared.watch(channel.source(), token);
        let ready = registered
            .map_err(|error| error.to_string())
            .and_then(|()| channel.open(settings).map_err(|e| e.to_string()));
        if let Err(reason) = ready {
            process.kill(&reason);
        }
        channel.ring_if_asleep();
        tracing::debug!(
            worker = self.id.as_u64(),
            pid = process.pid(),
            "worker started"
        );
        worker.line = Some(Line {
            process,
            channel,
            broken: false,
        });
        drop(state);
        // It may have spoken before it was watched.
        self.shared.wake_io();
    }

    fn paused(&self, pause: Pause) {
        let mut state = self.shared.lock();
        let patience = state.config.stop_patience;
        if let Some(worker) = state.workers.get_mut(&self.id) {
            let pid = worker.line.as_ref().map(|line| line.process.pid());
            worker.stopped = match pause {
                Pause::Stopped => {
                    tracing::warn!(
                        pid,
                        "worker process is stopped; it is replaced unless it continues within {patience:?}"
                    );
                    Some(Instant::now())
                }
                Pause::Continued => None,
            };
        }
        drop(state);
        self.shared.wake_io();
    }

    fn not_started(&self, error: io::Error) {
        let mut state = self.shared.lock();
        tracing::warn!(%error, "worker process could not be started");
        state.start_failure = error.to_string();
        self.gone(&mut state, |state, _| {
            let now = state.now();
            state.scheduler.executor_start_failed(self.id, now);
        });
    }

    fn ended(&self, exit: Exit) {
        let mut state = self.shared.lock();
        // What it wrote before its end still counts.
        take_in(&mut state, self.id);
        let exit = Arc::new(exit);
        state.last_exit = Some(Arc::clone(&exit));
        self.gone(&mut state, |state, reached| {
            report(state, self.id, reached, &exit);
        });
    }
}

/// Tells log and scheduler of a worker's end.
fn report(state: &mut State, id: ExecutorId, reached: Stage, exit: &Exit) {
    let now = state.now();
    match reached {
        Stage::Leaving => {
            tracing::debug!(worker = id.as_u64(), %exit, "worker left");
            state.scheduler.executor_exited(id, now);
        }
        Stage::Starting => {
            state.start_failure = format!("{exit}, before it was ready");
            if !state.destroyed {
                tracing::warn!(stderr = exit.stderr, "{exit}, before it was ready");
            }
            state.scheduler.executor_start_failed(id, now);
        }
        Stage::Ready => {
            let started = state.started_jobs(id);
            if !state.destroyed {
                tracing::warn!(jobs = started.len(), "{exit}");
            }
            state.scheduler.executor_lost(id, &started, now);
        }
    }
}

fn deregister(shared: &Shared, mut worker: Worker) {
    if let Some(line) = &mut worker.line {
        shared.forget(line.channel.source());
    }
}
