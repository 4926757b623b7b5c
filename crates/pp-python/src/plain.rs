//! Small plain values as pickles, without the pickler.
//!
//! What is written here is an ordinary pickle that any unpickler reads, of the few
//! opcodes that numbers, short strings, and tuples and a list of them need, and jobs, which
//! stand for their results. Of what the C pickler takes for `(1,)`, most is for the call and
//! for making its object. What does not fit goes the usual way.
//!
//! Opcodes: Python's `Lib/pickletools.py`. No memo is kept, so a tuple that is met twice
//! is written twice, and its size is bounded by the buffer. What can be changed must arrive
//! as one object if it is met twice: so there is one list at the most, and no job twice.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyNone, PyString, PyTuple};

use crate::job::Job;
use crate::slots;

/// The longest pickle that is written or read here.
const MOST: usize = 160;
/// How deep tuples may be nested.
const DEPTH: usize = 4;
/// How many values may wait on the stack of the reader.
const STACK: usize = 32;
/// The pickle protocol in which all these opcodes exist.
pub(crate) const LEAST_PROTOCOL: u8 = 4;

const PROTO: u8 = 0x80;
const STOP: u8 = b'.';
const MARK: u8 = b'(';
const NONE: u8 = b'N';
const TRUE: u8 = 0x88;
const FALSE: u8 = 0x89;
const INT_1: u8 = b'K';
const INT_2: u8 = b'M';
const INT_4: u8 = b'J';
const LONG: u8 = 0x8a;
const FLOAT: u8 = b'G';
const SHORT_STR: u8 = 0x8c;
const SHORT_BYTES: u8 = b'C';
const TUPLE: u8 = b't';
const TUPLES: [u8; 4] = [b')', 0x85, 0x86, 0x87];
const EMPTY_LIST: u8 = b']';
const APPENDS: u8 = b'e';
const GLOBAL: u8 = b'c';
const REDUCE: u8 = b'R';

/// Behind [`GLOBAL`]: what gives the result of the job in a slot. The slot follows as
/// [`INT_1`], then a tuple of it, then [`REDUCE`].
const RESULT_OF: [u8; 19] = *b"pp._refs\nresult_of\n";

