//! Jobs that may run for a limited time.

use std::time::Duration;

use pp_core::{Config, Effect, Ending, ExecutorId, JobId, JobState, Scheduler, Terms, Time};

use crate::env::{Env, F, Phase, Place, fresh_process_per_job, ms, us};

const LIMIT: Duration = Duration::from_millis(100);

const TIMED_OUT: Ending = Ending::TimedOut { limit: LIMIT };

fn interrupt(executor: ExecutorId, job: JobId) -> Effect<u64> {
    Effect::Interrupt { executor, job }
}

/// A worker that runs a job and has just asked it to end because its time is over.
fn overdue() -> (Env, ExecutorId, JobId) {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_limited(F, LIMIT);
    env.begin(workers[0]);
    env.advance(LIMIT);
    assert!(env.effects().contains(&interrupt(workers[0], job)));
    (env, workers[0], job)
}

#[test]
fn a_job_is_asked_to_end_when_its_time_is_over() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_limited(F, LIMIT);
    env.begin(workers[0]);
    env.effects();
    env.advance(LIMIT.checked_sub(us(1)).unwrap());
    assert_eq!(env.effects(), []);
    env.advance(us(1));
    assert!(env.effects().contains(&interrupt(workers[0], job)));
    let state = env.scheduler.job(job).unwrap().state;
    assert!(matches!(state, JobState::Sent { .. }), "{state:?}");
    env.stop(workers[0], LIMIT);
    assert_eq!(env.ending(job), Some(TIMED_OUT));
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
    env.advance(ms(5_000));
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
    assert!(env.scheduler.is_empty());
}

#[test]
fn for_a_job_that_does_not_end_its_executor_is_killed() {
    let (mut env, worker, job) = overdue();
    let others = env.submit_many(F, 4);
    env.advance(Config::default().cancel_grace);
    assert_eq!(env.ending(job), Some(TIMED_OUT));
    assert_eq!(env.workers[&worker].phase, Phase::Dying);
    env.die(worker);
    env.make_ready();
    for other in others {
        let job = env.scheduler.job(other).unwrap();
        assert_eq!(job.deaths, 0, "{other} is not charged");
    }
}

#[test]
fn without_patience_its_executor_is_killed_at_once() {
    let (mut env, workers) = Env::ready_with(
        Config {
            cancel_grace: Duration::ZERO,
            ..Config::default()
        },
        1,
    );
    let job = env.submit_limited(F, LIMIT);
    env.begin(workers[0]);
    env.advance(LIMIT);
    assert_eq!(env.ending(job), Some(TIMED_OUT));
    assert_eq!(env.in_phase(Phase::Dying), workers);
}

#[test]
fn a_job_that_ends_in_time_is_left_alone() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_limited(F, LIMIT);
    env.run(workers[0], ms(99));
    assert_eq!(env.ending(job), None);
    env.submit(F);
    env.begin(workers[0]);
    env.effects();
    env.advance(ms(1_000));
    assert_eq!(env.effects(), []);
}

#[test]
fn a_job_may_still_return_when_it_is_asked_to_end() {
    let (mut env, worker, job) = overdue();
    env.finish(worker, LIMIT);
    assert_eq!(env.ending(job), None);
    assert!(env.scheduler.is_empty());
}

#[test]
fn how_long_it_ran_says_nothing_when_it_was_asked_to_end() {
    for stopped in [true, false] {
        let (mut env, worker, _) = overdue();
        if stopped {
            env.stop(worker, LIMIT);
        } else {
            env.finish(worker, LIMIT);
        }
        assert_eq!(env.scheduler.expected_run_time(F), None);
    }
}

#[test]
fn time_spent_waiting_does_not_count() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let first = env.submit(F);
    let jobs = [env.submit_limited(F, LIMIT), env.submit_limited(F, LIMIT)];
    assert_eq!(env.held(workers[0]), [first, jobs[0], jobs[1]]);
    env.begin(workers[0]);
    // What waits is taken back behind a job that is long, and sent again.
    env.advance(ms(1_000));
    env.finish(workers[0], ms(1_000));
    env.begin(workers[0]);
    env.effects();
    env.advance(ms(99));
    assert!(!env.effects().contains(&interrupt(workers[0], jobs[0])));
    env.advance(ms(1));
    assert!(env.effects().contains(&interrupt(workers[0], jobs[0])));
    env.stop(workers[0], LIMIT);
    env.begin(workers[0]);
    env.advance(ms(99));
    env.finish(workers[0], ms(99));
    assert_eq!(env.ending(jobs[1]), None);
}

#[test]
fn a_job_that_has_not_begun_is_queued_again() {
    let (mut env, workers) = Env::ready_with(fresh_process_per_job(), 1);
    let job = env.submit_limited(F, LIMIT);
    env.effects();
    env.advance(LIMIT);
    let recall = Effect::Recall {
        executor: workers[0],
        job,
    };
    let again = Effect::Send {
        executor: workers[0],
        job,
    };
    assert_eq!(env.effects(), [recall, again]);
    let job = env.scheduler.job(job).unwrap();
    assert_eq!((job.deaths, job.losses), (0, 0));
}

