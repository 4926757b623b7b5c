//! The end of it all.

use pp_core::{Charges, Config, Effect, Ending, ExecutorState};

use crate::env::{Env, F, Phase, us};

#[test]
fn every_job_ends_and_every_executor_is_killed() {
    let (mut env, workers) = Env::ready(2);
    env.resize(4);
    let jobs = env.submit_many(F, 10);
    env.begin(workers[0]);
    env.destroy();
    for job in jobs {
        assert_eq!(env.ending(job), Some(Ending::Destroyed));
    }
    assert_eq!(env.in_phase(Phase::Dying).len(), 4);
    assert!(env.scheduler.is_empty());
    assert!(env.scheduler.is_destroyed());
}

#[test]
fn nothing_is_accepted_or_started_afterwards() {
    let (mut env, workers) = Env::ready(1);
    env.destroy();
    let refused = env.scheduler.submit(F, 7, env.now).unwrap_err();
    assert_eq!(refused.data, 7);
    assert_eq!(format!("{refused:?}"), "Destroyed { .. }");
    env.resize(5);
    env.die(workers[0]);
    env.destroy();
    assert_eq!(env.scheduler.worker_counts().total(), 0);
    assert_eq!(env.scheduler.next_deadline(), None);
}

#[test]
fn results_that_come_too_late_are_refused() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit(F);
    env.destroy();
    assert_eq!(
        env.scheduler.job_finished(workers[0], job, us(1), env.now),
        None
    );
}

/// The caller may destroy before it has polled what it asked for.
#[test]
fn executors_that_nobody_has_heard_of_are_not_killed() {
    let mut env = Env::new(Config::default());
    env.scheduler.resize(3, env.now);
    let Some(Effect::Start { executor }) = env.scheduler.poll() else {
        panic!("no start")
    };
    let job = env.scheduler.submit(F, 5, env.now).unwrap();
    env.scheduler.destroy(env.now);
    let effects: Vec<_> = std::iter::from_fn(|| env.scheduler.poll()).collect();
    let ending = Ending::Destroyed;
    assert_eq!(
        effects,
        [
            Effect::Kill { executor },
            Effect::End {
                job,
                data: 5,
                ending,
                charges: Charges::default(),
            }
        ]
    );
    assert_eq!(env.scheduler.worker_counts().total(), 1);
}

#[test]
fn executors_that_retire_are_killed_too() {
    let (mut env, workers) = Env::ready(2);
    env.resize(0);
    env.destroy();
    for executor in workers {
        let stats = env.scheduler.executor_stats(executor).unwrap();
        assert_eq!(stats.state, ExecutorState::Killing);
    }
}
