//! A scheduler with nodes, for scenarios.

use std::time::Duration;

use pp_core::{Config, Effect, Ending, ExecutorId, JobId, JobState, Scheduler, Time};

use crate::env::F;

/// A scheduler with nodes, and what it wants done.
pub(crate) struct Cluster {
    pub(crate) scheduler: Scheduler<u64>,
    pub(crate) now: Time,
    pub(crate) submitted: u64,
    pub(crate) log: Vec<Effect<u64>>,
}

impl Cluster {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            scheduler: Scheduler::new(config),
            now: Time::from_nanos(1),
            submitted: 0,
            log: Vec::new(),
        }
    }

    pub(crate) fn absorb(&mut self) {
        while let Some(effect) = self.scheduler.poll() {
            self.log.push(effect);
        }
        self.scheduler.check_invariants().unwrap();
    }

    pub(crate) fn join(&mut self, slots: u32, latency: Duration) -> ExecutorId {
        let id = self
            .scheduler
            .node_joined(slots, 100_000, latency, self.now)
            .unwrap();
        self.absorb();
        id
    }

    pub(crate) fn submit(&mut self, count: usize) -> Vec<JobId> {
        let jobs = (0..count)
            .map(|_| {
                self.submitted += 1;
                let job = self.scheduler.submit(F, self.submitted, self.now);
                job.unwrap()
            })
            .collect();
        self.absorb();
        jobs
    }

    pub(crate) fn finish(&mut self, node: ExecutorId, job: JobId, run_time: Duration) {
        let ended = self.scheduler.job_finished(node, job, run_time, self.now);
        assert!(ended.is_some(), "{node} does not hold {job}");
        self.absorb();
    }

    /// Lets the function be known to take `run_time`.
    pub(crate) fn measure(&mut self, run_time: Duration) {
        let job = self.submit(1)[0];
        let node = self.holder(job).expect("somebody is free");
        self.finish(node, job, run_time);
        self.log.clear();
    }

    pub(crate) fn lose(&mut self, node: ExecutorId) {
        self.scheduler.executor_lost(node, &[], self.now);
        self.absorb();
    }

    pub(crate) fn holder(&self, job: JobId) -> Option<ExecutorId> {
        match self.scheduler.job(job)?.state {
            JobState::Queued | JobState::Waiting | JobState::Paused => None,
            JobState::Sent { executor }
            | JobState::Recalling { executor }
            | JobState::Cancelling { executor } => Some(executor),
        }
    }

    pub(crate) fn held(&self, node: ExecutorId) -> usize {
        self.scheduler.executor_stats(node).unwrap().held
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now = self.now.saturating_add(by);
        self.scheduler.tick(self.now);
        self.absorb();
    }

    pub(crate) fn recalls(&mut self) -> Vec<(ExecutorId, JobId)> {
        let recalls = self.log.iter().filter_map(|effect| match *effect {
            Effect::Recall { executor, job } => Some((executor, job)),
            _ => None,
        });
        let recalls = recalls.collect();
        self.log.clear();
        recalls
    }

    pub(crate) fn endings(&mut self) -> Vec<(JobId, Ending)> {
        let ends = self.log.iter().filter_map(|effect| match *effect {
            Effect::End { job, ending, .. } => Some((job, ending)),
            _ => None,
        });
        let ends = ends.collect();
        self.log.clear();
        ends
    }
}

pub(crate) fn cluster() -> Cluster {
    Cluster::new(Config::default())
}
