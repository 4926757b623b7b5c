//! Executors that do not start, or die before they do anything.

use pp_core::{Config, Ending};

use crate::env::{Env, F, Phase, fresh_process_per_job, ms, us};

/// Lets starts fail, with pauses, until no more are tried; gives how many were.
fn fail_all(env: &mut Env) -> u32 {
    let mut failed = 0;
    for _ in 0..100 {
        for executor in env.in_phase(Phase::Starting) {
            env.fail_start(executor);
            failed += 1;
        }
        env.advance(ms(100));
    }
    failed
}

#[test]
fn a_broken_environment_fails_all_jobs_and_is_left_alone() {
    let mut env = Env::new(Config::default());
    env.resize(1);
    let jobs = env.submit_many(F, 3);
    assert_eq!(fail_all(&mut env), 3);
    for job in jobs {
        assert_eq!(env.ending(job), Some(Ending::StartFailed { attempts: 3 }));
    }
    assert!(env.scheduler.is_empty());
    assert_eq!(
        env.scheduler.next_deadline(),
        None,
        "nothing is tried any more"
    );
    env.scheduler.tick(env.now);
    env.absorb();
    assert_eq!(env.in_phase(Phase::Starting), []);
}

#[test]
fn the_next_submit_tries_again() {
    let mut env = Env::new(Config::default());
    env.resize(8);
    env.submit(F);
    fail_all(&mut env);
    let job = env.submit(F);
    assert_eq!(
        env.in_phase(Phase::Starting).len(),
        3,
        "no more than may fail"
    );
    assert_eq!(fail_all(&mut env), 3);
    assert_eq!(env.ending(job), Some(Ending::StartFailed { attempts: 3 }));
    // And when it works again, all is well.
    let job = env.submit(F);
    let ready = env.make_ready();
    let holder = *ready.iter().find(|&&id| env.held(id) == [job]).unwrap();
    env.run(holder, us(5));
    env.make_ready();
    assert_eq!(env.in_phase(Phase::Ready).len(), 8);
}

#[test]
fn the_next_resize_tries_again() {
    let mut env = Env::new(Config::default());
    env.resize(2);
    fail_all(&mut env);
    env.resize(2);
    assert_eq!(env.in_phase(Phase::Starting).len(), 2);
}

#[test]
fn nobody_gives_up_while_others_are_starting() {
    let mut env = Env::new(Config::default());
    env.resize(6);
    let job = env.submit(F);
    let starting = env.in_phase(Phase::Starting);
    for &executor in &starting[..5] {
        env.fail_start(executor);
    }
    env.become_ready(starting[5], 10);
    assert_eq!(env.held(starting[5]), [job]);
}

#[test]
fn with_another_one_ready_it_is_tried_for_ever_and_ever_more_rarely() {
    let (mut env, _) = Env::ready(1);
    env.resize(2);
    assert_eq!(
        fail_all(&mut env),
        9,
        "in ten seconds: at 0, 0, 0.05, 0.15, ... 5, 10"
    );
    // It works again: from now on one failure is repaired at once, as ever.
    env.advance(ms(5_000));
    let fresh = env.make_ready()[0];
    env.measure(F, us(5));
    env.die(fresh);
    assert_eq!(env.in_phase(Phase::Starting).len(), 1);
}

#[test]
fn when_the_last_ready_one_dies_it_is_tried_at_once() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    env.resize(2);
    fail_all(&mut env);
    let job = env.submit(F);
    // The next trial was not due for seconds; now nobody is left.
    assert_eq!(env.in_phase(Phase::Starting), []);
    env.die(workers[0]);
    let fresh = env.make_ready();
    assert!(!fresh.is_empty());
    assert_eq!(env.run(fresh[0], us(5)), job);
}

#[test]
fn executors_that_die_idle_count_as_not_started() {
    let mut env = Env::new(Config::default());
    env.resize(1);
    for _ in 0..3 {
        env.make_ready();
        let executor = env.in_phase(Phase::Ready)[0];
        env.die(executor);
        env.advance(ms(200));
    }
    assert_eq!(env.in_phase(Phase::Starting), [], "it is given up");
    env.submit(F);
    assert_eq!(env.in_phase(Phase::Starting).len(), 1);
}

#[test]
fn jobs_do_not_wait_for_executors_that_die_before_they_begin() {
    let mut env = Env::new(Config::default());
    env.resize(1);
    let job = env.submit(F);
    for _ in 0..3 {
        let executor = env.make_ready()[0];
        assert_eq!(env.held(executor), [job]);
        env.die(executor);
        env.advance(ms(200));
    }
    assert_eq!(env.ending(job), Some(Ending::StartFailed { attempts: 3 }));
}

#[test]
fn a_job_that_kills_says_that_starting_works() {
    let mut env = Env::new(Config::default());
    env.resize(1);
    env.submit_many(F, 4);
    for _ in 0..12 {
        let executor = env.make_ready()[0];
        env.begin(executor);
        env.die(executor);
    }
    assert!(env.jobs.is_empty());
    assert!(
        env.ended
            .values()
            .all(|ending| matches!(ending, Some(Ending::WorkerDied { .. })))
    );
    assert_eq!(
        env.in_phase(Phase::Starting).len(),
        1,
        "the next one could run other jobs"
    );
}

#[test]
fn replaced_executors_are_not_failures() {
    let (mut env, workers) = Env::ready_with(fresh_process_per_job(), 1);
    let mut executor = workers[0];
    for _ in 0..10 {
        env.submit(F);
        env.run(executor, us(5));
        env.exit(executor);
        executor = env.make_ready()[0];
    }
}

#[test]
fn one_failure_is_repaired_at_once() {
    let mut env = Env::new(Config::default());
    env.resize(4);
    let starting = env.in_phase(Phase::Starting);
    env.fail_start(starting[0]);
    assert_eq!(env.in_phase(Phase::Starting).len(), 4);
}

/// Two threads of the caller may read the clock in one order and come in the other.
#[test]
fn pauses_go_by_the_latest_time_seen() {
    let (mut env, _) = Env::ready(1);
    env.resize(2);
    env.advance(ms(10_000));
    let late = env.now;
    let first = env.in_phase(Phase::Starting)[0];
    env.fail_start(first);
    let second = env.in_phase(Phase::Starting)[0];
    env.now = pp_core::Time::ZERO;
    env.fail_start(second);
    let pause_ends = late.saturating_add(ms(50));
    assert_eq!(env.scheduler.next_deadline(), Some(pause_ends));
}

/// An executor that is to go may die after starting was given up.
#[test]
fn a_job_that_comes_back_is_a_reason_to_try_again() {
    let (mut env, workers) = Env::ready(2);
    env.submit_many(F, 2);
    let leaving = {
        env.resize(1);
        let is_leaving = |id: &&_| {
            let stats = env.scheduler.executor_stats(**id).unwrap();
            stats.state == pp_core::ExecutorState::Draining
        };
        *workers.iter().find(is_leaving).unwrap()
    };
    let other = *workers.iter().find(|&&id| id != leaving).unwrap();
    let (first, last) = (env.held(other)[0], env.held(leaving)[0]);
    env.die(other);
    fail_all(&mut env);
    assert!(matches!(
        env.ending(first),
        Some(Ending::StartFailed { .. })
    ));
    env.begin(leaving);
    env.die(leaving);
    let fresh = env.make_ready()[0];
    assert_eq!(env.held(fresh), [last]);
}
