//! Shares: parts of the work that are served in proportion to their weights.
//!
//! The order among shares is start-time fair queueing: P. Goyal, H. M. Vin and H. Cheng,
//! "Start-time Fair Queuing: A Scheduling Algorithm for Integrated Services Packet Switching
//! Networks", SIGCOMM 1996. Each share has a *tag*, the virtual time at which its next job
//! starts: that of the last one, and its length divided by the weight of the share. The least
//! tag goes next. Virtual time stands where the last job started; one that comes to wait gets
//! no earlier tag, so that idling saves up nothing, and when nobody waits any more, virtual time
//! goes on to where the last job ends.
//!
//! Packets have a length; of jobs it is known when they have ended. So a share is charged with
//! what is expected when a job is sent, and the tag is put right when the job comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use slab::Slab;

use crate::classes::Class;
use crate::demand::NOTHING;
use crate::estimate::FLOOR;
use crate::virtual_time::VirtualTime;
use crate::{JobId, ShareId};

mod audit;
mod packed;
mod share;

use share::Share;

/// The place of the share of all jobs that name none. It is always there.
pub(crate) const DEFAULT: u32 = 0;

/// What jobs are taken to need before any was measured, in nanoseconds: then it is the same
/// for all of them.
const USUAL: u32 = 1_000_000;

/// What an executor did for a job that it does not hold any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    /// It ran the job for so many nanoseconds.
    Measured(u64),
    /// It did not begin it.
    Nothing,
    /// Nobody knows: taken to be what was expected.
    Unknown,
}

impl Took {
    /// The same for a job that takes so many slots.
    fn of_slots(self, slots: u32) -> Self {
        match self {
            Self::Measured(nanos) => Self::Measured(nanos.max(FLOOR).saturating_mul(slots.into())),
            other => other,
        }
    }
}

/// The job that is next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Next {
    pub(crate) job: JobId,
    share: u32,
    priority: i32,
    /// What it needs: a place in the table of demands.
    pub(crate) demand: u32,
    /// It is next because it has waited longest.
    is_by_age: bool,
}

/// All shares, and the jobs that wait in them.
#[derive(Debug)]
pub(crate) struct ShareTable {
    slots: Slab<Share>,
    places: BTreeMap<ShareId, u32>,
    /// Those that are ready, by their tags. The default share is left out: where it is alone,
    /// as is usual, jobs cost nothing here.
    ready: BTreeSet<(VirtualTime, u32)>,
    /// Those that were not set and have no jobs any more, but have had more than virtual time
    /// says: forgotten, they could have it once more.
    in_debt: BTreeSet<(VirtualTime, u32)>,
    virtual_time: VirtualTime,
    /// The moving average of what jobs take, in nanoseconds.
    usual: u32,
    /// Jobs that wait in all shares.
    queued: usize,
    /// Those of them that need more than a slot.
    demanding: usize,
    /// The share in which a start by age is due to a job that others are held up for.
    kept_turn: Option<u32>,
    ageing: Option<NonZeroU32>,
}

impl ShareTable {
    pub(crate) fn new(ageing: Option<NonZeroU32>) -> Self {
        let mut slots = Slab::new();
        slots.insert(Share::new(ShareId::default()));
        Self {
            slots,
            places: BTreeMap::from([(ShareId::default(), DEFAULT)]),
            ready: BTreeSet::new(),
            in_debt: BTreeSet::new(),
            virtual_time: VirtualTime::default(),
            usual: USUAL,
            queued: 0,
            demanding: 0,
            kept_turn: None,
            ageing,
        }
    }

    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Share> {
        self.slots.get(slot as usize)
    }

    pub(crate) fn slot(&self, id: ShareId) -> Option<u32> {
        self.places.get(&id).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Share)> {
        let shares = self.slots.iter();
        shares.filter_map(|(slot, share)| Some((u32::try_from(slot).ok()?, share)))
    }

    /// How many jobs wait.
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    /// Whether a job that waits may be sent.
    pub(crate) fn has_ready(&self) -> bool {
        if self.is_alone() {
            return self.get(DEFAULT).is_some_and(Share::may_send);
        }
        self.least_tag().is_some()
    }

    /// Whether executors may hold more jobs of a share.
    pub(crate) fn has_room(&self, slot: u32) -> bool {
        self.get(slot).is_some_and(Share::has_room)
    }

    // Shares come and go.

    fn find(&mut self, id: ShareId) -> u32 {
        if let Some(slot) = self.slot(id) {
            return slot;
        }
        let was_alone = self.is_alone();
        let slot = self.slots.insert(Share::new(id));
        let slot = u32::try_from(slot).unwrap_or(u32::MAX);
        self.places.insert(id, slot);
        if was_alone {
            self.index(DEFAULT);
        }
        slot
    }

