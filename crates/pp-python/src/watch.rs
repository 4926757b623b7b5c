//! Waiting for whichever of several jobs ends next.

use std::sync::Arc;
use std::time::Duration;

use pp_runtime::{Notice, Notices};
use pyo3::prelude::*;

use crate::errors::engine_error;
use crate::job::Job;
use crate::waiting::wait_with_signals;

/// Tells of ends of jobs, of any servers.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Watch {
    ended: Arc<Notices>,
}

#[pymethods]
impl Watch {
    #[new]
    fn new() -> Self {
        Self {
            ended: Arc::default(),
        }
    }

    /// Lets the end of `job` be told as `number`; false if it has ended: then it is not.
    fn add(&self, job: &Bound<'_, Job>, number: u64) -> PyResult<bool> {
        let (py, job) = (job.py(), job.get());
        if job.inner().outcome().is_some() {
            return Ok(false);
        }
        // In a forked child it would never come.
        let here = job.home().engine.check_process();
        here.map_err(|error| engine_error(py, &error))?;
        Ok(job.inner().tell(&self.ended, number))
    }

    /// Waits up to `timeout` seconds for the next end: its number, or None.
    fn next(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<u64>> {
        let timeout = timeout.and_then(|t| Duration::try_from_secs_f64(t.max(0.0)).ok());
        let mut number = None;
        let found = std::sync::Mutex::new(&mut number);
        wait_with_signals(py, timeout, |patience| match self.ended.next(patience) {
            Notice::JobEnded(number) => {
                if let Ok(mut found) = found.lock() {
                    **found = Some(number);
                }
                true
            }
            Notice::Nothing | Notice::Closed => false,
        })?;
        Ok(number)
    }
}
