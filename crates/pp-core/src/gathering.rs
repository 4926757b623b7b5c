//! Holding executors up for a job that needs several slots.
//!
//! Where jobs of one slot come all the time, several slots are never free at once. So the
//! first job in line that lacks nothing but slots *gathers* them: on one of the machines that
//! could hold it, nothing else starts until it does. Jobs that come before it in line still
//! start there, and all others elsewhere. What that costs is that slots idle until the last one
//! of those it needs is free: at most as many of them as it needs, and no longer than what runs
//! there runs on. And all else that this machine has is not used meanwhile: so it is the one
//! that has the least of what others may need, and of these the one with the most free slots.
//!
//! What runs there may run for ever, and then so would the others wait. So it gathers for a
//! while, then rests for as long, and both for twice as long each time: the others get half of
//! the time at least, and it gets its slots as soon as it has gathered for longer than what
//! runs there takes.

use std::time::Duration;

use crate::executors::Site;
use crate::job::QUEUED;
use crate::time::Time;
use crate::{JobId, Scheduler};

/// The least time for which a job gathers.
const LEAST: Duration = Duration::from_millis(1);

/// A job that gathers slots, or rests from it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gathering {
    pub(crate) job: JobId,
    pub(crate) site: Site,
    rests: bool,
    pub(crate) until: Time,
    patience: Duration,
}

impl Gathering {
    fn begin(job: JobId, site: Site, patience: Duration, now: Time) -> Self {
        let patience = patience.max(LEAST);
        Self {
            job,
            site,
            rests: false,
            until: now.saturating_add(patience),
            patience,
        }
    }

    /// The same when time has passed.
    fn at(mut self, now: Time) -> Self {
        if self.until <= now {
            if self.rests {
                self.patience = self.patience.saturating_mul(2);
            }
            self.rests = !self.rests;
            self.until = now.saturating_add(self.patience);
        }
        self
    }
}

/// Who gathers, while jobs are being sent: the first one that has to.
#[derive(Debug)]
pub(crate) struct Gathers {
    before: Option<Gathering>,
    pub(crate) now: Option<Gathering>,
}

impl Gathers {
    /// Whoever gathered before goes on only if nobody comes first.
    pub(crate) fn has_begun(&self) -> bool {
        self.now.is_some()
    }
}

impl<J> Scheduler<J> {
    /// The job for which executors are kept idle that others could use, if there is one.
    pub fn gathers(&self) -> Option<JobId> {
        let gathering = self.gathering.filter(|_| self.executors.closed().is_some());
        gathering.map(|gathering| gathering.job)
    }

    /// Lets all executors be used, until it is known again who gathers.
    pub(crate) fn begin_gathering(&mut self) -> Gathers {
        let is_queued = |gathering: &Gathering| {
            let entry = self.jobs.get(gathering.job);
            entry.is_some_and(|entry| entry.executor == QUEUED)
        };
        let before = self.gathering.filter(is_queued);
        self.executors.reopen();
        Gathers {
            before: before.map(|gathering| gathering.at(self.now)),
            now: None,
        }
    }

    /// Where a job has gathered before, unless that cannot hold it any more.
    pub(crate) fn gathers_at(&self, job: JobId, gathers: &Gathers) -> Option<Site> {
        let before = gathers.before.filter(|gathering| gathering.job == job)?;
        let demand = self.demand_of(job);
        let could_fit = self.executors.could_fit(before.site, demand);
        could_fit.then_some(before.site)
    }

    /// A job lacks nothing but slots on a machine: it gathers them, if nobody else does.
    pub(crate) fn gather(&mut self, job: JobId, site: Site, gathers: &mut Gathers) {
        if gathers.now.is_some() {
            return;
        }
        let mut gathering = match gathers.before {
            Some(gathering) if gathering.job == job => gathering,
            _ => Gathering::begin(job, site, self.config.gather, self.now),
        };
        gathering.site = site;
        if !gathering.rests {
            self.executors.close(gathering.site);
        }
        gathers.now = Some(gathering);
    }

    /// Nobody is to gather any more.
    pub(crate) fn stop_gathering(&mut self) {
        self.executors.reopen();
        self.gathering = None;
    }

    /// All have been sent that can be; with `is_full`, since nobody takes any more.
    pub(crate) fn end_gathering(&mut self, gathers: &Gathers, is_full: bool) {
        // Where nobody takes any, it was not seen who would have to gather.
        let before = gathers.before.filter(|_| is_full);
        self.gathering = gathers.now.or(before);
    }
}
