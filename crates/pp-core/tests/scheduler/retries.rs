//! Jobs that are run again after they have failed.

use std::time::Duration;

use pp_core::{Config, Effect, Ending, JobId, JobState, Raised, Retries, Scheduler, Terms, Time};

use crate::env::{Env, F, Phase, Place, ms, us};

fn retries(count: u32, pause: Duration) -> Terms {
    Terms {
        retries: Retries {
            count,
            pause,
            ..Retries::default()
        },
        ..Terms::default()
    }
}

fn with_timeouts(count: u32) -> Terms {
    Terms {
        time_limit: Some(ms(100)),
        retries: Retries {
            count,
            on_timeout: true,
            ..Retries::default()
        },
        ..Terms::default()
    }
}

fn paused_until(env: &Env, job: JobId) -> Duration {
    let Place::Paused(until) = env.place(job) else {
        panic!("{job} is at {:?}", env.place(job));
    };
    until.saturating_duration_since(env.now)
}

#[test]
fn a_job_that_raises_is_run_again_after_its_pause() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &retries(2, ms(10)));
    env.raise(workers[0], us(5));
    assert_eq!(env.scheduler.job(job).unwrap().state, JobState::Paused);
    let scheduler = &env.scheduler;
    let counts = (scheduler.paused(), scheduler.queued());
    assert_eq!(counts, (1, 0));
    assert_eq!(
        (scheduler.outstanding(), scheduler.data(job)),
        (0, Some(&0))
    );
    env.advance(us(9_999));
    assert_eq!(env.paused(), [job]);
    env.advance(us(1));
    assert_eq!(env.held(workers[0]), [job]);
    assert_eq!(env.scheduler.job(job).unwrap().attempts, 2);
    env.finish(workers[0], us(5));
    assert_eq!(env.ending(job), None);
    assert!(env.scheduler.is_empty());
}

#[test]
fn when_its_retries_are_used_up_it_has_failed() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &retries(2, Duration::ZERO));
    let after = env.submit_after(F, &[job]);
    for attempt in 1..=3 {
        assert_eq!(env.held(workers[0]), [job]);
        assert_eq!(env.scheduler.job(job).unwrap().attempts, attempt);
        env.raise(workers[0], us(5));
    }
    assert!(env.failed.contains(&job));
    let root = job;
    assert_eq!(env.ending(after), Some(Ending::DependencyFailed { root }));
    assert!(env.scheduler.is_empty());
}

#[test]
fn pauses_double_up_to_the_longest() {
    let (mut env, workers) = Env::ready(1);
    let mut terms = retries(40, ms(10));
    terms.retries.max_pause = ms(50);
    let job = env.submit_with(F, &terms);
    for pause in [10, 20, 40, 50, 50] {
        env.raise(workers[0], us(5));
        assert_eq!(paused_until(&env, job), ms(pause));
        env.advance(ms(pause));
    }
}

#[test]
fn pauses_without_a_limit_stay_in_range() {
    let mut scheduler = Scheduler::new(Config::default());
    let mut now = Time::ZERO;
    let node = scheduler.node_joined(1, 1, Duration::ZERO, now).unwrap();
    let terms = retries(100, us(1));
    let job = scheduler.submit_with(F, &terms, 1, now).unwrap();
    let mut last = Duration::ZERO;
    for _ in 0..100 {
        while scheduler.poll().is_some() {}
        let raised = scheduler.job_raised(node, job, us(1), now);
        assert_eq!(raised, Raised::Again);
        let deadline = scheduler.next_deadline().unwrap();
        let pause = deadline.saturating_duration_since(now);
        assert!(pause >= last.min(Duration::from_secs(4_000)), "{pause:?}");
        last = pause;
        now = deadline;
        scheduler.tick(now);
    }
    while scheduler.poll().is_some() {}
    let raised = scheduler.job_raised(node, job, us(1), now);
    assert_eq!(raised, Raised::Ended(1));
    assert!(scheduler.is_empty());
}

#[test]
fn it_takes_its_place_in_the_queue() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &retries(1, ms(10)));
    let others = env.submit_many(F, 3);
    env.raise(workers[0], ms(50));
    assert_eq!(env.held(workers[0]), [others[0]]);
    env.advance(ms(10));
    env.finish(workers[0], ms(50));
    assert_eq!(env.held(workers[0]), [job]);
}

#[test]
fn how_long_it_ran_counts() {
    let (mut env, workers) = Env::ready(1);
    env.submit_with(F, &retries(1, ms(10)));
    env.raise(workers[0], ms(3));
    assert_eq!(env.scheduler.expected_run_time(F), Some(ms(3)));
    let stats = env.scheduler.executor_stats(workers[0]).unwrap();
    assert_eq!((stats.finished, stats.run_time), (1, ms(3)));
}

#[test]
fn failures_of_another_kind_end_it() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &retries(3, ms(10)));
    env.fail(workers[0], us(5));
    assert!(env.failed.contains(&job));
    assert!(env.scheduler.is_empty());
}

