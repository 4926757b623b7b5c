//! Sites of executors: machines, and what is free on them: all workers are on one, and each node
//! is another.

use std::collections::BTreeSet;

use super::{ExecutorTable, FREE};
use crate::demand::Demand;
use crate::executor::ExecutorState;
use crate::held::Taken;
use crate::stock::{Stock, Stocked};

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// This one, with all workers.
    Here,
    /// That of the node in a slot of the table.
    Node(u32),
}

/// This machine.
#[derive(Debug, Default)]
pub(crate) struct Here {
    pub(super) stock: Stock,
    /// How many workers have to idle: the slots that jobs have beyond one each.
    pub(super) reserved: usize,
    /// How many workers there are that run jobs, or will.
    pub(super) able: usize,
    /// What was refused, though as far as is known here it is free.
    refused: BTreeSet<Demand>,
    /// Whether something was refused, here or by a node, since there was nothing.
    any_refused: bool,
}

/// Machines where more may have become free since somebody looked.
#[derive(Debug, Default)]
pub(super) struct Grown {
    pub(super) here: bool,
    /// Each once.
    nodes: Vec<u32>,
}

impl ExecutorTable {
    /// The machine of an executor.
    pub(crate) fn site_of(&self, slot: u32) -> Option<Site> {
        let executor = self.get(slot)?;
        Some(if executor.is_node() {
            Site::Node(slot)
        } else {
            Site::Here
        })
    }

    fn stock(&self, site: Site) -> Option<&Stock> {
        match site {
            Site::Here => Some(&self.here.stock),
            Site::Node(slot) => Some(&self.get(slot)?.stock),
        }
    }

