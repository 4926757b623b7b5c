//! Short sleeps of the I/O thread while results stream in.
//!
//! To be woken for each result of a job of a microsecond would cost more than the job:
//! the worker has to ring, and this thread to wake up, for one or two results at a time.
//! So while many come, it looks for them at short intervals, and nobody rings.

use std::time::Duration;

use super::state::State;

/// So many results since the last look are a stream.
const STREAM: u64 = 16;
/// How long a nap is. The 256 jobs that a worker gets ahead last longer than this and
/// what it takes to wake up, even if they take nearly no time.
const LENGTH: Duration = Duration::from_micros(40);

/// Decides when to nap.
#[derive(Debug)]
pub(super) struct Nap {
    /// How many jobs had ended at the last look.
    seen: u64,
    is_due: bool,
}

impl Nap {
    /// To be made in the thread that takes the naps.
    pub(super) fn new() -> Self {
        be_punctual();
        Self {
            seen: 0,
            is_due: false,
        }
    }

    /// Whether results stream in, so that a nap is better than to be woken.
    pub(super) fn is_due(&mut self, state: &State) -> bool {
        let ended = state.totals.jobs - self.seen;
        self.seen = state.totals.jobs;
        self.is_due = ended >= STREAM && state.attending == 0;
        self.is_due
    }

    /// Naps if it is due.
    pub(super) fn take(&self) {
        if !self.is_due {
            return;
        }
        if cfg!(windows) {
            // There a sleep takes a millisecond at the least.
            std::thread::yield_now();
        } else {
            std::thread::sleep(LENGTH);
        }
    }
}

/// Linux may let a thread sleep 50 us longer than it asked for, to save power.
#[cfg(target_os = "linux")]
fn be_punctual() {
    use std::num::NonZeroU64;

    let slack = NonZeroU64::new(1_000);
    if let Err(error) = rustix::thread::set_current_timer_slack(slack) {
        tracing::debug!(%error, "the I/O thread may oversleep");
    }
}

#[cfg(not(target_os = "linux"))]
fn be_punctual() {}
