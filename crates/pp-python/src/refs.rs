//! Objects that are sent to each worker once, however many jobs use them.

use std::sync::Arc;

use pp_runtime::Object;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::big;
use crate::engine::Home;
use crate::errors::{internal, raise};
use crate::gathering::{self, Refusal};
use crate::slots;

/// Something that was put into a server. Given to a job as an argument, or anywhere
/// within one, it arrives as the object itself.
#[pyclass(frozen, weakref, module = "pp", name = "Ref", generic)]
pub(crate) struct Ref {
    object: Arc<Object>,
    home: Arc<Home>,
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
        let slot = gathering::add_part(&self.home, self.object.part()).map_err(|refusal| {
            PyTypeError::new_err(match refusal {
                Refusal::Nobody => {
                    "a pp.Ref travels only as an argument of a job of its server, or within \
                     one; elsewhere use what ref.get() returns"
                }
                Refusal::Put => {
                    "a pp.Ref cannot be put into a server within another object; put what \
                     ref.get() returns"
                }
                Refusal::OtherServer => {
                    "this pp.Ref is another server's; put the object into this one, too"
                }
            })
        })?;
        let resolve = py.import("pp._refs")?.getattr("resolve")?;
        Ok((resolve, (slot,)))
    }
}

/// In a worker: the object that a ref in the arguments stands for.
#[pyfunction]
pub(crate) fn resolve_ref(py: Python<'_>, slot: usize) -> PyResult<Py<PyAny>> {
    let (region, writable) = slots::region(slot).ok_or_else(|| {
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
