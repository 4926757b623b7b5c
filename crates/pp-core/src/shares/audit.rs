//! What must hold of all shares.

use std::collections::BTreeMap;

use super::{DEFAULT, Share, ShareTable};
use crate::queue::Queue;

impl ShareTable {
    /// Whether no trace of any job is left.
    pub(crate) fn is_bare(&self) -> bool {
        let is_bare =
            |share: &Share| share.queue.is_bare() && share.demanding.is_empty() && share.held == 0;
        let is_set = |slot, share: &Share| slot == DEFAULT || share.is_set();
        let mut shares = self.iter();
        shares.all(|(slot, share)| is_bare(share) && is_set(slot, share)) && !self.has_debts()
    }

    /// Whether some share is remembered only for what it has had.
    pub(crate) fn has_debts(&self) -> bool {
        !self.in_debt.is_empty()
    }

    /// The first contradiction in it, if there is one. `held`: how many jobs of each share
    /// executors hold, and what they were charged with.
    pub(crate) fn fault(&self, held: &BTreeMap<u32, (usize, u64)>) -> Option<String> {
        let (mut queued, mut demanding) = (0, 0);
        for (slot, share) in self.iter() {
            let is_ready = share.may_send() && !self.is_alone();
            let is_indexed = self.ready.contains(&(share.tag, slot));
            let is_used = share.classes > 0 || share.is_set() || slot == DEFAULT;
            let is_in_debt = self.in_debt.contains(&(share.tag, slot));
            let is_sound = (share.held, share.charged)
                == held.get(&slot).copied().unwrap_or((0, 0))
                && (is_ready == share.is_ready || self.is_alone())
                && is_indexed == (is_ready && slot != DEFAULT)
                && is_in_debt != is_used
                && self.slot(share.id) == Some(slot);
            if !is_sound {
                return Some(format!("{share:?}, {held:?}"));
            }
            let others = share.demanding.values();
            if let Some(queue) = others.clone().find(|queue| queue.is_empty()) {
                return Some(format!("an empty queue is kept: {queue:?}"));
            }
            let mut all = others.chain([&share.queue]);
            if let Some(fault) = all.find_map(Queue::fault) {
                return Some(fault);
            }
            queued += share.queued();
            demanding += share.queued() - share.queue.len();
        }
        let ready = self.iter().filter(|(_, share)| share.is_ready).count();
        let indexed = self.ready.len() + usize::from(self.get(DEFAULT)?.is_ready);
        let is_sound = (queued, ready) == (self.queued, indexed)
            && demanding == self.demanding
            && self.places.len() == self.slots.len()
            && held.keys().all(|&slot| self.get(slot).is_some());
        (!is_sound).then(|| format!("{queued} are queued, {ready} shares ready: {self:?}"))
    }
}
