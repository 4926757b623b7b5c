//! Jobs that need several slots, or amounts of resources.

use pp_core::{Demand, Effect, Ending, ExecutorId, JobId, Lack, Machine, ResourceId, Terms};

use crate::cluster::{Cluster, cluster};
use crate::env::{Env, F, G, ms, of_share, resource, share, us};

pub(crate) const GPU: ResourceId = ResourceId::from_u64(7);
pub(crate) const LICENCE: ResourceId = ResourceId::from_u64(8);

pub(crate) fn needs(slots: u32, amounts: &[(ResourceId, u64)]) -> Terms {
    Terms {
        demand: Demand {
            slots,
            amounts: amounts.to_vec(),
        },
        ..Terms::default()
    }
}

pub(crate) fn wide(slots: u32) -> Terms {
    needs(slots, &[])
}

pub(crate) fn submit(cluster: &mut Cluster, terms: &Terms) -> JobId {
    cluster.submitted += 1;
    let (data, now) = (cluster.submitted, cluster.now);
    let job = cluster.scheduler.submit_with(F, terms, data, now).unwrap();
    cluster.absorb();
    job
}

pub(crate) fn supply(cluster: &mut Cluster, machine: Machine, supply: &[(ResourceId, u64)]) {
    cluster.scheduler.set_supply(machine, supply, cluster.now);
    cluster.absorb();
}

#[test]
fn no_more_is_taken_than_there_is() {
    let (mut env, workers) = Env::ready(3);
    env.set_supply(&[(GPU, 4)]);
    let jobs = env.submit_many_with(F, &needs(1, &[(GPU, 2)]), 3);
    assert_eq!(env.queued(), [jobs[2]]);
    let stock = env.scheduler.stock(Machine::Here);
    assert_eq!(
        (stock[0].resource, stock[0].total, stock[0].taken),
        (GPU, 4, 4)
    );
    let first = workers
        .iter()
        .find(|&&worker| env.held(worker) == [jobs[0]]);
    env.run(*first.unwrap(), us(50));
    assert_eq!(env.queued(), []);
}

#[test]
fn who_lacks_a_resource_holds_up_nobody() {
    let (mut env, _) = Env::ready(2);
    let job = env.submit_with(F, &needs(1, &[(GPU, 1)]));
    let plain = env.submit(F);
    assert_eq!(env.queued(), [job]);
    assert!(!env.queued().contains(&plain));
    env.set_supply(&[(GPU, 1)]);
    assert_eq!(env.queued(), []);
}

#[test]
fn less_than_before_takes_nothing_back_and_holds_up_the_next() {
    let (mut env, workers) = Env::ready(2);
    env.set_supply(&[(GPU, 2)]);
    let jobs = env.submit_many_with(F, &needs(1, &[(GPU, 1)]), 2);
    env.set_supply(&[(GPU, 1)]);
    assert_eq!(env.queued(), []);
    let third = env.submit_with(F, &needs(1, &[(GPU, 1)]));
    env.run(workers[0], us(50));
    assert_eq!(env.queued(), [third], "the other one has it");
    env.run(workers[1], us(50));
    assert_eq!(env.queued(), []);
    assert!(jobs.iter().all(|job| env.ended.contains_key(job)));
}

#[test]
fn nobody_else_runs_on_the_slots_of_a_job() {
    let (mut env, workers) = Env::ready(4);
    env.measure(F, us(10));
    let job = env.submit_with(F, &wide(3));
    env.submit_many(F, 40);
    let holder = |env: &Env| {
        let holds = |worker: &&_| env.held(**worker).first() == Some(&job);
        *workers.iter().find(holds).unwrap()
    };
    let busy = |env: &Env| {
        let busy = |worker: &&_| !env.held(**worker).is_empty();
        workers.iter().filter(busy).count()
    };
    assert_eq!(busy(&env), 2, "it, and one of the others");
    assert_eq!(
        env.scheduler.supply().map(|supply| supply.jobs > 0),
        Some(true)
    );
    assert!(!env.scheduler.wants_jobs_now());
    let holder = holder(&env);
    env.run(holder, us(10));
    assert_eq!(busy(&env), 4);
}

