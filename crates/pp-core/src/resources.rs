//! What machines have, and whether it is enough.

use std::collections::BTreeMap;

use crate::demand::Demand;
use crate::effect::Ending;
use crate::executors::Site;
use crate::stock::Stocked;
use crate::time::Time;
use crate::{ExecutorId, JobId, ResourceId, Scheduler};

/// A machine that runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// That of all workers.
    Here,
    /// That of a node; or whatever is behind it, which counts as one.
    Node(ExecutorId),
}

/// What no machine has enough of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Which resource; `None` for slots.
    pub resource: Option<ResourceId>,
    /// How much of it is needed.
    pub wanted: u64,
    /// The most that one machine has: of those that have enough of all else, if each resource
    /// for itself is somewhere.
    pub most: u64,
}

impl<J> Scheduler<J> {
    /// Sets how much of each resource a machine has in total. Of all others it has nothing, as
    /// at first of any.
    ///
    /// Jobs are sent to a machine only if all is there that they and those that it holds
    /// [need](crate::Terms::demand). A smaller figure takes nothing back. Ignored for nodes
    /// that are not known.
    pub fn set_supply(&mut self, machine: Machine, supply: &[(ResourceId, u64)], now: Time) {
        self.see(now);
        if let Some(site) = self.site(machine) {
            self.executors.set_supply(site, supply);
            self.pump();
        }
    }

    /// Tells how many jobs a machine could run at a time if others did not use it, where that may
    /// be more than it runs now: a job that needs as many [waits](Self::could_run) for that.
    /// Ignored for nodes that are not known.
    pub fn set_most_slots(&mut self, machine: Machine, most: u32) {
        match self.site(machine) {
            Some(Site::Here) => self.starts.most = most,
            Some(Site::Node(slot)) => {
                if let Some(node) = self.executors.get_mut(slot) {
                    node.most_slots = most;
                }
            }
            None => {}
        }
    }

    /// What a machine has, and what jobs have taken of it, sent-ahead ones among them; in the
    /// order of the resources.
    pub fn stock(&self, machine: Machine) -> Vec<Stocked> {
        let site = self.site(machine);
        site.map_or_else(Vec::new, |site| self.executors.stocked(site))
    }

    fn site(&self, machine: Machine) -> Option<Site> {
        match machine {
            Machine::Here => Some(Site::Here),
            Machine::Node(node) => {
                let slot = self.executors.slot(node)?;
                let is_node = self.executors.get(slot)?.is_node();
                is_node.then_some(Site::Node(slot))
            }
        }
    }

    /// Whether a machine that is there now has enough in total for a job that needs this; if
    /// not, why. This machine counts with the number of workers that are wanted, and each with
    /// [what it could run](Self::set_most_slots) if that is more.
    pub fn could_run(&self, demand: &Demand) -> Result<(), Lack> {
        let demand = demand.tidy();
        let needs = needs(&demand);
        let machines = self.executors.sites().map(|site| {
            let needs = needs.iter();
            needs
                .map(|&(resource, _)| self.has(site, resource))
                .collect()
        });
        let machines: Vec<Vec<u64>> = machines.collect();
        let lacks = |has: &[u64], place: usize| {
            let wanted = needs.get(place).map_or(0, |&(_, wanted)| wanted);
            has.get(place).is_none_or(|&has| has < wanted)
        };
        let lacking = |has: &[u64]| -> Vec<usize> {
            (0..needs.len())
                .filter(|&place| lacks(has, place))
                .collect()
        };
        let Some(closest) = machines.iter().map(|has| lacking(has)).min_by_key(Vec::len) else {
            return Ok(());
        };
        let Some(&first) = closest.first() else {
            return Ok(());
        };
        // Rather one that is nowhere, than one that is only where others are not.
        let is_nowhere = |&place: &usize| machines.iter().all(|has| lacks(has, place));
        let nowhere = (0..needs.len()).find(is_nowhere);
        let place = nowhere.unwrap_or(first);
        let count = |has: &&Vec<u64>| nowhere.is_some() || lacking(has) == closest;
        let counted = machines.iter().filter(count);
        let most = counted.filter_map(|has| has.get(place)).copied().max();
        let &(resource, wanted) = needs.get(place).unwrap_or(&(None, 0));
        Err(Lack {
            resource,
            wanted,
            most: most.unwrap_or(0),
        })
    }

    /// How much a machine has in total of a resource, or of slots.
    fn has(&self, site: Site, resource: Option<ResourceId>) -> u64 {
        if let Some(resource) = resource {
            return self.executors.total(site, resource);
        }
        let (slots, most) = match site {
            Site::Here => (self.starts.target, self.starts.most),
            Site::Node(slot) => {
                let node = self.executors.get(slot);
                node.map_or((0, 0), |node| (node.held.slots(), node.most_slots))
            }
        };
        (slots as u64).max(most.into())
    }

    /// Whether a live job needs more than any machine has that is there now.
    pub fn has_hopeless(&self) -> bool {
        let mut demands = self.demands.iter();
        demands.any(|(_, demand)| self.could_run(demand).is_err())
    }

    /// Ends all queued jobs that need more than a slot, and of that more than any machine has
    /// that is there now: with [`Ending::Unsatisfiable`], in the order of submission. Who
    /// expects others to come waits for them first: jobs whose machine has gone stay queued.
    pub fn end_hopeless(&mut self, now: Time) {
        self.see(now);
        let lacks = self.demands.iter().filter_map(|(place, demand)| {
            let lack = self.could_run(demand).err()?;
            Some((place, lack))
        });
        let lacks: BTreeMap<u32, Lack> = lacks.collect();
        if lacks.is_empty() {
            return;
        }
        let mut hopeless: Vec<(JobId, Lack)> = Vec::new();
        for (&demand, &lack) in &lacks {
            let jobs = &self.jobs;
            let queued = self.shares.take_demand(demand, |job| jobs.contains(job));
            hopeless.extend(queued.into_iter().map(|job| (job, lack)));
        }
        let suspects: Vec<JobId> = self.suspects.names().collect();
        for job in suspects {
            let class = self
                .jobs
                .get(job)
                .map(|entry| self.classes.get(entry.class));
            let lack = class.and_then(|class| lacks.get(&class.demand));
            if let Some(&lack) = lack {
                self.suspects.remove(job);
                hopeless.push((job, lack));
            }
        }
        hopeless.sort_unstable_by_key(|&(job, _)| job);
        for (job, lack) in hopeless {
            self.end(job, Ending::Unsatisfiable { lack });
        }
        self.pump();
    }
}

/// What is needed of slots and resources, in this order.
fn needs(demand: &Demand) -> Vec<(Option<ResourceId>, u64)> {
    let slots = (None, u64::from(demand.slots));
    let amounts = demand.amounts.iter();
    let amounts = amounts.map(|&(resource, amount)| (Some(resource), amount));
    [slots].into_iter().chain(amounts).collect()
}
