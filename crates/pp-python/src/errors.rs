//! Rust's errors as Python's.

use pp_runtime::EngineError;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyType;

/// An exception class of `pp._errors`.
fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    Ok(py.import("pp._errors")?.getattr(name)?.cast_into()?)
}

/// `class(message)` of `pp._errors` as an error.
pub(crate) fn raise(py: Python<'_>, class_name: &str, message: String) -> PyErr {
    match class(py, class_name) {
        Ok(class) => PyErr::from_type(class, (message,)),
        Err(error) => error,
    }
}

/// What an engine's refusal is for its caller.
pub(crate) fn engine_error(py: Python<'_>, error: &EngineError) -> PyErr {
    match error {
        EngineError::Destroyed => raise(
            py,
            "DestroyedServerError",
            "cannot submit jobs: the server has been destroyed".into(),
        ),
        EngineError::Forked { owner } => raise(
            py,
            "PPError",
            format!(
                "this Server belongs to process {owner}, from which this process was forked; \
                 make a new pp.Server() here"
            ),
        ),
        EngineError::Setup(error) => PyOSError::new_err(error.to_string()),
    }
}

/// An error that only a bug in this package explains.
pub(crate) fn internal(message: &str) -> PyErr {
    PyRuntimeError::new_err(format!("internal error of pp: {message}"))
}
