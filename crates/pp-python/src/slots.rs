//! In a worker: what refs and jobs in the arguments of a job stand for.

use std::cell::RefCell;

use bytes::Bytes;
use pp_runtime::{Blob, Inputs, Region};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::big;
use crate::errors::raise;
use crate::pickling;

thread_local! {
    /// What belongs to the job whose arguments are being loaded.
    static SLOTS: RefCell<Slots> = const {
        RefCell::new(Slots { regions: Vec::new(), inputs: Vec::new(), writable: false })
    };
}

struct Slots {
    regions: Vec<Region>,
    /// Results of other jobs: each has a message and segments of its own.
    inputs: Vec<(Bytes, Vec<Region>)>,
    writable: bool,
}

/// The object that a message with these segments is. If `writable`, its buffers are private
/// copies.
pub(crate) fn load<'py>(
    py: Python<'py>,
    message: Blob,
    regions: &[Region],
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    if !Inputs::is_one(&message) {
        let args = message.into_bytes();
        return load_with(py, args, regions, Vec::new(), writable);
    }
    let opened = Inputs::open(&message.into_bytes(), regions.len());
    let opened = opened.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let results = opened.results.into_iter();
    let inputs = results.map(|(body, range)| {
        let regions = regions.get(range).unwrap_or_default().to_vec();
        (body, regions)
    });
    load_with(py, opened.args, regions, inputs.collect(), writable)
}

fn load_with<'py>(
    py: Python<'py>,
    args: Bytes,
    regions: &[Region],
    inputs: Vec<(Bytes, Vec<Region>)>,
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let before = SLOTS.replace(Slots {
        regions: regions.to_vec(),
        inputs,
        writable,
    });
    let result = load_one(py, args, regions, writable);
    SLOTS.set(before);
    result
}

fn load_one<'py>(
    py: Python<'py>,
    message: Bytes,
    regions: &[Region],
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    if big::is_parcel(&message) {
        big::load(py, &Region::of_bytes(message), regions, writable)
    } else {
        pickling::loads(py, &message)
    }
}

/// Arguments from what `Job._record` gave.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // arguments from Python are owned
pub(crate) fn load_message<'py>(
    py: Python<'py>,
    message: &[u8],
    parts: Vec<Vec<u8>>,
) -> PyResult<Bound<'py, PyAny>> {
    let regions: Vec<Region> = parts
        .into_iter()
        .map(|part| Region::of_bytes(part.into()))
        .collect();
    load(py, Blob::from(message), &regions, true)
}

/// What a ref of this slot refers to, and whether its buffers are to be private copies.
pub(crate) fn region(slot: usize) -> Option<(Region, bool)> {
    SLOTS.with_borrow(|slots| Some((slots.regions.get(slot)?.clone(), slots.writable)))
}

/// The message of the result of the job that stands in this slot.
pub(crate) fn result(slot: usize) -> Option<Bytes> {
    SLOTS.with_borrow(|slots| Some(slots.inputs.get(slot)?.0.clone()))
}

/// The result of the job that stands in this slot.
#[pyfunction]
pub(crate) fn resolve_input(py: Python<'_>, slot: usize) -> PyResult<Bound<'_, PyAny>> {
    let found = SLOTS.with_borrow(|slots| {
        let (message, regions) = slots.inputs.get(slot)?.clone();
        Some((message, regions, slots.writable))
    });
    let (message, regions, writable) = found.ok_or_else(|| {
        raise(
            py,
            "PPError",
            "a pp.Job was unpickled outside of the arguments of a job".into(),
        )
    })?;
    load_one(py, message, &regions, writable)
}
