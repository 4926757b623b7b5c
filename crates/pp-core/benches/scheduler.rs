//! Decisions per second, and memory per queued job.
//!
//! `cargo bench -p pp-core`. Every figure per item is for one job: submitted, sent
//! and finished, with all effects polled. Where a million jobs are submitted, megabytes
//! of the allocator are bytes per job: "max alloc" is what they take.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::time::Duration;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use pp_core::{
    Config, Demand, Effect, FunctionId, JobId, Machine, ResourceId, Scheduler, ShareId, Terms, Time,
};

// Counts the memory, so that each table of figures says what its jobs take.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// As large as the pointer that the data of a job is in real use.
type Data = NonZeroU64;

const F: FunctionId = FunctionId::from_u64(1);

/// The run time of short jobs: short enough for the whole window.
const SHORT: Duration = Duration::from_micros(1);

/// The run time of long jobs: none of them is sent ahead, so that they queue.
const LONG: Duration = Duration::from_secs(1);

fn main() {
    divan::main();
}

/// A scheduler, and executors that do nothing.
struct Pool {
    scheduler: Scheduler<Data>,
    run_time: Duration,
    held: Vec<VecDeque<JobId>>,
    /// The executor whose turn it is to finish a job.
    turn: usize,
    now: u64,
    submitted: u64,
}

impl Pool {
    /// Executors that are ready and know how long the jobs take.
    fn new(executors: u32, run_time: Duration) -> Self {
        let mut pool = Self {
            scheduler: Scheduler::new(Config::default()),
            run_time,
            held: vec![VecDeque::with_capacity(512); executors as usize],
            turn: 0,
            now: 0,
            submitted: 0,
        };
        pool.scheduler.resize(executors, Time::ZERO);
        pool.carry_out();
        if executors > 0 {
            pool.submit(1);
            pool.drain();
        }
        pool
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.now)
    }

    fn submit(&mut self, jobs: usize) {
        for _ in 0..jobs {
            self.now += 100;
            let submitted = self.scheduler.submit(F, Data::MIN, self.now());
            assert!(submitted.is_ok());
            self.submitted += 1;
            self.carry_out();
        }
    }

    /// Submits jobs, each after those that `of` says, by their numbers among these.
    fn submit_after(&mut self, jobs: u64, terms: &Terms, of: impl Fn(u64) -> Vec<u64>) {
        let first = self.submitted;
        for number in 0..jobs {
            let after = of(number).into_iter();
            let terms = Terms {
                after: after.map(|other| JobId::from_u64(first + other)).collect(),
                ..terms.clone()
            };
            self.now += 100;
            let now = self.now();
            let submitted = self.scheduler.submit_with(F, &terms, Data::MIN, now);
            assert!(submitted.is_ok());
            self.submitted += 1;
            self.carry_out();
        }
    }

    /// Submits jobs on terms that follow from their numbers.
    fn submit_on(&mut self, terms: impl Fn(u32) -> Terms) {
        for _ in 0..2 {
            self.now += 100;
            self.submitted += 1;
            let terms = terms(u32::try_from(self.submitted).unwrap_or(u32::MAX));
            let submitted = self.scheduler.submit_with(F, &terms, Data::MIN, self.now());
            assert!(submitted.is_ok());
            self.carry_out();
        }
    }

    /// Finishes so many jobs, one of each executor in turn.
    fn finish(&mut self, jobs: usize) {
        let mut left = jobs;
        while left > 0 {
            if self.turn == 0 {
                // All of them run at the same time.
                self.let_run();
            }
            left -= usize::from(self.finish_on(self.turn));
            self.turn = (self.turn + 1) % self.held.len();
        }
    }

    fn finish_on(&mut self, index: usize) -> bool {
        let Some(job) = self.held[index].pop_front() else {
            return false;
        };
        let executor = pp_core::ExecutorId::from_u64(index as u64);
        let now = self.now();
        let data = self
            .scheduler
            .job_finished(executor, job, self.run_time, now);
        assert!(data.is_some());
        self.carry_out();
        true
    }

    fn drain(&mut self) {
        while self.scheduler.outstanding() > 0 {
            self.let_run();
            for index in 0..self.held.len() {
                self.finish_on(index);
            }
        }
    }

    fn let_run(&mut self) {
        self.now += u64::try_from(self.run_time.as_nanos()).unwrap_or(u64::MAX);
    }

    fn held_by(&mut self, executor: pp_core::ExecutorId) -> &mut VecDeque<JobId> {
        let index = usize::try_from(executor.as_u64()).unwrap_or(usize::MAX);
        &mut self.held[index]
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.scheduler.poll() {
            let now = Time::from_nanos(self.now);
            match effect {
                Effect::Start { executor } => self.scheduler.executor_ready(executor, 512, now),
                Effect::Send { executor, job } => self.held_by(executor).push_back(job),
                Effect::Recall { executor, job } => {
                    let held = self.held_by(executor);
                    let place = held.iter().rposition(|&other| other == job);
                    let recalled = place.and_then(|place| held.remove(place)).is_some();
                    self.scheduler.recall_answered(executor, job, recalled, now);
                }
                _ => {}
            }
        }
    }
}

