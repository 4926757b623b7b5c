//! Shares: who gets how much of the executors.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use pp_core::{Config, Effect, ExecutorId, ShareId, Terms};

use crate::cluster::Cluster;
use crate::env::{Env, F, G, ms, of_share, priority, share, us};

/// Long enough for none to be sent ahead.
const LONG: u64 = 100_000;

/// Executors that know how long jobs of F take.
fn ready(workers: u32) -> (Env, Vec<ExecutorId>) {
    let (mut env, ids) = Env::ready(workers);
    env.measure(F, us(LONG));
    (env, ids)
}

/// Runs one job after another on each executor in turn, and counts them by share.
fn run(env: &mut Env, workers: &[ExecutorId], rounds: usize) -> BTreeMap<ShareId, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..rounds {
        env.advance(us(LONG));
        for &worker in workers {
            let Some(&job) = env.held(worker).first() else {
                continue;
            };
            *counts.entry(env.jobs[&job].terms.share).or_default() += 1;
            env.begin(worker);
            env.finish(worker, us(LONG));
        }
    }
    counts
}

fn held(env: &Env, number: u64) -> usize {
    env.scheduler.share_stats(share(number)).unwrap().held
}

#[test]
fn service_goes_by_weight() {
    let (mut env, workers) = ready(2);
    env.set_share(share(1), 3, None);
    for number in [0, 1, 2] {
        env.submit_many_with(F, &of_share(number), 320);
    }
    let counts = run(&mut env, &workers, 250);
    for (number, expected) in [(0, 100), (1, 300), (2, 100)] {
        let count = counts[&share(number)];
        assert!(count.abs_diff(expected) <= 4, "{number}: {count}");
    }
}

/// Jobs of one share are ten times as long, which nobody knows before they have run.
#[test]
fn service_is_time_and_not_jobs() {
    let (mut env, workers) = Env::ready(1);
    env.submit_many_with(F, &of_share(1), 500);
    env.submit_many_with(G, &of_share(2), 500);
    for _ in 0..330 {
        let job = env.held(workers[0])[0];
        let length = if env.jobs[&job].function == F {
            30
        } else {
            300
        };
        env.run(workers[0], ms(length));
    }
    let run_time = |number| env.scheduler.share_stats(share(number)).unwrap().run_time;
    let (short, long) = (run_time(1), run_time(2));
    assert!(short.abs_diff(long) <= ms(600), "{short:?} and {long:?}");
}

#[test]
fn a_small_share_is_served_soon_beside_a_huge_one() {
    let (mut env, workers) = ready(4);
    env.submit_many_with(F, &of_share(1), 400);
    run(&mut env, &workers, 60);
    for number in 10..30 {
        env.submit_many_with(F, &of_share(number), 1);
    }
    // The huge one gets a start among them now and then.
    let counts = run(&mut env, &workers, 7);
    assert!(
        (10..30).all(|number| counts[&share(number)] == 1),
        "{counts:?}"
    );
}

#[test]
fn who_was_idle_has_saved_up_nothing() {
    let (mut env, workers) = ready(1);
    env.submit_many_with(F, &of_share(1), 300);
    env.submit_with(F, &of_share(2));
    run(&mut env, &workers, 150);
    env.submit_many_with(F, &of_share(2), 100);
    let counts = run(&mut env, &workers, 40);
    assert!(counts[&share(2)].abs_diff(20) <= 1, "{counts:?}");
}

/// Who asks for one long job at a time waits for what it had last time, and gets no more than
/// those that ask for many.
#[test]
fn debts_outlive_the_last_job_of_a_share() {
    let (mut env, workers) = ready(1);
    env.measure(G, us(10 * LONG));
    for number in 1..5 {
        env.submit_many_with(F, &of_share(number), 60);
    }
    let (mut long, mut short) = (0, 0);
    env.submit_with(G, &of_share(9));
    while short < 160 {
        let job = env.held(workers[0])[0];
        if env.jobs[&job].function == G {
            env.run(workers[0], us(10 * LONG));
            env.submit_with(G, &of_share(9));
            long += 1;
        } else {
            env.run(workers[0], us(LONG));
            short += 1;
        }
    }
    assert!((4..=5).contains(&long), "{long}");
}

#[test]
fn a_share_that_is_set_back_when_all_is_done_is_forgotten() {
    let (mut env, workers) = ready(1);
    env.set_share(share(1), 2, None);
    env.submit_with(F, &of_share(1));
    env.run(workers[0], us(10 * LONG));
    env.set_share(share(1), 1, None);
    assert_eq!(env.scheduler.share_stats(share(1)), None);
    assert!(env.scheduler.is_empty());
}

