//! Carrying out what a scheduler decides.

use pp_core::{Charges, Effect, ExecutorId, FunctionId, JobId};

use crate::book::Kind;
use crate::engine::{Engine, Parting, Work};
use crate::host::Role;
use crate::message::Message;
use crate::net::{NODE, PARENT};
use crate::queue::Event;
use crate::violation::Violation;
use crate::worker::{Phase, Worker};
use crate::world::World;

/// The most jobs that a parent may have here for each that runs, and in all.
const CREDIT_PER_SLOT: u32 = 2_048;
const CREDIT_MAX: u32 = 1 << 20;

/// More decisions than this for each job, at one moment, mean that they go round in circles.
const MOST_EFFECTS: u64 = 1_000;

impl Engine {
    /// Carries out all decisions, and tells the parent what it wants to know.
    pub(crate) fn settle(&mut self, world: &mut World) -> Result<(), Violation> {
        let most = world.counts.effects + MOST_EFFECTS * (1 + world.book.entries.len() as u64);
        loop {
            while let Some(effect) = self.scheduler.poll() {
                world.counts.effects += 1;
                if world.counts.effects > most {
                    let detail = format!("those of engine {} do not", self.id);
                    return Err(Violation::new("decisions come to an end", detail));
                }
                self.carry_out(&effect, world)?;
            }
            self.report_to_parent(world);
            let Some((executor, why)) = self.condemned.pop() else {
                break;
            };
            self.lose(executor, why, world);
        }
        self.settled += 1;
        self.plan_tick(world);
        Ok(())
    }

    fn carry_out(&mut self, effect: &Effect<Work>, world: &mut World) -> Result<(), Violation> {
        world.trace.note(world.now, effect);
        match *effect {
            Effect::Start { executor } => self.start(executor, world),
            Effect::SendFunction { executor, function } => {
                self.send_function(executor, function, world);
            }
            Effect::Send { executor, job } => return self.send(executor, job, world),
            Effect::Recall { executor, job } => self.recall(executor, job, world),
            Effect::Interrupt { executor, job } => return self.interrupt(executor, job, world),
            Effect::Cancel { executor, job } => {
                self.tell(executor, Message::Cancel { job }, world);
            }
            Effect::Retire { executor } if self.children.contains_key(&executor) => {
                self.tell(executor, Message::Shutdown, world);
                self.condemned.push((executor, Parting::Left));
            }
            Effect::Kill { executor } if self.children.contains_key(&executor) => {
                self.condemned.push((executor, Parting::Destroyed));
            }
            Effect::Retire { executor } => self.end_worker(executor, Phase::Leaving, world),
            Effect::Kill { executor } => self.end_worker(executor, Phase::Dying, world),
            Effect::Forget { executor, function } => {
                let function = function.as_u64();
                self.tell(executor, Message::Forget { function }, world);
                if let Some(worker) = self.workers.get_mut(&executor) {
                    worker
                        .functions
                        .retain(|&known| u64::from(known) != function);
                }
            }
            Effect::End {
                data,
                ending,
                charges,
                ..
            } => {
                self.report_charges(data, charges, world);
                return self.ended(data, ending.into(), 0, world);
            }
        }
        Ok(())
    }

    /// Tells the parent what a job was charged with that is given back.
    fn report_charges(&self, work: Work, charges: Charges, world: &mut World) {
        let uplink = self.uplink.as_ref();
        let uplink = uplink.filter(|uplink| uplink.service.is_asked_back(work.up()));
        if let Some(uplink) = uplink.filter(|_| !charges.is_none()) {
            let job = JobId::from_u64(work.up());
            world.say(uplink.link, NODE, Message::Charge { job, charges });
        }
    }

    fn tell(&self, executor: ExecutorId, message: Message, world: &mut World) {
        if let Some(child) = self.children.get(&executor) {
            world.say(child.link, PARENT, message);
        }
    }

    fn start(&mut self, executor: ExecutorId, world: &mut World) {
        let engine = self.id;
        self.workers.insert(executor, Worker::starting());
        let failing = world
            .hosts
            .get(self.host)
            .map_or(0, |host| host.failing_starts);
        let takes = world.settings.start_time;
        let takes = takes + world.rng.below(takes / 8);
        if failing > 0 && world.rng.chance(failing) {
            world.plan(takes, Event::NotStarted { engine, executor });
        } else {
            world.plan(takes, Event::Ready { engine, executor });
        }
    }

    fn send_function(&mut self, executor: ExecutorId, function: FunctionId, world: &mut World) {
        let function = function.as_u64();
        self.tell(executor, Message::Function { function }, world);
        if let Some(worker) = self.workers.get_mut(&executor) {
            worker.functions.extend(u32::try_from(function));
        }
    }

    fn send(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        world: &mut World,
    ) -> Result<(), Violation> {
        let Some(&work) = self.scheduler.data(job) else {
            return Err(Violation::new(
                "what is sent lives",
                format!("{job} does not"),
            ));
        };
        let number = work.number();
        self.check_limit(job)?;
        if let Some(child) = self.children.get(&executor) {
            world.say(child.link, PARENT, Message::Job { job, number });
            return self.check_credit(executor);
        }
        let function = world.book.entry(number)?.spec.function;
        let worker = self.workers.get_mut(&executor);
        let worker = worker.filter(|worker| worker.phase == Phase::Ready);
        let Some(worker) = worker.filter(|worker| worker.functions.contains(&function)) else {
            let detail = format!("{job} to {executor} without its function, or too late");
            return Err(Violation::new("workers get what they can run", detail));
        };
        if worker.take(job, number) {
            let engine = self.id;
            world.plan(world.settings.wake_up, Event::Begin { engine, executor });
        }
        Ok(())
    }

