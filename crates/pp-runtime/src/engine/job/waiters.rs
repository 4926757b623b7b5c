//! Those who wait for a job.

use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::engine::notices::Notices;
use crate::sync::{Condvar, Mutex};

/// Those who sleep until a job has ended, and those who are told of it.
#[derive(Debug, Default)]
pub(in crate::engine) struct Waiters {
    ended: Mutex<bool>,
    changed: Condvar,
    /// Where its end is noted, and by which number. Who does not wait any more has dropped it.
    told: Mutex<Vec<(Weak<Notices>, u64)>>,
}

impl Waiters {
    /// Sleeps until the job has ended or `deadline`.
    pub(in crate::engine) fn wait(&self, deadline: Instant) {
        let mut ended = self.ended.lock();
        while !*ended {
            let (guard, is_late) = self.changed.wait_until(ended, deadline);
            ended = guard;
            if is_late {
                return;
            }
        }
    }

    pub(in crate::engine) fn wake(&self) {
        *self.ended.lock() = true;
        self.changed.notify_all();
        for (notices, number) in std::mem::take(&mut *self.told.lock()) {
            if let Some(notices) = notices.upgrade() {
                notices.note(number);
            }
        }
    }

    /// Lets the end be noted. Those that are gone make room first, each time that there is
    /// none left: who asks again and again leaves no more than that behind.
    pub(super) fn tell(&self, notices: &Arc<Notices>, number: u64) {
        let mut told = self.told.lock();
        if told.len() == told.capacity() {
            told.retain(|(notices, _)| notices.strong_count() > 0);
        }
        told.push((Arc::downgrade(notices), number));
    }
}
