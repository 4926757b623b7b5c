//! Carrying out what the scheduler decides.

use std::sync::Arc;
use std::time::Instant;

use pp_core::{Effect, ExecutorId, FunctionId, JobId};

use super::events::WorkerEvents;
use super::inbox::Next;
use super::job::Origin;
use super::node::Parting;
use super::nodes::with_node;
use super::outcome::Outcome;
use super::shared::Shared;
use super::state::{IoThread, State};
use super::worker::{Stage, Worker};
use crate::process::keep;

impl Shared {
    /// Tells the scheduler of new jobs, carries out all pending decisions, then rings
    /// the bells that need it. To be called before the lock is let go whenever the
    /// scheduler was told something.
    pub(super) fn settle(self: &Arc<Self>, state: &mut State) {
        loop {
            self.unpack(state);
            state.discard_kept();
            state.refuse_hopeless();
            while let Some(effect) = state.scheduler.poll() {
                self.carry_out(state, effect);
            }
            if state.settle_loans() || std::mem::take(&mut state.has_remakes) {
                continue;
            }
            let wants_jobs = state.scheduler.wants_jobs_now() || state.is_waiting_for_nodes();
            if self.inbox.set_eager(wants_jobs) {
                continue;
            }
            self.report_to_parent(state);
            let Some((id, why)) = state.links.condemned.pop() else {
                break;
            };
            self.lose(state, id, why);
        }
        prepare_flush(state);
        state.plan_beat();
        forget_segments(state);
        while let Some(id) = state.unrung.pop() {
            let Some(worker) = state.workers.get_mut(&id) else {
                continue;
            };
            worker.is_unrung = false;
            if let Some(channel) = worker.channel() {
                channel.ring_if_asleep();
            }
        }
        self.wake_io_for_deadline(state);
        self.wake_io_for_sending(state);
    }

    /// Tells the scheduler of the jobs in the inbox. What follows is still to be
    /// settled.
    pub(super) fn unpack(&self, state: &mut State) {
        let mut arrivals = std::mem::take(&mut state.arrivals);
        self.inbox.take(&mut arrivals);
        if !arrivals.is_empty() {
            let now = state.now();
            for job in arrivals.drain(..) {
                state.submit(job, now);
            }
        }
        state.arrivals = arrivals;
    }

    /// Does what the inbox asks of a submitter.
    #[inline]
    pub(super) fn follow(self: &Arc<Self>, next: Next) {
        match next {
            Next::Nothing => {}
            Next::Offer => {
                if let Some(mut state) = self.try_lock() {
                    self.settle(&mut state);
                }
            }
            Next::Deliver => self.deliver(),
        }
    }

    /// Tells the scheduler of all jobs that were submitted so far.
    pub(super) fn deliver(self: &Arc<Self>) {
        self.settle(&mut self.lock());
    }

    /// What was begun here is sent on by the I/O thread.
    fn wake_io_for_sending(&self, state: &mut State) {
        if std::mem::take(&mut state.sending) && state.io == IoThread::Asleep {
            self.wake_io();
        }
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, effect: Effect<Arc<super::Job>>) {
        match effect {
            Effect::Start { executor } => self.start_worker(state, executor),
            Effect::SendFunction { executor, function } => {
                send_function(state, executor, function);
            }
            Effect::Send { executor, job } => self.send_job(state, executor, job),
            Effect::Recall { executor, job } => recall(state, executor, job),
            Effect::Interrupt { executor, job } => interrupt(state, executor, job),
            Effect::Cancel { executor, job } => {
                with_node(state, executor, |node| node.cancel(job));
            }
            Effect::Retire { executor } if state.links.nodes.contains_key(&executor) => {
                state.let_go(executor);
            }
            Effect::Retire { executor } => retire(state, executor),
            Effect::Kill { executor } if state.links.nodes.contains_key(&executor) => {
                state.links.condemned.push((executor, Parting::Destroyed));
            }
            Effect::Kill { executor } => kill(state, executor),
            Effect::Forget { executor, function } => {
                with_node(state, executor, |node| node.forget(function));
                with_channel(state, executor, |channel| channel.forget(function));
            }
            Effect::End {
                job,
                data,
                ending,
                charges,
            } => {
                let failure = state.failure(&data, &ending);
                state.report_charges(&data, charges);
                let (ran, printed) = state.how_stopped(job).unzip();
                let ran = ran.unwrap_or_else(|| state.ran_before(&failure, charges));
                let outcome = Outcome::stopped(failure, printed.flatten());
                state.end(&data, outcome, ran, state.now());
            }
        }
    }

