//! What a driver is told for its waits.

use crate::env::{Env, F, G, us};

#[test]
fn supply_is_what_the_poorest_executor_has_ahead() {
    let (mut env, workers) = Env::ready(2);
    assert_eq!(env.scheduler.supply(), None, "nobody has anything");
    env.measure(F, us(100));
    env.submit_many(F, 6);
    let supply = env.scheduler.supply().unwrap();
    assert_eq!((supply.lasts, supply.jobs), (us(200), 4));
    env.run(workers[0], us(100));
    let supply = env.scheduler.supply().unwrap();
    assert_eq!((supply.lasts, supply.jobs), (us(100), 3));
    env.run(workers[0], us(100));
    assert_eq!(env.scheduler.supply(), None, "it runs its last one");
}

#[test]
fn there_is_no_supply_without_executors() {
    let (env, _) = Env::ready(0);
    assert_eq!(env.scheduler.supply(), None);
}

#[test]
fn jobs_are_wanted_at_once_while_somebody_has_nothing_ahead() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(100));
    assert!(env.scheduler.wants_jobs_now());
    env.submit(F);
    assert!(env.scheduler.wants_jobs_now(), "one ahead is of use");
    env.submit(F);
    assert!(!env.scheduler.wants_jobs_now());
    env.run(workers[0], us(100));
    assert!(env.scheduler.wants_jobs_now());
}

#[test]
fn the_run_time_of_a_function_is_known_once_it_was_measured() {
    let (mut env, _) = Env::ready(1);
    assert_eq!(env.scheduler.expected_run_time(G), None);
    env.measure(G, us(70));
    assert_eq!(env.scheduler.expected_run_time(G), Some(us(70)));
}
