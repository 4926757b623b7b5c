//! The engine with real worker processes, without Python: this test program
//! starts itself as its own worker.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may fail

use std::num::NonZeroU32;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use pp_runtime::{
    Blob, Engine, EngineConfig, Group, Job, JobFailure, Next, Outcome, Session, Status, WorkerSpec,
};

/// Set in the environment of a worker.
const WORKER: &str = "PP_TEST_WORKER";
/// No test may hang.
const LONG: Duration = Duration::from_secs(30);

/// Not a test: what a worker runs. A job's first byte says what to do.
#[test]
fn worker_entry() {
    if std::env::var_os(WORKER).is_none() {
        return;
    }
    let mut session = Session::join((3, 11, 0)).unwrap();
    loop {
        match session.take().unwrap() {
            Next::Configure(_) => session.ready().unwrap(),
            Next::Job { job, args, .. } => answer(&mut session, job, &args),
            Next::Shutdown => std::process::exit(0),
            Next::Nothing => session.wait().unwrap(),
            Next::Function { .. } | Next::Forget(_) => {}
        }
    }
}

fn answer(session: &mut Session, job: u64, args: &[u8]) {
    if args.first() == Some(&b'!') {
        std::process::abort();
    }
    let status = match args.first() {
        Some(b'?') => Status::Raised,
        _ => Status::Value,
    };
    let mut done = session
        .answer(job, status, Duration::from_micros(1), args, (&[], &[]))
        .unwrap();
    while !done {
        done = session.wait_for_room().unwrap();
    }
}

struct Bench {
    engine: Engine,
    function: Arc<pp_runtime::Function>,
    group: Arc<Group>,
}

impl Bench {
    fn new(workers: u32) -> Self {
        Self::with(workers, |_| {})
    }

    fn with(workers: u32, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let worker = WorkerSpec {
            program: std::env::current_exe().unwrap(),
            args: vec!["--exact".into(), "worker_entry".into(), "-q".into()],
            env: vec![(WORKER.into(), "1".into())],
        };
        let mut config = EngineConfig::new(worker, Bytes::from_static(b"settings"));
        change(&mut config);
        let engine = Engine::new(config).unwrap();
        engine.resize(workers).unwrap();
        let function = engine.intern(Bytes::from_static(b"function"), "f").unwrap();
        let group = Arc::new(Group::within(engine.all_jobs()));
        Self {
            engine,
            function,
            group,
        }
    }

    fn submit(&self, args: impl Into<Blob>) -> Arc<Job> {
        self.engine
            .submit(&self.function, args.into(), &self.group)
            .unwrap()
    }
}

/// Arguments that ask for nothing but an echo.
fn number(n: u32) -> Vec<u8> {
    format!("number {n}").into_bytes()
}

fn value(job: &Job) -> &[u8] {
    assert!(job.wait(LONG), "the job hangs");
    match job.outcome() {
        Some(Outcome::Value(report)) => report.body(),
        other => panic!("not a value: {other:?}"),
    }
}

#[test]
fn results_come_back_to_their_jobs() {
    let bench = Bench::new(2);
    let jobs: Vec<_> = (0..20_000u32).map(|n| bench.submit(number(n))).collect();
    for (n, job) in jobs.iter().enumerate() {
        assert_eq!(value(job), number(u32::try_from(n).unwrap()));
    }
    assert_eq!(bench.engine.totals().unwrap().jobs, 20_000);
    assert!(bench.group.wait(LONG));
}

#[test]
fn jobs_that_have_not_begun_can_be_withdrawn() {
    let bench = Bench::new(0);
    let kept = bench.submit(number(1));
    let group = Arc::new(Group::within(bench.engine.all_jobs()));
    let function = &bench.function;
    let dropped = bench
        .engine
        .submit(function, number(2).into(), &group)
        .unwrap();
    bench.engine.withdraw(&group);
    let failure = dropped.outcome().and_then(Outcome::failure);
    assert!(matches!(failure, Some(JobFailure::Cancelled)));
    bench.engine.resize(1).unwrap();
    assert_eq!(value(&kept), number(1));
    bench.engine.withdraw(&bench.group);
    assert_eq!(value(&kept), number(1));
    assert_eq!(bench.engine.all_jobs().pending(), 0);
}

