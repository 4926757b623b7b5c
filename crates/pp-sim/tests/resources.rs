//! Jobs that need several slots, or amounts of resources: in a cluster.

// A test fails by panicking, and prints what it has found.
#![allow(clippy::panic, clippy::unwrap_used)]

use pp_sim::{JobSpec, MS, Outcome, Path, S, Settings, Setup, US};

/// The machines check that no more is taken than they have.
#[test]
fn what_machines_have_is_used_and_not_overcommitted() {
    let mut setup = Setup::new(1, Settings::default());
    let client = setup.client(2);
    let (one, two) = (setup.node(4, 100), setup.node(4, 100));
    for (node, amounts) in [(one, [2, 0]), (two, [2, 7])] {
        setup.link(client, node, Path::new(200 * US));
        setup.supply(node, amounts);
    }
    let job = |slots, amounts| JobSpec {
        slots,
        amounts,
        ..JobSpec::new(1, 100 * MS)
    };
    let gpu = setup.submit(client, S, vec![job(1, [1, 0]); 40]);
    setup.submit(client, S, vec![job(3, [0, 0]); 10]);
    setup.submit(client, S, vec![job(1, [0, 4]); 10]);
    setup.submit(client, S, vec![JobSpec::new(1, 100 * MS); 40]);
    let hopeless = setup.submit(client, S, [job(1, [2, 7]), job(1, [3, 0]), job(5, [0, 0])]);
    setup.end_hopeless(client, 3 * S);
    let mut simulation = setup.start().unwrap();
    simulation.run(100 * S).unwrap();
    simulation.rest().unwrap();
    let outcomes: Vec<_> = (hopeless..hopeless + 3)
        .map(|number| simulation.outcome(number).unwrap())
        .collect();
    let unsatisfiable = Outcome::Unsatisfiable;
    assert_eq!(outcomes, [Outcome::Done, unsatisfiable, unsatisfiable]);
    assert_eq!(simulation.report().done, 101);
    let ends = (gpu..gpu + 40).filter_map(|number| simulation.ended(number));
    let took = ends.max().unwrap() - S;
    // Four at a time take a second; now and then one waits for others.
    assert!(took < 2 * S, "{took} ns");
}

/// A leaf of two clients has half of its workers for each: what needs more waits for the other.
#[test]
fn a_wide_job_waits_for_workers_that_another_client_has() {
    let mut setup = Setup::new(1, Settings::default());
    let clients = [setup.client(0), setup.client(0)];
    let node = setup.node(4, 100);
    for client in clients {
        setup.link(client, node, Path::new(200 * US));
    }
    setup.submit(clients[0], S, vec![JobSpec::new(1, 50 * MS); 100]);
    let wide = JobSpec {
        slots: 4,
        ..JobSpec::new(2, 50 * MS)
    };
    let first = setup.submit(clients[1], 2 * S, [wide]);
    let mut simulation = setup.start().unwrap();
    simulation.run(100 * S).unwrap();
    simulation.rest().unwrap();
    assert_eq!(simulation.outcome(first), Some(Outcome::Done));
}