/// Fewer idle than have to, for as long as the wide job runs: who ends a job makes up for that.
#[test]
fn where_too_few_are_left_for_a_wide_job_nothing_is_sent_ahead() {
    let (mut env, workers) = Env::ready(4);
    env.measure(F, us(10));
    let job = env.submit_with(F, &wide(3));
    env.submit_many(F, 900);
    env.resize(3);
    let holds_wide = |env: &Env, worker| env.held(worker).first() == Some(&job);
    let busy = |env: &Env| -> Vec<ExecutorId> {
        let ready = workers.iter().copied();
        ready.filter(|&one| !env.held(one).is_empty()).collect()
    };
    let other = busy(&env).into_iter().find(|&one| !holds_wide(&env, one));
    for _ in 0..env.held(other.unwrap()).len() {
        env.run(other.unwrap(), us(10));
    }
    let [holder] = busy(&env)[..] else {
        panic!("three slots are taken, and there are three");
    };
    assert!(holds_wide(&env, holder));
    env.run(holder, us(10));
    assert_eq!(busy(&env).len(), 3);
}

#[test]
fn what_was_taken_comes_back_with_a_worker_that_dies() {
    let (mut env, workers) = Env::ready(2);
    env.set_supply(&[(GPU, 1)]);
    let job = env.submit_with(F, &needs(2, &[(GPU, 1)]));
    let holder = *workers
        .iter()
        .find(|&&worker| env.held(worker) == [job])
        .unwrap();
    env.begin(holder);
    env.die(holder);
    assert_eq!(env.scheduler.stock(Machine::Here)[0].taken, 0);
    assert_eq!(env.queued(), [job], "there is one worker");
    env.make_ready();
    assert_eq!(env.queued(), []);
}

/// One slot is free again and again, and never two, unless somebody waits for it.
#[test]
fn a_wide_job_is_not_starved_by_narrow_ones() {
    let (mut env, workers) = Env::ready(3);
    env.measure(F, ms(100));
    env.submit_many(F, 3);
    let job = env.submit_with(F, &wide(3));
    let later = env.submit_many(F, 30);
    for &worker in &workers[..2] {
        assert_eq!(env.scheduler.gathers().is_some(), worker != workers[0]);
        env.run(worker, ms(100));
    }
    assert_eq!(env.scheduler.gathers(), Some(job));
    env.run(workers[2], ms(100));
    assert_eq!(env.scheduler.gathers(), None);
    assert!(!env.queued().contains(&job));
    assert!(later.iter().all(|job| env.queued().contains(job)));
}

#[test]
fn wide_jobs_do_not_starve_an_older_plain_one() {
    let (mut env, workers) = Env::ready(2);
    env.submit_with(F, &wide(2));
    env.submit_with(F, &wide(2));
    let plain = env.submit(F);
    for round in 0..3 {
        env.submit_with(F, &wide(2));
        let busy = workers.iter().find(|&&worker| !env.held(worker).is_empty());
        let job = env.run(*busy.unwrap(), ms(30));
        assert_eq!(job == plain, round == 2);
    }
}

/// What runs there may go on for ever: then the others get at least half of the time.
#[test]
fn who_gathers_for_long_lets_others_go_in_between() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, ms(1));
    let (endless, free) = (env.submit(G), env.submit(G));
    let at = |env: &Env, job| *workers.iter().find(|&&one| env.held(one) == [job]).unwrap();
    let (stuck, worker) = (at(&env, endless), at(&env, free));
    env.begin(stuck);
    let job = env.submit_with(F, &wide(2));
    let plain = env.submit(F);
    env.run(worker, ms(1));
    assert_eq!(env.scheduler.gathers(), Some(job));
    env.advance(ms(9_998));
    assert!(env.queued().contains(&plain));
    env.advance(ms(2));
    assert_eq!(env.held(worker), [plain]);
    env.run(worker, ms(1));
    assert_eq!(env.scheduler.gathers(), None, "it rests");
    env.advance(ms(10_000));
    assert_eq!(env.scheduler.gathers(), Some(job));
    env.advance(ms(19_000));
    assert_eq!(env.scheduler.gathers(), Some(job), "twice as long");
    env.finish(stuck, ms(40_000));
    assert_eq!(env.queued(), []);
}

