//! The course of a run: one event after another.

use pp_core::{ExecutorId, JobId, ShareId};

use crate::book::Outcome;
use crate::engine::Engine;
use crate::faults::Fault;
use crate::host::Power;
use crate::message::Message;
use crate::net::PARENT;
use crate::queue::Event;
use crate::report::Report;
use crate::violation::Violation;
use crate::world::World;

/// Clients, nodes and gateways, and what happens to them.
#[derive(Debug)]
pub struct Simulation {
    pub(crate) world: World,
    pub(crate) engines: Vec<Option<Box<Engine>>>,
    /// The engine that has been told something and has not decided yet.
    pub(crate) unsettled: Option<usize>,
    pub(crate) faults: Vec<Fault>,
    inbox: Vec<Message>,
}

impl Simulation {
    pub(crate) fn new(world: World, faults: Vec<Fault>) -> Self {
        Self {
            world,
            engines: Vec::new(),
            unsettled: None,
            faults,
            inbox: Vec::new(),
        }
    }

    /// Lets all happen that happens next at one moment to one engine; false if nothing is
    /// left to happen.
    pub fn step(&mut self) -> Result<bool, Violation> {
        let next = self.world.queue.peek();
        if let Some(engine) = self.unsettled {
            let follows = next.is_some_and(|(time, event)| {
                time == self.world.now && self.engine_of(event) == Some(engine)
            });
            if !follows {
                self.unsettled = None;
                self.settle(engine)?;
                return Ok(true);
            }
        }
        let Some((time, event)) = self.world.queue.pop() else {
            return Ok(false);
        };
        self.world.now = self.world.now.max(time);
        if let Some(until) = self.frozen(event) {
            self.world.queue.push(until, event);
            return Ok(true);
        }
        self.world.counts.events += 1;
        self.world.trace.note(time, &event);
        self.world.trace.mix(time);
        let now = self.world.now;
        self.happen(event)
            .map_err(|violation| violation.at(&format!("{event:?} at {now}")))?;
        Ok(true)
    }

    /// The figures so far.
    pub fn report(&self) -> Report {
        let (world, counts) = (&self.world, &self.world.counts);
        Report {
            now: world.now,
            last_end: counts.last_end,
            events: counts.events,
            decisions: counts.effects,
            messages: world.net.sent,
            recalls: counts.recalls,
            losses: counts.losses,
            begun: counts.begun,
            done: world.book.done,
            open: world.book.open,
            busy: counts.busy,
            fingerprint: world.trace.fingerprint(),
        }
    }

    /// Which engine an event is about, if it has to decide after it.
    fn engine_of(&self, event: Event) -> Option<usize> {
        match event {
            Event::Ready { engine, .. }
            | Event::NotStarted { engine, .. }
            | Event::Begin { engine, .. }
            | Event::End { engine, .. }
            | Event::Interrupted { engine, .. }
            | Event::Notice { engine, .. }
            | Event::Dies { engine, .. }
            | Event::Gone { engine, .. }
            | Event::Tick { engine, .. }
            | Event::Beat { engine, .. } => Some(engine),
            Event::Arrive { link, from } => {
                let link = self.world.net.link(link)?;
                Some(link.ends[1 - from])
            }
            _ => None,
        }
    }

    /// Until when what an event is about does nothing.
    fn frozen(&self, event: Event) -> Option<u64> {
        let host = match event {
            Event::Share { host } => Some(host),
            Event::Dial { engine, .. }
            | Event::Connect { engine, .. }
            | Event::TakeDown { engine, .. } => self.host_of(engine),
            Event::Cancel { number } | Event::Submit { first: number, .. } => {
                let entry = self.world.book.entries.get(number);
                entry.map(|entry| entry.client as usize)
            }
            Event::Arrive { link, from } => {
                let link = self.world.net.link(link)?;
                Some(link.hosts[1 - from])
            }
            _ => self
                .engine_of(event)
                .and_then(|engine| self.host_of(engine)),
        };
        let host = self.world.hosts.get(host?)?;
        host.is_frozen(self.world.now).then_some(host.frozen_until)
    }

    fn host_of(&self, engine: usize) -> Option<usize> {
        self.engine(engine).map(|engine| engine.host)
    }

