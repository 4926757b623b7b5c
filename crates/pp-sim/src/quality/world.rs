//! What all policies have in common: time, machines, data, and what has become of jobs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Violation;

use super::event::{Entry, Event};
use super::network::Network;
use super::{Amounts, Cluster, Job, Trace, What};

/// A job that runs.
#[derive(Debug)]
struct Running {
    job: usize,
    /// What is left of it, in nanoseconds of a hundredth of an ordinary slot, at `since`.
    left: u64,
    since: u64,
    plan: u32,
}

#[derive(Debug)]
struct State {
    is_up: bool,
    speed: u64,
    running: Vec<Running>,
    /// What those need.
    taken: Amounts,
    /// Slots that have become free at a moment, and need not be woken then.
    awake: (u64, u32),
}

/// What has become of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// When it was submitted and what it needs had been made.
    pub ready: u64,
    /// When it began, for the last time.
    pub begun: u64,
    /// How often it has begun.
    pub begins: u32,
    /// When it ended, where it ran.
    pub ended: u64,
    /// When the client heard of that; 0 if it never did.
    pub known: u64,
}

/// Counts over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages between machines, those with data not counted.
    pub messages: u64,
    /// Bytes of data that were moved between machines.
    pub moved: u64,
    /// Jobs that were taken back from a machine, or stolen.
    pub moves: u64,
}

/// Time, machines, data and jobs. `M` is what a policy says to itself over the network.
#[derive(Debug)]
pub struct World<'a, M> {
    now: u64,
    trace: &'a Trace,
    dependents: Vec<Vec<usize>>,
    queue: BinaryHeap<Reverse<Entry<M>>>,
    order: u64,
    machines: Vec<State>,
    network: Network,
    /// How many of its inputs, and its release, each job waits for.
    missing: Vec<usize>,
    /// Whether each job runs or has run, and was not lost.
    has_begun: Vec<bool>,
    outcomes: Vec<Outcome>,
    open: usize,
    counts: Counts,
    fault: Option<Violation>,
}

