//! What a job looks like from outside.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pp_runtime::{JobFailure, Outcome, Place, Report, Stage};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Job;
use crate::errors::engine_error;

impl Job {
    pub(super) fn stage(&self, py: Python<'_>) -> PyResult<Stage> {
        let engine = &self.home().engine;
        py.detach(|| engine.stage(&self.inner))
            .map_err(|error| engine_error(py, &error))
    }

    pub(super) fn is_running(&self, py: Python<'_>) -> PyResult<bool> {
        if self.inner.outcome().is_some() {
            return Ok(false);
        }
        Ok(matches!(self.stage(py)?, Stage::Running(_)))
    }

    pub(super) fn state_name(&self, py: Python<'_>) -> PyResult<&'static str> {
        if let Some(outcome) = self.inner.outcome() {
            return Ok(name_of(outcome));
        }
        Ok(match self.stage(py)? {
            Stage::Queued => "queued",
            Stage::Running(_) => "running",
            // Just now.
            Stage::Ended(_) => self.inner.outcome().map_or("finished", name_of),
        })
    }

    pub(super) fn own_name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        if self.has_name.load(Ordering::Relaxed)
            && let Some(name) = self.home().names.lock().get(&self.inner.number())
        {
            return Ok(name.clone_ref(py));
        }
        Ok(self
            .inner
            .function()
            .name()
            .into_pyobject(py)?
            .into_any()
            .unbind())
    }

    pub(super) fn place(&self, py: Python<'_>) -> PyResult<Option<Place>> {
        Ok(match self.stage(py)? {
            Stage::Queued => None,
            Stage::Running(place) => Some(place),
            Stage::Ended(past) => past.place,
        })
    }

    pub(super) fn attempts_so_far(&self, py: Python<'_>) -> PyResult<u32> {
        Ok(match self.stage(py)? {
            Stage::Queued => 0,
            Stage::Running(_) => 1,
            Stage::Ended(past) => past.attempts,
        })
    }

    pub(super) fn time_of_submission(&self) -> f64 {
        ago(self.home().engine.age(&self.inner))
    }

    pub(super) fn time_of_start(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(match self.stage(py)? {
            Stage::Ended(past) if past.place.is_some() => Some(ago(past.age + past.run_time)),
            _ => None,
        })
    }

    pub(super) fn time_of_end(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        Ok(match self.stage(py)? {
            Stage::Ended(past) => Some(ago(past.age)),
            _ => None,
        })
    }

    /// With lone surrogates, if there are any; a node may send anything.
    pub(super) fn printed_text<'py>(
        &self,
        py: Python<'py>,
        part: impl Fn(&Report) -> &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let report = self.inner.outcome().and_then(Outcome::report);
        let bytes = PyBytes::new(py, report.map_or(&[], part));
        let decode = |errors| bytes.call_method1(intern!(py, "decode"), ("utf-8", errors));
        decode("surrogatepass").or_else(|_| decode("replace"))
    }

    /// What one wants to know at a prompt.
    pub(super) fn describe(&self, py: Python<'_>) -> PyResult<String> {
        let name = self.own_name(py)?;
        let name = name.bind(py).str()?;
        let group = self.group.get().name(py);
        let group = group.bind(py).repr()?;
        let how = match self.inner.outcome() {
            Some(outcome) => name_of(outcome).to_owned(),
            None => self.describe_stage(py)?,
        };
        let number = self.inner.number();
        Ok(format!("<pp.Job {number} {name} {how}, group {group}>"))
    }

    fn describe_stage(&self, py: Python<'_>) -> PyResult<String> {
        let engine = &self.home().engine;
        if engine.check_process().is_err() {
            return Ok("of another process".into());
        }
        Ok(match self.stage(py)? {
            Stage::Queued => "queued".into(),
            Stage::Running(Place { node, worker }) => match worker {
                Some(worker) => format!("running at {node}, process {worker}"),
                None => format!("running at {node}"),
            },
            Stage::Ended(_) => self.inner.outcome().map_or("finished", name_of).into(),
        })
    }
}

fn name_of(outcome: &Outcome) -> &'static str {
    match (outcome, outcome.failure()) {
        (Outcome::Value(_), _) => "finished",
        (_, Some(JobFailure::Cancelled | JobFailure::DependencyCancelled(_))) => "cancelled",
        _ => "failed",
    }
}

/// The time so long ago, in seconds since the epoch.
fn ago(age: Duration) -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().saturating_sub(age).as_secs_f64()
}
