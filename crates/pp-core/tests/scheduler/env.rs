//! A scheduler with virtual executors and a virtual clock.
//!
//! Every call of a driver method is one event. After each, the effects are carried
//! out on the virtual executors, and everything is checked (see `checks`).

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{Config, Effect, Ending, ExecutorId, FunctionId, JobId, Scheduler, Time};

/// The credit of executors that get no other.
pub(crate) const CREDIT: u32 = 1_000;

/// A virtual executor.
pub(crate) struct Worker {
    pub(crate) phase: Phase,
    pub(crate) credit: u32,
    /// In the order in which they were sent.
    pub(crate) held: Vec<JobId>,
    /// The job that it has begun, always the first that it holds.
    pub(crate) begun: bool,
    pub(crate) functions: BTreeSet<FunctionId>,
    /// Asked back, and no answer given.
    pub(crate) asked: Vec<JobId>,
    /// Asked back at any time, so never to be asked for again while held.
    pub(crate) ever_asked: BTreeSet<JobId>,
    /// Jobs given and not taken back.
    pub(crate) given: u32,
    pub(crate) finished: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    /// Was told to retire.
    Leaving,
    /// Was killed.
    Dying,
}

/// What the model knows of a job.
pub(crate) struct Job {
    pub(crate) function: FunctionId,
    pub(crate) data: u64,
    pub(crate) place: Place,
    pub(crate) deaths: u32,
    /// It came back to the queue at least once.
    pub(crate) returned: bool,
    pub(crate) cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Queue,
    With(ExecutorId),
}

pub(crate) struct Env {
    pub(crate) scheduler: Scheduler<u64>,
    pub(crate) config: Config,
    pub(crate) now: Time,
    pub(crate) workers: BTreeMap<ExecutorId, Worker>,
    /// Live jobs.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    /// How the others ended; `None` for those that finished.
    pub(crate) ended: BTreeMap<JobId, Option<Ending>>,
    /// Recalls are answered while effects are polled, as with claims in shared
    /// memory; else by [`Env::answer`].
    pub(crate) answers_at_once: bool,
    pub(crate) destroyed: bool,
    /// Effects since the last [`Env::effects`].
    pub(crate) log: Vec<Effect<u64>>,
    /// Failed starts in a row, as the scheduler should count them.
    pub(crate) failures: u32,
    /// No more starts until somebody asks for something.
    pub(crate) given_up: bool,
    /// Since when an executor has idled while another held jobs ahead.
    pub(crate) unbalanced_since: Option<Time>,
    pub(crate) started: u32,
    pub(crate) submitted: u64,
    /// Executors that held a job when it ended: they must be killed for it.
    pub(crate) condemned: Vec<ExecutorId>,
}

pub(crate) fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn function(number: u64) -> FunctionId {
    FunctionId::from_u64(number)
}

/// Functions of the scenarios.
pub(crate) const F: FunctionId = FunctionId::from_u64(1);
pub(crate) const G: FunctionId = FunctionId::from_u64(2);

pub(crate) fn fresh_process_per_job() -> Config {
    Config {
        jobs_per_executor: Some(NonZeroU32::MIN),
        ..Config::default()
    }
}