    /// Counts one more class of a share, and gives the place of the share.
    pub(crate) fn join(&mut self, id: ShareId) -> u32 {
        let slot = self.find(id);
        if let Some(share) = self.slots.get_mut(slot as usize) {
            share.classes += 1;
            self.in_debt.remove(&(share.tag, slot));
        }
        slot
    }

    /// Counts one class less.
    pub(crate) fn leave(&mut self, slot: u32) {
        if let Some(share) = self.slots.get_mut(slot as usize) {
            share.classes -= 1;
        }
        self.forget_if_unused(slot);
    }

    fn forget_if_unused(&mut self, slot: u32) {
        let Some(share) = self.slots.get(slot as usize) else {
            return;
        };
        if slot == DEFAULT || share.classes > 0 || share.is_set() {
            return;
        }
        if share.tag > self.virtual_time {
            self.in_debt.insert((share.tag, slot));
        } else {
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: u32) {
        if let Some(share) = self.slots.try_remove(slot as usize) {
            self.places.remove(&share.id);
        }
    }

    /// Forgets those whose debts are paid off.
    fn forgive(&mut self) {
        while let Some(&(tag, slot)) = self.in_debt.first()
            && tag <= self.virtual_time
        {
            self.in_debt.pop_first();
            self.forget(slot);
        }
    }

    /// Forgets all debts: there is no job any more that could be first.
    #[inline]
    pub(crate) fn forgive_all(&mut self) {
        if self.in_debt.is_empty() {
            return;
        }
        while let Some((_, slot)) = self.in_debt.pop_first() {
            self.forget(slot);
        }
    }

    pub(crate) fn set(&mut self, id: ShareId, weight: NonZeroU32, limit: Option<u32>) {
        let slot = self.find(id);
        let Some(share) = self.slots.get_mut(slot as usize) else {
            return;
        };
        self.in_debt.remove(&(share.tag, slot));
        share.set_weight(weight);
        share.limit = limit;
        self.refresh(slot);
        self.forget_if_unused(slot);
    }

    // Jobs wait.

    /// Adds a job that is newer than all that were added before.
    #[inline]
    pub(crate) fn push(&mut self, job: JobId, class: Class) {
        if let Some(share) = self.slots.get_mut(class.share as usize) {
            share.queue_of(class.demand).push(job, class.priority);
            self.queued += 1;
            self.demanding += usize::from(class.demand != NOTHING);
        }
        self.refresh(class.share);
    }

    /// Gives a job its place back that had left its queue.
    pub(crate) fn give_back(&mut self, job: JobId, class: Class) {
        if let Some(share) = self.slots.get_mut(class.share as usize) {
            share.queue_of(class.demand).give_back(job, class.priority);
            self.queued += 1;
            self.demanding += usize::from(class.demand != NOTHING);
        }
        self.refresh(class.share);
    }

    /// Removes a job that waits and is about to end.
    pub(crate) fn remove(
        &mut self,
        job: JobId,
        class: Class,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) {
        if let Some(share) = self.slots.get_mut(class.share as usize) {
            let queue = share.queue_of(class.demand);
            queue.remove(job, class.priority, is_live);
            share.drop_if_empty(class.demand);
            self.queued -= 1;
            self.demanding -= usize::from(class.demand != NOTHING);
        }
        self.refresh(class.share);
    }

    /// Removes all jobs that wait, and gives them in the order of their submission.
    pub(crate) fn take_all(&mut self, is_live: impl Fn(JobId) -> bool + Copy) -> Vec<JobId> {
        let mut all = Vec::new();
        for (_, share) in &mut self.slots {
            all.extend(share.queue.take_all(is_live));
            for mut queue in std::mem::take(&mut share.demanding).into_values() {
                all.extend(queue.take_all(is_live));
            }
            share.is_ready = false;
        }
        self.ready.clear();
        self.queued = 0;
        self.demanding = 0;
        all.sort_unstable();
        all
    }

    // Jobs start and end.

    /// The job that is next, where no job needs more than a slot.
    #[inline]
    pub(crate) fn next(&mut self, is_live: impl Fn(JobId) -> bool + Copy) -> Option<Next> {
        let slot = if self.is_alone() {
            DEFAULT
        } else {
            self.least_tag()?
        };
        let share = self.slots.get_mut(slot as usize)?;
        if !share.has_room() {
            return None;
        }
        let (job, priority) = share.queue.front(self.ageing, is_live)?;
        let share = slot;
        Some(Next {
            job,
            share,
            priority,
            demand: NOTHING,
            is_by_age: false,
        })
    }

    #[inline(never)]
    fn least_tag(&self) -> Option<u32> {
        let default = self.get(DEFAULT).filter(|share| share.is_ready);
        match (self.ready.first(), default) {
            (Some(&(tag, slot)), Some(default)) if tag < default.tag => Some(slot),
            (Some(&(_, slot)), None) => Some(slot),
            (_, default) => default.map(|_| DEFAULT),
        }
    }

    /// Removes the job that [`next`](Self::next) gave; [`sent`](Self::sent) must follow.
    #[inline]
    pub(crate) fn pop(&mut self, next: Next) {
        if let Some(share) = self.slots.get_mut(next.share as usize) {
            if share.demanding.is_empty() {
                share.queue.pop((next.job, next.priority), self.ageing);
            } else {
                let keeps_turn = self.kept_turn == Some(next.share);
                share.take(next, self.ageing.filter(|_| !keeps_turn));
                self.demanding -= usize::from(next.demand != NOTHING);
            }
            self.queued -= 1;
            self.virtual_time = share.tag;
        }
    }

    /// A job of a share is sent that is expected to take so many nanoseconds, if that is known,
    /// of so many slots. Gives what the share is charged with.
    #[inline]
    pub(crate) fn sent(&mut self, slot: u32, expected: Option<u32>, slots: u32) -> u32 {
        if !self.is_alone() {
            return self.sent_among_others(slot, expected, slots);
        }
        if let Some(share) = self.slots.get_mut(slot as usize) {
            share.held += 1;
        }
        0
    }

    #[inline(never)]
    fn sent_among_others(&mut self, slot: u32, expected: Option<u32>, slots: u32) -> u32 {
        let charge = expected.unwrap_or(self.usual).saturating_mul(slots);
        if let Some(share) = self.slots.get_mut(slot as usize) {
            share.charge(charge);
        }
        self.index(slot);
        self.go_on(slot);
        charge
    }

    /// Whether there is only the default share: then nothing is noted of it. A job that was sent
    /// meanwhile is charged when it ends, if others have come.
    #[inline]
    fn is_alone(&self) -> bool {
        self.slots.len() == 1
    }

    /// Lets virtual time go on if the last job of all has been sent, which was of this share.
    fn go_on(&mut self, slot: u32) {
        if !self.has_ready()
            && let Some(share) = self.slots.get(slot as usize)
        {
            self.virtual_time = self.virtual_time.max(share.tag);
        }
        self.forgive();
    }

    /// An executor does not hold a job of a share any more, which was charged with so much for
    /// so many slots.
    #[inline]
    pub(crate) fn released(&mut self, slot: u32, charge: u32, took: Took, slots: u32) {
        let counts = charge > 0 || !self.is_alone();
        let Some(share) = self.slots.get_mut(slot as usize) else {
            return;
        };
        share.settle(took);
        if let Took::Measured(nanos) = took {
            let nanos = u32::try_from(nanos.max(FLOOR)).unwrap_or(u32::MAX);
            self.usual = self.usual - self.usual / 8 + nanos / 8;
        }
        if counts {
            self.put_right(slot, charge, took.of_slots(slots));
        }
    }

    #[inline(never)]
    fn put_right(&mut self, slot: u32, charge: u32, took: Took) {
        if let Some(share) = self.slots.get_mut(slot as usize) {
            share.put_right(charge, took);
        }
        self.refresh(slot);
    }

    /// Takes note of whether a job of a share may be sent, and of its tag.
    #[inline]
    fn refresh(&mut self, slot: u32) {
        if !self.is_alone() {
            self.index(slot);
        }
    }

    #[inline(never)]
    fn index(&mut self, slot: u32) {
        let least = self.least_tag().and_then(|slot| self.get(slot));
        let least = least.map_or(self.virtual_time, |share| share.tag);
        let Some(share) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let (was_ready, is_ready) = (share.is_ready, share.may_send());
        if is_ready && !was_ready {
            // Waiting for a place below the limit saves up no more than idling.
            share.tag = share.tag.max(least);
        }
        let is_same = is_ready == was_ready && share.tag == share.indexed;
        if slot != DEFAULT && !is_same {
            if was_ready {
                self.ready.remove(&(share.indexed, slot));
            }
            if is_ready {
                self.ready.insert((share.tag, slot));
            }
        }
        share.indexed = share.tag;
        share.is_ready = is_ready;
    }
}
