//! A submitted job for Python.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pp_runtime::{Job as RuntimeJob, JobFailure, Outcome, Parcel, Report};
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};

use crate::engine::Home;
use crate::errors::engine_error;
use crate::failures::{exception_of, failure_to_python};
use crate::gathering::{self, Refusal};
use crate::group::Group;
use crate::untracked;

mod ending;
mod source;
mod view;
mod waiting;

/// What a failed job consisted of: its function, its arguments, what they refer to.
type Record<'py> = (
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Vec<Bound<'py, PyBytes>>,
);

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
    /// Whether something is to be done at its end, which the server knows.
    has_callbacks: AtomicBool,
    /// Whether it has a name of its own, which the server knows.
    has_name: AtomicBool,
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
            has_callbacks: AtomicBool::new(false),
            has_name: AtomicBool::new(false),
        };
        untracked::new(py, job)
    }

    pub(crate) fn inner(&self) -> &Arc<RuntimeJob> {
        &self.inner
    }

    /// Whether it is a job of this server.
    pub(crate) fn is_of(&self, home: &Arc<Home>) -> bool {
        Arc::ptr_eq(&self.group.get().home, home)
    }

    pub(crate) fn home(&self) -> &Home {
        &self.group.get().home
    }
}

#[pymethods]
#[allow(clippy::doc_markdown)] // Python's docstrings
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

    /// Waits for the job and returns what its function returned, or raises what it raised, or
    /// a `JobError` that says why it could not run to its end, whatever `errors=` of the server
    /// is. What the job printed appears on standard output the first time.
    ///
    /// Args:
    ///     timeout: how many seconds to wait at the most; None for any time.
    ///
    /// Raises:
    ///     TimeoutError: it has not ended in that time. It goes on.
    ///     JobCancelled: it was cancelled.
    #[pyo3(signature = (timeout=None))]
    fn result(this: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let py = this.py();
        let job = this.get();
        let left = job.wait_within(py, timeout)?;
        job.run_callback(this)?;
        let value = job.result_or_raise(py, left)?;
        untracked::track_with(this, value.bind(py));
        Ok(value)
    }

    /// Waits for the job and returns what it raised, or the `JobError` that says why it could
    /// not run to its end; None if it returned.
    ///
    /// Args:
    ///     timeout: how many seconds to wait at the most; None for any time.
    ///
    /// Raises:
    ///     TimeoutError: it has not ended in that time. It goes on.
    ///     JobCancelled: it was cancelled.
    #[pyo3(signature = (timeout=None))]
    fn exception(this: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let py = this.py();
        let job = this.get();
        let left = job.wait_within(py, timeout)?;
        job.run_callback(this)?;
        job.failure(py, left)
    }

    /// Ends the job: one that waits is dropped; in one that runs, `JobInterrupted` is raised,
    /// and its worker is killed and replaced if that does not end it within a second. No other
    /// job is touched. `result()` raises `JobCancelled` once it is over.
    ///
    /// Returns:
    ///     False if the job had ended before. If True, it may still end in its own way.
    fn cancel(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.home().engine.cancel(&self.inner))
            .map_err(|error| engine_error(py, &error))
    }

    /// Whether the job has ended by being cancelled.
    fn cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    /// Whether the job has ended, in whatever way.
    fn done(&self) -> bool {
        self.inner.outcome().is_some()
    }

    /// Whether the job runs at the moment, as far as is known.
    fn running(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_running(py)
    }

    /// Calls `fn(job)` when the job has ended, in whatever way: in a thread of the server's, or
    /// at once in this one if it has ended. What it raises is logged.
    #[pyo3(signature = (r#fn, /))]
    fn add_done_callback(this: &Bound<'_, Self>, r#fn: &Bound<'_, PyAny>) -> PyResult<()> {
        this.get().when_done(this, r#fn)
    }

    /// In asyncio: the result, without blocking the event loop. If the awaiting task is
    /// cancelled, so is the job.
    fn __await__<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let hook = this.py().import("pp._futures.awaiting")?;
        hook.getattr("wait_for")?.call1((this,))
    }

    /// "queued", "running", "finished", "failed" or "cancelled".
    #[getter]
    fn state(&self, py: Python<'_>) -> PyResult<&'static str> {
        self.state_name(py)
    }

    /// What the job is called: by default as its function.
    #[getter]
    fn name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.own_name(py)
    }

    /// What the job printed on standard output; empty until it has ended.
    #[getter]
    fn stdout<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.printed_text(py, Report::output)
    }

    /// What the job wrote to standard error, the last megabyte of it; empty until it has ended.
    #[getter]
    fn stderr<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.printed_text(py, Report::errors)
    }

    /// The machine that runs the job or has run it, "local" or the name of a node; None as
    /// long as it has not begun.
    #[getter]
    fn node(&self, py: Python<'_>) -> PyResult<Option<String>> {
        Ok(self.place(py)?.map(|place| place.node.to_string()))
    }

    /// The process that runs the job or has run it; None as long as it has not begun, and at
    /// nodes until it has ended.
    #[getter]
    fn worker_pid(&self, py: Python<'_>) -> PyResult<Option<u32>> {
        Ok(self.place(py)?.and_then(|place| place.worker))
    }

    /// How often the job was begun, as far as is known.
    #[getter]
    fn attempts(&self, py: Python<'_>) -> PyResult<u32> {
        self.attempts_so_far(py)
    }

    /// When the job was submitted, in seconds since the epoch as `time.time()`.
    #[getter]
    fn submitted_at(&self) -> f64 {
        self.time_of_submission()
    }

    /// When the job began, for the last time, in seconds since the epoch; None if it has not,
    /// or if nobody knows.
    #[getter]
    fn started_at(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.time_of_start(py)
    }

    /// When the end of the job was known here, in seconds since the epoch; None if it has not
    /// ended.
    #[getter]
    fn finished_at(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        self.time_of_end(py)
    }

    /// Runs the failed job again, in this process and under the debugger, with the very
    /// arguments that it had. The debugger begins where it raises.
    ///
    /// Args:
    ///     step: whether to stop at the job's first line instead.
    ///
    /// Returns:
    ///     What it returns this time; None if it raises again, once the debugger is left.
    ///
    /// Raises:
    ///     PPError: it has not ended, has ended well, or was never run.
    #[pyo3(signature = (*, step=false))]
    fn debug<'py>(this: &Bound<'py, Self>, step: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let record = py.import("pp._replay.recording")?;
        let record = record.call_method1("of_job", (this,))?;
        py.import("pp._replay.debugging")?
            .call_method1("debug", (record, step))
    }

    /// Saves the failed job with all that it needs, to be run again later or elsewhere:
    /// `pp replay path` does so, in the debugger.
    ///
    /// Args:
    ///     path: the file, which is replaced if it is there. It holds the arguments as they
    ///         are: keep it as secret as these.
    ///
    /// Raises:
    ///     PPError: it has not ended, has ended well, or was never run.
    ///     OSError: the file cannot be written.
    fn save(this: &Bound<'_, Self>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let module = this.py().import("pp._replay.recording")?;
        let record = module.call_method1("of_job", (this,))?;
        module.call_method1("save", (record, path))?;
        Ok(())
    }

    /// The function, the arguments, and what these refer to, as bytes; None if they are not
    /// kept.
    fn _record<'py>(&self, py: Python<'py>) -> PyResult<Option<Record<'py>>> {
        self.bring_inputs(py)?;
        let Some(args) = self.inner.args_of_failed() else {
            return Ok(None);
        };
        let mut parts = Vec::new();
        for part in args.parts() {
            let content = py.detach(|| part.content())?;
            parts.push(PyBytes::new(py, &content));
        }
        let function = PyBytes::new(py, self.inner.function().blob());
        Ok(Some((function, PyBytes::new(py, &args), parts)))
    }

    /// As an argument of another job of its server, or anywhere within one: its result.
    fn __reduce_ex__<'py>(
        &self,
        py: Python<'py>,
        _protocol: u8,
    ) -> PyResult<(Bound<'py, PyAny>, (usize,))> {
        let slot = gathering::add_input(&self.group.get().home, &self.inner);
        let slot = slot.map_err(|refusal| {
            PyTypeError::new_err(match refusal {
                Refusal::Nobody => {
                    "a pp.Job travels only as an argument of a job of its server, or within \
                     one, and arrives as its result; elsewhere use what job() returns"
                }
                Refusal::Put => "a pp.Job cannot be put into a server; put what job() returns",
                Refusal::OtherServer => "this pp.Job is another server's; give what job() returns",
            })
        })?;
        let resolve = py.import(intern!(py, "pp._refs"))?;
        Ok((resolve.getattr(intern!(py, "result_of"))?, (slot,)))
    }

    /// Lets the end of the job be told by `Engine.next_notice`; false if it has ended.
    fn _announce(&self) -> bool {
        self.has_callbacks.store(true, Ordering::Relaxed);
        self.inner.want_here();
        let notices = self.home().engine.notices();
        self.inner.tell(notices, self.inner.number())
    }

    /// Ends the job, as cancelled, unless it may have begun; whether it was ended.
    fn _withdraw(&self, py: Python<'_>) -> PyResult<bool> {
        py.detach(|| self.home().engine.withdraw_job(&self.inner))
            .map_err(|error| engine_error(py, &error))
    }

    /// Whether the result of the job, which has ended, lies at a node: `result()` has to wait
    /// for it.
    fn _is_away(&self) -> bool {
        self.inner.is_away()
    }

    /// Brings the result of the job, which has ended, if it lies at a node; waits for so many
    /// seconds at the most, and then raises `TimeoutError`.
    fn _bring(&self, py: Python<'_>, patience: f64) -> PyResult<()> {
        self.source(py, Duration::try_from_secs_f64(patience).ok())?;
        Ok(())
    }

    /// Gives the job a name of its own.
    fn _set_name(&self, name: Py<PyAny>) {
        self.has_name.store(true, Ordering::Relaxed);
        self.home().names.lock().insert(self.inner.number(), name);
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
        let source = self.source(py, None)?;
        let outcome = source.outcome()?;
        let report = outcome.report();
        let (how, value) = match outcome {
            Outcome::Value(report) => match self.load(py, report) {
                Ok(value) => ("value", value),
                Err(error) => ("unreadable", self.unreadable(py, error)?),
            },
            Outcome::Failed(_) | Outcome::Stopped(_) => ("failed", exception_of(py, outcome)?),
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
        self.describe(py)
    }

    /// For notebooks.
    fn _repr_html_<'py>(this: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let hook = this.py().import(intern!(this.py(), "pp._futures.card"))?;
        hook.getattr("card")?.call1((this,))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if *self.has_name.get_mut() {
            let name = self.home().names.lock().remove(&self.inner.number());
            drop(name);
        }
    }
}
