//! Cancelling jobs wherever they are.

use std::time::Duration;

use pp_core::{Charges, Config, Effect, Ending, ExecutorState, JobId};

use crate::env::{Env, F, G, Phase, fresh_process_per_job, ms, us};

/// Whoever runs a job that is to end is killed at once.
fn impatient() -> Config {
    Config {
        cancel_grace: Duration::ZERO,
        ..Config::default()
    }
}

#[test]
fn a_queued_job_ends_at_once() {
    let (mut env, _) = Env::ready(1);
    let jobs = env.submit_many(F, 3);
    env.effects();
    assert!(env.cancel(jobs[2]));
    assert_eq!(
        env.effects(),
        [Effect::End {
            job: jobs[2],
            data: 2,
            ending: Ending::Cancelled,
            charges: Charges::default(),
        }]
    );
}

#[test]
fn what_a_queued_job_held_up_goes_on_without_it() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    env.submit(F);
    // Nothing is known of G, so it is not sent ahead, and nothing before it.
    let unknown = env.submit(G);
    let behind = env.submit_many(F, 3);
    assert_eq!(env.queued().len(), 4);
    env.cancel(unknown);
    assert_eq!(env.held(workers[0])[1..], behind);
}

#[test]
fn a_job_that_was_sent_ahead_is_recalled_and_ends() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 5);
    env.begin(workers[0]);
    env.cancel(jobs[3]);
    assert_eq!(env.ending(jobs[3]), Some(Ending::Cancelled));
    assert_eq!(env.held(workers[0]), [jobs[0], jobs[1], jobs[2], jobs[4]]);
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
}

#[test]
fn a_job_that_runs_is_asked_to_end() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 4);
    env.begin(workers[0]);
    env.effects();
    assert!(env.cancel(jobs[0]));
    let asked = Effect::Interrupt {
        executor: workers[0],
        job: jobs[0],
    };
    assert!(env.effects().contains(&asked));
    assert!(env.cancel(jobs[0]), "it is asked once");
    assert!(!env.effects().contains(&asked));
    env.finish(workers[0], us(5));
    assert!(!env.cancel(jobs[0]), "it has ended");
    env.advance(Config::default().cancel_grace);
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
}

#[test]
fn how_long_a_job_ran_that_was_asked_to_end_says_nothing() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let before = env.scheduler.expected_run_time(F);
    let job = env.submit(F);
    env.begin(workers[0]);
    env.cancel(job);
    env.finish(workers[0], ms(900));
    assert_eq!(env.scheduler.expected_run_time(F), before);
}

#[test]
fn for_a_job_that_does_not_end_its_executor_is_killed_and_replaced() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 4);
    env.begin(workers[0]);
    env.effects();
    env.cancel(jobs[0]);
    let grace = Config::default().cancel_grace;
    env.advance(grace.checked_sub(us(1)).unwrap());
    assert!(env.scheduler.job(jobs[0]).is_some(), "patience is not over");
    env.advance(us(1));
    assert_eq!(env.ending(jobs[0]), Some(Ending::Cancelled));
    assert_eq!(env.workers[&workers[0]].phase, Phase::Dying);
    assert_eq!(env.in_phase(Phase::Starting).len(), 1, "its successor");
    // It goes on to the next job before the signal reaches it.
    env.begin(workers[0]);
    env.die(workers[0]);
    assert_eq!(env.queued(), &jobs[1..]);
    for &job in &jobs[1..] {
        assert_eq!(
            env.scheduler.job(job).unwrap().deaths,
            0,
            "{job} is not charged"
        );
    }
}

#[test]
fn a_job_may_finish_before_the_answer() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    let job = env.submit(F);
    assert!(env.cancel(job));
    env.finish(workers[0], us(5));
    assert_eq!(env.ending(job), None);
    assert!(!env.cancel(job), "it has ended");
}

#[test]
fn cancelling_twice_is_the_same_as_once() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    let job = env.submit(F);
    env.effects();
    assert!(env.cancel(job) && env.cancel(job));
    assert_eq!(
        env.effects(),
        [Effect::Recall {
            executor: workers[0],
            job
        }]
    );
    env.answer(workers[0]);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn a_job_that_is_being_recalled_can_be_cancelled() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, ms(1));
    let jobs = env.submit_many(F, 2);
    env.resize(2);
    let fresh = env.make_ready()[0];
    assert_eq!(env.workers[&workers[0]].asked, &jobs[1..]);
    env.cancel(jobs[1]);
    env.answer(workers[0]);
    assert_eq!(env.ending(jobs[1]), Some(Ending::Cancelled));
    assert!(env.held(fresh).is_empty());
}

