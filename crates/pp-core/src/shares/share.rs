//! One share.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::Took;
use crate::demand::NOTHING;
use crate::estimate::FLOOR;
use crate::queue::Queue;
use crate::virtual_time::{Rate, VirtualTime};
use crate::{JobId, ShareId};

/// One share.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) id: ShareId,
    pub(crate) weight: NonZeroU32,
    pub(super) rate: Rate,
    pub(crate) limit: Option<u32>,
    /// Classes of live jobs that belong to it.
    pub(super) classes: usize,
    /// Its jobs that need one slot and nothing else.
    pub(crate) queue: Queue,
    /// The others, by their demands. None of these queues is empty.
    pub(crate) demanding: BTreeMap<u32, Queue>,
    /// Its jobs that executors hold.
    pub(crate) held: usize,
    /// What those were charged with, in nanoseconds.
    pub(super) charged: u64,
    /// How long its jobs ran, in nanoseconds.
    pub(crate) run_time: u64,
    pub(super) tag: VirtualTime,
    /// Whether a job of it may be sent.
    pub(super) is_ready: bool,
    /// The tag by which the index has it while it is ready.
    pub(super) indexed: VirtualTime,
}

impl Share {
    pub(super) fn new(id: ShareId) -> Self {
        Self {
            id,
            weight: NonZeroU32::MIN,
            rate: Rate::new(NonZeroU32::MIN),
            limit: None,
            classes: 0,
            queue: Queue::default(),
            demanding: BTreeMap::new(),
            held: 0,
            charged: 0,
            run_time: 0,
            tag: VirtualTime::default(),
            is_ready: false,
            indexed: VirtualTime::default(),
        }
    }

    /// Whether it was set to something.
    pub(super) fn is_set(&self) -> bool {
        self.weight != NonZeroU32::MIN || self.limit.is_some()
    }

    /// Changes its weight, also for what it was charged with.
    pub(super) fn set_weight(&mut self, weight: NonZeroU32) {
        let rate = Rate::new(weight);
        self.tag = self
            .tag
            .minus(self.charged, self.rate)
            .plus(self.charged, rate);
        (self.weight, self.rate) = (weight, rate);
    }

    /// A job of it was sent, which it is charged with.
    #[inline]
    pub(super) fn charge(&mut self, charge: u32) {
        self.held += 1;
        self.charged += u64::from(charge);
        self.tag = self.tag.plus(charge.into(), self.rate);
    }

    /// An executor does not hold a job of it any more.
    #[inline]
    pub(super) fn settle(&mut self, took: Took) {
        self.held -= 1;
        if let Took::Measured(nanos) = took {
            self.run_time = self.run_time.saturating_add(nanos);
        }
    }

    /// Replaces what was charged for a job by what it took.
    pub(super) fn put_right(&mut self, charge: u32, took: Took) {
        let charge = u64::from(charge);
        self.charged -= charge;
        let without = self.tag.minus(charge, self.rate);
        match took {
            Took::Measured(nanos) => self.tag = without.plus(nanos.max(FLOOR), self.rate),
            Took::Nothing => self.tag = without,
            Took::Unknown => {}
        }
    }

    /// Whether a job of it may be sent.
    #[inline]
    pub(super) fn may_send(&self) -> bool {
        let has_any = !self.queue.is_empty() || !self.demanding.is_empty();
        has_any && self.has_room()
    }

    /// How many of its jobs wait.
    pub(crate) fn queued(&self) -> usize {
        let demanding = self.demanding.values().map(Queue::len);
        self.queue.len() + demanding.sum::<usize>()
    }

    /// Every name that its queues hold, of ended jobs too, with its priority and its demand.
    pub(crate) fn names(&self) -> impl Iterator<Item = (JobId, i32, u32)> {
        let plain = std::iter::once((NOTHING, &self.queue));
        let others = self
            .demanding
            .iter()
            .map(|(&demand, queue)| (demand, queue));
        plain.chain(others).flat_map(|(demand, queue)| {
            let names = queue.names();
            names.map(move |(job, priority)| (job, priority, demand))
        })
    }

    /// Where jobs of a demand wait.
    #[inline]
    pub(super) fn queue_of(&mut self, demand: u32) -> &mut Queue {
        if demand == NOTHING {
            &mut self.queue
        } else {
            self.demanding.entry(demand).or_default()
        }
    }

    /// Forgets the queue of a demand if nobody waits in it.
    pub(super) fn drop_if_empty(&mut self, demand: u32) {
        if self.demanding.get(&demand).is_some_and(Queue::is_empty) {
            self.demanding.remove(&demand);
        }
    }

    /// Whether executors may hold more of its jobs.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.limit.is_none_or(|limit| self.held < limit as usize)
    }
}
