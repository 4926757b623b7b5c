//! Objects that the garbage collector need not look at.
#![allow(unsafe_code)]

use pyo3::PyClass;
use pyo3::PyClassInitializer;
use pyo3::ffi;
use pyo3::prelude::*;

/// A new object of a class of ours, unknown to the garbage collector.
///
/// pyo3 makes all classes take part in collections, and each collection visits every
/// object that takes part. Of a class that refers to nothing that could refer back, there
/// may be a million. One that comes to refer to such a thing later is to be
/// [tracked](track_with) then.
pub(crate) fn new<T>(py: Python<'_>, value: T) -> PyResult<Bound<'_, T>>
where
    T: PyClass + Into<PyClassInitializer<T>>,
{
    let object = Bound::new(py, value)?;
    // SAFETY: the pointer is a live object of a class that takes part in collections, as
    // all of pyo3's do. Untracking one that is tracked is allowed at any time, and so is
    // that its deallocation will do it once more.
    unsafe { ffi::PyObject_GC_UnTrack(object.as_ptr().cast()) };
    Ok(object)
}

/// Lets the garbage collector know `object`, which has come to refer to `value`, if it
/// knows that.
pub(crate) fn track_with<T: PyClass>(object: &Bound<'_, T>, value: &Bound<'_, PyAny>) {
    // SAFETY: both pointers are live objects; asking whether one is tracked is allowed
    // for any object.
    let knows = |pointer| unsafe { ffi::PyObject_GC_IsTracked(pointer) != 0 };
    if knows(value.as_ptr()) && !knows(object.as_ptr()) {
        // SAFETY: a live object of a class that takes part in collections, not tracked
        // (asked above, and the GIL is held), and all that it refers to is in place.
        unsafe { ffi::PyObject_GC_Track(object.as_ptr().cast()) };
    }
}
