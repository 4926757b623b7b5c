//! Jobs that are refused when they are to be sent on, and what the model expects then.

use pp_core::{Demand, Effect, ExecutorId, JobId, JobState, Machine, ResourceId, Terms};

use crate::cluster::{Cluster, cluster};
use crate::env::{Env, F, Place, ms, us};

const GPU: ResourceId = ResourceId::from_u64(7);
const LICENCE: ResourceId = ResourceId::from_u64(8);

fn needs(amounts: &[(ResourceId, u64)]) -> Terms {
    Terms {
        demand: Demand {
            slots: 1,
            amounts: amounts.to_vec(),
        },
        ..Terms::default()
    }
}

impl Env {
    /// The machine has not what the job needs, and it is not sent on.
    pub(crate) fn refuse(&mut self, executor: ExecutorId, job: JobId) {
        self.catch_up();
        self.lose_unbegun(executor, job);
        let entry = self.jobs.get_mut(&job).expect("it lives");
        entry.returned = true;
        entry.place = Place::Queue;
        self.refused.push(entry.terms.demand.clone());
        self.scheduler.refused(executor, job, self.now);
        self.absorb();
    }

    pub(crate) fn try_refused(&mut self) {
        self.catch_up();
        self.refused.clear();
        self.scheduler.try_refused(self.now);
        self.absorb();
    }

    /// Whether nothing that needs this is tried, for a reason.
    pub(crate) fn is_refused(&self, demand: &Demand) -> bool {
        let is_refused = self.scheduler.is_refused(demand);
        let is_alike = |other: &Demand| {
            let resources = demand.amounts.iter().map(|&(resource, _)| resource);
            let amount = |of: &Demand, resource| -> u64 {
                let amounts = of.amounts.iter().filter(|&&(one, _)| one == resource);
                amounts.map(|&(_, amount)| amount).sum()
            };
            let mut all = resources.map(|one| amount(demand, one) == amount(other, one));
            demand.slots.max(1) == other.slots.max(1) && all.all(|alike| alike)
        };
        assert!(
            !is_refused || self.refused.iter().any(is_alike),
            "nobody refused {demand:?}"
        );
        is_refused
    }
}

/// A machine that has plenty for jobs of these terms, and one that holds a job of them.
fn with_job(workers: u32, terms: &Terms) -> (Env, ExecutorId, JobId) {
    let (mut env, _) = Env::ready(workers);
    env.set_supply(&[(GPU, 100), (LICENCE, 100)]);
    let job = env.submit_with(F, terms);
    let Place::With(holder) = env.place(job) else {
        panic!("it is sent");
    };
    (env, holder, job)
}

#[test]
fn what_was_refused_waits_until_it_is_to_be_tried() {
    let (mut env, worker, job) = with_job(2, &needs(&[(GPU, 1)]));
    env.refuse(worker, job);
    assert_eq!(env.scheduler.job(job).unwrap().state, JobState::Queued);
    let like = env.submit_with(F, &needs(&[(GPU, 1)]));
    let other = env.submit_with(F, &needs(&[(GPU, 2)]));
    let plain = env.submit(F);
    assert_eq!(env.queued(), [job, like], "only what needs the same waits");
    assert!(matches!(env.place(other), Place::With(_)));
    assert!(matches!(env.place(plain), Place::With(_)));
    env.advance(ms(100));
    assert_eq!(env.queued(), [job, like]);
    assert!(env.scheduler.is_queued_for(&needs(&[(GPU, 1)]).demand));
    assert!(!env.scheduler.is_queued_for(&needs(&[(GPU, 2)]).demand));
    let Place::With(holder) = env.place(plain) else {
        panic!("it is sent");
    };
    env.run(holder, us(50));
    assert_eq!(env.queued(), [job, like], "a plain job gives nothing back");
    env.try_refused();
    assert_eq!(env.queued(), [like], "it has its place again");
}

#[test]
fn who_gives_some_of_it_back_lets_it_be_tried() {
    let (mut env, worker, job) = with_job(3, &needs(&[(GPU, 1)]));
    env.refuse(worker, job);
    let licence = env.submit_with(F, &needs(&[(LICENCE, 1)]));
    let gpu = env.submit_with(F, &needs(&[(GPU, 2)]));
    for (ended, left) in [(licence, vec![job]), (gpu, vec![])] {
        let Place::With(holder) = env.place(ended) else {
            panic!("it is sent");
        };
        env.run(holder, us(50));
        assert_eq!(env.queued(), left);
    }
}

