//! What is met while the arguments of a job are pickled, and travels beside them.

use std::cell::RefCell;
use std::sync::Arc;

use pp_runtime::{Job, Part};
use pyo3::prelude::*;

use crate::engine::Home;

thread_local! {
    /// The submits that this thread is in the middle of pickling for, innermost last.
    static GATHERED: RefCell<Vec<Gathering>> = const { RefCell::new(Vec::new()) };
}

/// What the refs and jobs that were met stand for, in the order of their slots.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) parts: Vec<Part>,
    pub(crate) inputs: Vec<Arc<Job>>,
}

struct Gathering {
    /// Whose refs and jobs may be met; none within another ref.
    home: Option<usize>,
    gathered: Gathered,
}

/// Why something may not be where it was met.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    /// Nothing is pickled for a job.
    Nobody,
    /// It is pickled to be put into a server.
    Put,
    /// It is pickled for another server.
    OtherServer,
}

/// Ends the gathering also if pickling panics.
struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        GATHERED.with_borrow_mut(Vec::pop);
    }
}

/// Runs `pickle`, and gives what it met beside its result. `home` is whose that may be;
/// nothing at all if it is `None`.
pub(crate) fn gather<T>(
    home: Option<&Arc<Home>>,
    pickle: impl FnOnce() -> PyResult<T>,
) -> PyResult<(T, Gathered)> {
    GATHERED.with_borrow_mut(|gathered| {
        gathered.push(Gathering {
            home: home.map(|home| Arc::as_ptr(home).addr()),
            gathered: Gathered::default(),
        });
    });
    let guard = Guard;
    let result = pickle()?;
    let gathered = GATHERED.with_borrow_mut(|gathered| {
        let last = gathered.last_mut();
        last.map(|last| std::mem::take(&mut last.gathered))
    });
    drop(guard);
    Ok((result, gathered.unwrap_or_default()))
}

/// A ref was met; its slot.
pub(crate) fn add_part(home: &Arc<Home>, part: &Part) -> Result<usize, Refusal> {
    add(home, |gathered| {
        gathered.parts.push(part.clone());
        gathered.parts.len() - 1
    })
}

/// A job was met; its slot.
pub(crate) fn add_input(home: &Arc<Home>, job: &Arc<Job>) -> Result<usize, Refusal> {
    add(home, |gathered| {
        gathered.inputs.push(Arc::clone(job));
        gathered.inputs.len() - 1
    })
}

fn add(home: &Arc<Home>, to: impl FnOnce(&mut Gathered) -> usize) -> Result<usize, Refusal> {
    GATHERED.with_borrow_mut(|gathered| {
        let last = gathered.last_mut().ok_or(Refusal::Nobody)?;
        match last.home {
            None => Err(Refusal::Put),
            Some(expected) if expected != Arc::as_ptr(home).addr() => Err(Refusal::OtherServer),
            Some(_) => Ok(to(&mut last.gathered)),
        }
    })
}
