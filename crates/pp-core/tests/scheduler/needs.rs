//! Jobs that need more than a slot, and what the model expects of these.

use pp_core::{Demand, ExecutorId, JobId, Lack, Machine, ResourceId};

use crate::env::{Env, Job, Place};

/// How many slots a job takes beyond one.
fn extra(demand: &Demand) -> usize {
    demand.slots.max(1) as usize - 1
}

fn amount_of(demand: &Demand, resource: ResourceId) -> u64 {
    let amounts = demand.amounts.iter();
    let amounts = amounts.filter(|&&(one, _)| one == resource);
    amounts.map(|&(_, amount)| amount).sum()
}

impl Env {
    pub(crate) fn set_supply(&mut self, supply: &[(ResourceId, u64)]) {
        self.catch_up();
        self.supply = supply.iter().copied().collect();
        self.refused.clear();
        self.scheduler.set_supply(Machine::Here, supply, self.now);
        self.absorb();
    }

    pub(crate) fn end_hopeless(&mut self) {
        self.catch_up();
        self.scheduler.end_hopeless(self.now);
        self.absorb();
        for job in self.queued() {
            let demand = &self.jobs[&job].terms.demand;
            assert!(demand.is_plain() || self.could_run(demand), "{job} waits");
        }
    }

    fn could_run(&self, demand: &Demand) -> bool {
        let mut resources = demand.amounts.iter().map(|&(resource, _)| resource);
        let is_there = |resource| amount_of(demand, resource) <= self.supply_of(resource);
        let could_run = demand.slots.max(1) <= self.target && resources.all(is_there);
        let answer = self.scheduler.could_run(demand);
        assert_eq!(answer.is_ok(), could_run, "{demand:?}");
        could_run
    }

    /// What jobs need that executors hold.
    fn taken(&self) -> Vec<&Demand> {
        let held = self
            .jobs
            .values()
            .filter(|job| matches!(job.place, Place::With(_)));
        held.map(|job| &job.terms.demand).collect()
    }

    /// How many workers have to idle.
    fn reserved(&self) -> usize {
        self.taken().into_iter().map(extra).sum()
    }

    /// How many workers idle for a reason, or may.
    pub(crate) fn kept_idle(&self) -> usize {
        match self.scheduler.gathers() {
            Some(_) => self.idle().len(),
            None => self.reserved(),
        }
    }

    /// A job is about to be sent to an executor.
    pub(crate) fn check_room(&self, executor: ExecutorId, job: JobId) {
        let demand = &self.jobs[&job].terms.demand;
        let holder = &self.workers[&executor];
        assert!(
            demand.is_plain() || holder.held.is_empty(),
            "{job} would wait at {executor}"
        );
    }

    /// An executor has got a job.
    pub(crate) fn check_taken(&self, executor: ExecutorId) {
        if self.is_late {
            return;
        }
        let [job] = self.workers[&executor].held[..] else {
            return;
        };
        // It has begun something.
        let demand = &self.jobs[&job].terms.demand;
        let (idle, reserved) = (self.idle().len(), self.reserved());
        assert!(idle >= reserved, "{job}: {idle} idle, {reserved} must");
        let needed = demand.amounts.iter().filter(|&&(_, amount)| amount > 0);
        for &(resource, _) in needed {
            let (taken, has) = (self.taken_of(resource), self.supply_of(resource));
            assert!(
                taken <= has,
                "{job}: {taken} of {resource}, there are {has}"
            );
        }
    }

    fn supply_of(&self, resource: ResourceId) -> u64 {
        self.supply.get(&resource).copied().unwrap_or(0)
    }

    /// How much executors hold of a resource.
    fn taken_of(&self, resource: ResourceId) -> u64 {
        let taken = self.taken().into_iter();
        taken.map(|demand| amount_of(demand, resource)).sum()
    }

    /// Whether a job could start now on workers that idle.
    fn fits(&self, demand: &Demand, idle: usize) -> bool {
        let mut needed = demand.amounts.iter().filter(|&&(_, amount)| amount > 0);
        let is_free = needed.all(|&(resource, _)| {
            let taken = self.taken_of(resource) + amount_of(demand, resource);
            taken <= self.supply_of(resource)
        });
        is_free && idle > extra(demand)
    }

    /// Whoever idles has a reason.
    pub(crate) fn check_idle(&self) {
        if self.scheduler.gathers().is_some() {
            return;
        }
        let idle = self.idle().len().saturating_sub(self.reserved());
        let mut queued = self.queued();
        queued.retain(|job| {
            let terms = &self.jobs[job].terms;
            let waits = terms.demand.is_plain() && self.waits_for_holder(*job);
            let may_go = !waits && !self.is_refused(&terms.demand);
            may_go && self.has_room(terms.share) && self.fits(&terms.demand, idle)
        });
        assert!(queued.is_empty(), "{idle} idle, {queued:?} wait");
    }

    /// Whoever is kept idle is for a job that lacks nothing but slots.
    pub(crate) fn check_gathering(&self) {
        let Some(job) = self.scheduler.gathers() else {
            return;
        };
        let entry = &self.jobs[&job];
        let idle = self.idle().len().saturating_sub(self.reserved());
        assert_eq!(entry.place, Place::Queue, "{job}");
        assert!(self.has_room(entry.terms.share), "{job}");
        let demand = &entry.terms.demand;
        assert!(!self.is_refused(demand), "{job} was refused");
        assert!(!self.fits(demand, idle), "{job} could start");
        assert!(self.fits(demand, usize::MAX), "{job} lacks more than slots");
        assert!(demand.slots <= self.target, "{job} needs too many");
    }

    /// A job has ended because nobody could ever run it.
    pub(crate) fn check_lack(&self, job: &Job, lack: Lack) {
        assert_eq!(job.place, Place::Queue);
        let demand = &job.terms.demand;
        let (wanted, most) = match lack.resource {
            None => (demand.slots.max(1).into(), self.target.into()),
            Some(resource) => (amount_of(demand, resource), self.supply_of(resource)),
        };
        assert_eq!((lack.wanted, lack.most), (wanted, most));
        assert!(wanted > most);
    }
}
