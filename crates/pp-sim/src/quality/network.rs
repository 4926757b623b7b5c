//! Where data is, and how it gets to where it is needed.

use std::collections::BTreeMap;

use super::{Cluster, Job};

/// Data and the ways that it takes. Each machine sends one thing after another, and receives
/// one after another.
#[derive(Debug)]
pub(super) struct Network {
    rate: u64,
    delays: Vec<u64>,
    /// Until when each machine receives, and sends.
    in_free: Vec<u64>,
    out_free: Vec<u64>,
    /// Until when the machine sends from which jobs come.
    client_free: u64,
    /// Where the output of each job is.
    holders: Vec<Vec<usize>>,
    /// When data arrives that is on its way, by job and machine.
    arrivals: BTreeMap<(usize, usize), u64>,
    pub(super) moved: u64,
}

impl Network {
    pub(super) fn new(jobs: usize, cluster: &Cluster) -> Self {
        let count = cluster.machines.len();
        Self {
            rate: cluster.rate.max(1),
            delays: cluster.machines.iter().map(|it| it.delay).collect(),
            in_free: vec![0; count],
            out_free: vec![0; count],
            client_free: 0,
            holders: vec![Vec::new(); jobs],
            arrivals: BTreeMap::new(),
            moved: 0,
        }
    }

    /// A machine has the output of a job.
    pub(super) fn hold(&mut self, job: usize, machine: usize) {
        self.holders[job].push(machine);
    }

    /// A machine is gone. What only it had is lost, and nobody here makes it again.
    pub(super) fn forget(&mut self, machine: usize) {
        for holders in &mut self.holders {
            holders.retain(|&holder| holder != machine);
        }
    }

    pub(super) fn holders(&self, job: usize) -> &[usize] {
        &self.holders[job]
    }

    /// Lets a machine get what a job needs; gives the time when it has all.
    pub(super) fn fetch(&mut self, job: &Job, jobs: &[Job], machine: usize, now: u64) -> u64 {
        let mut there = now;
        if job.argument > 0 {
            let begin = now.max(self.client_free).max(self.in_free[machine]);
            let end = begin + self.takes(job.argument);
            (self.client_free, self.in_free[machine]) = (end, end);
            there = end;
        }
        for &input in &job.inputs {
            let bytes = jobs[input].output;
            if bytes > 0 && !self.holders[input].contains(&machine) {
                there = there.max(self.bring(input, bytes, machine, now));
            }
        }
        there
    }

    /// Brings the output of a job to a machine, from the one that can send it first.
    fn bring(&mut self, job: usize, bytes: u64, machine: usize, now: u64) -> u64 {
        if let Some(&arrival) = self.arrivals.get(&(job, machine))
            && arrival > now
        {
            return arrival;
        }
        let sources = self.holders[job].iter().copied();
        let source = sources.min_by_key(|&source| (self.out_free[source].max(now), source));
        let Some(source) = source else {
            return u64::MAX;
        };
        // It is asked for, and then comes.
        let way = self.delays[source] + self.delays[machine];
        let free = self.out_free[source].max(self.in_free[machine]);
        let end = free.max(now + way) + self.takes(bytes);
        (self.out_free[source], self.in_free[machine]) = (end, end);
        let arrival = end + way;
        self.arrivals.insert((job, machine), arrival);
        arrival
    }

    fn takes(&mut self, bytes: u64) -> u64 {
        self.moved += bytes;
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(self.rate);
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// What a job needs is there: other jobs of the machine find it.
    pub(super) fn arrived(&mut self, job: &Job, jobs: &[Job], machine: usize) {
        for &input in &job.inputs {
            if jobs[input].output > 0 && !self.holders[input].contains(&machine) {
                self.holders[input].push(machine);
            }
        }
    }

    /// Bytes of what a job needs that a machine does not have.
    pub(super) fn missing(&self, job: &Job, jobs: &[Job], machine: usize) -> u64 {
        let inputs = job.inputs.iter();
        let absent = inputs.filter(|&&input| !self.holders[input].contains(&machine));
        absent.map(|&input| jobs[input].output).sum()
    }
}
