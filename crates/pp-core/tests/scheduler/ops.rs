//! Random events, and how a random run ends.

use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{Config, ExecutorId, ExecutorState, FunctionId, JobId, Terms, WindowConfig};

use crate::env::{Env, Phase, Place, function, ms, us};
use crate::rng::Rng;

/// One random event. Numbers choose among what is possible when it happens; an
/// event for which there is nothing to choose from does not happen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Submit {
        function: u8,
        count: u8,
    },
    /// Some jobs for which more is asked.
    SubmitWith {
        function: u8,
        count: u8,
        terms: u32,
    },
    Begin(u8),
    Finish {
        worker: u8,
        number: u32,
    },
    Ready {
        worker: u8,
        credit: u8,
    },
    /// A job fails in a way of its own.
    Fail {
        worker: u8,
        number: u32,
    },
    /// A job that was asked to end does so.
    Stop(u8),
    FailStart(u8),
    /// A ready or dying executor is lost; with `begin`, while it runs a job.
    Die {
        worker: u8,
        begin: bool,
    },
    Exit(u8),
    Resize(u8),
    Cancel(u16),
    Withdraw(u16),
    Answer(u8),
    Credit {
        worker: u8,
        credit: u8,
    },
    Advance(u32),
    /// So many of the next events come in one batch.
    Hold(u8),
    Forget(u8),
    Nonsense {
        worker: u8,
        job: u16,
    },
    Destroy,
}

impl Op {
    /// A random event; destroys are rare.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut byte = || u8::try_from(rng.below(256)).expect("it fits");
        let (worker, credit, kind) = (byte(), byte(), byte());
        let number = u32::try_from(rng.next() >> 32).expect("it fits");
        let job = u16::try_from(number >> 16).expect("it fits");
        match kind {
            0..42 => Self::Submit {
                function: worker,
                count: credit,
            },
            42..56 => Self::SubmitWith {
                function: worker,
                count: credit,
                terms: number,
            },
            56..75 => Self::Begin(worker),
            75..154 => Self::Finish { worker, number },
            154..157 => Self::Fail { worker, number },
            157..160 => Self::Stop(worker),
            160..182 => Self::Ready { worker, credit },
            182..186 => Self::FailStart(worker),
            186..194 => Self::Die {
                worker,
                begin: credit % 4 != 0,
            },
            194..201 => Self::Exit(worker),
            201..205 => Self::Resize(worker),
            205..210 => Self::Cancel(job),
            210..213 => Self::Withdraw(job),
            213..227 => Self::Answer(worker),
            227..231 => Self::Credit { worker, credit },
            231..240 => Self::Advance(number),
            240..244 => Self::Hold(worker),
            244..249 => Self::Forget(worker),
            249..255 => Self::Nonsense { worker, job },
            255 if number.is_multiple_of(64) => Self::Destroy,
            255 => Self::Hold(credit),
        }
    }
}

/// Settings with small limits, so that random runs reach them.
pub(crate) fn random_config(rng: &mut Rng) -> Config {
    let mut small = |limit| u32::try_from(rng.below(limit)).expect("it fits");
    let (deaths, jobs, attempts, ahead) = (small(3), small(10), small(4), small(24));
    let grace = small(3);
    Config {
        max_worker_deaths: NonZeroU32::MIN.saturating_add(deaths),
        jobs_per_executor: NonZeroU32::new(jobs).filter(|jobs| jobs.get() < 4),
        start_attempts: attempts,
        cancel_grace: [ms(0), ms(20), ms(1_000)][grace as usize],
        window: WindowConfig {
            max_ahead: ahead,
            ..WindowConfig::default()
        },
        ..Config::default()
    }
}

/// Functions, by how long their jobs take as a rule in nanoseconds. They are known
/// to err.
const FUNCTIONS: [u64; 5] = [800, 15_000, 250_000, 6_000_000, 90_000_000];

/// Mostly about what is usual for the function, and sometimes anything up to 65 ms.
fn run_time(name: FunctionId, number: u32) -> Duration {
    let usual = FUNCTIONS[usize::try_from(name.as_u64()).expect("it is small")];
    let part = u64::from(number >> 8 & 0xFF);
    match number % 16 {
        0 => some_time(number),
        _ => Duration::from_nanos(usual / 2 + usual * part / 256),
    }
}

/// From nothing to 65 ms, all magnitudes alike.
fn some_time(number: u32) -> Duration {
    us(u64::from(number >> 16) >> (number / 16 % 17))
}

fn choose<T: Copy>(from: &[T], number: usize) -> Option<T> {
    from.get(number % from.len().max(1)).copied()
}

