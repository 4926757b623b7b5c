//! Jobs that begin after others, may run for a limited time, or are run again: in a cluster.

// A test fails by panicking, and prints what it has found.
#![allow(clippy::panic, clippy::unwrap_used)]

use pp_sim::{Fault, JobSpec, Kind, MS, Outcome, Path, S, Settings, Setup, Simulation, US, What};

/// A client, a gateway, and a node of two workers behind that.
fn far_away() -> (Setup, usize, usize) {
    let mut setup = Setup::new(1, Settings::default());
    let client = setup.client(0);
    let (gateway, node) = (setup.node(0, 100), setup.node(2, 100));
    setup.link(client, gateway, Path::new(200 * US));
    setup.link(gateway, node, Path::new(200 * US));
    (setup, client, node)
}

fn run(setup: Setup) -> Simulation {
    let mut simulation = setup.start().unwrap();
    simulation.run(100 * S).unwrap();
    simulation.rest().unwrap();
    simulation
}

#[test]
fn the_node_that_runs_a_job_sees_to_its_limit() {
    let (mut setup, client, _) = far_away();
    let job = JobSpec {
        time_limit: Some(500 * MS),
        ..JobSpec::new(1, 20 * S)
    };
    let first = setup.submit(client, S, [job, JobSpec::new(1, S)]);
    setup.after(first + 1, &[first]);
    let simulation = run(setup);
    assert_eq!(simulation.outcome(first), Some(Outcome::TimedOut));
    let next = simulation.outcome(first + 1);
    assert_eq!(next, Some(Outcome::DependencyFailed));
    let (ended, begun) = (simulation.ended(first), simulation.begun(first));
    // It may take one and a half times the grace of a second.
    let took = ended.unwrap() - begun.1;
    assert!((500 * MS..1600 * MS).contains(&took), "{took} ns");
}

#[test]
fn a_job_is_run_again_as_often_as_its_caller_asked() {
    for (times, outcome) in [(2, Outcome::Done), (3, Outcome::Raised)] {
        let (mut setup, client, _) = far_away();
        let job = JobSpec {
            kind: Kind::Raises(times),
            retries: 2,
            pause: 100 * MS,
            ..JobSpec::new(1, 10 * MS)
        };
        let first = setup.submit(client, S, [job]);
        let simulation = run(setup);
        assert_eq!(simulation.outcome(first), Some(outcome));
        assert_eq!(simulation.begun(first).0, 3);
        assert!(simulation.begun(first).1 > S + 300 * MS, "it pauses");
    }
}

#[test]
fn what_takes_too_long_is_run_again_where_that_was_asked_for() {
    let (mut setup, client, _) = far_away();
    let job = JobSpec {
        time_limit: Some(100 * MS),
        retries: 3,
        outlives_timeout: true,
        ..JobSpec::new(1, 20 * S)
    };
    let first = setup.submit(client, S, [job]);
    let simulation = run(setup);
    assert_eq!(simulation.outcome(first), Some(Outcome::TimedOut));
    assert_eq!(simulation.begun(first).0, 4);
}

#[test]
fn a_chain_goes_on_when_its_node_comes_back() {
    let (mut setup, client, node) = far_away();
    let first = setup.submit(client, S, [JobSpec::new(1, 300 * MS); 20]);
    for number in first + 1..first + 20 {
        setup.after(number, &[number - 1]);
    }
    let crash = What::Crash {
        host: node,
        lasts: S,
        workers: None,
    };
    setup.fault(Fault {
        at: 3 * S,
        what: crash,
    });
    let simulation = run(setup);
    assert_eq!(simulation.report().done, 20);
    assert_eq!(simulation.report().begun, 21);
    let ends = (first..first + 20).map(|number| simulation.ended(number));
    assert!(ends.is_sorted());
}