    /// All that jobs may be sent to.
    pub(crate) fn sites(&self) -> impl Iterator<Item = Site> + '_ {
        let nodes = self
            .iter()
            .filter(|(_, executor)| executor.is_node() && executor.state == ExecutorState::Ready);
        let nodes = nodes.map(|(slot, _)| Site::Node(slot));
        std::iter::once(Site::Here).chain(nodes)
    }

    /// Sets what a machine has.
    pub(crate) fn set_supply(&mut self, site: Site, supply: &[(crate::ResourceId, u64)]) {
        match site {
            Site::Here => {
                self.here.stock.set(supply);
                self.here.refused.clear();
            }
            Site::Node(slot) => {
                if let Some(executor) = self.get_mut(slot) {
                    executor.stock.set(supply);
                    executor.refused.clear();
                }
            }
        }
        self.note_growth(site);
    }

    /// What a machine has.
    pub(crate) fn stocked(&self, site: Site) -> Vec<Stocked> {
        self.stock(site).map_or_else(Vec::new, Stock::all)
    }

    /// How much a machine has of a resource, taken or not.
    pub(crate) fn total(&self, site: Site, resource: crate::ResourceId) -> u64 {
        self.stock(site).map_or(0, |stock| stock.total(resource))
    }

    // What is kept free.

    /// How many workers idle and need not.
    pub(super) fn unreserved(&self) -> usize {
        if self.closed == Some(Site::Here) {
            return 0;
        }
        self.idle.saturating_sub(self.here.reserved)
    }

    /// Whether fewer workers idle than have to, since some have gone: then nothing more is sent
    /// here, or what is sent ahead would go on taking slots that jobs have been given.
    fn is_overdrawn(&self) -> bool {
        self.idle < self.here.reserved
    }

    /// How many workers are to idle, of those that do.
    pub(crate) fn kept_idle(&self) -> usize {
        self.idle - self.unreserved()
    }

    /// How many slots are free of a node that is closed.
    pub(super) fn closed_slots(&self) -> usize {
        match self.closed {
            Some(Site::Node(slot)) => {
                let entry = self.slots.get(slot as usize);
                entry.map_or(0, |entry| entry.free_slots)
            }
            _ => 0,
        }
    }

    /// Whether a node is kept free.
    pub(crate) fn is_closed_node(&self, slot: u32) -> bool {
        self.closed == Some(Site::Node(slot))
    }

    /// Whether an executor in a bucket of the placement index may not be used, though it has
    /// room.
    fn is_kept(&self, slot: u32, bucket: u8) -> bool {
        let is_idle_worker = bucket == 0;
        is_idle_worker && self.unreserved() == 0 || !self.is_open_for_plain(slot)
    }

    #[inline(never)]
    pub(super) fn lowest_not_kept(&self) -> Option<(u32, u8)> {
        let first = u8::from(self.unreserved() == 0);
        self.placement
            .lowest_from(first, |slot| self.is_open_for_plain(slot))
    }

    /// Whether plain jobs may go to an executor that has room, unless it is a worker that idles.
    fn is_open_for_plain(&self, slot: u32) -> bool {
        let is_overdrawn = self.is_overdrawn();
        if self.closed.is_none() && !is_overdrawn {
            return true;
        }
        let site = self.site_of(slot);
        self.closed != site && !(is_overdrawn && site == Some(Site::Here))
    }

    /// How soon an executor would start a job, the less the sooner, if it may get one.
    pub(crate) fn room(&self, slot: u32) -> Option<u8> {
        let bucket = self.placement.bucket(slot);
        bucket.filter(|&bucket| !self.is_kept(slot, bucket))
    }

    /// Whether an executor would start a job at once.
    pub(crate) fn starts_at_once(&self, slot: u32) -> bool {
        self.placement
            .bucket(slot)
            .is_some_and(|bucket| bucket < FREE)
    }

    /// Whether an executor would start a job at once, and may get one.
    pub(crate) fn is_free(&self, slot: u32) -> bool {
        self.room(slot).is_some_and(|bucket| bucket < FREE)
    }

    /// Whether an executor has room that is kept for another job.
    pub(crate) fn is_held_up(&self, slot: u32) -> bool {
        self.placement.bucket(slot).is_some() && self.room(slot).is_none()
    }

    /// Whether not only one job may start on a machine, and it takes jobs.
    pub(crate) fn is_open(&self, site: Site) -> bool {
        let is_ready = match site {
            Site::Here => true,
            Site::Node(slot) => self
                .get(slot)
                .is_some_and(|node| node.state == ExecutorState::Ready),
        };
        is_ready && self.closed != Some(site)
    }

    /// Lets only one job start on a machine.
    pub(crate) fn close(&mut self, site: Site) {
        self.closed = Some(site);
    }

    /// Lets all jobs start everywhere.
    pub(crate) fn reopen(&mut self) {
        self.closed = None;
    }

    pub(crate) fn closed(&self) -> Option<Site> {
        self.closed
    }

    // What fits.

    /// How many slots are free on a machine, whatever they are kept for.
    pub(crate) fn free_on(&self, site: Site) -> usize {
        match site {
            Site::Here => self.idle.saturating_sub(self.here.reserved),
            Site::Node(slot) => self.get(slot).map_or(0, |node| {
                let is_full =
                    self.slots.get(slot as usize).map(|entry| entry.free_slots) == Some(0);
                let free = node.held.slots() - node.held.taken();
                if is_full { 0 } else { free }
            }),
        }
    }

    /// Whether a machine can start a job at once, whatever it is kept for.
    pub(crate) fn fits(&self, site: Site, demand: &Demand) -> bool {
        self.free_on(site) >= demand.slots() && self.has_free(site, demand)
    }

    /// Whether a machine lacks nothing but free slots to start a job, if anything.
    pub(crate) fn could_fit(&self, site: Site, demand: &Demand) -> bool {
        let slots = match site {
            Site::Here => self.here.able,
            Site::Node(slot) => self.get(slot).map_or(0, |node| {
                let is_able = node.state == ExecutorState::Ready && node.credit > 0;
                if is_able { node.held.slots() } else { 0 }
            }),
        };
        slots >= demand.slots() && self.has_free(site, demand)
    }

    /// Whether the amounts that a job needs are free on a machine, as far as is known.
    fn has_free(&self, site: Site, demand: &Demand) -> bool {
        let is_refused = |refused: &BTreeSet<Demand>| refused.contains(demand);
        !self.refused(site).is_some_and(is_refused)
            && self.stock(site).is_some_and(|stock| stock.has_free(demand))
    }

    /// Of the machines that can start a job at once and are not closed, the one where it leaves
    /// the least of the scarcest resource; this one rather than another.
    pub(crate) fn best_fit(&self, demand: &Demand) -> Option<Site> {
        let open = self.sites().filter(|&one| self.closed != Some(one));
        let fit = open.filter(|&site| self.fits(site, demand));
        fit.min_by_key(|&site| {
            let rest = self.stock(site).and_then(|stock| stock.rest(demand));
            rest.unwrap_or_else(|| (self.free_on(site) - demand.slots()) as u128)
        })
    }

    /// Whether a job may be sent ahead to a machine: to a node that gets such, if it needs one slot
    /// and all else is free there. What waits for several slots would let them idle meanwhile.
    pub(crate) fn takes_ahead(&self, site: Site, demand: &Demand) -> bool {
        let Site::Node(slot) = site else {
            return false;
        };
        demand.slots() == 1 && self.room(slot).is_some() && self.has_free(site, demand)
    }

    /// Of the machines that a job may be sent ahead to, the one that would start it soonest.
    pub(crate) fn soonest_ahead(&self, demand: &Demand) -> Option<Site> {
        if demand.slots() > 1 {
            return None;
        }
        let all = self.sites().filter(|&site| self.takes_ahead(site, demand));
        all.min_by_key(|&site| match site {
            Site::Here => None,
            Site::Node(slot) => self.room(slot),
        })
    }

    /// Who gets a job that a machine can start at once.
    pub(crate) fn executor_of(&self, site: Site) -> Option<u32> {
        match site {
            Site::Here => {
                let (slot, bucket) = self.placement.lowest()?;
                (bucket == 0).then_some(slot)
            }
            Site::Node(slot) => Some(slot),
        }
    }

    // What is taken.

    /// The job at a place of an executor takes what it needs.
    #[inline(never)]
    pub(crate) fn take(&mut self, slot: u32, place: u32, demand: &Demand) {
        let Some(entry) = self.slots.get_mut(slot as usize) else {
            return;
        };
        let executor = &mut entry.executor;
        if executor.is_node() {
            executor.held.take(place, Taken::OfNode, demand.extra());
            executor.stock.take(demand);
        } else {
            executor.held.take(place, Taken::Here, 0);
            self.here.stock.take(demand);
            self.here.reserved += demand.extra();
        }
    }

    /// A job gives back what it has taken, wherever that was. Its executor is no more, or will
    /// be refreshed.
    #[inline(never)]
    pub(crate) fn give_back(&mut self, slot: u32, taken: Taken, demand: &Demand) {
        match taken {
            Taken::Nothing => {}
            Taken::Here => {
                self.here.stock.give_back(demand);
                self.here.reserved -= demand.extra();
                self.here.refused.retain(|other| !other.shares_with(demand));
                self.note_growth(Site::Here);
            }
            Taken::OfNode => {
                if let Some(node) = self.get_mut(slot) {
                    node.stock.give_back(demand);
                    node.held.give_back(demand.extra());
                    node.refused.retain(|other| !other.shares_with(demand));
                    self.note_growth(Site::Node(slot));
                }
            }
        }
    }

    // What was refused.

    /// What a machine has refused.
    pub(crate) fn refused(&self, site: Site) -> Option<&BTreeSet<Demand>> {
        match site {
            Site::Here => Some(&self.here.refused),
            Site::Node(slot) => Some(&self.get(slot)?.refused),
        }
    }

    /// Replaces what a machine has refused, and gives it.
    pub(crate) fn set_refused(
        &mut self,
        site: Site,
        refused: BTreeSet<Demand>,
    ) -> BTreeSet<Demand> {
        self.here.any_refused |= !refused.is_empty();
        let before = match site {
            Site::Here => Some(&mut self.here.refused),
            Site::Node(slot) => self.get_mut(slot).map(|node| &mut node.refused),
        };
        before.map_or_else(BTreeSet::new, |before| std::mem::replace(before, refused))
    }

    /// Lets nothing be refused anywhere.
    pub(crate) fn forget_refused(&mut self) {
        if std::mem::take(&mut self.here.any_refused) {
            self.here.refused.clear();
            for executor in self.iter_mut() {
                executor.refused.clear();
            }
        }
    }

    // What has grown.

    /// More may be free on a machine.
    #[inline]
    pub(crate) fn note_growth(&mut self, site: Site) {
        match site {
            Site::Here => self.grown.here = true,
            Site::Node(slot) => {
                let entry = self.slots.get_mut(slot as usize);
                if entry.is_some_and(|entry| !std::mem::replace(&mut entry.has_grown, true)) {
                    self.grown.nodes.push(slot);
                }
            }
        }
    }

    /// A node takes jobs again, if only ahead.
    #[cold]
    pub(super) fn note_room(&mut self, slot: u32) {
        self.note_growth(Site::Node(slot));
    }

    /// The machines where more may have become free since the last call.
    pub(crate) fn take_grown(&mut self) -> Vec<Site> {
        let here = std::mem::take(&mut self.grown.here).then_some(Site::Here);
        let nodes = std::mem::take(&mut self.grown.nodes);
        for &slot in &nodes {
            if let Some(entry) = self.slots.get_mut(slot as usize) {
                entry.has_grown = false;
            }
        }
        let nodes = nodes.into_iter().map(Site::Node);
        here.into_iter().chain(nodes).collect()
    }

    /// Whether jobs have taken nothing.
    pub(crate) fn is_untaken(&self) -> bool {
        let mut stocks = self.iter().map(|(_, executor)| &executor.stock);
        let nothing = |stock: &Stock| stock.taken().is_empty();
        let is_bare = self.here.reserved == 0 && !self.here.any_refused;
        is_bare && nothing(&self.here.stock) && stocks.all(nothing)
    }

    /// How many workers have to idle, and what is taken, of this machine.
    pub(crate) fn taken_here(&self) -> (usize, Vec<(crate::ResourceId, u64)>) {
        (self.here.reserved, self.here.stock.taken())
    }
}