/// By priority it would never be its turn.
#[test]
fn ageing_holds_for_wide_jobs() {
    let (mut env, workers) = Env::ready(2);
    env.measure(F, ms(30));
    let low = Terms {
        priority: -1,
        ..wide(2)
    };
    env.submit(F);
    let job = env.submit_with(F, &low);
    let mut rounds = 0;
    while env.queued().contains(&job) {
        env.submit_many(F, 2);
        for &worker in &workers {
            if !env.held(worker).is_empty() {
                env.run(worker, ms(30));
            }
        }
        rounds += 1;
        assert!(rounds < 40, "it starves");
    }
    assert!(rounds > 2, "others came first");
}

#[test]
fn shares_pay_for_slots() {
    let (mut env, workers) = Env::ready(3);
    env.measure(F, ms(100));
    let terms = Terms {
        share: share(1),
        ..wide(3)
    };
    env.submit_many_with(F, &terms, 40);
    env.submit_many_with(F, &of_share(2), 120);
    let (mut wide, mut narrow) = (0_usize, 0_usize);
    while wide + narrow < 80 {
        env.advance(ms(100));
        for &worker in &workers {
            let Some(&job) = env.held(worker).first() else {
                continue;
            };
            if env.jobs[&job].terms.share == share(1) {
                wide += 1;
            } else {
                narrow += 1;
            }
            env.begin(worker);
            env.finish(worker, ms(100));
        }
    }
    assert!(
        (3 * wide).abs_diff(narrow) <= 6,
        "{wide} of 3 slots, {narrow} of one"
    );
}

#[test]
fn a_job_goes_where_it_leaves_least() {
    let mut cluster = cluster();
    let (large, small) = (cluster.join(8, us(50)), cluster.join(8, us(50)));
    supply(&mut cluster, Machine::Node(large), &[(GPU, 8)]);
    supply(&mut cluster, Machine::Node(small), &[(GPU, 2)]);
    let terms = needs(1, &[(GPU, 1)]);
    let jobs = [(); 3].map(|()| submit(&mut cluster, &terms));
    let holders = jobs.map(|job| cluster.holder(job).unwrap());
    assert_eq!(holders, [small, small, large]);
    let eight = submit(&mut cluster, &needs(1, &[(GPU, 7)]));
    assert_eq!(cluster.holder(eight), Some(large));
}

#[test]
fn a_wide_job_takes_its_slots_of_a_node() {
    let mut cluster = cluster();
    let node = cluster.join(4, us(50));
    cluster.measure(ms(300));
    let job = submit(&mut cluster, &wide(3));
    cluster.submit(5);
    assert_eq!(cluster.held(node), 2);
    cluster.finish(node, job, ms(300));
    assert_eq!(cluster.held(node), 4);
    cluster.lose(node);
    assert_eq!(cluster.scheduler.queued(), 5);
}

/// It was sent there and has perhaps not begun: then it would wait for ever.
#[test]
fn a_wide_job_is_asked_back_when_its_node_gets_narrow() {
    let mut cluster = cluster();
    let node = cluster.join(4, us(50));
    let job = submit(&mut cluster, &wide(3));
    cluster.scheduler.node_capacity(node, 2, 100, cluster.now);
    cluster.log.clear();
    cluster.advance(ms(50));
    assert_eq!(cluster.recalls(), [(node, job)]);
    cluster
        .scheduler
        .recall_answered(node, job, true, cluster.now);
    cluster.absorb();
    assert_eq!(cluster.holder(job), None);
    let wide_enough = cluster.join(3, us(50));
    assert_eq!(cluster.holder(job), Some(wide_enough));
}

#[test]
fn what_a_lost_node_had_is_gone_with_it() {
    let mut cluster = cluster();
    let node = cluster.join(2, us(50));
    supply(&mut cluster, Machine::Node(node), &[(GPU, 1)]);
    let terms = needs(1, &[(GPU, 1)]);
    let job = submit(&mut cluster, &terms);
    assert_eq!(cluster.holder(job), Some(node));
    cluster.lose(node);
    assert_eq!(cluster.scheduler.stock(Machine::Node(node)), []);
    let next = cluster.join(2, us(50));
    assert_eq!(cluster.holder(job), None, "it has none");
    supply(&mut cluster, Machine::Node(next), &[(GPU, 1)]);
    assert_eq!(cluster.holder(job), Some(next));
}