impl Env {
    /// Lets a random event happen.
    pub(crate) fn apply(&mut self, op: Op) {
        if self.hold == 0 {
            self.catch_up();
        }
        match op {
            Op::Submit {
                function: name,
                count,
            } => self.submit_some(name, count),
            Op::SubmitWith {
                function: name,
                count,
                terms,
            } => self.submit_some_with(name, count, terms),
            Op::Begin(worker) => {
                if let Some(executor) = self.pick(worker, Phase::Ready, true) {
                    self.begin(executor);
                }
            }
            Op::Finish { worker, number } => {
                if let Some((executor, run_time)) = self.let_run(worker, number) {
                    self.finish(executor, run_time);
                }
            }
            Op::Fail { worker, number } => {
                if let Some((executor, run_time)) = self.let_run(worker, number) {
                    self.fail(executor, run_time);
                }
            }
            Op::Ready { worker, credit } => {
                if let Some(executor) = self.pick(worker, Phase::Starting, false) {
                    self.become_ready(executor, u32::from(credit % 16));
                }
            }
            Op::Stop(worker) => {
                if let Some(executor) = choose(&self.being_stopped(), usize::from(worker)) {
                    self.stop(executor, us(40));
                }
            }
            Op::FailStart(worker) => {
                if let Some(executor) = self.pick(worker, Phase::Starting, false) {
                    self.fail_start(executor);
                }
            }
            Op::Die { worker, begin } => self.die_somehow(worker, begin),
            Op::Exit(worker) => {
                if let Some(executor) = self.pick(worker, Phase::Leaving, false) {
                    self.exit(executor);
                }
            }
            Op::Resize(workers) => {
                if !self.destroyed {
                    self.resize(u32::from(workers % 6));
                }
            }
            Op::Cancel(job) => {
                if let Some(job) = self.any_job(usize::from(job)) {
                    self.cancel(job);
                }
            }
            Op::Withdraw(job) => {
                if let Some(job) = self.any_job(usize::from(job)) {
                    self.withdraw(job);
                }
            }
            Op::Answer(worker) => {
                if let Some(executor) = choose(&self.being_asked(), usize::from(worker)) {
                    self.answer(executor);
                }
            }
            Op::Credit { worker, credit } => {
                if let Some(executor) = self.pick(worker, Phase::Ready, false) {
                    self.credit(executor, u32::from(credit % 16));
                }
            }
            Op::Advance(number) => self.advance(some_time(number)),
            Op::Hold(events) => self.hold = u32::from(events % 8),
            Op::Forget(name) => self.forget_some(name),
            Op::Nonsense { worker, job } => self.talk_nonsense(worker, job),
            Op::Destroy => self.destroy(),
        }
    }

    /// Lets a worker run a job, and tells which worker, and for how long.
    fn let_run(&mut self, worker: u8, number: u32) -> Option<(ExecutorId, Duration)> {
        let executor = self.pick(worker, Phase::Ready, true)?;
        let name = self.jobs[&self.held(executor)[0]].function;
        let run_time = run_time(name, number);
        self.begin(executor);
        if self.hold == 0 {
            self.advance(run_time);
        }
        self.still_runs(executor).then_some((executor, run_time))
    }

    fn submit_some(&mut self, name: u8, count: u8) {
        if self.destroyed {
            let refused = self.scheduler.submit(function(1), 77, self.now);
            assert_eq!(refused.expect_err("it is destroyed").data, 77);
            return;
        }
        let limit = [2, 5, 12, 50][usize::from(count) % 4];
        if self.jobs.len() < limit {
            self.submit_many(function(u64::from(name % 5)), usize::from(count / 4 % 8));
        }
    }

    fn submit_some_with(&mut self, name: u8, count: u8, terms: u32) {
        if self.destroyed || self.jobs.len() >= 60 {
            return;
        }
        let mut rng = Rng::new(terms.into());
        for _ in 0..count % 8 {
            let terms = self.random_terms(&mut rng, count);
            self.submit_with(function(u64::from(name % 5)), &terms);
        }
    }

    fn random_terms(&self, rng: &mut Rng, most: u8) -> Terms {
        let mut known: Vec<_> = self.jobs.keys().copied().collect();
        // What has ended well before counts as met.
        let is_good = |job: &JobId| self.ended[job].is_none() && !self.failed.contains(job);
        let ended = self.ended.keys().rev().take(3).copied();
        known.extend(ended.filter(is_good));
        let mut number = || u32::try_from(rng.next() >> 32).expect("it fits");
        let after = (0..most % 4)
            .filter_map(|_| choose(&known, usize::try_from(number()).expect("it fits")))
            .collect();
        Terms {
            after,
            time_limit: number().is_multiple_of(3).then(|| some_time(number())),
        }
    }

    /// Any job, or one that runs, or one that has ended.
    fn any_job(&self, number: usize) -> Option<JobId> {
        let mut jobs: Vec<_> = match number % 3 {
            0 => self.jobs.keys().copied().collect(),
            1 => self
                .workers
                .values()
                .flat_map(|worker| worker.held.clone())
                .collect(),
            _ => {
                let begun = self.workers.values().filter(|worker| worker.begun);
                begun.map(|worker| worker.held[0]).collect()
            }
        };
        jobs.extend(self.ended.keys().next_back());
        choose(&jobs, number / 3)
    }

