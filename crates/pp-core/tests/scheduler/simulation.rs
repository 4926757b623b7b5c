//! Whole runs under virtual time: is the work done about as soon as it can be?

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::time::Duration;

use pp_core::{Config, Effect, ExecutorId, JobId, Scheduler, Time};

use crate::env::{F, G, function};
use crate::rng::Rng;

/// What a sleeping worker takes to begin a job that is sent to it, in nanoseconds.
const WAKE_UP: u64 = 40_000;

/// How long the client takes to see that a job has ended, in nanoseconds.
const NOTICE: u64 = 10_000;

#[derive(Default)]
struct Worker {
    waiting: VecDeque<JobId>,
    runs: Option<JobId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Submit(usize),
    Ready(ExecutorId),
    Begin(ExecutorId),
    End(ExecutorId, JobId),
    Notice(ExecutorId, JobId),
}

/// Virtual workers around a scheduler.
struct Simulation {
    scheduler: Scheduler<usize>,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    workers: BTreeMap<ExecutorId, Worker>,
    /// By number of the job: its function and its run time.
    jobs: Vec<(u64, u64)>,
    /// By number of the job: when it was submitted and when it ended.
    submitted: Vec<u64>,
    ended: Vec<u64>,
    recalls: u64,
}

impl Simulation {
    fn new(workers: u32, jobs: Vec<(u64, u64)>) -> Self {
        let mut scheduler = Scheduler::new(Config::default());
        scheduler.resize(workers, Time::ZERO);
        Self {
            scheduler,
            now: 0,
            events: BinaryHeap::new(),
            order: 0,
            workers: BTreeMap::new(),
            submitted: vec![0; jobs.len()],
            ended: vec![0; jobs.len()],
            jobs,
            recalls: 0,
        }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse((time, self.order, event)));
    }

    fn time(&self) -> Time {
        Time::from_nanos(self.now)
    }

    /// Submits the jobs at these times, and runs until all have ended.
    fn run(&mut self, submits: impl Fn(usize) -> u64) -> &mut Self {
        for number in 0..self.jobs.len() {
            self.at(submits(number), Event::Submit(number));
        }
        self.carry_out();
        loop {
            let event = self.events.peek().map(|Reverse((time, ..))| *time);
            let tick = self.scheduler.next_deadline().map(Time::as_nanos);
            match (event, tick) {
                (Some(event), tick) if tick.is_none_or(|tick| event <= tick) => self.step(),
                (_, Some(tick)) => {
                    self.now = self.now.max(tick);
                    self.scheduler.tick(self.time());
                }
                (_, None) => break,
            }
            self.carry_out();
        }
        assert!(self.scheduler.is_empty(), "not all has ended");
        self.scheduler.check_invariants().unwrap();
        self
    }

    fn step(&mut self) {
        let Some(Reverse((time, _, event))) = self.events.pop() else {
            return;
        };
        self.now = self.now.max(time);
        match event {
            Event::Submit(number) => {
                self.submitted[number] = self.now;
                let name = function(self.jobs[number].0);
                self.scheduler.submit(name, number, self.time()).unwrap();
            }
            Event::Ready(executor) => {
                self.workers.insert(executor, Worker::default());
                self.scheduler.executor_ready(executor, 1_000, self.time());
            }
            Event::Begin(executor) => self.begin(executor),
            Event::End(executor, job) => {
                self.workers.get_mut(&executor).unwrap().runs = None;
                self.at(self.now + NOTICE, Event::Notice(executor, job));
                self.begin(executor);
            }
            Event::Notice(executor, job) => {
                let number = *self.scheduler.data(job).unwrap();
                let run_time = Duration::from_nanos(self.jobs[number].1);
                let now = self.time();
                let ended = self.scheduler.job_finished(executor, job, run_time, now);
                assert_eq!(ended, Some(number));
                self.ended[number] = self.now;
            }
        }
    }

    fn begin(&mut self, executor: ExecutorId) {
        let worker = self.workers.get_mut(&executor).unwrap();
        if worker.runs.is_some() {
            return;
        }
        if let Some(job) = worker.waiting.pop_front() {
            worker.runs = Some(job);
            let number = *self.scheduler.data(job).unwrap();
            self.at(self.now + self.jobs[number].1, Event::End(executor, job));
        }
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.scheduler.poll() {
            match effect {
                Effect::Start { executor } => self.at(0, Event::Ready(executor)),
                Effect::Send { executor, job } => {
                    let worker = self.workers.get_mut(&executor).unwrap();
                    let sleeps = worker.runs.is_none() && worker.waiting.is_empty();
                    worker.waiting.push_back(job);
                    if sleeps {
                        self.at(self.now + WAKE_UP, Event::Begin(executor));
                    }
                }
                Effect::Recall { executor, job } => {
                    self.recalls += 1;
                    let waiting = &mut self.workers.get_mut(&executor).unwrap().waiting;
                    let before = waiting.len();
                    waiting.retain(|&other| other != job);
                    let recalled = waiting.len() < before;
                    self.scheduler
                        .recall_answered(executor, job, recalled, self.time());
                }
                _ => {}
            }
        }
    }

    /// How long it took from the first submit to the last end.
    fn makespan(&self) -> u64 {
        self.ended.iter().max().unwrap() - self.submitted.iter().min().unwrap()
    }

    /// How long the jobs take in order if the next one always begins where a worker
    /// is free first, and all else takes no time.
    fn ideal(&self, workers: usize) -> u64 {
        let mut free: BinaryHeap<_> = (0..workers).map(|_| Reverse(0)).collect();
        for &(_, run_time) in &self.jobs {
            let Reverse(start) = free.pop().unwrap();
            free.push(Reverse(start + run_time));
        }
        free.into_iter().map(|Reverse(end)| end).max().unwrap()
    }

    /// The longest time from submit to end, among some jobs.
    fn longest_wait(&self, among: impl Fn(usize) -> bool) -> u64 {
        let jobs = (0..self.jobs.len()).filter(|&number| among(number));
        jobs.map(|number| self.ended[number] - self.submitted[number])
            .max()
            .unwrap()
    }
}

