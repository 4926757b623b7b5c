//! Carries effects out on the virtual executors, and checks everything.

use pp_core::{Effect, Ending, ExecutorId, ExecutorState, FunctionId, JobId, Time};

use crate::env::{Env, Phase, Place, Worker, ms};

/// More than any event has, unless it is what its own effects lead to again.
const MOST_EFFECTS: usize = 10_000;

impl Env {
    /// Carries out all effects, then checks the scheduler against the model.
    pub(crate) fn absorb(&mut self) {
        self.note_first();
        self.note_pauses();
        if self.hold > 0 {
            self.hold -= 1;
            self.is_late = true;
            self.note_unheard_copies();
            self.passed.clear();
            return;
        }
        let before = self.log.len();
        while let Some(effect) = self.scheduler.poll() {
            assert!(self.log.len() - before < MOST_EFFECTS, "round and round");
            self.carry_out(&effect);
            self.note_first();
            self.log.push(effect);
        }
        self.scheduler
            .check_invariants()
            .expect("the scheduler is sound");
        for executor in std::mem::take(&mut self.condemned) {
            let phase = self.workers[&executor].phase;
            assert_eq!(
                phase,
                Phase::Dying,
                "{executor} may still run a job that ended"
            );
        }
        self.is_late = false;
        self.check_places();
        self.check_shares();
        self.check_idle();
        self.check_gathering();
        self.check_time_limits();
        self.check_balance();
    }

    fn carry_out(&mut self, effect: &Effect<u64>) {
        match *effect {
            Effect::Start { executor } => self.on_start(executor),
            Effect::SendFunction { executor, function } => {
                let worker = self.worker(executor, effect);
                assert_eq!(worker.phase, Phase::Ready, "{effect:?}");
                assert!(worker.functions.insert(function), "sent twice: {effect:?}");
            }
            Effect::Send { executor, job } => self.on_send(executor, job, effect),
            Effect::Recall { executor, job } => {
                let worker = self.worker(executor, effect);
                assert!(
                    worker.held.contains(&job),
                    "it does not hold the job: {effect:?}"
                );
                assert!(worker.ever_asked.insert(job), "asked twice: {effect:?}");
                worker.asked.push(job);
                if self.answers_at_once {
                    self.answer_for(executor, job);
                }
            }
            Effect::Interrupt { executor, job } => {
                let is_over = self.is_over(executor, job);
                let entry = self.jobs.get_mut(&job).expect("it lives");
                assert!(entry.cancelled || is_over, "nobody wants that: {effect:?}");
                let now = self.now;
                let is_due = |last: Time| now >= last.saturating_add(ms(50));
                assert!(
                    !entry.interrupted || entry.asked_at.is_some_and(is_due),
                    "it is asked again too soon: {effect:?}"
                );
                entry.interrupted = true;
                entry.asked_at = Some(now);
                let worker = self.worker(executor, effect);
                assert_eq!(worker.held.first(), Some(&job), "{effect:?}");
                assert_eq!(worker.phase, Phase::Ready, "{effect:?}");
                assert!(worker.begun, "it has not begun: {effect:?}");
            }
            Effect::Cancel { .. } => panic!("there are no nodes here: {effect:?}"),
            Effect::Retire { executor } => {
                let worker = self.worker(executor, effect);
                assert_eq!(worker.phase, Phase::Ready, "{effect:?}");
                assert!(
                    worker.held.is_empty(),
                    "it holds {:?}: {effect:?}",
                    worker.held
                );
                worker.phase = Phase::Leaving;
            }
            Effect::Kill { executor } => {
                let worker = self.worker(executor, effect);
                assert_ne!(worker.phase, Phase::Dying, "killed twice: {effect:?}");
                worker.phase = Phase::Dying;
                worker.asked.clear();
                self.note_kill(executor);
            }
            Effect::Forget { executor, function } => self.on_forget(executor, function, effect),
            Effect::End {
                job, data, ending, ..
            } => self.on_end(job, data, ending),
        }
    }

    /// The executor that an effect is about; it must live.
    fn worker(&mut self, executor: ExecutorId, effect: &Effect<u64>) -> &mut Worker {
        let worker = self.workers.get_mut(&executor);
        worker.unwrap_or_else(|| panic!("{executor} is gone: {effect:?}"))
    }

