//! One executor and the jobs that it holds.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::buckets::bucket_of;
use crate::config::WindowConfig;
use crate::demand::Demand;
use crate::estimate::{Expected, LONG};
use crate::function::FunctionSet;
use crate::held::{Held, HeldJobs};
use crate::stock::Stock;
use crate::time::nanos;
use crate::{ExecutorId, JobId, Time};

/// What an executor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutorKind {
    /// A process that is started and ended as is decided here. It runs one job at a
    /// time.
    Worker,
    /// Another scheduler, which comes and goes as it likes. It runs several jobs at a
    /// time.
    Node,
}

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

/// How long the last job that an executor holds would wait there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// So many nanoseconds, as far as is known.
    About(u64),
    /// Nobody knows: the running job has taken much longer than expected.
    Unknown,
}

/// Where placement should look for an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// It would start so many jobs at once; so many eighths of its slots are taken.
    Free { slots: usize, taken: u8 },
    /// It would start a job after so many nanoseconds.
    Ahead(u64),
}

/// For each nanosecond that a message to an executor and back takes, a job may wait so
/// much longer there, and still be sent. Then the way costs 2 % at the most.
const WORTH_THE_WAY: u64 = 50;

/// What one job counts at the least, in nanoseconds, when it is reckoned how many are
/// on the way to an executor and back.
const SHORTEST: u64 = 1_000;

/// How far jobs are sent ahead: [`WindowConfig`] in the units that are reckoned in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The most jobs ahead of each one that runs.
    ahead: u64,
    /// The most expected work that one job may be to get another behind it.
    single_ahead: u64,
    /// The most expected work that several jobs may be.
    horizon: u64,
}

impl Limits {
    pub(crate) fn new(window: &WindowConfig) -> Self {
        Self {
            ahead: u64::from(window.max_ahead),
            single_ahead: nanos(window.single_ahead),
            horizon: nanos(window.horizon),
        }
    }

    /// The most jobs that an executor may hold.
    fn most(&self, executor: &Executor) -> usize {
        let each = 1 + self.ahead + executor.latency / SHORTEST;
        let all = each.saturating_mul(executor.held.slots() as u64);
        usize::try_from(all.min(u64::from(executor.credit))).unwrap_or(usize::MAX)
    }

    /// Whether an executor, all of whose slots are taken, gets another job sent ahead.
    fn allows_ahead(&self, executor: &Executor) -> bool {
        if executor.held.len() < 2 * executor.held.lanes() {
            let way = executor.latency.saturating_mul(WORTH_THE_WAY);
            executor.until_free() <= self.single_ahead.max(way)
        } else {
            executor.backlog() <= self.horizon.saturating_add(executor.latency)
        }
    }
}

/// One executor.
#[derive(Debug)]
pub(crate) struct Executor {
    pub(crate) id: ExecutorId,
    pub(crate) kind: ExecutorKind,
    pub(crate) state: ExecutorState,
    /// The most jobs that it will hold.
    pub(crate) credit: u32,
    /// How many jobs it could run at a time, if that is more than it does.
    pub(crate) most_slots: u32,
    /// What a message to it and the answer take, in nanoseconds, beyond what it takes
    /// for a worker.
    pub(crate) latency: u64,
    /// Jobs that it may still be given before it is replaced.
    pub(crate) remaining: Option<u32>,
    pub(crate) held: HeldJobs,
    /// When it last finished a job, or got one while it had none.
    pub(crate) progress: Time,
    /// It runs a job that turned out long: nothing is sent ahead until that ends.
    pub(crate) stalled: bool,
    /// It is on the list of executors to look at for a stall.
    pub(crate) watched: bool,
    /// What the machine has of each resource, if it is a node.
    pub(crate) stock: Stock,
    /// What it has refused, if it is a node.
    pub(crate) refused: BTreeSet<Demand>,
    /// Functions that it was given.
    pub(crate) functions: FunctionSet,
    /// Jobs that it finished.
    pub(crate) finished: u64,
    /// The time that they ran.
    pub(crate) run_time: Duration,
}

