//! Nodes that are lost with all that they held, and the jobs that may be to blame.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{Charges, Config, Effect, Ending, ExecutorId, JobId};

use crate::cluster::{Cluster, cluster};
use crate::env::{ms, us};

#[test]
fn the_jobs_of_a_lost_node_run_elsewhere() {
    let mut cluster = cluster();
    let (one, two) = (cluster.join(2, us(50)), cluster.join(2, us(50)));
    let jobs = cluster.submit(4);
    cluster.lose(one);
    assert_eq!(cluster.scheduler.queued(), 2);
    let theirs: Vec<_> = jobs
        .iter()
        .filter(|&&job| cluster.holder(job) == Some(two))
        .copied()
        .collect();
    for job in theirs {
        cluster.finish(two, job, ms(1));
    }
    assert_eq!(cluster.held(two), 2);
    for job in jobs {
        if cluster.holder(job).is_some() {
            cluster.finish(two, job, ms(1));
        }
    }
    assert!(cluster.scheduler.is_empty());
}

#[test]
fn a_job_that_takes_nodes_down_fails_alone() {
    let mut cluster = cluster();
    let jobs = cluster.submit(20);
    let culprit = jobs[7];
    let mut ended = Vec::new();
    let mut nodes_lost = 0;
    let mut node = cluster.join(20, us(50));
    while ended.is_empty() {
        if cluster.holder(culprit) == Some(node) {
            cluster.lose(node);
            nodes_lost += 1;
            ended = cluster.endings();
            node = cluster.join(20, us(50));
            continue;
        }
        // The others go well, one at a time by now.
        assert_eq!((nodes_lost, cluster.held(node)), (2, 1));
        let is_held = |&&job: &&JobId| cluster.holder(job) == Some(node);
        let fine = *jobs.iter().find(is_held).unwrap();
        cluster.finish(node, fine, ms(1));
    }
    assert_eq!(nodes_lost, 3);
    assert_eq!(ended.len(), 1);
    let (job, ending) = ended[0];
    assert_eq!(job, culprit);
    assert!(matches!(ending, Ending::NodeLost { losses: 3, .. }));
}

#[test]
fn nothing_is_excused_for_ever() {
    let mut cluster = cluster();
    let job = cluster.submit(1)[0];
    let mut cuts = 0;
    while cluster.scheduler.job(job).is_some() {
        let node = cluster.join(1, us(50));
        assert_eq!(cluster.holder(job), Some(node));
        let now = cluster.now;
        cluster.scheduler.node_cut_off(node, now);
        cluster.absorb();
        cuts += 1;
    }
    assert_eq!(cuts, 30, "ten times as many as losses");
    let [(_, ending)] = cluster.endings()[..] else {
        panic!("it has not ended");
    };
    assert!(matches!(ending, Ending::NodeLost { losses: 3, .. }));
}

/// A job that comes back from a node that it was recalled from.
fn come_back(cluster: &mut Cluster, node: ExecutorId, job: JobId, losses: u32) {
    let charges = Charges { deaths: 0, losses };
    let now = cluster.now;
    cluster.scheduler.node_capacity(node, 0, 0, now);
    cluster.absorb();
    cluster.advance(Duration::from_secs(1));
    assert!(cluster.recalls().contains(&(node, job)));
    cluster.scheduler.job_charged(node, job, charges, now);
    cluster.absorb();
    cluster.scheduler.recall_answered(node, job, true, now);
    cluster.absorb();
}

#[test]
fn what_a_job_was_charged_with_behind_a_gateway_counts_when_it_comes_back() {
    let mut cluster = cluster();
    let gateway = cluster.join(1, us(50));
    let job = cluster.submit(1)[0];
    come_back(&mut cluster, gateway, job, 9);
    let losses = cluster.scheduler.job(job).unwrap().losses;
    assert_eq!(losses, 2, "it is a suspect by now, and not more");
    let now = cluster.now;
    cluster.scheduler.node_capacity(gateway, 1, 10, now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), Some(gateway));
    come_back(&mut cluster, gateway, job, 1);
    let [(ended, ending)] = cluster.endings()[..] else {
        panic!("it has not ended");
    };
    assert_eq!(ended, job);
    assert!(matches!(ending, Ending::NodeLost { losses: 3, .. }));
    assert!(cluster.scheduler.is_empty());
}

