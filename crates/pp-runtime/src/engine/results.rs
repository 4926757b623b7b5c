//! What a result of a job means, wherever it comes from.

use std::sync::Arc;
use std::time::Duration;

use pp_core::{ExecutorId, JobId, Raised, Time};

use super::job::{Job, Origin};
use super::outcome::{JobFailure, Outcome, Report};
use super::record::{HERE, Ran};
use super::state::State;

/// How a job ran that was ended from outside, and may be run again.
#[derive(Debug)]
pub(super) struct Stop {
    ran: Ran,
    /// What it has printed, if it has ended by itself.
    printed: Option<Report>,
    /// Since when it runs, if that is still to be counted.
    since: Option<Time>,
}

impl State {
    /// An executor has reported how a job has come to its end, and how it ran; whether it was
    /// news. A job that was cancelled meanwhile has ended already. Of what comes together, `now`
    /// is the same: a look at the clock takes its time, too.
    pub(super) fn take_result(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        outcome: Outcome,
        ran: Ran,
        now: Time,
    ) -> bool {
        let run_time = ran.run_time;
        let ran = Ran {
            attempts: ran.attempts.max(1) + self.scheduler.failed_attempts(job),
            ..ran
        };
        if let Outcome::Value(report) = &outcome {
            self.note_kept(executor, job, report);
            let data = self.scheduler.job_finished(executor, job, run_time, now);
            return self.take_end(job, data, outcome, ran, now);
        }
        if outcome.failure().is_some_and(JobFailure::is_stop) {
            // How it ends, the scheduler says next.
            let stop = Stop {
                ran,
                printed: outcome.into_report(),
                since: None,
            };
            self.stopped.insert(job, stop);
            self.scheduler.job_stopped(executor, job, run_time, now);
            return false;
        }
        let (data, outcome) = match outcome {
            Outcome::Retriable(report) if self.decides_on_retries(job) => {
                match self.scheduler.job_raised(executor, job, run_time, now) {
                    Raised::Ended(data) => (Some(data), Outcome::Raised(report)),
                    Raised::Again | Raised::Unknown => return false,
                }
            }
            outcome => {
                let data = self.scheduler.job_failed(executor, job, run_time, now);
                (data, outcome)
            }
        };
        self.take_end(job, data, outcome, ran, now)
    }

    /// A job has ended like this, if the scheduler knows of it; whether it does.
    fn take_end(
        &mut self,
        job: JobId,
        data: Option<Arc<Job>>,
        outcome: Outcome,
        ran: Ran,
        now: Time,
    ) -> bool {
        let Some(data) = data else {
            return false;
        };
        if !self.stopped.is_empty() {
            self.how_stopped(job);
        }
        self.totals.add(ran.run_time);
        let is_kept = outcome.report().is_some_and(Report::is_kept);
        self.end(&data, outcome, ran, now);
        if is_kept {
            self.bring_if_dear(&data);
        }
        true
    }

    /// A job that this worker runs was asked to end. If it does not, nobody else will tell how
    /// it ran.
    pub(super) fn note_stop(&mut self, job: JobId, worker: u32) {
        let ran = Ran {
            run_time: Duration::ZERO,
            worker,
            site: HERE,
            attempts: 1 + self.scheduler.failed_attempts(job),
        };
        let since = self.scheduler.runs_since(job);
        self.stopped.entry(job).or_insert(Stop {
            ran,
            printed: None,
            since,
        });
    }

    /// How a job ran last that was ended from outside, and what it printed, now that it has
    /// ended.
    pub(super) fn how_stopped(&mut self, job: JobId) -> Option<(Ran, Option<Report>)> {
        let stop = self.stopped.remove(&job)?;
        let now = self.now();
        let since = stop.since.map(|since| now.saturating_duration_since(since));
        let ran = Ran {
            run_time: since.unwrap_or(stop.ran.run_time),
            ..stop.ran
        };
        Some((ran, stop.printed))
    }

    /// Whether it is for this server to say whether a job is tried again, and not for a parent.
    fn decides_on_retries(&self, job: JobId) -> bool {
        let data = self.scheduler.data(job);
        data.is_some_and(|data| data.origin() != Origin::Uplink)
    }

    /// Queues a job of this process. Its effects are still to be applied.
    pub(super) fn submit(&mut self, job: Arc<Job>, now: Time) {
        let (function, number) = (job.function().id(), job.number());
        let has_inputs = job.origin() == Origin::HereOnTerms && !self.links.nodes.is_empty();
        let inputs = if has_inputs { job.inputs() } else { Vec::new() };
        let taken = match job.terms(&mut self.resources) {
            None => self.scheduler.submit(function, job, now),
            Some(Ok(terms)) => self.scheduler.submit_with(function, &terms, job, now),
            Some(Err(ending)) => self.scheduler.submit_ended(function, ending, job, now),
        };
        match taken {
            Ok(id) => {
                debug_assert_eq!(id.as_u64(), number, "jobs are named by their numbers");
                self.keep_inputs(&inputs);
            }
            Err(refused) => {
                let failure = Box::new(JobFailure::ServerDestroyed);
                self.end(&refused.data, Outcome::Failed(failure), Ran::NOT, now);
            }
        }
    }
}

impl JobFailure {
    /// Whether the job was ended from outside, so that the scheduler knows what that means.
    fn is_stop(&self) -> bool {
        matches!(self, Self::Cancelled | Self::TimedOut(_))
    }
}
