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
use crate::demand::{Demand, NOTHING};
use crate::executor::Executor;
use crate::executors::{ExecutorTable, Site};
use crate::ids::{IdMap, SMALL};
use crate::time::{Time, nanos};
use crate::{ExecutorId, JobId, Scheduler};

/// Data that a job needs, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// Who has it.
    pub executor: ExecutorId,
    /// How much it is.
    pub bytes: u64,
}

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

#[derive(Debug, Default)]
struct Near {
    /// Who has data of it, and what it takes to bring that to another, in nanoseconds.
    holders: Vec<(ExecutorId, u64)>,
    /// Where the executor is in whose line it waits.
    line: Option<u32>,
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

/// Live jobs of whose data is known where it is.
#[derive(Debug, Default)]
pub(crate) struct Nears {
    jobs: IdMap<JobId, Near>,
    /// How many wait in each line, by the slot of its executor.
    lines: BTreeMap<u32, usize>,
    /// When others take over what waits for an executor, if that has finished nothing by then.
    deadline: Option<Time>,
    /// Where data is on the way, or was.
    links: IdMap<ExecutorId, Link>,
}

/// Until when data comes to an executor for jobs that it was sent, and until when it gives data
/// to others, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    coming: Time,
    going: Time,
}

impl Nears {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
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

    fn add(&mut self, job: JobId, executor: ExecutorId, cost: u64) {
        let holders = &mut self.jobs.entry(job).or_default().holders;
        if let Some(holder) = holders.iter_mut().find(|holder| holder.0 == executor) {
            holder.1 = holder.1.saturating_add(cost);
        } else {
            holders.push((executor, cost));
        }
    }

    /// The key of the queue where a job waits that needs this.
    pub(crate) fn key(&self, job: JobId, demand: u32) -> u32 {
        if self.lines.is_empty() {
            return demand;
        }
        let line = self.jobs.get(&job).and_then(|near| near.line);
        line.map_or(demand, line_of)
    }

    fn enter(&mut self, job: JobId, slot: u32, now: Time) {
        if let Some(near) = self.jobs.get_mut(&job) {
            (near.line, near.since) = (Some(slot), now);
            *self.lines.entry(slot).or_default() += 1;
        }
    }

    /// A job does not wait in a line any more.
    pub(crate) fn leave(&mut self, job: JobId) {
        let line = self.jobs.get_mut(&job).and_then(|near| near.line.take());
        let Some(slot) = line else {
            return;
        };
        if let Some(count) = self.lines.get_mut(&slot) {
            *count -= 1;
            if *count == 0 {
                self.lines.remove(&slot);
            }
            if self.lines.is_empty() {
                // Plain jobs need not look at it then.
                self.deadline = None;
            }
        }
    }

    /// A job has ended.
    #[inline]
    pub(crate) fn remove(&mut self, job: JobId) {
        if !self.jobs.is_empty() {
            self.remove_noted(job);
        }
    }

    #[inline(never)]
    fn remove_noted(&mut self, job: JobId) {
        self.leave(job);
        self.jobs.remove(&job);
        if self.jobs.is_empty() {
            self.jobs.shrink_to(SMALL);
            self.links = IdMap::default();
        }
    }

    /// What it takes to bring the data of a job elsewhere that an executor has, in nanoseconds.
    pub(crate) fn cost(&self, job: JobId, executor: ExecutorId) -> u64 {
        if self.jobs.is_empty() {
            return 0;
        }
        let near = self.jobs.get(&job);
        let mut holders = near.iter().flat_map(|near| &near.holders);
        let holder = holders.find(|holder| holder.0 == executor);
        holder.map_or(0, |holder| holder.1)
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
        let brings = self.brings_in(job, holder, executors.get(other), now);
        let until = self.until(job, brings).filter(|_| !holder.is_measured());
        match until {
            Some(until) if until <= now => Turn::Now(other),
            Some(until) => Turn::Later(late.min(Some(until)).or(Some(until))),
            None if wait > brings => Turn::Now(other),
            None if has_room => Turn::Now(home),
            None => Turn::Later(late),
        }
    }

    /// Until when a job waits in its line if nobody knows how long that would be: for as long as
    /// it takes to bring its data elsewhere. Then both together take twice that at the most.
    fn until(&self, job: JobId, brings: u64) -> Option<Time> {
        let near = self.jobs.get(&job)?;
        Some(near.since.saturating_add(Duration::from_nanos(brings)))
    }

    /// What it takes to bring the data of a job from an executor to another, in nanoseconds: after
    /// all that is on the way already.
    pub(crate) fn brings_in(
        &self,
        job: JobId,
        holder: &Executor,
        taker: Option<&Executor>,
        now: Time,
    ) -> u64 {
        let cost = self.cost(job, holder.id);
        if cost == 0 {
            return 0;
        }
        let coming = taker.map_or(Time::ZERO, |taker| self.link(taker.id).coming);
        let free = self.link(holder.id).going.max(coming);
        cost.saturating_add(nanos(free.saturating_duration_since(now)))
    }

    fn link(&self, executor: ExecutorId) -> Link {
        self.links.get(&executor).copied().unwrap_or_default()
    }

