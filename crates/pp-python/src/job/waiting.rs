//! Waiting for a job, and what is done at its end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pp_runtime::Attention;
use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::Job;
use crate::errors::engine_error;
use crate::waiting::wait_with_signals;

/// How long a waiter looks out for the end of a short job before it lets go of the GIL: to
/// get it back from a busy thread takes 5 ms.
const GLANCE: Duration = Duration::from_micros(10);

impl Job {
    pub(super) fn wait_for_end(&self, py: Python<'_>) -> PyResult<()> {
        self.wait_at_most(py, None)?;
        Ok(())
    }

    /// Waits for the end, for so many seconds at the most: then raises `TimeoutError`. How much
    /// of that is left.
    pub(super) fn wait_within(
        &self,
        py: Python<'_>,
        timeout: Option<f64>,
    ) -> PyResult<Option<Duration>> {
        let patience = match timeout {
            Some(seconds) if seconds.is_nan() => {
                return Err(PyValueError::new_err("timeout must be a number of seconds"));
            }
            // One too long to tell is none.
            Some(seconds) => Duration::try_from_secs_f64(seconds.max(0.0)).ok(),
            None => None,
        };
        let Some(patience) = patience else {
            self.wait_at_most(py, None)?;
            return Ok(None);
        };
        let begun = Instant::now();
        if self.wait_at_most(py, Some(patience))? {
            return Ok(Some(patience.saturating_sub(begun.elapsed())));
        }
        let seconds = timeout.unwrap_or_default();
        let what = self.describe(py)?;
        let text = format!("the job has not ended within {seconds} s: {what}");
        Err(PyTimeoutError::new_err(text))
    }

    /// Waits for the end or until patience is over; whether the job has ended.
    fn wait_at_most(&self, py: Python<'_>, patience: Option<Duration>) -> PyResult<bool> {
        if self.inner.outcome().is_some() {
            return Ok(true);
        }
        let engine = &self.home().engine;
        engine
            .check_process()
            .map_err(|error| engine_error(py, &error))?;
        let attention = engine.glance(&self.inner, GLANCE);
        if attention == Attention::Ended {
            return Ok(true);
        }
        wait_with_signals(py, patience, |patience| {
            let may_end = attention == Attention::NotYet;
            may_end && engine.look_out(&self.inner) == Attention::Ended
                || engine.wait_for(&self.inner, patience)
        })
    }

    /// Who runs the job's callbacks, if it has any.
    pub(super) fn callbacks<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        if self.has_callbacks.load(Ordering::Relaxed) {
            self.home().callbacks(py)
        } else {
            None
        }
    }

    /// Runs the callback that was given to `submit`, or waits for its end.
    pub(super) fn run_callback(&self, this: &Bound<'_, Self>) -> PyResult<()> {
        if let Some(runner) = self.callbacks(this.py()) {
            runner.call_method1("run", (this,))?;
        }
        Ok(())
    }

    pub(super) fn when_done(
        &self,
        this: &Bound<'_, Self>,
        function: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = this.py();
        if !function.is_callable() {
            let kind = function.get_type().name()?;
            let text = format!("a callback must be callable, not {kind}");
            return Err(PyTypeError::new_err(text));
        }
        if let Some(runner) = self.home().callbacks(py) {
            runner.call_method1("add", (this, function))?;
            return Ok(());
        }
        // Its server is not referred to any more and has ended, and so has the job.
        py.import("pp._callbacks")?
            .call_method1("run_now", (this, function))?;
        Ok(())
    }
}
