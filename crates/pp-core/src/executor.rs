//! One executor and the jobs that it holds.

use std::collections::VecDeque;
use std::time::Duration;

use crate::buckets::bucket_of;
use crate::config::WindowConfig;
use crate::function::FunctionSet;
use crate::time::nanos;
use crate::{ExecutorId, JobId, Time};

/// Where an executor is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutorState {
    /// Being started.
    Starting,
    /// Being started, but no longer wanted: retires as soon as it is ready.
    Surplus,
    /// Takes jobs.
    Ready,
    /// Takes no more jobs; retires when it holds none.
    Draining,
    /// Was asked to exit.
    Retiring,
    /// Is being killed.
    Killing,
}

/// What is known of a job that an executor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldState {
    /// Sent. The first of an executor is taken to run.
    Sent,
    /// Asked back, to run elsewhere.
    Recalling,
    /// Asked back, to be cancelled.
    Cancelling,
    /// Asked back, to be cancelled if it has not begun.
    Withdrawing,
    /// Known to run, because it could not be taken back.
    Started,
    /// Known to run, and not to be run again.
    Withdrawn,
}

impl HeldState {
    /// Whether an answer is to come.
    pub(crate) fn is_asked_back(self) -> bool {
        matches!(self, Self::Recalling | Self::Cancelling | Self::Withdrawing)
    }
}

/// A job that an executor holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) job: JobId,
    /// Its expected run time in nanoseconds when it was sent.
    pub(crate) expected: u32,
    pub(crate) state: HeldState,
}

/// How long the last job that an executor holds would wait there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// So many nanoseconds, as far as is known.
    About(u64),
    /// Nobody knows: the running job has taken much longer than expected.
    Unknown,
}

/// How far jobs are sent ahead: [`WindowConfig`] in the units that are reckoned in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most jobs that an executor holds, the running one among them.
    most: u32,
    /// The most expected work that one job may be to get another behind it.
    single_ahead: u64,
    /// The most expected work that several jobs may be.
    horizon: u64,
}

impl Limits {
    pub(crate) fn new(window: &WindowConfig) -> Self {
        Self {
            most: window.max_ahead.saturating_add(1),
            single_ahead: nanos(window.single_ahead),
            horizon: nanos(window.horizon),
        }
    }
}

/// One executor.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) id: ExecutorId,
    pub(crate) state: ExecutorState,
    /// The most jobs that it will hold.
    pub(crate) credit: u32,
    /// Jobs that it may still be given before it is replaced.
    pub(crate) remaining: Option<u32>,
    /// Its jobs in the order in which they were sent. The first one runs.
    held: VecDeque<Held>,
    /// The expected run times of all of them, in nanoseconds.
    backlog: u64,
    /// How many of them are [`HeldState::Sent`].
    sent: usize,
    /// When it last finished a job, or got one while it had none.
    pub(crate) progress: Time,
    /// It runs a job that turned out long: nothing is sent ahead until that ends.
    pub(crate) stalled: bool,
    /// It is on the list of executors to look at for a stall.
    pub(crate) watched: bool,
    /// Functions that it was given.
    pub(crate) functions: FunctionSet,
    /// Jobs that it finished.
    pub(crate) finished: u64,
    /// The time that they ran.
    pub(crate) run_time: Duration,
}

impl Executor {
    pub(crate) fn new(id: ExecutorId, remaining: Option<u32>) -> Self {
        Self {
            id,
            state: ExecutorState::Starting,
            credit: 0,
            remaining,
            held: VecDeque::new(),
            backlog: 0,
            sent: 0,
            progress: Time::ZERO,
            stalled: false,
            watched: false,
            functions: FunctionSet::default(),
            finished: 0,
            run_time: Duration::ZERO,
        }
    }

    pub(crate) fn held(&self) -> &VecDeque<Held> {
        &self.held
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.backlog
    }

    /// Whether it has been given all the jobs that it may have in its life.
    pub(crate) fn is_spent(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Adds a job at the end.
    pub(crate) fn push(&mut self, job: JobId, expected: u32, now: Time) {
        if self.held.is_empty() {
            self.progress = now;
        }
        self.held.push_back(Held {
            job,
            expected,
            state: HeldState::Sent,
        });
        self.backlog += u64::from(expected);
        self.sent += 1;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
    }

    /// The place of a job. Those that finish are near the front.
    pub(crate) fn position(&self, job: JobId) -> Option<usize> {
        self.held.iter().position(|held| held.job == job)
    }

    /// Removes the job at a place.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Held> {
        let held = if index == 0 {
            self.held.pop_front()?
        } else {
            self.held.remove(index)?
        };
        self.backlog -= u64::from(held.expected);
        self.sent -= usize::from(held.state == HeldState::Sent);
        Some(held)
    }