#[test]
fn many_jobs_that_need_the_same_are_refused_once() {
    let (mut env, _) = Env::ready(4);
    env.set_supply(&[(LICENCE, 100), (GPU, 100)]);
    let (licence, gpu) = (needs(&[(LICENCE, 1)]), needs(&[(LICENCE, 1), (GPU, 1)]));
    let mut refused = 0;
    for number in 0..20_000 {
        let terms = if number % 2 == 0 { &licence } else { &gpu };
        let job = env.scheduler.submit_with(F, terms, number, env.now);
        job.unwrap();
        refused += refuse_all(&mut env);
    }
    assert_eq!(refused, 2, "once for each demand");
    for _ in 1..10 {
        env.scheduler.try_refused(env.now);
        let refused = refuse_all(&mut env);
        assert!(
            (2..=8).contains(&refused),
            "{refused}, with four workers that idle"
        );
        env.now = env.now.saturating_add(ms(1));
        env.scheduler.tick(env.now);
        assert_eq!(refuse_all(&mut env), 0, "time alone changes nothing");
    }
    env.scheduler.check_invariants().unwrap();
    assert_eq!(env.scheduler.queued(), 20_000);
}

/// Refuses whatever is to be sent; how much that was.
fn refuse_all(env: &mut Env) -> usize {
    let mut count = 0;
    while let Some(effect) = env.scheduler.poll() {
        if let Effect::Send { executor, job } = effect {
            env.scheduler.refused(executor, job, env.now);
            count += 1;
        }
    }
    count
}

#[test]
fn what_was_refused_here_goes_to_a_node() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(100));
    for machine in [Machine::Here, Machine::Node(node)] {
        let supply = [(GPU, 1)];
        cluster.scheduler.set_supply(machine, &supply, cluster.now);
    }
    cluster.scheduler.resize(1, cluster.now);
    cluster.absorb();
    let started = cluster.log.iter().find_map(|effect| match effect {
        Effect::Start { executor } => Some(*executor),
        _ => None,
    });
    let worker = started.unwrap();
    cluster.scheduler.executor_ready(worker, 8, cluster.now);
    let terms = needs(&[(GPU, 1)]);
    let now = cluster.now;
    let job = cluster.scheduler.submit_with(F, &terms, 1, now).unwrap();
    cluster.absorb();
    if cluster.holder(job) == Some(worker) {
        cluster.scheduler.refused(worker, job, now);
        cluster.absorb();
    }
    assert_eq!(cluster.holder(job), Some(node));
}

#[test]
fn what_a_node_refused_goes_there_again_when_it_says_what_it_has() {
    let mut cluster = cluster();
    let nodes = [cluster.join(1, us(100)), cluster.join(1, us(100))];
    let set = |cluster: &mut Cluster, node| {
        let now = cluster.now;
        cluster
            .scheduler
            .set_supply(Machine::Node(node), &[(GPU, 1)], now);
        cluster.absorb();
    };
    for node in nodes {
        set(&mut cluster, node);
    }
    let (terms, now) = (needs(&[(GPU, 1)]), cluster.now);
    let job = cluster.scheduler.submit_with(F, &terms, 1, now).unwrap();
    cluster.absorb();
    let first = cluster.holder(job).unwrap();
    cluster.scheduler.refused(first, job, now);
    cluster.absorb();
    let second = cluster.holder(job).unwrap();
    assert_ne!(first, second);
    cluster.scheduler.refused(second, job, now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), None);
    cluster.scheduler.try_refused(now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), None, "it is no matter of workers");
    let plain = cluster.submit(1)[0];
    let holder = cluster.holder(plain).unwrap();
    cluster.finish(holder, plain, us(50));
    assert_eq!(cluster.holder(job), None, "it gives nothing back");
    set(&mut cluster, second);
    assert_eq!(cluster.holder(job), Some(second));
}

#[test]
fn one_that_was_cancelled_meanwhile_ends() {
    let (mut env, worker, job) = with_job(1, &needs(&[(GPU, 1)]));
    env.answers_at_once = false;
    env.cancel(job);
    env.refuse(worker, job);
    assert_eq!(env.ending(job), Some(pp_core::Ending::Cancelled));
    assert!(!env.scheduler.is_refused(&needs(&[(GPU, 1)]).demand));
    assert!(env.scheduler.is_empty());
}

#[test]
fn a_refusal_of_what_is_not_held_changes_nothing() {
    let (mut env, worker, job) = with_job(1, &needs(&[(GPU, 1)]));
    env.run(worker, us(50));
    env.scheduler.refused(worker, job, env.now);
    env.absorb();
    let next = env.submit_with(F, &needs(&[(GPU, 1)]));
    assert!(matches!(env.place(next), Place::With(_)));
}
