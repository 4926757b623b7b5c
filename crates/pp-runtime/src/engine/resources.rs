//! What machines have and jobs need beside processors: names, and devices.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use pp_core::{Demand, ExecutorId, JobId, Machine, ResourceId};

use super::node::Parting;
use super::state::State;
use crate::channel::Share;

/// What a resource is called that is told to jobs by their numbers: GPUs.
pub(super) const GPU: &str = "gpu";
/// What a resource is called that jobs are held to.
pub(super) const MEMORY: &str = "memory";

/// The most resources that a machine or a job may name.
pub(super) const RESOURCES_MAX: usize = 1024;

/// How much of a resource one device is.
const WHOLE: u64 = 1_000;

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

    /// What a job is given that a worker of this machine is about to get, if it has asked for
    /// anything.
    pub(super) fn share_of(&mut self, worker: ExecutorId, job: JobId) -> Option<Share> {
        let needs = self.needs_of(job)?;
        let gpus = needs.amount(GPU);
        let devices = (gpus > 0).then(|| {
            let scheduler = &self.scheduler;
            let is_here = |other: u64| {
                let view = scheduler.job(JobId::from_u64(other));
                view.and_then(|view| view.state.executor())
                    .is_some_and(|holder| self.workers.contains_key(&holder))
            };
            self.devices.lend(job.as_u64(), gpus, is_here)
        });
        tracing::trace!(
            worker = worker.as_u64(),
            job = job.as_u64(),
            ?devices,
            "share"
        );
        Some(Share {
            cpus: needs.slots,
            memory: needs.amount(MEMORY),
            devices,
        })
    }
}

/// The devices of this machine, and who has them.
#[derive(Debug, Default)]
pub(super) struct Devices {
    names: Vec<Arc<str>>,
    /// By job: thousandths of which device.
    lent: HashMap<u64, Vec<(usize, u64)>>,
}

impl Devices {
    pub(super) fn new(names: Vec<Arc<str>>) -> Self {
        Self {
            names,
            lent: HashMap::new(),
        }
    }

    /// Lends so many thousandths of devices to a job, and gives their names as a list with
    /// commas. `has` tells which jobs still have what they were lent.
    ///
    /// A part of a device comes from one that others use already, if there is enough of it:
    /// whole ones are for those who need whole ones.
    pub(super) fn lend(&mut self, job: u64, amount: u64, has: impl Fn(u64) -> bool) -> String {
        self.lent.retain(|&other, _| other != job && has(other));
        let mut free: Vec<u64> = vec![WHOLE; self.names.len()];
        for &(device, part) in self.lent.values().flatten() {
            take(&mut free, device, part);
        }
        let mut lent = Vec::new();
        let mut missing = amount;
        while missing > 0 {
            let part = missing.min(WHOLE);
            let large = free.iter().enumerate().filter(|&(_, &size)| size >= part);
            let fits = large.min_by_key(|&(device, &size)| (size, device));
            // The scheduler has seen to it that there is enough, if not in one piece.
            let most = || free.iter().enumerate().max_by_key(|&(_, &size)| size);
            let Some((device, _)) = fits.or_else(most) else {
                break;
            };
            lent.push((device, part));
            take(&mut free, device, part);
            missing -= part;
        }
        let names: Vec<&str> = lent
            .iter()
            .filter_map(|&(device, _)| Some(&**self.names.get(device)?))
            .collect();
        let names = names.join(",");
        self.lent.insert(job, lent);
        names
    }
}

/// A part of a device is not free any more.
fn take(free: &mut [u64], device: usize, part: u64) {
    if let Some(size) = free.get_mut(device) {
        *size = size.saturating_sub(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(count: usize) -> Devices {
        Devices::new((0..count).map(|n| n.to_string().into()).collect())
    }

    #[test]
    fn no_device_is_lent_twice() {
        let mut devices = devices(3);
        assert_eq!(devices.lend(1, 1_000, |_| true), "0");
        assert_eq!(devices.lend(2, 2_000, |_| true), "1,2");
        assert_eq!(devices.lend(3, 1_000, |job| job != 2), "1");
        assert_eq!(devices.lend(4, 1_000, |job| job == 3), "0");
    }

    #[test]
    fn parts_of_devices_come_from_those_in_use() {
        let mut devices = devices(2);
        assert_eq!(devices.lend(1, 500, |_| true), "0");
        assert_eq!(devices.lend(2, 500, |_| true), "0");
        assert_eq!(devices.lend(3, 1_000, |_| true), "1");
    }

    #[test]
    fn names_and_numbers_are_one_to_one() {
        let mut names = Names::default();
        let (gpu, memory) = (names.id(GPU), names.id(MEMORY));
        assert_ne!(gpu, memory);
        assert_eq!(names.id(GPU), gpu);
        assert_eq!(names.name(memory).map(|name| &**name), Some(MEMORY));
    }
}