/// Gives jobs their slots.
pub(crate) trait Jobs {
    /// The slot of a job that is met; none if it cannot be written here.
    fn slot(&mut self, job: &Bound<'_, Job>) -> Option<u8>;
}

/// Where there are to be no jobs.
pub(crate) struct NoJobs;

impl Jobs for NoJobs {
    fn slot(&mut self, _job: &Bound<'_, Job>) -> Option<u8> {
        None
    }
}

/// Room for one pickle.
pub(crate) struct Pickle {
    len: usize,
    has_list: bool,
    bytes: [u8; MOST],
}

impl Pickle {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            len: 0,
            has_list: false,
            bytes: [0; MOST],
        }
    }

    /// The pickle of `value`, written here, if it is plain and small.
    #[inline]
    pub(crate) fn write(
        &mut self,
        value: &Bound<'_, PyAny>,
        protocol: u8,
        jobs: &mut impl Jobs,
    ) -> Option<&[u8]> {
        if protocol < LEAST_PROTOCOL {
            return None;
        }
        self.len = 0;
        self.has_list = false;
        self.put([PROTO, protocol])?;
        self.value(value, DEPTH, jobs)?;
        self.put([STOP])?;
        self.bytes.get(..self.len)
    }

    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        let room = self.bytes.get_mut(self.len..)?.first_chunk_mut()?;
        *room = bytes;
        self.len += N;
        Some(())
    }

    fn value(
        &mut self,
        value: &Bound<'_, PyAny>,
        depth: usize,
        jobs: &mut impl Jobs,
    ) -> Option<()> {
        if value.is_exact_instance_of::<PyInt>() {
            self.int(value.extract().ok()?)
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            self.tuple(tuple, depth.checked_sub(1)?, jobs)
        } else if let Ok(text) = value.cast_exact::<PyString>() {
            self.short(SHORT_STR, text.to_str().ok()?.as_bytes())
        } else if let Ok(float) = value.cast_exact::<PyFloat>() {
            self.put([FLOAT])?;
            self.put(float.value().to_be_bytes())
        } else if value.is_exact_instance_of::<PyNone>() {
            self.put([NONE])
        } else if let Ok(truth) = value.cast_exact::<PyBool>() {
            self.put([if truth.is_true() { TRUE } else { FALSE }])
        } else if let Ok(bytes) = value.cast_exact::<PyBytes>() {
            self.short(SHORT_BYTES, bytes.as_bytes())
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.list(list, depth.checked_sub(1)?, jobs)
        } else if let Ok(job) = value.cast_exact::<Job>() {
            self.job(jobs.slot(job)?)
        } else {
            None
        }
    }

    fn list(&mut self, list: &Bound<'_, PyList>, depth: usize, jobs: &mut impl Jobs) -> Option<()> {
        // Long ones do not fit, and are not to be tried.
        if list.len() > STACK / 2 || std::mem::replace(&mut self.has_list, true) {
            return None;
        }
        self.put([EMPTY_LIST])?;
        if list.is_empty() {
            return Some(());
        }
        self.put([MARK])?;
        for item in list {
            self.value(&item, depth, jobs)?;
        }
        self.put([APPENDS])
    }

    /// The result of the job in a slot.
    fn job(&mut self, slot: u8) -> Option<()> {
        self.put([GLOBAL])?;
        self.put(RESULT_OF)?;
        self.put([INT_1, slot, TUPLES[1], REDUCE])
    }

    fn int(&mut self, value: i64) -> Option<()> {
        if let Ok(small) = u8::try_from(value) {
            self.put([INT_1, small])
        } else if let Ok(small) = u16::try_from(value) {
            let [low, high] = small.to_le_bytes();
            self.put([INT_2, low, high])
        } else if let Ok(small) = i32::try_from(value) {
            self.put([INT_4])?;
            self.put(small.to_le_bytes())
        } else {
            self.put([LONG, 8])?;
            self.put(value.to_le_bytes())
        }
    }

    fn short(&mut self, opcode: u8, bytes: &[u8]) -> Option<()> {
        self.put([opcode, u8::try_from(bytes.len()).ok()?])?;
        let end = self.len + bytes.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    fn tuple(
        &mut self,
        tuple: &Bound<'_, PyTuple>,
        depth: usize,
        jobs: &mut impl Jobs,
    ) -> Option<()> {
        let len = tuple.len();
        let opcode = TUPLES.get(len);
        if opcode.is_none() {
            self.put([MARK])?;
        }
        for item in tuple.iter_borrowed() {
            self.value(&item, depth, jobs)?;
        }
        self.put([opcode.copied().unwrap_or(TUPLE)])
    }
}

/// What `pickle` holds, if it is of the kind that is written here.
pub(crate) fn read<'py>(py: Python<'py>, pickle: &[u8]) -> Option<Bound<'py, PyAny>> {
    read_all(py, pickle, true)
}

fn read_all<'py>(py: Python<'py>, pickle: &[u8], knows_jobs: bool) -> Option<Bound<'py, PyAny>> {
    if pickle.len() > MOST {
        return None;
    }
    let mut reader = Reader {
        py,
        rest: pickle,
        knows_jobs,
        stack: Stack {
            values: [const { None }; STACK],
            len: 0,
        },
    };
    let [PROTO, _] = reader.take()? else {
        return None;
    };
    reader.run()
}

struct Reader<'a, 'py> {
    py: Python<'py>,
    rest: &'a [u8],
    knows_jobs: bool,
    stack: Stack<'py>,
}

/// Values that are not part of another one yet.
struct Stack<'py> {
    values: [Option<Bound<'py, PyAny>>; STACK],
    len: usize,
}

impl<'py> Stack<'py> {
    #[inline]
    fn push(&mut self, value: Bound<'py, PyAny>) -> Option<()> {
        *self.values.get_mut(self.len)? = Some(value);
        self.len += 1;
        Some(())
    }

