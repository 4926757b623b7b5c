//! The engine's lock, held.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::groups::Group;
use super::job::Waiters;
use super::state::State;
use crate::net::Link;
use crate::stock::Calls;
use crate::sync::MutexGuard;

/// Access to the state. Who waits for jobs that have ended meanwhile is woken when it is
/// let go, not before: a thread that wakes up while it is held would run into it at once,
/// and sleep again. Then what is to go over links is encrypted and written, which takes
/// too long to be done while it is held.
pub(super) struct StateGuard<'a> {
    // Dropped in this order: the lock is let go, then they are woken.
    state: MutexGuard<'a, State>,
    woken: Woken,
    unflushed: Unflushed,
    /// Engines that may take now what workers here have given back.
    called: Calls,
}

impl<'a> StateGuard<'a> {
    pub(super) fn new(state: MutexGuard<'a, State>) -> Self {
        Self {
            state,
            woken: Woken::default(),
            unflushed: Unflushed(Vec::new()),
            called: Calls::default(),
        }
    }
}

impl Deref for StateGuard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        self.woken.jobs = std::mem::take(&mut self.state.woken);
        self.woken.groups = std::mem::take(&mut self.state.changed);
        self.unflushed.0 = std::mem::take(&mut self.state.unflushed);
        self.called = std::mem::take(&mut self.state.loans.calls);
    }
}

/// Flushes them when it is dropped.
struct Unflushed(Vec<Arc<Link>>);

impl Drop for Unflushed {
    fn drop(&mut self) {
        for link in &self.0 {
            link.flush_shortly();
        }
    }
}

/// Wakes them when it is dropped.
#[derive(Default)]
struct Woken {
    jobs: Vec<Arc<Waiters>>,
    groups: Vec<Arc<Group>>,
}

impl Drop for Woken {
    fn drop(&mut self) {
        // First: whoever is woken for its job may submit the next one of the group.
        for group in &self.groups {
            group.tell_waiters();
        }
        for waiters in &self.jobs {
            waiters.wake();
        }
    }
}
