//! The engine for Python.

use std::collections::HashMap;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use pp_runtime::sync::Mutex;
use pp_runtime::{
    Asked, Blob, DEFAULT_PATIENCE, Engine as RuntimeEngine, EngineConfig, NobodyLeft, Notice,
    PythonVersion, Uses, WorkerSpec,
};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyWeakrefMethods, PyWeakrefReference};

use crate::big::{Collector, Pickled, SHARED};
use crate::cluster::{Certificates, cluster_config, identity, targets};
use crate::errors::{engine_error, internal};
use crate::gathering::gather;
use crate::group::Group;
use crate::job::Job;
use crate::pickling;
use crate::plain::{Jobs, Pickle};
use crate::refs::Ref;
use crate::terms::Terms;

/// What Python gets to know of a node.
type NodeTuple = (String, String, u32, u64, f64, f64, bool);

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

impl Function {
    pub(crate) fn name(&self) -> &Py<PyAny> {
        &self.name
    }
}

/// Arguments of a job as they travel.
pub(crate) struct Arguments {
    blob: Blob,
    /// Jobs whose results are among them.
    inputs: Vec<Arc<pp_runtime::Job>>,
}

impl Arguments {
    #[inline]
    fn plain(blob: Blob) -> Self {
        let inputs = Vec::new();
        Self { blob, inputs }
    }
}

/// The jobs that are met in small arguments.
struct Met<'a> {
    home: &'a Arc<Home>,
    inputs: Vec<Arc<pp_runtime::Job>>,
}

impl Jobs for Met<'_> {
    fn slot(&mut self, job: &Bound<'_, Job>) -> Option<u8> {
        let job = job.get();
        let is_known = |other: &Arc<_>| Arc::ptr_eq(other, job.inner());
        if !job.is_of(self.home) || self.inputs.iter().any(is_known) {
            return None;
        }
        self.inputs.push(Arc::clone(job.inner()));
        u8::try_from(self.inputs.len() - 1).ok()
    }
}

/// What an engine, its groups and its jobs have in common.
pub(crate) struct Home {
    pub(crate) engine: RuntimeEngine,
    on_failure: Py<PyAny>,
    dumps: Py<PyAny>,
    protocol: u8,
    /// How long a node may say nothing.
    patience: Duration,
    /// Whether buffers arrive as private copies that may be written to.
    pub(crate) writable: bool,
    /// The names that jobs were given, by their numbers.
    pub(crate) names: Mutex<HashMap<u64, Py<PyAny>>>,
    /// Refers weakly to who runs the callbacks: that refers to the engine.
    callbacks: PyOnceLock<Py<PyWeakrefReference>>,
}

impl Home {
    /// Arguments as a worker gets them.
    #[inline]
    pub(crate) fn pickle(
        self: &Arc<Self>,
        args: &Bound<'_, PyTuple>,
        function: &Function,
    ) -> PyResult<Arguments> {
        let mut met = Met {
            home: self,
            inputs: Vec::new(),
        };
        if let Some(pickle) = Pickle::new().write(args, self.protocol, &mut met) {
            return Ok(Arguments {
                blob: pickle.into(),
                inputs: met.inputs,
            });
        }
        self.pickle_any(args, function)
    }

    fn pickle_any(
        self: &Arc<Self>,
        args: &Bound<'_, PyTuple>,
        function: &Function,
    ) -> PyResult<Arguments> {
        if pickling::is_plain(args) {
            let pickled = Pickled::plain(args, self.protocol)?;
            let blob = pickled.into_blob(&self.engine, Vec::new());
            return Ok(Arguments::plain(blob));
        }
        let name = function.name().bind(args.py());
        let (pickled, gathered) = gather(Some(self), || self.dump(args, name))?;
        Ok(Arguments {
            blob: pickled.into_blob(&self.engine, gathered.parts),
            inputs: gathered.inputs,
        })
    }

