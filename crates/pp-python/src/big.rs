//! Big arguments and results: what they are pickled to, and made of again.

use pp_runtime::sync::Mutex;
use pp_runtime::{Blob, Contents, Engine, Item, Parcel, Part, Region, Session, SessionError, Span};
use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use crate::buffers::{SharedBuffer, span_of};
use crate::pickling;
use crate::pieces::{self, Piece};

/// Buffers of this many bytes and more travel beside their pickle, and arrive without a
/// copy. The others are copied into it: they are quicker so.
const OUT_OF_BAND: usize = 64 * 1024;

/// From this many bytes on, something goes through shared memory and not through the
/// line.
pub(crate) const SHARED: usize = 128 * 1024;

/// A `buffer_callback` for pickling: keeps large buffers out of the pickle.
#[pyclass(frozen, module = "pp._core")]
pub(crate) struct Collector {
    kept: Mutex<Vec<PyUntypedBuffer>>,
}

#[pymethods]
impl Collector {
    /// Whether the buffer is to be copied into the pickle.
    fn __call__(&self, buffer: &Bound<'_, PyAny>) -> bool {
        // Those of a scalar have no shape; what is wrong with others, the pickler says.
        let Ok(buffer) = PyUntypedBuffer::get(buffer) else {
            return true;
        };
        let contiguous = buffer.is_c_contiguous() || buffer.is_fortran_contiguous();
        if buffer.len_bytes() < OUT_OF_BAND || !contiguous {
            return true;
        }
        self.kept.lock().push(buffer);
        false
    }

    /// Lets go of what was collected in an attempt that failed.
    fn forget(&self) {
        let kept = std::mem::take(&mut *self.kept.lock());
        drop(kept);
    }
}

impl Collector {
    /// One that has collected nothing; none for protocols that know no such buffers.
    pub(crate) fn new(py: Python<'_>, protocol: u8) -> PyResult<Option<Bound<'_, Self>>> {
        if protocol < 5 {
            return Ok(None);
        }
        let kept = Mutex::new(Vec::new());
        Bound::new(py, Self { kept }).map(Some)
    }
}

/// A pickle and the buffers that go beside it.
pub(crate) struct Pickled<'py> {
    py: Python<'py>,
    body: Vec<Piece>,
    buffers: Vec<PyUntypedBuffer>,
}

impl<'py> Pickled<'py> {
    pub(crate) fn new(
        body: Bound<'py, PyBytes>,
        collector: Option<&Bound<'py, Collector>>,
    ) -> Self {
        let buffers = collector.map(|collector| std::mem::take(&mut *collector.get().kept.lock()));
        Self {
            py: body.py(),
            body: vec![Piece::Bytes(body.unbind())],
            buffers: buffers.unwrap_or_default(),
        }
    }

    /// `value`, which is plain.
    pub(crate) fn plain(value: &Bound<'py, PyAny>, protocol: u8) -> PyResult<Self> {
        if pieces::has_large(value) {
            let body = pieces::dump(value, protocol)?;
            return Ok(Self {
                py: value.py(),
                body,
                buffers: Vec::new(),
            });
        }
        pickling::dumps(value, protocol).map(|body| Self::new(body, None))
    }

    /// All of it, if it is as small messages are.
    pub(crate) fn small(&self) -> Option<&[u8]> {
        self.whole().filter(|body| body.len() < SHARED)
    }

    /// All of it, if it is in one piece.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        match self.body.as_slice() {
            [Piece::Bytes(body)] if self.buffers.is_empty() => Some(body.as_bytes(self.py)),
            _ => None,
        }
    }

    fn body(&self) -> Vec<Span<'_>> {
        self.body.iter().map(|piece| piece.span(self.py)).collect()
    }

    /// As arguments that may refer to `parts`.
    pub(crate) fn into_blob(self, engine: &Engine, mut parts: Vec<Part>) -> Blob {
        if let Some(body) = self.small() {
            return Blob::from(body).with_parts(parts);
        }
        let body = self.body();
        let items: Vec<_> = self
            .buffers
            .iter()
            .map(|b| Item::Copied(span_of(b)))
            .collect();
        self.py.detach(|| {
            let parcel = Parcel::new(&body, &items);
            let stored = if parcel.len() >= SHARED as u64 {
                engine.store(&parcel)
            } else {
                None
            };
            let message = if let Some(part) = stored {
                let pointer = Parcel::pointer(parts.len() as u64, parcel.len());
                parts.push(part);
                pointer
            } else {
                parcel.to_vec()
            };
            Blob::from(message).with_parts(parts)
        })
    }

    /// What `with` makes of it as a parcel, with the GIL released.
    pub(crate) fn with_parcel<T: Send>(&self, with: impl FnOnce(&Parcel<'_>) -> T + Send) -> T {
        let body = self.body();
        let items: Vec<_> = self
            .buffers
            .iter()
            .map(|b| Item::Copied(span_of(b)))
            .collect();
        self.py.detach(|| with(&Parcel::new(&body, &items)))
    }
}

impl Pickled<'_> {
    /// As the result of `job`: a buffer that lies in a segment stays there, the rest goes
    /// into one if it is large and there is room.
    pub(crate) fn to_message(
        &self,
        session: &mut Session,
        job: u64,
    ) -> Result<Vec<u8>, SessionError> {
        let body = self.body();
        let spans: Vec<_> = self.buffers.iter().map(span_of).collect();
        let mut segments: Vec<u64> = Vec::new();
        self.py.detach(|| {
            let mut items = Vec::with_capacity(spans.len());
            for &span in &spans {
                items.push(match session.find(span) {
                    Some((segment, offset)) => Item::Within {
                        slot: slot_of(segment, &mut segments),
                        offset,
                        len: span.len() as u64,
                    },
                    None => Item::Copied(span),
                });
            }
            for &segment in &segments {
                session.place(job, segment)?;
            }
            let parcel = Parcel::new(&body, &items);
            if parcel.len() >= SHARED as u64 && session.store(job, &parcel)? {
                let slot = segments.len() as u64;
                return Ok(Parcel::pointer(slot, parcel.len()));
            }
            Ok(parcel.to_vec())
        })
    }
}

/// The place of a segment among those that a result refers to.
fn slot_of(segment: u64, segments: &mut Vec<u64>) -> u64 {
    let known = segments.iter().position(|&other| other == segment);
    let slot = known.unwrap_or_else(|| {
        segments.push(segment);
        segments.len() - 1
    });
    slot as u64
}

/// The object that `message` is, which may refer to `slots`. If `writable`, its buffers
/// are private copies.
pub(crate) fn load<'py>(
    py: Python<'py>,
    message: &Region,
    slots: &[Region],
    writable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let contents = Contents::open(message, slots)
        .map_err(|error| PyValueError::new_err(format!("damaged message: {error}")))?;
    let buffers = PyList::empty(py);
    for region in contents.buffers {
        let region = if writable {
            py.detach(|| region.to_writable())?
        } else {
            region
        };
        buffers.append(Bound::new(py, SharedBuffer::new(region))?)?;
    }
    let options = PyDict::new(py);
    options.set_item(intern!(py, "buffers"), buffers)?;
    let body = Bound::new(py, SharedBuffer::new(contents.body))?;
    pickling::general_loads(py)?.call((body,), Some(&options))
}

/// Whether a message has to be read by [`load`]: pickles begin otherwise.
pub(crate) fn is_parcel(message: &[u8]) -> bool {
    matches!(message.first(), Some(1 | 2))
}
