//! The ends of links: what is heard there, and what silence means.

use std::time::Duration;

use pp_core::{ExecutorId, FunctionId, Machine, is_own_outage};

use crate::book::supply;
use crate::engine::{Child, Engine, FIRST_PAUSE, Parting, Work};
use crate::message::Message;
use crate::net::{NODE, PARENT};
use crate::pulse::{Pulse, interval, is_alike};
use crate::queue::Event;
use crate::violation::Violation;
use crate::world::World;

/// The longest pause before a node that is down is tried again.
const DOWN_PAUSE: u64 = 1_200_000_000;
/// The same for one that cannot work.
const REFUSED_PAUSE: u64 = 15_000_000_000;
/// A node that has lived for so long has recovered.
const RECOVERED: u64 = 10_000_000_000;

impl Engine {
    /// A node says something.
    pub(crate) fn hear(
        &mut self,
        executor: ExecutorId,
        message: Message,
        world: &mut World,
    ) -> Result<(), Violation> {
        let now = world.time();
        let Some(child) = self.children.get_mut(&executor) else {
            return Ok(());
        };
        match message {
            Message::Capacity { slots, credit } => {
                child.slots = Some(slots);
                child.most_credit = child.most_credit.max(credit);
                self.scheduler.node_capacity(executor, slots, credit, now);
            }
            Message::Supply { amounts } => {
                let node = Machine::Node(executor);
                self.scheduler.set_supply(node, &supply(amounts), now);
            }
            Message::Result {
                job,
                outcome,
                run_time,
            } => return self.finished(executor, (job, outcome), run_time, world),
            Message::Recalled { job, recalled } => {
                self.scheduler.recall_answered(executor, job, recalled, now);
            }
            Message::Charge { job, charges } => {
                self.scheduler.job_charged(executor, job, charges, now);
            }
            Message::Pong { nonce } => child.pulse.answered(nonce, world.now),
            Message::Leaving => self.scheduler.node_leaving(executor, now),
            Message::Fault => self.lose(executor, Parting::Fault, world),
            Message::Closed => self.lose(executor, Parting::Ended, world),
            _ => return Err(unexpected(message)),
        }
        Ok(())
    }

    /// The parent says something.
    pub(crate) fn obey(&mut self, message: Message, world: &mut World) -> Result<(), Violation> {
        let now = world.time();
        let Some(uplink) = &mut self.uplink else {
            return Ok(());
        };
        match message {
            Message::Function { function } => {
                uplink.functions.insert(function);
            }
            Message::Forget { function } => {
                uplink.functions.remove(&function);
                self.scheduler
                    .forget_function(FunctionId::from_u64(function));
            }
            Message::Job { job, number } => return self.accept(job.as_u64(), number, world),
            Message::Recall { job } => {
                uplink
                    .service
                    .recall(job.as_u64(), &mut self.scheduler, now);
            }
            Message::Cancel { job } => {
                uplink
                    .service
                    .cancel(job.as_u64(), &mut self.scheduler, now);
            }
            Message::Ping { nonce } => world.say(uplink.link, NODE, Message::Pong { nonce }),
            Message::Shutdown => self.leave_parent(Parting::Left, world),
            Message::Closed => self.leave_parent(Parting::Ended, world),
            _ => return Err(unexpected(message)),
        }
        Ok(())
    }

    fn accept(&mut self, up: u64, number: usize, world: &mut World) -> Result<(), Violation> {
        let spec = world.book.entry(number)?.spec;
        let function = u64::from(spec.function);
        let Some(uplink) = &mut self.uplink else {
            return Ok(());
        };
        if !uplink.functions.contains(&function) {
            let detail = format!("job {number} came to engine {} before it", self.id);
            return Err(Violation::new("a function comes before its jobs", detail));
        }
        let name = FunctionId::from_u64(function);
        let work = Work::new(number, up);
        let terms = spec.terms_for_node();
        let Ok(job) = self.scheduler.submit_with(name, &terms, work, world.time()) else {
            return Ok(());
        };
        if !uplink.service.accept(up, job) {
            let detail = format!("job {up} is with engine {} already", self.id);
            return Err(Violation::new("no job is sent twice", detail));
        }
        if uplink.service.len() > uplink.most_credit as usize {
            let (len, credit) = (uplink.service.len(), uplink.most_credit);
            let detail = format!("engine {} has {len} jobs, and allowed {credit}", self.id);
            return Err(Violation::new("no node holds more than its credit", detail));
        }
        Ok(())
    }

    /// A node is used from now on.
    pub(crate) fn joined(
        &mut self,
        executor: ExecutorId,
        (link, mind): (usize, usize),
        latency: u64,
        world: &mut World,
    ) {
        let child = Child {
            link,
            slots: None,
            most_credit: 0,
            pulse: Pulse::new(latency),
            mind,
            since: world.now,
        };
        self.children.insert(executor, child);
        self.plan_beat(world);
    }

