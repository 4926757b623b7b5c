//! What can be asked for a job beyond the plain.

use std::sync::Arc;
use std::time::Duration;

use pp_runtime::{Asked, Job as RuntimeJob, Needs, Retries, Wishes};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::engine::Home;
use crate::job::Job;

/// What is asked for a job beyond the plain. Whoever makes it has checked it.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Terms {
    wishes: Arc<Wishes>,
    after: Vec<Py<Job>>,
}

/// Seconds as a duration; one too long to tell is none.
fn duration(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok()
}

#[pymethods]
impl Terms {
    /// `time_limit` and pauses are in seconds; `after` are jobs of the server that gets the job.
    #[new]
    #[pyo3(signature = (*, priority, time_limit, retries, pause, max_pause, retries_timeouts,
                        slots, amounts, after, name))]
    #[allow(clippy::too_many_arguments)] // named in Python
    fn new(
        priority: i32,
        time_limit: Option<f64>,
        retries: u32,
        pause: f64,
        max_pause: f64,
        retries_timeouts: bool,
        slots: u32,
        amounts: Vec<(String, u64)>,
        after: Vec<Py<Job>>,
        name: Option<String>,
    ) -> Self {
        let wishes = Wishes {
            priority,
            time_limit: time_limit.and_then(duration),
            retries: Retries {
                count: retries,
                pause: duration(pause).unwrap_or(Duration::MAX),
                max_pause: duration(max_pause).unwrap_or_default(),
                on_timeout: retries_timeouts,
            },
            needs: Needs {
                slots,
                amounts: amounts
                    .into_iter()
                    .map(|(name, amount)| (name.into(), amount))
                    .collect(),
            },
            name: name.map(Arc::from),
        };
        Self {
            wishes: Arc::new(wishes),
            after,
        }
    }
}

impl Terms {
    /// The same for a server. Raises `TypeError` if it is to wait for a job of another one.
    pub(crate) fn asked(&self, home: &Arc<Home>, inputs: Vec<Arc<RuntimeJob>>) -> PyResult<Asked> {
        let after = self.after.iter().map(|job| {
            let job = job.get();
            if job.is_of(home) {
                return Ok(Arc::clone(job.inner()));
            }
            let number = job.inner().number();
            Err(PyTypeError::new_err(format!(
                "after must hold jobs of this server; job {number} is another server's: wait for \
                 it before"
            )))
        });
        Ok(Asked {
            after: after.collect::<PyResult<_>>()?,
            inputs,
            wishes: Some(Arc::clone(&self.wishes)),
        })
    }
}