#[test]
fn who_waits_for_a_group_is_woken_by_its_last_end() {
    let bench = Bench::new(0);
    let (sender, woken) = mpsc::channel();
    for _ in 0..200 {
        bench.submit(number(1));
        // One for the group, and one for all jobs. They stay behind if nobody wakes them.
        for group in [&bench.group, bench.engine.all_jobs()] {
            let (group, sender) = (Arc::clone(group), sender.clone());
            std::thread::spawn(move || {
                let is_done = group.wait(100 * LONG);
                sender.send(is_done).unwrap();
            });
        }
        // Most of them sleep by then.
        (0..200).for_each(|_| std::thread::yield_now());
        bench.engine.withdraw(&bench.group);
        for _ in 0..2 {
            assert!(woken.recv_timeout(LONG).expect("it was not woken"));
        }
    }
}

#[test]
fn payloads_far_larger_than_the_ring_cross_both_ways() {
    let bench = Bench::new(1);
    let big: Vec<u8> = (0..=250u8).cycle().take(9 << 20).collect();
    let jobs: Vec<_> = (0..3).map(|_| bench.submit(big.clone())).collect();
    let small = bench.submit(&b"small"[..]);
    assert!(jobs.iter().all(|job| value(job) == big));
    assert_eq!(value(&small), b"small");
}

#[test]
fn a_job_that_kills_its_workers_fails_alone() {
    let bench = Bench::with(2, |config| {
        config.max_worker_deaths = NonZeroU32::new(2).unwrap();
    });
    let before: Vec<_> = (0..200u32).map(|n| bench.submit(number(n))).collect();
    let killer = bench.submit(&b"!"[..]);
    let after: Vec<_> = (0..200u32).map(|n| bench.submit(number(n))).collect();
    assert!(killer.wait(LONG));
    match killer.outcome().and_then(Outcome::failure) {
        Some(JobFailure::WorkerDied { deaths, last, .. }) => {
            assert_eq!(*deaths, 2);
            assert_eq!(last.status.signal_name().as_deref(), Some("SIGABRT"));
        }
        other => panic!("not a death: {other:?}"),
    }
    for jobs in [before, after] {
        for (n, job) in jobs.iter().enumerate() {
            assert_eq!(value(job), number(u32::try_from(n).unwrap()));
        }
    }
}

#[test]
fn a_program_that_is_no_worker_fails_the_jobs_with_what_it_said() {
    let bench = Bench::with(2, |config| {
        config.worker.program = "/bin/sh".into();
        config.worker.args = vec!["-c".into(), "echo broken for a test >&2; exit 7".into()];
    });
    let job = bench.submit(&b"x"[..]);
    assert!(job.wait(LONG));
    match job.outcome().and_then(Outcome::failure) {
        Some(JobFailure::NoWorker {
            last: Some(last), ..
        }) => {
            assert_eq!(last.status.code(), Some(7));
            assert_eq!(last.stderr, "broken for a test");
        }
        other => panic!("not a failed start: {other:?}"),
    }
}

#[test]
fn destruction_ends_waits_and_leaves_no_process() {
    let bench = Bench::new(2);
    value(&bench.submit(&b"warm"[..]));
    bench.engine.resize(0).unwrap();
    let queued = bench.submit(&b"never"[..]);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| queued.wait(LONG));
        bench.engine.destroy();
        assert!(waiter.join().unwrap());
    });
    assert!(matches!(
        queued.outcome().and_then(Outcome::failure),
        Some(JobFailure::ServerDestroyed)
    ));
    assert!(bench.engine.worker_pids().unwrap().is_empty());
    assert!(bench.group.wait(LONG));
    assert!(bench.group.aborted());
}

#[test]
fn each_job_may_get_a_fresh_worker() {
    let bench = Bench::with(1, |config| {
        config.max_jobs_per_worker = NonZeroU32::new(1);
    });
    for n in 0..5u8 {
        assert_eq!(value(&bench.submit(vec![n])), [n]);
    }
}
