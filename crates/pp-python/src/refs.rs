//! Objects that are sent to each worker once, however many jobs use them.

use std::cell::RefCell;
use std::sync::Arc;

use pp_runtime::{Object, Part, Region};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::big;
use crate::engine::Home;
use crate::errors::{internal, raise};

/// Something that was put into a server. Given to a job as an argument, or anywhere
/// within one, it arrives as the object itself.
#[pyclass(frozen, weakref, module = "pp", name = "Ref", generic)]
pub(crate) struct Ref {
    object: Arc<Object>,
    home: Arc<Home>,
}

thread_local! {
    /// The submits that this thread is in the middle of pickling for, innermost last.
    static GATHERED: RefCell<Vec<Gathered>> = const { RefCell::new(Vec::new()) };
    /// In a worker: the segments of the job whose arguments are being loaded.
    static SLOTS: RefCell<Slots> = const { RefCell::new(Slots { regions: Vec::new(), writable: false }) };
}

/// What the refs met so far stand for.
struct Gathered {
    /// Whose refs may be met; none within another ref.
    home: Option<usize>,
    parts: Vec<Part>,
}

struct Slots {
    regions: Vec<Region>,
    writable: bool,
}

impl Ref {
    pub(crate) fn new(object: Arc<Object>, home: Arc<Home>) -> Self {
        Self { object, home }
    }
}

#[pymethods]
impl Ref {
    /// The object itself, made anew.
    fn get(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.home.check_process(py)?;
        let writable = self.home.writable;
        let region = py.detach(|| self.object.part().region(writable))?;
        first_of(&big::load(py, &region, &[], writable)?)
    }

    /// How many bytes the server keeps for it.
    #[getter]
    fn size(&self) -> u64 {
        self.object.size()
    }

    fn __repr__(&self) -> String {
        format!("<pp.Ref, {} bytes>", self.object.size())
    }

    fn __reduce_ex__<'py>(
        &self,
        py: Python<'py>,
        _protocol: u8,
    ) -> PyResult<(Bound<'py, PyAny>, (usize,))> {
        let slot = GATHERED.with_borrow_mut(|gathered| {
            let Some(gathered) = gathered.last_mut() else {
                return Err(
                    "a pp.Ref travels only as an argument of a job of its server, or \
                            within one; elsewhere use what ref.get() returns",
                );
            };
            match gathered.home {
                None => Err(
                    "a pp.Ref cannot be put into a server within another object; \
                             put what ref.get() returns",
                ),
                Some(home) if home != Arc::as_ptr(&self.home).addr() => {
                    Err("this pp.Ref is another server's; put the object into this one, too")
                }
                Some(_) => {
                    gathered.parts.push(self.object.part().clone());
                    Ok(gathered.parts.len() - 1)
                }
            }
        });
        let slot = slot.map_err(PyTypeError::new_err)?;
        let resolve = py.import("pp._refs")?.getattr("resolve")?;
        Ok((resolve, (slot,)))
    }
}

/// Runs `pickle`, and gives what the refs that it met stand for beside its result. `home`
/// is whose they may be; none at all if it is `None`.
pub(crate) fn gather<T>(
    home: Option<&Arc<Home>>,
    pickle: impl FnOnce() -> PyResult<T>,
) -> PyResult<(T, Vec<Part>)> {
    /// Ends the gathering also if pickling panics.
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            GATHERED.with_borrow_mut(Vec::pop);
        }
    }
    GATHERED.with_borrow_mut(|gathered| {
        gathered.push(Gathered {
            home: home.map(|home| Arc::as_ptr(home).addr()),
            parts: Vec::new(),
        });
    });
    let guard = Guard;
    let result = pickle()?;
    let parts = GATHERED.with_borrow_mut(|gathered| {
        gathered
            .last_mut()
            .map(|last| std::mem::take(&mut last.parts))
    });
    drop(guard);
    Ok((result, parts.unwrap_or_default()))
}

/// Runs `load`, in which refs stand for what is in `regions`.
pub(crate) fn with_slots<T>(
    regions: &[Region],
    writable: bool,
    load: impl FnOnce() -> PyResult<T>,
) -> PyResult<T> {
    let regions = regions.to_vec();
    let before = SLOTS.replace(Slots { regions, writable });
    let result = load();
    SLOTS.set(before);
    result
}

/// In a worker: the object that a ref in the arguments stands for.
#[pyfunction]
pub(crate) fn resolve_ref(py: Python<'_>, slot: usize) -> PyResult<Py<PyAny>> {
    let found = SLOTS.with_borrow(|slots| {
        let region = slots.regions.get(slot)?.clone();
        Some((region, slots.writable))
    });
    let (region, writable) = found.ok_or_else(|| {
        raise(
            py,
            "PPError",
            "a pp.Ref was unpickled outside of the arguments of a job".into(),
        )
    })?;
    first_of(&big::load(py, &region, &[], writable)?)
}

/// Objects are put as the only argument of nothing, for the sake of the messages.
fn first_of(arguments: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let arguments = arguments
        .cast::<PyTuple>()
        .map_err(|_| internal("what was put is no tuple"))?;
    Ok(arguments.get_item(0)?.unbind())
}
