//! More and fewer executors while jobs run.

use pp_core::{Config, Effect};

use crate::env::{Env, F, Phase, Place, ms, us};

#[test]
fn growth_is_used_at_once() {
    let (mut env, _) = Env::ready(1);
    let jobs = env.submit_many(F, 3);
    env.resize(3);
    let fresh = env.make_ready();
    assert_eq!(env.held(fresh[0]), &jobs[1..2]);
    assert_eq!(env.held(fresh[1]), &jobs[2..3]);
}

#[test]
fn idle_executors_retire_at_once_the_longest_idle_first() {
    let (mut env, workers) = Env::ready(3);
    env.submit_many(F, 3);
    for executor in [workers[1], workers[0], workers[2]] {
        env.run(executor, us(5));
    }
    env.resize(1);
    assert_eq!(env.in_phase(Phase::Leaving), [workers[0], workers[1]]);
    for executor in env.in_phase(Phase::Leaving) {
        env.exit(executor);
    }
    assert_eq!(env.in_phase(Phase::Starting), [], "they are not replaced");
}

#[test]
fn busy_executors_finish_what_they_run() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(20));
    env.submit_many(F, 20);
    env.begin(workers[0]);
    env.begin(workers[1]);
    env.effects();
    env.resize(0);
    let effects = env.effects();
    assert!(
        effects
            .iter()
            .all(|effect| matches!(effect, Effect::Recall { .. })),
        "{effects:?}"
    );
    assert_eq!(env.queued().len(), 18);
    for &executor in &workers {
        env.run(executor, us(20));
        assert_eq!(env.workers[&executor].phase, Phase::Leaving);
    }
    assert_eq!(env.queued().len(), 18);
    env.resize(1);
    assert_eq!(env.make_ready().len(), 1);
    assert!(env.queued().len() < 18);
}

#[test]
fn with_no_executors_jobs_queue() {
    let mut env = Env::new(Config::default());
    let jobs = env.submit_many(F, 3);
    env.advance(ms(10_000));
    assert_eq!(env.queued(), jobs);
    env.resize(1);
    env.make_ready();
    assert_eq!(env.queued(), &jobs[1..]);
}

#[test]
fn growing_again_keeps_those_that_were_to_go() {
    let (mut env, workers) = Env::ready(2);
    env.submit_many(F, 2);
    env.resize(1);
    env.effects();
    env.resize(2);
    assert_eq!(env.effects(), [], "none has to be started");
    let job = env.submit(F);
    env.run(workers[0], us(2));
    env.run(workers[1], us(2));
    assert_ne!(env.place(job), Place::Queue);
    assert_eq!(env.in_phase(Phase::Ready), workers);
}

#[test]
fn executors_that_start_are_the_first_to_go() {
    let (mut env, workers) = Env::ready(2);
    env.submit_many(F, 2);
    env.resize(4);
    env.resize(2);
    let starting = env.in_phase(Phase::Starting);
    assert_eq!(starting.len(), 2);
    env.make_ready();
    assert_eq!(
        env.in_phase(Phase::Leaving),
        starting,
        "they retire as soon as they can"
    );
    assert_eq!(env.in_phase(Phase::Ready), workers);
}

#[test]
fn starting_executors_can_be_wanted_again() {
    let mut env = Env::new(Config::default());
    env.resize(3);
    env.resize(1);
    env.resize(3);
    assert_eq!(env.make_ready().len(), 3);
    assert_eq!(env.in_phase(Phase::Ready).len(), 3);
}

#[test]
fn one_that_was_to_go_and_dies_is_not_replaced() {
    let (mut env, workers) = Env::ready(2);
    let jobs = env.submit_many(F, 2);
    env.resize(1);
    let leaving = workers
        .iter()
        .find(|&&id| {
            let stats = env.scheduler.executor_stats(id).unwrap();
            stats.state == pp_core::ExecutorState::Draining
        })
        .copied()
        .unwrap();
    let job = env.held(leaving)[0];
    env.begin(leaving);
    env.die(leaving);
    assert_eq!(env.in_phase(Phase::Starting), []);
    assert_eq!(env.queued(), [job]);
    assert!(jobs.contains(&job));
    assert_eq!(
        env.scheduler.job(job).unwrap().deaths,
        1,
        "it is charged all the same"
    );
}

#[test]
fn an_executor_that_goes_may_have_jobs_coming_back_late() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, us(20));
    let jobs = env.submit_many(F, 5);
    env.resize(0);
    env.run(workers[0], us(20));
    assert_eq!(
        env.workers[&workers[0]].phase,
        Phase::Ready,
        "answers are pending"
    );
    env.answer(workers[0]);
    assert_eq!(env.workers[&workers[0]].phase, Phase::Leaving);
    assert_eq!(env.queued(), &jobs[1..]);
}
