//! From the first event to the last.

use crate::book::Outcome;
use crate::pulse::interval;
use crate::simulation::Simulation;
use crate::violation::Violation;

/// More events than this, and for each job, mean that something goes round in circles.
const MOST_EVENTS: (u64, u64) = (20_000_000, 100);

/// How often everything is looked at: after so many events.
const AUDIT: u64 = 64;

impl Simulation {
    /// Lets time pass until all jobs have ended, or `limit` nanoseconds have passed: then
    /// that is wrong.
    pub fn run(&mut self, limit: u64) -> Result<(), Violation> {
        let jobs = self.world.book.entries.len() as u64;
        let most = MOST_EVENTS.0 + MOST_EVENTS.1 * jobs;
        while self.world.book.open > 0 {
            let is_endless = self.world.counts.events > most;
            if self.world.now > limit || is_endless || !self.step()? {
                return Err(self.stuck());
            }
            self.audit_now_and_then()?;
        }
        Ok(())
    }

    /// Lets so many nanoseconds pass.
    pub fn pass(&mut self, time: u64) -> Result<(), Violation> {
        let until = self.world.now + time;
        while self.unsettled.is_some() || self.next_is_before(until) {
            self.step()?;
            self.audit_now_and_then()?;
        }
        self.world.now = until;
        Ok(())
    }

    /// After the last job: waits until the network must be quiet, and looks whether
    /// anything is left.
    pub fn rest(&mut self) -> Result<(), Violation> {
        let patience = self.world.settings.patience;
        let planned = self.faults.iter().map(|fault| fault.at).max().unwrap_or(0);
        self.pass(planned.saturating_sub(self.world.now))?;
        let frozen = self.world.hosts.iter().map(|host| host.frozen_until).max();
        let last = frozen.unwrap_or(0).saturating_sub(self.world.now);
        self.pass(last + 4 * (patience + 2 * interval(patience)) + 2_000_000_000)?;
        let now = self.world.now;
        self.check_quiet()
            .map_err(|wrong| wrong.at(&format!("at {now}")))
    }

    fn next_is_before(&self, until: u64) -> bool {
        let next = self.world.queue.peek();
        next.is_some_and(|(time, _)| time <= until)
    }

    fn audit_now_and_then(&mut self) -> Result<(), Violation> {
        // What has been decided and not been carried out is in no table.
        let is_due = self.world.settings.check_every == 1 && self.unsettled.is_none();
        if is_due && self.world.counts.events.is_multiple_of(AUDIT) {
            let now = self.world.now;
            return self.audit().map_err(|wrong| wrong.at(&format!("at {now}")));
        }
        Ok(())
    }

    /// When a job ended for its caller, in nanoseconds; `None` if it has not.
    pub fn ended(&self, number: usize) -> Option<u64> {
        let entry = self.world.book.entries.get(number)?;
        entry.outcome.map(|_| entry.ended_at)
    }

    /// How a job ended for its caller; `None` if it has not.
    pub fn outcome(&self, number: usize) -> Option<Outcome> {
        self.world.book.entries.get(number)?.outcome
    }

    /// How often a job has begun, and when it did for the last time, in nanoseconds.
    pub fn begun(&self, number: usize) -> (u32, u64) {
        let entry = self.world.book.entries.get(number);
        entry.map_or((0, 0), |entry| (entry.begun, entry.begun_at))
    }

    /// Keeps the last lines of what happens, from now on.
    pub fn keep_trace(&mut self) {
        self.world.trace.keep_lines();
    }

    /// The lines that were kept.
    pub fn trace(&self) -> impl Iterator<Item = &str> {
        self.world.trace.lines()
    }
}