impl Executor {
    /// A worker to be started. It may be given `remaining` jobs.
    pub(crate) fn worker(id: ExecutorId, remaining: Option<u32>) -> Self {
        Self {
            id,
            kind: ExecutorKind::Worker,
            state: ExecutorState::Starting,
            credit: 0,
            most_slots: 0,
            latency: 0,
            remaining,
            held: HeldJobs::new(1),
            progress: Time::ZERO,
            stalled: false,
            watched: false,
            stock: Stock::default(),
            refused: BTreeSet::new(),
            functions: FunctionSet::default(),
            finished: 0,
            run_time: Duration::ZERO,
        }
    }

    /// A node that has come. It runs `slots` jobs at a time.
    pub(crate) fn node(id: ExecutorId, slots: u32) -> Self {
        Self {
            kind: ExecutorKind::Node,
            state: ExecutorState::Ready,
            held: HeldJobs::new(slots),
            ..Self::worker(id, None)
        }
    }

    pub(crate) fn is_node(&self) -> bool {
        self.kind == ExecutorKind::Node
    }

    /// Whether it is a worker that runs jobs, or will.
    pub(crate) fn is_able_worker(&self) -> bool {
        match self.state {
            _ if self.is_node() => false,
            ExecutorState::Starting => true,
            ExecutorState::Ready => self.credit > 0,
            _ => false,
        }
    }

    /// Whether it has been given all the jobs that it may have in its life.
    pub(crate) fn is_spent(&self) -> bool {
        self.remaining == Some(0)
    }

