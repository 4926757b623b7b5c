//! Events of jobs for which more is asked than that they are run, and what the model expects
//! of these.

use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{Ending, ExecutorId, FunctionId, JobId, Raised, Retries, ShareId, Terms};

use crate::env::{Env, Job, Phase, Place, ms};

impl Job {
    /// Whether it is run again if it raises something, or if its time is over.
    pub(crate) fn has_retry(&self, is_over: bool) -> bool {
        let retries = self.terms.retries;
        self.retries < retries.count && !self.cancelled && (!is_over || retries.on_timeout)
    }
}

impl Env {
    pub(crate) fn submit_with(&mut self, function: FunctionId, terms: &Terms) -> JobId {
        let data = self.submitted;
        let job = self
            .scheduler
            .submit_with(function, terms, data, self.now)
            .expect("it is not destroyed");
        self.submitted(job, function, terms.clone())
    }

    pub(crate) fn submit_many_with(
        &mut self,
        function: FunctionId,
        terms: &Terms,
        count: usize,
    ) -> Vec<JobId> {
        (0..count)
            .map(|_| self.submit_with(function, terms))
            .collect()
    }

    pub(crate) fn set_share(&mut self, share: ShareId, weight: u32, limit: Option<u32>) {
        self.catch_up();
        let weight = NonZeroU32::new(weight).expect("it is positive");
        match limit {
            _ if self.destroyed => None,
            Some(limit) => self.limits.insert(share, limit),
            None => self.limits.remove(&share),
        };
        self.scheduler.set_share(share, weight, limit, self.now);
        self.absorb();
    }

    /// A job that begins after others.
    pub(crate) fn submit_after(&mut self, function: FunctionId, after: &[JobId]) -> JobId {
        let after = after.to_vec();
        let terms = Terms {
            after,
            ..Terms::default()
        };
        self.submit_with(function, &terms)
    }

    /// A job that may run for so long.
    pub(crate) fn submit_limited(&mut self, function: FunctionId, limit: Duration) -> JobId {
        let terms = Terms {
            time_limit: Some(limit),
            ..Terms::default()
        };
        self.submit_with(function, &terms)
    }

    /// The executor's first job, which was asked to end, does so.
    pub(crate) fn stop(&mut self, executor: ExecutorId, run_time: Duration) -> JobId {
        let job = self.take_first(executor);
        let is_known = self.scheduler.job(job).is_some();
        self.scheduler
            .job_stopped(executor, job, run_time, self.now);
        if is_known {
            self.note_run(executor);
            self.note_stop(job);
        }
        self.absorb();
        job
    }

    /// The executor's first job raises something.
    pub(crate) fn raise(&mut self, executor: ExecutorId, run_time: Duration) -> JobId {
        let job = self.take_first(executor);
        let may_go_on = self.jobs[&job].has_retry(false);
        let raised = self.scheduler.job_raised(executor, job, run_time, self.now);
        match raised {
            Raised::Again => {
                assert!(may_go_on, "{job} has no retry left");
                self.note_run(executor);
                self.note_again(job);
            }
            Raised::Ended(data) => {
                assert!(!may_go_on, "{job} may go on");
                self.note_end(executor, job, Some(data));
                self.failed.insert(job);
            }
            Raised::Unknown => assert!(self.is_late, "{job} was with {executor}"),
        }
        self.absorb();
        job
    }

    /// A job was ended from outside: it is run again, or its end comes.
    pub(crate) fn note_stop(&mut self, job: JobId) {
        let entry = self.jobs.get_mut(&job).expect("it lives");
        entry.interrupted = false;
        if entry.has_retry(true) {
            self.overdue.remove(&job);
            self.note_again(job);
        }
    }

    /// A job is to be run again.
    fn note_again(&mut self, job: JobId) {
        let entry = self.jobs.get_mut(&job).expect("it lives");
        let Retries {
            pause, max_pause, ..
        } = entry.terms.retries;
        let mut pause = pause.saturating_mul(1 << entry.retries);
        if max_pause > Duration::ZERO {
            pause = pause.min(max_pause);
        }
        entry.retries += 1;
        entry.returned = true;
        entry.interrupted = false;
        if pause.is_zero() {
            self.somebody_asks();
        } else {
            entry.place = Place::Paused(self.now.saturating_add(pause));
        }
    }

