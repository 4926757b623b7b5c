//! Random loads under virtual time: what shares get while jobs of all of them wait.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use pp_core::{
    Config, Effect, ExecutorId, JobId, Raised, Retries, Scheduler, ShareId, Terms, Time,
};

use crate::env::{function, of_share, share};
use crate::rng::Rng;

/// Workers that run what they get, and end it after as many nanoseconds as are its data. What
/// has retries raises something the first time.
struct Pool {
    scheduler: Scheduler<u64>,
    now: u64,
    held: BTreeMap<ExecutorId, VecDeque<JobId>>,
    ends: BinaryHeap<Reverse<(u64, ExecutorId, JobId)>>,
    /// Jobs that raise something the first time.
    troubled: BTreeSet<JobId>,
    /// The most jobs that workers held at a time.
    most_held: usize,
}

impl Pool {
    fn new(workers: u32) -> Self {
        let mut pool = Self {
            scheduler: Scheduler::new(Config::default()),
            now: 1,
            held: BTreeMap::new(),
            ends: BinaryHeap::new(),
            troubled: BTreeSet::new(),
            most_held: 0,
        };
        pool.scheduler.resize(workers, pool.time());
        pool
    }

    fn time(&self) -> Time {
        Time::from_nanos(self.now)
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.scheduler.poll() {
            match effect {
                Effect::Start { executor } => {
                    self.held.insert(executor, VecDeque::new());
                    self.scheduler.executor_ready(executor, 1_000, self.time());
                }
                Effect::Send { executor, job } => {
                    let held = self.held.get_mut(&executor).unwrap();
                    held.push_back(job);
                    if held.len() == 1 {
                        self.begin(executor);
                    }
                }
                Effect::Recall { executor, job } => {
                    let held = self.held.get_mut(&executor).unwrap();
                    let place = held.iter().skip(1).position(|&other| other == job);
                    let recalled = place.and_then(|place| held.remove(place + 1)).is_some();
                    let now = self.time();
                    self.scheduler.recall_answered(executor, job, recalled, now);
                }
                _ => {}
            }
        }
        self.most_held = self.most_held.max(self.scheduler.outstanding());
    }

    fn begin(&mut self, executor: ExecutorId) {
        if let Some(&job) = self.held[&executor].front() {
            let takes = *self.scheduler.data(job).unwrap();
            self.ends.push(Reverse((self.now + takes, executor, job)));
        }
    }

    /// Lets the next thing happen.
    fn step(&mut self) {
        let end = self.ends.peek().map(|Reverse((time, ..))| *time);
        let tick = self.scheduler.next_deadline().map(Time::as_nanos);
        if let Some(tick) = tick.filter(|&tick| end.is_none_or(|end| tick < end)) {
            self.now = self.now.max(tick);
            self.scheduler.tick(self.time());
        } else if let Some(Reverse((time, executor, job))) = self.ends.pop() {
            self.now = self.now.max(time);
            self.held.get_mut(&executor).unwrap().pop_front();
            self.begin(executor);
            self.end(executor, job);
        }
        self.carry_out();
    }

    fn end(&mut self, executor: ExecutorId, job: JobId) {
        let view = self.scheduler.job(job).unwrap();
        let took = Duration::from_nanos(*view.data);
        let is_first = view.attempts == 1;
        let now = self.time();
        if is_first && self.troubled.remove(&job) {
            let raised = self.scheduler.job_raised(executor, job, took, now);
            assert_eq!(raised, Raised::Again);
        } else {
            let data = self.scheduler.job_finished(executor, job, took, now);
            assert!(data.is_some());
        }
    }

    fn service(&self, share: ShareId) -> u64 {
        let run_time = self.scheduler.share_stats(share).unwrap().run_time;
        u64::try_from(run_time.as_nanos()).unwrap()
    }

    fn waits(&self, share: ShareId) -> bool {
        self.scheduler
            .share_stats(share)
            .is_some_and(|stats| stats.queued > 0)
    }
}

const MS: u64 = 1_000_000;

/// Shares, by number, with what each job of theirs takes at the most and the weight.
fn random_shares(rng: &mut Rng) -> Vec<(u64, u64, u64)> {
    (0..2 + rng.below(3))
        .map(|number| (number, MS << rng.below(8), 1 + rng.below(5)))
        .collect()
}

/// Terms of a job of a share. `trouble`: how many of a hundred wait for another, or are run again.
fn random_terms(rng: &mut Rng, number: u64, trouble: u64, last: Option<JobId>) -> Terms {
    let mut terms = of_share(number);
    if rng.below(100) < trouble {
        terms.after.extend(last);
    }
    if rng.below(100) < trouble {
        terms.retries = Retries {
            count: 1,
            pause: Duration::from_nanos(rng.below(200 * MS)),
            ..Retries::default()
        };
    }
    terms
}

fn check_fairness(seed: u64) {
    let mut rng = Rng::new(seed);
    let workers = u32::try_from(1 + rng.below(6)).unwrap();
    let mut pool = Pool::new(workers);
    let shares = random_shares(&mut rng);
    let trouble = [0, 5, 30][usize::try_from(rng.below(3)).unwrap()];
    for &(number, longest, weight) in &shares {
        let weight = NonZeroU32::new(u32::try_from(weight).unwrap()).unwrap();
        pool.scheduler
            .set_share(share(number), weight, None, pool.time());
        let mut last = None;
        for _ in 0..3_000 {
            let takes = longest / 2 + rng.below(longest / 2) + 1;
            // Some of it in a function whose jobs are not all alike.
            let name = function(if rng.below(4) == 0 { 100 } else { number });
            let terms = random_terms(&mut rng, number, trouble, last);
            let submitted = pool.scheduler.submit_with(name, &terms, takes, pool.time());
            last = submitted.ok();
            let is_troubled = terms.retries.count > 0;
            pool.troubled.extend(last.filter(|_| is_troubled));
        }
    }
    pool.carry_out();
    let mut steps = 0;
    while shares.iter().all(|&(number, ..)| pool.waits(share(number))) {
        pool.step();
        steps += 1;
        if steps % 16 > 0 {
            continue;
        }
        for &(one, one_longest, one_weight) in &shares {
            for &(two, two_longest, two_weight) in &shares {
                let got = pool.service(share(one)) / one_weight;
                let other = pool.service(share(two)) / two_weight;
                let jobs = pool.most_held as u64 + 1;
                let bound = jobs * (one_longest / one_weight + two_longest / two_weight);
                assert!(
                    got.abs_diff(other) <= bound,
                    "{got} and {other} after {steps} steps, bound {bound}: {shares:?}"
                );
            }
        }
    }
    assert!(steps > 1_000, "{steps}");
}

/// Whatever the weights, what two shares get differs by no more than their longest jobs, as
/// many as are held.
#[test]
fn service_differs_by_a_few_jobs_at_the_most() {
    for seed in 0..60 {
        println!("seed {seed}");
        check_fairness(seed);
    }
}