    #[inline]
    fn pop(&mut self) -> Option<Bound<'py, PyAny>> {
        self.len = self.len.checked_sub(1)?;
        self.values.get_mut(self.len)?.take()
    }

    /// Replaces what was pushed last, and the empty list before it, by a list of it.
    fn append(&mut self, py: Python<'py>, count: usize) -> Option<()> {
        let start = self.len.checked_sub(count)?;
        let items = self.values.get_mut(start..self.len)?;
        let list = PyList::new(py, items.iter_mut().map(Option::take)).ok()?;
        self.len = start;
        self.pop()?.cast_exact::<PyList>().ok()?;
        self.push(list.into_any())
    }

    /// Replaces what was pushed last by a tuple of it.
    fn pack(&mut self, py: Python<'py>, count: usize) -> Option<()> {
        let start = self.len.checked_sub(count)?;
        let items = self.values.get_mut(start..self.len)?;
        let tuple = PyTuple::new(py, items.iter_mut().map(Option::take)).ok()?;
        self.len = start;
        self.push(tuple.into_any())
    }
}

impl<'py> Reader<'_, 'py> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn take_short(&mut self) -> Option<&[u8]> {
        let [len] = self.take()?;
        let (bytes, rest) = self.rest.split_at_checked(usize::from(len))?;
        self.rest = rest;
        Some(bytes)
    }

    fn run(mut self) -> Option<Bound<'py, PyAny>> {
        let py = self.py;
        // Tuples with a mark may be nested.
        let mut marks = [0; DEPTH];
        let mut marked = 0;
        loop {
            let [opcode] = self.take()?;
            match opcode {
                STOP => break,
                MARK => {
                    *marks.get_mut(marked)? = self.stack.len;
                    marked += 1;
                }
                TUPLE | APPENDS => {
                    marked = marked.checked_sub(1)?;
                    let start = *marks.get(marked)?;
                    let count = self.stack.len.checked_sub(start)?;
                    if opcode == TUPLE {
                        self.stack.pack(py, count)?;
                    } else {
                        self.stack.append(py, count)?;
                    }
                }
                _ => {
                    if let Some(count) = TUPLES.iter().position(|&tuple| tuple == opcode) {
                        self.stack.pack(py, count)?;
                    } else {
                        let value = self.atom(opcode)?;
                        self.stack.push(value)?;
                    }
                }
            }
        }
        let value = self.stack.pop()?;
        (self.stack.len == 0 && self.rest.is_empty()).then_some(value)
    }

    fn atom(&mut self, opcode: u8) -> Option<Bound<'py, PyAny>> {
        let py = self.py;
        let int = |value: i64| Some(value.into_pyobject(py).ok()?.into_any());
        match opcode {
            INT_1 => int(i64::from(u8::from_le_bytes(self.take()?))),
            INT_2 => int(i64::from(u16::from_le_bytes(self.take()?))),
            INT_4 => int(i64::from(i32::from_le_bytes(self.take()?))),
            LONG => match self.take()? {
                [8] => int(i64::from_le_bytes(self.take()?)),
                _ => None,
            },
            FLOAT => {
                let value = f64::from_be_bytes(self.take()?);
                Some(PyFloat::new(py, value).into_any())
            }
            EMPTY_LIST => Some(PyList::empty(py).into_any()),
            GLOBAL => {
                if self.take()? != RESULT_OF {
                    return None;
                }
                let [INT_1, slot, tuple, REDUCE] = self.take()? else {
                    return None;
                };
                if tuple != TUPLES[1] {
                    return None;
                }
                // Results have no jobs in them; and what is read here runs no code, which
                // could be interrupted.
                let result = slots::result(slot.into()).filter(|_| self.knows_jobs)?;
                read_all(py, &result, false)
            }
            NONE => Some(py.None().into_bound(py)),
            TRUE => Some(PyBool::new(py, true).to_owned().into_any()),
            FALSE => Some(PyBool::new(py, false).to_owned().into_any()),
            SHORT_STR => {
                let text = std::str::from_utf8(self.take_short()?).ok()?;
                Some(PyString::new(py, text).into_any())
            }
            SHORT_BYTES => Some(PyBytes::new(py, self.take_short()?).into_any()),
            _ => None,
        }
    }
}
