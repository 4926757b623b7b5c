//! The order of jobs, and what can be seen of them.

use pp_core::{Config, JobId, JobState};

use crate::env::{Env, F, G, us};

#[test]
fn first_in_first_out() {
    let (mut env, workers) = Env::ready(1);
    let jobs: Vec<_> = (0..300)
        .map(|n| env.submit(if n % 7 == 0 { G } else { F }))
        .collect();
    let finished: Vec<_> = jobs.iter().map(|_| env.run(workers[0], us(3))).collect();
    assert_eq!(finished, jobs);
    assert!(env.scheduler.is_empty());
}

#[test]
fn jobs_of_a_dead_executor_regain_their_place() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(20));
    let jobs = env.submit_many(F, 40);
    env.begin(workers[0]);
    env.die(workers[0]);
    assert_eq!(env.queued(), jobs);
    let fresh = env.make_ready()[0];
    let finished: Vec<_> = jobs.iter().map(|_| env.run(fresh, us(20))).collect();
    assert_eq!(finished, jobs);
}

#[test]
fn names_count_up_and_come_through_the_wire() {
    let mut env = Env::new(Config::default());
    let jobs = env.submit_many(F, 1_000);
    assert!(jobs.is_sorted());
    for job in jobs {
        assert_eq!(JobId::from_u64(job.as_u64()), job);
    }
}

#[test]
fn a_live_job_can_be_seen() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    let executor = workers[0];
    let (sent, queued) = (env.submit(F), env.submit(G));
    let view = env.scheduler.job(sent).unwrap();
    assert_eq!((view.function, view.deaths, *view.data), (F, 0, 0));
    assert_eq!(view.state, JobState::Sent { executor });
    let view = env.scheduler.job(queued).unwrap();
    assert_eq!((view.function, view.state), (G, JobState::Queued));
    assert_eq!(
        (env.scheduler.queued(), env.scheduler.outstanding()),
        (1, 1)
    );
    env.cancel(sent);
    let state = env.scheduler.job(sent).unwrap().state;
    assert_eq!(state, JobState::Cancelling { executor });
    env.run(executor, us(1));
    assert!(env.scheduler.job(sent).is_none());
    assert!(env.scheduler.data(sent).is_none());
}

#[test]
fn executors_account_for_what_they_did() {
    let (mut env, workers) = Env::ready(1);
    env.submit_many(F, 2);
    env.run(workers[0], us(7));
    let stats = env.scheduler.executor_stats(workers[0]).unwrap();
    assert_eq!((stats.finished, stats.held, stats.run_time), (1, 1, us(7)));
    assert_eq!(stats.backlog, us(7));
}

/// The table and the queue may not grow with the jobs that have ended.
#[test]
fn a_long_life_leaves_nothing_behind() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(1));
    let long = env.submit(G);
    for _ in 0..200 {
        let jobs = env.submit_many(F, 25);
        for &job in jobs.iter().rev().take(5) {
            env.cancel(job);
        }
        while env.held(workers[1]).first().is_some_and(|&job| job != long) {
            env.finish(workers[1], us(1));
        }
        while env.held(workers[0]).first().is_some_and(|&job| job != long) {
            env.finish(workers[0], us(1));
        }
    }
    assert_eq!(env.jobs.len(), 1);
    let holder = *workers.iter().find(|&&id| env.held(id) == [long]).unwrap();
    env.finish(holder, us(1));
    env.advance(us(100_000));
    assert!(env.scheduler.is_empty());
}
