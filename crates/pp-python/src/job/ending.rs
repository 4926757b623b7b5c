//! What a job has come to.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pp_runtime::{Outcome, Region, Report};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::Job;
use crate::big;
use crate::errors::internal;
use crate::failures::{exception_of, hooks, print};
use crate::pickling;

impl Job {
    /// What `job()` gives: as the server's `errors=` has it.
    pub(super) fn collect(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = self.ended()?;
        self.print_once(py, outcome)?;
        if let Some(value) = self.value.get() {
            return Ok(value.clone_ref(py));
        }
        let source = self.source(py, None)?;
        let outcome = source.outcome()?;
        match self.evaluate(py, outcome)? {
            Ok(value) => Ok(self.keep(py, value)),
            Err(exception) => {
                let value = self.failed(exception)?;
                Ok(self.keep(py, value))
            }
        }
    }

    /// What `job.result()` gives: the value, or the exception is raised.
    pub(super) fn result_or_raise(
        &self,
        py: Python<'_>,
        patience: Option<Duration>,
    ) -> PyResult<Py<PyAny>> {
        let outcome = self.ended()?;
        self.print_once(py, outcome)?;
        // Where failures are printed, None may be kept in place of a value.
        if matches!(outcome, Outcome::Value(_))
            && let Some(value) = self.value.get()
            && !value.is_none(py)
        {
            return Ok(value.clone_ref(py));
        }
        let source = self.source(py, patience)?;
        let outcome = source.outcome()?;
        match self.evaluate(py, outcome)? {
            Ok(value) => Ok(self.keep(py, value)),
            Err(exception) => Err(PyErr::from_value(exception)),
        }
    }

    /// What `job.exception()` gives.
    pub(super) fn failure(
        &self,
        py: Python<'_>,
        patience: Option<Duration>,
    ) -> PyResult<Py<PyAny>> {
        let source = self.source(py, patience)?;
        let outcome = source.outcome()?;
        let exception = match self.evaluate(py, outcome)? {
            Ok(value) => {
                self.keep(py, value);
                return Ok(py.None());
            }
            Err(exception) => exception,
        };
        if self.inner.is_cancelled() {
            return Err(PyErr::from_value(exception));
        }
        Ok(exception.unbind())
    }

    /// Keeps what a call returns. Of two threads that come at once, one is heeded.
    fn keep(&self, py: Python<'_>, value: Py<PyAny>) -> Py<PyAny> {
        let _ = self.value.set(value.clone_ref(py));
        self.value
            .get()
            .map_or(value, |heeded| heeded.clone_ref(py))
    }

    fn print_once(&self, py: Python<'_>, outcome: &Outcome) -> PyResult<()> {
        if let Some(report) = outcome.report()
            && !report.output().is_empty()
            && !self.printed.swap(true, Ordering::Relaxed)
        {
            print(py, report)?;
        }
        Ok(())
    }

    /// The value, or the exception in its place. Not under a lock: it may run any code.
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        outcome: &Outcome,
    ) -> PyResult<Result<Py<PyAny>, Bound<'py, PyAny>>> {
        let Outcome::Value(report) = outcome else {
            return Ok(Err(exception_of(py, outcome)?));
        };
        match self.load(py, report) {
            Ok(value) => Ok(Ok(value.unbind())),
            Err(error) => Ok(Err(self.unreadable(py, error)?)),
        }
    }

    /// The exception for a result that cannot be read.
    pub(super) fn unreadable<'py>(
        &self,
        py: Python<'py>,
        error: PyErr,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !error.is_instance_of::<PyException>(py) {
            // Ctrl-C is no fault of the result.
            return Err(error);
        }
        let hook = hooks(py)?.getattr("unreadable_result")?;
        hook.call1((error.into_value(py), self.inner.number()))
    }

    pub(super) fn load<'py>(
        &self,
        py: Python<'py>,
        report: &Report,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !big::is_parcel(report.body()) {
            return pickling::loads(py, report.body());
        }
        let writable = self.home().writable;
        let (message, parts) = report.message();
        let slots = py.detach(|| {
            let regions = parts.iter().map(|part| part.region(writable));
            regions.collect::<Result<Vec<_>, _>>()
        })?;
        big::load(py, &Region::of_bytes(message), &slots, writable)
    }

    /// How the job ended.
    pub(super) fn ended(&self) -> PyResult<&Outcome> {
        self.inner
            .outcome()
            .ok_or_else(|| internal("a job was collected before its end"))
    }

    /// What a failure comes to in this server: it is raised, or None.
    fn failed(&self, exception: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let raised = self.home().on_failure(exception)?;
        if raised.is_none() {
            Ok(raised.unbind())
        } else {
            Err(PyErr::from_value(raised))
        }
    }

    /// The pickled pair of result and output.
    pub(super) fn raw(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let source = self.source(py, None)?;
        let Outcome::Value(report) = source.outcome()? else {
            return self.collect(py);
        };
        let output = PyBytes::new(py, report.output());
        let raw = if big::is_parcel(report.body()) {
            let value = self.load(py, report)?;
            hooks(py)?.call_method1("raw_result_of", (value, output))?
        } else {
            let body = PyBytes::new(py, report.body());
            hooks(py)?.call_method1("raw_result", (body, output))?
        };
        Ok(raw.unbind())
    }
}
