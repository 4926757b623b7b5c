//! What a fault costs, in virtual time and in jobs.

// A test fails by panicking, and prints what it has found.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use pp_sim::{Fault, JobSpec, Kind, MS, Outcome, Path, S, Settings, Setup, Simulation, US, What};

/// How long an end of a link may be silent.
const PATIENCE: u64 = 5 * S;

/// How much longer it may take until a job runs elsewhere: a beat, and the way.
const SLACK: u64 = 600 * MS;

/// When something goes wrong; jobs run since a second.
const TROUBLE: u64 = 3 * S;

/// A client and two nodes of four workers each, of which the first has trouble. Gives the
/// jobs of a second that are under way then, and the way to the first node.
fn two_nodes(what: impl FnOnce(usize, usize) -> What) -> (Simulation, usize) {
    let settings = Settings {
        patience: PATIENCE,
        ..Settings::default()
    };
    let mut setup = Setup::new(1, settings);
    let client = setup.client(0);
    let (one, two) = (setup.node(4, 100), setup.node(8, 100));
    let path = setup.link(client, one, Path::new(200 * US));
    setup.link(client, two, Path::new(200 * US));
    let first = setup.submit(client, S, vec![JobSpec::new(1, 3 * S); 8]);
    setup.fault(Fault {
        at: TROUBLE,
        what: what(one, path),
    });
    let mut simulation = setup.start().unwrap();
    simulation.run(100 * S).unwrap();
    simulation.rest().unwrap();
    (simulation, first)
}

/// When those jobs began for the last time that had to begin again.
fn begun_again(simulation: &Simulation, first: usize) -> Vec<u64> {
    let numbers = first..first + 8;
    let again = numbers.filter(|&number| simulation.begun(number).0 > 1);
    again.map(|number| simulation.begun(number).1).collect()
}

fn assert_elsewhere_within(simulation: &Simulation, first: usize, bound: u64) {
    let again = begun_again(simulation, first);
    println!("{again:?}");
    assert!(!again.is_empty(), "the node held some");
    for time in again {
        assert!(time <= TROUBLE + bound, "{time} ns");
    }
    assert_eq!(simulation.report().done, 8);
}

#[test]
fn the_jobs_of_a_node_that_dies_begin_elsewhere_at_once() {
    let (host_lasts, workers) = (60 * S, None);
    let (simulation, first) = two_nodes(|host, _| What::Crash {
        host,
        lasts: host_lasts,
        workers,
    });
    assert_elsewhere_within(&simulation, first, 50 * MS);
}

#[test]
fn the_jobs_of_a_node_that_falls_silent_begin_elsewhere_in_time() {
    for lasts in [20 * S, 90 * S] {
        let (simulation, first) = two_nodes(|host, _| What::PowerOff {
            host,
            lasts,
            workers: None,
        });
        assert_elsewhere_within(&simulation, first, PATIENCE + SLACK);
    }
}

#[test]
fn the_jobs_behind_a_partition_begin_elsewhere_in_time() {
    let (simulation, first) = two_nodes(|_, path| What::Partition {
        path,
        lasts: 30 * S,
    });
    assert_elsewhere_within(&simulation, first, PATIENCE + SLACK);
}

#[test]
fn the_jobs_of_a_frozen_node_begin_elsewhere_in_time() {
    let (simulation, first) = two_nodes(|host, _| What::Freeze {
        host,
        lasts: 30 * S,
    });
    assert_elsewhere_within(&simulation, first, PATIENCE + SLACK);
}

#[test]
fn a_short_interruption_costs_nothing() {
    for what in [true, false] {
        let (simulation, first) = two_nodes(|host, path| {
            let lasts = PATIENCE - S;
            if what {
                What::Freeze { host, lasts }
            } else {
                What::Partition { path, lasts }
            }
        });
        assert_eq!(begun_again(&simulation, first), []);
        assert_eq!(simulation.report().losses, 0);
    }
}

#[test]
fn a_node_that_leaves_finishes_what_runs() {
    let (simulation, first) = two_nodes(|host, _| What::Leave {
        host,
        patience: 10 * S,
        lasts: S,
    });
    assert_eq!(begun_again(&simulation, first), []);
    assert_eq!(simulation.report().losses, 0);
}

#[test]
fn what_had_begun_behind_a_gateway_begins_elsewhere_when_that_is_lost() {
    let settings = Settings {
        patience: PATIENCE,
        ..Settings::default()
    };
    let mut setup = Setup::new(1, settings);
    let client = setup.client(0);
    let (gateway, behind, other) = (setup.node(0, 100), setup.node(2, 100), setup.node(2, 100));
    setup.link(client, gateway, Path::new(200 * US));
    setup.link(gateway, behind, Path::new(200 * US));
    setup.link(client, other, Path::new(200 * US));
    // Some are sent ahead, and asked back while others run for long.
    let mut jobs = vec![JobSpec::new(1, 2 * MS); 40];
    jobs.extend([JobSpec::new(1, 4 * S); 4]);
    let first = setup.submit(client, S, jobs);
    let (at, host) = (TROUBLE, behind);
    let (lasts, workers) = (1_000 * S, None);
    let what = What::PowerOff {
        host,
        lasts,
        workers,
    };
    setup.fault(Fault { at, what });
    let mut simulation = setup.start().unwrap();
    simulation.run(100 * S).unwrap();
    let again = (first..first + 44).filter(|&number| simulation.begun(number).0 > 1);
    assert_eq!(again.count(), 2, "those that ran behind the gateway");
}

