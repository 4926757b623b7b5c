//! A submitted job for Python.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pp_runtime::{Attention, Job as RuntimeJob, JobFailure, Outcome, Parcel, Region, Report};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyModule};
use pyo3::{PyTraverseError, PyVisit};

use crate::big;
use crate::engine::Home;
use crate::errors::{engine_error, internal, raise};
use crate::group::Group;
use crate::pickling;
use crate::untracked;
use crate::waiting::wait_with_signals;

/// How long a waiter looks out for the end of a short job before it lets go of the GIL: to
/// get it back from a busy thread takes 5 ms.
const GLANCE: Duration = Duration::from_micros(10);

/// A submitted job. Call it for its result.
///
/// Small, and unknown to the garbage collector: a million of them may wait.
#[pyclass(frozen, weakref, module = "pp", name = "Job", generic)]
pub(crate) struct Job {
    inner: Arc<RuntimeJob>,
    group: Py<Group>,
    /// What the call returns. An exception is made anew by each call: kept here, its
    /// traceback would keep the caller's frame, and so the job itself, for ever.
    value: OnceLock<Py<PyAny>>,
    printed: AtomicBool,
}

impl Job {
    #[inline]
    pub(crate) fn new(
        py: Python<'_>,
        inner: Arc<RuntimeJob>,
        group: Py<Group>,
    ) -> PyResult<Bound<'_, Self>> {
        let job = Self {
            inner,
            group,
            value: OnceLock::new(),
            printed: AtomicBool::new(false),
        };
        untracked::new(py, job)
    }

    fn home(&self) -> &Home {
        &self.group.get().home
    }
}

#[pymethods]
impl Job {
    /// Waits for the job and returns what its function returned, or raises what it
    /// raised, or a `JobError` that says why it could not run to its end. What the
    /// job printed appears on standard output the first time.
    ///
    /// With `raw_result` true, returns the pickled pair (result, output) as bytes
    /// instead, and prints nothing.
    #[pyo3(signature = (raw_result=false))]
    fn __call__(this: &Bound<'_, Self>, raw_result: bool) -> PyResult<Py<PyAny>> {
        let py = this.py();
        let job = this.get();
        job.wait_for_end(py)?;
        job.run_callback(this)?;
        if raw_result {
            return job.raw(py);
        }
        let value = job.collect(py)?;
        untracked::track_with(this, value.bind(py));
        Ok(value)
    }

    /// Waits until the job has ended and its callback has run. Raises
    /// `DestroyedServerError` if the server was destroyed before; other failures are
    /// for the call to raise.
    fn wait(this: &Bound<'_, Self>) -> PyResult<()> {
        let py = this.py();
        let job = this.get();
        job.wait_for_end(py)?;
        let failure = job.inner.outcome().and_then(Outcome::failure);
        if let Some(failure @ JobFailure::ServerDestroyed) = failure {
            return Err(PyErr::from_value(failure_to_python(py, failure)?));
        }
        job.run_callback(this)
    }

    /// Whether the job has ended and its callback, if any, has run.
    #[getter]
    fn finished(this: &Bound<'_, Self>) -> PyResult<bool> {
        let (py, job) = (this.py(), this.get());
        if job.inner.outcome().is_none() {
            return Ok(false);
        }
        match job.callbacks(py) {
            None => Ok(true),
            Some(runner) => runner.call_method1("is_done", (this,))?.extract(),
        }
    }

    /// The job's number, from 0, in the order of submission.
    #[getter]
    fn tid(&self) -> u64 {
        self.inner.number()
    }

    /// The group that the job was submitted to.
    #[getter]
    fn group(&self, py: Python<'_>) -> Py<PyAny> {
        self.group.get().name(py)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(self.value.get())
    }

    /// Whether the job ended by returning.
    #[getter]
    fn _succeeded(&self) -> bool {
        matches!(self.inner.outcome(), Some(Outcome::Value(_)))
    }

    /// How the job ended, which it has: "value", "raised", "failed" or "unreadable"; what
    /// it returned, or the exception that tells why there is nothing; what it printed;
    /// and how many bytes long the result was. Prints nothing, raises nothing of the
    /// job's.
    fn _report<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(&'static str, Bound<'py, PyAny>, Bound<'py, PyBytes>, usize)> {
        let outcome = self.ended()?;
        let report = outcome.report();
        let (how, value) = match outcome {
            Outcome::Value(report) => match self.load(py, report) {
                Ok(value) => ("value", value),
                Err(error) => ("unreadable", self.unreadable(py, error)?),
            },
            Outcome::Failed(_) => ("failed", exception_of(py, outcome)?),
            _ => ("raised", exception_of(py, outcome)?),
        };
        let printed = PyBytes::new(py, report.map_or(&[], Report::output));
        Ok((
            how,
            value,
            printed,
            report.map_or(0, |r| Parcel::weight(r.body())),
        ))
    }

    /// How many bytes the arguments are; 0 once the job has ended.
    #[getter]
    fn _args_len(&self) -> usize {
        self.inner.args_len()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let state = match self.inner.outcome() {
            None => "pending",
            Some(Outcome::Value(_)) => "finished",
            Some(Outcome::Raised(_)) => "raised",
            Some(Outcome::Unserializable(_) | Outcome::Failed(_)) => "failed",
        };
        let group = self.group.get().name(py);
        let group = group.bind(py).repr()?;
        Ok(format!(
            "<pp.Job {} {state}, group {group}>",
            self.inner.number()
        ))
    }
}