/// One job at a time: the round trip of a single caller.
#[divan::bench(args = [1, 2, 16, 1_000, 10_000])]
fn one_at_a_time(bencher: Bencher, executors: u32) {
    let mut pool = Pool::new(executors, SHORT);
    bencher
        .counter(ItemsCount::new(1_000_usize))
        .bench_local(|| {
            for _ in 0..1_000 {
                pool.submit(1);
                // The last to become idle is the one that is served, so look there first.
                let index = pool.held.iter().rposition(|held| !held.is_empty());
                pool.finish_on(index.unwrap_or(0));
            }
        });
}

/// A million jobs are submitted, then run.
#[divan::bench(args = [2, 16, 1_000, 10_000], sample_count = 5, sample_size = 1)]
fn a_million_at_once(bencher: Bencher, executors: u32) {
    let jobs = 1_000_000_usize;
    bencher
        .counter(ItemsCount::new(jobs))
        .with_inputs(|| Pool::new(executors, SHORT))
        .bench_local_values(|mut pool| {
            pool.submit(jobs);
            pool.finish(jobs);
            assert!(pool.scheduler.is_empty());
            pool
        });
}

/// Submits and ends in turn, with this many jobs in the queue: the cost of a job may not
/// grow with their number.
#[divan::bench(args = [1_000, 10_000, 100_000, 1_000_000])]
fn steady_with_queue(bencher: Bencher, queued: usize) {
    let mut pool = Pool::new(2, SHORT);
    pool.submit(queued);
    bencher
        .counter(ItemsCount::new(2_000_usize))
        .bench_local(|| {
            for _ in 0..1_000 {
                pool.submit(2);
                pool.finish(2);
            }
        });
}

/// The same with a million long jobs in the queue and this many executors, each of which
/// holds one: what a job costs may not grow with the executors either.
#[divan::bench(args = [2, 16, 1_000, 10_000])]
fn steady_with_executors(bencher: Bencher, executors: u32) {
    let mut pool = Pool::new(executors, LONG);
    pool.submit(1_000_000);
    bencher
        .counter(ItemsCount::new(2_000_usize))
        .bench_local(|| {
            for _ in 0..1_000 {
                pool.submit(2);
                pool.finish(2);
            }
        });
}

/// The same with jobs of so many priorities.
#[divan::bench(args = [1, 2, 16, 1_000, 100_000])]
fn steady_with_priorities(bencher: Bencher, priorities: u32) {
    steady(bencher, move |number| Terms {
        priority: i32::try_from(number.wrapping_mul(7_919) % priorities).unwrap_or(0),
        ..Terms::default()
    });
}

