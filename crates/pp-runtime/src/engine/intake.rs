//! Taking in what workers say.

use std::sync::Arc;
use std::time::Instant;

use pp_core::{ExecutorId, Time};

use super::effects::with_channel;
use super::outcome::{Outcome, Report};
use super::record::{HERE, Ran};
use super::shared::Shared;
use super::state::State;
use super::worker::{Stage, Worker};
use crate::channel::{LineError, Received};

impl Shared {
    /// Takes in what all workers have said so far, then acts on it: a scheduler that had
    /// heard but some of it would take the others to be stuck.
    pub(super) fn take_in_all(self: &Arc<Self>, state: &mut State) {
        let mut speakers = std::mem::take(&mut state.speakers);
        speakers.extend(state.workers.iter().filter_map(|(&id, worker)| {
            let line = worker.line.as_ref().filter(|line| !line.broken)?;
            line.channel.needs_attention().then_some(id)
        }));
        for id in speakers.drain(..) {
            take_in(state, id);
        }
        state.speakers = speakers;
        self.take_in_links(state);
        self.settle(state);
    }
}

/// Takes in what one worker has said so far. What follows from it is still to be
/// settled.
pub(super) fn take_in(state: &mut State, id: ExecutorId) {
    let mut news = std::mem::take(&mut state.news);
    let received = match state.workers.get_mut(&id).and_then(Worker::channel) {
        Some(channel) => {
            let received = channel.receive(&mut news);
            if channel.is_sending() || channel.is_receiving() {
                state.note_bulk();
            }
            received
        }
        None => Ok(()),
    };
    let now = state.now();
    let handled = news
        .drain(..)
        .try_for_each(|message| take_message(state, id, message, now));
    state.news = news;
    if let Err(error) = received.and(handled)
        && let Some(worker) = state.workers.get_mut(&id)
    {
        worker.break_line(&error);
    }
}

fn take_message(
    state: &mut State,
    id: ExecutorId,
    message: Received,
    now: Time,
) -> Result<(), LineError> {
    match message {
        Received::Ready { credit } => become_ready(state, id, credit, now),
        Received::Result { job, header, bytes } => {
            let report = Report::new(bytes, header.output_len, header.errors_len)
                .ok_or(LineError::Unexpected("length of a job's output"))?;
            let outcome = Outcome::reported(header.status, report);
            let worker = state
                .workers
                .get(&id)
                .and_then(|worker| worker.line.as_ref());
            let ran = Ran {
                run_time: header.run_time,
                worker: worker.map_or(0, |line| line.process.pid()),
                site: HERE,
                attempts: 1,
            };
            if state.take_result(id, job, outcome, ran, now) {
                state.local.add(header.run_time);
            }
            Ok(())
        }
        Received::Want { job, len } => {
            state.note_bulk();
            with_channel(state, id, |channel| channel.answer_want(job, len));
            Ok(())
        }
        Received::Leaving => {
            tracing::debug!(
                worker = id.as_u64(),
                "worker takes too much memory and is replaced"
            );
            state.scheduler.worker_leaving(id, now);
            Ok(())
        }
        Received::Fault(text) => {
            state.start_failure.clone_from(&text);
            Err(LineError::Fault(text))
        }
    }
}

fn become_ready(
    state: &mut State,
    id: ExecutorId,
    credit: u32,
    now: Time,
) -> Result<(), LineError> {
    let worker = state
        .workers
        .get_mut(&id)
        .filter(|worker| worker.stage != Stage::Ready)
        .ok_or(LineError::Unexpected("second readiness of a worker"))?;
    if worker.stage == Stage::Starting {
        worker.enter(Stage::Ready, Instant::now());
        state.scheduler.executor_ready(id, credit, now);
    }
    Ok(())
}
