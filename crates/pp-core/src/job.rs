//! Jobs, and the table that finds them by name.

use std::collections::{BTreeMap, VecDeque};

use crate::JobId;

/// Where a job is that no executor holds, and that may be sent.
pub(crate) const QUEUED: u32 = u32::MAX;

/// Where a job is that waits for the end of others.
pub(crate) const WAITING: u32 = u32::MAX - 1;

/// Where a job is that pauses before it is run again.
pub(crate) const PAUSED: u32 = u32::MAX - 2;

/// Where a job is that was set aside.
pub(crate) const ASIDE: u32 = u32::MAX - 3;

/// Jobs in one page of the table.
const PAGE: usize = 256;

/// A full page with no more live jobs than this is given up, and its jobs move to
/// the stragglers: a few long jobs must not hold the memory of many short ones.
const SPARSE: usize = 8;

/// Gaps between pages that are allowed before old pages are given up.
const SLACK: usize = 64;

/// One live job.
#[derive(Debug)]
pub(crate) struct Job<J> {
    pub(crate) data: J,
    /// Where the function table holds its function.
    pub(crate) function: u32,
    /// The slot of the executor that holds it, or [`QUEUED`], [`WAITING`], [`PAUSED`] or
    /// [`ASIDE`].
    pub(crate) executor: u32,
    /// Its place among what that executor holds.
    pub(crate) place: u32,
    /// Where the class table holds its share and priority.
    pub(crate) class: u32,
}