#[test]
fn a_job_of_an_executor_that_dies_is_cancelled_and_not_run_again() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    let job = env.submit(F);
    env.begin(workers[0]);
    env.cancel(job);
    env.die(workers[0]);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn a_job_that_is_known_to_run_needs_no_second_question() {
    let (mut env, workers) = Env::ready_with(impatient(), 1);
    env.answers_at_once = false;
    env.measure(F, ms(2));
    let jobs = env.submit_many(F, 2);
    env.resize(2);
    env.make_ready();
    env.finish(workers[0], ms(2));
    env.begin(workers[0]);
    // It was asked for to run elsewhere, too late.
    env.answer(workers[0]);
    env.effects();
    env.cancel(jobs[1]);
    assert_eq!(env.ending(jobs[1]), Some(Ending::Cancelled));
    assert_eq!(env.in_phase(Phase::Dying), workers);
    assert_eq!(env.in_phase(Phase::Starting).len(), 1, "its successor");
}

#[test]
fn on_a_killed_executor_jobs_are_cancelled_at_once() {
    let (mut env, workers) = Env::ready_with(impatient(), 1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 3);
    env.begin(workers[0]);
    env.cancel(jobs[0]);
    env.effects();
    env.cancel(jobs[1]);
    assert_eq!(env.ending(jobs[1]), Some(Ending::Cancelled));
    assert_eq!(env.effects().len(), 1, "it is not killed twice");
    env.die(workers[0]);
    assert_eq!(env.queued(), &jobs[2..]);
}

#[test]
fn results_that_come_from_a_killed_executor_still_count() {
    let (mut env, workers) = Env::ready_with(impatient(), 1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 3);
    env.begin(workers[0]);
    env.cancel(jobs[0]);
    // What it wrote before it died can still be read.
    assert_eq!(env.finish(workers[0], us(5)), jobs[1]);
    env.die(workers[0]);
    assert_eq!(env.queued(), &jobs[2..]);
}

#[test]
fn a_cancelled_job_does_not_use_up_a_fresh_process() {
    let (mut env, workers) = Env::ready_with(fresh_process_per_job(), 1);
    let job = env.submit(F);
    env.cancel(job);
    let stats = env.scheduler.executor_stats(workers[0]).unwrap();
    assert_eq!(
        (stats.state, stats.remaining),
        (ExecutorState::Ready, Some(1))
    );
    let next = env.submit(F);
    assert_eq!(env.held(workers[0]), [next]);
}

#[test]
fn what_has_not_begun_can_be_withdrawn() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(5));
    let jobs = env.submit_many(F, 300);
    env.begin(workers[0]);
    assert!(env.withdraw(jobs[1]), "it was sent ahead");
    assert!(env.withdraw(jobs[299]), "it is queued");
    assert_eq!(env.ending(jobs[1]), Some(Ending::Cancelled));
    assert_eq!(env.ending(jobs[299]), Some(Ending::Cancelled));
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
}

#[test]
fn a_job_that_runs_goes_on_when_it_is_withdrawn() {
    let (mut env, workers) = Env::ready(1);
    let jobs = env.submit_many(F, 2);
    env.begin(workers[0]);
    assert!(env.withdraw(jobs[0]) && env.withdraw(jobs[0]));
    assert_eq!(env.held(workers[0])[0], jobs[0]);
    assert_eq!(env.workers[&workers[0]].phase, Phase::Ready);
    assert_eq!(env.run(workers[0], ms(1)), jobs[0]);
    assert_eq!(env.held(workers[0]), [jobs[1]]);
    assert!(!env.withdraw(jobs[0]), "it has ended");
}

#[test]
fn a_withdrawn_job_is_not_run_again_when_its_executor_dies() {
    let (mut env, workers) = Env::ready(1);
    let job = env.submit(F);
    env.begin(workers[0]);
    env.withdraw(job);
    env.die(workers[0]);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
}

#[test]
fn a_withdrawn_job_that_runs_can_still_be_cancelled() {
    let (mut env, workers) = Env::ready_with(impatient(), 1);
    let job = env.submit(F);
    env.begin(workers[0]);
    env.withdraw(job);
    env.cancel(job);
    assert_eq!(env.ending(job), Some(Ending::Cancelled));
    assert_eq!(env.in_phase(Phase::Dying), workers);
}

#[test]
fn unknown_jobs_cannot_be_cancelled() {
    let (mut env, _) = Env::ready(1);
    assert!(!env.cancel(JobId::from_u64(12)));
}

#[test]
fn a_whole_queue_can_be_cancelled() {
    let (mut env, workers) = Env::ready(1);
    let jobs = env.submit_many(F, 500);
    for &job in jobs[1..]
        .iter()
        .step_by(2)
        .chain(jobs[1..].iter().skip(1).step_by(2))
    {
        env.cancel(job);
    }
    env.run(workers[0], us(3));
    assert!(env.scheduler.is_empty());
}
