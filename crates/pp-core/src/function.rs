//! Functions that live jobs use, or that executors may hold.

use slab::Slab;

use crate::FunctionId;
use crate::estimate::Estimate;
use crate::ids::IdMap;

/// One known function.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) id: FunctionId,
    /// Live jobs that use it.
    pub(crate) jobs: usize,
    pub(crate) estimate: Estimate,
}

/// All functions that have been named and not been forgotten.
#[derive(Debug, Default)]
pub(crate) struct FunctionTable {
    slots: Slab<Function>,
    places: IdMap<FunctionId, u32>,
    /// The last function that was asked for: most submits repeat it.
    recent: Option<(FunctionId, u32)>,
}

impl FunctionTable {
    /// Counts one more job of a function, and gives the function's place.
    pub(crate) fn acquire(&mut self, id: FunctionId) -> u32 {
        let place = match self.recent {
            Some((recent, place)) if recent == id => place,
            _ => *self.places.entry(id).or_insert_with(|| {
                let function = Function {
                    id,
                    jobs: 0,
                    estimate: Estimate::default(),
                };
                u32::try_from(self.slots.insert(function)).unwrap_or(u32::MAX)
            }),
        };
        self.recent = Some((id, place));
        if let Some(function) = self.slots.get_mut(place as usize) {
            function.jobs += 1;
        }
        place
    }

    /// Counts one job less of a function.
    pub(crate) fn release(&mut self, place: u32) {
        if let Some(function) = self.slots.get_mut(place as usize) {
            function.jobs -= 1;
        }
    }

    /// A job of a function has run for so many nanoseconds.
    pub(crate) fn observe(&mut self, place: u32, nanos: u64) {
        if let Some(function) = self.slots.get_mut(place as usize) {
            function.estimate.observe(nanos);
        }
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Function> {
        self.slots.get(place as usize)
    }

    /// How long a job of this function is expected to take.
    pub(crate) fn estimate(&self, place: u32) -> Estimate {
        self.get(place)
            .map(|function| function.estimate)
            .unwrap_or_default()
    }

    /// A function, if it has been named and not been forgotten.
    pub(crate) fn known(&self, id: FunctionId) -> Option<&Function> {
        self.get(*self.places.get(&id)?)
    }

    /// Live jobs that use a function.
    pub(crate) fn jobs(&self, id: FunctionId) -> usize {
        self.known(id).map_or(0, |function| function.jobs)
    }

    /// Removes a function that no live job uses, and gives the place that it had.
    pub(crate) fn remove(&mut self, id: FunctionId) -> Option<u32> {
        if self.jobs(id) > 0 {
            return None;
        }
        let place = self.places.remove(&id)?;
        self.slots.try_remove(place as usize)?;
        self.recent = None;
        Some(place)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Function)> {
        self.slots
            .iter()
            .filter_map(|(place, function)| Some((u32::try_from(place).ok()?, function)))
    }
}

/// A set of functions by their places: one bit each.
#[derive(Debug, Default)]
pub(crate) struct FunctionSet(Vec<u64>);

impl FunctionSet {
    /// Adds a function; false if it was there.
    pub(crate) fn insert(&mut self, place: u32) -> bool {
        let (word, bit) = (place as usize / 64, 1 << (place % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let absent = self.0[word] & bit == 0;
        self.0[word] |= bit;
        absent
    }

    /// Removes a function; false if it was not there.
    pub(crate) fn remove(&mut self, place: u32) -> bool {
        let bit = 1 << (place % 64);
        let Some(word) = self.0.get_mut(place as usize / 64) else {
            return false;
        };
        let present = *word & bit != 0;
        *word &= !bit;
        present
    }

    /// The places of all members.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        (0_u32..).zip(&self.0).flat_map(|(index, &word)| {
            (0..64)
                .filter(move |bit| word >> bit & 1 == 1)
                .map(move |bit| index * 64 + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused_and_estimates_are_not() {
        let mut table = FunctionTable::default();
        let place = table.acquire(FunctionId::from_u64(1 << 40));
        table.observe(place, 5_000);
        table.release(place);
        assert!(table.estimate(place).is_known());
        assert_eq!(table.remove(FunctionId::from_u64(1 << 40)), Some(place));
        assert_eq!(table.acquire(FunctionId::from_u64(2)), place);
        assert!(!table.estimate(place).is_known());
        assert_eq!(table.remove(FunctionId::from_u64(2)), None, "it is in use");
        assert_eq!(
            table.remove(FunctionId::from_u64(3)),
            None,
            "it is not known"
        );
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let mut set = FunctionSet::default();
        assert!(set.insert(3) && set.insert(200));
        assert!(!set.insert(200));
        assert_eq!(set.iter().collect::<Vec<_>>(), [3, 200]);
        assert!(set.remove(3) && !set.remove(3) && !set.remove(1_000));
        assert_eq!(set.iter().collect::<Vec<_>>(), [200]);
    }
}