    fn send_job(&self, state: &mut State, id: ExecutorId, job_id: JobId) {
        let Some(job) = state.scheduler.data(job_id) else {
            return;
        };
        if job.origin() == Origin::Here
            && state.links.nodes.is_empty()
            && let Some(args) = job.args()
        {
            // A plain one for a worker, as nearly all are: nothing is to be seen to.
            let function = job.function().id();
            return with_channel(state, id, |channel| {
                channel.send_job(job_id, function, args)
            });
        }
        let job = Arc::clone(job);
        let args = match self.prepare(state, id, &job) {
            Ok(args) => args,
            Err(why) => return state.not_ready(id, job_id, why),
        };
        if state.links.nodes.contains_key(&id) {
            let time_limit = state.scheduler.time_limit(job_id);
            let priority = state.scheduler.priority(job_id);
            let needs = state.needs_of(job_id);
            let stays = job.is_to_stay();
            if stays {
                job.tell_once();
            }
            return with_node(state, id, |node| {
                node.send_terms(job_id, time_limit, priority, needs.as_ref())?;
                node.send_job(job_id, job.function().id(), args)?;
                if stays { node.keep(job_id) } else { Ok(()) }
            });
        }
        let of_parent = job.origin() == Origin::Uplink && state.links.nodes.is_empty();
        let of_parent = of_parent.then(|| job.number());
        let Ok(share) = state.lend(id, job_id, of_parent.is_some()) else {
            return state.refuse(id, job_id, of_parent);
        };
        with_channel(state, id, |channel| {
            if let Some(share) = &share {
                channel.send_share(job_id, share)?;
            }
            channel.send_job(job_id, job.function().id(), args)
        });
    }

    fn start_worker(self: &Arc<Self>, state: &mut State, id: ExecutorId) {
        let events = WorkerEvents::new(Arc::clone(self), id);
        let mut worker = Worker::starting(Instant::now());
        match keep(Arc::clone(&self.spec), &self.mark, id.as_u64(), events) {
            Ok(keeper) => {
                worker.keeper = Some(keeper);
                state.workers.insert(id, worker);
            }
            Err(error) => {
                state.start_failure = format!("no thread can be started: {error}");
                let now = state.now();
                state.scheduler.executor_start_failed(id, now);
            }
        }
    }

    /// The I/O thread must not sleep past a deadline that arose meanwhile.
    fn wake_io_for_deadline(&self, state: &mut State) {
        if state.io != IoThread::Asleep {
            return;
        }
        let scheduled = state.scheduler.next_deadline().map(|t| state.instant(t));
        let others = [state.links.next_beat, state.loans.look_at];
        let deadlines = scheduled.into_iter().chain(others.into_iter().flatten());
        let Some(deadline) = deadlines.min() else {
            return;
        };
        if state
            .io_sleeps_until
            .is_none_or(|planned| deadline < planned)
        {
            state.io_sleeps_until = Some(deadline);
            self.wake_io();
        }
    }
}

/// What was said to nodes and to the parent is to go out when the lock is let go.
fn prepare_flush(state: &mut State) {
    for id in std::mem::take(&mut state.links.dirty) {
        if let Some(node) = state.links.nodes.get_mut(&id) {
            node.dirty = false;
            state.unflushed.push(Arc::clone(&node.link));
        }
    }
    if let Some(uplink) = &mut state.links.uplink
        && std::mem::take(&mut uplink.dirty)
    {
        state.unflushed.push(Arc::clone(&uplink.link));
    }
}

