//! Data that live jobs need, and which executors have it.
//!
//! An *item* is what a job has left at the executor that ran it. All live jobs that need it share
//! what is known of it, and it is forgotten with the last of them. Whoever is sent one of these
//! gets a copy, which is of use to the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::demand::Demand;
use crate::executor::Executor;
use crate::executors::{ExecutorTable, Site};
use crate::ids::{IdMap, SMALL};
use crate::time::{Time, nanos};
use crate::{ExecutorId, JobId, Scheduler};

/// Data that a job needs, and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data {
    /// Which job has made it: so others that need the same are known. It need not live any more.
    pub job: JobId,
    /// Who has it.
    pub executor: ExecutorId,
    /// How much it is.
    pub bytes: u64,
}

#[derive(Debug)]
struct Item {
    /// What it takes to carry it, in nanoseconds, once it is on the way.
    takes: u64,
    /// Who has it, or gets it. The first of them made it, as long as that is there.
    holders: Vec<Holder>,
    /// How many live jobs need it.
    users: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holder {
    executor: ExecutorId,
    /// From when on, as far as is known.
    since: Time,
}

/// Until when data comes to an executor for jobs that it was sent, and until when it gives data
/// to others, as far as is known.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    coming: Time,
    going: Time,
}

/// One item on its way to who needs it.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    item: JobId,
    from: ExecutorId,
    /// Until when it takes the links of both.
    end: Time,
    arrival: Time,
}

/// All that is known of data.
#[derive(Debug, Default)]
pub(crate) struct DataBooks {
    items: IdMap<JobId, Item>,
    /// The items that each job needs: only jobs that need some are here.
    needs: IdMap<JobId, Vec<JobId>>,
    /// Where data is on the way, or was.
    links: IdMap<ExecutorId, Link>,
}

impl DataBooks {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// A job needs an item, which an executor has.
    pub(crate) fn add(&mut self, job: JobId, item: JobId, executor: ExecutorId, takes: u64) {
        let needs = self.needs.entry(job).or_default();
        let is_new = !needs.contains(&item);
        if is_new {
            needs.push(item);
        }
        let entry = self.items.entry(item).or_insert_with(|| Item {
            takes,
            holders: Vec::new(),
            users: 0,
        });
        entry.users += u32::from(is_new);
        entry.hold(executor, Time::ZERO);
    }

    /// A job has ended.
    pub(crate) fn remove(&mut self, job: JobId) {
        let Some(needs) = self.needs.remove(&job) else {
            return;
        };
        for item in needs {
            if let Some(entry) = self.items.get_mut(&item) {
                entry.users -= 1;
                if entry.users == 0 {
                    self.items.remove(&item);
                }
            }
        }
        if self.needs.is_empty() {
            self.needs.shrink_to(SMALL);
            self.items.shrink_to(SMALL);
            self.links = IdMap::default();
        }
    }

    /// An executor is gone, and what it had.
    pub(crate) fn forget(&mut self, executor: ExecutorId) {
        if self.is_empty() {
            return;
        }
        self.links.remove(&executor);
        for item in self.items.values_mut() {
            item.holders.retain(|holder| holder.executor != executor);
        }
    }

    fn items_of(&self, job: JobId) -> impl Iterator<Item = (JobId, &Item)> {
        let needs = self.needs.get(&job).into_iter().flatten();
        needs.filter_map(|item| Some((*item, self.items.get(item)?)))
    }

