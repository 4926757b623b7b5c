//! Taking back jobs that wait in the wrong place.

use pp_core::Effect;

use crate::env::{Env, F, G, Place, ms, us};
use crate::near::{bytes, occupy, of, ready};

fn recalls(env: &mut Env) -> usize {
    let effects = env.effects();
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Recall { .. }))
        .count()
}

#[test]
fn an_executor_that_runs_dry_takes_over_half() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(10));
    env.submit_many(F, 40);
    let (first, second) = (workers[0], workers[1]);
    while !env.held(second).is_empty() && env.held(first).len() > 1 {
        env.finish(second, us(10));
        if env.queued().is_empty() && env.held(second).len() == 1 {
            break;
        }
    }
    let waiting = env.held(first).len() - 1;
    assert!(waiting >= 8, "{waiting}");
    env.effects();
    env.finish(second, us(10));
    assert_eq!(recalls(&mut env), waiting.div_ceil(2));
    assert_eq!(env.held(second).len(), waiting.div_ceil(2));
}

#[test]
fn the_newest_are_taken_and_sent_in_order() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(25));
    let jobs = env.submit_many(F, 8);
    assert_eq!(env.held(workers[0]), jobs);
    env.begin(workers[0]);
    env.resize(2);
    let fresh = env.make_ready()[0];
    assert_eq!(env.held(workers[0]), &jobs[..4]);
    assert_eq!(env.held(fresh), &jobs[4..]);
}

#[test]
fn a_starting_executor_takes_nothing_before_it_is_ready() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(25));
    let jobs = env.submit_many(F, 8);
    env.resize(2);
    env.advance(us(50));
    assert_eq!(env.held(workers[0]), jobs);
}

#[test]
fn jobs_that_start_soon_stay_where_they_are() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(5));
    // However long they have been idle before.
    env.advance(ms(1_000));
    env.submit_many(F, 4);
    // One has three short jobs left when the other runs dry.
    while env.held(workers[1]).len() + env.queued().len() > 1 {
        env.finish(workers[1], us(5));
    }
    env.effects();
    env.finish(workers[1], us(5));
    assert_eq!(recalls(&mut env), 0);
    assert!(env.scheduler.next_deadline().is_some());
    while !env.held(workers[0]).is_empty() {
        env.run(workers[0], us(5));
    }
    assert_eq!(recalls(&mut env), 0, "they were done in time");
}

/// The caller reads one executor's results before those of the other. Meanwhile the
/// other one looks as if it had done nothing.
#[test]
fn executors_whose_results_are_not_yet_read_are_not_robbed() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(5));
    env.submit_many(F, 60);
    env.effects();
    // The caller was held up for a while.
    env.now = env.now.saturating_add(ms(5));
    env.hold = 1_000;
    for &executor in &workers {
        while env.held(executor).len() > 2 {
            env.finish(executor, us(5));
        }
    }
    while !env.held(workers[0]).is_empty() {
        env.finish(workers[0], us(5));
    }
    env.catch_up();
    assert_eq!(recalls(&mut env), 0);
}

#[test]
fn jobs_that_do_not_start_in_time_are_taken() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(5));
    env.submit_many(F, 4);
    while env.held(workers[1]).len() + env.queued().len() > 0 {
        env.finish(workers[1], us(5));
    }
    assert_eq!(env.held(workers[0]).len(), 2);
    // The first of them turns out long.
    env.begin(workers[0]);
    env.effects();
    env.advance(us(250));
    assert_eq!(recalls(&mut env), 1);
    assert_eq!(env.held(workers[1]).len(), 1);
}

#[test]
fn behind_a_job_that_is_long_overdue_nothing_is_left() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(5)).measure(G, us(900));
    // G goes to the one that was active last.
    let busy = workers[1];
    let long = env.submit(F);
    assert_eq!(env.place(long), Place::With(busy));
    env.submit(G);
    env.submit_many(F, 30);
    let behind = env.held(busy).len() - 1;
    assert!(behind > 10);
    // What was thought to take 5 us does not end.
    env.begin(busy);
    env.advance(us(800));
    env.effects();
    while env
        .held(workers[0])
        .first()
        .is_some_and(|_| env.held(busy).len() > 1)
    {
        env.finish(workers[0], us(5));
    }
    assert_eq!(env.held(busy), [long]);
    env.submit_many(F, 5);
    assert_eq!(
        env.held(busy),
        [long],
        "nothing more is sent ahead before it ends"
    );
    env.finish(busy, us(800));
    env.submit_many(F, 10);
    assert!(env.held(busy).len() > 1, "afterwards it is like any other");
}

