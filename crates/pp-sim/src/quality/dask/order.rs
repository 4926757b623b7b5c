//! In which order tasks are preferred.

use std::cmp::Reverse;

use crate::quality::Trace;

/// What comes first is less: the user's priority, the graph, the place in it.
pub(super) type Key = (Reverse<i32>, u64, usize);

/// The keys of all tasks. What is submitted at the same time is one graph.
pub(super) fn keys(trace: &Trace) -> Vec<Key> {
    let places = places(trace);
    let jobs = trace.jobs.iter().zip(places);
    jobs.map(|(job, place)| (Reverse(job.priority), job.release, place))
        .collect()
}

/// Depth first: each task that nobody needs, after all that it needs, of which those at the end
/// of the longest way come first.
fn places(trace: &Trace) -> Vec<usize> {
    let heads = trace.heads();
    let dependents = trace.dependents();
    let mut places = vec![None; trace.jobs.len()];
    let mut next = 0;
    let sinks = (0..trace.jobs.len()).filter(|&job| dependents[job].is_empty());
    for sink in sinks {
        let mut stack = vec![(sink, false)];
        while let Some((job, is_open)) = stack.pop() {
            if is_open && places[job].is_none() {
                places[job] = Some(next);
                next += 1;
            }
            if is_open || places[job].is_some() {
                continue;
            }
            stack.push((job, true));
            let mut inputs: Vec<usize> = trace.jobs[job].inputs.clone();
            // The last one on the stack is the first to be looked at.
            inputs.sort_by_key(|&input| (heads[input], Reverse(input)));
            stack.extend(inputs.into_iter().map(|input| (input, false)));
        }
    }
    places.into_iter().map(Option::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::{Cluster, Job};

    #[test]
    fn what_one_result_needs_comes_before_what_the_next_one_needs() {
        let mut jobs: Vec<Job> = (0..6).map(|_| Job::new(1, 10)).collect();
        jobs[4].inputs = vec![0, 2];
        jobs[5].inputs = vec![1, 3];
        let trace = Trace {
            name: "test",
            jobs,
            cluster: Cluster::ordinary(1, 1),
        };
        assert_eq!(places(&trace), [0, 3, 1, 4, 2, 5]);
    }
}