    /// A node is not used any more.
    pub(crate) fn lose(&mut self, executor: ExecutorId, why: Parting, world: &mut World) {
        let Some(child) = self.children.remove(&executor) else {
            return;
        };
        world.trace.note(world.now, &(self.id, executor, why));
        world.hang_up(child.link, PARENT, why != Parting::Ended);
        let now = world.time();
        if !why.is_loss() {
            self.scheduler.executor_exited(executor, now);
        } else if world.now <= self.excused_until {
            self.scheduler.node_cut_off(executor, now);
        } else {
            world.counts.losses += 1;
            self.scheduler.executor_lost(executor, &[], now);
        }
        if why == Parting::Destroyed {
            return;
        }
        if let Some(mind) = self.minds.get_mut(child.mind)
            && world.now - child.since > RECOVERED
        {
            mind.pause = FIRST_PAUSE;
        }
        let most = if why == Parting::Fault {
            REFUSED_PAUSE
        } else {
            DOWN_PAUSE
        };
        self.dial_later(child.mind, 0, most, world);
    }

    /// Tries to connect again after some time, and a pause.
    fn dial_later(&mut self, mind: usize, after: u64, most: u64, world: &mut World) {
        let engine = self.id;
        if let Some(entry) = self.minds.get_mut(mind) {
            let pause = entry.pause.min(most);
            entry.pause = (entry.pause * 2).min(most);
            let pause = pause / 2 + world.rng.below(pause / 2);
            world.plan(after + pause, Event::Dial { engine, mind });
        }
    }

    /// A connection was not made.
    pub(crate) fn not_reached(&mut self, mind: usize, after: u64, world: &mut World) {
        self.dial_later(mind, after, DOWN_PAUSE, world);
    }

    /// The parent is not worked for any more: that is the end.
    pub(crate) fn leave_parent(&mut self, why: Parting, world: &mut World) {
        let Some(uplink) = self.uplink.take() else {
            return;
        };
        world.trace.note(world.now, &(self.id, why));
        if why != Parting::Ended {
            world.say(uplink.link, NODE, Message::Fault);
        }
        world.hang_up(uplink.link, NODE, why != Parting::Ended);
        self.destroy(world);
    }

    /// Sees to it that there will be a beat while there are links.
    pub(crate) fn plan_beat(&mut self, world: &mut World) {
        let has_links = self.uplink.is_some() || !self.children.is_empty();
        if self.beat_at.is_none() && has_links {
            let at = world.now + interval(world.settings.patience);
            self.beat_at = Some(at);
            let engine = self.id;
            world.queue.push(at, Event::Beat { engine, at });
        }
    }

    /// Asks nodes whether they live, and gives up who has been silent for too long.
    pub(crate) fn beat(&mut self, at: u64, world: &mut World) {
        if self.beat_at != Some(at) {
            return;
        }
        self.beat_at = None;
        let patience = world.settings.patience;
        let was_away = world.now - at > patience / 4;
        let is_lost = |link: usize, end: usize, world: &World| {
            let heard = world.net.link(link).map_or(0, |link| link.heard[end]);
            !was_away && world.now.saturating_sub(heard) > patience
        };
        if self.is_cut_off(world) {
            self.excused_until = world.now + patience;
        }
        let children: Vec<ExecutorId> = self.children.keys().copied().collect();
        for executor in children {
            let Some(child) = self.children.get_mut(&executor) else {
                continue;
            };
            if is_lost(child.link, PARENT, world) {
                self.lose(executor, Parting::Silent, world);
                continue;
            }
            let nonce = if world.net.is_clear(child.link, PARENT, world.now) {
                child.pulse.ask(world.now)
            } else {
                child.pulse.number()
            };
            world.say(child.link, PARENT, Message::Ping { nonce });
            let measured = child.pulse.latency();
            self.measure(executor, measured, world);
        }
        if let Some(uplink) = &self.uplink {
            if is_lost(uplink.link, NODE, world) {
                self.leave_parent(Parting::Silent, world);
            } else if uplink.service.is_empty() && std::mem::take(&mut self.is_busy) {
                world.plan_share(self.host);
            }
        }
        self.plan_beat(world);
    }

    /// Whether it is the own line that is cut.
    fn is_cut_off(&self, world: &World) -> bool {
        let patience = world.settings.patience;
        let silences = self.children.values().filter_map(|child| {
            let link = world.net.link(child.link)?;
            let silence = world.now.saturating_sub(link.heard[PARENT]);
            Some((link.hosts[NODE], Duration::from_nanos(silence)))
        });
        let limit = patience.saturating_sub(2 * interval(patience));
        is_own_outage(silences, Duration::from_nanos(limit))
    }

    fn measure(&mut self, executor: ExecutorId, measured: u64, world: &World) {
        let known = self.scheduler.executor_stats(executor);
        let known = known.and_then(|stats| u64::try_from(stats.latency.as_nanos()).ok());
        if known.is_some_and(|known| !is_alike(known, measured)) {
            let latency = Duration::from_nanos(measured);
            self.scheduler.node_latency(executor, latency, world.time());
        }
    }
}

fn unexpected(message: Message) -> Violation {
    Violation::new("both sides keep to the protocol", format!("{message:?}"))
}
