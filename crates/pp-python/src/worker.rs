//! The worker's loop: takes jobs, runs them, answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pp_runtime::sync::Mutex;
use pp_runtime::{Blob, Current, LineError, Next, Region, Session, SessionError, Status};
use pyo3::exceptions::{PyConnectionError, PyKeyboardInterrupt, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::big::{Collector, Pickled};
use crate::errors::internal;
use crate::known::sys_namespace;
use crate::pickling;
use crate::plain::{NoJobs, Pickle};
use crate::slots;

/// A worker's session with the client that spawned it.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct WorkerSession {
    session: Mutex<Session>,
    /// Beside the session, which is taken while a job runs.
    current: Current,
    /// Whether something was written to `sys.stderr` since it was looked at.
    has_errors: Arc<AtomicBool>,
}

/// What the loop calls in Python.
struct Hooks<'py> {
    load_function: Bound<'py, PyAny>,
    dump_result: Bound<'py, PyAny>,
    describe: Bound<'py, PyAny>,
    output: Output<'py>,
    errors: Bound<'py, PyAny>,
    has_errors: Arc<AtomicBool>,
    share: Bound<'py, PyAny>,
    serialization_error: Bound<'py, PyAny>,
    protocol: u8,
    /// Whether buffers arrive as private copies that may be written to.
    writable: bool,
    current: Current,
}

/// A function that the client has sent.
struct Loaded {
    blob: Py<PyBytes>,
    /// The exceptions after which a job of it may be tried again: a tuple, or None.
    retry_on: Option<Py<PyAny>>,
    /// Kept if each job may use the same one.
    ready: Option<Py<PyAny>>,
}

#[pymethods]
impl WorkerSession {
    /// Takes the line to the client from standard input.
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let version = py.version_info();
        let session = Session::join((version.major, version.minor, version.patch));
        let session = session.map_err(|error| failed(&error))?;
        Ok(Self {
            current: session.current(),
            session: Mutex::new(session),
            has_errors: Arc::default(),
        })
    }

    /// Whether the job that runs is to end, and was not told so before. For a signal handler.
    fn is_to_end(&self) -> bool {
        self.current.is_to_end()
    }

    /// Something was written to `sys.stderr`.
    fn note_errors(&self) {
        self.has_errors.store(true, Ordering::Relaxed);
    }

    /// Waits for the settings that the client sends first.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let mut session = self.session.lock();
        match next(py, &mut session)? {
            Next::Configure(settings) => Ok(PyBytes::new(py, &settings)),
            _ => Err(internal("the client did not begin with settings")),
        }
    }

    /// Tells the client why this worker cannot be set up.
    fn fault(&self, text: &str) -> PyResult<()> {
        self.session
            .lock()
            .fault(text)
            .map_err(|error| failed(&error))
    }

    /// Runs jobs until the client asks to stop. `load_function(blob)` gives a callable with an
    /// attribute `reusable`; `dump_result(value, protocol, buffer_callback)` may raise
    /// `serialization_error`; `describe(exception)` gives bytes. `output` stands for
    /// `sys.stdout`: `output.tell()` is not 0 if something was printed since the last
    /// `output.take()`, which gives that as bytes; `errors.take()` gives what was written to
    /// `sys.stderr` if `note_errors` was called. `share.enter(cpus, memory, devices)` and
    /// `share.leave()` enclose a job that was given a share of the machine. A worker that has
    /// more than `max_memory` bytes after a job asks to be replaced.
    #[pyo3(signature = (*, load_function, dump_result, describe, output, errors, share,
                        serialization_error, protocol, writable_buffers, max_memory))]
    #[allow(clippy::too_many_arguments)] // named in Python
    fn run<'py>(
        &self,
        py: Python<'py>,
        load_function: Bound<'py, PyAny>,
        dump_result: Bound<'py, PyAny>,
        describe: Bound<'py, PyAny>,
        output: Bound<'py, PyAny>,
        errors: Bound<'py, PyAny>,
        share: Bound<'py, PyAny>,
        serialization_error: Bound<'py, PyAny>,
        protocol: u8,
        writable_buffers: bool,
        max_memory: Option<u64>,
    ) -> PyResult<()> {
        let hooks = Hooks {
            load_function,
            dump_result,
            describe,
            output: Output::new(output)?,
            errors,
            has_errors: Arc::clone(&self.has_errors),
            share,
            serialization_error,
            protocol,
            writable: writable_buffers,
            current: self.current.clone(),
        };
        let mut session = self.session.lock();
        if writable_buffers {
            session.make_private();
        }
        session.ready().map_err(|error| failed(&error))?;
        // Mostly one or a few.
        let mut functions = BTreeMap::new();
        let mut pickle = Pickle::new();
        loop {
            match next(py, &mut session)? {
                Next::Function { function, blob, .. } => {
                    let blob = PyBytes::new(py, &blob).unbind();
                    functions.insert(function, Loaded::new(blob));
                }
                Next::Forget(function) => {
                    functions.remove(&function);
                }
                Next::Job {
                    job,
                    function,
                    args,
                    segments,
                    share,
                } => {
                    let function = functions
                        .get_mut(&function)
                        .ok_or_else(|| internal("a job names an unknown function"))?;
                    // One that came before this job is not for it.
                    ignore_interrupts(py);
                    let had_segments = !segments.is_empty();
                    let is_shared = share.is_some();
                    if let Some(share) = share {
                        let given = (share.cpus, share.memory, share.devices);
                        hooks.share.call_method1(intern!(py, "enter"), given)?;
                    }
                    let answer = hooks.run_job(py, function, (args, segments), &mut pickle)?;
                    if is_shared {
                        hooks.share.call_method0(intern!(py, "leave"))?;
                    }
                    if session.is_fork() {
                        // A job forked and its child returned: only the worker answers.
                        py.import("os")?.call_method1("_exit", (0,))?;
                    }
                    send(py, &mut session, job, &answer)?;
                    drop(answer);
                    if let Some(most) = max_memory {
                        session.leave_beyond(most).map_err(|error| failed(&error))?;
                    }
                    if had_segments && session.idles_with_views().map_err(|e| failed(&e))? {
                        // Tracebacks, for one, refer to themselves.
                        py.import("gc")?.call_method0("collect")?;
                    }
                }
                Next::Shutdown => return Ok(()),
                Next::Configure(_) => return Err(internal("settings came twice")),
                Next::Nothing => {}
            }
        }
    }
}

