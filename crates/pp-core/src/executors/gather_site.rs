//! Where slots are gathered for a job that needs several.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{ExecutorTable, Site};
use crate::ResourceId;
use crate::demand::Demand;

/// How much of each resource there is on all machines together.
type Totals = BTreeMap<ResourceId, u128>;

impl ExecutorTable {
    /// Whether some machine lacks nothing but slots for a job.
    pub(crate) fn could_fit_somewhere(&self, demand: &Demand) -> bool {
        self.sites().any(|site| self.could_fit(site, demand))
    }

    /// Of the machines that lack nothing but slots for a job, the one to gather them on.
    pub(crate) fn nearest_fit(&self, demand: &Demand) -> Option<Site> {
        self.least_missed(demand, self.sites())
    }

    /// Of some machines, of those that lack nothing but slots for a job: the one with the least
    /// that others may need and the job does not; of these, the one with the most free slots.
    ///
    /// While a machine gathers, nobody else uses its resources either. Where they are scarce, jobs
    /// that need them fall behind, and are left over at the end.
    pub(crate) fn least_missed(
        &self,
        demand: &Demand,
        sites: impl Iterator<Item = Site>,
    ) -> Option<Site> {
        let totals = self.totals();
        let able = sites.filter(|&site| self.could_fit(site, demand));
        able.min_by_key(|&site| {
            let missed = self.missed(site, demand, &totals);
            (missed, Reverse(self.free_on(site)))
        })
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals::new();
        for entry in self.sites().flat_map(|site| self.stocked(site)) {
            *totals.entry(entry.resource).or_default() += u128::from(entry.total);
        }
        totals
    }

    /// The parts that a machine has of all that there is of each resource, but those that a job
    /// needs; in parts of 2^32.
    fn missed(&self, site: Site, demand: &Demand, totals: &Totals) -> u128 {
        let is_needed = |one: ResourceId| demand.amounts.iter().any(|&(needed, _)| needed == one);
        let others = totals.iter().filter(|&(&one, _)| !is_needed(one));
        let parts = others.map(|(&one, &all)| {
            let here = u128::from(self.total(site, one));
            (here << 32) / all.max(1)
        });
        parts.sum()
    }
}
