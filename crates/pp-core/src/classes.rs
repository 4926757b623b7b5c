//! Classes: the jobs of one share and one priority that need the same.

use std::collections::BTreeMap;

use slab::Slab;

use crate::demand::{DemandTable, NOTHING};
use crate::shares::{DEFAULT, ShareTable};
use crate::{ShareId, Terms};

/// The class of jobs without any terms. It is always there.
pub(crate) const PLAIN: u32 = 0;

const PLAIN_CLASS: Class = Class {
    share: DEFAULT,
    priority: 0,
    demand: NOTHING,
    jobs: 0,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Class {
    /// Where the share table holds its share.
    pub(crate) share: u32,
    pub(crate) priority: i32,
    /// Where the demand table holds what its jobs need; [`NOTHING`] if that is one slot.
    pub(crate) demand: u32,
    /// Live jobs; those of the plain class are not counted.
    jobs: usize,
}

impl Class {
    /// The same for one of its jobs that waits in the queue of this key.
    pub(crate) fn queued_at(self, key: u32) -> Self {
        Self {
            demand: key,
            ..self
        }
    }
}

/// What makes a class.
type Name = (ShareId, i32, u32);

/// All classes that live jobs belong to: so that a job needs no more memory for its terms than
/// the place of its class.
#[derive(Debug)]
pub(crate) struct ClassTable {
    slots: Slab<Class>,
    places: BTreeMap<Name, u32>,
    /// The last class that was asked for: most submits repeat it.
    recent: Option<(Name, u32)>,
}

impl ClassTable {
    pub(crate) fn new() -> Self {
        let mut slots = Slab::new();
        slots.insert(PLAIN_CLASS);
        Self {
            slots,
            places: BTreeMap::new(),
            recent: None,
        }
    }

    /// Counts one more job with such terms, and gives the place of its class.
    #[inline]
    pub(crate) fn acquire(
        &mut self,
        terms: &Terms,
        shares: &mut ShareTable,
        demands: &mut DemandTable,
    ) -> u32 {
        let name = (terms.share, terms.priority, demands.find(&terms.demand));
        if name == (ShareId::default(), 0, NOTHING) {
            return PLAIN;
        }
        self.acquire_named(name, shares, demands)
    }

    fn acquire_named(
        &mut self,
        name: Name,
        shares: &mut ShareTable,
        demands: &mut DemandTable,
    ) -> u32 {
        let place = match self.recent {
            Some((recent, place)) if recent == name => place,
            _ => *self.places.entry(name).or_insert_with(|| {
                demands.join(name.2);
                let class = Class {
                    share: shares.join(name.0),
                    priority: name.1,
                    demand: name.2,
                    jobs: 0,
                };
                u32::try_from(self.slots.insert(class)).unwrap_or(u32::MAX)
            }),
        };
        self.recent = Some((name, place));
        if let Some(class) = self.slots.get_mut(place as usize) {
            class.jobs += 1;
        }
        place
    }

    /// Counts one job less, and forgets the class after its last one.
    #[inline]
    pub(crate) fn release(
        &mut self,
        place: u32,
        shares: &mut ShareTable,
        demands: &mut DemandTable,
    ) {
        if place != PLAIN {
            self.release_named(place, shares, demands);
        }
    }

    fn release_named(&mut self, place: u32, shares: &mut ShareTable, demands: &mut DemandTable) {
        let Some(class) = self.slots.get_mut(place as usize) else {
            return;
        };
        class.jobs -= 1;
        if class.jobs > 0 {
            return;
        }
        let Some(class) = self.slots.try_remove(place as usize) else {
            return;
        };
        if let Some(share) = shares.get(class.share) {
            let name = (share.id, class.priority, class.demand);
            self.places.remove(&name);
        }
        self.recent = None;
        shares.leave(class.share);
        demands.leave(class.demand);
    }

    /// One class. All that live jobs belong to are there.
    #[inline]
    pub(crate) fn get(&self, place: u32) -> Class {
        if place == PLAIN {
            return PLAIN_CLASS;
        }
        let class = self.slots.get(place as usize).copied();
        class.unwrap_or(PLAIN_CLASS)
    }

    /// Live jobs by class, as counted; the plain class is left out.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let classes = self.slots.iter();
        classes
            .filter_map(|(place, class)| Some((u32::try_from(place).ok()?, class.jobs)))
            .filter(|&(place, _)| place != PLAIN)
    }

    /// How many classes have each demand.
    pub(crate) fn demands(&self) -> BTreeMap<u32, usize> {
        let mut demands = BTreeMap::new();
        let all = self.slots.iter().map(|(_, class)| class.demand);
        for demand in all.filter(|&demand| demand != NOTHING) {
            *demands.entry(demand).or_default() += 1;
        }
        demands
    }

    /// Whether no class but the plain one is left.
    pub(crate) fn is_bare(&self) -> bool {
        self.slots.len() == 1 && self.places.is_empty()
    }
}
