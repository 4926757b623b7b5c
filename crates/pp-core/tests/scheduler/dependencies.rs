//! Jobs that begin after others.

use std::time::Duration;

use pp_core::{Config, Effect, Ending, JobId, JobState, Scheduler, Terms, Time};

use crate::env::{Env, F, G, Place, ms, us};
use crate::rng::Rng;

fn after(after: Vec<JobId>) -> Terms {
    Terms {
        after,
        ..Terms::default()
    }
}

fn failed(root: JobId) -> Ending {
    Ending::DependencyFailed { root }
}

fn cancelled(root: JobId) -> Ending {
    Ending::DependencyCancelled { root }
}

#[test]
fn a_job_begins_after_those_that_it_names() {
    let (mut env, workers) = Env::ready(2);
    let jobs = env.submit_many(F, 2);
    let last = env.submit_after(F, &[jobs[0], jobs[1], jobs[0]]);
    let counts = (env.scheduler.waiting(), env.scheduler.queued());
    assert_eq!(counts, (1, 0));
    assert_eq!(env.scheduler.outstanding(), 2);
    assert_eq!(env.scheduler.job(last).unwrap().state, JobState::Waiting);
    assert_eq!(env.scheduler.data(last), Some(&2));
    assert_eq!(env.scheduler.function_in_use(F), 3);
    env.finish(workers[0], us(5));
    assert_eq!(env.place(last), Place::Waiting);
    env.finish(workers[1], us(5));
    assert!(matches!(env.place(last), Place::With(_)));
}

#[test]
fn what_has_ended_well_and_what_is_unknown_is_not_waited_for() {
    let (mut env, workers) = Env::ready(1);
    let first = env.submit(F);
    env.finish(workers[0], us(5));
    let job = env.submit_after(F, &[first]);
    assert_eq!(env.held(workers[0]), [job]);
    env.submit_after(G, &[JobId::from_u64(77)]);
    assert_eq!(env.scheduler.waiting(), 0);
}

#[test]
fn a_job_that_becomes_ready_takes_its_place() {
    let (mut env, workers) = Env::ready(1);
    let first = env.submit(F);
    let after = env.submit_after(F, &[first]);
    let later = env.submit_many(F, 3);
    env.finish(workers[0], ms(30));
    assert_eq!(env.held(workers[0]), [after]);
    assert_eq!(env.queued(), later);
}