/// At most this much above a bound, in percent.
fn assert_within(percent: u64, actual: u64, bound: u64) {
    let limit = bound + bound / 100 * percent;
    assert!(
        actual <= limit,
        "{actual} ns, bound {bound} ns, {}%",
        actual * 100 / bound
    );
}

#[test]
fn jobs_of_a_microsecond_keep_all_workers_busy() {
    let mut simulation = Simulation::new(4, vec![(1, 1_000); 40_000]);
    simulation.run(|_| 0);
    assert_within(10, simulation.makespan(), 10_000_000);
}

#[test]
fn jobs_of_a_millisecond_keep_all_workers_busy() {
    let mut simulation = Simulation::new(4, vec![(1, 1_000_000); 2_000]);
    simulation.run(|_| 0);
    assert_within(1, simulation.makespan(), 500_000_000);
}

#[test]
fn jobs_of_100_ms_are_not_held_up() {
    let mut simulation = Simulation::new(4, vec![(1, 100_000_000); 40]);
    simulation.run(|_| 0);
    assert_within(1, simulation.makespan(), 1_000_000_000);
}

/// Run times of one function over six magnitudes: most are short, few are very long,
/// and nobody can tell which.
#[test]
fn heavy_tails_cost_little() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let jobs: Vec<_> = (0..20_000)
            .map(|_| (1, pareto(&mut rng, 1_000.0, 1.1)))
            .collect();
        let mut simulation = Simulation::new(4, jobs);
        simulation.run(|_| 0);
        let ideal = simulation.ideal(4);
        println!(
            "seed {seed}: {} of {ideal}, {} recalls",
            simulation.makespan(),
            simulation.recalls
        );
        assert_within(5, simulation.makespan(), ideal);
    }
}

/// A run time with a Pareto distribution, up to 0.1 s.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
fn pareto(rng: &mut Rng, least: f64, shape: f64) -> u64 {
    (least / (1.0 - rng.unit()).powf(1.0 / shape)).min(1e8) as u64
}

/// One worker is caught by a long job with short ones behind it; the others take those.
#[test]
fn nothing_waits_behind_a_job_that_turned_out_long() {
    let mut jobs = vec![(1, 5_000); 3_000];
    jobs[1_000].1 = 50_000_000;
    let mut simulation = Simulation::new(2, jobs);
    simulation.run(|_| 0);
    assert_within(2, simulation.makespan(), 5_000_000 + 50_000_000);
    let wait = simulation.longest_wait(|number| number != 1_000);
    assert_within(15, wait, 14_995_000);
}

/// Work comes in all the time, so nobody idles; the jobs behind a long one are freed
/// all the same.
#[test]
fn a_stream_of_work_does_not_strand_what_was_sent_before() {
    let mut jobs = vec![(1, 10_000); 60_000];
    jobs[200].1 = 400_000_000;
    let mut simulation = Simulation::new(2, jobs);
    simulation.run(|number| {
        if number < 400 {
            0
        } else {
            number as u64 * 9_000
        }
    });
    let wait = simulation.longest_wait(|number| number != 200 && number < 400);
    assert!(wait < 100_000_000, "a short job waited {wait} ns");
}

#[test]
fn many_workers_share_a_few_long_jobs() {
    let mut rng = Rng::new(5);
    let jobs: Vec<_> = (0..1_000)
        .map(|_| (1, 100_000 + rng.below(20_000_000)))
        .collect();
    let mut simulation = Simulation::new(64, jobs);
    simulation.run(|_| 0);
    let ideal = simulation.ideal(64);
    println!(
        "{} of {ideal}, {} recalls",
        simulation.makespan(),
        simulation.recalls
    );
    assert_within(1, simulation.makespan(), ideal);
}

/// Long and short jobs of two functions in turn: the short ones do not pile up behind
/// the long ones.
#[test]
fn mixed_functions_keep_all_workers_busy() {
    let jobs: Vec<_> = (0..4_000)
        .map(|number| {
            if number % 40 == 0 {
                (G.as_u64(), 4_000_000)
            } else {
                (F.as_u64(), 20_000)
            }
        })
        .collect();
    let mut simulation = Simulation::new(3, jobs);
    simulation.run(|_| 0);
    let ideal = simulation.ideal(3);
    println!(
        "{} of {ideal}, {} recalls",
        simulation.makespan(),
        simulation.recalls
    );
    assert_within(2, simulation.makespan(), ideal);
}

/// One job after another: each costs its run time, a wake-up and a notice.
#[test]
fn a_single_caller_is_served_at_once() {
    let mut simulation = Simulation::new(4, vec![(1, 3_000); 1_000]);
    simulation.run(|number| number as u64 * 100_000);
    assert_eq!(simulation.longest_wait(|_| true), 3_000 + WAKE_UP + NOTICE);
    assert_eq!(simulation.recalls, 0);
}
