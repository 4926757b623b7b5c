//! Executors that are schedulers themselves: several jobs at a time, at a distance.

use std::time::Duration;

use pp_core::{Effect, Ending};

use crate::cluster::cluster;
use crate::env::{ms, us};

#[test]
fn a_node_runs_as_many_jobs_as_it_has_slots() {
    let mut cluster = cluster();
    let node = cluster.join(4, us(100));
    let jobs = cluster.submit(6);
    assert_eq!(
        cluster.held(node),
        4,
        "of unknown length, none is sent ahead"
    );
    assert_eq!(cluster.scheduler.queued(), 2);
    cluster.finish(node, jobs[2], ms(500));
    assert_eq!(cluster.held(node), 4);
}

#[test]
fn nodes_are_filled_alike() {
    let mut cluster = cluster();
    let (one, two) = (cluster.join(8, us(100)), cluster.join(16, us(100)));
    cluster.submit(12);
    assert_eq!((cluster.held(one), cluster.held(two)), (4, 8));
}

#[test]
fn the_farther_a_node_is_the_more_is_sent_ahead() {
    let ahead = |latency| {
        let mut cluster = cluster();
        let node = cluster.join(2, latency);
        cluster.measure(ms(1));
        cluster.submit(10_000);
        cluster.held(node)
    };
    let (near, far) = (ahead(us(50)), ahead(ms(50)));
    assert!((10..=20).contains(&near), "{near}");
    assert!(
        (100..=130).contains(&far),
        "{far} jobs of 1 ms for 2 slots, 50 ms away"
    );
}

#[test]
fn long_jobs_wait_for_a_slot_unless_the_way_is_longer() {
    let ahead = |latency| {
        let mut cluster = cluster();
        let node = cluster.join(2, latency);
        cluster.measure(ms(200));
        cluster.submit(10);
        cluster.held(node)
    };
    assert_eq!(ahead(us(50)), 2);
    assert_eq!(ahead(ms(20)), 4, "one ahead of each");
}

#[test]
fn a_node_of_many_slots_has_the_next_job_when_one_of_them_is_free() {
    let held = |slots, takes| {
        let mut cluster = cluster();
        let node = cluster.join(slots, us(50));
        cluster.measure(takes);
        cluster.submit(1_000);
        cluster.held(node)
    };
    // With jobs of 60 ms, one of eight ends every 7.5 ms: of those ahead, 20 ms of that.
    assert_eq!(held(8, ms(60)), 10);
    assert_eq!(held(1, ms(60)), 1);
    // With jobs of 1 s, every 125 ms. Of 64, every 16 ms.
    assert_eq!(held(8, ms(1_000)), 8);
    assert_eq!(held(64, ms(1_000)), 65);
}

#[test]
fn no_more_is_sent_than_there_is_credit() {
    let mut cluster = cluster();
    let node = cluster.join(2, us(50));
    cluster.measure(us(2));
    cluster.scheduler.node_capacity(node, 2, 5, cluster.now);
    cluster.submit(100);
    assert_eq!(cluster.held(node), 5);
    cluster.scheduler.node_capacity(node, 0, 0, cluster.now);
    cluster.absorb();
    let job = *cluster.submit(1).first().unwrap();
    assert_eq!(cluster.holder(job), None);
    assert_eq!(cluster.held(node), 5, "what is there stays");
}

#[test]
fn what_waits_at_a_slow_node_is_asked_back_when_another_idles() {
    let mut cluster = cluster();
    let slow = cluster.join(2, us(50));
    cluster.measure(ms(2));
    cluster.submit(8);
    assert_eq!(cluster.held(slow), 7, "6 ms of work for each slot");
    cluster.log.clear();
    let fast = cluster.join(4, us(50));
    let recalls = cluster.recalls();
    assert!((3..=6).contains(&recalls.len()), "{recalls:?}");
    for (node, job) in recalls {
        assert_eq!(node, slow);
        cluster
            .scheduler
            .recall_answered(slow, job, true, cluster.now);
    }
    cluster.absorb();
    assert!(cluster.held(fast) >= 3 && cluster.held(slow) >= 2);
}

#[test]
fn nothing_is_asked_back_over_a_way_that_is_longer_than_the_wait() {
    let mut cluster = cluster();
    cluster.join(1, us(50));
    cluster.measure(ms(1));
    cluster.submit(5);
    cluster.log.clear();
    cluster.join(1, ms(50));
    assert_eq!(cluster.recalls(), [], "4 ms of work there, 50 ms to here");
}

#[test]
fn a_node_that_leaves_is_asked_for_all_and_charges_nobody() {
    let mut cluster = cluster();
    let node = cluster.join(2, us(50));
    cluster.measure(ms(1));
    let jobs = cluster.submit(5);
    cluster.log.clear();
    cluster.scheduler.node_leaving(node, cluster.now);
    cluster.absorb();
    let recalls = cluster.recalls();
    assert_eq!(recalls.len(), 5, "also what may have begun: it knows");
    for (_, job) in recalls {
        let is_begun = job == jobs[0];
        cluster
            .scheduler
            .recall_answered(node, job, !is_begun, cluster.now);
    }
    cluster.absorb();
    assert_eq!((cluster.held(node), cluster.scheduler.queued()), (1, 4));
    cluster.finish(node, jobs[0], ms(1));
    assert!(cluster.log.contains(&Effect::Retire { executor: node }));
    cluster.scheduler.executor_exited(node, cluster.now);
    cluster.absorb();
    let losses = jobs[1..]
        .iter()
        .map(|&job| cluster.scheduler.job(job).unwrap().losses);
    assert_eq!(losses.sum::<u32>(), 0);
}