#[test]
fn unused_shares_are_forgotten() {
    let (mut env, workers) = ready(2);
    env.submit_many_with(F, &of_share(1), 600);
    for number in 10..260 {
        env.submit_with(F, &of_share(number));
        run(&mut env, &workers, 1);
    }
    assert!(env.scheduler.shares().count() < 12, "{:?}", env.scheduler);
    while !env.jobs.is_empty() {
        run(&mut env, &workers, 1);
    }
    assert_eq!(env.scheduler.shares().collect::<Vec<_>>(), [share(0)]);
    assert!(env.scheduler.is_empty());
}

/// Without anybody who waits, too.
#[test]
fn unused_shares_are_forgotten_while_others_run() {
    let (mut env, workers) = ready(2);
    env.submit_with(G, &of_share(1));
    let (_, free) = (workers[1], workers[0]);
    for number in 10..200 {
        let job = env.submit_with(F, &of_share(number));
        assert_eq!(env.held(free), [job]);
        env.run(free, us(LONG));
    }
    assert!(env.scheduler.shares().count() < 6, "{:?}", env.scheduler);
}

#[test]
fn a_share_that_was_set_stays_until_it_is_set_to_nothing() {
    let (mut env, workers) = ready(1);
    env.set_share(share(7), 5, Some(2));
    env.submit_with(F, &of_share(7));
    run(&mut env, &workers, 1);
    assert!(env.scheduler.is_empty());
    let stats = env.scheduler.share_stats(share(7)).unwrap();
    assert_eq!((stats.weight.get(), stats.limit), (5, Some(2)));
    assert_eq!((stats.queued, stats.held, stats.run_time), (0, 0, us(LONG)));
    env.set_share(share(7), 1, None);
    env.submit(F);
    run(&mut env, &workers, 1);
    assert_eq!(env.scheduler.share_stats(share(7)), None);
}

#[test]
fn priorities_count_within_a_share_only() {
    let (mut env, workers) = ready(1);
    env.submit(F);
    let modest = env.submit_many_with(F, &of_share(1), 5);
    for _ in 0..5 {
        let terms = Terms {
            share: share(2),
            ..priority(1_000)
        };
        env.submit_with(F, &terms);
    }
    let counts = run(&mut env, &workers, 7);
    assert_eq!((counts[&share(1)], counts[&share(2)]), (3, 3), "{modest:?}");
}

#[test]
fn executors_hold_no_more_than_the_limit() {
    let (mut env, workers) = ready(3);
    env.set_share(share(1), 1, Some(2));
    let jobs = env.submit_many_with(F, &of_share(1), 6);
    assert_eq!((held(&env, 1), env.queued()), (2, jobs[2..].to_vec()));
    let other = env.submit(F);
    assert_eq!(env.queued(), jobs[2..], "{other} may be sent");
    run(&mut env, &workers, 1);
    assert_eq!(held(&env, 1), 2);
    while !env.jobs.is_empty() {
        run(&mut env, &workers, 1);
    }
    assert!(env.scheduler.is_empty());
}

#[test]
fn jobs_that_were_sent_ahead_count() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(10));
    env.set_share(share(0), 1, Some(3));
    env.submit_many(F, 10);
    assert_eq!((env.held(workers[0]).len(), env.queued().len()), (3, 7));
    env.run(workers[0], us(10));
    assert_eq!(env.held(workers[0]).len(), 3);
}

#[test]
fn a_raise_sends_what_waited_and_a_cut_takes_nothing_back() {
    let (mut env, workers) = ready(4);
    env.set_share(share(1), 1, Some(0));
    env.submit_many_with(F, &of_share(1), 8);
    assert_eq!(held(&env, 1), 0);
    env.set_share(share(1), 1, Some(3));
    assert_eq!(held(&env, 1), 3);
    env.set_share(share(1), 1, Some(1));
    assert_eq!(held(&env, 1), 3);
    run(&mut env, &workers, 1);
    assert_eq!(held(&env, 1), 1);
    env.set_share(share(1), 1, None);
    assert_eq!(held(&env, 1), 4);
}

/// A limit holds up nobody else's jobs, and saves up nothing.
#[test]
fn who_was_held_up_by_its_limit_has_saved_up_nothing() {
    let (mut env, workers) = ready(2);
    env.set_share(share(1), 1, Some(0));
    env.submit_many_with(F, &of_share(1), 120);
    env.submit_many_with(F, &of_share(2), 250);
    let counts = run(&mut env, &workers, 60);
    assert_eq!(counts[&share(2)], 120);
    env.set_share(share(1), 1, None);
    let counts = run(&mut env, &workers, 50);
    assert!(counts[&share(1)].abs_diff(50) <= 2, "{counts:?}");
}