impl<'a, M> World<'a, M> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let cluster = &trace.cluster;
        let machine = |(number, machine): (usize, &super::Machine)| State {
            is_up: cluster.is_there_at_first(number),
            speed: machine.speed.max(1),
            running: Vec::new(),
            taken: Amounts::default(),
            awake: (0, 0),
        };
        let mut world = Self {
            now: 0,
            trace,
            dependents: trace.dependents(),
            queue: BinaryHeap::new(),
            order: 0,
            machines: cluster.machines.iter().enumerate().map(machine).collect(),
            network: Network::new(trace.jobs.len(), cluster),
            missing: trace.jobs.iter().map(|job| 1 + job.inputs.len()).collect(),
            has_begun: vec![false; trace.jobs.len()],
            outcomes: vec![Outcome::default(); trace.jobs.len()],
            open: trace.jobs.len(),
            counts: Counts::default(),
            fault: None,
        };
        for (job, it) in trace.jobs.iter().enumerate() {
            world.plan(it.release, Event::Released { job });
        }
        for (number, change) in cluster.changes.iter().enumerate() {
            world.plan(change.at, Event::Change { number });
        }
        world
    }

    /// The time.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// A job.
    pub fn job(&self, job: usize) -> &'a Job {
        &self.trace.jobs[job]
    }

    /// All jobs.
    pub fn jobs(&self) -> &'a [Job] {
        &self.trace.jobs
    }

    /// The machines, as they are at first.
    pub fn cluster(&self) -> &'a Cluster {
        &self.trace.cluster
    }

    /// What is to be done.
    pub fn trace(&self) -> &'a Trace {
        self.trace
    }

    /// Whether a machine is there.
    pub fn is_up(&self, machine: usize) -> bool {
        self.machines[machine].is_up
    }

    /// What a machine has at this moment that no job of it needs.
    pub fn free(&self, machine: usize) -> Amounts {
        let state = &self.machines[machine];
        if state.is_up {
            self.has(machine).less(state.taken)
        } else {
            Amounts::default()
        }
    }

    /// What a machine has.
    pub fn has(&self, machine: usize) -> Amounts {
        self.cluster().machines[machine].has()
    }

    /// Whether a machine could begin a job at this moment.
    pub fn fits(&self, job: usize, machine: usize) -> bool {
        self.free(machine).covers(self.job(job).needs)
    }

    /// How many jobs a machine runs at a time.
    pub fn slots(&self, machine: usize) -> usize {
        self.cluster().machines[machine].slots as usize
    }

    /// How fast a machine is at this moment. Nobody but the oracle may ask.
    pub(super) fn speed(&self, machine: usize) -> u64 {
        self.machines[machine].speed
    }

    /// Where the output of a job is.
    pub fn holders(&self, job: usize) -> &[usize] {
        self.network.holders(job)
    }

    /// Bytes of what a job needs that a machine does not have.
    pub fn missing_bytes(&self, job: usize, machine: usize) -> u64 {
        self.network.missing(self.job(job), self.jobs(), machine)
    }

    /// A message of the policy goes to a machine or comes from it.
    pub fn send(&mut self, machine: usize, message: M) {
        self.counts.messages += 1;
        let delay = self.cluster().machines[machine].delay;
        self.plan(self.now + delay, Event::Message(message));
    }

    /// The policy wants to hear this after a while.
    pub fn remind(&mut self, after: u64, message: M) {
        self.plan(self.now.saturating_add(after), Event::Message(message));
    }

    /// A job was taken back from a machine, to run elsewhere.
    pub fn note_move(&mut self) {
        self.counts.moves += 1;
    }

    /// Lets a machine get what a job needs. True if it has all; else
    /// [`Policy::fetched`](super::Policy::fetched) comes.
    pub fn fetch(&mut self, job: usize, machine: usize) -> bool {
        let (it, jobs) = (self.job(job), self.jobs());
        let there = self.network.fetch(it, jobs, machine, self.now);
        if there <= self.now {
            return true;
        }
        self.plan(there, Event::Fetched { job, machine });
        false
    }

    /// Lets a job run in a free slot of a machine that has what it needs.
    pub fn begin(&mut self, job: usize, machine: usize) {
        if let Some(why) = self.objection(job, machine) {
            let detail = format!("job {job} on machine {machine}: {why}");
            return self.fail("only what can run is run", detail);
        }
        let now = self.now;
        let state = &mut self.machines[machine];
        let is_awake = state.awake.0 == now && state.awake.1 > 0;
        let wake_up = if is_awake {
            state.awake.1 -= 1;
            0
        } else {
            self.trace.cluster.wake_up
        };
        self.has_begun[job] = true;
        state.taken = state.taken.plus(self.trace.jobs[job].needs);
        let outcome = &mut self.outcomes[job];
        outcome.begun = now + wake_up;
        outcome.begins += 1;
        state.running.push(Running {
            job,
            left: self.trace.jobs[job].run_time * 100,
            since: now + wake_up,
            plan: 0,
        });
        let last = state.running.len() - 1;
        self.plan_end(machine, last);
    }

    fn objection(&self, job: usize, machine: usize) -> Option<&'static str> {
        if !self.fits(job, machine) {
            return Some("what it needs is not free");
        }
        if self.missing[job] > 0 {
            return Some("it is not ready");
        }
        if self.has_begun[job] {
            return Some("it runs elsewhere, or has ended");
        }
        (self.missing_bytes(job, machine) > 0).then_some("it lacks data")
    }

    /// Plans the end of a running job, as fast as its machine is by now.
    fn plan_end(&mut self, machine: usize, place: usize) {
        let state = &mut self.machines[machine];
        let running = &mut state.running[place];
        running.plan += 1;
        let (job, plan) = (running.job, running.plan);
        let at = running.since + running.left.div_ceil(state.speed);
        self.plan(at, Event::Ended { job, machine, plan });
    }

    fn plan(&mut self, time: u64, event: Event<M>) {
        self.order += 1;
        let order = self.order;
        self.queue.push(Reverse(Entry { time, order, event }));
    }

    pub(super) fn fail(&mut self, rule: &'static str, detail: String) {
        if self.fault.is_none() {
            let violation = Violation::new(rule, detail);
            self.fault = Some(violation.at(&format!("{} ns", self.now)));
        }
    }

    /// When the next thing happens.
    pub(super) fn next_time(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse(entry)| entry.time)
    }

    /// The next thing that happens.
    pub(super) fn next(&mut self) -> Option<Event<M>> {
        let Reverse(entry) = self.queue.pop()?;
        self.now = entry.time;
        Some(entry.event)
    }

    /// One thing less to wait for. True if it was the last.
    pub(super) fn is_ready_by(&mut self, job: usize) -> bool {
        self.missing[job] = self.missing[job].saturating_sub(1);
        self.missing[job] == 0
    }

    /// The jobs that wait for one.
    pub(super) fn dependents(&self, job: usize) -> Vec<usize> {
        self.dependents[job].clone()
    }

    /// A job has ended where it runs; gives how long it ran. None if that is planned for
    /// another time by now.
    pub(super) fn end(&mut self, job: usize, machine: usize, plan: u32) -> Option<u64> {
        let now = self.now;
        let state = &mut self.machines[machine];
        let is_it = |it: &Running| it.job == job && it.plan == plan;
        let place = state.running.iter().position(is_it)?;
        state.running.swap_remove(place);
        state.taken = state.taken.less(self.trace.jobs[job].needs);
        if state.awake.0 != now {
            state.awake = (now, 0);
        }
        state.awake.1 += 1;
        self.network.hold(job, machine);
        let outcome = &mut self.outcomes[job];
        outcome.ended = now;
        let ran = now - outcome.begun;
        for &dependent in &self.dependents[job] {
            let ready = &mut self.outcomes[dependent].ready;
            *ready = (*ready).max(now);
        }
        self.plan(
            now + self.trace.cluster.machines[machine].delay,
            Event::Result { job, machine, ran },
        );
        Some(ran)
    }

    /// The client hears of the end of a job.
    pub(super) fn hear(&mut self, job: usize) {
        self.counts.messages += 1;
        let outcome = &mut self.outcomes[job];
        if outcome.known > 0 {
            return self.fail("each job ends once", format!("job {job} ends again"));
        }
        outcome.known = self.now;
        self.open -= 1;
    }

    pub(super) fn release(&mut self, job: usize) {
        let ready = &mut self.outcomes[job].ready;
        *ready = (*ready).max(self.now);
    }

    pub(super) fn arrived(&mut self, job: usize, machine: usize) {
        let (it, jobs) = (self.job(job), self.jobs());
        self.network.arrived(it, jobs, machine);
    }

    /// Something happens to a machine. The client will hear of it if it comes or goes.
    pub(super) fn change(&mut self, number: usize) {
        let change = self.cluster().changes[number];
        let machine = change.machine;
        match change.what {
            What::Speed(speed) => return self.slow_down(machine, speed.max(1)),
            What::Leaves => {
                self.machines[machine].is_up = false;
                self.machines[machine].taken = Amounts::default();
                for lost in self.machines[machine].running.drain(..) {
                    self.has_begun[lost.job] = false;
                }
                self.network.forget(machine);
            }
            What::Joins => self.machines[machine].is_up = true,
        }
        let delay = self.cluster().machines[machine].delay;
        let is_up = self.machines[machine].is_up;
        self.plan(self.now + delay, Event::News { machine, is_up });
    }

    fn slow_down(&mut self, machine: usize, speed: u64) {
        let now = self.now;
        let state = &mut self.machines[machine];
        let before = std::mem::replace(&mut state.speed, speed);
        for running in &mut state.running {
            let done = now.saturating_sub(running.since) * before;
            running.left = running.left.saturating_sub(done);
            running.since = running.since.max(now);
        }
        for place in 0..state.running.len() {
            self.plan_end(machine, place);
        }
    }

    /// How many jobs have not ended.
    pub fn open(&self) -> usize {
        self.open
    }

    pub(super) fn fault(&mut self) -> Option<Violation> {
        self.fault.take()
    }

    /// What has become of all jobs, and what it took.
    pub(super) fn close(self) -> (Vec<Outcome>, Counts) {
        let moved = self.network.moved;
        let counts = Counts {
            moved,
            ..self.counts
        };
        (self.outcomes, counts)
    }
}
