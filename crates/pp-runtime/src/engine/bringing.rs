//! Bringing results here that lie at nodes, for somebody who asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::job::{Job, Waiters};
use super::outcome::Outcome;
use super::shared::Shared;
use super::state::State;
use super::{Engine, EngineError};

/// What came of bringing a result.
#[derive(Debug)]
pub enum Brought {
    /// The job that has it, all of it here: the one that was asked for, or one that has made it
    /// again.
    Here(Arc<Job>),
    /// Patience was over before.
    NotYet,
    /// It lay at a node when the server was destroyed.
    Gone,
}

/// What somebody who wants a result has to do.
enum Step {
    Done(Brought),
    /// Sleep until something has come.
    Watch(Arc<Waiters>),
    /// Wait for the end of a job.
    Await(Arc<Job>),
}

impl Engine {
    /// Brings the result of a job that has ended here, if it lies at a node; waits for
    /// `patience` at the most. `anew`: it is tried anew if it was lost, and what was to make it
    /// again was called off.
    ///
    /// # Errors
    /// This is a forked child.
    pub fn bring(
        &self,
        job: &Arc<Job>,
        patience: Duration,
        mut anew: bool,
    ) -> Result<Brought, EngineError> {
        self.check_process()?;
        let deadline = Instant::now() + patience;
        loop {
            let step = {
                let mut state = self.shared.lock();
                let step = self
                    .shared
                    .step_towards(&mut state, job, std::mem::take(&mut anew));
                self.shared.settle(&mut state);
                step
            };
            match step {
                Step::Done(brought) => return Ok(brought),
                Step::Watch(waiters) => waiters.wait(deadline),
                Step::Await(job) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.shared.mind(&job, left);
                }
            }
            if Instant::now() >= deadline {
                return Ok(Brought::NotYet);
            }
        }
    }
}

impl Shared {
    fn step_towards(&self, state: &mut State, job: &Arc<Job>, anew: bool) -> Step {
        let source = self.source_of(state, job, |_| anew);
        let Some(outcome) = source.outcome() else {
            return Step::Await(source);
        };
        let Outcome::Value(report) = outcome else {
            return Step::Done(Brought::Here(source));
        };
        if !report.is_away() {
            source.forget_recipe();
            job.forget_recipe();
            return Step::Done(Brought::Here(source));
        }
        if state.destroyed || source.is_lost() {
            return Step::Done(Brought::Gone);
        }
        match state.bring(&source, report) {
            Some(last) => Step::Watch(state.aside.watch(last)),
            None => Step::Done(Brought::Here(source)),
        }
    }
}