#[test]
fn what_nobody_could_hold_is_told() {
    let mut cluster = cluster();
    let (one, two) = (cluster.join(2, us(50)), cluster.join(8, us(50)));
    supply(&mut cluster, Machine::Node(one), &[(GPU, 4), (LICENCE, 1)]);
    supply(&mut cluster, Machine::Node(two), &[(GPU, 1)]);
    let lack = |resource, wanted, most| {
        Err(Lack {
            resource,
            wanted,
            most,
        })
    };
    let could_run = |terms: &Terms| cluster.scheduler.could_run(&terms.demand);
    assert_eq!(could_run(&needs(2, &[(GPU, 4), (LICENCE, 1)])), Ok(()));
    assert_eq!(could_run(&wide(9)), lack(None, 9, 8));
    let twice = needs(1, &[(GPU, 3), (GPU, 2)]);
    assert_eq!(could_run(&twice), lack(Some(GPU), 5, 4));
    let nowhere_together = needs(8, &[(LICENCE, 1)]);
    assert_eq!(could_run(&nowhere_together), lack(None, 8, 2));
}

#[test]
fn what_others_keep_a_machine_from_holding_is_waited_for() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(50));
    let could_run =
        |cluster: &Cluster, slots| cluster.scheduler.could_run(&wide(slots).demand).is_ok();
    assert!(!could_run(&cluster, 2));
    cluster.scheduler.set_most_slots(Machine::Node(node), 4);
    assert!(could_run(&cluster, 4) && !could_run(&cluster, 5));
    cluster.scheduler.set_most_slots(Machine::Here, 6);
    assert!(could_run(&cluster, 6) && !could_run(&cluster, 7));
    cluster.scheduler.set_most_slots(Machine::Here, 0);
    assert!(!could_run(&cluster, 5));
}

#[test]
fn hopeless_jobs_end_and_the_others_stay() {
    let mut cluster = cluster();
    let node = cluster.join(1, us(50));
    supply(&mut cluster, Machine::Node(node), &[(GPU, 1)]);
    let running = submit(&mut cluster, &needs(1, &[(GPU, 1)]));
    let waits = submit(&mut cluster, &needs(1, &[(GPU, 1)]));
    let hopeless = submit(&mut cluster, &needs(1, &[(GPU, 2)]));
    let after = Terms {
        after: vec![hopeless],
        ..Terms::default()
    };
    let dependant = submit(&mut cluster, &after);
    cluster.log.clear();
    cluster.scheduler.end_hopeless(cluster.now);
    cluster.absorb();
    let lack = Lack {
        resource: Some(GPU),
        wanted: 2,
        most: 1,
    };
    let ends = [
        (hopeless, Ending::Unsatisfiable { lack }),
        (dependant, Ending::DependencyFailed { root: hopeless }),
    ];
    assert_eq!(cluster.endings(), ends);
    assert_eq!(cluster.holder(running), Some(node));
    assert_eq!(cluster.scheduler.queued(), 1);
    cluster.scheduler.cancel(waits, cluster.now);
    cluster.finish(node, running, ms(1));
    assert!(cluster.scheduler.is_empty());
}

#[test]
fn what_was_sent_ahead_has_nothing_that_others_need() {
    let (mut env, workers) = Env::ready(1);
    env.measure(F, us(10));
    env.set_supply(&[(GPU, 100)]);
    env.submit(F);
    env.submit_many_with(F, &needs(1, &[(GPU, 1)]), 5);
    assert_eq!(env.held(workers[0]).len(), 1);
    assert_eq!(env.scheduler.stock(Machine::Here)[0].taken, 0);
    let sent = |env: &mut Env| {
        let effects = env.effects().into_iter();
        let sent = effects.filter(|effect| matches!(effect, Effect::Send { .. }));
        sent.count()
    };
    env.effects();
    env.run(workers[0], us(10));
    assert_eq!(sent(&mut env), 1);
}

/// All of many jobs of few demands run, in the order of submission among each.
#[test]
fn many_jobs_of_few_demands_are_cheap() {
    let (mut env, workers) = Env::ready(4);
    env.set_supply(&[(GPU, 2), (resource(9), 3)]);
    let kinds = [
        needs(1, &[(GPU, 1)]),
        wide(2),
        needs(3, &[(resource(9), 2)]),
    ];
    for number in 0..60 {
        env.submit_with(F, &kinds[number % 3]);
    }
    let mut steps = 0;
    while !env.jobs.is_empty() {
        for &worker in &workers {
            if !env.held(worker).is_empty() {
                env.run(worker, us(200));
            }
        }
        steps += 1;
        assert!(steps < 60, "{:?}", env.scheduler);
    }
}
