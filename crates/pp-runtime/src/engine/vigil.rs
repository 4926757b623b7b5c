//! The I/O thread of a node stays awake for a moment while its client waits for each job
//! before it submits the next.
//!
//! Between a job that comes and its result there is too little time to fall asleep and be
//! woken, and so there is until the next job comes.

use std::time::{Duration, Instant};

use super::state::State;
use crate::lookout::Lookout;

/// Decides whether to stay awake.
#[derive(Debug)]
pub(super) struct Vigil {
    lookout: Lookout,
    /// How many jobs had ended at the last look.
    seen: u64,
}

impl Vigil {
    pub(super) fn new() -> Self {
        Self {
            lookout: Lookout::new(Duration::ZERO),
            seen: 0,
        }
    }

    /// Whether something may come so soon that it is better not to sleep. `was_called`:
    /// somebody has rung, or written.
    pub(super) fn is_due(&mut self, state: &State, was_called: bool) -> bool {
        if state.links.uplink.is_none() {
            return false;
        }
        let (now, ended) = (Instant::now(), state.totals.jobs);
        if was_called || ended != self.seen {
            self.seen = ended;
            self.lookout.note_work(now);
        }
        let is_due = self.lookout.goes_on(now);
        if is_due {
            // On a machine with few processors, for the worker.
            std::thread::yield_now();
        }
        is_due
    }
}
