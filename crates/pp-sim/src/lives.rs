//! The lives of an engine's workers.

use pp_core::{ExecutorId, JobId};

use crate::book::{Kind, Outcome};
use crate::engine::Engine;
use crate::queue::Event;
use crate::violation::Violation;
use crate::worker::{Phase, Worker};
use crate::world::World;

/// The most jobs that a worker holds.
const CREDIT: u32 = 1_000;

/// The least that a limit counts, in nanoseconds.
const LEAST: u64 = 1_000_000;

/// How much later than it happens may be seen that a worker begins a job.
const SLACK: u64 = 10_000_000;

impl Engine {
    /// A worker has been started.
    pub(crate) fn ready(&mut self, executor: ExecutorId, world: &World) {
        let worker = self.workers.get_mut(&executor);
        if let Some(worker) = worker.filter(|worker| worker.phase == Phase::Starting) {
            worker.phase = Phase::Ready;
            self.scheduler
                .executor_ready(executor, CREDIT, world.time());
        }
    }

    /// A worker has died before it was ready.
    pub(crate) fn not_started(&mut self, executor: ExecutorId, world: &mut World) {
        if self.workers.remove(&executor).is_some() {
            self.scheduler.executor_start_failed(executor, world.time());
            world.plan_share(self.host);
        }
    }

    /// Whether that run of a job goes on which began at that time.
    pub(crate) fn runs(&self, executor: ExecutorId, job: JobId, since: u64) -> bool {
        let worker = self.workers.get(&executor);
        worker.is_some_and(|worker| worker.runs == Some(job) && worker.since == since)
    }

    /// A worker has run a job to its end: how it ends.
    fn outcome(&self, job: JobId, world: &mut World) -> Result<Outcome, Violation> {
        let Some(work) = self.scheduler.data(job) else {
            return Ok(Outcome::Done);
        };
        let entry = world.book.entry(work.number())?;
        let Kind::Raises(times) = entry.spec.kind else {
            return Ok(Outcome::Done);
        };
        if entry.raised >= times {
            return Ok(Outcome::Done);
        }
        entry.raised += 1;
        Ok(Outcome::Raised)
    }

    /// A worker has run a job to its end, which is this if that is known.
    pub(crate) fn end(
        &mut self,
        executor: ExecutorId,
        (job, outcome): (JobId, Option<Outcome>),
        world: &mut World,
    ) -> Result<(), Violation> {
        let engine = self.id;
        let runs = |worker: &Worker| worker.runs == Some(job) && worker.phase != Phase::Dying;
        if !self.workers.get(&executor).is_some_and(runs) {
            return Ok(());
        }
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => self.outcome(job, world)?,
        };
        let Some(worker) = self.workers.get_mut(&executor) else {
            return Ok(());
        };
        worker.runs = None;
        let took = world.now - worker.since;
        world.counts.busy += took;
        worker.written.push((job, outcome, took));
        if worker.written.len() == 1 {
            world.plan(world.settings.notice, Event::Notice { engine, executor });
        }
        self.check_run_time(job, took, world)?;
        self.begin(executor, world)
    }

    /// Whether what is known of the times of this machine is true.
    fn keeps_time(&self, world: &World) -> bool {
        let host = world.hosts.get(self.host);
        host.is_some_and(|host| host.frozen_until == 0)
    }

    /// No job may run for longer than its limit and the grace after it.
    fn check_run_time(&self, job: JobId, took: u64, world: &World) -> Result<(), Violation> {
        let work = self.scheduler.data(job);
        let spec = work.and_then(|work| world.book.spec(work.number()));
        let limit = spec.and_then(|spec| spec.time_limit);
        let grace = world.settings.core.cancel_grace.as_nanos();
        let most = |limit: u64| u128::from(limit.max(LEAST) + SLACK) + grace;
        if limit.is_none_or(|limit| u128::from(took) <= most(limit)) || !self.keeps_time(world) {
            return Ok(());
        }
        let detail = format!("{job} of engine {} ran for {took} ns: {spec:?}", self.id);
        Err(Violation::new("no job runs longer than it may", detail))
    }

    /// A job is asked to end: somebody has cancelled it, or it has run for as long as it may.
    pub(crate) fn check_interrupt(
        &self,
        executor: ExecutorId,
        job: JobId,
        world: &mut World,
    ) -> Result<(), Violation> {
        let work = self.scheduler.data(job).copied();
        let worker = self.workers.get(&executor);
        let worker = worker.filter(|worker| worker.runs == Some(job));
        let (Some(work), Some(worker)) = (work, worker) else {
            // Its end is on the way.
            return Ok(());
        };
        let keeps_time = self.keeps_time(world);
        let took = world.now - worker.since + world.settings.wake_up;
        let entry = world.book.entry(work.number())?;
        let limit = entry.spec.time_limit;
        let is_over = limit.is_some_and(|limit| took >= limit || !keeps_time);
        entry.overdue += u32::from(is_over);
        if is_over || entry.is_cancelled {
            return Ok(());
        }
        let detail = format!("job {} after {took} ns", work.number());
        Err(Violation::new("jobs are interrupted for a reason", detail))
    }

    /// What a worker has written is read.
    pub(crate) fn notice(
        &mut self,
        executor: ExecutorId,
        world: &mut World,
    ) -> Result<(), Violation> {
        let Some(worker) = self.workers.get_mut(&executor) else {
            return Ok(());
        };
        for (job, outcome, took) in std::mem::take(&mut worker.written) {
            self.finished(executor, (job, outcome), took, world)?;
        }
        Ok(())
    }

    /// A worker dies, if it still runs a job; true if it does.
    pub(crate) fn dies(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        world: &mut World,
    ) -> Result<(), Violation> {
        let worker = self.workers.get(&executor);
        let is_meant = worker.is_some_and(|one| one.runs == Some(job) && one.phase != Phase::Dying);
        if !is_meant {
            return Ok(());
        }
        self.notice(executor, world)?;
        self.workers.remove(&executor);
        self.scheduler.executor_lost(executor, &[job], world.time());
        world.plan_share(self.host);
        Ok(())
    }

    /// A worker that was killed or asked to go is gone.
    pub(crate) fn gone(
        &mut self,
        executor: ExecutorId,
        world: &mut World,
    ) -> Result<(), Violation> {
        self.notice(executor, world)?;
        let Some(worker) = self.workers.remove(&executor) else {
            return Ok(());
        };
        let started: Vec<JobId> = worker.runs.into_iter().collect();
        let now = world.time();
        if worker.phase == Phase::Leaving {
            self.scheduler.executor_exited(executor, now);
        } else {
            self.scheduler.executor_lost(executor, &started, now);
        }
        world.plan_share(self.host);
        Ok(())
    }

    /// A worker that runs a job, if there is one: that of some number among them.
    pub(crate) fn some_runner(&self, number: usize) -> Option<(ExecutorId, JobId)> {
        let runners = self.workers.iter();
        let mut runners = runners.filter_map(|(&id, worker)| Some((id, worker.runs?)));
        let all: Vec<_> = runners.by_ref().collect();
        all.get(number % all.len().max(1)).copied()
    }
}