    /// Adds a job at the end, and gives its place.
    pub(crate) fn push(&mut self, job: JobId, expected: Expected, charge: u32, now: Time) -> u32 {
        if self.held.is_empty() {
            self.progress = now;
        }
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_sub(1);
        }
        self.held.push(job, expected, charge)
    }

    /// Removes a job that never began, so that it does not count as given.
    pub(crate) fn take_back(&mut self, place: u32) -> Option<Held> {
        let held = self.held.remove(place)?;
        if let Some(remaining) = &mut self.remaining {
            *remaining = remaining.saturating_add(1);
        }
        Some(held)
    }

    /// How much it has to do, in nanoseconds, with all its slots.
    pub(crate) fn backlog(&self) -> u64 {
        self.per_slot(self.held.backlog())
    }

    fn per_slot(&self, work: u64) -> u64 {
        match self.held.lanes() as u64 {
            // The same without a long division: so it is with all workers.
            0 | 1 => work,
            lanes => work / lanes,
        }
    }

    /// Whether it may get a job, and when it would start it.
    pub(crate) fn room(&self, limits: &Limits) -> Option<Room> {
        let (count, lanes, most) = (self.held.len(), self.held.lanes(), limits.most(self));
        if self.state != ExecutorState::Ready || self.is_spent() || count >= most {
            return None;
        }
        if count < lanes {
            let (taken, slots) = (self.held.taken(), self.held.slots());
            let taken = u8::try_from(taken * 8 / slots.max(1)).unwrap_or(0);
            let slots = lanes.min(most) - count;
            return Some(Room::Free { slots, taken });
        }
        let may_get = !self.stalled && limits.allows_ahead(self);
        may_get.then(|| Room::Ahead(self.until_free()))
    }

    /// When it would start another job if all its slots are taken, in nanoseconds. What
    /// runs in several slots does not end all at once: each end lets one begin.
    fn until_free(&self) -> u64 {
        self.until_free_of(self.held.len() as u64, self.held.backlog())
    }

    /// The same if it held so many jobs, of so much work.
    #[inline]
    fn until_free_of(&self, count: u64, backlog: u64) -> u64 {
        let lanes = self.held.lanes() as u64;
        if lanes == 1 {
            // The same without a long division: so it is with all workers.
            return backlog;
        }
        let ends = (count + 1).saturating_sub(lanes);
        let all = u128::from(backlog) * u128::from(ends);
        let wait = all / u128::from((count * lanes).max(1));
        u64::try_from(wait).unwrap_or(u64::MAX)
    }

    /// When it would start a job behind so many others that are to be sent to it, in nanoseconds
    /// from now on. `None` if it takes no more jobs, or if nobody knows.
    pub(crate) fn wait_behind(&self, others: usize, now: Time, slack: Duration) -> Option<u64> {
        let done = self.done(now, slack)?;
        let mean = self.backlog() / (self.held.len() as u64).max(1);
        let others = mean.saturating_mul(others as u64);
        Some((self.until_free().saturating_sub(done)).saturating_add(others))
    }

    /// The same for one that it holds, if that were the last to be sent.
    pub(crate) fn wait_of(&self, held: &Held, now: Time, slack: Duration) -> Option<u64> {
        let done = self.done(now, slack)?;
        let (count, time) = (self.held.len() as u64, held.expected.time.into());
        let backlog = self.held.backlog().saturating_sub(time);
        Some(self.until_free_of(count - 1, backlog).saturating_sub(done))
    }

    /// How much of its first job it has done, if it takes jobs and is not late.
    fn done(&self, now: Time, slack: Duration) -> Option<u64> {
        let takes = self.state == ExecutorState::Ready && self.credit > 0 && !self.is_spent();
        if !takes
            || self.held.lanes() == 0
            || self.stalled
            || self.wait(now, slack) == Wait::Unknown
        {
            return None;
        }
        let first = self.held.oldest().map_or(0, |first| first.expected.time);
        let elapsed = nanos(now.saturating_duration_since(self.progress));
        Some(elapsed.min(first.into()))
    }

    /// Whether it is known how long everything takes that it holds.
    pub(crate) fn is_measured(&self) -> bool {
        self.held.backlog() < LONG.into()
    }

    /// When nobody knows any more how long a job would wait at it, unless it finishes one before.
    pub(crate) fn late_at(&self, slack: Duration) -> Option<Time> {
        let expected = u64::from(self.held.oldest()?.expected.time);
        let patience = self.patience(expected, slack).saturating_add(1);
        Some(self.progress.saturating_add(Duration::from_nanos(patience)))
    }

    fn patience(&self, expected: u64, slack: Duration) -> u64 {
        2 * expected + nanos(slack) + 2 * self.latency
    }

    /// Where recall should look for it: by how long its last job would wait there,
    /// nowhere if there is nothing to ask for.
    pub(crate) fn surplus(&self) -> Option<u8> {
        if self.state == ExecutorState::Killing || !self.held.has_recallable() {
            return None;
        }
        Some(bucket_of(self.work_before_last()))
    }

    /// The work that is done before its last job begins, with all its slots.
    fn work_before_last(&self) -> u64 {
        let last = self.held.newest().map_or(0, |held| held.expected.time);
        self.per_slot(self.held.backlog() - u64::from(last))
    }

    /// How long its last job would wait from now on.
    pub(crate) fn wait(&self, now: Time, slack: Duration) -> Wait {
        let Some(first) = self.held.oldest() else {
            return Wait::About(0);
        };
        if self.held.lanes() == 0 {
            return Wait::Unknown;
        }
        let elapsed = nanos(now.saturating_duration_since(self.progress));
        let expected = u64::from(first.expected.time);
        if elapsed > self.patience(expected, slack) {
            return Wait::Unknown;
        }
        Wait::About(
            self.work_before_last()
                .saturating_sub(elapsed.min(expected)),
        )
    }

    /// The first contradiction in it, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        if let Some(fault) = self.held.fault() {
            return Some(format!("{} {fault}", self.id));
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
