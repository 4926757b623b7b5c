//! Short sleeps of the I/O thread while results stream in.
//!
//! To be woken for each result costs 20 us and more of processors that workers could use
//! (seen with jobs of 1 ms): the worker has to ring, this thread to wake up, and perhaps a
//! thread that waits. So while many results come, or all workers have enough
//! ahead, it looks for results at short intervals, and nobody rings.

use std::time::{Duration, Instant};

use pp_core::Supply;

use super::state::State;

/// So many results since the last look are a stream.
const STREAM: u64 = 16;
/// How long a nap is then. The 256 jobs that a worker gets ahead last longer than this
/// and what it takes to wake up, even if they take nearly no time.
const SHORT: Duration = Duration::from_micros(40);
/// The longest nap: nobody should have to wait much longer for a result.
const LONG: Duration = Duration::from_millis(2);
/// With fewer results to expect in a nap of the I/O thread, being woken for each is as
/// good.
const WORTHWHILE: f64 = 1.5;
/// The same for a thread that waits for a job. Being woken costs it several times as much as
/// a nap: the worker rings, the I/O thread wakes up, and wakes it.
const WORTHWHILE_FOR_WAITERS: f64 = 0.25;

/// Decides when to nap.
#[derive(Debug)]
pub(super) struct Nap {
    /// How many jobs had ended at the last look.
    seen: u64,
    next: Option<Duration>,
}

impl Nap {
    /// To be made in the thread that takes the naps.
    pub(super) fn new() -> Self {
        be_punctual();
        Self {
            seen: 0,
            next: None,
        }
    }

    /// Whether a nap is better than to be woken.
    pub(super) fn is_due(&mut self, state: &State) -> bool {
        let ended = state.totals.jobs - self.seen;
        self.seen = state.totals.jobs;
        self.next = if state.attending > 0 || is_bulky(state) {
            None
        } else if ended >= STREAM {
            Some(SHORT)
        } else {
            supplied_nap(state, WORTHWHILE)
        };
        self.next.is_some()
    }

    /// Naps if it is due.
    pub(super) fn take(&self) {
        match self.next {
            // While results stream in, there is always something to do.
            Some(_) if cfg!(windows) => std::thread::yield_now(),
            Some(length) => std::thread::sleep(length),
            None => {}
        }
    }
}

/// Whether big things are on their way. They need an answer or room in the middle of a job,
/// and again and again, so bells must be heard.
fn is_bulky(state: &State) -> bool {
    state.bulk_until.is_some_and(|until| Instant::now() < until)
}

/// How long a thread that waits for a job may nap instead of sleeping until it is woken.
pub(super) fn waiters_nap(state: &State) -> Option<Duration> {
    if is_bulky(state) {
        return None;
    }
    supplied_nap(state, WORTHWHILE_FOR_WAITERS)
}

/// The nap that the present supply allows. On Windows none: a sleep may take far longer
/// there than it was asked to.
fn supplied_nap(state: &State, worthwhile: f64) -> Option<Duration> {
    if cfg!(windows) {
        return None;
    }
    covered(state.scheduler.supply()?, worthwhile)
}

/// The nap that a supply allows: half of it, so that nobody runs out of work. None if fewer
/// results than `worthwhile` are to be expected in it.
#[allow(clippy::cast_precision_loss)] // jobs ahead are counted in hundreds
fn covered(supply: Supply, worthwhile: f64) -> Option<Duration> {
    let length = (supply.lasts / 2).min(LONG);
    // So many jobs end in the time that the supply lasts, about; that many in a nap.
    let share = length.as_secs_f64() * supply.jobs as f64 / supply.lasts.as_secs_f64();
    (length >= SHORT && share >= worthwhile).then_some(length)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn nap(lasts: u64, jobs: usize) -> Option<u128> {
        let lasts = Duration::from_micros(lasts);
        covered(Supply { lasts, jobs }, WORTHWHILE).map(|nap| nap.as_micros())
    }

    #[test]
    fn a_waiter_naps_for_less() {
        let lasts = Duration::from_millis(10);
        let supply = Supply { lasts, jobs: 2 };
        assert_eq!(covered(supply, WORTHWHILE), None);
        assert_eq!(covered(supply, WORTHWHILE_FOR_WAITERS), Some(LONG));
    }

    #[test]
    fn a_nap_leaves_nobody_without_work_and_pays() {
        assert_eq!(
            nap(300, 6),
            Some(150),
            "three jobs of 100 us ahead of two workers"
        );
        assert_eq!(
            nap(1_000, 2),
            None,
            "one of 1 ms: one result in a nap at the most"
        );
        let six = "six of 1 ms ahead of two workers";
        assert_eq!(nap(6_000, 12), Some(2_000), "{six}");
        assert_eq!(nap(20_000, 2), None, "one of 20 ms ahead of each");
        assert_eq!(
            nap(10_000, 64),
            Some(2_000),
            "of 64 workers some end in that time"
        );
        assert_eq!(nap(60, 500), None, "too short");
        assert_eq!(nap(0, 0), None);
    }
}
