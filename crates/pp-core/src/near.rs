//! Jobs that had best run where their data is.
//!
//! A job that becomes ready joins the *line* of an executor that has data of it, if to bring
//! that elsewhere takes long enough to matter. A line is a queue of its own in each share, so
//! shares, priorities and ages say what is next as always. What is next in a line goes to its
//! executor; to another one only if that idles, and the line is so long that the data can be
//! brought sooner.
//!
//! Where no data stays anywhere, there are no lines, and nothing of this is done.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::classes::Class;
use crate::data::DataBooks;
use crate::demand::NOTHING;
use crate::executor::Executor;
use crate::executors::ExecutorTable;
use crate::ids::{IdMap, SMALL};
use crate::time::Time;
use crate::{JobId, Scheduler};

/// What tells lines from demands, where both are keys of queues.
const LINE: u32 = 1 << 31;

/// Data matters if to bring it takes more than this part of the run time.
const WORTH_A_LINE: u64 = 50;

/// The key of the queues of those that wait for the executor in this slot.
fn line_of(slot: u32) -> u32 {
    slot | LINE
}

/// The slot of the executor, if this is the key of a line.
pub(crate) fn slot_of(key: u32) -> Option<u32> {
    (key != NOTHING && key & LINE != 0).then_some(key & !LINE)
}

/// A job that waits in a line.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    /// Where the executor is in whose line it waits.
    line: u32,
    /// Since when.
    since: Time,
}

/// What becomes of the first in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes to the executor in this slot.
    Now(u32),
    /// It waits. If nothing happens before, it is to be looked at again then.
    Later(Option<Time>),
}

/// Jobs that wait for the executors that have their data.
#[derive(Debug, Default)]
pub(crate) struct Nears {
    pub(crate) data: DataBooks,
    waiting: IdMap<JobId, Waiting>,
    /// How many wait in each line, by the slot of its executor.
    lines: BTreeMap<u32, usize>,
    /// When others take over what waits for an executor, if that has finished nothing by then.
    deadline: Option<Time>,
}