/// Lets workers forget segments that are closed.
fn forget_segments(state: &mut State) {
    for segment in state.pool.take_closed() {
        let workers: Vec<ExecutorId> = state.workers.keys().copied().collect();
        for id in workers {
            with_channel(state, id, |channel| {
                channel.forget_segment(segment).map(|_| ())
            });
        }
    }
}

/// Lets `send` write to a worker's channel; a channel that fails condemns it.
pub(super) fn with_channel<E: std::fmt::Display>(
    state: &mut State,
    id: ExecutorId,
    send: impl FnOnce(&mut crate::channel::ParentChannel) -> Result<(), E>,
) {
    let Some(worker) = state.workers.get_mut(&id) else {
        return;
    };
    let Some(channel) = worker.channel() else {
        return;
    };
    let result = send(channel);
    let is_sending = channel.is_sending();
    if let Err(error) = result {
        worker.break_line(&error);
    } else {
        if !std::mem::replace(&mut worker.is_unrung, true) {
            state.unrung.push(id);
        }
        state.sending |= is_sending;
        if is_sending {
            state.note_bulk();
        }
    }
}

fn send_function(state: &mut State, id: ExecutorId, function: FunctionId) {
    let Some(function) = state.functions.get(function).map(Arc::clone) else {
        tracing::error!(?function, "a function was evicted while in use");
        return;
    };
    if state.links.nodes.contains_key(&id) {
        return with_node(state, id, |node| {
            node.send_function(function.id(), *function.digest(), function.blob().clone())
        });
    }
    with_channel(state, id, |channel| {
        channel.send_function(function.id(), *function.digest(), function.blob().clone())
    });
}

/// Takes a job back: from a worker by its claim word, which answers at once; a node is
/// asked.
fn recall(state: &mut State, id: ExecutorId, job: JobId) {
    if state.links.nodes.contains_key(&id) {
        return with_node(state, id, |node| node.recall(job));
    }
    let recalled = state
        .workers
        .get_mut(&id)
        .and_then(|worker| worker.line.as_mut())
        .is_some_and(|line| line.channel.recall(job));
    let now = state.now();
    state.scheduler.recall_answered(id, job, recalled, now);
}

/// Lets the job that a worker runs end. One that has ended meanwhile hears nothing of it, nor
/// does the next one.
fn interrupt(state: &mut State, id: ExecutorId, job: JobId) {
    let Some(line) = state.workers.get(&id).and_then(|w| w.line.as_ref()) else {
        return;
    };
    if line.channel.interrupt(job) {
        line.process.interrupt();
    }
    let worker = line.process.pid();
    state.note_stop(job, worker);
}

fn retire(state: &mut State, id: ExecutorId) {
    with_channel(state, id, crate::channel::ParentChannel::shut_down);
    if let Some(worker) = state.workers.get_mut(&id) {
        let ready = worker.stage == Stage::Ready;
        worker.enter(Stage::Leaving, Instant::now());
        if !ready {
            worker.kill("it is not needed any more");
        }
    }
}

fn kill(state: &mut State, id: ExecutorId) {
    let destroyed = state.destroyed;
    let idle = state
        .workers
        .get(&id)
        .and_then(|worker| worker.line.as_ref())
        .is_some_and(|line| !line.broken && line.channel.is_idle());
    let ready = state
        .workers
        .get(&id)
        .is_some_and(|worker| worker.stage == Stage::Ready);
    if destroyed && idle && ready {
        // It may run its own exit handlers, within its patience.
        retire(state, id);
    } else if let Some(worker) = state.workers.get_mut(&id) {
        worker.kill(if destroyed {
            "the server was destroyed"
        } else {
            "its job was cancelled"
        });
    }
}
