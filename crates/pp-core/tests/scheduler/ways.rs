//! How long data takes to come, between nodes: messages take time, and links carry one thing after
//! another.

use std::time::Duration;

use pp_core::{Effect, ExecutorId, JobId, Terms};

use crate::cluster::{self, Cluster};
use crate::copies::both;
use crate::env::{F, ms, us};
use crate::near::{bytes, of};

/// Far enough for nodes to get a job ahead while another runs.
const NEAR: Duration = Duration::from_millis(1);

/// Nodes where jobs take 50 ms.
fn cluster() -> Cluster {
    let mut cluster = cluster::cluster();
    let node = cluster.join(1, NEAR);
    cluster.measure(ms(50));
    cluster.lose(node);
    cluster
}

fn submit(cluster: &mut Cluster, terms: &Terms) -> JobId {
    let job = cluster.scheduler.submit_with(F, terms, 1, cluster.now);
    cluster.absorb();
    job.unwrap()
}

/// A new node, all slots of which are taken for another 50 ms, and by what.
fn busy_node(cluster: &mut Cluster, latency: Duration) -> (ExecutorId, JobId) {
    let node = cluster.join(1, latency);
    let job = submit(cluster, &of(100 + node.as_u64(), node, bytes(ms(900))));
    assert_eq!(cluster.holder(job), Some(node));
    (node, job)
}

/// Whether a job goes to an idle node of this latency, and not to the one that has its data.
fn goes_there(latency: Duration) -> bool {
    let mut cluster = cluster();
    let (home, _) = busy_node(&mut cluster, NEAR);
    let other = cluster.join(1, latency);
    let job = submit(&mut cluster, &of(1, home, bytes(ms(20))));
    cluster.holder(job) == Some(other)
}

/// It is there in 20 ms, one and a half times its latency and as often that of the holder's.
#[test]
fn the_way_to_who_needs_it_counts() {
    assert!(goes_there(us(19_600)));
    assert!(!goes_there(us(19_700)));
}

#[test]
fn who_gives_data_to_one_gives_it_to_others_later() {
    for gives in [true, false] {
        let mut cluster = cluster();
        let (home, _) = busy_node(&mut cluster, NEAR);
        let others = [0, 1].map(|_| cluster.join(1, NEAR));
        if gives {
            let first = submit(&mut cluster, &of(1, home, bytes(ms(40))));
            assert!(others.map(Some).contains(&cluster.holder(first)));
        }
        let job = submit(&mut cluster, &of(2, home, bytes(ms(20))));
        assert_eq!(others.map(Some).contains(&cluster.holder(job)), !gives);
    }
}

#[test]
fn who_gets_data_of_one_gets_more_later() {
    for gets in [true, false] {
        let mut cluster = cluster();
        let homes = [0, 1].map(|_| busy_node(&mut cluster, NEAR).0);
        let other = cluster.join(2, NEAR);
        if gets {
            let first = submit(&mut cluster, &of(1, homes[0], bytes(ms(40))));
            assert_eq!(cluster.holder(first), Some(other));
        }
        let job = submit(&mut cluster, &of(2, homes[1], bytes(ms(20))));
        assert_eq!(cluster.holder(job) == Some(other), !gets);
    }
}

/// The smallest data is worth to be near to, if whoever needs it has to wait for messages.
#[test]
fn the_way_to_who_has_it_counts() {
    for (latency, right) in [(us(100), 1), (ms(10), 2)] {
        let are_near = [0, 1].map(|place| {
            let mut cluster = cluster();
            let nodes = [0, 1].map(|_| cluster.join(1, latency));
            let job = submit(&mut cluster, &of(1, nodes[place], 1));
            cluster.holder(job) == Some(nodes[place])
        });
        let near = are_near.into_iter().filter(|&is_near| is_near).count();
        assert_eq!(near, right, "{latency:?}");
    }
}

/// Whoever comes to idle and has what is needed is looked at before others that idle.
#[test]
fn who_waits_goes_to_any_that_has_its_data_and_idles() {
    let mut cluster = cluster();
    let [one, (other, running)] = [0, 1].map(|_| busy_node(&mut cluster, us(100)));
    cluster.scheduler.resize(1, cluster.now);
    let started = cluster.scheduler.poll();
    let Some(Effect::Start { executor }) = started else {
        panic!("{started:?}");
    };
    cluster.scheduler.executor_ready(executor, 1, cluster.now);
    let [one, two] = [one.0, other].map(|node| of(1, node, bytes(ms(900))));
    let job = submit(&mut cluster, &both(&one, &two));
    assert_eq!(cluster.holder(job), None);
    cluster.finish(other, running, ms(50));
    assert_eq!(cluster.holder(job), Some(other));
}

/// As long as nobody has answered, they still are to come first.
#[test]
fn those_asked_back_before_count_when_more_are() {
    for (takes, asked) in [(10, 2), (30, 1), (60, 0)] {
        let mut cluster = cluster();
        let home = cluster.join(2, NEAR);
        for item in [1, 2] {
            submit(&mut cluster, &of(item, home, bytes(ms(900))));
        }
        let jobs = [3, 4].map(|item| submit(&mut cluster, &of(item, home, bytes(ms(takes)))));
        assert_eq!(jobs.map(|job| cluster.holder(job)), [Some(home); 2]);
        cluster.join(2, NEAR);
        assert_eq!(cluster.recalls().len(), asked, "{takes}");
    }
}
