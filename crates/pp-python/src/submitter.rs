//! `Server.submit`: the quick way, for what was submitted before.

use std::sync::Arc;
use std::sync::OnceLock;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{Borrowed, PyTraverseError, PyVisit, intern};

use crate::engine::{Engine, Home};
use crate::group::Group;
use crate::job::Job;
use crate::known::KnownFunctions;

/// The base of `Server`: takes jobs.
#[pyclass(frozen, subclass, module = "pp._core")]
pub(crate) struct Submitter {
    parts: OnceLock<Parts>,
}

struct Parts {
    home: Arc<Home>,
    known: Py<KnownFunctions>,
    /// The server's groups, by name.
    groups: Py<PyDict>,
    /// What arguments are that were left out.
    nothing: Py<PyTuple>,
}

/// An argument that may have been left out, which is not the same as None.
enum Given<'py> {
    Absent,
    Value(Bound<'py, PyAny>),
}

impl<'py> FromPyObject<'_, 'py> for Given<'py> {
    type Error = std::convert::Infallible;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> Result<Self, Self::Error> {
        Ok(Self::Value(value.to_owned()))
    }
}

impl<'py> Given<'py> {
    /// The argument if it is a tuple; `default` if it was left out.
    fn tuple<'a>(&'a self, default: &'a Bound<'py, PyTuple>) -> Option<&'a Bound<'py, PyTuple>> {
        match self {
            Self::Absent => Some(default),
            Self::Value(value) => value.cast_exact::<PyTuple>().ok(),
        }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    fn is_none(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Value(value) => value.is_none(),
        }
    }

    fn or<T>(self, default: &Bound<'py, T>) -> Bound<'py, PyAny> {
        match self {
            Self::Absent => default.as_any().clone(),
            Self::Value(value) => value,
        }
    }
}

