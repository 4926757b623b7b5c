//! Memory that Rust holds as Python's buffers, and Python's as Rust's: the only module
//! here that goes by pointers.

use std::ffi::c_int;

use pp_runtime::{Region, Span};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Memory of a segment, or of a message. Arrays are made on top of it.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct SharedBuffer {
    region: Region,
}

impl SharedBuffer {
    pub(crate) fn new(region: Region) -> Self {
        Self { region }
    }
}

#[pymethods]
impl SharedBuffer {
    /// # Safety
    ///
    /// `view` points to a `Py_buffer` that is to be filled in, as the protocol says.
    #[allow(clippy::needless_pass_by_value)] // pyo3's signature
    unsafe fn __getbuffer__(
        slf: Bound<'_, Self>,
        view: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let region = &slf.get().region;
        let length = isize::try_from(region.len())
            .map_err(|_| PyBufferError::new_err("the buffer is too long"))?;
        let start = region.start().cast_mut().cast();
        let read_only = c_int::from(!region.is_writable());
        // SAFETY: `view` is the caller's to fill. The memory stays as long as the region,
        // which this object holds; the view holds this object. It is marked read-only
        // unless it is a private copy, of which this is the only user.
        let result =
            unsafe { ffi::PyBuffer_FillInfo(view, slf.as_ptr(), start, length, read_only, flags) };
        if result == 0 {
            Ok(())
        } else {
            Err(PyErr::fetch(slf.py()))
        }
    }
}

/// The bytes of a contiguous buffer.
pub(crate) fn span_of(buffer: &PyUntypedBuffer) -> Span<'_> {
    // SAFETY: Python keeps the memory in place while the buffer is not released, and
    // only contiguous ones are collected.
    unsafe { Span::foreign(buffer.buf_ptr().cast(), buffer.len_bytes()) }
}