impl Env {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            scheduler: Scheduler::new(config.clone()),
            config,
            now: Time::from_nanos(1_000_000),
            workers: BTreeMap::new(),
            jobs: BTreeMap::new(),
            ended: BTreeMap::new(),
            submitted: 0,
            condemned: Vec::new(),
            answers_at_once: true,
            destroyed: false,
            log: Vec::new(),
            failures: 0,
            given_up: false,
            unbalanced_since: None,
            started: 0,
        }
    }

    /// A scheduler with default settings and this many ready executors.
    pub(crate) fn ready(workers: u32) -> (Self, Vec<ExecutorId>) {
        Self::ready_with(Config::default(), workers)
    }

    pub(crate) fn ready_with(config: Config, workers: u32) -> (Self, Vec<ExecutorId>) {
        let mut env = Self::new(config);
        env.resize(workers);
        let ids = env.make_ready();
        env.effects();
        (env, ids)
    }

    /// Lets a function be known to take `run_time`, on the only executor or any.
    pub(crate) fn measure(&mut self, function: FunctionId, run_time: Duration) -> &mut Self {
        let job = self.submit(function);
        let Place::With(executor) = self.jobs[&job].place else {
            panic!("nobody is free to measure {function}");
        };
        self.finish(executor, run_time);
        self.effects();
        self
    }

    // Events of jobs.

    pub(crate) fn submit(&mut self, function: FunctionId) -> JobId {
        self.somebody_asks();
        let data = self.submitted;
        self.submitted += 1;
        let job = self
            .scheduler
            .submit(function, data, self.now)
            .expect("it is not destroyed");
        let newest = self.jobs.last_key_value().map(|(&job, _)| job);
        let newest = newest.max(self.ended.last_key_value().map(|(&job, _)| job));
        assert!(newest < Some(job), "{job} is not newer than {newest:?}");
        self.jobs.insert(
            job,
            Job {
                function,
                data,
                place: Place::Queue,
                deaths: 0,
                returned: false,
                cancelled: false,
            },
        );
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
        let worker = self.workers.get_mut(&executor).expect("it lives");
        let job = worker.held.remove(0);
        worker.begun = false;
        worker.asked.retain(|&asked| asked != job);
        worker.finished += 1;
        if worker.finished == 1 {
            self.failures = 0;
        }
        let data = self
            .scheduler
            .job_finished(executor, job, run_time, self.now);
        let entry = self.jobs.remove(&job).expect("it lives");
        assert_eq!(entry.place, Place::With(executor));
        assert_eq!(data, Some(entry.data), "{job} finished on {executor}");
        self.ended.insert(job, None);
        self.absorb();
        job
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
        assert_eq!(accepted, is_live, "cancelling {job}");
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
        let worker = self.workers.remove(&executor).expect("it lives");
        let started = if worker.begun { &worker.held[..1] } else { &[] };
        let charged = if worker.phase == Phase::Dying {
            &[]
        } else {
            started
        };
        for &job in &worker.held {
            let entry = self.jobs.get_mut(&job).expect("it lives");
            entry.deaths += u32::from(charged.contains(&job));
            entry.place = Place::Queue;
            entry.returned = true;
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
            let counts = self.scheduler.executor_counts();
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
        let others = self.scheduler.executor_counts().wanted() - 1;
        self.given_up |= self.failures >= self.config.start_attempts.max(1) && others == 0;
    }

    fn somebody_asks(&mut self) {
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

    // What can be seen.

    /// The effects since the last call.
    pub(crate) fn effects(&mut self) -> Vec<Effect<u64>> {
        std::mem::take(&mut self.log)
    }

    pub(crate) fn held(&self, executor: ExecutorId) -> &[JobId] {
        &self.workers[&executor].held
    }

    pub(crate) fn place(&self, job: JobId) -> Place {
        self.jobs[&job].place
    }

    pub(crate) fn ending(&self, job: JobId) -> Option<Ending> {
        let ending = self.ended.get(&job);
        *ending.unwrap_or_else(|| panic!("{job} has not ended: {:?}", self.place(job)))
    }

    pub(crate) fn in_phase(&self, phase: Phase) -> Vec<ExecutorId> {
        let workers = self.workers.iter();
        workers
            .filter(|(_, worker)| worker.phase == phase)
            .map(|(&id, _)| id)
            .collect()
    }

    pub(crate) fn queued(&self) -> Vec<JobId> {
        let jobs = self.jobs.iter();
        jobs.filter(|(_, job)| job.place == Place::Queue)
            .map(|(&id, _)| id)
            .collect()
    }

    fn is_wanted(&self, executor: ExecutorId) -> bool {
        use pp_core::ExecutorState::{Ready, Starting};
        let stats = self.scheduler.executor_stats(executor);
        stats.is_some_and(|stats| matches!(stats.state, Ready | Starting))
    }
}
