//! The order of jobs where some of them cannot start wherever an executor idles.

use std::cmp::Reverse;
use std::num::NonZeroU32;
use std::ops::Bound;

use super::{DEFAULT, Next, Share, ShareTable};
use crate::JobId;
use crate::demand::NOTHING;

impl ShareTable {
    /// Whether a job waits that needs more than a slot.
    #[inline]
    pub(crate) fn has_demanding(&self) -> bool {
        self.demanding > 0
    }

    /// Whether a job of some demand waits.
    pub(crate) fn has_demand(&self, demand: u32) -> bool {
        let mut shares = self.iter();
        shares.any(|(_, share)| share.demanding.contains_key(&demand))
    }

    /// Whether a plain job waits.
    pub(crate) fn has_plain(&self) -> bool {
        self.queued > self.demanding
    }

    /// Whether a plain job waits that may be sent.
    pub(crate) fn has_ready_plain(&self) -> bool {
        let mut shares = self.iter().map(|(_, share)| share);
        shares.any(|share| share.has_room() && !share.queue.is_empty())
    }

    /// The keys of the queues, of all but plain jobs, in which jobs wait that may be sent.
    pub(crate) fn ready_keys(&self) -> impl Iterator<Item = u32> {
        let shares = self.iter().map(|(_, share)| share);
        let ready = shares.filter(|share| share.has_room());
        ready.flat_map(|share| share.demanding.keys().copied())
    }

    /// Like [`next`](Self::next), of plain jobs and those whose demand `may_try`; of each demand,
    /// only the first one, and only if it `may_go`. A share that has none of these keeps its turn
    /// for later.
    pub(crate) fn next_packed(
        &mut self,
        may_try: impl Fn(u32) -> bool + Copy,
        may_go: impl Fn(&Next) -> bool + Copy,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<Next> {
        let default = self.get(DEFAULT).filter(|share| share.may_send());
        let default = default.map(|share| (share.tag, DEFAULT));
        let (ageing, kept) = (self.ageing, self.kept_turn);
        let (ready, slots) = (&self.ready, &mut self.slots);
        let mut first_of = |slot: u32| {
            let share = slots.get_mut(slot as usize)?;
            let ageing = ageing.filter(|_| kept != Some(slot));
            share.first((slot, ageing), may_try, may_go, is_live)
        };
        let Some(default) = default else {
            return ready.iter().find_map(|&(_, slot)| first_of(slot));
        };
        // Of the same tag, the default share is first.
        let before = ready.range(..default);
        let after = ready.range((Bound::Excluded(default), Bound::Unbounded));
        let mut order = before.chain([&default]).chain(after);
        order.find_map(|&(_, slot)| first_of(slot))
    }

    /// A job that is next has to wait until it has its slots: if it was its turn by age, it
    /// keeps that, and the others of its share go by priority.
    pub(crate) fn keep_turn(&mut self, next: Next) {
        self.kept_turn = next.is_by_age.then_some(next.share);
    }

    /// Lets every turn be taken again.
    pub(crate) fn free_turn(&mut self) {
        self.kept_turn = None;
    }

    /// Removes all jobs of a demand that wait, and gives them in no particular order.
    pub(crate) fn take_demand(
        &mut self,
        demand: u32,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Vec<JobId> {
        let mut all = Vec::new();
        let slots: Vec<u32> = self.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let share = self.slots.get_mut(slot as usize);
            let queue = share.and_then(|share| share.demanding.remove(&demand));
            if let Some(mut queue) = queue {
                all.extend(queue.take_all(is_live));
                self.refresh(slot);
            }
        }
        self.queued -= all.len();
        self.demanding -= all.len();
        all
    }
}

impl Share {
    fn first(
        &mut self,
        (share, ageing): (u32, Option<NonZeroU32>),
        may_try: impl Fn(u32) -> bool,
        may_go: impl Fn(&Next) -> bool,
        is_live: impl Fn(JobId) -> bool + Copy,
    ) -> Option<Next> {
        let next = |job, priority, demand, is_by_age| Next {
            job,
            share,
            priority,
            demand,
            is_by_age,
        };
        if self.demanding.is_empty() {
            let (job, priority) = self.queue.front(ageing, is_live)?;
            return Some(next(job, priority, NOTHING, false));
        }
        let is_by_age = self.queue.is_age_due(ageing);
        let others = self.demanding.iter_mut();
        let others = others.map(|(&demand, queue)| (demand, queue));
        let others = others.filter(|&(demand, _)| may_try(demand));
        let queues = others.chain([(NOTHING, &mut self.queue)]);
        let firsts = queues.filter_map(|(demand, queue)| {
            let first = if is_by_age {
                queue.oldest(is_live)
            } else {
                queue.highest(is_live)
            };
            first.map(|(job, priority)| next(job, priority, demand, is_by_age))
        });
        firsts.filter(may_go).min_by_key(|next| {
            let priority = if is_by_age { 0 } else { next.priority };
            (Reverse(priority), next.job)
        })
    }

    /// Removes the job that [`first`](Self::first) gave.
    #[inline(never)]
    pub(super) fn take(&mut self, next: Next, ageing: Option<NonZeroU32>) {
        self.queue.count_start(ageing);
        self.queue_of(next.demand).take((next.job, next.priority));
        self.drop_if_empty(next.demand);
    }
}
