//! What is asked for jobs in several ways at once: shares, priorities and their limits, of jobs
//! that wait, pause, are run again or take too long.

use std::time::Duration;

use pp_core::{Config, Effect, Ending, ExecutorId, JobId, Retries, Terms};

use crate::env::{Env, F, G, Phase, Place, ms, of_share, priority, share};

const LIMIT: Duration = Duration::from_millis(100);

/// Executors that run one job of F at a time, and no more than one of share 1.
fn ready(workers: u32) -> (Env, Vec<ExecutorId>) {
    let (mut env, ids) = Env::ready_with(
        Config {
            ageing: None,
            ..Config::default()
        },
        workers,
    );
    env.measure(F, ms(1_000));
    env.set_share(share(1), 1, Some(1));
    (env, ids)
}

fn with_retry(terms: Terms, pause: Duration) -> Terms {
    Terms {
        retries: Retries {
            count: 1,
            pause,
            on_timeout: true,
            ..Retries::default()
        },
        ..terms
    }
}

fn limited(terms: Terms) -> Terms {
    Terms {
        time_limit: Some(LIMIT),
        ..terms
    }
}

fn after(terms: &Terms, job: JobId) -> Terms {
    Terms {
        after: vec![job],
        ..terms.clone()
    }
}

/// How many jobs of share 1 executors hold, and how many are queued.
fn counts(env: &Env) -> (usize, usize) {
    let stats = env.scheduler.share_stats(share(1)).unwrap();
    (stats.held, stats.queued)
}

fn holder(env: &Env, job: JobId) -> ExecutorId {
    let Place::With(executor) = env.place(job) else {
        panic!("{job} is at {:?}", env.place(job));
    };
    executor
}

#[test]
fn a_job_that_becomes_ready_goes_by_its_priority() {
    let (mut env, workers) = ready(1);
    let root = env.submit(F);
    let low = env.submit_with(F, &after(&priority(-1), root));
    let plain = env.submit(F);
    let high = env.submit_with(F, &after(&priority(1), root));
    let later = env.submit(F);
    for expected in [root, high, plain, later, low] {
        assert_eq!(env.run(workers[0], ms(1_000)), expected);
    }
    assert!(env.scheduler.is_empty());
}

#[test]
fn a_job_whose_pause_is_over_goes_by_its_priority() {
    let (mut env, workers) = ready(1);
    let high = env.submit_with(F, &with_retry(priority(1), ms(10)));
    let plain = env.submit_many(F, 3);
    env.begin(workers[0]);
    env.raise(workers[0], ms(1_000));
    assert!(matches!(env.place(high), Place::Paused(_)));
    for expected in [plain[0], high, plain[1], plain[2]] {
        assert_eq!(env.run(workers[0], ms(1_000)), expected);
    }
    assert!(env.scheduler.is_empty());
}

#[test]
fn what_waits_for_others_takes_no_place_of_its_share() {
    let (mut env, workers) = ready(2);
    let root = env.submit(G);
    let first = env.submit_with(F, &after(&of_share(1), root));
    assert_eq!(counts(&env), (0, 0));
    let second = env.submit_with(F, &of_share(1));
    assert_eq!((counts(&env), env.queued()), ((1, 0), vec![]));
    let other = holder(&env, second);
    let root_holder = *workers.iter().find(|&&id| id != other).unwrap();
    env.run(root_holder, ms(1));
    assert_eq!((counts(&env), env.queued()), ((1, 1), vec![first]));
    env.run(other, ms(1_000));
    assert!(matches!(env.place(first), Place::With(_)));
}

/// Idle executors are there for others while jobs wait, pause or are over their limit.
#[test]
fn a_job_that_pauses_leaves_its_place_to_others() {
    let (mut env, workers) = ready(2);
    let first = env.submit_with(F, &with_retry(of_share(1), ms(10)));
    let second = env.submit_with(F, &of_share(1));
    let executor = holder(&env, first);
    env.begin(executor);
    env.raise(executor, ms(1));
    let executor = holder(&env, second);
    assert_eq!(counts(&env), (1, 0));
    env.advance(ms(10));
    assert_eq!((counts(&env), env.queued()), ((1, 1), vec![first]));
    assert!(env.scheduler.wants_jobs_now(), "one executor has nothing");
    assert_eq!(env.scheduler.supply(), None);
    let other = env.submit(F);
    assert!(workers.contains(&holder(&env, other)));
    env.run(executor, ms(1_000));
    assert!(matches!(env.place(first), Place::With(_)));
}

