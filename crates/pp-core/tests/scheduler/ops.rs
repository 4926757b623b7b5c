//! Random events.

use std::time::Duration;

use pp_core::{ExecutorId, JobId, Raised};

use crate::choices::{choose, random_bytes, random_supply, run_time, some_time};
use crate::env::{Env, Phase, Place, function, share, us};
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
    SetShare {
        share: u8,
        weight: u8,
        limit: u8,
    },
    SetSupply(u32),
    /// What no machine could hold is given up.
    EndHopeless,
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
    /// A job raises something.
    Raise {
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
    /// A job that has not begun is set aside.
    SetAside {
        worker: u8,
        job: u8,
    },
    Resume(u8),
    /// A job that has not begun was not sent on.
    Refuse {
        worker: u8,
        job: u8,
    },
    TryRefused,
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
            0..30 => Self::Submit {
                function: worker,
                count: credit,
            },
            30..54 => Self::SubmitWith {
                function: worker,
                count: credit,
                terms: number,
            },
            54..56 => Self::SetShare {
                share: worker,
                weight: credit,
                limit: u8::try_from(number & 0xFF).expect("it fits"),
            },
            56..58 => Self::SetSupply(number),
            58 => Self::EndHopeless,
            59..75 => Self::Begin(worker),
            75..147 => Self::Finish { worker, number },
            147..154 => Self::Raise { worker, number },
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
            244..247 => Self::Forget(worker),
            247..249 => Self::SetAside {
                worker,
                job: credit,
            },
            249 => Self::Resume(worker),
            250..252 => Self::Refuse {
                worker,
                job: credit,
            },
            252 => Self::TryRefused,
            253..255 => Self::Nonsense { worker, job },
            255 if number.is_multiple_of(64) => Self::Destroy,
            255 => Self::Hold(credit),
        }
    }
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
            Op::SetShare {
                share: number,
                weight,
                limit,
            } => {
                let limit = limit.checked_sub(100).map(|limit| u32::from(limit % 6));
                let weight = 1 + u32::from(weight % 5);
                self.set_share(share(u64::from(number % 4)), weight, limit);
            }
            Op::SetSupply(number) => self.set_supply(&random_supply(number)),
            Op::EndHopeless => self.end_hopeless(),
            Op::Begin(worker) => {
                if let Some(executor) = self.pick(worker, Phase::Ready, true) {
                    self.begin(executor);
                }
            }
            Op::Finish { worker, number } => {
                if let Some((executor, run_time)) = self.let_run(worker, number) {
                    self.leave_some(executor, number);
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
            Op::Raise { worker, number } => {
                if let Some((executor, run_time)) = self.let_run(worker, number) {
                    self.raise(executor, run_time);
                }
            }
            Op::Stop(worker) => self.stop_some(worker),
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
            Op::SetAside { worker, job } => self.set_some_aside(worker, job),
            Op::Resume(job) => self.resume_some(job),
            Op::Refuse { worker, job } => self.refuse_some(worker, job),
            Op::TryRefused => self.try_refused(),
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
            let name = function(u64::from(name % 5));
            self.submit_many(name, usize::from(count / 4 % 8));
        }
    }

    fn submit_some_with(&mut self, name: u8, count: u8, terms: u32) {
        let mut rng = Rng::new(terms.into());
        if self.destroyed {
            let terms = self.random_terms(&mut rng, count);
            let refused = self
                .scheduler
                .submit_with(function(1), &terms, 77, self.now);
            assert_eq!(refused.expect_err("it is destroyed").data, 77);
            return;
        }
        if self.jobs.len() >= 60 {
            return;
        }
        for _ in 0..count % 8 {
            let terms = self.random_terms(&mut rng, count);
            self.submit_with(function(u64::from(name % 5)), &terms);
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
            self.scheduler.result_stays(executor, job, 1 << 20);
            let raised = self.scheduler.job_raised(executor, job, us(1), self.now);
            assert_eq!(raised, Raised::Unknown);
            self.scheduler.job_stopped(executor, job, us(1), self.now);
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

    /// A job that a ready executor has and has not begun is set aside.
    fn set_some_aside(&mut self, worker: u8, job: u8) {
        if let Some((executor, job)) = self.some_unbegun(worker, job) {
            self.set_aside(executor, job);
        }
    }

    fn refuse_some(&mut self, worker: u8, job: u8) {
        if let Some((executor, job)) = self.some_unbegun(worker, job) {
            self.refuse(executor, job);
        }
    }

    /// A job that a ready executor has and has not begun.
    fn some_unbegun(&mut self, worker: u8, job: u8) -> Option<(ExecutorId, JobId)> {
        self.catch_up();
        let executor = self.pick(worker, Phase::Ready, true)?;
        let worker = &self.workers[&executor];
        let rest = &worker.held[usize::from(worker.begun)..];
        Some((executor, choose(rest, usize::from(job))?))
    }

    /// Some of what the executor's first job has made stays there, or not.
    fn leave_some(&mut self, executor: ExecutorId, number: u32) {
        if number.is_multiple_of(3) {
            self.result_stays(executor, random_bytes(number));
        }
    }

    fn stop_some(&mut self, worker: u8) {
        if let Some(executor) = choose(&self.being_stopped(), usize::from(worker)) {
            self.stop(executor, us(40));
        }
    }

    fn resume_some(&mut self, job: u8) {
        if let Some(job) = choose(&self.aside(), usize::from(job)) {
            self.resume(job);
        }
    }

    fn being_asked(&self) -> Vec<ExecutorId> {
        let workers = self.workers.iter();
        workers
            .filter(|(_, worker)| !worker.asked.is_empty())
            .map(|(&id, _)| id)
            .collect()
    }
}