#[test]
fn the_places_of_dead_executors_are_free_again() {
    let (mut env, workers) = ready(2);
    env.set_share(share(1), 1, Some(1));
    let jobs = env.submit_many_with(F, &of_share(1), 3);
    let holder = *workers
        .iter()
        .find(|&&id| !env.held(id).is_empty())
        .unwrap();
    env.begin(holder);
    env.die(holder);
    assert_eq!((held(&env, 1), env.queued()), (1, jobs[1..].to_vec()));
}

#[test]
fn cancelling_gives_the_place_back() {
    for begins in [false, true] {
        let (mut env, workers) = ready(2);
        env.set_share(share(1), 1, Some(1));
        let jobs = env.submit_many_with(F, &of_share(1), 3);
        let holder = *workers
            .iter()
            .find(|&&id| !env.held(id).is_empty())
            .unwrap();
        if begins {
            env.begin(holder);
        }
        env.cancel(jobs[0]);
        if begins {
            assert_eq!(held(&env, 1), 1, "it may still clean up");
            env.advance(env.config.cancel_grace);
        }
        assert_eq!((held(&env, 1), env.queued()), (1, jobs[2..].to_vec()));
    }
}

/// Jobs that are recalled give their places back, and are sent again.
#[test]
fn recalled_jobs_keep_to_the_limit() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, us(2_000));
    env.set_share(share(1), 1, Some(3));
    let other = env.submit(G);
    let jobs = env.submit_many_with(F, &of_share(1), 6);
    let is_free = |id: &&ExecutorId| !env.held(**id).contains(&other);
    let (one, two) = (
        workers.iter().find(is_free),
        workers.iter().rfind(|id| !is_free(id)),
    );
    let (one, two) = (*one.unwrap(), *two.unwrap());
    assert_eq!(env.held(one), &jobs[..3]);
    env.effects();
    env.run(two, us(10));
    let recalls = env.effects();
    let is_recall = |effect: &&Effect<u64>| matches!(effect, Effect::Recall { .. });
    assert!(recalls.iter().any(|effect| is_recall(&effect)));
    assert_eq!(env.held(one).len() + env.held(two).len(), 3);
    assert!(!env.held(two).is_empty());
}

#[test]
fn suspects_count_to_the_limit_of_their_share() {
    let mut cluster = Cluster::new(Config::default());
    let one = NonZeroU32::MIN;
    let jobs: Vec<_> = (0..4)
        .map(|number| {
            let terms = of_share(1);
            let job = cluster
                .scheduler
                .submit_with(F, &terms, number, cluster.now);
            job.unwrap()
        })
        .collect();
    for _ in 0..2 {
        let node = cluster.join(4, us(50));
        cluster.lose(node);
    }
    assert_eq!(cluster.scheduler.share_stats(share(1)).unwrap().queued, 4);
    let now = cluster.now;
    cluster.scheduler.set_share(share(1), one, Some(1), now);
    let nodes = [cluster.join(4, us(50)), cluster.join(4, us(50))];
    assert_eq!((cluster.held(nodes[0]), cluster.held(nodes[1])), (1, 0));
    cluster.scheduler.set_share(share(1), one, Some(2), now);
    cluster.absorb();
    assert_eq!((cluster.held(nodes[0]), cluster.held(nodes[1])), (1, 1));
    for job in jobs {
        let node = cluster.holder(job).unwrap();
        cluster.finish(node, job, ms(1));
    }
    assert!(cluster.scheduler.is_empty());
}

/// A queue full of jobs that may not be sent is no work for an executor that idles, nor does
/// it keep others from having it.
#[test]
fn idle_executors_are_there_for_others() {
    let (mut env, workers) = ready(2);
    env.set_share(share(1), 1, Some(1));
    env.submit_many_with(F, &of_share(1), 5);
    assert!(env.scheduler.wants_jobs_now());
    let job = env.submit(G);
    assert!(workers.iter().any(|&id| env.held(id) == [job]));
}

#[test]
fn nothing_can_be_set_after_the_end() {
    let (mut env, _) = ready(1);
    env.set_share(share(1), 2, Some(1));
    env.submit_many_with(F, &of_share(1), 3);
    env.destroy();
    env.set_share(share(2), 2, Some(1));
    assert_eq!(env.scheduler.share_stats(share(2)), None);
    assert!(env.scheduler.is_empty());
    let ended = env.effects();
    assert!(
        ended
            .iter()
            .any(|effect| matches!(effect, Effect::End { .. }))
    );
}
