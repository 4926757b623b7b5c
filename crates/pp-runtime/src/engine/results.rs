//! What a result of a job means, wherever it comes from.

use std::sync::Arc;

use pp_core::{ExecutorId, JobId};

use super::job::Job;
use super::outcome::{JobFailure, Outcome};
use super::record::Ran;
use super::state::State;

impl State {
    /// An executor has reported how a job has come to its end, and how it ran; whether it was
    /// news. A job that was cancelled meanwhile has ended already.
    pub(super) fn take_result(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        outcome: Outcome,
        ran: Ran,
    ) -> bool {
        let now = self.now();
        let run_time = ran.run_time;
        let data = match &outcome {
            Outcome::Value(_) => self.scheduler.job_finished(executor, job, run_time, now),
            Outcome::Failed(failure) if failure.is_stop() => {
                self.scheduler.job_stopped(executor, job, run_time, now);
                return false;
            }
            _ => self.scheduler.job_failed(executor, job, run_time, now),
        };
        let Some(data) = data else {
            return false;
        };
        self.totals.add(run_time);
        self.end(&data, outcome, ran);
        true
    }

    /// Queues a job of this process. Its effects are still to be applied.
    pub(super) fn submit(&mut self, job: Arc<Job>) {
        let now = self.now();
        let (function, number) = (job.function().id(), job.number());
        let taken = match job.terms() {
            None => self.scheduler.submit(function, job, now),
            Some(Ok(terms)) => self.scheduler.submit_with(function, &terms, job, now),
            Some(Err(ending)) => self.scheduler.submit_ended(function, ending, job, now),
        };
        match taken {
            Ok(id) => debug_assert_eq!(id.as_u64(), number, "jobs are named by their numbers"),
            Err(refused) => {
                let failure = Box::new(JobFailure::ServerDestroyed);
                self.end(&refused.data, Outcome::Failed(failure), Ran::NOT);
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