#[test]
fn what_depends_on_a_failed_job_ends_in_order() {
    let (mut env, workers) = Env::ready(1);
    let root = env.submit(F);
    let other = env.submit(G);
    let first = env.submit_after(F, &[root]);
    let spared = env.submit_after(F, &[other]);
    let second = env.submit_after(F, &[first, spared]);
    let later = env.submit_after(F, &[spared]);
    let third = env.submit_after(F, &[root, second, first]);
    env.effects();
    env.fail(workers[0], us(5));
    let ends: Vec<_> = env
        .effects()
        .into_iter()
        .filter_map(|effect| match effect {
            Effect::End { job, ending, .. } => Some((job, ending)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [first, second, third].map(|job| (job, failed(root))));
    assert_eq!(env.waiting(), [spared, later]);
    env.run(workers[0], us(5));
    assert_eq!(env.held(workers[0]), [spared]);
    env.run(workers[0], us(5));
    env.run(workers[0], us(5));
    assert_eq!(env.ending(later), None);
    assert!(env.scheduler.is_empty());
}

#[test]
fn how_a_job_ends_tells_what_becomes_of_its_dependants() {
    let (mut env, workers) = Env::ready(1);
    let running = env.submit(F);
    let queued = env.submit(F);
    let after_queued = env.submit_after(F, &[queued, running]);
    env.cancel(queued);
    assert_eq!(env.ending(after_queued), Some(cancelled(queued)));
    let after = env.submit_after(F, &[running]);
    let last = env.submit_after(F, &[after]);
    env.withdraw(after);
    assert_eq!(env.ending(after), Some(Ending::Cancelled));
    assert_eq!(env.ending(last), Some(cancelled(after)));
    let doomed = env.submit_after(F, &[running]);
    for _ in 0..3 {
        let Place::With(worker) = env.place(running) else {
            panic!("it is not sent");
        };
        env.begin(worker);
        env.die(worker);
        env.make_ready();
    }
    assert!(matches!(
        env.ending(running),
        Some(Ending::WorkerDied { .. })
    ));
    assert_eq!(env.ending(doomed), Some(failed(running)));
    assert!(env.scheduler.is_empty());
    assert!(!env.workers.contains_key(&workers[0]));
}

#[test]
fn a_withdrawn_job_that_runs_to_its_end_lets_others_begin() {
    let (mut env, workers) = Env::ready(1);
    let first = env.submit(F);
    env.begin(workers[0]);
    let after = env.submit_after(F, &[first]);
    env.withdraw(first);
    env.finish(workers[0], us(5));
    assert_eq!(env.held(workers[0]), [after]);
}

#[test]
fn where_nobody_is_left_all_that_wait_end_too() {
    let mut env = Env::new(Config::default());
    let root = env.submit(F);
    let jobs = [
        env.submit_after(F, &[root]),
        env.submit_after(F, &[root]),
        env.submit(F),
    ];
    env.resize(1);
    while let Some(&executor) = env.workers.keys().next() {
        env.fail_start(executor);
        env.advance(ms(100));
    }
    assert!(matches!(env.ending(root), Some(Ending::StartFailed { .. })));
    assert_eq!(env.ending(jobs[0]), Some(failed(root)));
    assert_eq!(env.ending(jobs[1]), Some(failed(root)));
    let mut scheduler = Scheduler::new(Config::default());
    let root = scheduler.submit(F, 1, Time::ZERO).unwrap();
    scheduler
        .submit_with(F, &after(vec![root]), 2, Time::ZERO)
        .unwrap();
    scheduler.give_up(Time::ZERO);
    let ends = [(1, Ending::GivenUp), (2, Ending::DependencyFailed { root })];
    assert_eq!(all_ends(&mut scheduler), ends);
    assert!(scheduler.is_empty());
}

#[test]
fn destroying_ends_those_that_wait() {
    let (mut env, _) = Env::ready(1);
    let root = env.submit(F);
    let job = env.submit_after(F, &[root]);
    env.destroy();
    assert_eq!(env.ending(job), Some(Ending::Destroyed));
    assert!(env.scheduler.is_empty());
}

/// Its caller has not polled, so it cannot know better.
#[test]
fn a_job_after_one_that_has_just_failed_fails_too() {
    let now = Time::ZERO;
    let mut scheduler = Scheduler::new(Config::default());
    let root = scheduler.submit(F, 1, now).unwrap();
    let second = after(vec![root]);
    let second = scheduler.submit_with(F, &second, 2, now).unwrap();
    scheduler.cancel(root, now);
    let third = after(vec![second]);
    scheduler.submit_with(F, &third, 3, now).unwrap();
    let spread = Ending::DependencyCancelled { root };
    let ends = [(1, Ending::Cancelled), (2, spread), (3, spread)];
    assert_eq!(all_ends(&mut scheduler), ends);
    assert!(scheduler.is_empty());
}

fn all_ends(scheduler: &mut Scheduler<u64>) -> Vec<(u64, Ending)> {
    let effects = std::iter::from_fn(|| scheduler.poll());
    effects
        .filter_map(|effect| match effect {
            Effect::End { data, ending, .. } => Some((data, ending)),
            _ => None,
        })
        .collect()
}

const MANY: u64 = 100_000;

/// A scheduler with one worker and many jobs, each of which waits for those that `of`
/// says; the first one runs.
fn many(mut of: impl FnMut(u64) -> Vec<u64>) -> Scheduler<u64> {
    let mut scheduler = Scheduler::new(Config::default());
    scheduler.resize(1, Time::ZERO);
    for number in 0..MANY {
        let terms = after(of(number).into_iter().map(JobId::from_u64).collect());
        let job = scheduler.submit_with(F, &terms, number, Time::ZERO);
        assert_eq!(job.unwrap().as_u64(), number);
    }
    scheduler
}

/// Runs all, and gives the order in which they were sent.
fn run_all(scheduler: &mut Scheduler<u64>) -> Vec<u64> {
    let mut sent = Vec::new();
    let now = Time::ZERO;
    while let Some(effect) = scheduler.poll() {
        match effect {
            Effect::Start { executor } => scheduler.executor_ready(executor, 1, now),
            Effect::Send { executor, job } => {
                sent.push(job.as_u64());
                scheduler.job_finished(executor, job, Duration::ZERO, now);
            }
            Effect::SendFunction { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    scheduler.check_invariants().unwrap();
    assert!(scheduler.is_empty());
    sent
}

fn shapes() -> Vec<(&'static str, Scheduler<u64>)> {
    let mut rng = Rng::new(5);
    let side = 300;
    let grid = move |n: u64| {
        let left = n.checked_sub(1).filter(|_| !n.is_multiple_of(side));
        left.into_iter().chain(n.checked_sub(side)).collect()
    };
    let all_before = |n: u64| {
        if n == MANY - 1 {
            (0..n).collect()
        } else {
            vec![]
        }
    };
    vec![
        ("chain", many(|n| n.checked_sub(1).into_iter().collect())),
        (
            "fan out",
            many(|n| (n > 0).then_some(0).into_iter().collect()),
        ),
        ("fan in", many(all_before)),
        ("grid", many(grid)),
        (
            "random",
            many(move |n| (0..3).filter(|_| n > 0).map(|_| rng.below(n)).collect()),
        ),
    ]
}

#[test]
fn a_hundred_thousand_jobs_run_after_each_other_in_order() {
    for (shape, mut scheduler) in shapes() {
        let sent = run_all(&mut scheduler);
        assert!(sent.iter().copied().eq(0..MANY), "{shape}");
    }
}

#[test]
fn a_hundred_thousand_jobs_end_with_the_first() {
    for (shape, mut scheduler) in shapes() {
        let root = JobId::from_u64(0);
        scheduler.cancel(root, Time::ZERO);
        let ends = all_ends(&mut scheduler);
        if shape != "fan in" {
            assert!(scheduler.is_empty(), "{shape}");
            let numbers = ends.iter().map(|&(number, _)| number);
            assert!(numbers.eq(0..MANY), "{shape}");
        }
        let spread = Ending::DependencyCancelled { root };
        assert_eq!(ends[0], (0, Ending::Cancelled));
        assert!(ends[1..].iter().all(|&(_, ending)| ending == spread));
        assert_eq!(ends.last(), Some(&(MANY - 1, spread)), "{shape}");
        scheduler.check_invariants().unwrap();
    }
}
