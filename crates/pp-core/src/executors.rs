//! All executors, and the indexes that find one of them.

use slab::Slab;

mod gather_site;
mod sites;

pub(crate) use sites::Site;
use sites::{Grown, Here};

use crate::ExecutorId;
use crate::buckets::{Buckets, bucket_of};
use crate::executor::{Executor, ExecutorKind, ExecutorState, Limits, Room};
use crate::ids::IdMap;
use crate::view::ExecutorCounts;

/// Buckets of the placement index for executors that would start a job at once: workers
/// first, then nodes, those with the most free slots first.
const FREE: u8 = 9;

/// All executors.
#[derive(Debug)]
pub(crate) struct ExecutorTable {
    slots: Slab<Entry>,
    places: IdMap<ExecutorId, u32>,
    /// Executors that may get a job: by the bucket of their room.
    placement: Buckets,
    /// Executors that hold jobs which can be asked back, by how long those wait.
    surplus: Buckets,
    /// How many jobs nodes would start at once.
    free_slots: usize,
    /// How many workers idle.
    idle: usize,
    /// What this machine has, and what jobs have taken of it.
    pub(super) here: Here,
    /// Where only one job may start.
    closed: Option<Site>,
    /// Machines where more may have become free.
    grown: Grown,
    workers: ExecutorCounts,
    nodes: ExecutorCounts,
    limits: Limits,
}

#[derive(Debug)]
struct Entry {
    executor: Executor,
    /// How many of `free_slots` are its, or of `idle`.
    free_slots: usize,
    is_able_worker: bool,
    /// It is noted as a machine where more may have become free.
    has_grown: bool,
}

/// Where the placement index has an executor with that room.
fn bucket(executor: &Executor, room: Room) -> u8 {
    match room {
        Room::Free { .. } if !executor.is_node() => 0,
        Room::Free { taken, .. } => 1 + taken.min(FREE - 2),
        Room::Ahead(nanos) => (FREE - 1 + bucket_of(nanos)).min(63),
    }
}

/// How many jobs an executor with that room would start at once.
fn free_slots(room: Option<Room>) -> usize {
    match room {
        Some(Room::Free { slots, .. }) => slots,
        _ => 0,
    }
}