/// What a job came to.
struct Answer<'a, 'py> {
    status: Status,
    run_time: Duration,
    body: Body<'a, 'py>,
    output: Option<Bound<'py, PyBytes>>,
    errors: Option<Bound<'py, PyBytes>>,
}

/// A result or a description.
enum Body<'a, 'py> {
    Small(&'a [u8]),
    Any(Pickled<'py>),
}

impl Loaded {
    fn new(blob: Py<PyBytes>) -> Self {
        Self {
            blob,
            retry_on: None,
            ready: None,
        }
    }

    /// Whether a job of it that has raised this may be tried again.
    fn is_retriable(&self, exception: &Bound<'_, PyAny>) -> PyResult<bool> {
        let retry_on = self.retry_on.as_ref();
        retry_on.map_or(Ok(false), |types| {
            exception.is_instance(types.bind(exception.py()))
        })
    }
}

impl<'py> From<Bound<'py, PyBytes>> for Body<'_, 'py> {
    fn from(pickle: Bound<'py, PyBytes>) -> Self {
        Self::Any(Pickled::new(pickle, None))
    }
}

/// What jobs print.
struct Output<'py> {
    stdout: Bound<'py, PyAny>,
    tell: Bound<'py, PyAny>,
    sys: &'py Bound<'py, PyDict>,
}

impl<'py> Output<'py> {
    fn new(stdout: Bound<'py, PyAny>) -> PyResult<Self> {
        let tell = stdout.getattr("tell")?;
        let sys = sys_namespace(stdout.py())?;
        Ok(Self { stdout, tell, sys })
    }

    /// What was printed since the last call.
    fn take(&self) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let py = self.stdout.py();
        let current = self.sys.get_item(intern!(py, "stdout"))?;
        // A job may have put something else there and not taken it away.
        let is_in_place = current.is_some_and(|current| current.is(&self.stdout));
        if is_in_place && self.tell.call0()?.extract::<u64>()? == 0 {
            return Ok(None);
        }
        let bytes = self.stdout.call_method0(intern!(py, "take"))?;
        Ok(Some(bytes.cast_into()?))
    }
}

