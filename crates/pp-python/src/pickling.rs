//! The quick way to pickle plain builtin values, and the general one.

use crate::plain;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyComplex, PyDict, PyFloat, PyInt, PyList, PyNone, PyString,
    PyTuple,
};

/// Nesting beyond this goes the general way.
const DEPTH: usize = 8;

static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static PICKLER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Whether `value` consists of exact builtin types only, so that the C pickler
/// does by itself what a slower one would do.
pub(crate) fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    plain(value, DEPTH)
}

fn plain(value: &Bound<'_, PyAny>, depth: usize) -> bool {
    if is_atom(value) {
        return true;
    }
    if depth == 0 {
        return false;
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        tuple.iter().all(|item| plain(&item, depth - 1))
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        list.iter().all(|item| plain(&item, depth - 1))
    } else if let Ok(dict) = value.cast_exact::<PyDict>() {
        dict.iter()
            .all(|(key, item)| plain(&key, depth - 1) && plain(&item, depth - 1))
    } else {
        false
    }
}

fn is_atom(value: &Bound<'_, PyAny>) -> bool {
    value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyNone>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyByteArray>()
        || value.is_exact_instance_of::<PyComplex>()
}

/// `pickle.dumps(value, protocol)` for a plain value.
pub(crate) fn dumps<'py>(value: &Bound<'py, PyAny>, protocol: u8) -> PyResult<Bound<'py, PyBytes>> {
    let py = value.py();
    Ok(cached(py, &DUMPS, "dumps")?
        .call1((value, protocol))?
        .cast_into()?)
}

/// `pickle.loads(data)`.
#[inline]
pub(crate) fn loads<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    if let Some(value) = plain::read(py, data) {
        return Ok(value);
    }
    cached(py, &LOADS, "loads")?.call1((PyBytes::new(py, data),))
}

/// `pickle.Pickler`.
pub(crate) fn pickler(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    cached(py, &PICKLER, "Pickler")
}

/// `pickle.loads`.
pub(crate) fn general_loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    cached(py, &LOADS, "loads")
}

fn cached<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyAny>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyAny>> {
    Ok(cell
        .get_or_try_init(py, || {
            py.import("_pickle")?.getattr(name).map(Bound::unbind)
        })?
        .bind(py))
}
