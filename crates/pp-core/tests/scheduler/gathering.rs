//! Where a job gathers slots that lacks nothing else.

use pp_core::{Demand, ExecutorId, JobId, Machine, ResourceId, Terms};

use crate::cluster::{Cluster, cluster};
use crate::env::{ms, us};
use crate::resources::{GPU, LICENCE, needs, submit, supply, wide};
use crate::rng::Rng;

/// Nodes of so many slots that have so much, with a plain job of 300 ms in each slot, and more
/// in the queue.
struct Busy {
    cluster: Cluster,
    nodes: Vec<ExecutorId>,
    jobs: Vec<JobId>,
}

impl Busy {
    fn new(nodes: &[(u32, &[(ResourceId, u64)])]) -> Self {
        let mut cluster = cluster();
        let join = |&(slots, has): &(u32, &[(ResourceId, u64)])| {
            let node = cluster.join(slots, us(50));
            supply(&mut cluster, Machine::Node(node), has);
            (node, slots as usize)
        };
        let (nodes, slots): (Vec<_>, Vec<_>) = nodes.iter().map(join).unzip();
        cluster.measure(ms(300));
        let jobs = cluster.submit(slots.iter().sum());
        Self {
            cluster,
            nodes,
            jobs,
        }
    }

    /// Ends a job of a node.
    fn end_one(&mut self, node: ExecutorId) {
        let jobs = self.jobs.iter().copied();
        let mut jobs = jobs.filter(|&job| self.cluster.holder(job) == Some(node));
        let job = jobs.next().expect("it runs something");
        self.cluster.finish(node, job, ms(300));
    }

    /// The place of the node where slots are gathered: what ends there is followed by nothing.
    fn gathers_at(&mut self) -> Option<usize> {
        let more = self.cluster.submit(self.nodes.len());
        self.jobs.extend(more);
        let nodes = self.nodes.clone();
        nodes.into_iter().position(|node| {
            let before = self.cluster.held(node);
            self.end_one(node);
            self.cluster.held(node) < before
        })
    }
}

fn gathers_at(nodes: &[(u32, &[(ResourceId, u64)])], terms: &Terms) -> Option<usize> {
    let mut busy = Busy::new(nodes);
    submit(&mut busy.cluster, terms);
    busy.gathers_at()
}

#[test]
fn slots_are_gathered_where_nothing_scarce_is_held_up() {
    let gpus: &[_] = &[(GPU, 4)];
    assert_eq!(gathers_at(&[(4, gpus), (4, &[])], &wide(4)), Some(1));
    assert_eq!(gathers_at(&[(4, &[]), (4, gpus)], &wide(4)), Some(0));
    // It does not fit there.
    assert_eq!(gathers_at(&[(4, gpus), (3, &[])], &wide(4)), Some(0));
}

/// A little of a lot is less than all of a little.
#[test]
fn resources_count_by_the_part_that_a_machine_has() {
    let (gpus, some): (&[_], &[_]) = (&[(GPU, 2)], &[(LICENCE, 10)]);
    let much: &[_] = &[(GPU, 2), (LICENCE, 990)];
    let nodes = [(4, gpus), (4, some), (4, much)];
    assert_eq!(gathers_at(&nodes, &wide(4)), Some(1));
}

/// What the job needs itself is not missed: it would use that anywhere.
#[test]
fn what_a_job_needs_itself_does_not_count() {
    let (many, few): (&[_], &[_]) = (&[(GPU, 8)], &[(GPU, 2), (LICENCE, 1)]);
    let others: &[_] = &[(LICENCE, 3)];
    let nodes = [(4, few), (4, many), (4, others)];
    assert_eq!(gathers_at(&nodes, &needs(4, &[(GPU, 1)])), Some(1));
}

#[test]
fn of_machines_alike_the_one_with_the_most_free_slots_gathers() {
    for first in 0..3 {
        let mut busy = Busy::new(&[(4, &[]), (4, &[]), (4, &[])]);
        busy.end_one(busy.nodes[first]);
        submit(&mut busy.cluster, &wide(4));
        assert_eq!(busy.gathers_at(), Some(first));
    }
}

/// Half of the slots here and half there would be nothing.
#[test]
fn a_job_goes_on_where_it_has_begun_to_gather() {
    let mut busy = Busy::new(&[(2, &[(GPU, 1)]), (2, &[])]);
    let job = submit(&mut busy.cluster, &wide(2));
    assert_eq!(busy.gathers_at(), Some(1));
    let (one, other) = (busy.nodes[0], busy.nodes[1]);
    supply(&mut busy.cluster, Machine::Node(one), &[]);
    supply(&mut busy.cluster, Machine::Node(other), &[(GPU, 1)]);
    busy.end_one(one);
    assert_eq!(busy.cluster.held(one), 2, "others go on there");
    busy.end_one(other);
    assert_eq!(busy.cluster.holder(job), Some(other));
}

/// As above, on machines that differ in everything; and the job gets its slots.
#[test]
fn the_machine_with_the_least_that_others_need_gathers() {
    for seed in 0..200 {
        println!("seed {seed}");
        let mut rng = Rng::new(seed);
        let mut below = |limit| rng.below(limit);
        let has: Vec<_> = (0..2 + below(4))
            .map(|_| (2 + below(3), [(GPU, below(4)), (LICENCE, below(100))]))
            .collect();
        let demand = Demand {
            slots: 2 + u32::from(below(2) == 1),
            amounts: [vec![], vec![(GPU, 1)]][usize::from(below(3) == 0)].clone(),
        };
        let missed = |has: &[(ResourceId, u64)], all: &[u64]| -> u64 {
            let own = |resource| demand.amounts.iter().any(|&(one, _)| one == resource);
            let others = has.iter().zip(all).filter(|((one, _), _)| !own(*one));
            // Whole parts of what is divisible by any of these.
            others
                .map(|((_, here), all)| here * 1_000_000_000 / all.max(&1))
                .sum()
        };
        let totals = [0, 1].map(|which| has.iter().map(|(_, has)| has[which].1).sum());
        let fits = |slots: u64, gpus: u64| {
            slots >= u64::from(demand.slots) && (demand.amounts.is_empty() || gpus > 0)
        };
        let able = has.iter().enumerate();
        let able = able.filter(|(_, (slots, has))| fits(*slots, has[0].1));
        let able = able.map(|(place, (_, has))| (missed(has, &totals), place));
        let best = able.min().map(|(_, place)| place);
        let nodes: Vec<(u32, &[_])> = has
            .iter()
            .map(|(slots, has)| (u32::try_from(*slots).unwrap(), &has[..]))
            .collect();
        let mut busy = Busy::new(&nodes);
        let terms = Terms {
            demand: demand.clone(),
            ..Terms::default()
        };
        let job = submit(&mut busy.cluster, &terms);
        assert_eq!(busy.gathers_at(), best, "{has:?}, {demand:?}");
        let Some(best) = best else {
            assert_eq!(busy.cluster.scheduler.gathers(), None);
            continue;
        };
        for _ in 1..demand.slots {
            assert_eq!(busy.cluster.scheduler.gathers(), Some(job));
            busy.end_one(busy.nodes[best]);
        }
        assert_eq!(busy.cluster.holder(job), Some(busy.nodes[best]));
    }
}
