//! Pickles in pieces: the bytes of large strings are not copied into them.
//!
//! The C pickler hands a large `bytes` object to the file that it writes to as it is. So
//! with a file that keeps what it is handed, 100 MB are not copied before they are copied
//! to where they are to go.

use pp_runtime::Span;
use pp_runtime::sync::Mutex;
use pyo3::buffer::PyUntypedBuffer;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::buffers::span_of;
use crate::pickling;

/// Strings of this many bytes are worth it.
const LARGE: usize = 128 * 1024;
/// No more items of a container are looked at, nor deeper than this.
const ITEMS: usize = 64;
const DEPTH: usize = 3;

/// A part of a pickle.
pub(crate) enum Piece {
    Bytes(Py<PyBytes>),
    Buffer(PyUntypedBuffer),
}

impl Piece {
    /// Its bytes.
    pub(crate) fn span<'a>(&'a self, py: Python<'a>) -> Span<'a> {
        match self {
            Self::Bytes(bytes) => Span::of(bytes.as_bytes(py)),
            Self::Buffer(buffer) => span_of(buffer),
        }
    }
}

/// A file that keeps what is written to it.
#[pyclass(frozen, module = "pp._core")]
struct Keeper {
    pieces: Mutex<Vec<Piece>>,
}

#[pymethods]
impl Keeper {
    fn write(&self, data: &Bound<'_, PyAny>) -> PyResult<usize> {
        let piece = match data.cast_exact::<PyBytes>() {
            Ok(bytes) => Piece::Bytes(bytes.clone().unbind()),
            Err(_) => Piece::Buffer(PyUntypedBuffer::get(data)?),
        };
        let len = piece.span(data.py()).len();
        self.pieces.lock().push(piece);
        Ok(len)
    }
}

/// `value`, which is plain, as a pickle in pieces.
pub(crate) fn dump(value: &Bound<'_, PyAny>, protocol: u8) -> PyResult<Vec<Piece>> {
    let pieces = Mutex::new(Vec::new());
    let keeper = Bound::new(value.py(), Keeper { pieces })?;
    let pickler = pickling::pickler(value.py())?.call1((&keeper, protocol))?;
    pickler.call_method1("dump", (value,))?;
    Ok(std::mem::take(&mut *keeper.get().pieces.lock()))
}

/// Whether a plain value has a large string in it, as far as a quick look shows.
pub(crate) fn has_large(value: &Bound<'_, PyAny>) -> bool {
    look(value, DEPTH)
}

fn look(value: &Bound<'_, PyAny>, depth: usize) -> bool {
    if let Ok(bytes) = value.cast_exact::<PyBytes>() {
        return bytes.as_bytes().len() >= LARGE;
    }
    if let Ok(bytes) = value.cast_exact::<PyByteArray>() {
        return bytes.len() >= LARGE;
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        return text.len().is_ok_and(|len| len >= LARGE);
    }
    if depth == 0 {
        return false;
    }
    if let Ok(items) = value.cast_exact::<PyTuple>() {
        items.iter().take(ITEMS).any(|item| look(&item, depth - 1))
    } else if let Ok(items) = value.cast_exact::<PyList>() {
        items.iter().take(ITEMS).any(|item| look(&item, depth - 1))
    } else if let Ok(items) = value.cast_exact::<PyDict>() {
        items
            .iter()
            .take(ITEMS)
            .any(|(_, item)| look(&item, depth - 1))
    } else {
        false
    }
}
