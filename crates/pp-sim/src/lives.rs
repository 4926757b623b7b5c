//! The lives of an engine's workers.

use pp_core::{ExecutorId, JobId};

use crate::book::Outcome;
use crate::engine::Engine;
use crate::queue::Event;
use crate::violation::Violation;
use crate::worker::Phase;
use crate::world::World;

/// The most jobs that a worker holds.
const CREDIT: u32 = 1_000;

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

    /// A worker has run a job to its end, which is this.
    pub(crate) fn end(
        &mut self,
        executor: ExecutorId,
        (job, outcome): (JobId, Outcome),
        world: &mut World,
    ) -> Result<(), Violation> {
        let engine = self.id;
        let Some(worker) = self.workers.get_mut(&executor) else {
            return Ok(());
        };
        if worker.runs != Some(job) || worker.phase == Phase::Dying {
            return Ok(());
        }
        worker.runs = None;
        let took = world.now - worker.since;
        world.counts.busy += took;
        worker.written.push((job, outcome, took));
        if worker.written.len() == 1 {
            world.plan(world.settings.notice, Event::Notice { engine, executor });
        }
        self.begin(executor, world)
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
