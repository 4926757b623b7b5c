//! Jobs that are set aside until something has been brought, and what the model expects then.

use std::time::Duration;

use pp_core::{Effect, Ending, ExecutorId, JobId, JobState, Scheduler, Terms, Time};

use crate::env::{Env, F, Place, ms, of_share, share, us};

impl Env {
    /// Jobs that were set aside.
    pub(crate) fn aside(&self) -> Vec<JobId> {
        let jobs = self.jobs.iter();
        let aside = jobs.filter(|(_, job)| job.place == Place::Aside);
        aside.map(|(&id, _)| id).collect()
    }

    /// The executor gives the job back.
    pub(crate) fn set_aside(&mut self, executor: ExecutorId, job: JobId) -> bool {
        self.catch_up();
        self.lose_unbegun(executor, job);
        let entry = self.jobs.get_mut(&job).expect("it lives");
        let is_wanted = !entry.cancelled;
        entry.returned = true;
        entry.place = if is_wanted {
            Place::Aside
        } else {
            Place::Queue
        };
        let is_aside = self.scheduler.set_aside(executor, job, self.now);
        assert_eq!(is_aside, is_wanted, "{job}");
        self.absorb();
        is_aside
    }

    /// The executor has not begun the job, and does not have it any more.
    pub(crate) fn lose_unbegun(&mut self, executor: ExecutorId, job: JobId) {
        let worker = self.workers.get_mut(&executor).expect("it lives");
        let place = worker.held.iter().position(|&held| held == job);
        let place = place.expect("it is held");
        assert!(place > 0 || !worker.begun, "{job} has begun");
        worker.held.remove(place);
        worker.given -= 1;
        worker.asked.retain(|&asked| asked != job);
        worker.ever_asked.remove(&job);
    }

    pub(crate) fn resume(&mut self, job: JobId) {
        self.catch_up();
        if let Some(entry) = self.jobs.get_mut(&job)
            && entry.place == Place::Aside
        {
            entry.place = Place::Queue;
            self.somebody_asks();
        }
        self.scheduler.resume(job, self.now);
        self.absorb();
    }
}

#[test]
fn a_job_that_was_set_aside_waits_until_it_is_resumed() {
    let (mut env, workers) = Env::ready(1);
    let (job, next) = (env.submit(F), env.submit(F));
    assert!(env.set_aside(workers[0], job));
    assert_eq!(env.scheduler.job(job).unwrap().state, JobState::Waiting);
    assert_eq!((env.scheduler.waiting(), env.scheduler.queued()), (1, 0));
    assert_eq!(env.held(workers[0]), [next], "its place is free");
    let last = env.submit(F);
    env.resume(job);
    assert_eq!(env.queued(), [job, last], "it has its place again");
    env.run(workers[0], ms(30));
    assert_eq!(env.held(workers[0]), [job]);
    env.resume(job);
    assert_eq!(
        env.place(job),
        Place::With(workers[0]),
        "nothing is changed"
    );
}

#[test]
fn only_what_an_executor_holds_is_set_aside() {
    let (mut env, workers) = Env::ready(2);
    let job = env.submit(F);
    let Place::With(holder) = env.place(job) else {
        panic!("nobody has it");
    };
    let other = workers.into_iter().find(|&one| one != holder).unwrap();
    let unknown = ExecutorId::from_u64(77);
    for executor in [other, unknown] {
        assert!(!env.scheduler.set_aside(executor, job, env.now));
    }
    assert!(
        !env.scheduler
            .set_aside(holder, JobId::from_u64(77), env.now)
    );
    env.absorb();
    assert_eq!(env.place(job), Place::With(holder));
}

#[test]
fn it_counts_for_no_limit_and_is_not_charged() {
    let (mut env, workers) = Env::ready(1);
    env.set_share(share(1), 1, Some(1));
    let jobs = env.submit_many_with(F, &of_share(1), 2);
    env.set_aside(workers[0], jobs[0]);
    assert_eq!(env.held(workers[0]), [jobs[1]]);
    let stats = env.scheduler.share_stats(share(1)).unwrap();
    assert_eq!((stats.held, stats.run_time), (1, Duration::ZERO));
    env.resume(jobs[0]);
    assert_eq!(env.queued(), [jobs[0]], "its share is at its limit");
}

