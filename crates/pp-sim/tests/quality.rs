//! Whole runs under virtual time: is the work done about as soon as it can be?

// A test fails by panicking, and prints what it has found.
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use pp_sim::{JobSpec, MS, Path, Report, Rng, S, Settings, Setup, Simulation, US};

/// Nothing is quick to look at everything after each of very many events.
fn settings() -> Settings {
    Settings {
        check_every: 1_000,
        ..Settings::default()
    }
}

/// When jobs are submitted: all nodes have joined, and their workers run.
const START: u64 = S;

struct Node {
    workers: u32,
    /// In percent.
    speed: u64,
    /// What a message takes in one direction.
    delay: u64,
}

fn node(workers: u32, speed: u64, delay: u64) -> Node {
    Node {
        workers,
        speed,
        delay,
    }
}

/// One client that uses some nodes.
fn cluster(nodes: &[Node]) -> (Setup, usize) {
    let mut setup = Setup::new(1, settings());
    let client = setup.client(0);
    for node in nodes {
        let host = setup.node(node.workers, node.speed);
        setup.link(client, host, Path::new(node.delay));
    }
    (setup, client)
}

fn run(setup: Setup) -> (Simulation, Report) {
    let mut simulation = setup.start().unwrap();
    simulation.run(10_000 * S).unwrap();
    simulation.rest().unwrap();
    let report = simulation.report();
    (simulation, report)
}

/// How long all nodes together need for so much work, of jobs that are not infinitely small.
fn ideal(nodes: &[Node], jobs: &[JobSpec]) -> u64 {
    let work: u64 = jobs.iter().map(|job| job.run_time).sum();
    let speed: u64 = nodes
        .iter()
        .map(|node| u64::from(node.workers) * node.speed)
        .sum();
    work * 100 / speed
}

/// At most this much above a bound, in percent, and so many nanoseconds for the way.
fn assert_within(percent: u64, actual: u64, bound: u64, way: u64) {
    println!("{actual} ns, bound {bound} ns, {} %", actual * 100 / bound);
    let limit = bound + bound / 100 * percent + way;
    assert!(actual <= limit, "{actual} ns, at most {limit} ns");
}

/// Runs jobs on nodes, and says how long it took from the first submit to the last end.
fn makespan(nodes: &[Node], jobs: &[JobSpec]) -> (u64, Report) {
    let (mut setup, client) = cluster(nodes);
    // One of each node's first ones tells how long they are.
    setup.submit(client, START, jobs.iter().copied());
    let (_, report) = run(setup);
    assert_eq!(report.done, jobs.len());
    assert_eq!(report.losses, 0);
    assert_eq!(report.begun, jobs.len() as u64, "each ran once");
    (report.last_end - START, report)
}

#[test]
fn nodes_near_and_far_are_kept_busy() {
    let nodes = [
        node(8, 100, 100 * US),
        node(16, 100, 5 * MS),
        node(16, 100, 50 * MS),
    ];
    for (run_time, count) in [(MS, 60_000), (10 * MS, 20_000), (100 * MS, 4_000)] {
        let jobs = vec![JobSpec::new(1, run_time); count];
        let (took, report) = makespan(&nodes, &jobs);
        println!("{} recalls of {count} jobs", report.recalls);
        // The first jobs go one by one, as nobody knows how long they are, and the last
        // ones come back from where they are far.
        assert_within(3, took, ideal(&nodes, &jobs), 150 * MS + run_time);
    }
}

#[test]
fn fast_nodes_get_more_than_slow_ones() {
    let nodes = [
        node(4, 300, 200 * US),
        node(4, 100, 200 * US),
        node(4, 25, 200 * US),
        node(32, 50, 200 * US),
    ];
    let jobs = vec![JobSpec::new(1, 4 * MS); 30_000];
    let (took, _) = makespan(&nodes, &jobs);
    assert_within(2, took, ideal(&nodes, &jobs), 20 * MS);
}

#[test]
fn at_the_end_nothing_waits_at_a_slow_node() {
    let nodes = [node(8, 100, 200 * US), node(8, 5, 200 * US)];
    // 10 ms on the fast one, 200 ms on the slow one.
    let jobs = vec![JobSpec::new(1, 10 * MS); 2_000];
    let (took, _) = makespan(&nodes, &jobs);
    // One job of the slow node may begin last, and no other waits behind it.
    assert_within(2, took, ideal(&nodes, &jobs), 200 * MS);
}

