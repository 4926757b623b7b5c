//! Jobs that had best run where their data is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pp_core::{
    Config, Data, Demand, Effect, Ending, ExecutorId, JobId, Machine, Scheduler, Terms, Time,
};

use crate::env::{Env, F, G, Phase, Place, ms, of_share, resource, share, us};

/// Needs the result of this job, of which nothing more is known.
pub(crate) fn of(job: u64, executor: ExecutorId, bytes: u64) -> Terms {
    let job = JobId::from_u64(job);
    let data = vec![Data {
        job,
        executor,
        bytes,
    }];
    Terms {
        data,
        ..Terms::default()
    }
}

/// Needs a result that no other job needs.
fn at(executor: ExecutorId, bytes: u64) -> Terms {
    static NEXT: AtomicU64 = AtomicU64::new(1 << 40);
    of(NEXT.fetch_add(1, Ordering::Relaxed), executor, bytes)
}

/// What takes so long to bring.
pub(crate) fn bytes(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap() * 125_000
}

/// So many workers that idle, and know how long jobs of a function take; the first of them
/// became idle last.
pub(crate) fn ready(workers: u32, run_time: Duration) -> (Env, Vec<ExecutorId>) {
    let (mut env, workers) = Env::ready(workers);
    let jobs = env.submit_many(F, workers.len());
    for &executor in workers.iter().rev() {
        env.finish(executor, run_time);
    }
    assert!(env.jobs.is_empty() && jobs.len() == workers.len());
    (env, workers)
}

/// Lets an executor run a job of its own.
pub(crate) fn occupy(env: &mut Env, executor: ExecutorId) -> JobId {
    let job = env.submit_with(F, &at(executor, bytes(ms(500))));
    assert_eq!(env.place(job), Place::With(executor));
    env.begin(executor);
    job
}

#[test]
fn a_job_runs_where_its_data_is() {
    let (mut env, workers) = ready(4, ms(100));
    for &executor in &[workers[2], workers[1], workers[3]] {
        let job = env.submit_with(F, &at(executor, bytes(ms(50))));
        assert_eq!(env.place(job), Place::With(executor));
    }
    let job = env.submit_with(F, &at(workers[1], 5_000));
    assert_eq!(
        env.place(job),
        Place::With(workers[0]),
        "so little does not matter"
    );
}

#[test]
fn a_job_runs_where_the_results_that_it_needs_have_stayed() {
    let (mut env, workers) = ready(3, ms(100));
    let first = env.submit_many(F, 3);
    let after = env.submit_after(F, &first);
    for (place, &executor) in workers.iter().enumerate() {
        env.begin(executor);
        env.result_stays(executor, [50_000, 2_000_000, 0][place]);
        env.finish(executor, ms(100));
    }
    assert_eq!(env.place(after), Place::With(workers[1]));
    assert!(env.waiting().is_empty());
}

#[test]
fn results_that_are_lost_with_their_job_stay_nowhere() {
    let (mut env, workers) = ready(2, ms(100));
    let first = env.submit(F);
    let after = env.submit_after(F, &[first]);
    env.scheduler.result_stays(workers[1], first, 1 << 30);
    env.scheduler
        .result_stays(ExecutorId::from_u64(77), first, 1 << 30);
    env.run(workers[0], ms(100));
    assert_eq!(env.place(after), Place::With(workers[0]), "it idled last");
}

#[test]
fn it_waits_while_that_is_sooner_than_to_bring_the_data() {
    let (mut env, workers) = ready(2, ms(100));
    occupy(&mut env, workers[0]);
    let near = env.submit_with(F, &at(workers[0], bytes(ms(250))));
    assert_eq!(env.place(near), Place::Queue);
    let plain = env.submit(F);
    assert_eq!(
        env.place(plain),
        Place::With(workers[1]),
        "nobody waits for it"
    );
    env.run(workers[0], ms(100));
    assert_eq!(env.place(near), Place::With(workers[0]));
}

#[test]
fn what_would_wait_longer_than_bringing_takes_is_taken_over() {
    let (mut env, workers) = ready(2, ms(100));
    occupy(&mut env, workers[0]);
    let job = env.submit_with(F, &at(workers[0], bytes(ms(90))));
    assert_eq!(env.place(job), Place::With(workers[1]));
    env.run(workers[1], ms(100));
    env.finish(workers[0], ms(100));
    // The last of a line would wait for those before it, too.
    occupy(&mut env, workers[0]);
    let line = env.submit_many_with(F, &at(workers[0], bytes(ms(250))), 4);
    let queued = env.queued();
    assert!(queued.len() < 4 && queued.iter().all(|job| line.contains(job)));
    let taken = env.held(workers[1]).to_vec();
    assert!(taken.iter().all(|job| line.contains(job)) && !taken.is_empty());
}

