//! Checks in which order jobs are sent, and how many of each share.

use pp_core::{JobId, ShareId};

use crate::env::{Env, Job, Place};

impl Env {
    /// The jobs of a share that are queued. Where recalls are answered while effects are polled,
    /// decisions are older than what the model knows of jobs that came back: so of each,
    /// whether this is certain.
    fn queued_of(&self, share: ShareId) -> impl Iterator<Item = (JobId, &Job, bool)> {
        let jobs = self.jobs.iter();
        jobs.filter(move |(_, job)| job.place == Place::Queue && job.terms.share == share)
            .map(|(&id, job)| (id, job, !(self.answers_at_once && job.returned)))
    }

    /// First in, first out, among those of one share and one priority. A job of a higher
    /// priority is passed only by the one of its share that has waited longest. Whoever needs
    /// more than a slot may be passed by those that do not need the same, and whoever has data
    /// somewhere by all. Where effects are held back, nothing is known.
    pub(crate) fn check_order(&self, job: JobId) {
        if self.is_late {
            return;
        }
        let terms = &self.jobs[&job].terms;
        let certain = || {
            let queued = self.queued_of(terms.share);
            queued.filter(|(_, entry, certain)| {
                let demand = &entry.terms.demand;
                let is_plain = demand.is_plain() && entry.items.is_empty();
                *certain && (is_plain || *demand == terms.demand && !demand.is_plain())
            })
        };
        let passed = certain().find(|(other, entry, _)| {
            let is_older = *other < job;
            is_older && entry.terms.priority == terms.priority
        });
        if let Some((passed, ..)) = passed {
            panic!("{job} overtakes {passed}");
        }
        let higher = certain().find(|(_, entry, _)| entry.terms.priority > terms.priority);
        if let Some((higher, ..)) = higher {
            let is_oldest = certain().all(|(other, ..)| other >= job);
            let ages = self.config.ageing.is_some();
            assert!(
                is_oldest && ages,
                "{job} overtakes {higher} of a higher priority"
            );
        }
    }

    /// Nobody is passed for ever.
    pub(crate) fn check_ageing(&mut self, job: JobId) {
        let share = self.jobs[&job].terms.share;
        let are_certain = self.queued_of(share).all(|(.., certain)| certain);
        let oldest = self.queued_of(share).map(|(other, ..)| other).min();
        let before = self.passed.remove(&share);
        let (Some(oldest), Some(every)) = (oldest, self.config.ageing) else {
            return;
        };
        let oldest_job = &self.jobs[&oldest];
        let may_wait = !oldest_job.terms.demand.is_plain() || !oldest_job.items.is_empty();
        if self.is_late || !are_certain || oldest == job || may_wait {
            return;
        }
        let before = before.filter(|&(other, _)| other == oldest);
        let passed = before.map_or(0, |(_, passed)| passed) + 1;
        assert!(passed < every.get(), "{passed} have passed {oldest}");
        self.passed.insert(share, (oldest, passed));
    }

    pub(crate) fn check_shares(&self) {
        for share in self.scheduler.shares() {
            let stats = self.scheduler.share_stats(share).expect("it is known");
            assert_eq!(stats.held, self.held_of(share) as usize, "{share}");
            let queued = self.queued_of(share).count();
            assert_eq!(stats.queued, queued, "{share}");
            assert_eq!(stats.limit, self.limits.get(&share).copied(), "{share}");
        }
        for job in self.jobs.values() {
            let stats = self.scheduler.share_stats(job.terms.share);
            assert!(stats.is_some(), "{} is not known", job.terms.share);
        }
    }
}