    fn on_start(&mut self, executor: ExecutorId) {
        assert!(!self.destroyed);
        let worker = Worker {
            phase: Phase::Starting,
            credit: 0,
            held: Vec::new(),
            begun: false,
            first: None,
            functions: std::collections::BTreeSet::new(),
            asked: Vec::new(),
            ever_asked: std::collections::BTreeSet::new(),
            given: 0,
            finished: 0,
        };
        self.started += 1;
        assert!(
            self.workers.insert(executor, worker).is_none(),
            "{executor} is started twice"
        );
    }

    fn on_send(&mut self, executor: ExecutorId, job: JobId, effect: &Effect<u64>) {
        let entry = &self.jobs[&job];
        assert_eq!(entry.place, Place::Queue, "{effect:?}");
        assert!(
            !entry.cancelled || self.is_late,
            "it was cancelled: {effect:?}"
        );
        assert_eq!(self.scheduler.data(job), Some(&entry.data));
        for other in &entry.terms.after {
            let is_met = self.ended.get(other) == Some(&None) && !self.failed.contains(other);
            assert!(is_met, "{other} has not ended well: {effect:?}");
        }
        let (function, share) = (entry.function, entry.terms.share);
        self.note_copies(executor, job);
        self.check_order(job);
        self.check_ageing(job);
        assert!(
            self.has_room(share) || self.is_late,
            "over the limit of {share}: {effect:?}"
        );
        self.check_room(executor, job);
        let most = self
            .config
            .jobs_per_executor
            .map_or(u32::MAX, std::num::NonZero::get);
        let ahead = self.config.window.max_ahead as usize;
        let worker = self.worker(executor, effect);
        assert_eq!(worker.phase, Phase::Ready, "{effect:?}");
        assert!(
            worker.functions.contains(&function),
            "its function comes first: {effect:?}"
        );
        worker.held.push(job);
        worker.given += 1;
        assert!(
            worker.held.len() <= worker.credit as usize,
            "over its credit: {effect:?}"
        );
        assert!(worker.held.len() <= ahead + 1, "too far ahead: {effect:?}");
        assert!(worker.given <= most, "too many for one process: {effect:?}");
        self.jobs.get_mut(&job).expect("it is known").place = Place::With(executor);
        self.check_taken(executor);
    }

    fn on_forget(&mut self, executor: ExecutorId, function: FunctionId, effect: &Effect<u64>) {
        let is_used = self.jobs.values().any(|job| job.function == function);
        assert!(!is_used || self.is_late, "a live job uses it: {effect:?}");
        let worker = self.worker(executor, effect);
        assert!(
            worker.functions.remove(&function),
            "it does not hold it: {effect:?}"
        );
    }

    fn on_end(&mut self, job: JobId, data: u64, ending: Ending) {
        let max_deaths = self.config.max_worker_deaths.get();
        let (failures, attempts) = (self.failures, self.config.start_attempts);
        let ready = self.wanted_and_ready();
        let before = self.ended.insert(job, Some(ending));
        assert_eq!(before, None, "{job} ends twice: {ending:?}");
        if let Some(Place::With(executor)) = self.jobs.get(&job).map(|entry| entry.place) {
            self.is_over(executor, job);
        }
        let entry = self.jobs.remove(&job).expect("it lives");
        self.forget_items();
        assert_eq!(entry.data, data, "{job}");
        match ending {
            Ending::WorkerDied { deaths, executor } => {
                assert_eq!((deaths, entry.deaths), (max_deaths, max_deaths), "{job}");
                assert!(!self.workers.contains_key(&executor), "{executor} lives");
            }
            Ending::GivenUp => panic!("nobody gave up {job}"),
            Ending::NodeLost { .. } => panic!("there are no nodes here: {ending:?}"),
            Ending::StartFailed { attempts: failed } => {
                assert!(failed >= attempts.max(1), "{job} after {failed}");
                if !self.is_late {
                    assert_eq!((failed, ready), (failures, 0), "{job}");
                }
            }
            Ending::Cancelled => assert!(entry.cancelled, "nobody cancelled {job}"),
            Ending::Unsatisfiable { lack } => self.check_lack(&entry, lack),
            Ending::Destroyed => assert!(self.destroyed, "{job}"),
            Ending::TimedOut { limit } => {
                assert!(!entry.has_retry(true), "it may go on: {job}");
                assert_eq!(entry.terms.time_limit, Some(limit), "{job}");
                assert!(!matches!(entry.place, Place::Waiting | Place::Aside));
                assert!(!entry.cancelled, "{job}");
                assert!(self.overdue.remove(&job), "its time is not over: {job}");
            }
            Ending::DependencyFailed { .. } | Ending::DependencyCancelled { .. } => {
                assert_eq!(entry.place, Place::Waiting, "{job}");
                let mut others = entry.terms.after.iter();
                let is_explained = others.any(|&other| self.spread(other) == Some(ending));
                assert!(is_explained, "{job}: {ending:?}");
            }
        }
        if let Place::With(executor) = entry.place {
            self.condemned.push(executor);
            let worker = self.workers.get_mut(&executor).expect("it holds jobs");
            worker.begun &= worker.held.first() != Some(&job);
            worker.held.retain(|&held| held != job);
            worker.asked.retain(|&asked| asked != job);
        }
    }