#[test]
fn nobody_waits_for_an_executor_that_is_late() {
    let (mut env, workers) = ready(2, ms(100));
    occupy(&mut env, workers[0]);
    let job = env.submit_with(F, &at(workers[0], bytes(ms(60_000))));
    env.advance(ms(200));
    assert_eq!(env.place(job), Place::Queue);
    env.advance(ms(1));
    assert_eq!(env.place(job), Place::With(workers[1]));
}

#[test]
fn nobody_waits_for_one_that_is_late_where_none_idles_either() {
    let (mut env, workers) = ready(2, ms(100));
    env.measure(G, us(10));
    occupy(&mut env, workers[0]);
    env.submit(G);
    env.begin(workers[1]);
    let job = env.submit_with(F, &at(workers[0], bytes(ms(60_000))));
    env.advance(ms(200));
    assert_eq!(env.place(job), Place::Queue);
    env.advance(ms(1));
    assert_eq!(env.place(job), Place::With(workers[1]), "ahead");
}

#[test]
fn nobody_waits_for_one_that_is_gone_or_about_to_go() {
    for leaves in [true, false] {
        let (mut env, workers) = ready(2, ms(100));
        let running = occupy(&mut env, workers[0]);
        let jobs = env.submit_many_with(F, &at(workers[0], bytes(ms(900))), 2);
        assert_eq!(env.queued(), jobs);
        if leaves {
            env.scheduler.worker_leaving(workers[0], env.now);
            env.absorb();
        } else {
            env.die(workers[0]);
        }
        // What ran there is older.
        let first = if leaves { jobs[0] } else { running };
        assert_eq!(env.held(workers[1]), [first]);
        let later = env.submit_with(F, &at(workers[0], bytes(ms(900))));
        assert_eq!(env.in_phase(Phase::Starting).len(), 1);
        assert!(env.queued().contains(&later));
        env.make_ready();
        env.run(workers[1], ms(100));
        assert!(
            jobs.iter()
                .all(|&job| env.ended.contains_key(&job) || env.place(job) != Place::Queue)
        );
    }
}

#[test]
fn its_share_is_held_to_its_limit() {
    let (mut env, workers) = ready(2, ms(100));
    env.set_share(share(1), 1, Some(1));
    let near = |executor| Terms {
        data: at(executor, bytes(ms(900))).data,
        ..of_share(1)
    };
    let first = env.submit_with(F, &near(workers[0]));
    let second = env.submit_with(F, &near(workers[1]));
    assert_eq!(env.place(first), Place::With(workers[0]));
    assert_eq!(env.place(second), Place::Queue);
    env.run(workers[0], ms(100));
    assert_eq!(env.place(second), Place::With(workers[1]));
}

#[test]
fn priorities_count_in_a_line_and_beside_it() {
    let (mut env, workers) = ready(1, ms(100));
    occupy(&mut env, workers[0]);
    let of = |priority, bytes| Terms {
        priority,
        ..at(workers[0], bytes)
    };
    let large = bytes(ms(900));
    let low = env.submit_with(F, &of(0, large));
    let high = env.submit_with(F, &of(1, large));
    let plain = env.submit_with(F, &of(1, 0));
    for job in [high, plain, low] {
        env.run(workers[0], ms(100));
        assert_eq!(env.held(workers[0]), [job]);
    }
}

#[test]
fn whoever_waits_in_a_line_can_be_cancelled() {
    let (mut env, workers) = ready(2, ms(100));
    let running = occupy(&mut env, workers[0]);
    let jobs = env.submit_many_with(F, &at(workers[0], bytes(ms(900))), 2);
    env.cancel(jobs[0]);
    assert_eq!(env.ending(jobs[0]), Some(Ending::Cancelled));
    env.run(workers[0], ms(100));
    assert_eq!(env.ending(running), None);
    assert_eq!(env.held(workers[0]), [jobs[1]]);
    env.run(workers[0], ms(100));
    assert!(env.scheduler.is_empty());
    assert_eq!(env.scheduler.next_deadline(), None);
}

#[test]
fn one_that_was_set_aside_goes_by_its_data_again() {
    let (mut env, workers) = ready(2, ms(100));
    let job = env.submit_with(F, &at(workers[1], bytes(ms(900))));
    assert!(env.set_aside(workers[1], job));
    env.resume(job);
    assert_eq!(env.place(job), Place::With(workers[1]));
}

/// Then it waits for as long as it takes to bring its data.
#[test]
fn how_long_a_function_takes_need_not_be_known() {
    let (mut env, workers) = ready(2, ms(100));
    let first = env.submit_with(G, &at(workers[1], bytes(ms(20))));
    let next = env.submit_with(G, &at(workers[1], bytes(ms(20))));
    assert_eq!(env.place(first), Place::With(workers[1]));
    env.advance(ms(19));
    assert_eq!(env.place(next), Place::Queue);
    env.advance(ms(1));
    assert_eq!(env.place(next), Place::With(workers[0]));
}