    pub(crate) fn engine(&self, engine: usize) -> Option<&Engine> {
        self.engines.get(engine)?.as_deref()
    }

    /// Lets an engine do something, which it has to draw conclusions from.
    pub(crate) fn with<T: Default>(
        &mut self,
        engine: usize,
        act: impl FnOnce(&mut Engine, &mut World) -> T,
    ) -> Result<T, Violation> {
        if let Some(other) = self.unsettled.filter(|&other| other != engine) {
            self.unsettled = None;
            self.settle(other)?;
        }
        let Some(Some(entry)) = self.engines.get_mut(engine) else {
            return Ok(T::default());
        };
        self.unsettled = Some(engine);
        Ok(act(entry, &mut self.world))
    }

    /// Lets an engine decide, and takes it out if that was its end.
    pub(crate) fn settle(&mut self, engine: usize) -> Result<(), Violation> {
        let Some(place) = self.engines.get_mut(engine) else {
            return Ok(());
        };
        let Some(entry) = place else {
            return Ok(());
        };
        entry.settle(&mut self.world)?;
        let every = self.world.settings.check_every;
        if every > 0 && entry.settled.is_multiple_of(every) {
            entry.scheduler.check_invariants()?;
        }
        if entry.is_over() {
            let is_empty = entry.scheduler.is_empty();
            let host = entry.host;
            *place = None;
            self.leave_host(host, engine);
            if !is_empty {
                let detail = format!("engine {engine} ends with something left");
                return Err(Violation::new("nothing is left at the end", detail));
            }
        }
        Ok(())
    }

    pub(crate) fn leave_host(&mut self, host: usize, engine: usize) {
        if let Some(entry) = self.world.hosts.get_mut(host) {
            entry.engines.retain(|&other| other != engine);
        }
        self.world.plan_share(host);
    }

    fn runs(&self, engine: usize, executor: ExecutorId, job: JobId, since: u64) -> bool {
        let engine = self.engine(engine);
        engine.is_some_and(|engine| engine.runs(executor, job, since))
    }

