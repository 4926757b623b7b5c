//! Jobs of one slot that need something else besides, and are sent ahead to nodes that have it.

use pp_core::{Demand, ExecutorId, JobId, Machine, ResourceId, Terms};

use crate::cluster::{Cluster, cluster};
use crate::env::{F, ms, us};

const GPU: ResourceId = ResourceId::from_u64(7);

fn needs(slots: u32, gpus: u64) -> Terms {
    let demand = Demand {
        slots,
        amounts: vec![(GPU, gpus)],
    };
    Terms {
        demand,
        ..Terms::default()
    }
}

fn submit(cluster: &mut Cluster, terms: &Terms) -> JobId {
    cluster.submitted += 1;
    let (data, now) = (cluster.submitted, cluster.now);
    let job = cluster.scheduler.submit_with(F, terms, data, now).unwrap();
    cluster.absorb();
    job
}

fn taken(cluster: &Cluster, node: ExecutorId) -> u64 {
    cluster.scheduler.stock(Machine::Node(node))[0].taken
}

/// Two nodes of two slots that all run plain jobs of 5 ms; the first has two GPUs.
fn busy() -> (Cluster, [ExecutorId; 2], Vec<JobId>) {
    let mut cluster = cluster();
    let nodes = [cluster.join(2, us(200)), cluster.join(2, us(200))];
    let machine = Machine::Node(nodes[0]);
    cluster
        .scheduler
        .set_supply(machine, &[(GPU, 2)], cluster.now);
    cluster.measure(ms(5));
    let running = cluster.submit(4);
    cluster.log.clear();
    (cluster, nodes, running)
}

#[test]
fn a_job_of_one_slot_is_sent_ahead_to_what_it_needs() {
    let (mut cluster, [node, _], _) = busy();
    let first = submit(&mut cluster, &needs(1, 2));
    let second = submit(&mut cluster, &needs(1, 1));
    assert_eq!(cluster.holder(first), Some(node));
    assert_eq!(cluster.holder(second), None, "what it needs is not free");
    assert_eq!(taken(&cluster, node), 2);
    let wide = submit(&mut cluster, &needs(2, 0));
    assert_eq!(cluster.holder(wide), None, "slots would idle for it");
}

/// Else these would have each slot before it is known to be free.
#[test]
fn plain_jobs_that_come_later_do_not_pass_it() {
    let (mut cluster, [node, _], running) = busy();
    while cluster.scheduler.queued() == 0 {
        cluster.submit(1);
    }
    let job = submit(&mut cluster, &needs(1, 1));
    assert_eq!(cluster.holder(job), None, "nobody takes any more");
    let later = cluster.submit(20);
    for it in running {
        if cluster.holder(it) == Some(node) {
            cluster.finish(node, it, ms(5));
        }
    }
    assert_eq!(cluster.holder(job), Some(node));
    assert!(cluster.holder(later[10]).is_none());
}

#[test]
fn nobody_that_idles_asks_for_what_has_taken_something_where_it_waits() {
    let (mut cluster, [node, other], running) = busy();
    let job = submit(&mut cluster, &needs(1, 1));
    for it in running {
        if cluster.holder(it) == Some(other) {
            cluster.finish(other, it, ms(5));
        }
    }
    assert_eq!(cluster.held(other), 0);
    assert_eq!(cluster.recalls(), []);
    cluster.advance(ms(2));
    assert_eq!(cluster.recalls(), []);
    // What runs there has turned out long: then it may go wherever it can.
    cluster.advance(ms(60));
    assert_eq!(cluster.recalls(), [(node, job)]);
    let now = cluster.now;
    cluster.scheduler.recall_answered(node, job, true, now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), None);
    assert_eq!(taken(&cluster, node), 0);
}

#[test]
fn what_it_has_taken_is_given_back_with_it() {
    let (mut cluster, [node, _], _) = busy();
    let job = submit(&mut cluster, &needs(1, 2));
    cluster.scheduler.cancel(job, cluster.now);
    cluster.absorb();
    let now = cluster.now;
    cluster.scheduler.recall_answered(node, job, true, now);
    cluster.absorb();
    assert_eq!(taken(&cluster, node), 0);
    let next = submit(&mut cluster, &needs(1, 2));
    assert_eq!(cluster.holder(next), Some(node));
    cluster.lose(node);
    assert_eq!(cluster.holder(next), None);
}

/// Else it would come and go for as long as others have what it needs.
#[test]
fn what_a_node_has_refused_is_not_sent_ahead_to_it_either() {
    let (mut cluster, [node, other], _) = busy();
    let (job, now) = (submit(&mut cluster, &needs(1, 1)), cluster.now);
    assert_eq!(cluster.holder(job), Some(node));
    cluster.scheduler.refused(node, job, now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), None);
    let set = |cluster: &mut Cluster, node| {
        let machine = Machine::Node(node);
        cluster.scheduler.set_supply(machine, &[(GPU, 1)], now);
        cluster.absorb();
    };
    set(&mut cluster, other);
    assert_eq!(cluster.holder(job), Some(other), "it has refused nothing");
    cluster.scheduler.refused(other, job, now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), None);
    set(&mut cluster, node);
    assert_eq!(cluster.holder(job), Some(node), "it may have it again");
}