/// With a steady stream of work nobody ever idles, and still nothing may wait for ever
/// behind an endless job.
#[test]
fn an_endless_job_strands_nothing_though_nobody_idles() {
    let (mut env, workers) = Env::ready(2);
    let (stuck, busy) = (workers[0], workers[1]);
    for _ in 0..2 {
        // Long runs before may have been forgotten.
        env.measure(F, us(20)).run_dry(F, us(20), 60);
        env.submit_many(F, 200);
        env.begin(stuck);
        let behind = env.held(stuck)[1..].to_vec();
        assert!(behind.len() > 5);
        for _ in 0..90_000 / 20 {
            env.submit(F);
            env.run(busy, us(20));
        }
        assert_eq!(env.held(stuck).len(), 1);
        assert!(behind.iter().all(|job| env.ended.contains_key(job)));
        env.finish(stuck, ms(90));
        while let Some(&id) = workers.iter().find(|&&id| !env.held(id).is_empty()) {
            env.run(id, us(20));
        }
    }
}

#[test]
fn a_refused_job_is_not_asked_for_again() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, ms(2));
    let jobs = env.submit_many(F, 2);
    env.resize(2);
    let fresh = env.make_ready()[0];
    assert_eq!(recalls(&mut env), 1);
    // Its result is under way, and the second job has begun: too late.
    env.finish(workers[0], ms(2));
    env.begin(workers[0]);
    env.answer(workers[0]);
    env.advance(ms(20));
    assert_eq!(recalls(&mut env), 0);
    assert_eq!(env.held(workers[0]), &jobs[1..]);
    assert!(env.held(fresh).is_empty());
}

#[test]
fn while_answers_are_pending_no_more_is_asked_than_can_be_used() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, us(25));
    env.submit_many(F, 9);
    env.resize(2);
    let fresh = env.make_ready()[0];
    assert_eq!(recalls(&mut env), 4);
    env.advance(us(200));
    assert_eq!(recalls(&mut env), 0, "four are on their way");
    env.answer(workers[0]);
    assert_eq!(env.held(fresh).len(), 4);
}

#[test]
fn a_job_that_is_submitted_goes_to_the_idle_executor_first() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, us(25));
    env.submit_many(F, 9);
    env.resize(2);
    let fresh = env.make_ready()[0];
    let job = env.submit(F);
    assert_eq!(
        env.held(fresh),
        [job],
        "though others are on their way to it"
    );
    env.answer(workers[0]);
    assert_eq!(env.queued(), []);
}

#[test]
fn a_dead_executor_answers_nothing_and_nothing_waits_for_it() {
    let (mut env, workers) = Env::ready(1);
    env.answers_at_once = false;
    env.measure(F, us(25));
    let jobs = env.submit_many(F, 9);
    env.resize(2);
    let fresh = env.make_ready()[0];
    env.begin(workers[0]);
    env.die(workers[0]);
    assert_eq!(env.held(fresh)[0], jobs[0]);
    assert_eq!(env.queued(), []);
}

/// Who is to stay where its data is sets a later time to look again than others do.
#[test]
fn what_waits_behind_one_that_has_its_data_there_does_not_wait_for_that() {
    let (mut env, workers) = ready(2, us(49));
    let first = occupy(&mut env, workers[0]);
    env.submit(F);
    let plain = env.submit_many(F, 2);
    let near = env.submit_with(F, &of(1, workers[0], bytes(ms(500))));
    assert_eq!(env.held(workers[0]), [first, plain[0], near]);
    while !env.held(workers[1]).is_empty() {
        env.finish(workers[1], us(49));
    }
    assert_eq!(env.held(workers[0]), [first, plain[0], near]);
    env.cancel(near);
    env.advance(us(250));
    assert_eq!(env.place(plain[0]), Place::With(workers[1]));
}
