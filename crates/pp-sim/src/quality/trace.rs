//! What there is to do.

use super::{Amounts, Cluster};

/// One job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// When it is submitted.
    pub release: u64,
    /// How long it runs on an ordinary machine.
    pub run_time: u64,
    /// Jobs of one function are expected to take about as long.
    pub function: u32,
    /// Earlier jobs, of which it needs what they make.
    pub inputs: Vec<usize>,
    /// Bytes that come with it from where it is submitted.
    pub argument: u64,
    /// Bytes that it makes. They stay where it has run until another machine needs them.
    pub output: u64,
    /// Who submits it.
    pub client: u32,
    /// What goes first, where somebody cares: the highest.
    pub priority: i32,
    /// What it needs while it runs.
    pub needs: Amounts,
}

impl Job {
    /// A job without data, of the first client, there from the beginning.
    pub const fn new(function: u32, run_time: u64) -> Self {
        Self {
            release: 0,
            run_time,
            function,
            inputs: Vec::new(),
            argument: 0,
            output: 0,
            client: 0,
            priority: 0,
            needs: Amounts::SLOT,
        }
    }
}

/// Jobs, and the machines that are to run them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What it is called.
    pub name: &'static str,
    /// The jobs. Those of the same release come in this order.
    pub jobs: Vec<Job>,
    /// The machines.
    pub cluster: Cluster,
}

impl Trace {
    /// Whether all jobs need one slot and nothing else.
    pub fn is_plain(&self) -> bool {
        self.jobs.iter().all(|job| job.needs == Amounts::SLOT)
    }

    /// For each job, those that need it.
    pub fn dependents(&self) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new(); self.jobs.len()];
        for (number, job) in self.jobs.iter().enumerate() {
            for &input in &job.inputs {
                all[input].push(number);
            }
        }
        all
    }

    /// What each job takes at the least.
    pub fn spans(&self) -> Vec<u64> {
        let fastest = self.cluster.fastest();
        let span = |job: &Job| job.run_time * 100 / fastest;
        self.jobs.iter().map(span).collect()
    }

    /// Before when no job can begin.
    pub fn heads(&self) -> Vec<u64> {
        let spans = self.spans();
        let mut heads = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            let ends = job.inputs.iter().map(|&input| heads[input] + spans[input]);
            let head = ends.fold(job.release, u64::max);
            heads.push(head);
        }
        heads
    }

    /// What has to happen after each job, at the least.
    pub fn tails(&self) -> Vec<u64> {
        let spans = self.spans();
        let mut tails = vec![0; self.jobs.len()];
        for (number, job) in self.jobs.iter().enumerate().rev() {
            for &input in &job.inputs {
                tails[input] = tails[input].max(spans[number] + tails[number]);
            }
        }
        tails
    }
}
