//! Who waits for something that is to be brought here, or made again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use pp_core::JobId;

use super::job::{Job, Waiters};

/// What somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Missing {
    /// What lies at a node, by its name here.
    Content(u64),
    /// The result of a job, by its number.
    Result(u64),
}

/// Jobs that were put aside, and threads that sleep.
#[derive(Debug, Default)]
pub(super) struct Aside {
    waiting: HashMap<Missing, Vec<JobId>>,
    /// For how many things each of the jobs waits.
    counts: HashMap<JobId, usize>,
    watched: HashMap<Missing, Arc<Waiters>>,
    /// Jobs whose results are brought here, by the names of what is missing.
    brought: HashMap<u64, Weak<Job>>,
}

impl Aside {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.watched.is_empty()
    }

    /// A job waits for all of these, which are named once.
    pub(super) fn put(&mut self, job: JobId, missing: &[Missing]) {
        for &one in missing {
            self.waiting.entry(one).or_default().push(job);
        }
        *self.counts.entry(job).or_default() += missing.len();
    }

    /// Something has come, or will not come: gives the jobs that wait for nothing more.
    pub(super) fn came(&mut self, one: Missing) -> Vec<JobId> {
        let mut jobs = self.waiting.remove(&one).unwrap_or_default();
        jobs.retain(|job| {
            let Some(count) = self.counts.get_mut(job) else {
                return false;
            };
            *count -= 1;
            if *count == 0 {
                self.counts.remove(job);
                return true;
            }
            false
        });
        jobs
    }

    /// Those who are woken when it comes.
    pub(super) fn watch(&mut self, one: Missing) -> Arc<Waiters> {
        Arc::clone(self.watched.entry(one).or_default())
    }

    /// The result of a job is brought here, and this of it is missing.
    pub(super) fn note_brought(&mut self, content: u64, job: &Arc<Job>) {
        self.brought.insert(content, Arc::downgrade(job));
    }

    /// Takes out the job whose result has come, or some of it.
    pub(super) fn take_brought(&mut self, content: u64) -> Option<Arc<Job>> {
        self.brought.remove(&content)?.upgrade()
    }

    /// Takes out who is to be woken.
    pub(super) fn take_watchers(&mut self, one: Missing) -> Option<Arc<Waiters>> {
        self.watched.remove(&one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(number: u64) -> JobId {
        JobId::from_u64(number)
    }

    #[test]
    fn a_job_goes_on_when_the_last_thing_has_come() {
        let mut aside = Aside::default();
        let (one, two) = (Missing::Content(1), Missing::Result(1));
        aside.put(job(7), &[one, two]);
        aside.put(job(8), &[two]);
        assert_eq!(aside.came(one), []);
        assert_eq!(aside.came(one), [], "it came once");
        assert_eq!(aside.came(two), [job(7), job(8)]);
        assert!(aside.is_empty());
    }

    #[test]
    fn who_watches_is_found_once() {
        let mut aside = Aside::default();
        let first = aside.watch(Missing::Content(1));
        assert!(Arc::ptr_eq(&first, &aside.watch(Missing::Content(1))));
        assert!(!aside.is_empty());
        assert!(aside.take_watchers(Missing::Content(1)).is_some());
        assert!(aside.take_watchers(Missing::Content(1)).is_none() && aside.is_empty());
    }
}
