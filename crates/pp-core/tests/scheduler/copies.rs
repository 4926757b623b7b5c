//! Data that several jobs need, and executors that have got copies of it.

use pp_core::{Demand, ExecutorId, JobId, Terms};

use crate::cluster::cluster;
use crate::env::{Env, F, Place, ms, us};
use crate::near::{bytes, occupy, of, ready};

/// The data of both.
pub(crate) fn both(one: &Terms, other: &Terms) -> Terms {
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

/// It matters where a job runs if to bring its part takes more than a fiftieth of its run time.
#[test]
fn what_many_need_is_worth_less_to_each() {
    for (takes, users, matters) in [(1, 1, false), (3, 1, true), (3, 2, false), (5, 2, true)] {
        let (mut env, workers) = ready(3, ms(100));
        let running = occupy(&mut env, workers[2]);
        let data = of(1, workers[1], bytes(ms(takes)));
        for _ in 1..users {
            later(&mut env, &data, running);
        }
        let job = env.submit_with(F, &data);
        // The first became idle last.
        let place = workers[usize::from(matters)];
        assert_eq!(env.place(job), Place::With(place), "{takes} {users}");
    }
}

#[test]
fn an_item_may_be_at_several_from_the_beginning() {
    let (mut env, workers) = ready(3, ms(100));
    let [one, other] = [1, 2].map(|place| of(1, workers[place], bytes(ms(90))));
    occupy(&mut env, workers[1]);
    let job = env.submit_with(F, &both(&one, &other));
    assert_eq!(env.place(job), Place::With(workers[2]));
}

/// Else the second would wait for so long that it went to who idles.
#[test]
fn lines_are_as_long_as_each_other_where_many_have_the_data() {
    let (mut env, workers) = ready(3, ms(100));
    let [one, other] = [0, 1].map(|place| of(1, workers[place], bytes(ms(250))));
    for &worker in &workers[..2] {
        occupy(&mut env, worker);
    }
    let jobs = env.submit_many_with(F, &both(&one, &other), 2);
    assert_eq!(env.queued(), jobs);
}

#[test]
fn who_waits_for_one_that_is_gone_waits_for_another_holder() {
    let (mut env, workers) = ready(4, ms(100));
    let [one, other] = [0, 1].map(|place| of(1, workers[place], bytes(ms(900))));
    for &worker in &workers[..2] {
        occupy(&mut env, worker);
        env.advance(ms(10));
    }
    // The first would begin it sooner.
    let job = env.submit_with(F, &both(&one, &other));
    env.die(workers[0]);
    // One of two others takes what ran there.
    assert_eq!(env.place(job), Place::Queue);
    env.run(workers[1], ms(100));
    assert_eq!(env.place(job), Place::With(workers[1]));
}

/// Neither of the two that have one item has the other, so that counts for both alike.
#[test]
fn what_its_holder_lacks_counts_too() {
    let (mut env, workers) = ready(3, ms(100));
    for &worker in &workers {
        occupy(&mut env, worker);
    }
    let [one, other] = [0, 1].map(|place| of(1, workers[place], bytes(ms(60))));
    let rest = of(2, workers[2], bytes(ms(250)));
    env.scheduler.worker_leaving(workers[2], env.now);
    env.absorb();
    let job = env.submit_with(F, &both(&both(&one, &other), &rest));
    assert_eq!(env.place(job), Place::Queue);
    env.finish(workers[1], ms(100));
    assert_eq!(env.place(job), Place::With(workers[1]));
}

#[test]
fn a_job_of_several_slots_goes_to_who_has_most() {
    let mut cluster = cluster();
    let nodes = [0, 1, 2].map(|_| cluster.join(4, ms(1)));
    let parts = [(1, 0, 20), (2, 1, 40), (3, 2, 30)];
    let [first, second, third] =
        parts.map(|(item, place, time): (u64, usize, u64)| of(item, nodes[place], bytes(ms(time))));
    let demand = Demand {
        slots: 2,
        ..Demand::default()
    };
    let terms = Terms {
        demand,
        ..both(&both(&first, &second), &third)
    };
    let job = cluster.scheduler.submit_with(F, &terms, 1, cluster.now);
    cluster.absorb();
    assert_eq!(cluster.holder(job.unwrap()), Some(nodes[1]));
}

#[test]
fn what_goes_ahead_to_its_data_waits_for_nobody_behind_it() {
    let (mut env, workers) = ready(2, us(500));
    let running = occupy(&mut env, workers[0]);
    let data = of(1, workers[0], bytes(us(1_200)));
    let jobs = [0; 3].map(|_| later(&mut env, &data, running));
    let next = env.submit_with(F, &of(2, workers[0], bytes(ms(500))));
    env.run(workers[0], us(500));
    assert_eq!(env.held(workers[0])[..2], [next, jobs[0]]);
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

#[test]
fn what_one_that_waits_says_of_data_is_of_use_to_others_at_once() {
    let (mut env, workers) = ready(3, ms(100));
    let running = occupy(&mut env, workers[0]);
    let [data, copy] = [0, 2].map(|place| of(1, workers[place], bytes(ms(250))));
    let job = env.submit_with(F, &data);
    assert_eq!(env.queued(), [job], "it stays with its data");
    later(&mut env, &copy, running);
    assert_eq!(env.place(job), Place::With(workers[2]));
}
