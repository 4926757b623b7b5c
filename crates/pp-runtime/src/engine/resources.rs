//! What machines have and jobs need beside processors, and its names.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use pp_core::{Demand, ExecutorId, JobId, JobState, Machine, ResourceId};

use super::node::Parting;
use super::state::State;

/// What a resource is called that jobs are held to.
pub(super) const MEMORY: &str = "memory";

/// The most resources that a machine or a job may name.
pub(super) const RESOURCES_MAX: usize = 1024;

/// The names of resources.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: HashMap<Arc<str>, ResourceId>,
    names: Vec<Arc<str>>,
}

impl Names {
    /// What the scheduler calls a resource.
    pub(super) fn id(&mut self, name: &str) -> ResourceId {
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let name: Arc<str> = name.into();
        let id = ResourceId::from_u64(self.names.len() as u64);
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    /// What a resource is called.
    pub(super) fn name(&self, id: ResourceId) -> Option<&Arc<str>> {
        self.names.get(usize::try_from(id.as_u64()).ok()?)
    }

    /// The same amounts for the scheduler.
    pub(super) fn amounts(&mut self, amounts: &[(Arc<str>, u64)]) -> Vec<(ResourceId, u64)> {
        let amounts = amounts.iter();
        amounts
            .map(|(name, amount)| (self.id(name), *amount))
            .collect()
    }

    /// The same demand for the scheduler.
    pub(super) fn demand(&mut self, needs: &Needs) -> Demand {
        Demand {
            slots: needs.slots,
            amounts: self.amounts(&needs.amounts),
        }
    }
}

/// What a job needs of the machine that runs it: see [`Demand`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// How many processors.
    pub slots: u32,
    /// How much of which resource: bytes of memory, and thousandths of anything else.
    pub amounts: Vec<(Arc<str>, u64)>,
}

impl Default for Needs {
    fn default() -> Self {
        Self {
            slots: 1,
            amounts: Vec::new(),
        }
    }
}

impl Needs {
    /// How much of one resource.
    pub(super) fn amount(&self, name: &str) -> u64 {
        let of_name = self.amounts.iter().filter(|(other, _)| &**other == name);
        of_name.map(|&(_, amount)| amount).sum()
    }
}

impl State {
    /// A node has this much of a resource.
    pub(super) fn note_supply(
        &mut self,
        id: ExecutorId,
        resource: Arc<str>,
        amount: u64,
    ) -> Result<(), Parting> {
        let Some(node) = self.links.nodes.get_mut(&id) else {
            return Ok(());
        };
        let count = node.supply.len();
        let known = node.supply.iter_mut().find(|(name, _)| *name == resource);
        match known {
            Some((_, before)) => *before = amount,
            None if count >= RESOURCES_MAX => {
                return Err(Parting::Unexpected("resource beyond the most"));
            }
            None => node.supply.push((resource, amount)),
        }
        let supply = self.resources.amounts(&node.supply);
        let now = self.now();
        self.scheduler.set_supply(Machine::Node(id), &supply, now);
        Ok(())
    }

    /// Whether a job that a node gives back was not asked for: it does so if others have there what
    /// the job needs.
    pub(super) fn is_refused_by(&self, node: ExecutorId, job: JobId) -> bool {
        let state = self.scheduler.job(job).map(|job| job.state);
        state == Some(JobState::Sent { executor: node }) && self.scheduler.demand(job).is_some()
    }

    /// Where no nodes can come, nobody waits for a machine that could run a job.
    pub(super) fn refuse_hopeless(&mut self) {
        let is_all = !self.links.are_wanted && self.links.uplink.is_none();
        if is_all && self.scheduler.worker_counts().wanted() > 0 && self.scheduler.has_hopeless() {
            let now = self.now();
            self.scheduler.end_hopeless(now);
        }
    }

    /// Elsewhere, they wait for as long as a node may be silent.
    pub(super) fn lose_hope(&mut self, now: Instant) {
        if !self.scheduler.has_hopeless() {
            self.links.hopeless_since = None;
            return;
        }
        let since = *self.links.hopeless_since.get_or_insert(now);
        if now.saturating_duration_since(since) > self.config.patience {
            self.links.hopeless_since = None;
            let now = self.now();
            self.scheduler.end_hopeless(now);
        }
    }

    /// What a live job needs beside one processor, if there is anything.
    pub(super) fn needs_of(&self, job: JobId) -> Option<Needs> {
        let demand = self.scheduler.demand(job)?;
        let amounts = demand.amounts.iter();
        let amounts = amounts.filter_map(|&(id, amount)| {
            let name = self.resources.name(id)?;
            Some((Arc::clone(name), amount))
        });
        Some(Needs {
            slots: demand.slots,
            amounts: amounts.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_one_to_one() {
        let mut names = Names::default();
        let (gpu, memory) = (names.id("gpu"), names.id(MEMORY));
        assert_ne!(gpu, memory);
        assert_eq!(names.id("gpu"), gpu);
        assert_eq!(names.name(memory).map(|name| &**name), Some(MEMORY));
    }
}
