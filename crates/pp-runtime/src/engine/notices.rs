//! Ends of jobs, for whoever waits for any of several, or has something to do when one ends.
//! The engine never waits for it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex};

/// A queue of the numbers of jobs that have ended, as those who want to be told call them: see
/// [`Job::tell`](super::Job::tell).
#[derive(Debug, Default)]
pub struct Notices {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    ended: VecDeque<u64>,
    woken: bool,
    closed: bool,
}

/// What waiting for a notice came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The job of this number has ended.
    JobEnded(u64),
    /// Nothing happened in time.
    Nothing,
    /// Nothing will come any more.
    Closed,
}

impl Notices {
    /// Waits at most `patience` for the next notice.
    pub fn next(&self, patience: Duration) -> Notice {
        let deadline = Instant::now() + patience;
        let mut inner = self.inner.lock();
        loop {
            if let Some(number) = inner.ended.pop_front() {
                return Notice::JobEnded(number);
            }
            if inner.closed {
                return Notice::Closed;
            }
            if std::mem::take(&mut inner.woken) {
                return Notice::Nothing;
            }
            let (guard, is_late) = self.changed.wait_until(inner, deadline);
            inner = guard;
            if is_late && inner.ended.is_empty() {
                return Notice::Nothing;
            }
        }
    }

    /// Ends the waiting once the queue is empty.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.changed.notify_all();
    }

    /// Lets one call of `next` return early.
    pub fn wake(&self) {
        self.inner.lock().woken = true;
        self.changed.notify_all();
    }

    /// A job has ended.
    pub fn note(&self, number: u64) {
        self.inner.lock().ended.push_back(number);
        self.changed.notify_one();
    }
}
