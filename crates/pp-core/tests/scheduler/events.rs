//! The events of the virtual world: each tells the scheduler, and the model what it
//! has to expect of it.

use std::collections::BTreeSet;
use std::time::Duration;

use pp_core::{ExecutorId, FunctionId, JobId, Terms};

use crate::env::{CREDIT, Env, Job, Phase, Place};

impl Env {
    // Events of jobs.

    pub(crate) fn submit(&mut self, function: FunctionId) -> JobId {
        let data = self.submitted;
        let job = self.scheduler.submit(function, data, self.now);
        self.submitted(
            job.expect("it is not destroyed"),
            function,
            Terms::default(),
        )
    }

    /// The model hears of a new job, which carries the number of those before.
    pub(crate) fn submitted(&mut self, job: JobId, function: FunctionId, terms: Terms) -> JobId {
        let newest = self.jobs.last_key_value().map(|(&job, _)| job);
        let newest = newest.max(self.ended.last_key_value().map(|(&job, _)| job));
        assert!(newest < Some(job), "{job} is not newer than {newest:?}");
        let live = |job: &&JobId| self.jobs.contains_key(job);
        let unmet: BTreeSet<_> = terms.after.iter().filter(live).copied().collect();
        let is_ready = unmet.is_empty();
        let items = self.note_data(&terms.data);
        let entry = Job {
            function,
            terms,
            items,
            unmet,
            data: self.submitted,
            place: if is_ready {
                Place::Queue
            } else {
                Place::Waiting
            },
            deaths: 0,
            returned: false,
            cancelled: false,
            interrupted: false,
            asked_at: None,
            retries: 0,
        };
        self.submitted += 1;
        self.jobs.insert(job, entry);
        if is_ready {
            self.somebody_asks();
        }
        self.absorb();
        job
    }

    pub(crate) fn submit_many(&mut self, function: FunctionId, count: usize) -> Vec<JobId> {
        (0..count).map(|_| self.submit(function)).collect()
    }

    /// The executor begins its first job.
    pub(crate) fn begin(&mut self, executor: ExecutorId) {
        let worker = self.workers.get_mut(&executor).expect("it lives");
        worker.begun |= !worker.held.is_empty();
    }

    /// The executor runs its first job to the end.
    pub(crate) fn finish(&mut self, executor: ExecutorId, run_time: Duration) -> JobId {
        let job = self.take_first(executor);
        let data = self
            .scheduler
            .job_finished(executor, job, run_time, self.now);
        if self.note_end(executor, job, data) {
            self.note_success(job);
        }
        self.absorb();
        job
    }

    /// The executor is through with its first job.
    pub(crate) fn take_first(&mut self, executor: ExecutorId) -> JobId {
        let worker = self.workers.get_mut(&executor).expect("it lives");
        let job = worker.held.remove(0);
        worker.begun = false;
        worker.asked.retain(|&asked| asked != job);
        worker.ever_asked.remove(&job);
        let place = &mut self.jobs.get_mut(&job).expect("it lives").place;
        assert_eq!(*place, Place::With(executor));
        // If it was ended before, we shall hear of it.
        *place = Place::Queue;
        job
    }

    /// The scheduler was told of the end of a job, and gave this; false if it had ended it
    /// before.
    pub(crate) fn note_end(&mut self, executor: ExecutorId, job: JobId, data: Option<u64>) -> bool {
        if data.is_none() && self.is_late {
            return false;
        }
        let entry = self.jobs.remove(&job).expect("it lives");
        self.forget_items();
        assert_eq!(data, Some(entry.data), "{job} finished on {executor}");
        self.ended.insert(job, None);
        self.note_run(executor);
        true
    }

    /// The executor has run a job.
    pub(crate) fn note_run(&mut self, executor: ExecutorId) {
        let worker = self.workers.get_mut(&executor).expect("it lives");
        worker.finished += 1;
        if worker.finished == 1 {
            self.failures = 0;
        }
    }

    /// Time passes, then the executor's first job ends after as long.
    pub(crate) fn run(&mut self, executor: ExecutorId, run_time: Duration) -> JobId {
        self.begin(executor);
        self.advance(run_time);
        self.finish(executor, run_time)
    }

    pub(crate) fn cancel(&mut self, job: JobId) -> bool {
        let entry = self.jobs.get_mut(&job);
        let is_live = entry.is_some();
        if let Some(entry) = entry {
            entry.cancelled = true;
        }
        let accepted = self.scheduler.cancel(job, self.now);
        assert!(accepted == is_live || self.is_late, "cancelling {job}");
        self.absorb();
        accepted
    }

    /// Cancels a job if it has not begun.
    pub(crate) fn withdraw(&mut self, job: JobId) -> bool {
        let entry = self.jobs.get_mut(&job);
        let is_live = entry.is_some();
        if let Some(entry) = entry {
            entry.cancelled = true;
        }
        let accepted = self.scheduler.withdraw(job, self.now);
        assert!(accepted == is_live || self.is_late, "withdrawing {job}");
        self.absorb();
        accepted
    }

    /// The executor answers what it was asked to give back, truly.
    pub(crate) fn answer(&mut self, executor: ExecutorId) {
        while let Some(&job) = self
            .workers
            .get(&executor)
            .and_then(|worker| worker.asked.first())
        {
            self.answer_for(executor, job);
            self.absorb();
        }
    }