#[test]
fn a_client_that_is_cut_off_blames_no_job() {
    let settings = Settings {
        patience: S,
        ..Settings::default()
    };
    let mut setup = Setup::new(1, settings);
    let client = setup.client(0);
    let nodes = [setup.node(4, 100), setup.node(4, 100), setup.node(4, 100)];
    let paths = nodes.map(|node| setup.link(client, node, Path::new(200 * US)));
    // Longer than the line ever holds, but for the last time.
    let first = setup.submit(client, S, vec![JobSpec::new(1, 8 * S); 6]);
    for outage in 0..6 {
        for path in paths {
            let at = TROUBLE + outage * 5 * S;
            let lasts = 2 * S;
            let what = What::Partition { path, lasts };
            setup.fault(Fault { at, what });
        }
    }
    let mut simulation = setup.start().unwrap();
    simulation.run(100 * S).unwrap();
    simulation.rest().unwrap();
    for number in first..first + 6 {
        assert_eq!(simulation.outcome(number), Some(Outcome::Done));
        let begun = simulation.begun(number).0;
        assert!(
            begun > 3,
            "{begun}: it was cut off more often than a job may be lost"
        );
    }
    assert_eq!(simulation.report().losses, 0);
}

/// Nodes behind a gateway, or not, and one job that takes down whatever node runs it.
fn killer(gateway: bool, seed: u64) {
    let settings = Settings {
        patience: S,
        ..Settings::default()
    };
    let mut setup = Setup::new(seed, settings);
    let client = setup.client(0);
    let above = if gateway {
        let gateway = setup.node(0, 100);
        setup.link(client, gateway, Path::new(200 * US));
        gateway
    } else {
        client
    };
    for _ in 0..3 {
        let node = setup.node(4, 100);
        setup.link(above, node, Path::new(MS));
    }
    let mut jobs = vec![JobSpec::new(1, 20 * MS); 400];
    jobs[100].kind = Kind::KillsNode;
    let first = setup.submit(client, S, jobs);
    let mut simulation = setup.start().unwrap();
    simulation.run(1_000 * S).unwrap();
    simulation.rest().unwrap();
    for number in first..first + 400 {
        let expected = if number == first + 100 {
            Outcome::NodeLost
        } else {
            Outcome::Done
        };
        let outcome = simulation.outcome(number);
        assert_eq!(outcome, Some(expected), "job {number}, seed {seed}");
    }
}

#[test]
fn jobs_that_take_all_nodes_down_together_do_not_go_on_for_ever() {
    let settings = Settings {
        patience: S,
        ..Settings::default()
    };
    let mut setup = Setup::new(1, settings);
    let client = setup.client(0);
    let nodes = [setup.node(1, 100), setup.node(1, 100)];
    for node in nodes {
        setup.link(client, node, Path::new(200 * US));
    }
    let first = setup.submit(client, S, vec![JobSpec::new(1, 1_000 * S); 2]);
    // As if they did: again and again both fall silent at once, and are back before the next
    // time. Each counts a tenth.
    for time in 0..40 {
        for host in nodes {
            let (lasts, workers) = (2 * S, None);
            let what = What::PowerOff {
                host,
                lasts,
                workers,
            };
            let at = TROUBLE + time * 30 * S;
            setup.fault(Fault { at, what });
        }
    }
    let mut simulation = setup.start().unwrap();
    simulation.run(3_000 * S).unwrap();
    simulation.rest().unwrap();
    for number in first..first + 2 {
        assert_eq!(simulation.outcome(number), Some(Outcome::NodeLost));
        assert_eq!(simulation.begun(number).0, 30);
    }
}

#[test]
fn a_job_that_takes_nodes_down_fails_alone() {
    (0..20).for_each(|seed| killer(false, seed));
}

#[test]
fn a_job_that_takes_nodes_behind_a_gateway_down_fails_alone() {
    (0..20).for_each(|seed| killer(true, seed));
}

#[test]
fn a_client_that_is_gone_costs_its_nodes_nothing_for_long() {
    let (lasts, workers) = (0, None);
    for case in 0..3 {
        let what = |host| match case {
            0 => What::Crash {
                host,
                lasts,
                workers,
            },
            1 => What::PowerOff {
                host,
                lasts,
                workers,
            },
            _ => What::Destroy { host },
        };
        let settings = Settings {
            patience: PATIENCE,
            ..Settings::default()
        };
        let mut setup = Setup::new(1, settings);
        let (gone, other) = (setup.client(0), setup.client(0));
        let node = setup.node(4, 100);
        setup.link(gone, node, Path::new(200 * US));
        setup.link(other, node, Path::new(200 * US));
        setup.submit(gone, S, vec![JobSpec::new(1, 1_000 * S); 40]);
        setup.fault(Fault {
            at: TROUBLE,
            what: what(gone),
        });
        let first = setup.submit(
            other,
            TROUBLE + PATIENCE + SLACK,
            vec![JobSpec::new(1, S); 8],
        );
        let mut simulation = setup.start().unwrap();
        simulation.run(60 * S).unwrap();
        simulation.rest().unwrap();
        // The other client has all four workers by then, once they have started.
        for number in first..first + 8 {
            let ended = simulation.ended(number).unwrap();
            assert!(
                ended <= TROUBLE + PATIENCE + SLACK + 2 * S + 300 * MS,
                "{ended} ns"
            );
        }
    }
}