impl Job {
    fn wait_for_end(&self, py: Python<'_>) -> PyResult<()> {
        if self.inner.outcome().is_some() {
            return Ok(());
        }
        let engine = &self.home().engine;
        engine
            .check_process()
            .map_err(|error| engine_error(py, &error))?;
        let attention = engine.glance(&self.inner, GLANCE);
        if attention == Attention::Ended {
            return Ok(());
        }
        wait_with_signals(py, None, |patience| {
            let may_end = attention == Attention::NotYet;
            may_end && engine.look_out(&self.inner) == Attention::Ended
                || engine.wait_for(&self.inner, patience)
        })?;
        Ok(())
    }

    /// Who runs the job's callback, if it has one.
    fn callbacks<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        if self.inner.announced() {
            self.home().callbacks(py)
        } else {
            None
        }
    }

    fn run_callback(&self, this: &Bound<'_, Self>) -> PyResult<()> {
        if let Some(runner) = self.callbacks(this.py()) {
            runner.call_method1("run", (this,))?;
        }
        Ok(())
    }

    fn collect(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let outcome = self.ended()?;
        if let Some(report) = outcome.report()
            && !report.output().is_empty()
            && !self.printed.swap(true, Ordering::Relaxed)
        {
            print(py, report)?;
        }
        if let Some(value) = self.value.get() {
            return Ok(value.clone_ref(py));
        }
        // Not under a lock: it may run any code. Of two threads that do it at once, one
        // is heeded.
        let value = self.evaluate(py, outcome)?;
        let _ = self.value.set(value.clone_ref(py));
        Ok(self
            .value
            .get()
            .map_or(value, |heeded| heeded.clone_ref(py)))
    }

    fn evaluate(&self, py: Python<'_>, outcome: &Outcome) -> PyResult<Py<PyAny>> {
        let Outcome::Value(report) = outcome else {
            return self.failed(exception_of(py, outcome)?);
        };
        self.load(py, report)
            .map(Bound::unbind)
            .or_else(|error| self.failed(self.unreadable(py, error)?))
    }

    /// The exception for a result that cannot be read.
    fn unreadable<'py>(&self, py: Python<'py>, error: PyErr) -> PyResult<Bound<'py, PyAny>> {
        if !error.is_instance_of::<PyException>(py) {
            // Ctrl-C is no fault of the result.
            return Err(error);
        }
        let hook = hooks(py)?.getattr("unreadable_result")?;
        hook.call1((error.into_value(py), self.inner.number()))
    }

    fn load<'py>(&self, py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyAny>> {
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
    fn ended(&self) -> PyResult<&Outcome> {
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
    fn raw(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let Outcome::Value(report) = self.ended()? else {
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

fn hooks(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("pp._outcome")
}

/// Prints what the job printed.
fn print(py: Python<'_>, report: &Report) -> PyResult<()> {
    let output = PyBytes::new(py, report.output());
    hooks(py)?.call_method1("print_output", (output,))?;
    Ok(())
}

/// The exception for an outcome that is not a value.
fn exception_of<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyAny>> {
    match outcome {
        Outcome::Raised(report) | Outcome::Unserializable(report) => {
            hooks(py)?.call_method1("restore", (PyBytes::new(py, report.body()),))
        }
        Outcome::Failed(failure) => failure_to_python(py, failure),
        Outcome::Value(_) => Err(internal("a value was taken for a failure")),
    }
}

fn failure_to_python<'py>(py: Python<'py>, failure: &JobFailure) -> PyResult<Bound<'py, PyAny>> {
    let details = PyDict::new(py);
    let exit = match failure {
        JobFailure::WorkerDied { deaths, last } => {
            details.set_item("deaths", deaths)?;
            Some(last)
        }
        JobFailure::NoWorker { reason, last } => {
            details.set_item("reason", reason)?;
            last.as_ref()
        }
        JobFailure::NodeLost { losses, node, why } => {
            details.set_item("losses", losses)?;
            details.set_item("node", &**node)?;
            details.set_item("why", &**why)?;
            return hooks(py)?.call_method("node_lost", (), Some(&details));
        }
        JobFailure::NobodyLeft(_) => {
            let error = raise(py, "NodeLost", format!("the job was not run: {failure}"));
            return Ok(error.into_value(py).into_bound(py).into_any());
        }
        JobFailure::Reported { text } => {
            return Ok(raise(py, "JobError", text.clone())
                .into_value(py)
                .into_bound(py)
                .into_any());
        }
        JobFailure::ServerDestroyed | JobFailure::Cancelled => {
            let error = raise(py, "DestroyedServerError", failure.to_string());
            return Ok(error.into_value(py).into_bound(py).into_any());
        }
    };
    if let Some(exit) = exit {
        details.set_item("pid", exit.pid)?;
        details.set_item("exitcode", exit.status.code())?;
        details.set_item("signal", exit.status.signal_name())?;
        details.set_item("stderr", &exit.stderr)?;
        details.set_item("killed_because", &exit.killed_because)?;
        details.set_item("oom_suspected", exit.oom_suspected)?;
    }
    let hook = match failure {
        JobFailure::NoWorker { .. } => "no_worker",
        _ => "worker_died",
    };
    hooks(py)?.call_method(hook, (), Some(&details))
}