#[test]
fn heavy_tails_cost_little() {
    let nodes = [
        node(8, 100, 100 * US),
        node(16, 100, MS),
        node(8, 100, 5 * MS),
    ];
    let mut rng = Rng::new(3);
    let jobs: Vec<JobSpec> = (0..30_000)
        .map(|_| JobSpec::new(1, rng.magnitude(100 * US, 500 * MS)))
        .collect();
    let (took, _) = makespan(&nodes, &jobs);
    assert_within(4, took, ideal(&nodes, &jobs), 500 * MS);
}

#[test]
fn many_nodes_share_a_few_long_jobs() {
    let nodes: Vec<Node> = (0..40).map(|_| node(4, 100, MS)).collect();
    let jobs = vec![JobSpec::new(1, S); 480];
    let (took, _) = makespan(&nodes, &jobs);
    assert_within(1, took, 3 * S, 20 * MS);
}

#[test]
fn a_gateway_serves_what_is_behind_it() {
    for depth in [1, 2] {
        let (mut setup, client) = cluster(&[]);
        let mut above = client;
        for _ in 0..depth {
            let gateway = setup.node(0, 100);
            setup.link(above, gateway, Path::new(200 * US));
            above = gateway;
        }
        let behind = [
            node(8, 100, 200 * US),
            node(8, 50, 5 * MS),
            node(4, 100, MS),
        ];
        for node in &behind {
            let host = setup.node(node.workers, node.speed);
            setup.link(above, host, Path::new(node.delay));
        }
        let jobs = vec![JobSpec::new(1, 5 * MS); 16_000];
        setup.submit(client, START, jobs.iter().copied());
        let (_, report) = run(setup);
        let took = report.last_end - START;
        assert_within(4, took, ideal(&behind, &jobs), 50 * MS);
    }
}

#[test]
fn clients_share_a_node_equally() {
    let mut setup = Setup::new(1, settings());
    let clients = [setup.client(0), setup.client(0)];
    let host = setup.node(16, 100);
    for client in clients {
        setup.link(client, host, Path::new(500 * US));
    }
    // The second one has a hundredth of the first one's work, and comes a second later.
    let long = setup.submit(clients[0], START, vec![JobSpec::new(1, 10 * MS); 20_000]);
    let late = 2 * START;
    let short = setup.submit(clients[1], late, vec![JobSpec::new(1, 10 * MS); 200]);
    let (simulation, report) = run(setup);
    let end = |first: usize, count: usize| {
        let ends = (first..first + count).map(|number| simulation.ended(number).unwrap());
        ends.max().unwrap()
    };
    // It gets half of the workers as soon as those run dry, and new ones have started.
    let alone = 200 * 10 * MS / 8;
    assert_within(5, end(short, 200) - late, alone, 150 * MS);
    // And the first one has lost no more than that.
    let work = 20_200 * 10 * MS / 16;
    assert_within(3, end(long, 20_000) - START, work, 300 * MS);
    assert_eq!(report.losses, 0);
}

#[test]
fn a_slow_link_does_not_hold_others_up() {
    let mut setup = Setup::new(1, settings());
    let client = setup.client(0);
    let (near, far) = (setup.node(8, 100), setup.node(8, 100));
    setup.link(client, near, Path::new(200 * US));
    // Eight jobs of 10 kB a second for each of its workers, which could run 200.
    let narrow = Path {
        rate: 640_000,
        ..Path::new(20 * MS)
    };
    setup.link(client, far, narrow);
    let job = JobSpec {
        size: 10_000,
        ..JobSpec::new(1, 5 * MS)
    };
    let jobs = vec![job; 60_000];
    setup.submit(client, START, jobs.iter().copied());
    let (_, report) = run(setup);
    // What its own jobs do not gain, the last of them must not cost.
    let alone = 60_000 * 5 * MS / 8;
    assert_within(0, report.last_end - START, alone, 0);
    assert_eq!(report.losses, 0, "a full link is no dead one");
}

#[test]
fn own_workers_and_nodes_work_together() {
    let mut setup = Setup::new(1, settings());
    let client = setup.client(4);
    let host = setup.node(8, 100);
    setup.link(client, host, Path::new(2 * MS));
    setup.submit(client, START, vec![JobSpec::new(1, 3 * MS); 12_000]);
    let (_, report) = run(setup);
    assert_within(2, report.last_end - START, 12_000 * 3 * MS / 12, 20 * MS);
}