impl Nears {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether somebody waits in a line.
    pub(crate) fn has_lines(&self) -> bool {
        !self.lines.is_empty()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The key of the queue where a job waits that needs this.
    pub(crate) fn key(&self, job: JobId, demand: u32) -> u32 {
        if self.lines.is_empty() {
            return demand;
        }
        let waiting = self.waiting.get(&job);
        waiting.map_or(demand, |waiting| line_of(waiting.line))
    }

    fn enter(&mut self, job: JobId, line: u32, now: Time) {
        self.waiting.insert(job, Waiting { line, since: now });
        *self.lines.entry(line).or_default() += 1;
    }

    /// A job does not wait in a line any more.
    pub(crate) fn leave(&mut self, job: JobId) {
        let Some(Waiting { line, .. }) = self.waiting.remove(&job) else {
            return;
        };
        if let Some(count) = self.lines.get_mut(&line) {
            *count -= 1;
            if *count == 0 {
                self.lines.remove(&line);
            }
            if self.lines.is_empty() {
                // Plain jobs need not look at it then.
                self.deadline = None;
                self.waiting.shrink_to(SMALL);
            }
        }
    }

    /// A job has ended.
    #[inline]
    pub(crate) fn remove(&mut self, job: JobId) {
        if !self.is_empty() {
            self.remove_noted(job);
        }
    }

    #[inline(never)]
    fn remove_noted(&mut self, job: JobId) {
        self.leave(job);
        self.data.remove(job);
    }

    /// What becomes now of the first in the line of an executor. `is_known`: how long its
    /// function takes.
    pub(crate) fn turn(
        &self,
        (job, is_known): (JobId, bool),
        home: u32,
        executors: &ExecutorTable,
        (now, slack): (Time, Duration),
    ) -> Turn {
        if executors.is_free(home) {
            return Turn::Now(home);
        }
        let Some((other, is_idle)) = executors.next_to_serve() else {
            return Turn::Later(None);
        };
        let holder = executors.get(home).filter(|_| !executors.is_held_up(home));
        let has_room = is_known && executors.room(home).is_some();
        // Those behind it in line begin later, and what they wait can be saved.
        let behind = self.lines.get(&home).copied().unwrap_or(0);
        let ahead = if has_room { 0 } else { behind };
        let wait = holder.and_then(|holder| Some((holder, holder.wait_behind(ahead, now, slack)?)));
        let Some((holder, wait)) = wait else {
            // There is nobody to wait for.
            return if is_idle || is_known {
                Turn::Now(other)
            } else {
                Turn::Later(None)
            };
        };
        let late = holder.late_at(slack);
        if !is_idle {
            return if has_room {
                Turn::Now(home)
            } else {
                // Once nobody knows how long that would be, it goes ahead elsewhere.
                Turn::Later(late.filter(|_| is_known))
            };
        }
        let (other, there) = self.nearest_idle(job, other, executors, now);
        let here = wait.saturating_add(self.data.brings_in(job, holder, executors, now));
        let until = self.until(job, there).filter(|_| !holder.is_measured());
        match until {
            Some(until) if until <= now => Turn::Now(other),
            Some(until) => Turn::Later(late.min(Some(until)).or(Some(until))),
            None if here > there => Turn::Now(other),
            None if has_room => Turn::Now(home),
            None => Turn::Later(late),
        }
    }

    /// Of an executor that idles, and those that idle and have data of a job, the one where all of
    /// it is soonest; and in how many nanoseconds that is.
    fn nearest_idle(
        &self,
        job: JobId,
        idle: u32,
        executors: &ExecutorTable,
        now: Time,
    ) -> (u32, u64) {
        let holders = self.data.holders(job);
        let slots = holders.into_iter().filter_map(|id| executors.slot(id));
        let free = slots.filter(|&slot| executors.is_free(slot));
        let all = [idle].into_iter().chain(free).filter_map(|slot| {
            let taker = executors.get(slot)?;
            Some((slot, self.data.brings_in(job, taker, executors, now)))
        });
        all.min_by_key(|&(_, brings)| brings).unwrap_or((idle, 0))
    }

    /// Until when a job waits in its line if nobody knows how long that would be: for as long as
    /// it takes to bring its data elsewhere. Then both together take twice that at the most.
    fn until(&self, job: JobId, brings: u64) -> Option<Time> {
        let waiting = self.waiting.get(&job)?;
        Some(waiting.since.saturating_add(Duration::from_nanos(brings)))
    }

    /// The first contradiction in it, if there is one. `is_queued` tells which jobs live, and
    /// of these which are queued.
    pub(crate) fn fault(&self, is_queued: impl Fn(JobId) -> Option<bool>) -> Option<String> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for (&job, waiting) in &self.waiting {
            if is_queued(job) != Some(true) {
                return Some(format!("{job} is not queued: {waiting:?}"));
            }
            *counts.entry(waiting.line).or_default() += 1;
        }
        let (lines, deadline) = (&self.lines, self.deadline);
        let is_right = counts == *lines && (deadline.is_none() || !lines.is_empty());
        (!is_right).then(|| format!("{counts:?} wait, {lines:?} counted, {deadline:?}"))
    }
}

impl<J> Scheduler<J> {
    /// Where a job is to wait that is about to be queued: in a line, if that is worth it.
    #[inline]
    pub(crate) fn lined_up(&mut self, job: JobId, class: Class) -> Class {
        if self.nears.is_empty() || class.demand != NOTHING {
            return class;
        }
        self.line_up(job, class)
    }

    #[inline(never)]
    fn line_up(&mut self, job: JobId, class: Class) -> Class {
        let Some(slot) = self.home_of(job) else {
            return class;
        };
        self.nears.enter(job, slot, self.now);
        class.queued_at(line_of(slot))
    }

