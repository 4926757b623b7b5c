//! Who gets jobs that need more than a slot.

use std::cell::Cell;

use crate::demand::{Demand, Fit, NOTHING, ONE_SLOT};
use crate::executors::ExecutorTable;
use crate::gathering::Gathers;
use crate::near::{self, Turn};
use crate::shares::Next;
use crate::stock::Stock;
use crate::time::Time;
use crate::{JobId, Scheduler};

impl<J> Scheduler<J> {
    /// What a live job needs.
    pub(crate) fn demand_of(&self, job: JobId) -> &Demand {
        let entry = self.jobs.get(job);
        entry.map_or(&ONE_SLOT, |entry| {
            self.demands.get(self.classes.get(entry.class).demand)
        })
    }

    /// Sends queued jobs where some of them need more than a slot, or may not go everywhere.
    ///
    /// Such a job goes where it starts at once and leaves the least of what is scarce; if it needs
    /// one slot only, also ahead to a node where all else is free, as plain ones do: otherwise
    /// these would have each slot before it is known to be free. One that nobody can take now does
    /// not hold up those behind it, unless it has to [gather](crate::gathering) its slots.
    ///
    /// Nobody is looked for twice unless something has become free. A job that waits costs
    /// nothing, but each demand a step for each event that frees something: many jobs of few
    /// demands are cheap, and a hundred thousand demands are not.
    #[inline(never)]
    pub(crate) fn pump_packed(&mut self) {
        self.forget_patience();
        let mut gathers = self.begin_gathering();
        let is_busy = self.executors.free_slots() == 0;
        let has_plain = self.shares.has_plain() || self.nears.has_lines();
        if is_busy && !has_plain && !self.may_go_ahead() && self.suspects.queued() == 0 {
            // There is nobody who waits for but one slot.
            return self.end_gathering(&gathers, true);
        }
        self.shares.free_turn();
        self.reconsider();
        self.pump_suspects(&mut gathers);
        let is_full = loop {
            if self.executors.next_to_serve().is_none() {
                break true;
            }
            let Some(next) = self.next_in_line(&gathers) else {
                break false;
            };
            if let Some(home) = near::slot_of(next.demand) {
                if !self.place_near(next, home) {
                    break false;
                }
            } else if next.demand != NOTHING {
                self.place_demanding(next, &mut gathers);
            } else if !self.place_plain(next) {
                break true;
            }
        };
        self.end_gathering(&gathers, is_full);
    }

    fn is_known(&self, job: JobId) -> bool {
        let function = self.jobs.get(job).map(|entry| entry.function);
        function.is_some_and(|place| self.functions.estimate(place).is_known())
    }

    /// Whether jobs wait that may be sent ahead though they need more than a slot.
    fn may_go_ahead(&self) -> bool {
        let mut demands = self.shares.ready_keys();
        self.executors.nodes().ready > 0
            && demands.any(|demand| self.demands.get(demand).slots() == 1)
    }

    /// Takes note of what may fit since more has become free.
    fn reconsider(&mut self) {
        let grown = self.executors.take_grown();
        let executors: &ExecutorTable = &self.executors;
        self.demands.update(|demand, fit| {
            let mut grown = grown.iter();
            match fit {
                Fit::Open | Fit::HeldUp => Fit::Open,
                Fit::Narrow
                    if grown.any(|&one| {
                        executors.fits(one, demand) || executors.takes_ahead(one, demand)
                    }) =>
                {
                    Fit::Open
                }
                Fit::Poor if grown.any(|&one| executors.could_fit(one, demand)) => Fit::Open,
                fit => fit,
            }
        });
    }

    fn next_in_line(&mut self, gathers: &Gathers) -> Option<Next> {
        let (demands, jobs) = (&self.demands, &self.jobs);
        let may_try = |demand| match demands.fit(demand) {
            _ if near::slot_of(demand).is_some() => true,
            Fit::Open => true,
            // It may have to gather, unless somebody comes before it.
            Fit::Narrow => !gathers.has_begun(),
            Fit::HeldUp | Fit::Poor => false,
        };
        let (nears, executors, functions) = (&self.nears, &self.executors, &self.functions);
        let time = (self.now, self.config.recall.slack);
        let next_look: Cell<Option<Time>> = Cell::new(None);
        let may_go = |next: &Next| {
            let Some(home) = near::slot_of(next.demand) else {
                return true;
            };
            let function = jobs.get(next.job).map(|entry| entry.function);
            let is_known = function.is_some_and(|place| functions.estimate(place).is_known());
            match nears.turn((next.job, is_known), home, executors, time) {
                Turn::Now(_) => true,
                Turn::Later(at) => {
                    next_look.set([next_look.get(), at].into_iter().flatten().min());
                    false
                }
            }
        };
        let is_live = |job| jobs.contains(job);
        let next = self.shares.next_packed(may_try, may_go, is_live);
        // Where there is one, all are looked at once more.
        self.look_at_lines(next_look.get());
        next
    }