#[test]
fn a_job_at_a_node_is_cancelled_there_and_the_node_lives() {
    let mut cluster = cluster();
    let node = cluster.join(2, us(50));
    let jobs = cluster.submit(2);
    assert!(cluster.scheduler.cancel(jobs[0], cluster.now));
    assert!(cluster.scheduler.cancel(jobs[1], cluster.now));
    cluster.absorb();
    let asked = |job| Effect::Cancel {
        executor: node,
        job,
    };
    assert!(cluster.log.contains(&asked(jobs[0])) && cluster.log.contains(&asked(jobs[1])));
    cluster
        .scheduler
        .recall_answered(node, jobs[0], true, cluster.now);
    cluster.absorb();
    assert_eq!(cluster.endings(), [(jobs[0], Ending::Cancelled)]);
    // The other one has ended by itself; that is on its way.
    cluster
        .scheduler
        .recall_answered(node, jobs[1], false, cluster.now);
    cluster.absorb();
    cluster.finish(node, jobs[1], ms(1));
    assert_eq!(cluster.held(node), 0);
    cluster.submit(1);
    assert_eq!(cluster.held(node), 1);
}

#[test]
fn a_cancel_that_crosses_the_answer_to_a_recall_ends_the_job() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(50));
    cluster.measure(ms(1));
    let job = cluster.submit(3)[1];
    cluster.join(8, us(50));
    let recalls = cluster.recalls();
    assert!(recalls.contains(&(node, job)), "{recalls:?}");
    // It has begun meanwhile; before that is heard, it is cancelled.
    assert!(cluster.scheduler.cancel(job, cluster.now));
    cluster.absorb();
    for recalled in [false, true] {
        let now = cluster.now;
        cluster.scheduler.recall_answered(node, job, recalled, now);
        cluster.absorb();
    }
    assert_eq!(cluster.endings(), [(job, Ending::Cancelled)]);
    assert_eq!(cluster.scheduler.job(job).map(|job| job.state), None);
}

#[test]
fn a_job_is_given_back_unless_it_has_begun() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(50));
    cluster.measure(ms(1));
    let jobs = cluster.submit(3);
    let queued = {
        cluster.scheduler.node_capacity(node, 1, 3, cluster.now);
        cluster.submit(1)[0]
    };
    cluster.log.clear();
    for job in [queued, jobs[0], jobs[2]] {
        assert!(cluster.scheduler.give_back(job, cluster.now));
    }
    cluster.absorb();
    assert_eq!(cluster.endings(), [(queued, Ending::Cancelled)]);
    for (job, recalled) in [(jobs[0], false), (jobs[2], true)] {
        cluster
            .scheduler
            .recall_answered(node, job, recalled, cluster.now);
    }
    cluster.absorb();
    assert_eq!(cluster.endings(), [(jobs[2], Ending::Cancelled)]);
    // What has begun goes on as if nothing had been asked.
    cluster.lose(node);
    assert_eq!(cluster.holder(jobs[0]), None);
    assert_eq!(cluster.scheduler.job(jobs[0]).unwrap().losses, 1);
}

#[test]
fn jobs_wait_while_there_is_nobody() {
    let mut cluster = cluster();
    let jobs = cluster.submit(3);
    cluster.advance(Duration::from_secs(3600));
    assert_eq!(cluster.scheduler.queued(), 3);
    let node = cluster.join(3, us(50));
    assert!(jobs.iter().all(|&job| cluster.holder(job) == Some(node)));
}

#[test]
fn who_does_not_want_to_wait_gives_up_what_is_queued() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(50));
    let jobs = cluster.submit(3);
    cluster.scheduler.give_up(cluster.now);
    cluster.absorb();
    let given_up = |&job| (job, Ending::GivenUp);
    let expected: Vec<_> = jobs[1..].iter().map(given_up).collect();
    assert_eq!(cluster.endings(), expected);
    cluster.finish(node, jobs[0], ms(1));
    assert!(cluster.scheduler.is_empty());
}

#[test]
fn workers_that_cannot_start_fail_no_job_that_a_node_can_run() {
    let mut cluster = cluster();
    cluster.scheduler.resize(1, cluster.now);
    cluster.absorb();
    let node = cluster.join(1, us(50));
    cluster.submit(5);
    for _ in 0..10 {
        let starts: Vec<_> = std::mem::take(&mut cluster.log)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Start { executor } => Some(executor),
                _ => None,
            })
            .collect();
        for executor in starts {
            cluster
                .scheduler
                .executor_start_failed(executor, cluster.now);
            cluster.absorb();
        }
        cluster.advance(Duration::from_secs(10));
    }
    assert_eq!((cluster.held(node), cluster.scheduler.queued()), (1, 4));
}

#[test]
fn nodes_and_workers_work_together_and_workers_come_first() {
    let mut cluster = cluster();
    cluster.scheduler.resize(1, cluster.now);
    cluster.absorb();
    let node = cluster.join(1, us(50));
    let Effect::Start { executor: worker } = cluster.log[0] else {
        panic!("{:?}", cluster.log);
    };
    cluster.scheduler.executor_ready(worker, 100, cluster.now);
    let jobs = cluster.submit(2);
    assert_eq!(cluster.holder(jobs[0]), Some(worker));
    assert_eq!(cluster.holder(jobs[1]), Some(node));
    cluster.scheduler.destroy(cluster.now);
    cluster.absorb();
    for executor in [worker, node] {
        assert!(cluster.log.contains(&Effect::Kill { executor }));
        cluster.scheduler.executor_lost(executor, &[], cluster.now);
    }
    cluster.absorb();
    assert!(cluster.scheduler.is_empty());
    assert_eq!(cluster.scheduler.node_counts().total(), 0);
    assert!(
        cluster
            .scheduler
            .node_joined(1, 1, us(1), cluster.now)
            .is_none()
    );
}