    /// Who has data of a job, or gets some.
    pub(crate) fn holders(&self, job: JobId) -> Vec<ExecutorId> {
        let items = self.items_of(job).flat_map(|(_, item)| &item.holders);
        let mut all: Vec<_> = items.map(|holder| holder.executor).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What it takes, in nanoseconds, to bring what an executor has of a job to one that is as far
    /// away. What many need comes once for all of them, so each is charged with a part.
    pub(crate) fn worth(&self, job: JobId, holder: &Executor) -> u64 {
        let there = self.items_of(job).filter(|(_, item)| item.is_at(holder.id));
        let way = holder.latency.saturating_mul(2);
        let parts = there.map(|(_, item)| item.takes.saturating_add(way) / u64::from(item.users));
        parts.fold(0, u64::saturating_add)
    }

    /// What it takes, in nanoseconds, to carry what an executor lacks of a job, if it lacks some.
    /// It lacks what is still on the way, too: otherwise who is sooner elsewhere were asked back
    /// for it, and sent there again.
    pub(crate) fn lack(&self, job: JobId, executor: ExecutorId, now: Time) -> Option<u64> {
        let is_there = |item: &Item| item.holder(executor).is_some_and(|it| it.since <= now);
        let absent = self.items_of(job).filter(|(_, item)| !is_there(item));
        absent
            .map(|(_, item)| item.takes)
            .reduce(u64::saturating_add)
    }

    /// In how many nanoseconds a job is at an executor to which it is sent now, with all its data:
    /// after all that is on the way already.
    pub(crate) fn brings_in(
        &self,
        job: JobId,
        taker: &Executor,
        executors: &ExecutorTable,
        now: Time,
    ) -> u64 {
        let held = self
            .items_of(job)
            .filter_map(|(_, item)| item.holder(taker.id));
        let transfers = self.transfers(job, taker, executors, now);
        let arrivals = transfers.map(|transfer| transfer.arrival);
        let there = held.map(|holder| holder.since).chain(arrivals).max();
        let way = Duration::from_nanos(taker.latency / 2);
        let there = there.max(Some(now.saturating_add(way))).unwrap_or(now);
        nanos(there.saturating_duration_since(now))
    }

    /// What comes to an executor that is sent a job. It is asked for once the job is there, and
    /// then comes; links carry one thing after another.
    fn transfers<'a>(
        &'a self,
        job: JobId,
        taker: &'a Executor,
        executors: &'a ExecutorTable,
        now: Time,
    ) -> impl Iterator<Item = Transfer> + 'a {
        let asks = now.saturating_add(Duration::from_nanos(taker.latency / 2));
        let mut coming = self.link(taker.id).coming;
        let absent = self.items_of(job).filter(|(_, item)| !item.is_at(taker.id));
        absent.filter_map(move |(name, item)| {
            let from = item.holders.first()?.executor;
            let source = executors.get(executors.slot(from)?)?;
            let way = Duration::from_nanos(source.latency.saturating_add(taker.latency) / 2);
            let free = self.link(from).going.max(coming);
            let begin = free.max(asks.saturating_add(way));
            coming = begin.saturating_add(Duration::from_nanos(item.takes));
            Some(Transfer {
                item: name,
                from,
                end: coming,
                arrival: coming.saturating_add(way),
            })
        })
    }

    /// The first contradiction in it, if there is one. `lives` tells which jobs do, `is_there`
    /// which executors are.
    pub(crate) fn fault(
        &self,
        lives: impl Fn(JobId) -> bool,
        is_there: impl Fn(ExecutorId) -> bool,
    ) -> Option<String> {
        let mut users: BTreeMap<JobId, u32> = BTreeMap::new();
        for (&job, needs) in &self.needs {
            if !lives(job) {
                return Some(format!("{job} has ended and needs {needs:?}"));
            }
            for &item in needs {
                *users.entry(item).or_default() += 1;
            }
        }
        for (&name, item) in &self.items {
            let users = users.remove(&name).unwrap_or(0);
            let holders = item.holders.iter().map(|holder| holder.executor);
            let kept: BTreeSet<_> = holders.collect();
            let are_there = kept.iter().all(|&holder| is_there(holder));
            if users == 0 || users != item.users || kept.len() != item.holders.len() || !are_there {
                return Some(format!("{users} need what {name} has left: {item:?}"));
            }
        }
        let gone = self.links.keys().find(|&&executor| !is_there(executor));
        let is_bare = !self.is_empty() || self.items.is_empty() && self.links.is_empty();
        let is_right = users.is_empty() && gone.is_none() && is_bare;
        (!is_right).then(|| format!("{users:?} need what is not known, {gone:?} is gone: {self:?}"))
    }

    fn link(&self, executor: ExecutorId) -> Link {
        self.links.get(&executor).copied().unwrap_or_default()
    }

    /// A job was sent to an executor: what it lacks of the data comes there, and stays for others.
    #[inline(never)]
    pub(crate) fn note_sent(
        &mut self,
        job: JobId,
        taker: &Executor,
        executors: &ExecutorTable,
        now: Time,
    ) {
        let transfers: Vec<_> = self.transfers(job, taker, executors, now).collect();
        for transfer in transfers {
            let link = self.links.entry(transfer.from).or_default();
            link.going = link.going.max(transfer.end);
            self.links.entry(taker.id).or_default().coming = transfer.end;
            if let Some(item) = self.items.get_mut(&transfer.item) {
                item.hold(taker.id, transfer.arrival);
            }
        }
    }
}

impl Item {
    fn hold(&mut self, executor: ExecutorId, since: Time) {
        if !self.is_at(executor) {
            self.holders.push(Holder { executor, since });
        }
    }

    fn holder(&self, executor: ExecutorId) -> Option<&Holder> {
        let mut holders = self.holders.iter();
        holders.find(|holder| holder.executor == executor)
    }

    fn is_at(&self, executor: ExecutorId) -> bool {
        self.holder(executor).is_some()
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
        if bytes == 0 || slot.is_none_or(|slot| self.place_at(slot, job).is_none()) {
            return;
        }
        let dependants = self.dependencies.of(job);
        let takes = self.takes(bytes);
        for dependant in dependants {
            self.nears.data.add(dependant, job, executor, takes);
        }
    }

    /// Takes note of data that is there when a job is submitted.
    pub(crate) fn note_data(&mut self, job: JobId, data: &[Data]) {
        for it in data.iter().filter(|it| it.bytes > 0) {
            if self.executors.slot(it.executor).is_some() {
                let takes = self.takes(it.bytes);
                self.nears.data.add(job, it.job, it.executor, takes);
            }
        }
    }

    /// What it takes to carry so much from an executor to another, in nanoseconds.
    fn takes(&self, bytes: u64) -> u64 {
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.config.transfer_rate.get());
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// A job was sent to an executor: see [`DataBooks::note_sent`].
    #[inline(never)]
    pub(crate) fn note_sent(&mut self, job: JobId, slot: u32) {
        if let Some(taker) = self.executors.get(slot) {
            let data = &mut self.nears.data;
            data.note_sent(job, taker, &self.executors, self.now);
        }
    }

    /// Of the machines that can start a job at once which needs this, one that has data of it.
    #[inline]
    pub(crate) fn site_with_data(&self, job: JobId, demand: &Demand) -> Option<Site> {
        if self.nears.is_empty() {
            return None;
        }
        self.nearest_site(job, demand)
    }

    #[inline(never)]
    fn nearest_site(&self, job: JobId, demand: &Demand) -> Option<Site> {
        let holders = self.nears.data.holders(job).into_iter();
        let sites = holders.filter_map(|id| {
            let slot = self.executors.slot(id)?;
            let site = self.executors.site_of(slot)?;
            let can = self.executors.is_open(site) && self.executors.fits(site, demand);
            let cost = self.nears.data.worth(job, self.executors.get(slot)?);
            can.then_some((cost, site))
        });
        sites.max_by_key(|&(cost, _)| cost).map(|(_, site)| site)
    }
}