    /// Pickles arguments of any kind; `name` is for messages about them.
    fn dump<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        name: &Bound<'py, PyAny>,
    ) -> PyResult<Pickled<'py>> {
        let py = args.py();
        let collector = Collector::new(py, self.protocol)?;
        let dumps = self.dumps.bind(py);
        let pickle = dumps.call1((args, self.protocol, name, collector.as_ref()))?;
        Ok(Pickled::new(pickle.cast_into()?, collector.as_ref()))
    }

    /// Raises `PPError` in a process that was forked from the engine's.
    pub(crate) fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        self.engine
            .check_process()
            .map_err(|error| engine_error(py, &error))
    }

    /// Queues a job.
    #[inline]
    pub(crate) fn submit(
        &self,
        py: Python<'_>,
        function: &Function,
        args: Arguments,
        group: &Py<Group>,
    ) -> PyResult<Arc<pp_runtime::Job>> {
        if !args.inputs.is_empty() {
            let asked = Asked {
                inputs: args.inputs,
                ..Asked::default()
            };
            return self.submit_asked(py, function, args.blob, group, asked);
        }
        self.engine
            .submit(&function.inner, args.blob, &group.get().inner)
            .map_err(|error| engine_error(py, &error))
    }

    /// Queues a job for which more is asked.
    fn submit_asked(
        &self,
        py: Python<'_>,
        function: &Function,
        args: Blob,
        group: &Py<Group>,
        asked: Asked,
    ) -> PyResult<Arc<pp_runtime::Job>> {
        let group = &group.get().inner;
        self.engine
            .submit_asked(&function.inner, args, group, asked)
            .map_err(|error| engine_error(py, &error))
    }

    /// What a failure comes to: an exception to raise, or None.
    pub(crate) fn on_failure<'py>(
        &self,
        exception: Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.on_failure.bind(exception.py()).call1((exception,))
    }

    /// Who runs the callbacks; none if it has gone, after it has run all.
    pub(crate) fn callbacks<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.callbacks.get(py)?.bind(py).upgrade()
    }
}

/// Amounts of resources by names that are kept.
pub(crate) fn shared_names(amounts: Vec<(String, u64)>) -> Vec<(Arc<str>, u64)> {
    let amounts = amounts.into_iter();
    amounts
        .map(|(name, amount)| (name.into(), amount))
        .collect()
}

/// Runs jobs in worker processes of this machine.
#[pyclass(frozen, weakref, module = "pp._core")]
pub(crate) struct Engine {
    home: Arc<Home>,
}

