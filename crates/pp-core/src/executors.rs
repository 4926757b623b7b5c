//! All executors, and the indexes that find one of them.

use slab::Slab;

use crate::ExecutorId;
use crate::buckets::Buckets;
use crate::executor::{Executor, ExecutorState, Limits};
use crate::ids::IdMap;
use crate::view::ExecutorCounts;

/// Bucket 0 of the placement index: executors that idle.
const IDLE: u8 = 0;

/// All executors.
#[derive(Debug)]
pub(crate) struct ExecutorTable {
    slots: Slab<Executor>,
    places: IdMap<ExecutorId, u32>,
    /// Executors that may get a job: idle ones, and by backlog those that have room.
    placement: Buckets,
    /// Executors that hold jobs which can be asked back, by how long those wait.
    surplus: Buckets,
    counts: ExecutorCounts,
    limits: Limits,
}

impl ExecutorTable {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            slots: Slab::new(),
            places: IdMap::default(),
            placement: Buckets::new(),
            surplus: Buckets::new(),
            counts: ExecutorCounts::default(),
            limits,
        }
    }

    pub(crate) fn insert(&mut self, executor: Executor) {
        let id = executor.id;
        *self.counts.of(executor.state) += 1;
        let slot = self.slots.insert(executor);
        // A slab of 2^32 executors cannot be: each is a process or a connection.
        self.places
            .insert(id, u32::try_from(slot).unwrap_or(u32::MAX));
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Executor> {
        let executor = self.slots.try_remove(slot as usize)?;
        self.places.remove(&executor.id);
        *self.counts.of(executor.state) -= 1;
        self.placement.place(slot, None);
        self.surplus.place(slot, None);
        Some(executor)
    }

    pub(crate) fn slot(&self, id: ExecutorId) -> Option<u32> {
        self.places.get(&id).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Executor> {
        self.slots.get(slot as usize)
    }

    /// One executor to change. Call [`refresh`](Self::refresh) after a change of
    /// anything but its state.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Executor> {
        self.slots.get_mut(slot as usize)
    }

    pub(crate) fn set_state(&mut self, slot: u32, state: ExecutorState) {
        if let Some(executor) = self.slots.get_mut(slot as usize) {
            *self.counts.of(executor.state) -= 1;
            executor.state = state;
            *self.counts.of(state) += 1;
            self.refresh(slot);
        }
    }

    /// Brings the indexes up to date with an executor. True if it has come to hold
    /// jobs that can be asked back, and is not being watched for a stall.
    pub(crate) fn refresh(&mut self, slot: u32) -> bool {
        let Some(executor) = self.slots.get_mut(slot as usize) else {
            return false;
        };
        let surplus = executor.surplus();
        self.placement.place(slot, executor.placement(&self.limits));
        self.surplus.place(slot, surplus);
        surplus.is_some() && !executor.watched
    }

    /// The executor that should get the next job, and whether it idles: the one
    /// that became idle last, or else one with (nearly) the least to do.
    pub(crate) fn next_to_serve(&self) -> Option<(u32, bool)> {
        self.placement
            .lowest()
            .map(|(slot, bucket)| (slot, bucket == IDLE))
    }

    /// The executor with (nearly) the longest wait for jobs that can be asked back.
    pub(crate) fn most_loaded(&self) -> Option<u32> {
        self.surplus.highest().map(|(slot, _)| slot)
    }

    /// How many idle.
    pub(crate) fn idle(&self) -> usize {
        self.placement.len(IDLE)
    }

    pub(crate) fn counts(&self) -> ExecutorCounts {
        self.counts
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Executor)> {
        self.slots
            .iter()
            .filter_map(|(slot, executor)| Some((u32::try_from(slot).ok()?, executor)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Executor> {
        self.slots.iter_mut().map(|(_, executor)| executor)
    }

    /// The slots of all executors in the order of their start.
    pub(crate) fn slots(&self) -> Vec<u32> {
        let mut all: Vec<_> = self
            .iter()
            .map(|(slot, executor)| (executor.id, slot))
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, slot)| slot).collect()
    }

    /// The first contradiction in the table, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        let mut counts = ExecutorCounts::default();
        for (slot, executor) in self.iter() {
            *counts.of(executor.state) += 1;
            let fault = executor.fault();
            if fault.is_some() {
                return fault;
            }
            let indexed = (self.placement.bucket(slot), self.surplus.bucket(slot));
            if indexed != (executor.placement(&self.limits), executor.surplus()) {
                return Some(format!("{} is in buckets {indexed:?}", executor.id));
            }
            if self.slot(executor.id) != Some(slot) {
                return Some(format!("{} is not found by its name", executor.id));
            }
        }
        let sizes = (self.slots.len(), counts) == (self.places.len(), self.counts);
        (!sizes).then(|| format!("counted {counts:?}, noted {:?}", self.counts))
    }
}
