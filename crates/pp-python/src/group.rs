//! Groups of jobs for Python.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use pp_runtime::Group as RuntimeGroup;
use pyo3::prelude::*;

use crate::engine::Home;
use crate::errors::{engine_error, raise};
use crate::waiting::wait_with_signals;

/// A group of jobs that can be waited for.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Group {
    pub(crate) inner: Arc<RuntimeGroup>,
    name: Py<PyAny>,
    pub(crate) home: Arc<Home>,
}

impl Group {
    pub(crate) fn new(inner: Arc<RuntimeGroup>, name: Py<PyAny>, home: Arc<Home>) -> Self {
        Self { inner, name, home }
    }
}

#[pymethods]
impl Group {
    /// The name under which it was made.
    #[getter]
    pub(crate) fn name(&self, py: Python<'_>) -> Py<PyAny> {
        self.name.clone_ref(py)
    }

    /// How many of its jobs have not ended.
    #[getter]
    fn pending(&self) -> usize {
        self.inner.pending()
    }

    /// Ends those of its jobs that have not begun. Nobody is to ask for their results.
    fn withdraw(&self, py: Python<'_>) {
        py.detach(|| self.home.engine.withdraw(&self.inner));
    }

    /// Sets what its jobs get, from the next one on, in proportion to others, and how many of
    /// them may be with executors at a time.
    #[pyo3(signature = (weight, limit))]
    fn set_share(&self, py: Python<'_>, weight: NonZeroU32, limit: Option<u32>) -> PyResult<()> {
        py.detach(|| self.home.engine.set_group_share(&self.inner, weight, limit))
            .map_err(|error| engine_error(py, &error))
    }

    /// Ends all its jobs, wherever they are; how many there were.
    fn cancel(&self, py: Python<'_>) -> PyResult<usize> {
        py.detach(|| self.home.engine.cancel_group(&self.inner))
            .map_err(|error| engine_error(py, &error))
    }

    /// Blocks until fewer than `count` of its jobs are pending, or `timeout` seconds
    /// are over; whether that is so.
    #[pyo3(signature = (count, timeout))]
    fn wait_below(&self, py: Python<'_>, count: usize, timeout: Option<f64>) -> PyResult<bool> {
        if self.inner.pending() < count {
            return Ok(true);
        }
        // One too long to tell is none.
        let timeout = timeout.and_then(|t| Duration::try_from_secs_f64(t.max(0.0)).ok());
        wait_with_signals(py, timeout, |patience| {
            self.inner.wait_below(count, patience)
        })
    }

    /// Blocks until none of its jobs is pending. Raises `DestroyedServerError` if
    /// the server was destroyed while some were, also if that was before.
    fn wait(&self, py: Python<'_>) -> PyResult<()> {
        if self.inner.pending() > 0 {
            wait_with_signals(py, None, |patience: Duration| self.inner.wait(patience))?;
        }
        if self.inner.aborted() {
            return Err(raise(
                py,
                "DestroyedServerError",
                "the server was destroyed before the jobs had ended".into(),
            ));
        }
        Ok(())
    }
}
