//! Jobs, and the table that finds them by name.

use std::collections::BTreeMap;

use crate::JobId;
use crate::ids::IdMap;

/// The place of a job that no executor holds.
pub(crate) const QUEUED: u32 = u32::MAX;

/// Jobs in one page of the table.
const PAGE: usize = 256;

/// A full page with no more live jobs than this is given up, and its jobs move to
/// the stragglers: a few long jobs must not hold the memory of many short ones.
const SPARSE: usize = 8;

/// One live job.
#[derive(Debug)]
pub(crate) struct Job<J> {
    pub(crate) data: J,
    /// Where the function table holds its function.
    pub(crate) function: u32,
    /// Executors that died while running it.
    pub(crate) deaths: u32,
    /// The slot of the executor that holds it, or [`QUEUED`].
    pub(crate) executor: u32,
}

/// All live jobs, by name.
///
/// Names count up, so jobs lie in pages in the order of submission: neighbours in
/// the queue are neighbours in memory, a page is freed when its jobs have ended,
/// and nothing is ever moved to make room.
#[derive(Debug)]
pub(crate) struct JobTable<J> {
    next: u64,
    len: usize,
    pages: IdMap<u64, Page<J>>,
    stragglers: BTreeMap<u64, Job<J>>,
    /// The memory of the last page that was given up.
    spare: Vec<Option<Job<J>>>,
}

#[derive(Debug)]
struct Page<J> {
    live: usize,
    slots: Vec<Option<Job<J>>>,
}

/// The page of a name, and the place in it.
fn locate(id: JobId) -> (u64, usize) {
    let number = id.as_u64();
    let page = PAGE as u64;
    // The remainder is less than `PAGE`, whatever the width of `usize`.
    (number / page, usize::try_from(number % page).unwrap_or(0))
}