/// All live jobs, by name.
///
/// Names count up, so jobs lie in pages in the order of submission: neighbours in
/// the queue are neighbours in memory, a page is freed when its jobs have ended,
/// and finding one takes two steps however many there are. The few jobs of old pages
/// that outlive their neighbours are kept apart.
#[derive(Debug)]
pub(crate) struct JobTable<J> {
    next: u64,
    len: usize,
    /// The pages in use, and gaps where pages have been freed. The last one is being
    /// filled.
    pages: VecDeque<Option<Page<J>>>,
    /// The number of the first of these.
    first: u64,
    /// How many of them are no gaps.
    in_use: usize,
    stragglers: BTreeMap<u64, Job<J>>,
    /// The memory of the last page that was freed.
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
            pages: VecDeque::new(),
            first: 0,
            in_use: 0,
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
        if locate(id).1 == 0 {
            self.open_page();
        }
        self.next += 1;
        self.len += 1;
        // The last page stays until the next one is opened, so its next free place is
        // the one that belongs to this name.
        if let Some(Some(page)) = self.pages.back_mut() {
            page.slots.push(Some(job));
            page.live += 1;
        }
        id
    }

    fn open_page(&mut self) {
        if let Some(Some(last)) = self.pages.back()
            && last.live <= SPARSE
        {
            self.free(self.pages.len() - 1);
        }
        // Old pages must not keep the deque long when most of it is gaps.
        while self.pages.len() > 2 * self.in_use + SLACK {
            self.free(0);
        }
        let mut slots = std::mem::take(&mut self.spare);
        slots.reserve_exact(PAGE);
        self.pages.push_back(Some(Page { live: 0, slots }));
        self.in_use += 1;
    }

    /// Where the page of a name is in the deque.
    fn index(&self, number: u64) -> usize {
        usize::try_from(number.wrapping_sub(self.first)).unwrap_or(usize::MAX)
    }

    pub(crate) fn contains(&self, id: JobId) -> bool {
        self.get(id).is_some()
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Job<J>> {
        let (number, place) = locate(id);
        match self.pages.get(self.index(number)) {
            Some(Some(page)) => page.slots.get(place)?.as_ref(),
            _ => self.stragglers.get(&id.as_u64()),
        }
    }

    pub(crate) fn get_mut(&mut self, id: JobId) -> Option<&mut Job<J>> {
        let (number, place) = locate(id);
        let index = self.index(number);
        match self.pages.get_mut(index) {
            Some(Some(page)) => page.slots.get_mut(place)?.as_mut(),
            _ => self.stragglers.get_mut(&id.as_u64()),
        }
    }

    pub(crate) fn remove(&mut self, id: JobId) -> Option<Job<J>> {
        let (number, place) = locate(id);
        let index = self.index(number);
        let job = match self.pages.get_mut(index) {
            Some(Some(page)) => {
                let job = page.slots.get_mut(place)?.take()?;
                page.live -= 1;
                if page.live <= SPARSE && index + 1 < self.pages.len() {
                    self.free(index);
                }
                job
            }
            _ => self.stragglers.remove(&id.as_u64())?,
        };
        self.len -= 1;
        Some(job)
    }

    /// Frees a page; what still lives in it joins the stragglers.
    fn free(&mut self, index: usize) {
        let Some(mut page) = self.pages.get_mut(index).and_then(Option::take) else {
            return;
        };
        self.in_use -= 1;
        let names = (self.first + index as u64) * PAGE as u64..;
        for (slot, name) in page.slots.drain(..).zip(names) {
            if let Some(job) = slot {
                self.stragglers.insert(name, job);
            }
        }
        self.spare = page.slots;
        self.drop_leading_gaps();
    }

    fn drop_leading_gaps(&mut self) {
        while let Some(None) = self.pages.front() {
            self.pages.pop_front();
            self.first += 1;
        }
    }

    /// Removes all jobs, and gives them in the order of submission.
    pub(crate) fn take_all(&mut self) -> Vec<(JobId, Job<J>)> {
        let mut all: Vec<_> = std::mem::take(&mut self.stragglers)
            .into_iter()
            .map(|(name, job)| (JobId::from_u64(name), job))
            .collect();
        for (page, number) in self.pages.iter_mut().zip(self.first..) {
            let Some(page) = page else { continue };
            for (slot, name) in page.slots.iter_mut().zip(number * PAGE as u64..) {
                all.extend(slot.take().map(|job| (JobId::from_u64(name), job)));
            }
            page.live = 0;
        }
        self.len = 0;
        for index in (0..self.pages.len().saturating_sub(1)).rev() {
            self.free(index);
        }
        all.sort_unstable_by_key(|&(id, _)| id);
        all
    }

    /// All live jobs, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (JobId, &Job<J>)> {
        let paged = self
            .pages
            .iter()
            .zip(self.first..)
            .flat_map(|(page, number)| {
                let slots = page.iter().flat_map(|page| &page.slots);
                let names = number * PAGE as u64..;
                names
                    .zip(slots)
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
        let last = self.pages.len().saturating_sub(1);
        let mut in_use = 0;
        for (index, page) in self.pages.iter().enumerate() {
            let Some(page) = page else { continue };
            in_use += 1;
            let live = page.slots.iter().flatten().count();
            if live != page.live || (index < last && live <= SPARSE) {
                return Some(format!("page {index}: {live} live, {} counted", page.live));
            }
        }
        let len = self.pages.len();
        let bounded = len <= 2 * in_use + SLACK + 1;
        (in_use != self.in_use || !bounded)
            .then(|| format!("{in_use} of {len} pages in use, {} counted", self.in_use))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(data: u64) -> Job<u64> {
        Job {
            data,
            function: 0,
            executor: QUEUED,
            place: 0,
            class: 0,
        }
    }

    /// What few jobs need belongs into a table of its own.
    #[test]
    fn a_job_takes_24_bytes() {
        assert_eq!(size_of::<Option<Job<std::num::NonZeroU64>>>(), 24);
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
    fn many_old_jobs_do_not_keep_the_table_long() {
        let mut table = JobTable::new();
        let old: Vec<_> = (0..300).map(|n| table.insert(job(n))).collect();
        for n in 300..200_000 {
            let id = table.insert(job(n));
            table.remove(id);
        }
        assert!(
            table.pages.len() <= SLACK + 8,
            "{} pages",
            table.pages.len()
        );
        assert_eq!(table.fault(), None);
        assert!(old.into_iter().all(|id| table.remove(id).is_some()));
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