#[test]
fn deaths_of_executors_use_no_retries() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &retries(1, Duration::ZERO));
    env.begin(workers[0]);
    env.die(workers[0]);
    let next = env.make_ready()[0];
    assert_eq!(env.scheduler.job(job).unwrap().attempts, 1);
    env.raise(next, us(5));
    assert_eq!(env.held(next), [job]);
    env.begin(next);
    env.die(next);
    let next = env.make_ready()[0];
    let known = env.scheduler.job(job).unwrap();
    assert_eq!((known.attempts, known.deaths), (2, 2));
    env.begin(next);
    env.die(next);
    assert!(matches!(
        env.ending(job),
        Some(Ending::WorkerDied { deaths: 3, .. })
    ));
}

#[test]
fn one_that_pauses_ends_at_once_when_it_is_not_wanted() {
    for manner in 0..3 {
        let (mut env, workers) = Env::ready(1);
        let job = env.submit_with(F, &retries(1, ms(10)));
        let after = env.submit_after(F, &[job]);
        env.raise(workers[0], us(5));
        let expected = match manner {
            0 => {
                env.cancel(job);
                Ending::Cancelled
            }
            1 => {
                env.withdraw(job);
                Ending::Cancelled
            }
            _ => {
                env.destroy();
                Ending::Destroyed
            }
        };
        assert_eq!(env.ending(job), Some(expected));
        assert!(env.ended.contains_key(&after));
        assert!(env.scheduler.is_empty());
        assert_eq!(env.scheduler.next_deadline(), None);
    }
}

#[test]
fn where_nobody_is_left_one_that_pauses_ends_too() {
    let now = Time::ZERO;
    let mut scheduler = Scheduler::new(Config::default());
    let node = scheduler.node_joined(1, 1, Duration::ZERO, now).unwrap();
    let terms = retries(1, ms(10));
    let job = scheduler.submit_with(F, &terms, 1, now).unwrap();
    while scheduler.poll().is_some() {}
    assert_eq!(scheduler.job_raised(node, job, us(1), now), Raised::Again);
    scheduler.executor_exited(node, now);
    scheduler.give_up(now);
    assert!(matches!(
        scheduler.poll(),
        Some(Effect::End {
            ending: Ending::GivenUp,
            ..
        })
    ));
    assert!(scheduler.is_empty());
}

#[test]
fn one_that_is_cancelled_is_not_run_again() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &retries(5, ms(10)));
    env.begin(workers[0]);
    env.withdraw(job);
    env.raise(workers[0], us(5));
    assert!(env.failed.contains(&job));
    let job = env.submit_with(F, &with_timeouts(5));
    env.begin(workers[0]);
    env.cancel(job);
    env.stop(workers[0], us(5));
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn timeouts_use_retries_only_where_that_was_asked_for() {
    let mut terms = with_timeouts(1);
    for on_timeout in [true, false] {
        terms.retries.on_timeout = on_timeout;
        let (mut env, workers) = Env::ready(1);
        let job = env.submit_with(F, &terms);
        for _ in 0..=u32::from(on_timeout) {
            assert_eq!(env.held(workers[0]), [job]);
            env.begin(workers[0]);
            env.advance(ms(100));
            env.stop(workers[0], ms(100));
        }
        let limit = ms(100);
        assert_eq!(env.ending(job), Some(Ending::TimedOut { limit }));
    }
}

/// Else the job would run twice at a time for a moment.
#[test]
fn where_its_executor_must_be_killed_it_is_run_again_after_that() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &with_timeouts(1));
    env.begin(workers[0]);
    let grace = Config::default().cancel_grace;
    env.advance(ms(100) + grace);
    assert_eq!(env.workers[&workers[0]].phase, Phase::Dying);
    let next = env.make_ready()[0];
    assert!(env.held(next).is_empty());
    env.die(workers[0]);
    assert_eq!(env.held(next), [job]);
    let known = env.scheduler.job(job).unwrap();
    assert_eq!((known.attempts, known.deaths), (2, 0));
}

#[test]
fn one_whose_executor_is_being_killed_can_be_cancelled() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &with_timeouts(1));
    env.begin(workers[0]);
    env.advance(ms(100) + Config::default().cancel_grace);
    env.cancel(job);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
    env.die(workers[0]);
    assert!(env.scheduler.is_empty());
}

/// It comes to the same executor again, before patience with its first run would have ended.
#[test]
fn each_run_has_the_whole_grace() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_with(F, &with_timeouts(1));
    let grace = Config::default().cancel_grace;
    env.begin(workers[0]);
    env.advance(ms(100));
    env.stop(workers[0], ms(100));
    assert_eq!(env.held(workers[0]), [job]);
    env.begin(workers[0]);
    env.advance(grace);
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
    env.advance(ms(100));
    assert_eq!(env.workers[&workers[0]].phase, Phase::Dying);
}

#[test]
fn a_node_that_raises_what_is_wanted_back_gives_it_back() {
    let now = Time::ZERO;
    let mut scheduler = Scheduler::new(Config::default());
    let node = scheduler.node_joined(1, 1, Duration::ZERO, now).unwrap();
    let terms = retries(1, ms(10));
    let job = scheduler.submit_with(F, &terms, 1, now).unwrap();
    while scheduler.poll().is_some() {}
    scheduler.give_back(job, now);
    assert_eq!(scheduler.job_raised(node, job, us(1), now), Raised::Again);
    let ending = std::iter::from_fn(|| scheduler.poll()).find_map(|effect| match effect {
        Effect::End { ending, .. } => Some(ending),
        _ => None,
    });
    assert_eq!(ending, Some(Ending::Cancelled));
    assert!(scheduler.is_empty());
}