#[test]
fn a_job_that_was_asked_for_and_is_lost_goes_back_with_its_charge() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(50));
    let job = cluster.submit(1)[0];
    assert!(cluster.scheduler.give_back(job, cluster.now));
    cluster.absorb();
    cluster.log.clear();
    cluster.lose(node);
    let ends = cluster.log.iter().filter_map(|effect| match *effect {
        Effect::End {
            ending, charges, ..
        } => Some((ending, charges.losses)),
        _ => None,
    });
    assert_eq!(ends.collect::<Vec<_>>(), [(Ending::Cancelled, 1)]);
}

#[test]
fn suspects_are_not_starved_by_a_stream_of_others() {
    let mut cluster = cluster();
    let first = cluster.join(1, us(50));
    cluster.measure(ms(1));
    let suspect = cluster.submit(1)[0];
    cluster.lose(first);
    let second = cluster.join(1, us(50));
    cluster.lose(second);
    assert_eq!(cluster.scheduler.job(suspect).unwrap().losses, 2);
    let node = cluster.join(1, us(50));
    cluster.submit(100);
    assert_eq!(cluster.holder(suspect), Some(node));
    cluster.finish(node, suspect, ms(1));
}

/// A cluster in which one loss makes a suspect, with one node that is kept busy.
fn wary_cluster() -> (Cluster, ExecutorId) {
    let mut cluster = Cluster::new(Config {
        max_node_losses: NonZeroU32::MIN.saturating_add(1),
        ..Config::default()
    });
    let busy = cluster.join(1, us(50));
    cluster.measure(ms(5));
    cluster.submit(1);
    (cluster, busy)
}

#[test]
fn a_suspect_goes_where_it_begins_soonest() {
    let (mut cluster, busy) = wary_cluster();
    let doomed = cluster.join(1, us(50));
    let suspect = cluster.submit(1)[0];
    let idle = cluster.join(1, us(50));
    assert_eq!((cluster.held(busy), cluster.held(idle)), (1, 0));
    cluster.lose(doomed);
    assert_eq!(cluster.holder(suspect), Some(idle));
}

#[test]
fn a_suspect_is_not_asked_back_for_who_must_not_have_it() {
    let (mut cluster, busy) = wary_cluster();
    let doomed = cluster.join(2, us(50));
    let suspects = cluster.submit(2);
    let other = cluster.join(2, us(50));
    cluster.lose(doomed);
    assert_eq!(cluster.holder(suspects[0]), Some(other));
    assert_eq!(
        cluster.holder(suspects[1]),
        Some(busy),
        "behind another job"
    );
    cluster.log.clear();
    cluster.advance(ms(20));
    assert_eq!(cluster.recalls(), [], "the other one has a suspect already");
    cluster.advance(ms(100));
    assert_eq!(cluster.recalls(), [(busy, suspects[1])], "it waits in vain");
}

#[test]
fn what_had_begun_at_a_node_is_asked_for_again_when_that_has_less_room() {
    let mut cluster = cluster();
    let gateway = cluster.join(1, us(50));
    cluster.measure(ms(1));
    let job = cluster.submit(3)[1];
    cluster.join(8, us(50));
    assert!(cluster.recalls().contains(&(gateway, job)));
    cluster
        .scheduler
        .recall_answered(gateway, job, false, cluster.now);
    cluster.absorb();
    // What ran behind it was lost, and waits there again.
    cluster.scheduler.node_capacity(gateway, 0, 0, cluster.now);
    cluster.absorb();
    cluster.advance(Duration::from_secs(1));
    assert!(cluster.recalls().contains(&(gateway, job)));
}

#[test]
fn where_one_loss_is_too_many_nothing_runs_twice() {
    let mut cluster = Cluster::new(Config {
        max_node_losses: NonZeroU32::MIN,
        ..Config::default()
    });
    let node = cluster.join(3, us(50));
    let jobs = cluster.submit(4);
    cluster.lose(node);
    let ended: BTreeSet<_> = cluster.endings().into_iter().map(|(job, _)| job).collect();
    assert_eq!(ended, jobs[..3].iter().copied().collect());
    assert_eq!(cluster.scheduler.queued(), 1);
}