#[pymethods]
impl Engine {
    /// An engine without workers. `command` and `env` start a worker; `settings`
    /// reach its Python side. `dumps(args, protocol, name)` serializes arguments that
    /// are not plain; `on_failure(exception)` returns the exception that `job()`
    /// raises, or None if it is to return None.
    #[new]
    #[pyo3(signature = (command, env, settings, *, dumps, on_failure, protocol,
                        max_worker_deaths, max_node_losses, max_jobs_per_worker, cancel_grace,
                        supply, gpus,
                        shared_memory, writable_buffers, node_timeout, fail_alone))]
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
        max_node_losses: NonZeroU32,
        max_jobs_per_worker: Option<NonZeroU32>,
        cancel_grace: f64,
        supply: Vec<(String, u64)>,
        gpus: Vec<String>,
        shared_memory: Option<u64>,
        writable_buffers: bool,
        node_timeout: f64,
        fail_alone: bool,
    ) -> PyResult<Self> {
        let worker = WorkerSpec::new(command, env);
        let patience = Duration::try_from_secs_f64(node_timeout).unwrap_or(DEFAULT_PATIENCE);
        let config = EngineConfig {
            max_worker_deaths,
            max_node_losses,
            patience,
            nobody_left: if fail_alone {
                NobodyLeft::Fail
            } else {
                NobodyLeft::Wait
            },
            max_jobs_per_worker,
            cancel_grace: Duration::try_from_secs_f64(cancel_grace).unwrap_or(Duration::MAX),
            supply: shared_names(supply),
            gpus: gpus.into_iter().map(Arc::from).collect(),
            shared_memory,
            ..EngineConfig::new(worker, settings.to_vec().into())
        };
        let engine = py
            .detach(|| RuntimeEngine::new(config))
            .map_err(|error| engine_error(py, &error))?;
        let home = Home {
            engine,
            on_failure,
            dumps,
            protocol,
            patience,
            writable: writable_buffers,
            names: Mutex::default(),
            callbacks: PyOnceLock::new(),
        };
        Ok(Self {
            home: Arc::new(home),
        })
    }

    /// Stores a serialized function; equal bytes give one function. `name` is for
    /// messages about its jobs.
    fn function(&self, py: Python<'_>, blob: &[u8], name: Py<PyAny>) -> PyResult<Function> {
        let label = name.bind(py).str()?.to_string();
        let inner = self
            .home
            .engine
            .intern(blob.to_vec().into(), &label)
            .map_err(|error| engine_error(py, &error))?;
        Ok(Function { inner, name })
    }

    /// A new group of jobs.
    fn group(&self, name: Py<PyAny>) -> Group {
        let inner = pp_runtime::Group::within(self.home.engine.all_jobs());
        Group::new(Arc::new(inner), name, Arc::clone(&self.home))
    }

    /// The group that counts all jobs.
    fn all_jobs(&self, py: Python<'_>) -> Group {
        let inner = Arc::clone(self.home.engine.all_jobs());
        Group::new(inner, py.None(), Arc::clone(&self.home))
    }

    /// Sets who runs the callbacks: `runner.run(job)` does it and waits for it,
    /// `runner.is_done(job)` tells whether it is done.
    fn set_callbacks(&self, py: Python<'_>, runner: &Bound<'_, PyAny>) -> PyResult<()> {
        let weak = PyWeakrefReference::new(runner)?.unbind();
        self.home
            .callbacks
            .set(py, weak)
            .map_err(|_| internal("callbacks were set twice"))
    }

    /// Queues a job.
    #[pyo3(signature = (function, args, group, terms=None))]
    fn submit<'py>(
        &self,
        py: Python<'py>,
        function: &Function,
        args: &Bound<'_, PyTuple>,
        group: Py<Group>,
        terms: Option<&Bound<'_, Terms>>,
    ) -> PyResult<Bound<'py, Job>> {
        let args = self.home.pickle(args, function)?;
        let inner = match terms {
            None => self.home.submit(py, function, args, &group)?,
            Some(terms) => {
                let asked = terms.get().asked(&self.home, args.inputs)?;
                self.home
                    .submit_asked(py, function, args.blob, &group, asked)?
            }
        };
        Job::new(py, inner, group)
    }

    /// Keeps an object for jobs to refer to.
    fn put(&self, py: Python<'_>, object: &Bound<'_, PyAny>) -> PyResult<Ref> {
        self.home.check_process(py)?;
        // While there are descriptors: later it is needed for each job.
        py.import("pp._refs")?;
        let arguments = PyTuple::new(py, [object])?;
        let name = intern!(py, "Server.put").as_any();
        let (pickled, _) = gather(None, || self.home.dump(&arguments, name))?;
        let engine = &self.home.engine;
        let object = pickled
            .with_parcel(|parcel| engine.put(parcel, SHARED as u64))
            .map_err(|error| engine_error(py, &error))?;
        Ok(Ref::new(object, Arc::clone(&self.home)))
    }

    /// Sets the number of workers.
    fn resize(&self, py: Python<'_>, workers: u32) -> PyResult<()> {
        self.home
            .engine
            .resize(workers)
            .map_err(|error| engine_error(py, &error))
    }

    /// Starts to get nodes, and to use them. With a secret or with certificates: the files
    /// of the authority, of the certificate, and of its key.
    #[allow(clippy::needless_pass_by_value)] // arguments from Python are owned
    fn connect(
        &self,
        py: Python<'_>,
        nodes: Vec<String>,
        secret: Option<Vec<u8>>,
        certificates: Option<Certificates>,
        name: String,
        python: PythonVersion,
    ) -> PyResult<()> {
        let uses = Uses {
            dials: true,
            listens: false,
        };
        let identity = identity(py, secret, certificates, uses)?;
        let targets = targets(&nodes)?;
        let config = cluster_config(targets, identity, name, python, self.home.patience)?;
        py.detach(|| self.home.engine.connect(config))
            .map_err(|error| engine_error(py, &error))
    }

    /// The nodes in use: (name, what it calls itself, how many jobs it runs at a time, jobs
    /// that it has finished, seconds that those ran, seconds that a message to it and the
    /// answer take, whether it has been heard of lately).
    fn nodes(&self, py: Python<'_>) -> PyResult<Vec<NodeTuple>> {
        let nodes = self.home.engine.nodes();
        let nodes = nodes.map_err(|error| engine_error(py, &error))?;
        Ok(nodes
            .into_iter()
            .map(|node| {
                (
                    node.name.to_string(),
                    node.title,
                    node.slots,
                    node.jobs,
                    node.run_time.as_secs_f64(),
                    node.latency.as_secs_f64(),
                    node.is_active,
                )
            })
            .collect())
    }

    /// (finished jobs, seconds that they ran, together), of workers of this machine.
    fn local_totals(&self, py: Python<'_>) -> PyResult<(u64, f64)> {
        let totals = self
            .home
            .engine
            .local_totals()
            .map_err(|error| engine_error(py, &error))?;
        Ok((totals.jobs, totals.run_time.as_secs_f64()))
    }

    /// (finished jobs, seconds that they ran, together).
    fn totals(&self, py: Python<'_>) -> PyResult<(u64, f64)> {
        let totals = self
            .home
            .engine
            .totals()
            .map_err(|error| engine_error(py, &error))?;
        Ok((totals.jobs, totals.run_time.as_secs_f64()))
    }

    /// The identifiers of the worker processes.
    fn worker_pids(&self, py: Python<'_>) -> PyResult<Vec<u32>> {
        self.home
            .engine
            .worker_pids()
            .map_err(|error| engine_error(py, &error))
    }

    /// Waits up to `timeout` seconds for the end of a job that was announced: its
    /// number, or None. Raises `StopIteration` once the engine is destroyed and all
    /// were told.
    fn next_notice(&self, py: Python<'_>, timeout: f64) -> PyResult<Option<u64>> {
        let patience = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        match py.detach(|| self.home.engine.notices().next(patience)) {
            Notice::JobEnded(number) => Ok(Some(number)),
            Notice::Nothing => Ok(None),
            Notice::Closed => Err(pyo3::exceptions::PyStopIteration::new_err(())),
        }
    }

    /// Lets `next_notice` tell of a job that had ended before it was announced.
    fn post_notice(&self, number: u64) {
        self.home.engine.notices().note(number);
    }

    /// Lets `next_notice` return None at once.
    fn wake_notices(&self) {
        self.home.engine.notices().wake();
    }

    /// Whether `destroy` was called.
    #[getter]
    fn destroyed(&self) -> bool {
        self.home.engine.is_destroyed()
    }

    /// Raises `PPError` in a process that was forked from the engine's.
    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        self.home.check_process(py)
    }

    /// Ends all jobs and workers. Returns when nothing of them is left.
    fn destroy(&self, py: Python<'_>) {
        py.detach(|| self.home.engine.destroy());
    }
}

impl Engine {
    pub(crate) fn home(&self) -> Arc<Home> {
        Arc::clone(&self.home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The last reference to a forgotten server. Its end waits for processes.
        Python::attach(|py| py.detach(|| self.engine.destroy()));
    }
}
