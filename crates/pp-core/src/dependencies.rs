//! Jobs that wait for the end of others.

use crate::effect::Ending;
use crate::ids::{IdMap, SMALL};
use crate::job::WAITING;
use crate::{Effect, JobId, Scheduler};

/// The end of a list.
const NONE: u32 = u32::MAX;

/// A job waits for another one. Edges that begin at the same job are a list.
#[derive(Clone, Copy, Debug)]
struct Edge {
    dependant: JobId,
    next: u32,
}

/// Who waits for whom.
///
/// Edges lie in one piece of memory, 16 bytes each. One whose dependant has ended before its
/// time is *stale*; it goes when its list does, or when most edges are stale.
#[derive(Debug)]
pub(crate) struct Dependencies {
    /// Jobs that wait, and for how many others.
    waiting: IdMap<JobId, u32>,
    /// The first edge of each live job that others wait for: its newest dependant.
    heads: IdMap<JobId, u32>,
    edges: Vec<Edge>,
    /// The list of edges that are not in use.
    free: u32,
    used: usize,
    stale: usize,
}

impl Default for Dependencies {
    fn default() -> Self {
        Self {
            waiting: IdMap::default(),
            heads: IdMap::default(),
            edges: Vec::new(),
            free: NONE,
            used: 0,
            stale: 0,
        }
    }
}

impl Dependencies {
    /// Whether nobody waits. Then it holds nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many jobs wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = JobId> + '_ {
        self.waiting.keys().copied()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Those that wait for a job.
    pub(crate) fn of(&self, job: JobId) -> Vec<JobId> {
        let mut dependants = Vec::new();
        let mut place = self.heads.get(&job).copied().unwrap_or(NONE);
        while let Some(edge) = self.edges.get(place as usize) {
            if self.waiting.contains_key(&edge.dependant) {
                dependants.push(edge.dependant);
            }
            place = edge.next;
        }
        dependants
    }

    /// Lets a job wait for others, which live and are named once. It is newer than all that
    /// wait.
    fn add(&mut self, dependant: JobId, after: &[JobId]) {
        for &job in after {
            let next = self.heads.get(&job).copied().unwrap_or(NONE);
            let edge = self.insert(Edge { dependant, next });
            self.heads.insert(job, edge);
        }
        // Nobody has four billion dependencies.
        let count = u32::try_from(after.len()).unwrap_or(u32::MAX);
        self.waiting.insert(dependant, count);
    }

    fn insert(&mut self, edge: Edge) -> u32 {
        self.used += 1;
        let place = self.free;
        if let Some(unused) = self.edges.get_mut(place as usize) {
            self.free = unused.next;
            *unused = edge;
            return place;
        }
        self.edges.push(edge);
        u32::try_from(self.edges.len() - 1).unwrap_or(NONE)
    }

    /// Takes the list of a job out, and gives its dependants, the newest first, and those of
    /// them that have ended too.
    fn take(&mut self, job: JobId) -> Vec<JobId> {
        let mut dependants = Vec::new();
        let mut place = self.heads.remove(&job).unwrap_or(NONE);
        while let Some(edge) = self.edges.get_mut(place as usize) {
            dependants.push(edge.dependant);
            let next = std::mem::replace(&mut edge.next, self.free);
            self.free = place;
            self.used -= 1;
            place = next;
        }
        dependants
    }

    /// A job has ended well: gives those that wait for nothing more, in the order of
    /// submission.
    fn fulfil(&mut self, job: JobId) -> Vec<JobId> {
        let mut ready = self.take(job);
        ready.reverse();
        ready.retain(|dependant| {
            let Some(count) = self.waiting.get_mut(dependant) else {
                self.stale -= 1;
                return false;
            };
            *count -= 1;
            *count == 0
        });
        for dependant in &ready {
            self.waiting.remove(dependant);
        }
        self.tidy();
        ready
    }

    /// A job has ended, and not well: gives those that waited for it, directly or not, in the
    /// order of submission.
    fn fail(&mut self, job: JobId) -> Vec<JobId> {
        let mut failed = Vec::new();
        let mut next = Some(job);
        let mut seen = 0;
        while let Some(job) = next {
            for dependant in self.take(job) {
                match self.waiting.remove(&dependant) {
                    Some(count) => {
                        self.stale += count as usize - 1;
                        failed.push(dependant);
                    }
                    None => self.stale -= 1,
                }
            }
            next = failed.get(seen).copied();
            seen += 1;
        }
        failed.sort();
        self.tidy();
        failed
    }