    fn wanted_and_ready(&self) -> usize {
        let ready = self.in_phase(Phase::Ready).into_iter();
        ready
            .filter(|&id| self.state(id) == Some(ExecutorState::Ready))
            .count()
    }

    pub(crate) fn state(&self, executor: ExecutorId) -> Option<ExecutorState> {
        self.scheduler
            .executor_stats(executor)
            .map(|stats| stats.state)
    }

    /// Scheduler and model agree on where each job is and who lives.
    fn check_places(&self) {
        let with: usize = self.workers.values().map(|worker| worker.held.len()).sum();
        assert_eq!(self.scheduler.outstanding(), with);
        assert_eq!(self.scheduler.queued(), self.queued().len());
        assert_eq!(self.scheduler.waiting(), self.waiting().len());
        assert_eq!(self.scheduler.paused(), self.paused().len());
        for (&job, entry) in &self.jobs {
            let known = self.scheduler.job(job).expect("it lives");
            assert_eq!(known.attempts, entry.retries + 1, "{job}");
        }
        assert_eq!(self.scheduler.worker_counts().total(), self.workers.len());
        for (&executor, worker) in &self.workers {
            let stats = self.scheduler.executor_stats(executor).expect("it lives");
            assert_eq!(stats.held, worker.held.len(), "{executor}");
            assert_eq!(stats.finished, u64::from(worker.finished), "{executor}");
            let told = match stats.state {
                ExecutorState::Starting | ExecutorState::Surplus => Phase::Starting,
                ExecutorState::Ready | ExecutorState::Draining => Phase::Ready,
                ExecutorState::Retiring => Phase::Leaving,
                ExecutorState::Killing => Phase::Dying,
            };
            assert_eq!(told, worker.phase, "{executor} is {:?}", stats.state);
        }
    }

    /// Ready executors that could take a job and hold none.
    pub(crate) fn idle(&self) -> Vec<ExecutorId> {
        let most = self
            .config
            .jobs_per_executor
            .map_or(u32::MAX, std::num::NonZero::get);
        let workers = self.workers.iter().filter(|&(&id, worker)| {
            self.state(id) == Some(ExecutorState::Ready)
                && worker.held.is_empty()
                && worker.credit > 0
                && worker.given < most
        });
        workers.map(|(&id, _)| id).collect()
    }

    /// Nobody idles for long while jobs wait behind others. Those that were asked for
    /// may be on their way.
    fn check_balance(&mut self) {
        let is_live = |job: &&JobId| !self.jobs[job].cancelled;
        let asked = self
            .workers
            .values()
            .filter(|worker| worker.phase != Phase::Dying);
        let coming = asked
            .flat_map(|worker| worker.asked.iter().filter(is_live))
            .count();
        let waiting = self.workers.values().any(|worker| {
            let later = worker.held.iter().skip(1);
            worker.phase == Phase::Ready
                && later.clone().any(|job| !worker.ever_asked.contains(job))
        });
        let idle = self.idle().len().saturating_sub(self.kept_idle());
        // What was sent to where its data is may wait there for as long as that takes to bring.
        let is_near = |job: &JobId| !self.jobs[job].items.is_empty();
        let mut held = self.workers.values().flat_map(|worker| &worker.held);
        if idle <= coming || !waiting || held.any(is_near) {
            self.unbalanced_since = None;
            return;
        }
        let since = *self.unbalanced_since.get_or_insert(self.now);
        let bound = self.config.recall.threshold + self.config.recall.slack;
        let waited = self.now.saturating_duration_since(since);
        assert!(
            waited <= bound,
            "jobs waited for {waited:?} beside {:?}",
            self.idle()
        );
    }
}
