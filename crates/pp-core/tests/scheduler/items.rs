//! What the model knows of data, and of who has it.

use std::collections::BTreeSet;

use pp_core::{Data, ExecutorId, ExecutorState, JobId};

use crate::env::Env;

impl Env {
    /// Something of what the executor's first job has made stays there.
    pub(crate) fn result_stays(&mut self, executor: ExecutorId, bytes: u64) {
        let Some(&job) = self.held(executor).first() else {
            return;
        };
        if bytes > 0 {
            let jobs = self.jobs.values_mut();
            for entry in jobs.filter(|entry| entry.unmet.contains(&job)) {
                entry.items.insert(job);
            }
            self.copies.entry(job).or_default().insert(executor);
            self.forget_items();
        }
        self.scheduler.result_stays(executor, job, bytes);
    }

    /// Takes note of data that is there when a job is submitted; gives the items that it needs.
    pub(crate) fn note_data(&mut self, data: &[Data]) -> BTreeSet<JobId> {
        let data = data.iter().filter(|data| data.bytes > 0);
        for it in data.clone() {
            self.copies.entry(it.job).or_default().insert(it.executor);
        }
        data.map(|it| it.job).collect()
    }

    /// A job is sent to an executor, which gets its data.
    pub(crate) fn note_copies(&mut self, executor: ExecutorId, job: JobId) {
        for item in &self.jobs[&job].items {
            self.copies.entry(*item).or_default().insert(executor);
        }
    }

    /// The same of all that have been sent: before that is heard of, some may be taken back.
    pub(crate) fn note_unheard_copies(&mut self) {
        for (&job, entry) in &self.jobs {
            let sent = self.scheduler.job(job);
            if let Some(executor) = sent.and_then(|sent| sent.state.executor()) {
                for item in &entry.items {
                    self.copies.entry(*item).or_default().insert(executor);
                }
            }
        }
    }

    /// Nothing is known of what no live job needs.
    pub(crate) fn forget_items(&mut self) {
        let jobs = &self.jobs;
        let is_needed = |item: &JobId| jobs.values().any(|entry| entry.items.contains(item));
        self.copies.retain(|item, _| is_needed(item));
    }

    /// Whether a job may be waiting for an executor that has data of it.
    pub(crate) fn waits_for_holder(&self, job: JobId) -> bool {
        let idle = self.idle();
        let items = self.jobs[&job].items.iter();
        let mut holders = items.flat_map(|item| &self.copies[item]);
        holders.any(|holder| {
            let is_ready = self.state(*holder) == Some(ExecutorState::Ready);
            is_ready && !idle.contains(holder)
        })
    }
}
