//! Which jobs of a share go first.

use std::num::NonZeroU32;

use pp_core::{Config, ExecutorId, JobId, Terms};

use crate::env::{Env, F, G, of_share, priority, share, us};

/// One executor that runs one job at a time: what is submitted waits behind the job that it
/// runs.
fn busy(ageing: Option<u32>) -> (Env, ExecutorId) {
    let ageing = ageing.and_then(NonZeroU32::new);
    let (mut env, workers) = Env::ready_with(
        Config {
            ageing,
            ..Config::default()
        },
        1,
    );
    env.measure(F, us(1_000_000));
    env.submit(F);
    (env, workers[0])
}

/// Runs so many jobs, and gives those that start.
fn started(env: &mut Env, worker: ExecutorId, count: usize) -> Vec<JobId> {
    (0..count)
        .map(|_| {
            env.run(worker, us(1_000_000));
            env.held(worker)[0]
        })
        .collect()
}

#[test]
fn higher_ones_go_first_and_equal_ones_in_order() {
    let (mut env, worker) = busy(None);
    let mut expected = Vec::new();
    for number in [0, 3, -1, i32::MIN, 3, 0, i32::MAX, -1] {
        let job = env.submit_with(F, &priority(number));
        expected.push((std::cmp::Reverse(number), job));
        assert_eq!(env.scheduler.job(job).unwrap().priority, number);
    }
    expected.sort_unstable();
    let expected: Vec<_> = expected.into_iter().map(|(_, job)| job).collect();
    assert_eq!(started(&mut env, worker, 8), expected);
    env.run(worker, us(1));
    assert!(env.scheduler.is_empty());
}

#[test]
fn one_that_comes_back_regains_its_place() {
    let (mut env, worker) = busy(None);
    let low = env.submit_many_with(F, &priority(-1), 2);
    let high = env.submit_many_with(F, &priority(1), 2);
    let first = started(&mut env, worker, 1);
    assert_eq!(first, high[..1]);
    env.begin(worker);
    env.die(worker);
    let fresh = env.make_ready()[0];
    assert_eq!(env.held(fresh), &high[..1]);
    let rest = started(&mut env, fresh, 3);
    assert_eq!(rest, [high[1], low[0], low[1]]);
}

#[test]
fn the_job_that_waits_longest_gets_one_start_in_a_few() {
    let (mut env, worker) = busy(Some(4));
    let low = env.submit_many_with(F, &priority(-1), 3);
    let plain = env.submit_many(F, 20);
    let mut high = env.submit_many_with(F, &priority(1), 9);
    high.extend(&plain);
    let order = started(&mut env, worker, 13);
    let expected = [
        &high[..3],
        &low[..1],
        &high[3..6],
        &low[1..2],
        &high[6..9],
        &low[2..],
    ]
    .concat();
    assert_eq!(order, [&expected[..], &plain[..1]].concat());
}

#[test]
fn without_ageing_nobody_low_is_served_before_all_above() {
    let (mut env, worker) = busy(None);
    let low = env.submit_with(F, &priority(-1));
    let high = env.submit_many_with(F, &priority(1), 100);
    assert_eq!(started(&mut env, worker, 100), high);
    assert_eq!(started(&mut env, worker, 1), [low]);
}

/// Old jobs are many, in a batch that takes the night: the urgent one waits for few of them.
#[test]
fn an_urgent_one_waits_for_none_of_a_long_batch() {
    let (mut env, worker) = busy(Some(16));
    env.submit_many(F, 500);
    started(&mut env, worker, 400);
    let urgent = env.submit_with(F, &priority(1));
    assert_eq!(started(&mut env, worker, 1), [urgent]);
}

/// A job of unknown length is not sent ahead, and nothing that comes after it is.
#[test]
fn one_that_cannot_be_sent_ahead_holds_up_what_comes_after_it() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(100));
    env.submit(F);
    let unknown = env.submit_with(G, &priority(1));
    let known = env.submit(F);
    assert_eq!(env.queued(), [unknown, known]);
    let urgent = env.submit_with(F, &priority(2));
    assert_eq!(env.queued(), [unknown, known], "it comes before");
    env.cancel(unknown);
    assert!(env.queued().is_empty());
    assert_eq!(env.held(workers[0])[1..], [urgent, known]);
}

#[test]
fn those_that_are_cancelled_leave_nothing_behind() {
    let (mut env, worker) = busy(Some(2));
    let jobs: Vec<_> = (0..300)
        .map(|number| {
            let terms = Terms {
                priority: number % 7 - 3,
                ..of_share(u64::from(number.unsigned_abs() % 3))
            };
            env.submit_with(F, &terms)
        })
        .collect();
    for job in jobs.iter().rev() {
        assert!(env.cancel(*job));
    }
    env.run(worker, us(1));
    assert!(env.scheduler.is_empty());
    assert_eq!(env.scheduler.shares().collect::<Vec<_>>(), [share(0)]);
}

/// Each job has a priority of its own.
#[test]
fn a_hundred_thousand_priorities_are_served_in_order() {
    let mut scheduler = pp_core::Scheduler::new(Config {
        ageing: NonZeroU32::new(3),
        ..Config::default()
    });
    let now = pp_core::Time::ZERO;
    let count = 100_000_i32;
    for number in 0..count {
        // Coprime to the count: all are there, in disorder.
        let number = i64::from(number) * 7_919 % i64::from(count);
        let number = i32::try_from(number).unwrap();
        let submitted = scheduler.submit_with(F, &priority(number), number, now);
        submitted.unwrap();
    }
    let node = scheduler.node_joined(1, 1, us(0), now).unwrap();
    let (mut by_priority, mut by_age) = (Vec::new(), Vec::new());
    for start in 1.. {
        let sent = std::iter::from_fn(|| scheduler.poll()).find_map(|effect| match effect {
            pp_core::Effect::Send { job, .. } => Some(job),
            _ => None,
        });
        let Some(job) = sent else { break };
        let number = scheduler.job_finished(node, job, us(1), now).unwrap();
        if start % 3 == 0 {
            by_age.push(job);
        } else {
            by_priority.push(number);
        }
    }
    assert!(scheduler.is_empty());
    assert_eq!(by_age.len() + by_priority.len(), 100_000);
    assert!(by_age.is_sorted() && by_priority.is_sorted_by(|one, two| one > two));
}