#[test]
fn a_job_that_was_to_run_elsewhere_still_does() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, ms(1));
    let first = env.submit(F);
    let job = env.submit_limited(F, LIMIT);
    assert_eq!(env.held(workers[0]), [first, job]);
    env.resize(2);
    let fresh = env.make_ready()[0];
    assert_eq!(env.workers[&workers[0]].asked, [job]);
    env.finish(workers[0], ms(1));
    env.effects();
    env.advance(LIMIT);
    assert_eq!(env.effects(), [], "it is not asked twice");
    env.answer(workers[0]);
    assert!(matches!(env.place(job), Place::With(_)));
    assert!(env.held(fresh).len() + env.held(workers[0]).len() == 1);
}

#[test]
fn cancelling_one_whose_time_is_over_cancels_it() {
    let (mut env, worker, job) = overdue();
    assert!(env.cancel(job));
    assert_eq!(env.effects(), [], "it is asked once");
    env.stop(worker, LIMIT);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
    let (mut env, _, job) = overdue();
    assert!(env.withdraw(job));
    env.advance(Config::default().cancel_grace);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn one_that_is_being_cancelled_does_not_time_out() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_limited(F, LIMIT);
    env.begin(workers[0]);
    env.advance(ms(50));
    env.cancel(job);
    env.effects();
    env.advance(ms(100));
    let is_asked = |effect: &Effect<_>| matches!(effect, Effect::Interrupt { .. });
    assert!(env.effects().iter().all(is_asked), "again, and no more");
    env.stop(workers[0], ms(150));
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn one_that_goes_on_though_it_is_not_wanted_is_limited_too() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    let job = env.submit_limited(F, LIMIT);
    env.begin(workers[0]);
    env.withdraw(job);
    env.effects();
    env.advance(LIMIT);
    assert_eq!(env.effects(), [], "the answer is still to come");
    env.answer(workers[0]);
    assert_eq!(env.effects(), [interrupt(workers[0], job)]);
    env.stop(workers[0], LIMIT);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn one_whose_executor_dies_meanwhile_has_timed_out() {
    let (mut env, worker, job) = overdue();
    env.die(worker);
    assert_eq!(env.ending(job), Some(TIMED_OUT));
}

#[test]
fn each_run_has_the_whole_time() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit_limited(F, LIMIT);
    env.begin(workers[0]);
    env.advance(ms(60));
    env.die(workers[0]);
    let next = env.make_ready()[0];
    assert_eq!(env.held(next), [job]);
    env.run(next, ms(60));
    assert_eq!(env.ending(job), None);
}

#[test]
fn what_depends_on_it_ends_too() {
    let (mut env, worker, job) = overdue();
    let after = env.submit_after(F, &[job]);
    env.stop(worker, LIMIT);
    let root = job;
    assert_eq!(env.ending(after), Some(Ending::DependencyFailed { root }));
}

#[test]
fn a_node_sees_to_the_limits_of_what_it_runs() {
    let mut scheduler = Scheduler::new(Config::default());
    let now = Time::ZERO;
    let node = scheduler.node_joined(2, 10, Duration::ZERO, now).unwrap();
    let terms = Terms {
        time_limit: Some(LIMIT),
        ..Terms::default()
    };
    let jobs = [1, 2].map(|data| scheduler.submit_with(F, &terms, data, now).unwrap());
    while scheduler.poll().is_some() {}
    let late = Time::from_nanos(1 << 40);
    scheduler.tick(late);
    assert_eq!(scheduler.poll(), None);
    scheduler.cancel(jobs[1], late);
    while scheduler.poll().is_some() {}
    for job in jobs {
        scheduler.job_stopped(node, job, LIMIT, late);
    }
    let ends: Vec<_> = std::iter::from_fn(|| scheduler.poll())
        .filter_map(|effect| match effect {
            Effect::End { ending, .. } => Some(ending),
            _ => None,
        })
        .collect();
    let limit = LIMIT;
    assert_eq!(ends, [Ending::TimedOut { limit }, Ending::Cancelled]);
    assert!(scheduler.is_empty());
}

/// The one before it has ended, and nobody has read that yet.
#[test]
fn on_an_executor_that_is_killed_for_another_job_no_time_runs() {
    let (mut env, workers) = Env::ready_with(
        Config {
            cancel_grace: Duration::ZERO,
            ..Config::default()
        },
        1,
    );
    env.measure(F, us(5));
    let job = env.submit_limited(F, LIMIT);
    let other = env.submit(F);
    let (scheduler, now) = (&mut env.scheduler, env.now);
    scheduler.cancel(other, now);
    while scheduler.poll().is_some() {}
    scheduler.recall_answered(workers[0], other, false, now);
    scheduler.check_invariants().unwrap();
    let late = now.saturating_add(LIMIT);
    scheduler.tick(late);
    scheduler.check_invariants().unwrap();
    let data = scheduler.job_finished(workers[0], job, us(5), late);
    assert_eq!(data, Some(1));
}