impl ExecutorTable {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            slots: Slab::new(),
            places: IdMap::default(),
            placement: Buckets::new(),
            surplus: Buckets::new(),
            free_slots: 0,
            idle: 0,
            here: Here::default(),
            closed: None,
            grown: Grown::default(),
            workers: ExecutorCounts::default(),
            nodes: ExecutorCounts::default(),
            limits,
        }
    }

    /// Adds an executor, and gives its slot in this table.
    pub(crate) fn insert(&mut self, executor: Executor) -> u32 {
        let id = executor.id;
        *self.counts_of(executor.kind).of(executor.state) += 1;
        let is_able_worker = executor.is_able_worker();
        self.here.able += usize::from(is_able_worker);
        self.grown.here |= is_able_worker;
        let entry = Entry {
            executor,
            free_slots: 0,
            is_able_worker,
            has_grown: false,
        };
        // A slab of 2^32 executors cannot be: each is a process or a connection.
        let slot = u32::try_from(self.slots.insert(entry)).unwrap_or(u32::MAX);
        self.places.insert(id, slot);
        slot
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Executor> {
        let Entry {
            executor,
            free_slots,
            is_able_worker,
            ..
        } = self.slots.try_remove(slot as usize)?;
        self.places.remove(&executor.id);
        *self.counts_of(executor.kind).of(executor.state) -= 1;
        *self.free_of(executor.kind) -= free_slots;
        self.here.able -= usize::from(is_able_worker);
        self.placement.place(slot, None);
        self.surplus.place(slot, None);
        Some(executor)
    }

    fn counts_of(&mut self, kind: ExecutorKind) -> &mut ExecutorCounts {
        match kind {
            ExecutorKind::Worker => &mut self.workers,
            ExecutorKind::Node => &mut self.nodes,
        }
    }

    fn free_of(&mut self, kind: ExecutorKind) -> &mut usize {
        match kind {
            ExecutorKind::Worker => &mut self.idle,
            ExecutorKind::Node => &mut self.free_slots,
        }
    }

    pub(crate) fn slot(&self, id: ExecutorId) -> Option<u32> {
        self.places.get(&id).copied()
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&Executor> {
        self.slots.get(slot as usize).map(|entry| &entry.executor)
    }

    /// One executor to change. Call [`refresh`](Self::refresh) after a change of
    /// anything but its state.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut Executor> {
        self.slots
            .get_mut(slot as usize)
            .map(|entry| &mut entry.executor)
    }

    pub(crate) fn set_state(&mut self, slot: u32, state: ExecutorState) {
        let Some(executor) = self.get_mut(slot) else {
            return;
        };
        let before = std::mem::replace(&mut executor.state, state);
        let kind = executor.kind;
        *self.counts_of(kind).of(before) -= 1;
        *self.counts_of(kind).of(state) += 1;
        self.refresh_able(slot);
        self.refresh(slot);
    }

    /// Takes note of whether an executor is a worker that runs jobs, or will. To be called after
    /// a change of its credit.
    pub(crate) fn refresh_able(&mut self, slot: u32) {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let is_able = entry.executor.is_able_worker();
        let was_able = std::mem::replace(&mut entry.is_able_worker, is_able);
        self.here.able = self.here.able + usize::from(is_able) - usize::from(was_able);
        self.grown.here |= is_able;
    }

    /// Brings the indexes up to date with an executor. True if it has come to hold
    /// jobs that wait, and is not being watched for a stall.
    pub(crate) fn refresh(&mut self, slot: u32) -> bool {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return false;
        };
        let executor = &entry.executor;
        let surplus = executor.surplus();
        let room = executor.room(&self.limits);
        let place = room.map(|room| bucket(executor, room));
        let free_slots = free_slots(room);
        let before = std::mem::replace(&mut entry.free_slots, free_slots);
        let waits = executor.held.waiting() > 0 && executor.state != ExecutorState::Killing;
        let (is_unwatched, is_node) = (waits && !executor.watched, executor.is_node());
        if free_slots != before {
            let kind = executor.kind;
            let free = self.free_of(kind);
            *free = *free - before + free_slots;
            if free_slots > before {
                self.note_growth(match kind {
                    ExecutorKind::Worker => Site::Here,
                    ExecutorKind::Node => Site::Node(slot),
                });
            }
        }
        if self.placement.place(slot, place) && is_node {
            self.note_room(slot);
        }
        self.surplus.place(slot, surplus);
        is_unwatched
    }

    /// The executor that should get the next job, and whether it would start it at
    /// once: a worker that idles, the one that became idle last; or a node with free
    /// slots; or else one with (nearly) the least to do. None that is kept free for a job that
    /// needs several slots.
    pub(crate) fn next_to_serve(&self) -> Option<(u32, bool)> {
        let is_kept = self.here.reserved > 0 || self.closed.is_some();
        let next = if is_kept {
            self.lowest_not_kept()
        } else {
            self.placement.lowest()
        };
        next.map(|(slot, bucket)| (slot, bucket < FREE))
    }

    /// The executor with (nearly) the longest wait for jobs that can be asked back.
    pub(crate) fn most_loaded(&self) -> Option<u32> {
        self.surplus.highest().map(|(slot, _)| slot)
    }

    /// How many jobs would be started at once.
    pub(crate) fn free_slots(&self) -> usize {
        let free = self.idle + self.free_slots;
        if free == 0 || self.here.reserved == 0 && self.closed.is_none() {
            return free;
        }
        let nodes = self.free_slots - self.closed_slots();
        self.unreserved() + nodes
    }

    /// Workers, by state.
    pub(crate) fn workers(&self) -> ExecutorCounts {
        self.workers
    }

    /// Nodes, by state.
    pub(crate) fn nodes(&self) -> ExecutorCounts {
        self.nodes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Executor)> {
        self.slots
            .iter()
            .filter_map(|(slot, entry)| Some((u32::try_from(slot).ok()?, &entry.executor)))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Executor> {
        self.slots.iter_mut().map(|(_, entry)| &mut entry.executor)
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
        let mut counts = [ExecutorCounts::default(); 2];
        let (mut idle, mut free, mut able) = (0, 0, 0);
        for (slot, executor) in self.iter() {
            *counts[usize::from(executor.is_node())].of(executor.state) += 1;
            let fault = executor.fault();
            if fault.is_some() {
                return fault;
            }
            let room = executor.room(&self.limits);
            able += usize::from(executor.is_able_worker());
            if executor.is_node() {
                free += free_slots(room);
            } else {
                idle += free_slots(room);
            }
            let indexed = (self.placement.bucket(slot), self.surplus.bucket(slot));
            if indexed != (room.map(|room| bucket(executor, room)), executor.surplus()) {
                return Some(format!("{} is in buckets {indexed:?}", executor.id));
            }
            if self.slot(executor.id) != Some(slot) {
                return Some(format!("{} is not found by its name", executor.id));
            }
        }
        let counted = [self.workers, self.nodes];
        let is_sound = (self.slots.len(), counts) == (self.places.len(), counted)
            && (idle, free, able) == (self.idle, self.free_slots, self.here.able);
        (!is_sound).then(|| {
            let free = format!("{idle} idle, {free} free, {able} able");
            format!("counted {counts:?}, {free}; noted {counted:?}, {self:?}")
        })
    }
}
