//! What no policy can beat.
//!
//! Known bounds, of which the greatest counts. They hold for free messages and free data:
//!
//! * *Area*: the work of all jobs that cannot begin before some moment, done by all machines
//!   from then on; and the same for all jobs after which so much has to happen. Of each resource,
//!   so much of it for so long; and also of those jobs only that some machines alone can run.
//! * *Path*: the longest chain of jobs that need each other.
//! * *Packing*: of the `k * m + 1` longest jobs, `k + 1` run on one of `m` slots, one
//!   after another (Graham, "Bounds on Multiprocessing Timing Anomalies", 1969, for k = 1).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::cluster::Capacity;
use super::{Amounts, KINDS, Trace};

/// From the first release to the end of the last job, at the least, in nanoseconds.
pub fn makespan(trace: &Trace) -> u64 {
    let first = trace.jobs.iter().map(|job| job.release).min().unwrap_or(0);
    let area = areas(trace).max().unwrap_or(0);
    let last = area.max(path(trace)).max(first + packing(trace));
    last.saturating_sub(first)
}

fn path(trace: &Trace) -> u64 {
    let spans = trace.spans();
    let ends = trace.heads().into_iter().zip(spans).map(|(a, b)| a + b);
    ends.max().unwrap_or(0)
}

fn packing(trace: &Trace) -> u64 {
    let steps = trace.cluster.capacity();
    let slots = steps.iter().map(|step| step.slots).max().unwrap_or(0);
    let Ok(slots) = usize::try_from(slots.max(1)) else {
        return 0;
    };
    let mut spans = trace.spans();
    spans.sort_unstable_by(|a, b| b.cmp(a));
    let full = spans.len().saturating_sub(1) / slots;
    let least = |k: usize| spans[k * slots - k..=k * slots].iter().sum::<u64>();
    (1..=full).map(least).max().unwrap_or(0)
}

/// The areas of all resources and of all sets of machines that some job is bound to.
fn areas(trace: &Trace) -> impl Iterator<Item = u64> {
    let needs: BTreeSet<Amounts> = trace.jobs.iter().map(|job| job.needs).collect();
    let sets: BTreeSet<Vec<bool>> = needs.iter().map(|&needs| able(trace, needs)).collect();
    let kinds = |set: Vec<bool>| (0..KINDS).map(move |kind| (set.clone(), kind));
    let pairs: Vec<_> = sets.into_iter().flat_map(kinds).collect();
    pairs.into_iter().map(|(set, kind)| area(trace, &set, kind))
}

/// Which machines could run a job that needs this.
fn able(trace: &Trace, needs: Amounts) -> Vec<bool> {
    let machines = trace.cluster.machines.iter();
    machines.map(|it| it.has().covers(needs)).collect()
}

/// By one resource of some machines, and the jobs that no other machine can run.
fn area(trace: &Trace, machines: &[bool], kind: usize) -> u64 {
    let steps = trace.cluster.capacity_by(|number, machine| {
        if machines[number] {
            machine.has().all()[kind]
        } else {
            0
        }
    });
    let (heads, tails) = (trace.heads(), trace.tails());
    let mut is_bound: BTreeMap<Amounts, bool> = BTreeMap::new();
    let mut work_of = |number: usize| {
        let job = &trace.jobs[number];
        let is_bound = is_bound.entry(job.needs).or_insert_with(|| {
            let able = able(trace, job.needs);
            able.iter()
                .zip(machines)
                .all(|(able, is_in)| *is_in || !able)
        });
        u128::from(job.run_time) * 100 * u128::from(job.needs.all()[kind]) * u128::from(*is_bound)
    };
    let works: Vec<u128> = (0..trace.jobs.len()).map(&mut work_of).collect();
    let mut order: Vec<usize> = (0..trace.jobs.len()).collect();
    order.retain(|&number| works[number] > 0);
    order.sort_unstable_by_key(|&number| Reverse(heads[number]));
    let mut bound = 0;
    let mut work = 0;
    for &number in &order {
        work += works[number];
        bound = bound.max(finish(&steps, heads[number], work));
    }
    order.sort_unstable_by_key(|&number| Reverse(tails[number]));
    let mut from = u64::MAX;
    work = 0;
    for &number in &order {
        work += works[number];
        from = from.min(heads[number]);
        bound = bound.max(finish(&steps, from, work) + tails[number]);
    }
    bound
}

