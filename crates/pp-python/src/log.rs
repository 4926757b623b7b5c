//! The core's log records, on their way to Python's `logging`.
//!
//! The core's threads must never wait for the GIL, so records go into a queue that
//! a Python thread empties.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pp_runtime::sync::{Condvar, Mutex, MutexGuard};
use pyo3::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// More records than this are not kept; the oldest go.
const KEPT: usize = 10_000;

static QUEUE: Queue = Queue {
    inner: Mutex::new(Inner {
        records: VecDeque::new(),
        closed: false,
    }),
    changed: Condvar::new(),
};
/// The least severe level wanted, in Python's numbers.
static LEVEL: AtomicUsize = AtomicUsize::new(30);

struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    records: VecDeque<(usize, String)>,
    closed: bool,
}

/// Sends the core's records of `level` (Python's number) and above to the queue.
#[pyfunction]
pub(crate) fn start_log(level: usize) {
    set_log_level(level);
    QUEUE.inner.lock().closed = false;
    // Fails if it was set before: by an earlier call, which is all we want.
    let _ = tracing::subscriber::set_global_default(Collector {
        spans: AtomicU64::new(1),
    });
    tracing::callsite::rebuild_interest_cache();
}

/// Keeps records of `level` (Python's number) and above from now on.
#[pyfunction]
pub(crate) fn set_log_level(level: usize) {
    LEVEL.store(level, Ordering::Relaxed);
}

/// Waits up to `timeout` seconds for a record: (level, text), or None if there is
/// none yet. Raises `StopIteration` once the log is closed and empty.
#[pyfunction]
pub(crate) fn next_log(py: Python<'_>, timeout: f64) -> PyResult<Option<(usize, String)>> {
    let patience = Duration::try_from_secs_f64(timeout).unwrap_or_default();
    py.detach(|| {
        let mut inner = QUEUE.inner.lock();
        if inner.records.is_empty() && !inner.closed {
            inner = QUEUE.changed.wait_until(inner, Instant::now() + patience).0;
        }
        match inner.records.pop_front() {
            None if inner.closed => Err(pyo3::exceptions::PyStopIteration::new_err(())),
            record => Ok(record),
        }
    })
}

/// Ends `next_log` once the queue is empty.
#[pyfunction]
pub(crate) fn close_log() {
    QUEUE.inner.lock().closed = true;
    QUEUE.changed.notify_all();
}

thread_local! {
    /// The queue's lock across a fork: a child must not find it held by a thread
    /// that it does not have.
    static HELD: RefCell<Option<MutexGuard<'static, Inner>>> = const { RefCell::new(None) };
}

/// Holds the queue still for a fork.
pub(crate) fn hold() {
    // A thread that is ending has no such place any more.
    let _ = HELD.try_with(|held| *held.borrow_mut() = Some(QUEUE.inner.lock()));
}

/// After the fork, on both sides.
pub(crate) fn let_go() {
    let _ = HELD.try_with(|held| held.borrow_mut().take());
}

/// Takes the events of this project's crates; spans are not used.
struct Collector {
    spans: AtomicU64,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("pp_")
            && python_level(*metadata.level()) >= LEVEL.load(Ordering::Relaxed)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let mut inner = QUEUE.inner.lock();
        if inner.records.len() >= KEPT {
            inner.records.pop_front();
        }
        let level = python_level(*event.metadata().level());
        inner.records.push_back((level, text.finish()));
        drop(inner);
        QUEUE.changed.notify_one();
    }

    fn register_callsite(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        if metadata.target().starts_with("pp_") {
            // The wanted level may change at any time.
            tracing::subscriber::Interest::sometimes()
        } else {
            tracing::subscriber::Interest::never()
        }
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

fn python_level(level: Level) -> usize {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG => 10,
        Level::TRACE => 5,
    }
}

/// A record as one line: the message, then its fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Text {
    fn finish(mut self) -> String {
        if !self.fields.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(self.message, " ({})", self.fields.trim_start_matches(", "));
        }
        self.message
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, ", {}: {value:?}", field.name())
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value}")
        } else {
            write!(self.fields, ", {}: {value}", field.name())
        };
    }
}