#[test]
fn one_that_was_asked_back_waits_and_one_that_was_cancelled_ends() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, us(100));
    let jobs = env.submit_many(F, 4);
    env.begin(workers[0]);
    env.cancel(jobs[1]);
    assert!(!env.set_aside(workers[0], jobs[1]));
    assert_eq!(env.ending(jobs[1]), Some(Ending::Cancelled));
    // Another one idles: the last ones are asked back.
    env.resize(2);
    env.make_ready();
    let recalled = env.workers[&workers[0]].asked.clone();
    assert!(!recalled.is_empty());
    for &job in &recalled {
        assert!(env.set_aside(workers[0], job));
        // The answer comes late.
        env.scheduler
            .recall_answered(workers[0], job, false, env.now);
        env.absorb();
        assert_eq!(env.place(job), Place::Aside);
    }
    for job in recalled {
        env.resume(job);
        assert!(matches!(env.place(job), Place::With(_)));
        env.scheduler
            .recall_answered(workers[0], job, false, env.now);
        env.absorb();
    }
}

#[test]
fn its_time_does_not_run() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_limited(F, ms(10));
    env.advance(ms(5));
    env.set_aside(workers[0], job);
    env.advance(ms(100));
    env.resume(job);
    env.begin(workers[0]);
    env.advance(ms(9));
    assert_eq!(env.place(job), Place::With(workers[0]));
    env.advance(ms(2));
    assert!(
        env.effects()
            .iter()
            .any(|effect| matches!(effect, Effect::Interrupt { .. }))
    );
}

#[test]
fn it_is_cancelled_like_one_that_waits_for_others() {
    let (mut env, workers) = Env::ready(1);
    let jobs = env.submit_many(F, 3);
    let after = env.submit_after(F, &[jobs[0]]);
    for &job in &jobs {
        env.set_aside(workers[0], job);
    }
    env.cancel(jobs[0]);
    let spread = Ending::DependencyCancelled { root: jobs[0] };
    assert_eq!(env.ending(jobs[0]), Some(Ending::Cancelled));
    assert_eq!(env.ending(after), Some(spread));
    env.withdraw(jobs[1]);
    assert_eq!(env.ending(jobs[1]), Some(Ending::Cancelled));
    env.destroy();
    assert_eq!(env.ending(jobs[2]), Some(Ending::Destroyed));
    assert!(env.scheduler.is_empty());
}

/// Those that no executor holds are given up, but for those that wait; what a parent wants back
/// is given back.
#[test]
fn giving_up_leaves_it_and_a_parent_gets_it_back() {
    let now = Time::ZERO;
    let mut scheduler: Scheduler<u64> = Scheduler::new(pp_core::Config::default());
    let node = scheduler.node_joined(1, 9, ms(1), now).unwrap();
    let job = scheduler.submit_with(F, &Terms::default(), 5, now).unwrap();
    while scheduler.poll().is_some() {}
    assert!(scheduler.set_aside(node, job, now));
    scheduler.give_up(now);
    assert_eq!(scheduler.job(job).unwrap().state, JobState::Waiting);
    scheduler.check_invariants().unwrap();
    assert!(scheduler.give_back(job, now));
    let ending = Ending::Cancelled;
    assert!(
        matches!(scheduler.poll(), Some(Effect::End { data: 5, ending: end, .. }) if end == ending)
    );
    assert!(scheduler.is_empty());
}

/// The executor is being killed for another job, or is gone.
#[test]
fn the_loss_of_the_executor_does_not_concern_it() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(10));
    let jobs = env.submit_many(F, 2);
    env.begin(workers[0]);
    env.set_aside(workers[0], jobs[1]);
    env.die(workers[0]);
    assert_eq!(env.place(jobs[1]), Place::Aside);
    env.make_ready();
    env.resume(jobs[1]);
    assert!(matches!(env.place(jobs[1]), Place::With(_)));
}