    fn die_somehow(&mut self, worker: u8, begin: bool) {
        let all = [self.in_phase(Phase::Ready), self.in_phase(Phase::Dying)].concat();
        let Some(executor) = choose(&all, usize::from(worker)) else {
            return;
        };
        if begin {
            self.begin(executor);
        }
        self.die(executor);
    }

    fn forget_some(&mut self, name: u8) {
        let name = function(u64::from(name % 5));
        let in_use = self.scheduler.function_in_use(name);
        let live = self.jobs.values().filter(|job| job.function == name);
        assert!(in_use == live.count() || self.is_late);
        let is_forgotten = self.forget(name);
        assert!(!(is_forgotten && in_use > 0));
    }

    /// Events that do not fit must change nothing.
    fn talk_nonsense(&mut self, worker: u8, job: u16) {
        self.catch_up();
        let before = (self.scheduler.queued(), self.scheduler.outstanding());
        let ended = self.ended.keys().rev().take(20);
        let jobs: Vec<_> = self.jobs.keys().chain(ended).copied().collect();
        let job = choose(&jobs, usize::from(job)).unwrap_or(JobId::from_u64(u64::MAX));
        let known = choose(
            &self.workers.keys().copied().collect::<Vec<_>>(),
            usize::from(worker),
        );
        let executor = known.unwrap_or(ExecutorId::from_u64(u64::MAX));
        let entry = self.jobs.get(&job);
        if entry.is_none_or(|entry| entry.place != Place::With(executor)) {
            let finished = self.scheduler.job_finished(executor, job, us(1), self.now);
            assert_eq!(finished, None);
        }
        let is_asked = self
            .workers
            .get(&executor)
            .is_some_and(|worker| worker.asked.contains(&job));
        if !is_asked {
            self.scheduler
                .recall_answered(executor, job, worker.is_multiple_of(2), self.now);
        }
        if self
            .workers
            .get(&executor)
            .is_none_or(|worker| worker.phase != Phase::Starting)
        {
            self.scheduler.executor_ready(executor, 5, self.now);
        }
        let gone = ExecutorId::from_u64(u64::from(self.started) + 5);
        self.scheduler.executor_lost(gone, &[job], self.now);
        self.scheduler.executor_start_failed(gone, self.now);
        self.scheduler.executor_credit(gone, 9, self.now);
        // The clock of the caller jumps back.
        self.scheduler.tick(pp_core::Time::ZERO);
        self.absorb();
        assert_eq!(
            (self.scheduler.queued(), self.scheduler.outstanding()),
            before
        );
    }

    /// An executor in a phase, with jobs if need be.
    fn pick(&self, number: u8, phase: Phase, busy: bool) -> Option<ExecutorId> {
        let mut all = self.in_phase(phase);
        all.retain(|id| !busy || !self.workers[id].held.is_empty());
        choose(&all, usize::from(number))
    }

    fn being_asked(&self) -> Vec<ExecutorId> {
        let workers = self.workers.iter();
        workers
            .filter(|(_, worker)| !worker.asked.is_empty())
            .map(|(&id, _)| id)
            .collect()
    }

    /// Lets everything work as it should until the last job has ended, then shuts down.
    pub(crate) fn finale(&mut self) {
        self.catch_up();
        if !self.destroyed {
            self.resize(2);
        }
        while !self.jobs.is_empty() {
            self.step_to_the_end();
        }
        self.advance(us(1_000_000));
        assert!(
            self.scheduler.is_empty(),
            "something is left: {:?}",
            self.scheduler
        );
        self.destroy();
        let ids: Vec<_> = self.workers.keys().copied().collect();
        for executor in ids {
            let state = self
                .scheduler
                .executor_stats(executor)
                .map(|stats| stats.state);
            assert_eq!(state, Some(ExecutorState::Killing));
            self.die(executor);
        }
        assert_eq!(self.scheduler.worker_counts().total(), 0);
        assert_eq!(self.scheduler.next_deadline(), None);
        assert!(self.scheduler.is_empty());
    }

    /// Everybody does one thing that he can do.
    fn step_to_the_end(&mut self) {
        let ids: Vec<_> = self.workers.keys().copied().collect();
        for executor in ids {
            let Some(worker) = self.workers.get(&executor) else {
                continue;
            };
            match worker.phase {
                Phase::Starting => self.become_ready(executor, 4),
                Phase::Leaving => self.exit(executor),
                Phase::Dying => self.die(executor),
                Phase::Ready if !worker.asked.is_empty() => self.answer(executor),
                Phase::Ready if worker.credit == 0 => self.credit(executor, 1),
                Phase::Ready if !worker.held.is_empty() => {
                    self.run(executor, us(3));
                }
                Phase::Ready => {}
            }
        }
        self.advance(us(100));
    }
}