/// When all machines have done so much work, in nanoseconds of a hundredth of a slot, if they
/// begin at a moment.
fn finish(steps: &[Capacity], from: u64, work: u128) -> u64 {
    let mut left = work;
    let ends = steps.iter().skip(1).map(|step| step.from);
    for (step, end) in steps.iter().zip(ends.chain([u64::MAX])) {
        let begin = from.max(step.from);
        if begin >= end || step.speed == 0 {
            continue;
        }
        let takes = left / u128::from(step.speed);
        if takes <= u128::from(end - begin) {
            return begin + u64::try_from(takes).unwrap_or(u64::MAX - begin);
        }
        left -= u128::from(end - begin) * u128::from(step.speed);
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::super::{Change, Cluster, Job, Trace, What};
    use super::*;
    use crate::MS;

    fn trace(slots: u32, run_times: &[u64]) -> Trace {
        Trace {
            name: "test",
            jobs: run_times.iter().map(|&it| Job::new(1, it * MS)).collect(),
            cluster: Cluster::ordinary(1, slots),
        }
    }

    #[test]
    fn work_is_divided_by_what_does_it() {
        assert_eq!(makespan(&trace(2, &[4, 2, 2, 4])), 6 * MS);
    }

    #[test]
    fn a_slot_must_run_several_long_ones() {
        // 10.67 ms by area, and the longest takes 8.
        assert_eq!(makespan(&trace(3, &[8, 8, 8, 8])), 16 * MS);
    }

    #[test]
    fn chains_and_late_jobs_count() {
        let mut late = trace(4, &[3, 5, 7]);
        late.jobs[1].inputs = vec![0];
        late.jobs[2].inputs = vec![1];
        assert_eq!(makespan(&late), 15 * MS);
        late.jobs[2].release = 20 * MS;
        assert_eq!(makespan(&late), 27 * MS);
        assert_eq!(late.tails(), [12 * MS, 7 * MS, 0]);
    }

    #[test]
    fn all_that_needs_one_job_comes_after_it() {
        // One of 10 ms, then eight of 2 ms on two slots, then one of 10 ms.
        let mut run_times = vec![10];
        run_times.extend([2; 8]);
        run_times.push(10);
        let mut graph = trace(2, &run_times);
        for number in 1..9 {
            graph.jobs[number].inputs = vec![0];
        }
        graph.jobs[9].inputs = (1..9).collect();
        // By heads: 10 ms, then 26 ms of work by two; by tails: 26 ms of work by two, then 10.
        assert_eq!(makespan(&graph), 23 * MS);
    }

    #[test]
    fn what_few_machines_have_bounds_those_that_need_it() {
        let mut mixed = trace(2, &[4, 4, 4, 3]);
        mixed.cluster.machines.push(mixed.cluster.machines[0]);
        assert_eq!(makespan(&mixed), 4 * MS);
        // 27 ms of slots by four are less than what the longest takes.
        mixed.jobs[0].needs.slots = 2;
        mixed.jobs[1].needs.slots = 2;
        mixed.jobs[3].run_time = 7 * MS;
        assert_eq!(makespan(&mixed), 7 * MS);
        // Three by one machine: its GPU is used for 12 ms, its two slots for 20.
        mixed.cluster.machines[1].gpus = 1;
        for number in 0..3 {
            mixed.jobs[number].needs.gpus = 1;
        }
        assert_eq!(makespan(&mixed), 12 * MS);
        mixed.cluster.machines[1].gpus = 3;
        assert_eq!(makespan(&mixed), 10 * MS);
    }

    #[test]
    fn machines_that_come_and_slow_down_count_for_what_they_do() {
        let mut churn = trace(2, &[1; 20]);
        churn.cluster.machines.push(churn.cluster.machines[0]);
        let change = |at, machine, what| Change { at, machine, what };
        churn.cluster.changes = vec![
            change(2 * MS, 1, What::Joins),
            change(4 * MS, 0, What::Speed(50)),
            change(5 * MS, 1, What::Leaves),
        ];
        // 4 ms of work until 2 ms, 8 until 4 ms, 3 until 5 ms, and 5 by two half slots.
        assert_eq!(makespan(&churn), 10 * MS);
    }
}