    /// A job was sent to an executor: data of it that others have comes there.
    pub(crate) fn note_transfers(&mut self, job: JobId, taker: ExecutorId, now: Time) {
        let Some(near) = self.jobs.get(&job) else {
            return;
        };
        let mut coming = self.link(taker).coming;
        for &(holder, cost) in near.holders.iter().filter(|holder| holder.0 != taker) {
            let link = self.links.entry(holder).or_default();
            let begin = now.max(link.going).max(coming);
            coming = begin.saturating_add(Duration::from_nanos(cost));
            link.going = coming;
        }
        if coming > now {
            self.links.entry(taker).or_default().coming = coming;
        }
    }

    /// An executor is gone.
    pub(crate) fn forget_link(&mut self, executor: ExecutorId) {
        self.links.remove(&executor);
    }

    /// The first contradiction in it, if there is one. `is_queued` tells which jobs live, and
    /// of these which are queued.
    pub(crate) fn fault(&self, is_queued: impl Fn(JobId) -> Option<bool>) -> Option<String> {
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for (&job, near) in &self.jobs {
            let state = is_queued(job);
            if state.is_none() || near.line.is_some() && state != Some(true) {
                return Some(format!("{job} is not queued: {near:?}"));
            }
            if let Some(slot) = near.line {
                *counts.entry(slot).or_default() += 1;
            }
        }
        let (lines, deadline) = (&self.lines, self.deadline);
        let is_right = counts == *lines && (deadline.is_none() || !lines.is_empty());
        (!is_right).then(|| format!("{counts:?} wait, {lines:?} counted, {deadline:?}"))
    }
}

impl<J> Scheduler<J> {
    /// So much of the result of a job stays at the executor that holds it: what depends on it
    /// had best run there.
    ///
    /// To be said right before [`job_finished`](Self::job_finished). It means nothing for jobs
    /// that are submitted later: see [`Terms::data`](crate::Terms::data).
    pub fn result_stays(&mut self, executor: ExecutorId, job: JobId, bytes: u64) {
        let slot = self.executors.slot(executor);
        let Some(slot) = slot.filter(|&slot| self.place_at(slot, job).is_some()) else {
            return;
        };
        let dependants = self.dependencies.of(job);
        if bytes == 0 || dependants.is_empty() {
            return;
        }
        // What many need comes once for all of them.
        let cost = self.cost_of(slot, bytes) / dependants.len() as u64;
        for dependant in dependants {
            self.nears.add(dependant, executor, cost);
        }
    }

    /// Takes note of data that is there when a job is submitted.
    pub(crate) fn note_data(&mut self, job: JobId, data: &[Data]) {
        for &Data { executor, bytes } in data {
            if let Some(slot) = self.executors.slot(executor).filter(|_| bytes > 0) {
                let cost = self.cost_of(slot, bytes);
                self.nears.add(job, executor, cost);
            }
        }
    }

    /// What it takes to bring so much from an executor to another, in nanoseconds.
    fn cost_of(&self, slot: u32, bytes: u64) -> u64 {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.config.transfer_rate.get());
        let latency = self.executors.get(slot).map_or(0, |holder| holder.latency);
        u64::try_from(nanos)
            .unwrap_or(u64::MAX)
            .saturating_add(latency)
    }

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
        let holders = &self.nears.jobs.get(&job)?.holders;
        let (now, slack) = (self.now, self.config.recall.slack);
        let costs = holders.iter().map(|&(_, cost)| cost);
        let all = costs.fold(0, u64::saturating_add);
        let begins = holders.iter().filter_map(|&(executor, cost)| {
            let slot = self.executors.slot(executor)?;
            let others = self.nears.lines.get(&slot).copied().unwrap_or(0);
            let wait = self.executors.get(slot)?.wait_behind(others, now, slack)?;
            Some((wait.saturating_add(all - cost), slot, cost))
        });
        let (_, slot, cost) = begins.min()?;
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

    /// Of the machines that can start a job at once which needs this, one that has data of it.
    pub(crate) fn site_with_data(&self, job: JobId, demand: &Demand) -> Option<Site> {
        let near = self.nears.jobs.get(&job)?;
        let sites = near.holders.iter().filter_map(|&(executor, cost)| {
            let site = self.executors.site_of(self.executors.slot(executor)?)?;
            let can = self.executors.is_open(site) && self.executors.fits(site, demand);
            can.then_some((cost, site))
        });
        sites.max_by_key(|&(cost, _)| cost).map(|(_, site)| site)
    }

    /// The newest job that waits at an executor, if it has data there: its place, and how much
    /// sooner it would begin where one idles, in nanoseconds.
    pub(crate) fn newest_near(&self, holder: &Executor) -> Option<(u32, u64)> {
        if self.nears.is_empty() {
            return None;
        }
        let (place, held) = holder.held.recallable_places().next()?;
        let cost = self.nears.cost(held.job, holder.id);
        let (taker, _) = self.executors.next_to_serve().filter(|_| cost > 0)?;
        let taker = self.executors.get(taker);
        let brings = self.nears.brings_in(held.job, holder, taker, self.now);
        // The data of those that were asked back comes first.
        let others = cost.saturating_mul(self.recalls.pending as u64);
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

    /// A line whose first job could start at once where its data is.
    pub(crate) fn wrong_line(&self) -> Option<String> {
        let mut lines = self.shares.ready_keys().filter_map(slot_of);
        let free = lines.find(|&slot| self.executors.is_free(slot))?;
        Some(format!("{free} is free, and jobs wait for it"))
    }
}
