//! What can be asked for a job beyond the plain.

use std::sync::Arc;
use std::time::Duration;

use pp_runtime::{Asked, Job as RuntimeJob};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::job::Job;

/// What is asked for a job beyond the plain. Whoever makes it has checked it.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Terms {
    time_limit: Option<Duration>,
    after: Vec<Arc<RuntimeJob>>,
}

#[pymethods]
impl Terms {
    /// `time_limit` is in seconds; `after` are jobs of the server that gets the job.
    #[new]
    #[pyo3(signature = (*, time_limit, after))]
    fn new(time_limit: Option<f64>, after: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let jobs = after.iter().map(|job| {
            let job = job.cast::<Job>()?;
            Ok(Arc::clone(job.get().inner()))
        });
        Ok(Self {
            // One too long to tell is none.
            time_limit: time_limit.and_then(|limit| Duration::try_from_secs_f64(limit).ok()),
            after: jobs.collect::<PyResult<_>>()?,
        })
    }
}

impl Terms {
    pub(crate) fn asked(&self, inputs: Vec<Arc<RuntimeJob>>) -> Asked {
        Asked {
            time_limit: self.time_limit,
            after: self.after.clone(),
            inputs,
        }
    }
}
