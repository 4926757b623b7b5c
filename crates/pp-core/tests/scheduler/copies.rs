//! Data that several jobs need, and executors that have got copies of it.

use pp_core::{Config, ExecutorId, JobId, Scheduler, Terms, Time};

use crate::env::{Env, F, Place, ms, us};
use crate::near::{bytes, occupy, of, ready};

/// The data of both.
fn both(one: &Terms, other: &Terms) -> Terms {
    Terms {
        data: [&one.data[..], &other.data[..]].concat(),
        ..Terms::default()
    }
}

/// A job that needs data and begins once another has ended.
fn later(env: &mut Env, terms: &Terms, after: JobId) -> JobId {
    let after = vec![after];
    env.submit_with(
        F,
        &Terms {
            after,
            ..terms.clone()
        },
    )
}

/// Lets the first executor run something, and the second another job that needs data of the
/// first, so that it gets a copy.
fn with_copy(env: &mut Env, workers: &[ExecutorId], terms: &Terms) -> JobId {
    let running = occupy(env, workers[0]);
    let taken = env.submit_with(F, terms);
    assert_eq!(env.place(taken), Place::With(workers[1]));
    env.begin(workers[1]);
    running
}

#[test]
fn a_copy_is_as_good_as_the_original() {
    for is_known in [true, false] {
        let (mut env, workers) = ready(3, ms(100));
        let data = of(1, workers[0], bytes(ms(90)));
        let running = with_copy(&mut env, &workers, &data);
        if is_known {
            later(&mut env, &data, running);
        }
        env.submit(F);
        env.run(workers[1], ms(95));
        env.run(workers[2], ms(0));
        let next = env.submit_with(F, &data);
        // With the last job that needs it, nothing is known of data any more.
        let place = workers[if is_known { 1 } else { 2 }];
        assert_eq!(env.place(next), Place::With(place));
    }
}

#[test]
fn a_copy_counts_from_when_it_is_there() {
    for is_there in [true, false] {
        let (mut env, workers) = ready(3, ms(100));
        let data = of(1, workers[0], bytes(ms(50)));
        with_copy(&mut env, &workers, &data);
        let running = occupy(&mut env, workers[2]);
        later(&mut env, &data, running);
        if is_there {
            env.advance(ms(50));
        }
        env.finish(workers[0], ms(100));
        env.finish(workers[1], ms(100));
        // It would take 20 ms to bring the rest to the first, but for what the link carries.
        let rest = of(2, workers[1], bytes(ms(20)));
        let job = env.submit_with(F, &both(&data, &rest));
        let place = workers[usize::from(is_there)];
        assert_eq!(env.place(job), Place::With(place), "{is_there}");
    }
}

#[test]
fn what_has_most_of_the_data_gets_the_job() {
    let (mut env, workers) = ready(3, ms(100));
    let parts = [(1, 1, 40), (2, 2, 30), (3, 2, 30)];
    let parts = parts.map(|(job, place, time)| of(job, workers[place], bytes(ms(time))));
    let all = both(&both(&parts[0], &parts[1]), &parts[2]);
    let job = env.submit_with(F, &all);
    assert_eq!(env.place(job), Place::With(workers[2]));
}

#[test]
fn a_copy_goes_with_its_executor() {
    let (mut env, workers) = ready(3, ms(100));
    let data = of(1, workers[0], bytes(ms(50)));
    let running = with_copy(&mut env, &workers, &data);
    later(&mut env, &data, running);
    env.die(workers[1]);
    env.scheduler.check_invariants().unwrap();
    // Nor is there anything to wait for once the original is gone.
    env.die(workers[0]);
    env.scheduler.check_invariants().unwrap();
    let job = env.submit_with(F, &data);
    assert!(!env.scheduler.is_empty() && env.jobs.contains_key(&job));
}

#[test]
fn what_many_need_is_worth_less_to_each() {
    let (mut env, workers) = ready(2, ms(100));
    let running = occupy(&mut env, workers[0]);
    let data = of(1, workers[0], bytes(ms(100)));
    for _ in 0..100 {
        later(&mut env, &data, running);
    }
    // It takes a hundredth of this, so to nobody it matters where it is.
    env.finish(workers[0], ms(100));
    assert_eq!(env.held(workers[1]).len(), 1);
}

/// Whether a job goes to an idle node of this latency. Its data takes 20 ms to carry; another node
/// has it, and is busy for another 50 ms.
fn goes_there(latency: u64) -> bool {
    let now = Time::ZERO;
    let mut scheduler: Scheduler<u64> = Scheduler::new(Config::default());
    let home = scheduler.node_joined(1, 2, ms(1), now).unwrap();
    let first = scheduler.submit(F, 1, now).unwrap();
    scheduler.job_finished(home, first, ms(50), now);
    scheduler.submit(F, 1, now).unwrap();
    let other = scheduler.node_joined(1, 2, ms(latency), now);
    let data = of(1, home, bytes(ms(20)));
    let job = scheduler.submit_with(F, &data, 1, now).unwrap();
    while scheduler.poll().is_some() {}
    scheduler.check_invariants().unwrap();
    scheduler.job(job).unwrap().state.executor() == other
}

#[test]
fn the_way_to_who_needs_it_counts() {
    assert!(goes_there(1));
    assert!(!goes_there(100));
}

/// Else a job is asked back for who idles, and sent to where it was again, and so on for ever.
#[test]
fn a_copy_on_its_way_is_not_taken_for_one_that_is_there() {
    let (mut env, workers) = ready(3, us(500));
    let busy = occupy(&mut env, workers[2]);
    let data = of(1, workers[0], bytes(ms(900)));
    later(&mut env, &data, busy);
    env.submit_many_with(F, &data, 3);
    env.begin(workers[0]);
    // The first is late: another goes ahead, and its data is on the way to the second from now on.
    env.advance(ms(3));
    while !env.held(workers[1]).is_empty() {
        env.finish(workers[1], us(500));
    }
    env.finish(workers[0], us(500));
    let jobs = env.submit_many_with(F, &data, 4);
    assert_eq!(env.held(workers[0]), jobs);
}

/// Also by those that were there before.
#[test]
fn what_is_said_of_an_item_is_known_to_all_who_need_it() {
    let (mut env, workers) = ready(3, ms(100));
    let running = [1, 2].map(|place| occupy(&mut env, workers[place]));
    let [one, other] = [0, 2].map(|place| of(1, workers[place], bytes(ms(250))));
    let job = later(&mut env, &one, running[0]);
    later(&mut env, &other, running[1]);
    env.die(workers[0]);
    env.finish(workers[1], ms(100));
    assert_eq!(env.queued(), [job], "it waits for the other");
    env.finish(workers[2], ms(100));
    assert_eq!(env.place(job), Place::With(workers[2]));
}
