//! Jobs that may be what takes nodes down.
//!
//! When a node is lost, nobody can tell which of its jobs was to blame, if any. So all
//! that it held are counted, and run elsewhere. When one more loss would end a job, it is
//! a *suspect*, and no node gets two suspects at a time: then the next loss charges the
//! one that is to blame, and its companions of earlier losses end as they should.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::charges::LOSS;
use crate::executor::Executor;
use crate::gathering::Gathers;
use crate::{JobId, Scheduler};

/// All suspects.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    queued: BTreeSet<JobId>,
    /// Those that executors hold, by the slot of the executor.
    placed: BTreeMap<JobId, u32>,
}

impl Suspects {
    pub(crate) fn queued(&self) -> usize {
        self.queued.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queued.is_empty() && self.placed.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = JobId> + '_ {
        self.queued.iter().copied()
    }

    /// Adds a job to those that wait.
    pub(crate) fn put(&mut self, job: JobId) {
        self.queued.insert(job);
    }

    /// Removes a job that waits; false if it is not here.
    pub(crate) fn remove(&mut self, job: JobId) -> bool {
        self.queued.remove(&job)
    }

    /// A job has left its executor.
    #[inline]
    pub(crate) fn left(&mut self, job: JobId) {
        if !self.placed.is_empty() {
            self.placed.remove(&job);
        }
    }

    /// Removes all that wait.
    pub(crate) fn take_all(&mut self) -> BTreeSet<JobId> {
        std::mem::take(&mut self.queued)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The first contradiction in it, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        let slots: BTreeSet<_> = self.placed.values().collect();
        (slots.len() < self.placed.len()).then(|| format!("two suspects in one place: {self:?}"))
    }
}

impl<J> Scheduler<J> {
    /// Whether one more loss of a node would end a job with so much blame. Where the first loss
    /// ends any job, there is nothing to find out.
    pub(crate) fn is_suspect(&self, blame: u16) -> bool {
        let after_next = (blame + LOSS) / LOSS;
        blame >= LOSS && u32::from(after_next) >= self.config.max_node_losses.get()
    }

    /// Sends suspects that wait, each to an executor that has none. Those go to workers
    /// only where there are no nodes: whatever took nodes down should not be tried here. Others
    /// are held up for the first of them that lacks nothing but slots.
    pub(crate) fn pump_suspects(&mut self, gathers: &mut Gathers) {
        let mut after = None;
        while let Some(job) = self.next_suspect(after) {
            after = Some(job);
            let Some(slot) = self.place_for_suspect(job) else {
                if self.demand_of(job).is_plain() {
                    // There is no place for the others either.
                    return;
                }
                self.gather_for_suspect(job, gathers);
                continue;
            };
            self.suspects.queued.remove(&job);
            self.suspects.placed.insert(job, slot);
            self.send(slot, job);
            // Whoever idles may be one that it must not go to: then it would come back here.
            let place = self.place_at(slot, job);
            if let (Some(place), Some(holder)) = (place, self.executors.get_mut(slot)) {
                holder.held.pin(place);
            }
            self.settle(slot);
        }
    }

    /// The first after another one whose share may have more jobs with executors.
    pub(crate) fn next_suspect(&self, after: Option<JobId>) -> Option<JobId> {
        let may_be_sent = |job: &&JobId| {
            let class = self
                .jobs
                .get(**job)
                .map(|entry| self.classes.get(entry.class));
            class.is_some_and(|class| self.shares.has_room(class.share))
        };
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut names = self.suspects.queued.range((after, Bound::Unbounded));
        names.find(may_be_sent).copied()
    }

    /// The executors that a suspect may go to.
    fn places_for_suspects(&self) -> impl Iterator<Item = u32> + '_ {
        let has_nodes = self.executors.nodes().ready > 0;
        let taken: BTreeSet<u32> = self.suspects.placed.values().copied().collect();
        let is_meant = move |slot: u32, executor: &Executor| {
            executor.is_node() == has_nodes && !taken.contains(&slot)
        };
        let slots = self.executors.iter();
        let meant = slots.filter(move |&(slot, executor)| is_meant(slot, executor));
        meant.map(|(slot, _)| slot)
    }

    pub(crate) fn place_for_suspect(&self, job: JobId) -> Option<u32> {
        let demand = self.demand_of(job);
        let fits = |slot: &u32| {
            let site = self.executors.site_of(*slot);
            let fits = |site| self.executors.fits(site, demand);
            // On this machine, it has to be a worker that idles.
            let is_free = self.executors.starts_at_once(*slot) && site.is_some_and(fits);
            demand.is_plain() || is_free
        };
        let meant = self.places_for_suspects().filter(fits);
        let with_room = meant.filter_map(|slot| Some((self.executors.room(slot)?, slot)));
        with_room.min().map(|(_, slot)| slot)
    }

    fn gather_for_suspect(&mut self, job: JobId, gathers: &mut Gathers) {
        let demand = self.demand_of(job);
        let sites = self.places_for_suspects();
        let sites = sites.filter_map(|slot| self.executors.site_of(slot));
        if let Some(site) = self.executors.least_missed(demand, sites) {
            let site = self.gathers_at(job, gathers).unwrap_or(site);
            self.gather(job, site, gathers);
        }
    }
}