#[pymethods]
impl Submitter {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self {
            parts: OnceLock::new(),
        }
    }

    /// To be called once: what `submit` works with. `groups` is a dictionary of names
    /// and `Group`s.
    fn _begin(
        &self,
        py: Python<'_>,
        engine: &Engine,
        known: Py<KnownFunctions>,
        groups: Py<PyDict>,
    ) -> PyResult<()> {
        let parts = Parts {
            home: engine.home(),
            known,
            groups,
            nothing: PyTuple::empty(py).unbind(),
        };
        self.parts
            .set(parts)
            .map_err(|_| PyRuntimeError::new_err("a Server cannot be initialized twice"))
    }

    /// Submits `func(*args)` to be run by a worker.
    ///
    /// Args:
    ///     func: any callable. It is sent by value with the globals and closure
    ///         variables that it uses, as they are now, unless workers can
    ///         import it.
    ///     args: its arguments, a tuple or list.
    ///     depfuncs: functions and classes that `func` calls by name and that are
    ///         not among its own globals.
    ///     modules: modules that workers are to import and that `func` uses by
    ///         name: "math", "os.path", "from x import y" or "import x as y".
    ///     callback: called with `callbackargs` and the result when the job has
    ///         ended, once, in the client. A callback that raises is logged. The
    ///         callback of a job that fails is not called, or, with
    ///         `errors="print"`, called with None.
    ///     callbackargs: the callback's first arguments, a tuple or list.
    ///     group: a name for `wait`; anything hashable.
    ///     globals: a dictionary from which modules are imported and functions and
    ///         classes are sent along; usually `globals()`.
    ///     kwargs: its keyword arguments, a dictionary.
    ///     name: what to call the job; by default as its function.
    ///     after: jobs that have to end well before this one begins. Jobs among the
    ///         arguments, also deep within them, are waited for anyway: in their place the
    ///         function finds their results.
    ///     priority: jobs of a higher priority begin first, among those of their group's share.
    ///         Default 0. One start in 16 goes to the job that has waited longest, so that none
    ///         waits for ever.
    ///     retries: how often it is tried again when it raises something. Default 0. Deaths of
    ///         workers and nodes do not count.
    ///     retry_on: the exceptions after which it is, a type or a tuple of types. None:
    ///         `Exception`, which includes `JobTimeout`.
    ///     backoff: how many seconds to wait before the first retry; it doubles with each, up to
    ///         a minute. Default 0.1.
    ///     resources: what it needs of the machine that runs it, such as `{"cpu": 2, "gpu": 1,
    ///         "memory": "4GiB", "licence": 1}`; one processor if nothing is said. No machine is
    ///         given more jobs than it has resources for.
    ///     timeout: for how many seconds it may run at a time; None for any time. Then it is
    ///         ended as by `cancel`, and fails with `JobTimeout`.
    ///
    /// Returns:
    ///     The job. Call it for its result.
    ///
    /// Raises:
    ///     SerializationError: something cannot be serialized; the message names
    ///         it and says where it sits.
    ///     DestroyedServerError: the server has been destroyed.
    ///     TypeError, ValueError: an argument has the wrong type or value.
    #[pyo3(
        signature = (func, args=Given::Absent, depfuncs=Given::Absent, modules=Given::Absent,
                     callback=Given::Absent, callbackargs=Given::Absent, group=Given::Absent,
                     globals=Given::Absent, *, kwargs=Given::Absent, name=Given::Absent,
                     after=Given::Absent, priority=Given::Absent, timeout=Given::Absent,
                     retries=Given::Absent, retry_on=Given::Absent, backoff=Given::Absent,
                     resources=Given::Absent),
        text_signature = "($self, func, args=(), depfuncs=(), modules=(), callback=None, \
                          callbackargs=(), group='default', globals=None, *, kwargs=None, \
                          name=None, after=(), priority=0, timeout=None, retries=0, \
                          retry_on=None, backoff=0.1, resources=None)"
    )]
    #[allow(clippy::too_many_arguments)] // the classic signature
    #[allow(clippy::doc_markdown)] // Python's docstring
    fn submit<'py>(
        this: &Bound<'py, Self>,
        func: &Bound<'py, PyAny>,
        args: Given<'py>,
        depfuncs: Given<'py>,
        modules: Given<'py>,
        callback: Given<'py>,
        callbackargs: Given<'py>,
        group: Given<'py>,
        globals: Given<'py>,
        kwargs: Given<'py>,
        name: Given<'py>,
        after: Given<'py>,
        priority: Given<'py>,
        timeout: Given<'py>,
        retries: Given<'py>,
        retry_on: Given<'py>,
        backoff: Given<'py>,
        resources: Given<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = this.py();
        let is_plain = [&kwargs, &name, &after, &priority, &timeout]
            .into_iter()
            .chain([&retries, &retry_on, &backoff, &resources])
            .all(Given::is_absent);
        if is_plain
            && let Some(parts) = this.get().parts.get()
            && let nothing = parts.nothing.bind(py)
            && let Some(args) = args.tuple(nothing)
            && let Some(depfuncs) = depfuncs.tuple(nothing)
            && let Some(modules) = modules.tuple(nothing)
            && callback.is_none()
            && globals.is_none()
            && callbackargs
                .tuple(nothing)
                .is_some_and(PyTupleMethods::is_empty)
            && let Some(function) = parts.known.get().find(func, depfuncs, modules)?
            && let Some(group) = parts.group(py, &group)?
        {
            let function = function.get();
            let args = parts.home.pickle(args, function)?;
            let inner = parts.home.submit(py, function, args, &group)?;
            return Ok(Job::new(py, inner, group)?.into_any());
        }
        let terms = [
            ("kwargs", kwargs),
            ("name", name),
            ("after", after),
            ("priority", priority),
            ("timeout", timeout),
            ("retries", retries),
            ("retry_on", retry_on),
            ("backoff", backoff),
            ("resources", resources),
        ];
        let none = py.None().into_bound(py);
        let nothing = PyTuple::empty(py);
        let arguments = (
            func,
            args.or(&nothing),
            depfuncs.or(&nothing),
            modules.or(&nothing),
            callback.or(&none),
            callbackargs.or(&nothing),
            group.or(intern!(py, "default")),
            globals.or(&none),
            given(py, terms)?,
        );
        this.call_method1(intern!(py, "_submit_new"), arguments)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(parts) = self.parts.get() {
            visit.call(&parts.known)?;
            visit.call(&parts.groups)?;
        }
        Ok(())
    }
}

/// Those arguments that were given, by name.
fn given<'py, const N: usize>(
    py: Python<'py>,
    arguments: [(&'static str, Given<'py>); N],
) -> PyResult<Bound<'py, PyDict>> {
    let all = PyDict::new(py);
    for (name, given) in arguments {
        if let Given::Value(value) = given {
            all.set_item(name, value)?;
        }
    }
    Ok(all)
}

impl Parts {
    /// The group of that name, if there is one.
    fn group<'py>(&self, py: Python<'py>, name: &Given<'py>) -> PyResult<Option<Py<Group>>> {
        let groups = self.groups.bind(py);
        let found = match name {
            Given::Absent => groups.get_item(intern!(py, "default"))?,
            Given::Value(name) => groups.get_item(name)?,
        };
        Ok(found.and_then(|group| Some(group.cast_into::<Group>().ok()?.unbind())))
    }
}
