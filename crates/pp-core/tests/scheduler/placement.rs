//! Who gets which job, and how far jobs are sent ahead.

use pp_core::{Config, Effect, WindowConfig};

use crate::env::{Env, F, G, Place, ms, us};

#[test]
fn a_job_goes_to_an_idle_executor_at_once() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit(F);
    let executor = workers[0];
    assert_eq!(
        env.effects(),
        [
            Effect::SendFunction {
                executor,
                function: F
            },
            Effect::Send { executor, job }
        ]
    );
}

#[test]
fn jobs_queue_until_an_executor_is_ready() {
    let mut env = Env::new(Config::default());
    env.resize(1);
    let jobs = env.submit_many(F, 3);
    assert_eq!(env.queued(), jobs);
    let workers = env.make_ready();
    assert_eq!(env.held(workers[0]), &jobs[..1]);
}

#[test]
fn the_executor_that_was_active_last_is_served_first() {
    let (mut env, workers) = Env::ready(3);
    env.submit_many(F, 3);
    for executor in [workers[0], workers[2], workers[1]] {
        env.run(executor, us(5));
    }
    env.submit(F);
    assert_eq!(env.held(workers[1]).len(), 1, "it may still be spinning");
}

#[test]
fn functions_of_unknown_length_are_not_sent_ahead() {
    let (mut env, workers) = Env::ready(2);
    let jobs = env.submit_many(F, 5);
    assert_eq!(env.queued(), &jobs[2..]);
    // Nor is anything sent ahead behind them.
    let (one, other) = (workers[0], workers[1]);
    env.run(one, us(1));
    assert_eq!(env.held(one), &jobs[2..], "now the length is known");
    assert_eq!(env.held(other).len(), 1, "nobody knows when this one ends");
}

#[test]
fn a_new_function_holds_up_what_was_submitted_after_it() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(2));
    let first = env.submit(F);
    let unknown = env.submit(G);
    let last = env.submit(F);
    assert_eq!(env.queued(), [unknown, last]);
    assert_eq!(env.run(workers[0], us(2)), first);
    assert_eq!(env.held(workers[0]), [unknown]);
}

#[test]
fn short_jobs_are_sent_ahead_up_to_the_window() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(1));
    env.submit_many(F, 1_000);
    assert_eq!(
        env.held(workers[0]).len(),
        257,
        "256 ahead of the one that runs"
    );
    env.run(workers[0], us(1));
    assert_eq!(env.held(workers[0]).len(), 257, "room is used at once");
}

#[test]
fn jobs_are_sent_ahead_as_far_as_the_horizon() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(30));
    env.submit_many(F, 250);
    // More follows as long as no more than 6 ms are held: 201 are 6.03 ms.
    assert_eq!(env.held(workers[0]).len(), 201);
}

#[test]
fn one_job_is_sent_ahead_of_a_long_one() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, ms(5));
    env.submit_many(F, 10);
    assert_eq!(env.held(workers[0]).len(), 2, "to hide the round trip");
}

#[test]
fn nothing_is_sent_ahead_of_a_very_long_job() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, ms(500));
    env.submit_many(F, 10);
    assert_eq!(
        env.held(workers[0]).len(),
        1,
        "the round trip does not matter"
    );
}

#[test]
fn jobs_are_spread_before_any_is_sent_ahead() {
    let (mut env, workers) = Env::ready(4);
    env.measure(F, us(1));
    env.submit_many(F, 4);
    for &executor in &workers {
        assert_eq!(env.held(executor).len(), 1);
    }
}

#[test]
fn jobs_ahead_go_to_those_with_less_to_do() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(1));
    env.submit_many(F, 200);
    let counts: Vec<_> = workers
        .iter()
        .map(|&executor| env.held(executor).len())
        .collect();
    assert!(
        counts.iter().all(|&count| count >= 66),
        "within a factor of two: {counts:?}"
    );
}

#[test]
fn credit_is_never_exceeded() {
    let mut env = Env::new(Config::default());
    env.resize(2);
    let ids: Vec<_> = env.workers.keys().copied().collect();
    env.become_ready(ids[0], 3);
    env.become_ready(ids[1], 0);
    env.measure(F, us(1));
    env.submit_many(F, 10);
    assert_eq!(env.held(ids[0]).len(), 3);
    assert_eq!(env.held(ids[1]).len(), 0, "it takes no jobs yet");
    env.credit(ids[1], 2);
    assert_eq!(env.held(ids[1]).len(), 2);
    env.credit(ids[0], 1);
    env.run(ids[0], us(1));
    env.run(ids[0], us(1));
    assert_eq!(
        env.held(ids[0]).len(),
        1,
        "what it holds is more than it grants now"
    );
    env.run(ids[0], us(1));
    assert_eq!(env.held(ids[0]).len(), 1);
}

#[test]
fn without_a_window_nothing_is_sent_ahead() {
    let config = Config {
        window: WindowConfig {
            max_ahead: 0,
            ..WindowConfig::default()
        },
        ..Config::default()
    };
    let (mut env, workers) = Env::ready_with(config, 1);
    env.measure(F, us(1));
    env.submit_many(F, 3);
    assert_eq!(env.held(workers[0]).len(), 1);
}

#[test]
fn jobs_that_turn_out_long_stop_the_sending_ahead() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(1));
    env.submit_many(F, 100);
    let before = env.held(workers[0]).len();
    for _ in 0..4 {
        env.begin(workers[0]);
        env.finish(workers[0], ms(8));
    }
    env.submit_many(F, 10);
    assert_eq!(
        env.held(workers[0]).len(),
        before - 4,
        "the others may be as long"
    );
}

#[test]
fn the_clock_of_the_caller_may_jump_back() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(10));
    env.submit_many(F, 20);
    env.advance(ms(1));
    env.now = pp_core::Time::ZERO;
    let job = env.submit(F);
    assert_ne!(env.place(job), Place::Queue);
    while let Some(&executor) = workers.iter().find(|&&id| !env.held(id).is_empty()) {
        env.finish(executor, us(10));
    }
    env.advance(ms(100));
    assert!(env.scheduler.is_empty());
}