    /// The executor that would begin a job soonest, of those that have data of it.
    fn home_of(&self, job: JobId) -> Option<u32> {
        let (now, slack) = (self.now, self.config.recall.slack);
        let holders = self.nears.data.holders(job).into_iter();
        let begins = holders.filter_map(|id| {
            let slot = self.executors.slot(id)?;
            let others = self.nears.lines.get(&slot).copied().unwrap_or(0);
            let holder = self.executors.get(slot)?;
            let wait = holder.wait_behind(others, now, slack)?;
            let brings = self.nears.data.brings_in(job, holder, &self.executors, now);
            Some((wait.saturating_add(brings), slot, holder))
        });
        let (_, slot, holder) = begins.min_by_key(|&(begins, slot, _)| (begins, slot))?;
        let cost = self.nears.data.worth(job, holder);
        let function = self.jobs.get(job)?.function;
        let estimate = self.functions.estimate(function);
        let run_time = u64::from(estimate.expected().time);
        let matters = cost.saturating_mul(WORTH_A_LINE) > run_time || !estimate.is_known();
        matters.then_some(slot)
    }

    /// An executor is gone: who waits for it finds another place.
    pub(crate) fn break_up_line(&mut self, slot: u32) {
        if !self.nears.lines.contains_key(&slot) {
            return;
        }
        let jobs = &self.jobs;
        let waiting = self
            .shares
            .take_demand(line_of(slot), |job| jobs.contains(job));
        for job in waiting {
            self.nears.leave(job);
            if let Some(class) = self.jobs.get(job).map(|entry| entry.class) {
                let class = self.lined_up(job, self.classes.get(class));
                self.shares.give_back(job, class);
            }
        }
    }

    /// The newest job that waits at an executor, if it has data there: its place, and how much
    /// sooner it would begin where one idles, in nanoseconds.
    pub(crate) fn newest_near(&self, holder: &Executor) -> Option<(u32, u64)> {
        if self.nears.is_empty() {
            return None;
        }
        let (place, held) = holder.held.recallable_places().next()?;
        let (taker, _) = self.executors.next_to_serve()?;
        let taker = self.executors.get(taker)?;
        let lack = self.nears.data.lack(held.job, taker.id, self.now)?;
        let brings = (self.nears.data).brings_in(held.job, taker, &self.executors, self.now);
        // The data of those that were asked back comes first.
        let others = lack.saturating_mul(self.recalls.pending as u64);
        let wait = holder.wait_of(&held, self.now, self.config.recall.slack);
        let gain = wait.filter(|_| holder.is_measured()).unwrap_or(0);
        Some((place, gain.saturating_sub(brings.saturating_add(others))))
    }

    /// Forgets when others take over what waits for executors that are late.
    pub(crate) fn forget_patience(&mut self) {
        self.nears.deadline = None;
    }

    /// When to look again at lines whose executors are busy while others idle.
    pub(crate) fn look_at_lines(&mut self, at: Option<Time>) {
        self.nears.deadline = at;
    }

    /// A line whose first job could start at once where its data is; or any, if others idle and
    /// nobody will look at it again.
    pub(crate) fn wrong_line(&self) -> Option<String> {
        let mut all = self.nears.lines.keys();
        if let Some(gone) = all.find(|&&slot| self.executors.get(slot).is_none()) {
            return Some(format!("{gone} is gone, and jobs wait for it"));
        }
        let lines = || self.shares.ready_keys().filter_map(slot_of);
        if let Some(free) = lines().find(|&slot| self.executors.is_free(slot)) {
            return Some(format!("{free} is free, and jobs wait for it"));
        }
        let line = lines().next()?;
        let is_forgotten = self.nears.deadline.is_none_or(|at| at <= self.now);
        let (_, is_idle) = self.executors.next_to_serve()?;
        (is_idle && is_forgotten).then(|| format!("others idle, and jobs wait for {line}"))
    }
}