    fn happen(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Submit { first, count } => return self.submit(first, count),
            Event::Cancel { number } => return self.cancel(number),
            Event::Forget { host, function } => return self.forget(host, function),
            Event::SetShare {
                host,
                share,
                weight,
                limit,
            } => {
                if let Some(engine) = self.engine_of_client(host) {
                    let share = ShareId::from_u64(share);
                    self.with(engine, |engine, world| {
                        engine.set_share(share, weight, limit, world);
                    })?;
                }
            }
            Event::EndHopeless { host } => {
                if let Some(engine) = self.engine_of_client(host) {
                    self.with(engine, |engine, world| {
                        engine.scheduler.end_hopeless(world.time());
                    })?;
                }
            }
            Event::Arrive { link, from } => return self.arrive(link, from),
            Event::Dial { engine, mind } => return self.dial(engine, mind),
            Event::Connect { engine, mind } => return self.connect(engine, mind),
            Event::Share { host } => return self.share(host),
            Event::Fault { number } => return self.fault(number),
            Event::Mend { number } => return self.mend(number),
            Event::TakeDown {
                engine,
                executor,
                job,
                since,
            } if self.runs(engine, executor, job, since) => {
                self.take_down(engine, executor, job);
            }
            Event::Restart { host } => self.restart(host, None),
            Event::Ready { engine, executor } => {
                self.with(engine, |engine, world| engine.ready(executor, world))?;
            }
            Event::NotStarted { engine, executor } => {
                self.with(engine, |engine, world| engine.not_started(executor, world))?;
            }
            Event::Begin { engine, executor } => {
                self.fallible(engine, |engine, world| engine.begin(executor, world))?;
            }
            Event::End {
                engine,
                executor,
                job,
                since,
            } if self.runs(engine, executor, job, since) => {
                let end = (job, None);
                self.fallible(engine, |engine, world| engine.end(executor, end, world))?;
            }
            Event::Interrupted {
                engine,
                executor,
                job,
                since,
            } if self.runs(engine, executor, job, since) => {
                let end = (job, Some(Outcome::Cancelled));
                self.fallible(engine, |engine, world| engine.end(executor, end, world))?;
            }
            Event::Notice { engine, executor } => {
                self.fallible(engine, |engine, world| engine.notice(executor, world))?;
            }
            Event::Dies {
                engine,
                executor,
                job,
                since,
            } if self.runs(engine, executor, job, since) => {
                self.fallible(engine, |engine, world| engine.dies(executor, job, world))?;
            }
            // That run has ended otherwise.
            Event::TakeDown { .. }
            | Event::End { .. }
            | Event::Interrupted { .. }
            | Event::Dies { .. } => {}
            Event::Gone { engine, executor } => {
                self.fallible(engine, |engine, world| engine.gone(executor, world))?;
            }
            Event::Tick { engine, at } => self.with(engine, |engine, world| {
                if engine.tick_at == Some(at) {
                    engine.tick_at = None;
                    engine.scheduler.tick(world.time());
                }
            })?,
            Event::Beat { engine, at } => {
                self.with(engine, |engine, world| engine.beat(at, world))?;
            }
        }
        Ok(())
    }

    /// Like [`with`](Self::with), for what may find something wrong.
    pub(crate) fn fallible(
        &mut self,
        engine: usize,
        act: impl FnOnce(&mut Engine, &mut World) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        self.with(engine, |engine, world| Some(act(engine, world)))?
            .unwrap_or(Ok(()))
    }

    /// The engine of a client, if that lives.
    pub(crate) fn engine_of_client(&self, host: usize) -> Option<usize> {
        self.world.hosts.get(host)?.engines.first().copied()
    }

    fn submit(&mut self, first: usize, count: usize) -> Result<(), Violation> {
        let client = self.world.book.entry(first)?.client as usize;
        let Some(engine) = self.engine_of_client(client) else {
            // It is gone.
            self.world.book.abandon(client);
            return Ok(());
        };
        self.fallible(engine, |engine, world| {
            (first..first + count).try_for_each(|number| engine.submit(number, world))
        })
    }

    fn cancel(&mut self, number: usize) -> Result<(), Violation> {
        let entry = self.world.book.entry(number)?;
        let (client, id) = (entry.client as usize, entry.id);
        let is_open = entry.outcome.is_none();
        let (Some(id), Some(engine)) = (id, self.engine_of_client(client)) else {
            return Ok(());
        };
        self.world.book.entry(number)?.is_cancelled |= is_open;
        // Every other one may go on if it has begun.
        self.with(engine, |engine, world| {
            let now = world.time();
            if number.is_multiple_of(2) {
                engine.scheduler.cancel(id, now)
            } else {
                engine.scheduler.withdraw(id, now)
            }
        })?;
        Ok(())
    }

    fn forget(&mut self, host: usize, function: u64) -> Result<(), Violation> {
        let Some(engine) = self.engine_of_client(host) else {
            return Ok(());
        };
        let function = pp_core::FunctionId::from_u64(function);
        self.with(engine, |engine, _| {
            engine.scheduler.forget_function(function)
        })?;
        Ok(())
    }

    /// Messages arrive at one end of a link.
    fn arrive(&mut self, link: usize, from: usize) -> Result<(), Violation> {
        let to = 1 - from;
        let Some(entry) = self.world.net.link(link) else {
            return Ok(());
        };
        let (host, engine, executor) = (entry.hosts[to], entry.ends[to], entry.executor);
        let (is_open, path) = (entry.open[to], entry.path);
        if self.world.net.is_blocked(path) {
            self.world.net.stall(link, from);
            return Ok(());
        }
        let mut inbox = std::mem::take(&mut self.inbox);
        let (now, queue) = (self.world.now, &mut self.world.queue);
        self.world.net.arrived((link, from), &mut inbox, now, queue);
        let power = self.world.hosts.get(host).map(|host| host.power);
        let result = if is_open {
            if let Some(entry) = self.world.net.link_mut(link) {
                entry.heard[to] = now;
            }
            let messages = inbox.drain(..);
            self.fallible(engine, |engine, world| {
                for message in messages {
                    world.trace.note(world.now, &(engine.id, message));
                    match to {
                        PARENT => engine.hear(executor, message, world)?,
                        _ => engine.obey(message, world)?,
                    }
                }
                Ok(())
            })
        } else {
            if power != Some(Power::Off) && !inbox.contains(&Message::Closed) {
                self.world.refuse(link, to);
            }
            Ok(())
        };
        inbox.clear();
        self.inbox = inbox;
        result
    }
}