    /// Sends a job that is next in the line of an executor; false if it is not its turn after all.
    fn place_near(&mut self, next: Next, home: u32) -> bool {
        let time = (self.now, self.config.recall.slack);
        let job = (next.job, self.is_known(next.job));
        let Turn::Now(slot) = self.nears.turn(job, home, &self.executors, time) else {
            return false;
        };
        self.shares.pop(next);
        self.nears.leave(next.job);
        self.send(slot, next.job);
        true
    }

    /// Sends a plain job that is next, if it may go anywhere.
    fn place_plain(&mut self, next: Next) -> bool {
        let function = self.jobs.get(next.job).map(|entry| entry.function);
        let (Some((slot, is_idle)), Some(function)) = (self.executors.next_to_serve(), function)
        else {
            return false;
        };
        if !is_idle && !self.functions.estimate(function).is_known() {
            return false;
        }
        self.shares.pop(next);
        self.send(slot, next.job);
        true
    }

    /// Sends a job that is next and needs more than a slot, or notes why that cannot be.
    fn place_demanding(&mut self, next: Next, gathers: &mut Gathers) {
        let is_known = self.is_known(next.job);
        let demand = self.demands.get(next.demand);
        let near = self.site_with_data(next.job, demand);
        let site = near
            .or_else(|| self.executors.best_fit(demand))
            .or_else(|| self.executors.soonest_ahead(demand).filter(|_| is_known));
        if let Some(slot) = site.and_then(|site| self.executors.executor_of(site)) {
            self.demands.set_fit(next.demand, Fit::Open);
            self.shares.pop(next);
            self.send(slot, next.job);
            return;
        }
        let closed = self.executors.closed();
        let is_held_up = closed.is_some_and(|site| self.executors.fits(site, demand));
        let is_narrow = self.executors.could_fit_somewhere(demand);
        let fit = match is_narrow {
            _ if is_held_up => Fit::HeldUp,
            true => Fit::Narrow,
            false => Fit::Poor,
        };
        if is_narrow && !gathers.has_begun() {
            let site = self.gathers_at(next.job, gathers);
            let site = site.or_else(|| self.executors.nearest_fit(demand));
            if let Some(site) = site {
                self.shares.keep_turn(next);
                self.gather(next.job, site, gathers);
            }
        }
        self.demands.set_fit(next.demand, fit);
    }

    /// Whether a machine that is not closed could start a queued job of some demand at once.
    pub(crate) fn fits_somewhere(&self, demand: u32) -> bool {
        let demand = self.demands.get(demand);
        self.executors.best_fit(demand).is_some()
    }

    /// Whether whoever keeps executors idle has a reason.
    pub(crate) fn wrong_gathering(&self) -> Option<String> {
        let closed = self.executors.closed();
        let Some(gathering) = self.gathering else {
            return closed.map(|site| format!("{site:?} is closed for nobody"));
        };
        let demand = self.demand_of(gathering.job);
        // A suspect may not go everywhere.
        let may_move = !self.suspects.names().any(|job| job == gathering.job);
        let could_start = self.executors.fits(gathering.site, demand)
            || may_move && self.executors.best_fit(demand).is_some();
        let is_right = closed.is_none_or(|site| site == gathering.site && !could_start);
        let is_due = gathering.until > self.now;
        (!is_right || !is_due).then(|| format!("{gathering:?}, {closed:?} is closed"))
    }

    /// What jobs have taken of a machine, by what they need; and what is noted of it.
    pub(crate) fn wrong_amounts(&self) -> Option<String> {
        let mut here = (0, Stock::default());
        for (_, executor) in self.executors.iter() {
            let mut node = (0, Stock::default());
            for held in executor.held.iter() {
                let demand = self.demand_of(held.job);
                let sum = if executor.is_node() {
                    &mut node
                } else {
                    &mut here
                };
                sum.0 += demand.extra();
                sum.1.take(demand);
            }
            let noted = (executor.held.extra(), executor.stock.taken());
            if noted != (node.0, node.1.taken()) {
                return Some(format!(
                    "{}: {node:?} are taken, {noted:?} noted",
                    executor.id
                ));
            }
        }
        let noted = self.executors.taken_here();
        let is_right = noted.0 == here.0 && noted.1 == here.1.taken();
        (!is_right).then(|| format!("{here:?} are taken here, {noted:?} noted"))
    }
}
