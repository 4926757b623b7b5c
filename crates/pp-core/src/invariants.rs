//! What must hold after every event. For tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::classes::PLAIN;
use crate::executor::{Executor, ExecutorState};
use crate::held::HeldState;
use crate::ids::IdMap;
use crate::job::{ASIDE, PAUSED, QUEUED, WAITING};
use crate::{JobId, Scheduler, near};

/// The scheduler contradicts itself: a bug in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scheduler invariant broken ({rule}): {detail}")]
pub struct InvariantViolation {
    /// What should hold.
    pub rule: &'static str,
    /// What was found instead.
    pub detail: String,
}

fn check(rule: &'static str, fault: Option<String>) -> Result<(), InvariantViolation> {
    fault.map_or(Ok(()), |detail| Err(InvariantViolation { rule, detail }))
}

impl<J> Scheduler<J> {
    /// Checks every table against the others. Looks at everything there is, so it is
    /// for tests only.
    pub fn check_invariants(&self) -> Result<(), InvariantViolation> {
        check("the job table is sound", self.jobs.fault())?;
        check("the executor table is sound", self.executors.fault())?;
        check("each job is in one place", self.misplaced_job())?;
        check("shares count what is theirs", self.wrong_share())?;
        check("suspects are kept apart", self.suspects.fault())?;
        let is_live = |job| self.jobs.contains(job);
        check("dependencies are sound", self.dependencies.fault(is_live))?;
        let is_queued = |job| Some(self.jobs.get(job)?.executor == QUEUED);
        check("lines are sound", self.nears.fault(is_queued))?;
        let is_there = |executor| self.executors.slot(executor).is_some();
        let wrong_data = self.nears.data.fault(is_live, is_there);
        check("data is where it is said to be", wrong_data)?;
        check("retries are counted", self.retries.fault(is_live))?;
        check("time limits are kept", self.wrong_time_limit())?;
        check("functions count their jobs", self.miscounted_function())?;
        check("recalls are counted", self.miscounted_recalls())?;
        let classes = self.classes.demands();
        check("demands are counted", self.demands.fault(&classes))?;
        check("what is taken is counted", self.wrong_amounts())?;
        check("nobody is kept idle in vain", self.wrong_gathering())?;
        check("nobody idles in vain", self.idle_in_vain())?;
        check("executors are as many as wanted", self.wrong_number())
    }

    fn misplaced_job(&self) -> Option<String> {
        let queued: BTreeSet<JobId> = self
            .shares
            .iter()
            .flat_map(|(_, share)| share.names())
            .map(|(job, ..)| job)
            .filter(|&job| self.jobs.contains(job))
            .chain(self.suspects.names())
            .collect();
        if queued.len() != self.queued() {
            let counted = self.queued();
            return Some(format!("{} are queued, {counted} counted", queued.len()));
        }
        let mut placed = queued.len();
        for &job in &queued {
            if self.jobs.get(job)?.executor != QUEUED {
                return Some(format!("{job} is queued and with an executor"));
            }
        }
        let waiting = self.dependencies.names().map(|job| (job, WAITING));
        let paused = self.retries.names().into_iter().map(|job| (job, PAUSED));
        let aside = self.asides.names().map(|job| (job, ASIDE));
        for (job, place) in waiting.chain(paused).chain(aside) {
            placed += 1;
            if self.jobs.get(job).map(|entry| entry.executor) != Some(place) {
                return Some(format!("{job} waits and is elsewhere"));
            }
        }
        for (slot, executor) in self.executors.iter() {
            placed += executor.held.len();
            for (place, held) in executor.held.places() {
                if self.place_at(slot, held.job) != Some(place) {
                    return Some(format!("{} holds {} wrongly", executor.id, held.job));
                }
            }
        }
        let live = self.jobs.len();
        (placed != live).then(|| format!("{live} jobs are live, {placed} have a place"))
    }

    fn wrong_time_limit(&self) -> Option<String> {
        self.time_limits.fault(|job| {
            let slot = self.jobs.get(job)?.executor;
            let holder = self.executors.get(slot);
            let is_first = |holder: &Executor| {
                let first = holder.held.oldest().map(|held| held.job);
                !holder.is_node() && holder.state != ExecutorState::Killing && first == Some(job)
            };
            Some(holder.is_some_and(is_first))
        })
    }

