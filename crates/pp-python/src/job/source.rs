//! Where the result of a job is that has ended: it may lie at a node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pp_runtime::sync::Mutex;
use pp_runtime::{Brought, Job as RuntimeJob, Outcome};
use pyo3::exceptions::PyTimeoutError;
use pyo3::prelude::*;

use super::Job;
use crate::errors::{engine_error, internal, raise};
use crate::waiting::wait_with_signals;

/// What holds the result of a job, all of it here.
pub(super) enum Source<'a> {
    /// The job.
    Own(&'a Outcome),
    /// Another one, which has made it again after it was lost with its node.
    Other(Arc<RuntimeJob>),
}

impl Source<'_> {
    pub(super) fn outcome(&self) -> PyResult<&Outcome> {
        match self {
            Self::Own(outcome) => Ok(outcome),
            Self::Other(job) => job
                .outcome()
                .ok_or_else(|| internal("a result was taken before it was made again")),
        }
    }
}

impl Job {
    /// How the job ended, with all of its result here: brings it if it lies at a node.
    pub(super) fn source(
        &self,
        py: Python<'_>,
        patience: Option<Duration>,
    ) -> PyResult<Source<'_>> {
        let outcome = self.ended()?;
        if !self.inner.is_away() {
            return Ok(Source::Own(outcome));
        }
        let brought = self.bring(py, &self.inner, patience)?;
        match brought {
            Some(Brought::Here(job)) => Ok(Source::Other(job)),
            Some(Brought::Gone) => {
                let what = self.describe(py)?;
                let text = format!(
                    "the result was left at a node, for other jobs, and the server was destroyed \
                     before anybody asked for it: {what}"
                );
                Err(raise(py, "DestroyedServerError", text))
            }
            Some(Brought::NotYet) | None => {
                let what = self.describe(py)?;
                let text = format!("the result was not brought in time from its node: {what}");
                Err(PyTimeoutError::new_err(text))
            }
        }
    }

    /// Brings the result of a job that has ended; none if patience was over before.
    fn bring(
        &self,
        py: Python<'_>,
        job: &Arc<RuntimeJob>,
        patience: Option<Duration>,
    ) -> PyResult<Option<Brought>> {
        let engine = &self.home().engine;
        let (anew, result) = (AtomicBool::new(true), Mutex::new(None));
        wait_with_signals(py, patience, |patience| {
            let brought = engine.bring(job, patience, anew.swap(false, Ordering::Relaxed));
            let is_over = !matches!(brought, Ok(Brought::NotYet));
            if is_over {
                *result.lock() = Some(brought);
            }
            is_over
        })?;
        let result = result.lock().take().transpose();
        result.map_err(|error| engine_error(py, &error))
    }

    /// Brings the results here that a failed job had among its arguments.
    pub(super) fn bring_inputs(&self, py: Python<'_>) -> PyResult<()> {
        for input in self.inner.inputs() {
            // One that has not ended well was no argument: the job has not run.
            if matches!(input.outcome(), Some(Outcome::Value(_))) {
                self.bring(py, &input, None)?;
            }
        }
        Ok(())
    }
}
