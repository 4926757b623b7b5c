//! Groups of jobs for Python.

use std::sync::Arc;
use std::time::Duration;

use pp_runtime::Group as RuntimeGroup;
use pyo3::prelude::*;

use crate::engine::Home;
use crate::errors::raise;
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
