//! What one machine has of each resource.

use crate::ResourceId;
use crate::demand::Demand;

/// One resource of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stocked {
    /// Which.
    pub resource: ResourceId,
    /// How much there is.
    pub total: u64,
    /// How much of it jobs have taken. More than there is, if that became less meanwhile.
    pub taken: u64,
}

impl Stocked {
    fn free(&self) -> u64 {
        self.total.saturating_sub(self.taken)
    }
}

/// What a machine has, and what jobs have taken of it. Few resources, so a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock(Vec<Stocked>);

impl Stock {
    /// Replaces what there is. What was taken stays so.
    pub(crate) fn set(&mut self, supply: &[(ResourceId, u64)]) {
        for entry in &mut self.0 {
            entry.total = 0;
        }
        for &(resource, amount) in supply {
            let entry = self.entry(resource);
            entry.total = entry.total.saturating_add(amount);
        }
        self.tidy();
    }

    fn entry(&mut self, resource: ResourceId) -> &mut Stocked {
        let place = self.0.iter().position(|entry| entry.resource == resource);
        let place = place.unwrap_or_else(|| {
            self.0.push(Stocked {
                resource,
                total: 0,
                taken: 0,
            });
            self.0.len() - 1
        });
        &mut self.0[place]
    }

    fn tidy(&mut self) {
        self.0.retain(|entry| (entry.total, entry.taken) != (0, 0));
    }

    fn get(&self, resource: ResourceId) -> Option<&Stocked> {
        self.0.iter().find(|entry| entry.resource == resource)
    }

    pub(crate) fn total(&self, resource: ResourceId) -> u64 {
        self.get(resource).map_or(0, |entry| entry.total)
    }

    fn free(&self, resource: ResourceId) -> u64 {
        self.get(resource).map_or(0, Stocked::free)
    }

    /// Whether all that is demanded is free now.
    pub(crate) fn has_free(&self, demand: &Demand) -> bool {
        let mut amounts = demand.amounts.iter();
        amounts.all(|&(resource, amount)| self.free(resource) >= amount)
    }

    /// How many more jobs like this one the scarcest of its resources would serve after it, in
    /// parts of 2^32; `None` if it needs only slots.
    pub(crate) fn rest(&self, demand: &Demand) -> Option<u128> {
        let amounts = demand.amounts.iter();
        let rests = amounts.map(|&(resource, amount)| {
            let rest = self.free(resource).saturating_sub(amount);
            (u128::from(rest) << 32) / u128::from(amount.max(1))
        });
        rests.min()
    }

    pub(crate) fn take(&mut self, demand: &Demand) {
        for &(resource, amount) in &demand.amounts {
            let entry = self.entry(resource);
            entry.taken = entry.taken.saturating_add(amount);
        }
    }

    pub(crate) fn give_back(&mut self, demand: &Demand) {
        for &(resource, amount) in &demand.amounts {
            let entry = self.entry(resource);
            entry.taken = entry.taken.saturating_sub(amount);
        }
        self.tidy();
    }

    /// Each resource, in order.
    pub(crate) fn all(&self) -> Vec<Stocked> {
        let mut all = self.0.clone();
        all.sort_unstable_by_key(|entry| entry.resource);
        all
    }

    /// How much is taken of each that is not all free, in order.
    pub(crate) fn taken(&self) -> Vec<(ResourceId, u64)> {
        let all = self.all().into_iter();
        let taken = all.filter(|entry| entry.taken > 0);
        taken.map(|entry| (entry.resource, entry.taken)).collect()
    }
}