impl<'py> Hooks<'py> {
    fn run_job<'a>(
        &self,
        py: Python<'py>,
        function: &mut Loaded,
        args: (Blob, Vec<Region>),
        pickle: &'a mut Pickle,
    ) -> PyResult<Answer<'a, 'py>> {
        let start = Instant::now();
        let result = if self.current.was_told() {
            // Before it began: what was raised then was raised in nothing.
            Err(PyKeyboardInterrupt::new_err(()))
        } else {
            self.call(py, function, args)
        };
        let run_time = start.elapsed();
        let (status, body) = match result.and_then(|value| self.dump(&value, pickle)) {
            Ok(body) => (Status::Value, body),
            // However it cleans up: it was cancelled, and has not returned.
            Err(_) if self.current.was_told() => (Status::Stopped, Body::Small(&[])),
            Err(error) => match self.describe_failure(py, error, function) {
                Err(_) if self.current.was_told() => (Status::Stopped, Body::Small(&[])),
                described => described?,
            },
        };
        // From here on nothing is raised, so that nothing of this job stays for the next.
        self.current.ends();
        let output = self.output.take()?;
        let errors = self.take_errors(py)?;
        Ok(Answer {
            status,
            run_time,
            body,
            output,
            errors,
        })
    }

    /// What was written to standard error since the last call.
    fn take_errors(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let stands = self.output.sys.get_item(intern!(py, "stderr"))?;
        // A job may have put something else there and not taken it away.
        let is_in_place = stands.is_some_and(|stands| stands.is(&self.errors));
        if is_in_place && !self.has_errors.load(Ordering::Relaxed) {
            return Ok(None);
        }
        self.has_errors.store(false, Ordering::Relaxed);
        let errors = self.errors.call_method0(intern!(py, "take"))?;
        Ok(Some(errors.cast_into()?))
    }

    fn call(
        &self,
        py: Python<'py>,
        function: &mut Loaded,
        args: (Blob, Vec<Region>),
    ) -> PyResult<Bound<'py, PyAny>> {
        let callable = match &function.ready {
            Some(callable) => callable.bind(py).clone(),
            None => self.load(py, function)?,
        };
        let args = self.load_args(py, args)?.cast_into::<PyTuple>()?;
        callable.call1(args)
    }

    #[inline]
    fn load_args(
        &self,
        py: Python<'py>,
        (args, segments): (Blob, Vec<Region>),
    ) -> PyResult<Bound<'py, PyAny>> {
        if segments.is_empty() && !matches!(args.first(), Some(1..=3)) {
            return pickling::loads(py, &args);
        }
        slots::load(py, args, &segments, self.writable)
    }

    fn load(&self, py: Python<'py>, function: &mut Loaded) -> PyResult<Bound<'py, PyAny>> {
        let loaded = self.load_function.call1((function.blob.bind(py),))?;
        let target = loaded.getattr("target")?;
        let retry_on = loaded.getattr("retry_on")?;
        function.retry_on = (!retry_on.is_none()).then(|| retry_on.unbind());
        if loaded.getattr("reusable")?.is_truthy()? {
            function.ready = Some(target.clone().unbind());
        }
        Ok(target)
    }

    fn dump<'a>(
        &self,
        value: &Bound<'py, PyAny>,
        pickle: &'a mut Pickle,
    ) -> PyResult<Body<'a, 'py>> {
        if let Some(pickle) = pickle.write(value, self.protocol, &mut NoJobs) {
            return Ok(Body::Small(pickle));
        }
        if pickling::is_plain(value) {
            return Pickled::plain(value, self.protocol).map(Body::Any);
        }
        let collector = Collector::new(value.py(), self.protocol)?;
        let arguments = (value, self.protocol, collector.as_ref());
        let pickle = self.dump_result.call1(arguments)?.cast_into()?;
        Ok(Body::Any(Pickled::new(pickle, collector.as_ref())))
    }

    fn describe_failure<'a>(
        &self,
        py: Python<'py>,
        error: PyErr,
        function: &Loaded,
    ) -> PyResult<(Status, Body<'a, 'py>)> {
        let exception = error.into_value(py).into_bound(py);
        let status = if exception.is_instance(&self.serialization_error)? {
            Status::Unserializable
        } else if function.is_retriable(&exception)? {
            Status::Retriable
        } else {
            Status::Raised
        };
        let body = self.describe.call1((exception,))?.cast_into::<PyBytes>()?;
        Ok((status, body.into()))
    }
}

/// If this process was started to clear up after a worker, does so and says true.
#[pyfunction]
pub(crate) fn undertake(py: Python<'_>) -> bool {
    py.detach(pp_runtime::undertake)
}

/// The next message; waits for it with the GIL released. Interrupts that come
/// while no job runs have nobody to go to.
#[inline]
fn next(py: Python<'_>, session: &mut Session) -> PyResult<Next> {
    loop {
        match session.take().map_err(|error| failed(&error))? {
            Next::Nothing => {}
            next => return Ok(next),
        }
        py.detach(|| session.wait())
            .map_err(|error| failed(&error))?;
        ignore_interrupts(py);
    }
}

fn send(py: Python<'_>, session: &mut Session, job: u64, answer: &Answer<'_, '_>) -> PyResult<()> {
    let output = answer.output.as_ref().map_or(&[][..], |o| o.as_bytes());
    let errors = answer.errors.as_ref().map_or(&[][..], |e| e.as_bytes());
    let stored;
    let body = match &answer.body {
        Body::Small(pickle) => pickle,
        Body::Any(pickled) => {
            // Descriptions of failures are never parcels.
            let whole = if answer.status == Status::Value {
                pickled.small()
            } else {
                pickled.whole()
            };
            if let Some(body) = whole {
                body
            } else {
                stored = pickled
                    .to_message(session, job)
                    .map_err(|error| failed(&error))?;
                stored.as_slice()
            }
        }
    };
    let mut all_sent = session
        .answer(job, answer.status, answer.run_time, body, (output, errors))
        .map_err(|error| failed(&error))?;
    while !all_sent {
        all_sent = py
            .detach(|| session.wait_for_room())
            .map_err(|error| failed(&error))?;
        ignore_interrupts(py);
    }
    Ok(())
}

fn ignore_interrupts(py: Python<'_>) {
    if let Err(error) = py.check_signals()
        && !error.is_instance_of::<PyKeyboardInterrupt>(py)
    {
        // A handler that a job has left behind raised.
        error.write_unraisable(py, None);
    }
}

/// A lost line is a `ConnectionError`; there is nobody left to work for.
fn failed(error: &SessionError) -> PyErr {
    match error {
        SessionError::Line(LineError::Bell(_)) => PyConnectionError::new_err(error.to_string()),
        _ => PyOSError::new_err(error.to_string()),
    }
}