/// Others idle, and the data takes longer to bring than the jobs have to wait.
#[test]
fn what_was_sent_ahead_to_its_data_stays_there() {
    let (mut env, workers) = ready(2, us(500));
    let jobs = env.submit_many_with(F, &at(workers[0], bytes(ms(900))), 3);
    env.begin(workers[0]);
    assert_eq!(env.held(workers[0]), jobs);
    env.advance(us(900));
    assert_eq!(env.held(workers[0]), jobs);
    assert!(env.idle().contains(&workers[1]));
    // It has finished nothing for too long.
    env.advance(ms(2));
    assert_eq!(env.held(workers[0])[0], jobs[0]);
    assert_ne!(env.held(workers[1]), []);
}

/// Lets a scheduler go on until it has nothing to do, where jobs that wait are given back as soon
/// as they are asked for; gives how many were.
fn recalls(scheduler: &mut Scheduler<u64>, now: Time) -> usize {
    let mut recalls = 0;
    for _ in 0..100 {
        match scheduler.poll() {
            Some(Effect::Recall { executor, job }) => {
                recalls += 1;
                scheduler.recall_answered(executor, job, true, now);
            }
            Some(_) => {}
            None => return recalls,
        }
    }
    panic!("it goes round in circles");
}

/// What says that it begins sooner elsewhere must not say that of its holder once it is back.
#[test]
fn what_is_asked_back_is_not_sent_there_again() {
    let mut moved = 0;
    for brings in (0..150).step_by(3) {
        let now = Time::ZERO;
        let mut scheduler: Scheduler<u64> = Scheduler::new(Config::default());
        let submit = |scheduler: &mut Scheduler<u64>, terms: &Terms| {
            let job = scheduler.submit_with(F, terms, 1, now).unwrap();
            assert_eq!(recalls(scheduler, now), 0);
            job
        };
        let home = scheduler.node_joined(2, 99, ms(1), now).unwrap();
        let first = submit(&mut scheduler, &Terms::default());
        scheduler.job_finished(home, first, ms(100), now);
        for _ in 0..2 {
            submit(&mut scheduler, &Terms::default());
        }
        // It would begin in 50 ms, when the first of two ends.
        let job = submit(&mut scheduler, &at(home, bytes(ms(brings))));
        let holder = |scheduler: &Scheduler<u64>| scheduler.job(job).unwrap().state.executor();
        assert_eq!(holder(&scheduler), Some(home));
        let other = scheduler.node_joined(1, 99, ms(1), now);
        let is_asked = recalls(&mut scheduler, now) > 0;
        scheduler.check_invariants().unwrap();
        assert_eq!(
            holder(&scheduler),
            if is_asked { other } else { Some(home) }
        );
        moved += usize::from(is_asked);
    }
    assert!((5..20).contains(&moved), "{moved}");
}

#[test]
fn nobody_waits_for_a_node_that_runs_nothing() {
    let now = Time::ZERO;
    let mut scheduler: Scheduler<u64> = Scheduler::new(Config::default());
    let mut join = |slots| scheduler.node_joined(slots, 99, ms(1), now).unwrap();
    let (home, other) = (join(0), join(2));
    let terms = at(home, u64::MAX);
    let terms = Terms {
        data: [terms.data, at(home, u64::MAX).data, at(other, 5).data].concat(),
        ..Terms::default()
    };
    for _ in 0..2 {
        let job = scheduler.submit_with(F, &terms, 1, now).unwrap();
        while scheduler.poll().is_some() {}
        scheduler.check_invariants().unwrap();
        let holder = scheduler.job(job).unwrap().state.executor();
        assert_eq!(holder, Some(other));
        scheduler.job_finished(other, job, ms(100), now);
    }
}

#[test]
fn a_job_that_needs_several_slots_goes_to_its_data_if_it_fits_there() {
    let now = Time::ZERO;
    let mut scheduler: Scheduler<u64> = Scheduler::new(Config::default());
    let mut join = |slots| {
        let node = scheduler.node_joined(slots, 99, ms(1), now).unwrap();
        scheduler.set_supply(Machine::Node(node), &[(resource(1), 5)], now);
        node
    };
    let nodes = [join(4), join(8)];
    let mut sent_to = |executor| {
        let demand = Demand {
            slots: 3,
            amounts: vec![(resource(1), 1)],
        };
        let terms = Terms {
            demand,
            ..at(executor, 1_000_000)
        };
        scheduler.submit_with(F, &terms, 1, now).unwrap();
        scheduler.check_invariants().unwrap();
        let effects = std::iter::from_fn(|| scheduler.poll());
        let sent = effects.filter_map(|effect| match effect {
            Effect::Send { executor, .. } => Some(executor),
            _ => None,
        });
        sent.last()
    };
    assert_eq!(sent_to(nodes[1]), Some(nodes[1]));
    assert_eq!(sent_to(nodes[0]), Some(nodes[0]));
    assert_eq!(sent_to(nodes[0]), Some(nodes[1]), "there is no room");
}
