//! What decides, and the course of a run.

use crate::Violation;

use super::event::Event;
use super::{Counts, Outcome, Trace, World};

/// What decides which job runs where, and when.
///
/// Its parts are at the client, where jobs are submitted, and on machines; each may only go
/// by what it has been told where it is, and tells the others by
/// [`World::send`](super::World::send), which takes time. No policy is told how long a job
/// will run.
pub trait Policy {
    /// What its parts say to each other.
    type Message;

    /// What it is called.
    fn name(&self) -> &'static str;

    /// At the client: the run begins. Machines follow with [`joined`](Self::joined).
    fn start(&mut self, _world: &mut World<Self::Message>) {}

    /// At the client: a job was submitted, and the ends of all that it needs are known.
    fn ready(&mut self, job: usize, world: &mut World<Self::Message>);

    /// On a machine: what a job needs is there.
    fn fetched(&mut self, job: usize, machine: usize, world: &mut World<Self::Message>);

    /// On a machine: a job has ended, and its slot is free.
    fn ended(&mut self, job: usize, machine: usize, ran: u64, world: &mut World<Self::Message>);

    /// At the client: the end of a job is known, before those that need it are ready.
    fn result(&mut self, job: usize, machine: usize, ran: u64, world: &mut World<Self::Message>);

    /// A message arrives.
    fn message(&mut self, message: Self::Message, world: &mut World<Self::Message>);

    /// At the client: a machine is there.
    fn joined(&mut self, machine: usize, world: &mut World<Self::Message>);

    /// At the client: a machine is gone, with all that it had.
    fn lost(&mut self, machine: usize, world: &mut World<Self::Message>);

    /// All that happens at this moment has been told.
    fn settle(&mut self, world: &mut World<Self::Message>);
}

/// More events than this for each job mean that a policy goes round in circles.
const MOST_EVENTS: usize = 10_000;

/// Lets a policy do all that there is to do, and gives what has become of each job.
pub fn run<P: Policy>(policy: &mut P, trace: &Trace) -> Result<(Vec<Outcome>, Counts), Violation> {
    let mut world = World::new(trace);
    policy.start(&mut world);
    for machine in 0..trace.cluster.machines.len() {
        if world.is_up(machine) {
            policy.joined(machine, &mut world);
        }
    }
    let mut left = MOST_EVENTS * (trace.jobs.len() + 1_000);
    loop {
        if world.next_time().is_none_or(|time| time > world.now()) {
            policy.settle(&mut world);
        }
        if let Some(fault) = world.fault() {
            return Err(fault);
        }
        left -= 1;
        let is_over = world.open() == 0;
        match world.next() {
            Some(event) if !is_over && left > 0 => happen(event, policy, &mut world),
            _ => break,
        }
    }
    if world.open() > 0 {
        let (open, all, now) = (world.open(), trace.jobs.len(), world.now());
        let detail = format!("{open} of {all} had not by {now} ns");
        return Err(Violation::new("all jobs end", detail).at(policy.name()));
    }
    Ok(world.close())
}

fn happen<P: Policy>(event: Event<P::Message>, policy: &mut P, world: &mut World<P::Message>) {
    match event {
        Event::Released { job } => {
            world.release(job);
            if world.is_ready_by(job) {
                policy.ready(job, world);
            }
        }
        Event::Ended { job, machine, plan } => {
            if let Some(ran) = world.end(job, machine, plan) {
                policy.ended(job, machine, ran, world);
            }
        }
        Event::Fetched { job, machine } => {
            if world.is_up(machine) {
                world.arrived(job, machine);
                policy.fetched(job, machine, world);
            }
        }
        Event::Result { job, machine, ran } => {
            world.hear(job);
            policy.result(job, machine, ran, world);
            for dependent in world.dependents(job) {
                if world.is_ready_by(dependent) {
                    policy.ready(dependent, world);
                }
            }
        }
        Event::Change { number } => world.change(number),
        Event::News { machine, is_up } if is_up => policy.joined(machine, world),
        Event::News { machine, .. } => policy.lost(machine, world),
        Event::Message(message) => policy.message(message, world),
    }
}
