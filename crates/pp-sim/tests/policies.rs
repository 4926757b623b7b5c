//! Policies on the same work: nobody beats the bounds, and ours is near them.

// A test fails by panicking, and prints what it has found.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use pp_core::Config;
use pp_sim::quality::{
    Outcome, Policy, Report, Trace, bound, dask, fifo, oracle, ours, ray, run, workload,
};
use pp_sim::{MS, US};

fn ours() -> ours::Ours {
    ours::Ours::new(Config::default())
}

/// Lets every policy do the same work.
fn outcomes(trace: &Trace) -> [(&'static str, Vec<Outcome>); 4] {
    fn by<P: Policy>(mut policy: P, trace: &Trace) -> (&'static str, Vec<Outcome>) {
        (policy.name(), run(&mut policy, trace).unwrap().0)
    }
    [
        by(ours(), trace),
        by(fifo::Fifo::default(), trace),
        by(dask::Dask::default(), trace),
        by(ray::Ray::default(), trace),
    ]
}

/// From the first release to when the client knew of the last end.
fn makespan(trace: &Trace, outcomes: &[Outcome]) -> u64 {
    let first = trace.jobs.iter().map(|job| job.release).min().unwrap();
    outcomes.iter().map(|it| it.known).max().unwrap() - first
}

#[test]
fn each_job_runs_when_it_can_and_ends_once_whoever_decides() {
    for seed in [11, 12] {
        for trace in workload::all(seed, 16) {
            let (spans, is_churn) = (trace.spans(), trace.name == "churn");
            for (policy, outcomes) in outcomes(&trace) {
                println!("seed {seed}, {}, {policy}", trace.name);
                for (number, (outcome, job)) in outcomes.iter().zip(&trace.jobs).enumerate() {
                    let ends = job.inputs.iter().map(|&input| outcomes[input].ended);
                    assert!(
                        ends.fold(job.release, u64::max) <= outcome.begun,
                        "job {number}"
                    );
                    assert!(
                        outcome.begun + spans[number] <= outcome.ended,
                        "job {number}"
                    );
                    assert!(outcome.ended < outcome.known, "job {number}");
                    // Only what was lost with a machine runs again.
                    assert!(outcome.begins == 1 || is_churn, "job {number}: {outcome:?}");
                }
            }
        }
    }
}

#[test]
fn nobody_beats_the_bounds() {
    for seed in [21, 22] {
        for trace in workload::all(seed, 16) {
            let bound = bound::makespan(&trace);
            assert!(
                oracle::makespan(&trace).unwrap() >= bound,
                "{seed}, {}",
                trace.name
            );
            for (policy, outcomes) in outcomes(&trace) {
                let took = makespan(&trace, &outcomes);
                assert!(
                    took > bound,
                    "{seed}, {}, {policy}: {took}, {bound}",
                    trace.name
                );
            }
        }
    }
}

/// Graham's guarantee for everybody who never idles while there is work, and what messages
/// take: the way there and back and the waking for each job of a slot, and for the first one.
#[test]
fn nobody_idles_for_longer_than_messages_take() {
    for seed in [31, 32] {
        for name in ["uniform-1ms", "uniform-10ms", "pareto", "bimodal"] {
            let trace = workload::named(name, seed, 8).unwrap();
            let slots = trace.cluster.capacity()[0].slots;
            let work: u64 = trace.jobs.iter().map(|job| job.run_time).sum();
            let longest = trace.jobs.iter().map(|job| job.run_time).max().unwrap();
            let jobs = trace.jobs.len() as u64;
            // 500 us is the farthest machine.
            let each = 2 * 500 * US + trace.cluster.wake_up;
            let limit = work / slots + longest + (jobs / slots + 20) * each;
            for (policy, outcomes) in outcomes(&trace) {
                let took = makespan(&trace, &outcomes);
                assert!(took <= limit, "{seed}, {name}, {policy}: {took} of {limit}");
            }
        }
    }
}

/// How much longer than the bound it took, in thousandths of that.
fn excess(trace: &Trace, report: &Report) -> u64 {
    let bound = bound::makespan(trace);
    (report.makespan - bound) * 1_000 / bound
}

#[test]
fn ours_is_within_five_percent_of_the_bound_and_no_worse_than_others() {
    for seed in [41, 42] {
        for (name, divisor, limit) in [
            ("uniform-1ms", 8, 30),
            ("uniform-10ms", 8, 10),
            ("uniform-1s", 4, 5),
            ("bimodal", 2, 50),
            ("bursts", 4, 10),
            ("priorities", 4, 20),
            ("clients", 4, 20),
            ("slow-machine", 2, 50),
            ("churn", 4, 50),
            ("chains", 2, 50),
            ("layers", 2, 40),
            ("tree", 2, 40),
        ] {
            let trace = workload::named(name, seed, divisor).unwrap();
            let ours = Report::of(&mut ours(), &trace).unwrap();
            let found = excess(&trace, &ours);
            println!("seed {seed}, {name}: {found} thousandths");
            assert!(found <= limit, "seed {seed}, {name}: {found} thousandths");
            let fifo = Report::of(&mut fifo::Fifo::default(), &trace).unwrap();
            let dask = Report::of(&mut dask::Dask::default(), &trace).unwrap();
            let ray = Report::of(&mut ray::Ray::default(), &trace).unwrap();
            for other in [fifo, dask, ray] {
                // Which jobs are the last ones is chance: by so much nobody is better.
                let chance = ours.makespan / 100;
                let (policy, took) = (other.policy, other.makespan + chance);
                assert!(
                    ours.makespan <= took,
                    "seed {seed}, {name}, {policy}: {took}"
                );
            }
        }
    }
}

/// How long the jobs of a function waited in the mean, in nanoseconds.
fn mean_wait(trace: &Trace, outcomes: &[Outcome], function: u32) -> u64 {
    let all = trace.jobs.iter().zip(outcomes);
    let waits = all.filter(|(job, _)| job.function == function);
    let waits: Vec<u64> = waits.map(|(_, it)| it.begun - it.ready).collect();
    waits.iter().sum::<u64>() / waits.len() as u64
}

/// Others let what is wide or needs much wait until all else is done, or let slots idle for it.
#[test]
fn ours_fits_jobs_that_need_several_things_in_between_others() {
    for seed in [41, 42, 43] {
        let trace = workload::named("mixed-resources", seed, 1).unwrap();
        let bound = bound::makespan(&trace);
        let found = outcomes(&trace).map(|(policy, outcomes)| {
            let took = (makespan(&trace, &outcomes) - bound) * 1_000 / bound;
            let waits = [1, 2, 3, 4, 5, 6].map(|kind| mean_wait(&trace, &outcomes, kind) / MS);
            println!("seed {seed}, {policy}: {took} thousandths, waits {waits:?} ms");
            (took, waits)
        });
        let [ours, fifo, dask, ray] = found;
        assert!(ours.0 <= 50, "{ours:?}");
        assert!(ours.0 < dask.0, "{ours:?}, {dask:?}");
        // Those of eight slots.
        for other in [fifo, ray] {
            assert!(10 * ours.1[3] < 9 * other.1[3], "{ours:?}, {other:?}");
        }
    }
}

/// Jobs go where their data is, and others take over what would wait there for too long.
#[test]
fn ours_moves_little_and_lets_nobody_idle_for_that() {
    for seed in [41, 42] {
        let trace = workload::named("chains-big", seed, 2).unwrap();
        let ours = Report::of(&mut ours(), &trace).unwrap();
        let fifo = Report::of(&mut fifo::Fifo::default(), &trace).unwrap();
        let (found, moved) = (excess(&trace, &ours), ours.counts.moved);
        println!("seed {seed}: {found} thousandths, {moved} bytes");
        assert!(found <= 300, "seed {seed}: {found} thousandths");
        assert!(20 * moved < fifo.counts.moved, "seed {seed}: {moved} bytes");
        for other in [
            Report::of(&mut dask::Dask::default(), &trace).unwrap(),
            Report::of(&mut ray::Ray::default(), &trace).unwrap(),
        ] {
            let (policy, took) = (other.policy, other.makespan);
            assert!(ours.makespan <= took, "seed {seed}, {policy}: {took}");
        }
    }
}

/// An urgent job waits for a slot and for what was sent ahead there, not for the queue; and who
/// asks for little has it as soon as who asks for much.
#[test]
fn ours_sends_urgent_jobs_first_and_serves_clients_alike() {
    let named = |name| workload::named(name, 61, 2).unwrap();
    let report = Report::of(&mut ours(), &named("priorities")).unwrap();
    let (urgent, others) = (report.by_priority[&1], report.by_priority[&0]);
    println!("{urgent:?}, {others:?}");
    assert!(urgent.mean < 25 * MS && urgent.p99 < 60 * MS, "{urgent:?}");
    assert!(others.mean > 20 * urgent.mean, "{others:?}");
    let report = Report::of(&mut ours(), &named("clients")).unwrap();
    assert!(report.fairness > 0.98, "{}", report.fairness);
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    for name in ["layers", "churn"] {
        let trace = workload::named(name, 7, 8).unwrap();
        assert_eq!(workload::named(name, 7, 8).unwrap(), trace);
        let report = || {
            let ours = Report::of(&mut ours(), &trace).unwrap();
            let dask = Report::of(&mut dask::Dask::default(), &trace).unwrap();
            (
                ours,
                dask,
                Report::of(&mut ray::Ray::default(), &trace).unwrap(),
            )
        };
        assert_eq!(report(), report());
    }
}

#[test]
fn models_do_what_their_sources_say() {
    // Where the data is, is where Dask and Ray let a chain go on; FIFO does not know.
    let trace = workload::named("chains-big", 51, 2).unwrap();
    let moved = |report: Report| report.counts.moved;
    let fifo = moved(Report::of(&mut fifo::Fifo::default(), &trace).unwrap());
    let dask = moved(Report::of(&mut dask::Dask::default(), &trace).unwrap());
    let ray = moved(Report::of(&mut ray::Ray::default(), &trace).unwrap());
    assert!(20 * dask < fifo && 20 * ray < fifo, "{dask}, {ray}, {fifo}");
    // Dask has priorities; Ray has none, but gives workers back after half a second.
    let trace = workload::named("priorities", 52, 2).unwrap();
    let urgent = |report: Report| report.by_priority[&1].mean;
    let fifo = urgent(Report::of(&mut fifo::Fifo::default(), &trace).unwrap());
    let dask = urgent(Report::of(&mut dask::Dask::default(), &trace).unwrap());
    let ray = urgent(Report::of(&mut ray::Ray::default(), &trace).unwrap());
    assert!(
        dask < 10 * MS && dask < ray && ray < fifo,
        "{dask}, {ray}, {fifo}"
    );
}