    /// One that was lowered since may have been kept to when this was decided.
    fn check_limit(&self, job: JobId) -> Result<(), Violation> {
        let Some(share) = self.scheduler.job(job).map(|job| job.share) else {
            return Ok(());
        };
        let held = self
            .scheduler
            .share_stats(share)
            .map_or(0, |stats| stats.held);
        match self.limits.get(&share) {
            Some(&limit) if held > limit as usize => {
                let detail = format!("{job} is one of {held} of {share}, {limit} are allowed");
                Err(Violation::new("shares keep to their limits", detail))
            }
            _ => Ok(()),
        }
    }

    /// A node that wants fewer jobs from now on may get what was decided before.
    fn check_credit(&self, executor: ExecutorId) -> Result<(), Violation> {
        let stats = self.scheduler.executor_stats(executor);
        let (Some(stats), Some(child)) = (stats, self.children.get(&executor)) else {
            return Ok(());
        };
        if stats.held <= child.most_credit as usize {
            return Ok(());
        }
        let detail = format!("{executor} of engine {}: {stats:?}", self.id);
        Err(Violation::new("nobody gets more than its credit", detail))
    }

    /// From a worker a job is taken by its claim, which answers at once; a node is asked.
    fn recall(&mut self, executor: ExecutorId, job: JobId, world: &mut World) {
        world.counts.recalls += 1;
        if self.children.contains_key(&executor) {
            return self.tell(executor, Message::Recall { job }, world);
        }
        let worker = self.workers.get_mut(&executor);
        let recalled = worker.is_some_and(|worker| worker.recall(job));
        let now = world.time();
        self.scheduler.recall_answered(executor, job, recalled, now);
    }

    /// A job that runs is asked to end. Some do so too late.
    fn interrupt(
        &self,
        executor: ExecutorId,
        job: JobId,
        world: &mut World,
    ) -> Result<(), Violation> {
        let engine = self.id;
        self.check_interrupt(executor, job, world)?;
        let grace = world.settings.core.cancel_grace.as_nanos();
        let grace = u64::try_from(grace).unwrap_or(u64::MAX);
        let takes = world.rng.below(grace + grace / 2);
        let event = Event::Interrupted {
            engine,
            executor,
            job,
            since: self.workers.get(&executor).map_or(0, |worker| worker.since),
        };
        world.plan(takes, event);
        Ok(())
    }

    fn end_worker(&mut self, executor: ExecutorId, phase: Phase, world: &mut World) {
        let engine = self.id;
        if let Some(worker) = self.workers.get_mut(&executor) {
            worker.phase = phase;
            world.plan(world.settings.kill_time, Event::Gone { engine, executor });
        }
    }

    /// Lets a worker begin its next job.
    pub(crate) fn begin(
        &mut self,
        executor: ExecutorId,
        world: &mut World,
    ) -> Result<(), Violation> {
        let Some(worker) = self.workers.get_mut(&executor) else {
            return Ok(());
        };
        let lives = matches!(worker.phase, Phase::Ready | Phase::Leaving);
        if worker.runs.is_some() || !lives {
            return Ok(());
        }
        let Some((job, number)) = worker.waiting.pop_front() else {
            return Ok(());
        };
        worker.runs = Some(job);
        worker.since = world.now;
        let Some(host) = world.hosts.get(self.host) else {
            return Ok(());
        };
        let (speed, role) = (host.speed, host.role);
        let spec = world.book.begin(number, world.now)?;
        world.counts.begun += 1;
        if spec.is_demanding() {
            self.check_amounts(world)?;
        }
        let (engine, since) = (self.id, world.now);
        let takes = spec.run_time.saturating_mul(100) / speed;
        let end = Event::End {
            engine,
            executor,
            job,
            since,
        };
        let death = Event::Dies {
            engine,
            executor,
            job,
            since,
        };
        let down = Event::TakeDown {
            engine,
            executor,
            job,
            since,
        };
        match (spec.kind, role) {
            (Kind::Good | Kind::Raises(_), _) => world.plan(takes, end),
            (Kind::KillsNode, Role::Node) => world.plan(takes / 2, down),
            (Kind::KillsWorker | Kind::KillsNode, _) => world.plan(takes / 2, death),
        }
        Ok(())
    }

    /// Says how many jobs run at a time and may be here, and which of those that were asked
    /// for stay.
    fn report_to_parent(&mut self, world: &mut World) {
        if self.uplink.is_none() {
            return;
        }
        let (slots, amounts) = (self.slots(), self.supply(world));
        let Some(uplink) = &mut self.uplink else {
            return;
        };
        let link = uplink.link;
        if !uplink.service.is_empty() && !std::mem::replace(&mut self.is_busy, true) {
            world.plan_share(self.host);
        }
        if self.is_unable {
            return self.leave_parent(Parting::Fault, world);
        }
        if uplink.told.is_none()
            && let Some(amounts) = amounts
        {
            world.say(link, NODE, Message::Supply { amounts });
        }
        if uplink.told != Some(slots) {
            uplink.told = Some(slots);
            let credit = slots.saturating_mul(CREDIT_PER_SLOT).min(CREDIT_MAX);
            uplink.most_credit = uplink.most_credit.max(credit);
            world.say(link, NODE, Message::Capacity { slots, credit });
        }
        for job in uplink.service.begun(&self.scheduler) {
            let job = JobId::from_u64(job);
            let recalled = false;
            world.say(link, NODE, Message::Recalled { job, recalled });
        }
    }
}
