//! A thread that waits for a job takes in results itself for a moment.
//!
//! Waking a sleeping thread takes longer than a small job does. So a waiter first
//! does the I/O thread's work, for no longer than the waking would take. While
//! somebody attends, workers ring no bells and the I/O thread sleeps on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::guard::StateGuard;
use super::job::Job;
use super::nap::waiters_nap;
use super::shared::Shared;
use super::state::{IoThread, State};
use super::worker::Worker;
use crate::net::Link;

/// What attending came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// The job has ended.
    Ended,
    /// It has not, in that time.
    NotYet,
    /// It is not expected to, so nobody attended.
    InVain,
}

/// Jobs that take no longer than this, and the time to get to them and back, may end
/// while somebody attends.
const SOON: Duration = Duration::from_micros(30);

/// How long a waiter looks out before it sleeps: about as long as falling asleep and being
/// woken takes (30 to 50 us on Linux), so that looking out at most doubles the cost of a wait.
pub(super) const LOOKOUT: Duration = Duration::from_micros(20);

impl Shared {
    /// Takes in what workers have said, for so long at the most, if `job` may be among it.
    pub(super) fn glance(self: &Arc<Self>, job: &Job, length: Duration) -> Attention {
        let until = Instant::now() + length;
        let mut state = self.lock();
        if job.outcome().is_some() {
            return Attention::Ended;
        }
        if !self.may_end_soon(&mut state, job) {
            return Attention::InVain;
        }
        if state.worth_reading().is_some() {
            // Nobody is as quick as that over a network.
            return Attention::NotYet;
        }
        begin(&mut state);
        drop(state);
        self.attend(job, until, &[])
    }

    /// Takes in results, for as long as it pays not to sleep, if `job` may be among them.
    pub(super) fn look_out(self: &Arc<Self>, job: &Job) -> Attention {
        let mut until = Instant::now() + LOOKOUT;
        let mut links = Vec::new();
        {
            let mut state = self.lock();
            if job.outcome().is_some() {
                return Attention::Ended;
            }
            if !self.may_end_soon(&mut state, job) {
                return Attention::InVain;
            }
            begin(&mut state);
            if let Some(way) = state.worth_reading() {
                until += way;
                links = self.begin_reading(&mut state);
            }
        }
        self.attend(job, until, &links)
    }

    /// Whether a job may end while somebody looks out for it.
    fn may_end_soon(self: &Arc<Self>, state: &mut StateGuard<'_>, job: &Job) -> bool {
        if ends_soon(state, job) {
            return true;
        }
        // The scheduler may not even have been told of it.
        self.settle(state);
        false
    }

    fn attend(self: &Arc<Self>, job: &Job, until: Instant, links: &[Arc<Link>]) -> Attention {
        loop {
            for link in links {
                link.try_receive();
            }
            if let Some(mut state) = self.try_lock() {
                self.take_in_all(&mut state);
            }
            if job.outcome().is_some() || Instant::now() >= until {
                break;
            }
            std::thread::yield_now();
        }
        self.end_attention(!links.is_empty());
        if job.outcome().is_some() {
            Attention::Ended
        } else {
            Attention::NotYet
        }
    }

    /// Waits until `job` has ended or `patience` is over; whether it has ended. While all
    /// workers have enough ahead, the waiter looks for results now and then, instead of
    /// being woken by a thread that had to be woken by a worker.
    pub(super) fn mind(self: &Arc<Self>, job: &Job, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        if self.try_to_mind(job, deadline) {
            return true;
        }
        job.wait(deadline.saturating_duration_since(Instant::now()))
    }

    /// As [`Self::mind`], but gives up once a worker may run dry, or if others attend.
    fn try_to_mind(self: &Arc<Self>, job: &Job, deadline: Instant) -> bool {
        let mut minds = false;
        loop {
            let mut state = self.lock();
            self.take_in_all(&mut state);
            let is_alone = state.attending == u32::from(minds);
            let nap =
                waiters_nap(&state).filter(|&nap| is_alone && Instant::now() + nap < deadline);
            let Some(nap) = nap.filter(|_| job.outcome().is_none()) else {
                break;
            };
            if !minds {
                begin(&mut state);
                minds = true;
            }
            drop(state);
            std::thread::sleep(nap);
        }
        if minds {
            self.end_attention(false);
        }
        job.outcome().is_some()
    }

    /// From here on workers ring again, unless others attend. `has_read`: links, too.
    fn end_attention(self: &Arc<Self>, has_read: bool) {
        let mut state = self.lock();
        if has_read {
            self.end_reading(&mut state);
        }
        state.attending -= 1;
        if state.attending > 0 || state.io != IoThread::Asleep {
            return;
        }
        // What was read, and not taken in for want of the lock, is told by no poll.
        let has_news = state.links.has_news();
        if ask_for_bells(&mut state) || has_news {
            self.take_in_all(&mut state);
            // What came after the asking rings the bell.
        }
    }
}

/// Whether jobs like this one are over so soon that attending pays, as far as is known. Of
/// others it would only take time from the workers.
fn ends_soon(state: &State, job: &Job) -> bool {
    let expected = state.scheduler.expected_run_time(job.function().id());
    expected.is_none_or(|time| time <= SOON)
}

fn begin(state: &mut State) {
    state.attending += 1;
    if state.attending == 1 {
        for channel in state.workers.values_mut().filter_map(Worker::channel) {
            channel.wake_up();
        }
    }
}

/// Lets workers ring from now on; whether some have spoken already.
pub(super) fn ask_for_bells(state: &mut State) -> bool {
    let mut news = false;
    for channel in state.workers.values_mut().filter_map(Worker::channel) {
        channel.fall_asleep();
        news |= channel.has_news() || channel.can_go_on_sending();
    }
    news
}
