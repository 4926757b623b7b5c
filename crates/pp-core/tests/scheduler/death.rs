//! Executors die with jobs on them.

use std::num::NonZeroU32;

use pp_core::{Config, Effect, Ending, ExecutorId, JobId};

use crate::env::{Env, F, G, Phase, fresh_process_per_job, us};

fn dies_after(deaths: u32) -> Config {
    Config {
        max_worker_deaths: NonZeroU32::new(deaths).unwrap(),
        ..Config::default()
    }
}

#[test]
fn the_job_that_ran_is_charged_and_nobody_else() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 3);
    env.begin(workers[0]);
    env.die(workers[0]);
    let deaths: Vec<_> = jobs
        .iter()
        .map(|&job| env.scheduler.job(job).unwrap().deaths)
        .collect();
    assert_eq!(deaths, [1, 0, 0]);
    assert_eq!(
        env.in_phase(Phase::Starting).len(),
        1,
        "it is replaced at once"
    );
}

#[test]
fn a_job_that_kills_fails_alone() {
    let (mut env, _) = Env::ready_with(dies_after(3), 1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 5);
    let mut last = None;
    for _ in 0..3 {
        let executor = env.in_phase(Phase::Ready)[0];
        env.begin(executor);
        env.die(executor);
        last = Some(executor);
        env.make_ready();
    }
    let ending = Ending::WorkerDied {
        deaths: 3,
        executor: last.unwrap(),
    };
    assert_eq!(env.ending(jobs[0]), Some(ending));
    let fresh = env.in_phase(Phase::Ready)[0];
    for &job in &jobs[1..] {
        assert_eq!(env.run(fresh, us(5)), job);
    }
}

#[test]
fn one_death_can_be_enough() {
    let (mut env, workers) = Env::ready_with(dies_after(1), 1);
    let job = env.submit(F);
    env.begin(workers[0]);
    env.die(workers[0]);
    let ending = Ending::WorkerDied {
        deaths: 1,
        executor: workers[0],
    };
    assert_eq!(env.ending(job), Some(ending));
}

#[test]
fn its_job_runs_elsewhere_at_once_if_somebody_is_free() {
    let (mut env, workers) = Env::ready(2);
    let job = env.submit(F);
    let (holder, other) = match env.held(workers[0]) {
        [] => (workers[1], workers[0]),
        _ => (workers[0], workers[1]),
    };
    env.begin(holder);
    env.die(holder);
    assert_eq!(env.held(other), [job]);
}

#[test]
fn an_idle_executor_that_dies_is_replaced() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(5));
    env.effects();
    env.die(workers[0]);
    assert!(matches!(env.effects()[..], [Effect::Start { .. }]));
}

#[test]
fn what_a_dead_executor_says_counts_no_more() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit(F);
    env.begin(workers[0]);
    env.die(workers[0]);
    let (scheduler, now) = (&mut env.scheduler, env.now);
    assert_eq!(scheduler.job_finished(workers[0], job, us(1), now), None);
    scheduler.recall_answered(workers[0], job, true, now);
    scheduler.executor_lost(workers[0], &[job], now);
    assert_eq!(scheduler.job(job).unwrap().deaths, 1);
}

#[test]
fn jobs_that_it_did_not_hold_are_not_charged() {
    let (mut env, workers) = Env::ready(2);
    let jobs = env.submit_many(F, 3);
    // Told twice about one job, and of jobs elsewhere, queued and unheard of.
    let unknown = JobId::from_u64(99);
    let held = env.held(workers[0])[0];
    let others: Vec<_> = jobs.iter().copied().filter(|&job| job != held).collect();
    let started = [held, held, others[0], others[1], unknown];
    env.scheduler.executor_lost(workers[0], &started, env.now);
    assert_eq!(env.scheduler.job(held).unwrap().deaths, 1);
    for job in others {
        assert_eq!(env.scheduler.job(job).unwrap().deaths, 0);
    }
}

#[test]
fn an_executor_for_one_job_is_replaced_after_it() {
    let (mut env, workers) = Env::ready_with(fresh_process_per_job(), 1);
    let jobs = env.submit_many(F, 2);
    assert_eq!(
        env.held(workers[0]),
        &jobs[..1],
        "one each, also when lengths are known"
    );
    env.effects();
    env.run(workers[0], us(5));
    let executor = workers[0];
    let started = ExecutorId::from_u64(executor.as_u64() + 1);
    assert_eq!(
        env.effects(),
        [
            Effect::Retire { executor },
            Effect::Start { executor: started }
        ]
    );
    env.make_ready();
    assert_eq!(env.held(started), &jobs[1..]);
    env.exit(executor);
}

#[test]
fn an_executor_for_some_jobs_gets_no_more_than_those() {
    let config = Config {
        jobs_per_executor: NonZeroU32::new(3),
        ..Config::default()
    };
    let (mut env, workers) = Env::ready_with(config, 1);
    env.measure(F, us(1));
    env.submit_many(F, 10);
    assert_eq!(env.held(workers[0]).len(), 2);
    env.run(workers[0], us(1));
    env.run(workers[0], us(1));
    assert_eq!(env.in_phase(Phase::Leaving), workers);
}

#[test]
fn functions_are_sent_again_to_the_successor() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit(G);
    env.begin(workers[0]);
    env.die(workers[0]);
    env.effects();
    let executor = env.make_ready()[0];
    assert_eq!(
        env.effects(),
        [
            Effect::SendFunction {
                executor,
                function: G
            },
            Effect::Send { executor, job }
        ]
    );
}