    /// Removes a job that never began, so that it does not count as given.
    pub(crate) fn take_back(&mut self, index: usize) -> Option<Held> {
        let held = self.remove(index)?;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_add(1);
        }
        Some(held)
    }

    /// Removes all jobs.
    pub(crate) fn take_all(&mut self) -> VecDeque<Held> {
        self.backlog = 0;
        self.sent = 0;
        std::mem::take(&mut self.held)
    }

    /// Changes what is known of the job at a place; gives what was known before.
    pub(crate) fn mark(&mut self, index: usize, state: HeldState) -> Option<HeldState> {
        let held = self.held.get_mut(index)?;
        let before = std::mem::replace(&mut held.state, state);
        self.sent += usize::from(state == HeldState::Sent);
        self.sent -= usize::from(before == HeldState::Sent);
        Some(before)
    }

    /// Expects the jobs that it holds to take what `estimate` says by now.
    pub(crate) fn reestimate(&mut self, estimate: impl Fn(JobId) -> u32) {
        for held in &mut self.held {
            held.expected = estimate(held.job);
        }
        self.backlog = self.held.iter().map(|held| u64::from(held.expected)).sum();
    }

    /// How many of its jobs can be asked back: not the first, which runs, and not
    /// those that were asked for before.
    pub(crate) fn recallable(&self) -> usize {
        let first = self.held.front();
        self.sent - usize::from(first.is_some_and(|held| held.state == HeldState::Sent))
    }

    /// The places of the jobs that can be asked back, the newest first.
    pub(crate) fn recallable_places(&self) -> impl Iterator<Item = (usize, Held)> {
        let later = self.held.iter().copied().enumerate().skip(1).rev();
        later.filter(|(_, held)| held.state == HeldState::Sent)
    }

    /// Where placement should look for it: bucket 0 if it idles, by its backlog if
    /// it may get jobs ahead, nowhere if it may not get any.
    pub(crate) fn placement(&self, limits: &Limits) -> Option<u8> {
        let most = self.credit.min(limits.most) as usize;
        let count = self.held.len();
        if self.state != ExecutorState::Ready || self.is_spent() || count >= most {
            return None;
        }
        let limit = match count {
            0 => return Some(0),
            1 => limits.single_ahead,
            _ => limits.horizon,
        };
        (!self.stalled && self.backlog <= limit).then(|| bucket_of(self.backlog))
    }

    /// Where recall should look for it: by how long its last job would wait there,
    /// nowhere if there is nothing to ask for.
    pub(crate) fn surplus(&self) -> Option<u8> {
        if self.state == ExecutorState::Killing || self.recallable() == 0 {
            return None;
        }
        let last = self.held.back()?;
        Some(bucket_of(self.backlog - u64::from(last.expected)))
    }

    /// How long its last job would wait from now on.
    pub(crate) fn wait(&self, now: Time, slack: Duration) -> Wait {
        let (Some(first), Some(last)) = (self.held.front(), self.held.back()) else {
            return Wait::About(0);
        };
        let elapsed = nanos(now.saturating_duration_since(self.progress));
        let expected = u64::from(first.expected);
        if elapsed > 2 * expected + nanos(slack) {
            return Wait::Unknown;
        }
        let ahead = self.backlog - u64::from(last.expected);
        Wait::About(ahead.saturating_sub(elapsed.min(expected)))
    }

    /// The first contradiction in it, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        let backlog: u64 = self.held.iter().map(|held| u64::from(held.expected)).sum();
        let sent = self
            .held
            .iter()
            .filter(|held| held.state == HeldState::Sent)
            .count();
        if (backlog, sent) != (self.backlog, self.sent) {
            return Some(format!("{} miscounts what it holds: {self:?}", self.id));
        }
        let may_hold = matches!(
            self.state,
            ExecutorState::Ready | ExecutorState::Draining | ExecutorState::Killing
        );
        let done = self.held.is_empty()
            && (self.state == ExecutorState::Draining
                || self.state == ExecutorState::Ready && self.is_spent());
        if !may_hold && !self.held.is_empty() || done {
            return Some(format!(
                "{} is {:?} with {} jobs",
                self.id,
                self.state,
                self.held.len()
            ));
        }
        None
    }
}
