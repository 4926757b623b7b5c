//! Changing how many executors there are.

use std::cmp::Reverse;

use crate::executor::{Executor, ExecutorState};
use crate::time::Time;
use crate::{ExecutorId, Scheduler};

impl<J> Scheduler<J> {
    /// Sets how many workers are wanted; 0 is allowed.
    ///
    /// Growth is asked for at once, whatever the number, and begins a new series of attempts if
    /// starting has failed before. Shrinking kills nothing: idle workers retire, busy ones get no
    /// more jobs, give back those that they have not started, and retire when the others have
    /// finished. Ignored after [`destroy`](Self::destroy).
    pub fn resize(&mut self, workers: u32, now: Time) {
        self.see(now);
        if self.destroyed {
            return;
        }
        self.starts.target = workers as usize;
        self.starts.afresh();
        let wanted = self.executors.workers().wanted();
        if wanted > self.starts.target {
            self.shrink(wanted - self.starts.target);
        } else {
            self.keep_leaving(self.starts.target - wanted);
            self.start_missing();
        }
        self.pump();
    }

    /// A worker wants to be replaced: it gets no more jobs, gives back those that it has not
    /// begun, and retires when it has ended the others.
    pub fn worker_leaving(&mut self, worker: ExecutorId, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(worker) else {
            return;
        };
        let is_ready = |one: &Executor| one.state == ExecutorState::Ready && !one.is_node();
        if !self.executors.get(slot).is_some_and(is_ready) {
            return;
        }
        self.executors.set_state(slot, ExecutorState::Draining);
        self.recall_all(slot);
        self.settle(slot);
        self.start_missing();
        self.pump();
    }

    /// Lets some workers go: those first that are missed least.
    fn shrink(&mut self, surplus: usize) {
        let mut order: Vec<_> = self
            .executors
            .iter()
            .filter_map(|(slot, executor)| Some((value(executor)?, slot)))
            .collect();
        order.sort_unstable();
        for (_, slot) in order.into_iter().take(surplus) {
            let state = self.executors.get(slot).map(|executor| executor.state);
            if state == Some(ExecutorState::Starting) {
                self.executors.set_state(slot, ExecutorState::Surplus);
            } else {
                self.executors.set_state(slot, ExecutorState::Draining);
                self.recall_all(slot);
            }
        }
    }

    /// Keeps up to `missing` workers that were to go and have not been told so.
    fn keep_leaving(&mut self, missing: usize) {
        let mut kept = 0;
        for slot in self.executors.slots() {
            if kept == missing {
                return;
            }
            let Some(executor) = self.executors.get(slot).filter(|one| !one.is_node()) else {
                continue;
            };
            let next = match executor.state {
                ExecutorState::Surplus => ExecutorState::Starting,
                ExecutorState::Draining => ExecutorState::Ready,
                _ => continue,
            };
            self.executors.set_state(slot, next);
            self.settle(slot);
            kept += 1;
        }
    }
}

/// Orders workers by how much would be lost with them, the least first; `None` if
/// one is going anyway. Those that start come first, then those that have idled
/// longest, then those with the fewest jobs.
fn value(executor: &Executor) -> Option<(bool, usize, Time, Reverse<ExecutorId>)> {
    if executor.is_node() {
        return None;
    }
    let is_ready = match executor.state {
        ExecutorState::Starting => false,
        ExecutorState::Ready => true,
        _ => return None,
    };
    let held = executor.held.len();
    Some((is_ready, held, executor.progress, Reverse(executor.id)))
}
