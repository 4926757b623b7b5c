//! What jobs need beyond one slot.

use std::collections::BTreeMap;

use slab::Slab;

use crate::ResourceId;

/// What a job needs of the machine that runs it.
///
/// All that it names is its own for as long as an executor holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Demand {
    /// How many slots it takes: processors, as a rule. 0 counts as 1.
    pub slots: u32,
    /// How much of which resources. One that is named twice is needed as often.
    pub amounts: Vec<(ResourceId, u64)>,
}

/// What a plain job needs.
pub(crate) static ONE_SLOT: Demand = Demand {
    slots: 1,
    amounts: Vec::new(),
};

impl Default for Demand {
    fn default() -> Self {
        ONE_SLOT.clone()
    }
}

impl Demand {
    /// Whether it is no more than one slot.
    pub fn is_plain(&self) -> bool {
        self.slots <= 1 && self.amounts.iter().all(|&(_, amount)| amount == 0)
    }

    /// The same, with each resource once, in order.
    pub(crate) fn tidy(&self) -> Self {
        let mut amounts: BTreeMap<ResourceId, u64> = BTreeMap::new();
        for &(resource, amount) in self.amounts.iter().filter(|&&(_, amount)| amount > 0) {
            let sum = amounts.entry(resource).or_default();
            *sum = sum.saturating_add(amount);
        }
        Self {
            slots: self.slots.max(1),
            amounts: amounts.into_iter().collect(),
        }
    }

    /// Whether both need some of the same resource.
    pub(crate) fn shares_with(&self, other: &Self) -> bool {
        let mut amounts = self.amounts.iter();
        amounts.any(|(resource, _)| other.amounts.iter().any(|(one, _)| one == resource))
    }

    /// How many slots it takes.
    pub(crate) fn slots(&self) -> usize {
        self.slots.max(1) as usize
    }

    /// How many of them are more than one.
    pub(crate) fn extra(&self) -> usize {
        self.slots() - 1
    }
}

/// The place of no demand: that of plain jobs.
pub(crate) const NOTHING: u32 = u32::MAX;

/// What was found when a machine was last looked for that can take a job now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Nobody has looked since it may have become possible.
    Open,
    /// Only the machine that is held up for another job can take it.
    HeldUp,
    /// None can, but one lacks nothing but free slots.
    Narrow,
    /// None can.
    Poor,
}

#[derive(Debug)]
struct Entry {
    demand: Demand,
    fit: Fit,
    /// Classes of live jobs that have it.
    classes: usize,
}

/// All demands of live jobs: each once.
#[derive(Debug, Default)]
pub(crate) struct DemandTable {
    slots: Slab<Entry>,
    places: BTreeMap<Demand, u32>,
    /// The last one that was asked for, as it was given: most submits repeat it.
    recent: Option<(Demand, u32)>,
}

impl DemandTable {
    /// The place of a demand, for a class: see [`join`](Self::join).
    #[inline]
    pub(crate) fn find(&mut self, demand: &Demand) -> u32 {
        match &self.recent {
            _ if demand == &ONE_SLOT => NOTHING,
            Some((recent, place)) if recent == demand => *place,
            _ => self.intern(demand),
        }
    }

    fn intern(&mut self, given: &Demand) -> u32 {
        if given.is_plain() {
            return NOTHING;
        }
        let demand = given.tidy();
        let slots = &mut self.slots;
        let place = self.places.entry(demand).or_insert_with_key(|demand| {
            let entry = Entry {
                demand: demand.clone(),
                fit: Fit::Open,
                classes: 0,
            };
            u32::try_from(slots.insert(entry)).unwrap_or(u32::MAX)
        });
        self.recent = Some((given.clone(), *place));
        *place
    }

    /// The place of a demand that a live job has.
    pub(crate) fn place(&self, demand: &Demand) -> Option<u32> {
        self.places.get(demand).copied()
    }

    /// Counts one class more.
    pub(crate) fn join(&mut self, place: u32) {
        if let Some(entry) = self.slots.get_mut(place as usize) {
            entry.classes += 1;
        }
    }

    /// Counts one class less, and forgets the demand after its last one.
    pub(crate) fn leave(&mut self, place: u32) {
        let Some(entry) = self.slots.get_mut(place as usize) else {
            return;
        };
        entry.classes -= 1;
        if entry.classes == 0
            && let Some(entry) = self.slots.try_remove(place as usize)
        {
            self.places.remove(&entry.demand);
            self.recent = None;
        }
    }

    /// One demand. All that live jobs have are there.
    pub(crate) fn get(&self, place: u32) -> &Demand {
        let entry = self.slots.get(place as usize);
        entry.map_or(&ONE_SLOT, |entry| &entry.demand)
    }

    pub(crate) fn fit(&self, place: u32) -> Fit {
        let entry = self.slots.get(place as usize);
        entry.map_or(Fit::Open, |entry| entry.fit)
    }

    pub(crate) fn set_fit(&mut self, place: u32, fit: Fit) {
        if let Some(entry) = self.slots.get_mut(place as usize) {
            entry.fit = fit;
        }
    }

    /// Changes what is known of each.
    pub(crate) fn update(&mut self, fit: impl Fn(&Demand, Fit) -> Fit) {
        for (_, entry) in &mut self.slots {
            entry.fit = fit(&entry.demand, entry.fit);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Demand)> {
        let slots = self.slots.iter();
        slots.filter_map(|(place, entry)| Some((u32::try_from(place).ok()?, &entry.demand)))
    }

    /// Whether there is none.
    pub(crate) fn is_bare(&self) -> bool {
        self.slots.is_empty() && self.places.is_empty()
    }

    /// The first contradiction in it, if there is one. `classes`: of each, how many there are.
    pub(crate) fn fault(&self, classes: &BTreeMap<u32, usize>) -> Option<String> {
        let counted = self.slots.iter();
        let counted = counted.map(|(place, entry)| (u32::try_from(place), entry.classes));
        let counted: BTreeMap<u32, usize> = counted
            .filter_map(|(place, classes)| Some((place.ok()?, classes)))
            .collect();
        let is_sound = counted == *classes && self.places.len() == self.slots.len();
        (!is_sound).then(|| format!("demands have {classes:?}, {counted:?} counted"))
    }
}