    /// Pauses that are over have ended.
    pub(crate) fn note_pauses(&mut self) {
        let mut are_over = false;
        for entry in self.jobs.values_mut() {
            if matches!(entry.place, Place::Paused(until) if until <= self.now) {
                entry.place = Place::Queue;
                are_over = true;
            }
        }
        if are_over {
            self.somebody_asks();
        }
    }

    /// An executor is killed: where it was not asked to end before, that is because of its
    /// first job.
    pub(crate) fn note_kill(&mut self, executor: ExecutorId) {
        if let Some(&job) = self.workers[&executor].held.first() {
            let is_over = self.is_over(executor, job);
            let entry = self.jobs.get_mut(&job).expect("it lives");
            entry.interrupted |= is_over && entry.has_retry(true);
        }
    }

    /// Executors whose first jobs were asked to end.
    pub(crate) fn being_stopped(&self) -> Vec<ExecutorId> {
        let ready = self.in_phase(Phase::Ready).into_iter();
        let is_asked = |&id: &ExecutorId| {
            let first = self.workers[&id].held.first();
            first.is_some_and(|job| self.jobs[job].interrupted)
        };
        ready.filter(is_asked).collect()
    }

    /// Takes note of which jobs are now the first that workers hold.
    pub(crate) fn note_first(&mut self) {
        for worker in self.workers.values_mut() {
            let first = worker.held.first().copied();
            if first != worker.first.map(|(job, _)| job) {
                worker.first = first.map(|job| (job, self.now));
            }
        }
    }

    /// Whether a job has been the first of an executor for as long as it may run.
    pub(crate) fn is_over(&mut self, executor: ExecutorId, job: JobId) -> bool {
        let limit = self.jobs[&job].terms.time_limit;
        let first = self.workers[&executor].first;
        let since = first.filter(|&(first, _)| first == job);
        let is_over = since
            .zip(limit)
            .is_some_and(|((_, since), limit)| since.saturating_add(limit.max(ms(1))) <= self.now);
        if is_over {
            self.overdue.insert(job);
        }
        is_over
    }

    /// Jobs that have run for as long as they may are asked to end, or it is asked whether
    /// they have begun.
    pub(crate) fn check_time_limits(&mut self) {
        for executor in self.in_phase(Phase::Ready) {
            let Some(&job) = self.workers[&executor].held.first() else {
                continue;
            };
            let is_asked = self.workers[&executor].asked.contains(&job);
            let is_known = is_asked || self.jobs[&job].interrupted;
            assert!(!self.is_over(executor, job) || is_known, "{job} goes on");
        }
    }

    /// The executor's first job fails in a way of its own.
    pub(crate) fn fail(&mut self, executor: ExecutorId, run_time: Duration) -> JobId {
        let job = self.take_first(executor);
        let data = self.scheduler.job_failed(executor, job, run_time, self.now);
        if self.note_end(executor, job, data) {
            self.failed.insert(job);
        }
        self.absorb();
        job
    }

    /// Whether an executor still has a job to run.
    pub(crate) fn still_runs(&self, executor: ExecutorId) -> bool {
        let worker = self.workers.get(&executor);
        worker.is_some_and(|worker| worker.phase == Phase::Ready && worker.begun)
    }

    /// A job has ended well: those that wait for it alone are queued.
    pub(crate) fn note_success(&mut self, job: JobId) {
        let mut are_ready = false;
        for entry in self.jobs.values_mut() {
            if entry.unmet.remove(&job) && entry.unmet.is_empty() {
                entry.place = Place::Queue;
                are_ready = true;
            }
        }
        if are_ready {
            self.somebody_asks();
        }
    }

    /// How what depends on a job ends that has ended; `None` if that ended well.
    pub(crate) fn spread(&self, job: JobId) -> Option<Ending> {
        if self.failed.contains(&job) {
            return Some(Ending::DependencyFailed { root: job });
        }
        match *self.ended.get(&job)? {
            None => None,
            Some(Ending::Cancelled) => Some(Ending::DependencyCancelled { root: job }),
            Some(
                ending @ (Ending::DependencyFailed { .. } | Ending::DependencyCancelled { .. }),
            ) => Some(ending),
            Some(_) => Some(Ending::DependencyFailed { root: job }),
        }
    }
}