#[test]
fn a_job_that_takes_too_long_has_its_place_until_it_has_ended() {
    let (mut env, workers) = ready(2);
    let long = env.submit_with(F, &limited(of_share(1)));
    let next = env.submit_with(F, &of_share(1));
    let executor = holder(&env, long);
    env.begin(executor);
    env.advance(LIMIT);
    assert_eq!((counts(&env), env.queued()), ((1, 1), vec![next]));
    env.advance(env.config.cancel_grace);
    assert_eq!(env.ending(long), Some(Ending::TimedOut { limit: LIMIT }));
    assert_eq!(counts(&env), (1, 0));
    assert!(workers.contains(&holder(&env, next)) && holder(&env, next) != executor);
}

/// Otherwise two of them would run for a moment.
#[test]
fn a_job_that_is_run_again_has_its_place_until_its_executor_is_gone() {
    let (mut env, _) = ready(2);
    let long = env.submit_with(F, &limited(with_retry(of_share(1), Duration::ZERO)));
    let next = env.submit_with(F, &of_share(1));
    let executor = holder(&env, long);
    env.begin(executor);
    env.advance(LIMIT + env.config.cancel_grace);
    assert_eq!(env.workers[&executor].phase, Phase::Dying);
    assert_eq!((counts(&env), env.queued()), ((1, 1), vec![next]));
    env.die(executor);
    assert_eq!((counts(&env), env.queued()), ((1, 1), vec![next]));
    assert_ne!(holder(&env, long), executor, "it is the older one");
}

/// It is asked back to make sure, and so leaves its executor without having begun.
#[test]
fn a_job_that_has_not_begun_when_its_time_seems_over_takes_one_place() {
    let (mut env, workers) = ready(1);
    let job = env.submit_with(F, &limited(of_share(1)));
    env.effects();
    env.advance(LIMIT);
    let executor = workers[0];
    let effects = env.effects();
    assert!(effects.contains(&Effect::Recall { executor, job }));
    assert_eq!(counts(&env), (1, 0));
    env.run(executor, ms(1));
    assert_eq!(counts(&env), (0, 0));
    let next = env.submit_with(F, &of_share(1));
    assert!(matches!(env.place(next), Place::With(_)));
}

/// What a share got for jobs that raised something counts as any other service.
#[test]
fn who_is_run_again_gets_no_more_than_others() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, ms(100));
    for _ in 0..100 {
        env.submit_with(F, &with_retry(of_share(1), Duration::ZERO));
        env.submit_with(F, &of_share(2));
    }
    for _ in 0..100 {
        let job = env.held(workers[0])[0];
        let entry = &env.jobs[&job];
        if entry.retries < entry.terms.retries.count {
            env.begin(workers[0]);
            env.advance(ms(100));
            env.raise(workers[0], ms(100));
        } else {
            env.run(workers[0], ms(100));
        }
    }
    let run_time = |number| env.scheduler.share_stats(share(number)).unwrap().run_time;
    assert_eq!(run_time(1) + run_time(2), ms(10_000));
    assert!(
        run_time(1).abs_diff(run_time(2)) <= ms(200),
        "{:?}",
        run_time(1)
    );
}

/// What depends on a job that fails ends, whatever its share, and leaves nothing there.
#[test]
fn shares_of_jobs_that_could_not_begin_are_forgotten() {
    let (mut env, workers) = ready(1);
    let root = env.submit_with(F, &of_share(2));
    let middle = env.submit_with(F, &after(&of_share(3), root));
    let last = env.submit_with(F, &after(&of_share(4), middle));
    env.begin(workers[0]);
    env.fail(workers[0], ms(1));
    assert_eq!(env.ending(last), Some(Ending::DependencyFailed { root }));
    assert!(env.scheduler.is_empty());
    for number in 2..5 {
        assert_eq!(env.scheduler.share_stats(share(number)), None);
    }
}
