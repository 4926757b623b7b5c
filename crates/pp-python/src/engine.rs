//! The engine for Python.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pp_runtime::{Engine as RuntimeEngine, EngineConfig, Notice, WorkerSpec};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::errors::engine_error;
use crate::group::Group;
use crate::job::{Job, Policy};
use crate::pickling;

/// A serialized function that jobs may name.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Function {
    inner: Arc<pp_runtime::Function>,
    name: Py<PyAny>,
}

#[pymethods]
impl Function {
    /// BLAKE3 of the serialized function, 32 bytes.
    #[getter]
    fn digest<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.inner.digest())
    }
}

/// Runs jobs in worker processes of this machine.
#[pyclass(frozen, weakref, module = "pp._core")]
pub(crate) struct Engine {
    inner: Arc<RuntimeEngine>,
    policy: Arc<Policy>,
    dumps: Py<PyAny>,
    protocol: u8,
}

#[pymethods]
impl Engine {
    /// An engine without workers. `command` and `env` start a worker; `settings`
    /// reach its Python side. `dumps(args, protocol, name)` serializes arguments that
    /// are not plain; `on_failure(exception)` returns the exception that `job()`
    /// raises, or None if it is to return None.
    #[new]
    #[pyo3(signature = (command, env, settings, *, dumps, on_failure, protocol,
                        max_worker_deaths, max_jobs_per_worker))]
    #[allow(clippy::too_many_arguments)] // a constructor; named in Python
    fn new(
        py: Python<'_>,
        command: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
        settings: &[u8],
        dumps: Py<PyAny>,
        on_failure: Py<PyAny>,
        protocol: u8,
        max_worker_deaths: NonZeroU32,
        max_jobs_per_worker: Option<NonZeroU32>,
    ) -> PyResult<Self> {
        let mut words = command.into_iter();
        let worker = WorkerSpec {
            program: PathBuf::from(words.next().unwrap_or_default()),
            args: words.collect(),
            env,
        };
        let config = EngineConfig {
            max_worker_deaths,
            max_jobs_per_worker,
            ..EngineConfig::new(worker, settings.to_vec().into())
        };
        let inner = py
            .detach(|| RuntimeEngine::new(config))
            .map_err(|error| engine_error(py, &error))?;
        Ok(Self {
            inner: Arc::new(inner),
            policy: Arc::new(Policy::new(on_failure)),
            dumps,
            protocol,
        })
    }

    /// Stores a serialized function; equal bytes give one function. `name` is for
    /// messages about its jobs.
    fn function(&self, py: Python<'_>, blob: &[u8], name: Py<PyAny>) -> PyResult<Function> {
        let inner = self
            .inner
            .intern(blob.to_vec().into())
            .map_err(|error| engine_error(py, &error))?;
        Ok(Function { inner, name })
    }

    /// A new group of jobs.
    fn group(&self, name: Py<PyAny>) -> Group {
        Group {
            inner: Arc::new(pp_runtime::Group::within(self.inner.all_jobs())),
            name,
        }
    }

    /// The group that counts all jobs.
    fn all_jobs(&self, py: Python<'_>) -> Group {
        Group {
            inner: Arc::clone(self.inner.all_jobs()),
            name: py.None(),
        }
    }

    /// Queues a job. With a `callback`, its end appears in `next_notice`.
    fn submit(
        &self,
        py: Python<'_>,
        function: &Function,
        args: &Bound<'_, PyTuple>,
        group: Py<Group>,
        callback: Option<Py<PyAny>>,
    ) -> PyResult<Job> {
        let args = self.pickle(args, function)?;
        let inner = self
            .inner
            .submit(
                &function.inner,
                args.as_bytes().to_vec().into(),
                &group.get().inner,
                callback.is_some(),
            )
            .map_err(|error| engine_error(py, &error))?;
        Ok(Job::new(
            inner,
            Arc::clone(&self.inner),
            Arc::clone(&self.policy),
            group,
            callback,
        ))
    }

    /// Sets the number of workers.
    fn resize(&self, py: Python<'_>, workers: u32) -> PyResult<()> {
        self.inner
            .resize(workers)
            .map_err(|error| engine_error(py, &error))
    }

    /// (finished jobs, seconds that they ran, together).
    fn totals(&self, py: Python<'_>) -> PyResult<(u64, f64)> {
        let totals = self
            .inner
            .totals()
            .map_err(|error| engine_error(py, &error))?;
        Ok((totals.jobs, totals.run_time.as_secs_f64()))
    }

    /// The identifiers of the worker processes.
    fn worker_pids(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        self.inner
            .worker_pids()
            .map_err(|error| engine_error(py, &error))
    }

    /// Waits up to `timeout` seconds for the end of a job with a callback: its
    /// number, or None. Raises `StopIteration` once the engine is destroyed and all
    /// were told.
    fn next_notice(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<u64>> {
        let patience = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        match py.detach(|| self.inner.notices().next(patience)) {
            Notice::JobEnded(number) => Ok(Some(number)),
            Notice::Nothing => Ok(None),
            Notice::Closed => Err(pyo3::exceptions::PyStopIteration::new_err(())),
        }
    }

    /// Lets `next_notice` return None at once.
    fn wake_notices(&self) {
        self.inner.notices().wake();
    }

    /// Whether `destroy` was called.
    #[getter]
    fn destroyed(&self) -> bool {
        self.inner.is_destroyed()
    }

    /// Raises `PPError` in a process that was forked from the engine's.
    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        self.inner
            .check_process()
            .map_err(|error| engine_error(py, &error))
    }

    /// Ends all jobs and workers. Returns when nothing of them is left.
    fn destroy(&self, py: Python<'_>) {
        py.detach(|| self.inner.destroy());
    }
}

impl Engine {
    fn pickle<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        function: &Function,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if pickling::is_plain(args) {
            return pickling::dumps(args, self.protocol);
        }
        let py = args.py();
        Ok(self
            .dumps
            .bind(py)
            .call1((args, self.protocol, &function.name))?
            .cast_into()?)
    }
}