    /// Answers for one job. The caller absorbs.
    pub(crate) fn answer_for(&mut self, executor: ExecutorId, job: JobId) {
        let worker = self.workers.get_mut(&executor).expect("it lives");
        worker.asked.retain(|&asked| asked != job);
        let place = worker.held.iter().position(|&held| held == job);
        let begun = place == Some(0) && worker.begun;
        if self.is_killed(executor) {
            // The job comes back when the executor is gone.
            self.scheduler
                .recall_answered(executor, job, !begun, self.now);
            return;
        }
        let worker = self.workers.get_mut(&executor).expect("it lives");
        if let Some(place) = place
            && !begun
        {
            worker.held.remove(place);
            worker.given -= 1;
            worker.ever_asked.remove(&job);
            let entry = self.jobs.get_mut(&job).expect("it lives");
            entry.place = Place::Queue;
            entry.returned = true;
            if !entry.cancelled {
                self.somebody_asks();
            }
        }
        self.scheduler
            .recall_answered(executor, job, !begun, self.now);
    }

    // Events of executors.

    /// All starting executors become ready; gives their names.
    pub(crate) fn make_ready(&mut self) -> Vec<ExecutorId> {
        let starting = self.in_phase(Phase::Starting);
        for &executor in &starting {
            self.become_ready(executor, CREDIT);
        }
        starting
    }

    pub(crate) fn become_ready(&mut self, executor: ExecutorId, credit: u32) {
        let worker = self.workers.get_mut(&executor).expect("it lives");
        assert_eq!(worker.phase, Phase::Starting);
        worker.phase = Phase::Ready;
        worker.credit = credit;
        self.scheduler.executor_ready(executor, credit, self.now);
        self.absorb();
    }

    pub(crate) fn credit(&mut self, executor: ExecutorId, credit: u32) {
        self.catch_up();
        self.workers.get_mut(&executor).expect("it lives").credit = credit;
        self.scheduler.executor_credit(executor, credit, self.now);
        self.absorb();
    }

    pub(crate) fn fail_start(&mut self, executor: ExecutorId) {
        let is_wanted = self.is_wanted(executor);
        let worker = self.workers.remove(&executor).expect("it lives");
        assert_eq!(worker.phase, Phase::Starting);
        if is_wanted {
            self.count_failure();
        }
        self.scheduler.executor_start_failed(executor, self.now);
        self.absorb();
    }

    /// The executor dies; the job that it has begun is charged unless it was killed.
    pub(crate) fn die(&mut self, executor: ExecutorId) {
        let is_wanted = self.is_wanted(executor);
        let is_killed = self.is_killed(executor);
        let worker = self.workers.remove(&executor).expect("it lives");
        assert!(is_killed || worker.phase != Phase::Dying);
        let started = if worker.begun { &worker.held[..1] } else { &[] };
        let charged = if is_killed { &[] } else { started };
        for &job in &worker.held {
            let entry = self.jobs.get_mut(&job).expect("it lives");
            entry.place = Place::Queue;
            entry.returned = true;
            if entry.interrupted {
                self.note_stop(job);
                continue;
            }
            entry.deaths += u32::from(charged.contains(&job));
            if !entry.cancelled && entry.deaths < self.config.max_worker_deaths.get() {
                self.somebody_asks();
            }
        }
        if is_wanted && worker.finished == 0 && charged.is_empty() {
            self.count_failure();
        } else if is_wanted {
            if !charged.is_empty() {
                self.failures = 0;
            }
            let counts = self.scheduler.worker_counts();
            // It still counts itself.
            if counts.ready == 1 {
                self.failures = self.failures.min(self.config.start_attempts.max(1) - 1);
            }
        }
        self.scheduler.executor_lost(executor, started, self.now);
        self.absorb();
    }

    /// A wanted executor that has not begun a job is gone; it is still counted.
    fn count_failure(&mut self) {
        self.failures += 1;
        let others = self.scheduler.worker_counts().wanted() - 1;
        self.given_up |= self.failures >= self.config.start_attempts.max(1) && others == 0;
    }

    pub(crate) fn somebody_asks(&mut self) {
        if std::mem::take(&mut self.given_up) {
            self.failures = 0;
        }
    }

    pub(crate) fn exit(&mut self, executor: ExecutorId) {
        let worker = self.workers.remove(&executor).expect("it lives");
        assert_eq!(worker.phase, Phase::Leaving);
        self.scheduler.executor_exited(executor, self.now);
        self.absorb();
    }

    // Events of the owner.

    pub(crate) fn resize(&mut self, workers: u32) {
        self.failures = 0;
        self.given_up = false;
        self.target = workers;
        self.scheduler.resize(workers, self.now);
        self.absorb();
    }

    pub(crate) fn destroy(&mut self) {
        self.destroyed = true;
        self.scheduler.destroy(self.now);
        self.absorb();
    }

    pub(crate) fn forget(&mut self, function: FunctionId) -> bool {
        let is_forgotten = self.scheduler.forget_function(function);
        self.absorb();
        is_forgotten
    }

    /// Time passes, with a tick at each deadline.
    pub(crate) fn advance(&mut self, duration: Duration) {
        self.catch_up();
        let end = self.now.saturating_add(duration);
        while let Some(deadline) = self.scheduler.next_deadline().filter(|&time| time <= end) {
            self.now = self.now.max(deadline);
            self.scheduler.tick(self.now);
            self.absorb();
            let next = self.scheduler.next_deadline();
            assert!(
                next.is_none_or(|next| next > self.now),
                "a tick at {deadline:?} did nothing"
            );
        }
        self.now = end;
    }

    /// Polls what was held back.
    pub(crate) fn catch_up(&mut self) {
        self.hold = 0;
        if self.is_late {
            self.absorb();
        }
    }

    /// Submits so many jobs one after another, and runs each at once.
    pub(crate) fn run_dry(&mut self, function: FunctionId, run_time: Duration, count: usize) {
        for _ in 0..count {
            let job = self.submit(function);
            let Place::With(executor) = self.place(job) else {
                panic!("nobody is free for {job}");
            };
            self.run(executor, run_time);
        }
    }
}