    /// A job that waits ends before its time.
    pub(crate) fn leave(&mut self, job: JobId) {
        if let Some(count) = self.waiting.remove(&job) {
            self.stale += count as usize;
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        if self.waiting.is_empty() {
            self.heads.clear();
            self.heads.shrink_to(SMALL);
            self.waiting.shrink_to(SMALL);
            self.edges.clear();
            self.edges.shrink_to(SMALL);
            (self.free, self.used, self.stale) = (NONE, 0, 0);
        } else if self.stale > SMALL && self.stale > self.used / 2 {
            self.sweep();
        }
    }

    /// Drops the stale edges, and the gaps between the others.
    fn sweep(&mut self) {
        let before = std::mem::take(&mut self.edges);
        for head in self.heads.values_mut() {
            let mut kept = Vec::new();
            let mut place = *head;
            while let Some(&Edge { dependant, next }) = before.get(place as usize) {
                kept.extend(self.waiting.contains_key(&dependant).then_some(dependant));
                place = next;
            }
            *head = NONE;
            for dependant in kept.into_iter().rev() {
                let next = *head;
                *head = u32::try_from(self.edges.len()).unwrap_or(NONE);
                self.edges.push(Edge { dependant, next });
            }
        }
        self.heads.retain(|_, head| *head != NONE);
        (self.free, self.used, self.stale) = (NONE, self.edges.len(), 0);
    }

    /// The first contradiction in it, if there is one. `is_live` tells which jobs have not
    /// ended.
    pub(crate) fn fault(&self, is_live: impl Fn(JobId) -> bool) -> Option<String> {
        let mut counts: IdMap<JobId, u32> = IdMap::default();
        let (mut used, mut stale) = (0, 0);
        for (&job, &head) in &self.heads {
            let mut place = head;
            if !is_live(job) || head == NONE {
                return Some(format!("{job} has ended or nobody waits for it"));
            }
            while let Some(edge) = self.edges.get(place as usize) {
                used += 1;
                if self.waiting.contains_key(&edge.dependant) {
                    *counts.entry(edge.dependant).or_default() += 1;
                } else {
                    stale += 1;
                }
                place = edge.next;
            }
        }
        let is_bare = !self.is_empty() || self.heads.is_empty() && self.edges.is_empty();
        let is_sound = counts == self.waiting && (used, stale) == (self.used, self.stale);
        (!is_sound || !is_bare).then(|| format!("{counts:?}, {used} used, {stale} stale: {self:?}"))
    }
}

impl<J> Scheduler<J> {
    /// Lets a new job wait for those of `after` that live; false if there are none of these.
    /// If one of them has failed, which the caller cannot know yet, it ends at once.
    pub(crate) fn wait_for(&mut self, job: JobId, after: &[JobId]) -> bool {
        let is_live = |other: &JobId| *other != job && self.jobs.contains(*other);
        let mut live: Vec<_> = after.iter().copied().filter(is_live).collect();
        if live.len() < after.len() {
            let is_gone = |other: &JobId| !is_live(other);
            let gone = after.iter().copied().filter(is_gone).collect();
            if let Some(ending) = self.failure_among(gone) {
                self.end(job, ending);
                return true;
            }
        }
        live.sort_unstable();
        live.dedup();
        if live.is_empty() {
            return false;
        }
        if let Some(entry) = self.jobs.get_mut(job) {
            entry.executor = WAITING;
        }
        self.dependencies.add(job, &live);
        true
    }

    /// How what depends on the first of these jobs ends whose end has not been polled.
    fn failure_among(&self, mut gone: Vec<JobId>) -> Option<Ending> {
        gone.sort_unstable();
        self.effects.iter().find_map(|effect| match *effect {
            Effect::End { job, ending, .. } if gone.binary_search(&job).is_ok() => {
                Some(ending.of_dependants(job))
            }
            _ => None,
        })
    }

    /// A job has ended well: what waited for nothing else takes its place in the queue.
    pub(crate) fn fulfil(&mut self, job: JobId) {
        if self.dependencies.is_empty() {
            return;
        }
        let ready = self.dependencies.fulfil(job);
        for &dependant in &ready {
            self.requeue(dependant);
        }
        if !ready.is_empty() {
            self.start_missing();
        }
    }

    /// A job has ended, and not well: so do all that depend on it, in this way.
    pub(crate) fn fail_dependants(&mut self, job: JobId, ending: Ending) {
        if self.dependencies.is_empty() {
            return;
        }
        for dependant in self.dependencies.fail(job) {
            self.end_alone(dependant, ending);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> JobId {
        JobId::from_u64(number)
    }

    #[test]
    fn edges_of_ended_jobs_do_not_pile_up() {
        let mut table = Dependencies::default();
        table.add(id(2), &[id(0), id(1)]);
        for number in 3..100_000 {
            table.add(id(number), &[id(0), id(1)]);
            table.leave(id(number));
        }
        assert!(table.edges.len() <= 3 * SMALL, "{}", table.edges.len());
        assert_eq!(table.fault(|job| job < id(2)), None);
        assert_eq!(table.fulfil(id(1)), []);
        assert_eq!(table.fulfil(id(0)), [id(2)]);
        assert_eq!(table.fault(|_| false), None);
    }

    #[test]
    fn memory_is_given_back() {
        let mut table = Dependencies::default();
        for number in 1..100_000 {
            table.add(id(number), &[id(number - 1)]);
        }
        for number in 0..99_999 {
            assert_eq!(table.fulfil(id(number)), [id(number + 1)]);
        }
        assert!(table.is_empty());
        assert!(table.edges.capacity() <= SMALL && table.heads.capacity() <= 2 * SMALL);
    }

    #[test]
    fn a_list_that_was_swept_keeps_its_order() {
        let mut table = Dependencies::default();
        let count = 4 * u64::try_from(SMALL).unwrap();
        for number in 1..count {
            table.add(id(number), &[id(0)]);
        }
        for number in (1..count).filter(|number| number % 3 != 0) {
            table.leave(id(number));
        }
        assert!(table.stale < SMALL + 2);
        let ready = table.fulfil(id(0));
        let kept: Vec<_> = (1..count)
            .filter(|number| number % 3 == 0)
            .map(id)
            .collect();
        assert_eq!(ready, kept);
    }
}