/// The same with jobs of so many shares.
#[divan::bench(args = [1, 2, 16, 1_000, 100_000])]
fn steady_with_shares(bencher: Bencher, shares: u32) {
    steady(bencher, move |number| Terms {
        share: ShareId::from_u64((number % shares).into()),
        ..Terms::default()
    });
}

/// The same with jobs of so many demands, of which only some fit at a time.
#[divan::bench(args = [1, 2, 16, 100])]
fn steady_with_demands(bencher: Bencher, demands: u32) {
    let resource = ResourceId::from_u64(1);
    steady(bencher, move |number| Terms {
        demand: Demand {
            slots: 1,
            amounts: vec![(resource, (1 + number % demands).into())],
        },
        ..Terms::default()
    });
}

fn steady(bencher: Bencher, terms: impl Fn(u32) -> Terms) {
    let mut pool = Pool::new(2, SHORT);
    let supply = [(ResourceId::from_u64(1), 1_000)];
    pool.scheduler
        .set_supply(Machine::Here, &supply, Time::ZERO);
    (0..100_000).for_each(|_| pool.submit_on(&terms));
    bencher
        .counter(ItemsCount::new(2_000_usize))
        .bench_local(|| {
            for _ in 0..1_000 {
                pool.submit_on(&terms);
                pool.finish(2);
            }
        });
}

/// A million jobs that queue: while no executor is there, and behind long jobs.
#[divan::bench(args = [0, 2, 10_000], sample_count = 5, sample_size = 1)]
fn memory_of_queued_jobs(bencher: Bencher, executors: u32) {
    let jobs = 1_000_000_usize;
    bencher
        .counter(ItemsCount::new(jobs))
        .with_inputs(|| Pool::new(executors, LONG))
        .bench_local_values(|mut pool| {
            pool.submit(jobs);
            pool
        });
}

/// A million jobs of which as many as possible were sent ahead to executors.
#[divan::bench(args = [2, 10_000], sample_count = 5, sample_size = 1)]
fn memory_of_sent_jobs(bencher: Bencher, executors: u32) {
    let jobs = 1_000_000_usize;
    bencher
        .counter(ItemsCount::new(jobs))
        .with_inputs(|| Pool::new(executors, SHORT))
        .bench_local_values(|mut pool| {
            pool.submit(jobs);
            pool
        });
}

/// Jobs that begin after others of them: in a chain; all after the first, plain or in
/// a share and of a priority; the last after all; each after its neighbours in a grid.
#[divan::bench(
    args = ["chain", "fan out", "fan out in a share", "fan in", "grid"],
    sample_count = 5,
    sample_size = 1
)]
fn jobs_after_others(bencher: Bencher, shape: &str) {
    const JOBS: u64 = 100_000;
    const SIDE: u64 = 300;
    let of = |number: u64| -> Vec<u64> {
        let previous = number.checked_sub(1);
        match shape {
            "chain" => previous.into_iter().collect(),
            "fan out" | "fan out in a share" => previous.map(|_| 0).into_iter().collect(),
            "fan in" if number == JOBS - 1 => (0..number).collect(),
            "grid" => {
                let left = previous.filter(|_| !number.is_multiple_of(SIDE));
                left.into_iter().chain(number.checked_sub(SIDE)).collect()
            }
            _ => Vec::new(),
        }
    };
    let terms = match shape {
        "fan out in a share" => Terms {
            share: ShareId::from_u64(1),
            priority: -1,
            ..Terms::default()
        },
        _ => Terms::default(),
    };
    bencher
        .counter(ItemsCount::new(JOBS))
        .with_inputs(|| Pool::new(2, SHORT))
        .bench_local_values(|mut pool| {
            pool.submit_after(JOBS, &terms, of);
            pool.drain();
            assert!(pool.scheduler.is_empty());
            pool
        });
}