impl<J> JobTable<J> {
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            len: 0,
            pages: IdMap::default(),
            stragglers: BTreeMap::new(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a job under the next name.
    pub(crate) fn insert(&mut self, job: Job<J>) -> JobId {
        let id = JobId::from_u64(self.next);
        self.next += 1;
        self.len += 1;
        let (number, place) = locate(id);
        if place == 0 && number > 0 {
            self.tidy(number - 1);
        }
        let spare = &mut self.spare;
        let page = self.pages.entry(number).or_insert_with(|| {
            let mut slots = std::mem::take(spare);
            slots.reserve_exact(PAGE);
            Page { live: 0, slots }
        });
        // A page goes only when it is full, so the next place is always the next name's.
        page.slots.push(Some(job));
        page.live += 1;
        id
    }

    pub(crate) fn contains(&self, id: JobId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Job<J>> {
        let (number, place) = locate(id);
        match self.pages.get(&number) {
            Some(page) => page.slots.get(place)?.as_ref(),
            None => self.stragglers.get(&id.as_u64()),
        }
    }

    pub(crate) fn get_mut(&mut self, id: JobId) -> Option<&mut Job<J>> {
        let (number, place) = locate(id);
        match self.pages.get_mut(&number) {
            Some(page) => page.slots.get_mut(place)?.as_mut(),
            None => self.stragglers.get_mut(&id.as_u64()),
        }
    }

    pub(crate) fn remove(&mut self, id: JobId) -> Option<Job<J>> {
        let (number, place) = locate(id);
        let job = match self.pages.get_mut(&number) {
            Some(page) => {
                let job = page.slots.get_mut(place)?.take()?;
                page.live -= 1;
                if page.live <= SPARSE {
                    self.tidy(number);
                }
                job
            }
            None => self.stragglers.remove(&id.as_u64())?,
        };
        self.len -= 1;
        Some(job)
    }

    /// Frees a full page if little lives in it; that joins the stragglers.
    fn tidy(&mut self, number: u64) {
        let is_due = |page: &Page<J>| page.live <= SPARSE && page.slots.len() == PAGE;
        if !self.pages.get(&number).is_some_and(is_due) {
            return;
        }
        let Some(mut page) = self.pages.remove(&number) else {
            return;
        };
        for (slot, name) in page.slots.drain(..).zip(number * PAGE as u64..) {
            if let Some(job) = slot {
                self.stragglers.insert(name, job);
            }
        }
        self.spare = page.slots;
    }

    /// Removes all jobs, and gives them in the order of submission.
    pub(crate) fn take_all(&mut self) -> Vec<(JobId, Job<J>)> {
        let mut all: Vec<_> = std::mem::take(&mut self.stragglers)
            .into_iter()
            .map(|(name, job)| (JobId::from_u64(name), job))
            .collect();
        let mut open = None;
        for (number, mut page) in self.pages.drain() {
            for (slot, name) in page.slots.iter_mut().zip(number * PAGE as u64..) {
                all.extend(slot.take().map(|job| (JobId::from_u64(name), job)));
            }
            if page.slots.len() < PAGE {
                page.live = 0;
                open = Some((number, page));
            }
        }
        // The page that names are being given from has to stay.
        self.pages.extend(open);
        self.len = 0;
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }

    /// All live jobs, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobId, &Job<J>)> {
        let paged = self.pages.iter().flat_map(|(&number, page)| {
            let names = number * PAGE as u64..;
            names
                .zip(&page.slots)
                .filter_map(|(name, slot)| Some((name, slot.as_ref()?)))
        });
        let stragglers = self.stragglers.iter().map(|(&name, job)| (name, job));
        paged
            .chain(stragglers)
            .map(|(name, job)| (JobId::from_u64(name), job))
    }

    /// The first contradiction inside the table, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        let live = self.iter().count();
        if live != self.len {
            return Some(format!("{live} jobs are live, {} are counted", self.len));
        }
        for (number, page) in &self.pages {
            let live = page.slots.iter().flatten().count();
            if live != page.live {
                return Some(format!("page {number}: {live} live, {} counted", page.live));
            }
            if page.slots.len() == PAGE && live == 0 {
                return Some(format!("page {number} is full and empty"));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(data: u64) -> Job<u64> {
        Job {
            data,
            function: 0,
            deaths: 0,
            executor: QUEUED,
        }
    }

    #[test]
    fn long_jobs_do_not_hold_the_pages_of_short_ones() {
        let mut table = JobTable::new();
        let ids: Vec<_> = (0..100_000).map(|n| table.insert(job(n))).collect();
        let (kept, ended): (Vec<_>, Vec<_>) = ids.iter().partition(|id| id.as_u64() % 200 == 7);
        for id in ended {
            assert_eq!(table.remove(id).map(|job| job.data), Some(id.as_u64()));
        }
        assert!(table.pages.len() <= 1, "{} pages", table.pages.len());
        assert_eq!(table.fault(), None);
        for id in kept {
            assert_eq!(table.get(id).map(|job| job.data), Some(id.as_u64()));
            assert_eq!(table.get_mut(id).map(|job| job.data), Some(id.as_u64()));
            assert_eq!(table.remove(id).map(|job| job.data), Some(id.as_u64()));
            assert!(table.remove(id).is_none());
        }
        assert_eq!((table.len(), table.fault()), (0, None));
    }

    #[test]
    fn names_are_never_given_twice() {
        let mut table = JobTable::new();
        let old: Vec<_> = (0..1000).map(|n| table.insert(job(n))).collect();
        assert_eq!(table.take_all().len(), 1000);
        assert_eq!(table.fault(), None);
        let new: Vec<_> = (0..1000).map(|n| table.insert(job(n))).collect();
        assert!(old.iter().max() < new.iter().min());
        assert!(old.iter().all(|&id| !table.contains(id)));
        assert!(new.iter().all(|&id| table.contains(id)));
    }

    #[test]
    fn names_that_were_never_given_find_nothing() {
        let mut table = JobTable::new();
        table.insert(job(1));
        for name in [1, 255, 256, u64::MAX] {
            assert!(!table.contains(JobId::from_u64(name)));
            assert!(table.remove(JobId::from_u64(name)).is_none());
        }
        assert_eq!(table.len(), 1);
    }
}