    /// Each job waits where it belongs, and counts where it is held.
    fn wrong_share(&self) -> Option<String> {
        if self.jobs.len() == 0 && !self.shares.is_bare() {
            return Some(format!("no job is live, and there is {:?}", self.shares));
        }
        for (slot, share) in self.shares.iter() {
            let live = share.names().filter_map(|(job, priority, demand)| {
                let class = self.classes.get(self.jobs.get(job)?.class);
                let key = self.nears.key(job, class.demand);
                let own = (class.share, class.priority, key);
                Some((job, own == (slot, priority, demand)))
            });
            if let Some((job, _)) = live.into_iter().find(|&(_, is_right)| !is_right) {
                return Some(format!("{job} waits wrongly in {}", share.id));
            }
        }
        let mut held: BTreeMap<u32, (usize, u64)> = BTreeMap::new();
        for one in self.executors.iter().flat_map(|(_, one)| one.held.iter()) {
            let class = self.classes.get(self.jobs.get(one.job)?.class);
            let (count, charged) = held.entry(class.share).or_default();
            *count += 1;
            *charged += u64::from(one.charge);
        }
        if let Some(fault) = self.shares.fault(&held) {
            return Some(fault);
        }
        if self.jobs.len() == 0 && self.shares.has_debts() {
            return Some("there is no job, and a share has debts".to_owned());
        }
        let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
        for (_, entry) in self.jobs.iter().filter(|(_, entry)| entry.class != PLAIN) {
            *counts.entry(entry.class).or_default() += 1;
        }
        let counted: BTreeMap<u32, usize> = self.classes.counts().collect();
        (counts != counted).then(|| format!("classes have {counts:?}, {counted:?} counted"))
    }

    fn miscounted_function(&self) -> Option<String> {
        let mut counts: IdMap<u32, usize> = IdMap::default();
        for (job, entry) in self.jobs.iter() {
            *counts.entry(entry.function).or_default() += 1;
            let record = self.records.get(job);
            let (deaths, losses) = (u32::from(record.deaths), record.losses());
            if deaths >= self.config.max_worker_deaths.get()
                || losses >= self.config.max_node_losses.get()
            {
                return Some(format!("{job} lives after {deaths} and {losses}"));
            }
        }
        for (place, function) in self.functions.iter() {
            let live = counts.remove(&place).unwrap_or(0);
            if live != function.jobs {
                let counted = function.jobs;
                return Some(format!("{}: {live} jobs, {counted} counted", function.id));
            }
        }
        let mut charged = self.records.names();
        if let Some(job) = charged.find(|&job| !self.jobs.contains(job)) {
            return Some(format!("{job} has ended and is charged"));
        }
        let dangling = self
            .executors
            .iter()
            .flat_map(|(_, executor)| executor.functions.iter())
            .find(|&place| self.functions.get(place).is_none());
        match dangling {
            Some(place) => Some(format!("place {place} is held and not known")),
            None => counts
                .keys()
                .next()
                .map(|place| format!("place {place} is not known")),
        }
    }

    fn miscounted_recalls(&self) -> Option<String> {
        let held = self
            .executors
            .iter()
            .flat_map(|(_, executor)| executor.held.iter());
        let pending = held
            .filter(|held| held.state == HeldState::Recalling)
            .count();
        let counted = self.recalls.pending;
        (pending != counted).then(|| format!("{pending} are pending, {counted} counted"))
    }

    fn idle_in_vain(&self) -> Option<String> {
        let idle = self.executors.free_slots();
        if idle > 0 && self.shares.has_ready_plain() {
            return Some(format!("{idle} slots are free, and a job may be sent"));
        }
        if let Some(job) = self.next_suspect(None)
            && let Some(slot) = self.place_for_suspect(job)
        {
            return Some(format!("{job} waits, and there is room for it in {slot}"));
        }
        if let Some(fault) = self.wrong_line() {
            return Some(fault);
        }
        let mut demands = self
            .shares
            .ready_keys()
            .filter(|&key| near::slot_of(key).is_none());
        if let Some(demand) = demands.find(|&demand| self.fits_somewhere(demand)) {
            let demand = self.demands.get(demand);
            return Some(format!("{demand:?} is free, and a job may be sent"));
        }
        let untried = idle > self.recalls.pending && self.executors.most_loaded().is_some();
        (untried && self.recalls.deadline.is_none())
            .then(|| format!("{idle} slots are free, jobs wait elsewhere, no deadline is set"))
    }

    fn wrong_number(&self) -> Option<String> {
        let counts = self.executors.workers();
        let target = self.starts.target;
        if counts.wanted() > target {
            return Some(format!("{counts:?} for {target}"));
        }
        let due = self.starts.due(counts, self.now);
        if due > 0 {
            return Some(format!("{due} executors are due and not started"));
        }
        let hopeless = self.starts.is_given_up() && self.queued() > 0;
        hopeless.then(|| "jobs are queued and no executor will be started".to_owned())
    }
}
