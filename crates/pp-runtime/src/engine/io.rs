//! The I/O thread: it sleeps until a worker rings or a deadline comes.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use pp_core::ExecutorId;

use super::attend::ask_for_bells;
use super::chase::Chase;
use super::nap::Nap;
use super::nodes::UPLINK;
use super::shared::{Shared, WAKE};
use super::state::{IoThread, State};
use super::vigil::Vigil;
use super::worker::{Stage, Worker};
use crate::net::Link;

/// A worker whose socket is closed, and that runs nothing, may take this long to
/// end by itself.
const HANG_UP_PATIENCE: Duration = Duration::from_secs(1);

/// The pause after a failure to wait for workers, so as not to fail in a busy loop.
const RETRY: Duration = Duration::from_millis(50);

/// Starts the thread.
pub(super) fn start(shared: Arc<Shared>, poll: Poll) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("pp-io".into())
        .spawn(move || run(&shared, poll))
}

fn run(shared: &Arc<Shared>, mut poll: Poll) {
    let mut events = Events::with_capacity(128);
    let (mut nap, mut vigil, mut chase) = (Nap::new(), Vigil::new(), Chase::default());
    loop {
        let (timeout, follows) = {
            let mut state = shared.lock();
            if state.destroyed && state.workers.is_empty() && state.links.nodes.is_empty() {
                return shared.io_ends(&mut state);
            }
            let is_due = nap.is_due(&state) || vigil.is_due(&state, !events.is_empty());
            let follows = chase.is_due(&state, shared.all.pending()) && !is_due;
            if is_due || follows {
                (Some(Duration::ZERO), follows)
            } else {
                (prepare_sleep(&mut state), false)
            }
        };
        nap.take();
        if follows {
            shared.chase();
        }
        match poll.poll(&mut events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                tracing::error!(%error, "waiting for workers failed");
                events.clear();
                std::thread::sleep(RETRY);
            }
            _ => {}
        }
        let mut state = shared.lock();
        state.io = IoThread::Awake;
        for worker in state.workers.values_mut() {
            if let Some(channel) = worker.channel() {
                channel.wake_up();
            }
        }
        let links = answer(&mut state, &events);
        if !links.is_empty() {
            drop(state);
            Shared::receive_from(&links);
            state = shared.lock();
        }
        shared.take_in_all(&mut state);
        mind_clock(&mut state);
        shared.beat(&mut state);
        state.pool.expire();
        shared.settle(&mut state);
        drop(state);
        shared.pool.bury();
    }
}

/// Asks all workers to ring, and says how long nothing needs to be done. Work that
/// came meanwhile means no sleep at all.
fn prepare_sleep(state: &mut State) -> Option<Duration> {
    // While others attend, they ask for bells when they end.
    if state.attending == 0 && ask_for_bells(state)
        || state.links.all().any(|link| link.is_behind())
        || state.links.has_news()
    {
        return Some(Duration::ZERO);
    }
    let scheduled = state.scheduler.next_deadline().map(|t| state.instant(t));
    let deadline = state
        .workers
        .values()
        .filter_map(|w| patience_ends(state, w))
        .chain(scheduled)
        .chain(state.links.next_beat)
        .chain(state.loans.look_at)
        .chain(state.pool.plan())
        .min();
    state.io_sleeps_until = deadline;
    state.io = IoThread::Asleep;
    // Rounded up, or the last stretch would be a busy wait.
    deadline.map(|d| d.saturating_duration_since(Instant::now()) + Duration::from_micros(50))
}

/// Answers the bells that were rung; which links are to be read from.
fn answer(state: &mut State, events: &Events) -> Vec<Arc<Link>> {
    let mut called: Vec<Arc<Link>> = state
        .links
        .all()
        .filter(|link| link.is_behind())
        .map(Arc::clone)
        .collect();
    for event in events {
        match event.token() {
            WAKE => {}
            UPLINK => called.extend(state.links.uplink.as_ref().map(|up| Arc::clone(&up.link))),
            Token(number) => {
                let id = ExecutorId::from_u64(number as u64);
                match state.links.nodes.get(&id) {
                    Some(node) => called.push(Arc::clone(&node.link)),
                    None => answer_bell(state, number),
                }
            }
        }
    }
    called
}

fn answer_bell(state: &mut State, token: usize) {
    let id = ExecutorId::from_u64(token as u64);
    if let Some(worker) = state.workers.get_mut(&id)
        && let Some(line) = &mut worker.line
        && !line.channel.answer_bell()
        && worker.hung_up.is_none()
    {
        worker.hung_up = Some(Instant::now());
    }
}

/// When patience with `worker` ends, if it is being waited for.
fn patience_ends(state: &State, worker: &Worker) -> Option<Instant> {
    let config = &state.config;
    let phase = match worker.stage {
        Stage::Starting => Some(worker.since + config.start_patience),
        Stage::Leaving => Some(worker.since + config.leave_patience),
        Stage::Ready => None,
    };
    let stopped = worker.stopped.map(|since| since + config.stop_patience);
    let hung_up = worker.hung_up.map(|since| since + HANG_UP_PATIENCE);
    phase.into_iter().chain(stopped).chain(hung_up).min()
}

/// Does what is due.
fn mind_clock(state: &mut State) {
    let now = Instant::now();
    let due: Vec<ExecutorId> = state
        .workers
        .iter()
        .filter(|(_, w)| patience_ends(state, w).is_some_and(|end| end <= now))
        .map(|(&id, _)| id)
        .collect();
    for id in due {
        if let Some(worker) = state.workers.get_mut(&id) {
            lose_patience(worker, now);
        }
    }
    let now = state.now();
    if state.scheduler.next_deadline().is_some_and(|d| d <= now) {
        state.scheduler.tick(now);
    }
}

fn lose_patience(worker: &mut Worker, now: Instant) {
    let busy = worker
        .line
        .as_ref()
        .is_some_and(|line| line.channel.started().next().is_some());
    if worker.stopped.take().is_some() {
        worker.kill("it was stopped and not continued");
    } else if worker.hung_up.is_some() && busy {
        // It will notice when it wants to answer; until then its job may go on.
        worker.hung_up = Some(now);
    } else if worker.hung_up.take().is_some() {
        worker.kill("it closed its line to the client");
    } else if worker.stage == Stage::Starting {
        worker.since = now;
        worker.kill("it did not get ready in time");
    } else {
        worker.since = now;
        worker.kill("it did not leave in time");
    }
}
