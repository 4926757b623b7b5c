//! The jobs that an executor holds.

use std::collections::VecDeque;

use crate::JobId;
use crate::estimate::Expected;

/// Gaps that are allowed beyond the number of jobs before the list is made anew.
const SLACK: usize = 64;

/// What is known of a job that an executor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldState {
    /// Sent. The first of an executor, as many as it has slots, are taken to run.
    Sent,
    /// Asked back, to run elsewhere.
    Recalling,
    /// Asked back, to be cancelled.
    Cancelling,
    /// Asked back, to be cancelled if it has not begun.
    Withdrawing,
    /// Asked back, to be cancelled if it has not begun; else nothing was asked.
    Returning,
    /// Known to run, because it could not be taken back.
    Started,
    /// Known to run, and not to be run again.
    Withdrawn,
}

impl HeldState {
    /// Whether an answer is to come.
    pub(crate) fn is_asked_back(self) -> bool {
        matches!(
            self,
            Self::Recalling | Self::Cancelling | Self::Withdrawing | Self::Returning
        )
    }
}

/// A job that an executor holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) job: JobId,
    /// What was expected of it when it was sent.
    pub(crate) expected: Expected,
    pub(crate) state: HeldState,
}

/// Jobs in the order in which they were sent, each found by its place in no time.
///
/// The first of them, as many as there are slots, are the *front*: they are taken to
/// run. Those behind wait. A job that leaves from the middle leaves a gap, so that the
/// places of the others stay what they are until [`compact`](Self::compact).
#[derive(Debug)]
pub(crate) struct HeldJobs {
    /// Neither the first nor the last one is a gap.
    entries: VecDeque<Option<Held>>,
    /// The place of the first entry. Places count up, and around.
    first: u32,
    live: usize,
    /// The expected run times of all of them, in nanoseconds.
    backlog: u64,
    /// The same if all of them are short ones.
    least: u64,
    /// How many of them are [`HeldState::Sent`].
    sent: usize,
    slots: usize,
    front: Front,
}

/// Counts over the front.
#[derive(Debug, Default)]
struct Front {
    /// Entries, gaps included.
    entries: usize,
    /// Jobs.
    live: usize,
    /// Jobs that are [`HeldState::Sent`].
    sent: usize,
}

impl HeldJobs {
    pub(crate) fn new(slots: u32) -> Self {
        Self {
            entries: VecDeque::new(),
            first: 0,
            live: 0,
            backlog: 0,
            least: 0,
            sent: 0,
            slots: slots as usize,
            front: Front::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.live == 0
    }

    pub(crate) fn backlog(&self) -> u64 {
        self.backlog
    }

    /// The backlog, if all jobs are short ones.
    pub(crate) fn least(&self) -> u64 {
        self.least
    }

    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// How many can be asked back: they wait, and have not been asked for.
    pub(crate) fn recallable(&self) -> usize {
        self.sent - self.front.sent
    }

    /// Adds a job at the end, and gives its place.
    pub(crate) fn push(&mut self, job: JobId, expected: Expected) -> u32 {
        let place = self.place_of(self.entries.len());
        let state = HeldState::Sent;
        self.entries.push_back(Some(Held {
            job,
            expected,
            state,
        }));
        self.live += 1;
        self.sent += 1;
        self.backlog += u64::from(expected.time);
        self.least += u64::from(expected.least);
        self.fill_front();
        place
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Held> {
        self.entries.get(self.index(place))?.as_ref()
    }

    /// Removes the job at a place.
    pub(crate) fn remove(&mut self, place: u32) -> Option<Held> {
        let index = self.index(place);
        let held = self.entries.get_mut(index)?.take()?;
        self.live -= 1;
        self.backlog -= u64::from(held.expected.time);
        self.least -= u64::from(held.expected.least);
        let is_sent = usize::from(held.state == HeldState::Sent);
        self.sent -= is_sent;
        if index < self.front.entries {
            self.front.live -= 1;
            self.front.sent -= is_sent;
        }
        self.trim();
        self.fill_front();
        Some(held)
    }

    /// Drops the gaps at both ends.
    fn trim(&mut self) {
        while let Some(None) = self.entries.front() {
            self.entries.pop_front();
            self.first = self.first.wrapping_add(1);
            self.front.entries = self.front.entries.saturating_sub(1);
        }
        while let Some(None) = self.entries.back() {
            self.entries.pop_back();
        }
        self.front.entries = self.front.entries.min(self.entries.len());
    }

    /// Lets those that wait move up while there are slots.
    fn fill_front(&mut self) {
        while self.front.live < self.slots
            && let Some(entry) = self.entries.get(self.front.entries)
        {
            self.front.entries += 1;
            if let Some(held) = entry {
                self.front.live += 1;
                self.front.sent += usize::from(held.state == HeldState::Sent);
            }
        }
    }

    /// Changes how many may run at once.
    pub(crate) fn set_slots(&mut self, slots: u32) {
        self.slots = slots as usize;
        self.front = Front::default();
        self.fill_front();
    }

    /// Changes what is known of the job at a place.
    pub(crate) fn mark(&mut self, place: u32, state: HeldState) {
        let index = self.index(place);
        let Some(Some(held)) = self.entries.get_mut(index) else {
            return;
        };
        let before = std::mem::replace(&mut held.state, state);
        let is_front = index < self.front.entries;
        if before == HeldState::Sent {
            self.sent -= 1;
            self.front.sent -= usize::from(is_front);
        }
        if state == HeldState::Sent {
            self.sent += 1;
            self.front.sent += usize::from(is_front);
        }
    }

    /// Removes all jobs, and gives them in order.
    pub(crate) fn take_all(&mut self) -> Vec<Held> {
        let all = self.iter().collect();
        *self = Self::new(u32::try_from(self.slots).unwrap_or(u32::MAX));
        all
    }

    /// Expects the jobs to take what `estimate` says by now.
    pub(crate) fn reestimate(&mut self, estimate: impl Fn(JobId) -> Expected) {
        self.backlog = 0;
        self.least = 0;
        for held in self.entries.iter_mut().flatten() {
            held.expected = estimate(held.job);
            self.backlog += u64::from(held.expected.time);
            self.least += u64::from(held.expected.least);
        }
    }

    /// The jobs in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Held> + '_ {
        self.entries.iter().copied().flatten()
    }

    /// The jobs and their places, in order.
    pub(crate) fn places(&self) -> impl DoubleEndedIterator<Item = (u32, Held)> + '_ {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(index, held)| Some((self.place_of(index), (*held)?)))
    }

    /// Those that can be asked back, the newest first.
    pub(crate) fn recallable_places(&self) -> impl Iterator<Item = (u32, Held)> + '_ {
        let behind = self.entries.iter().enumerate().skip(self.front.entries);
        behind
            .rev()
            .filter_map(|(index, held)| Some((self.place_of(index), (*held)?)))
            .filter(|(_, held)| held.state == HeldState::Sent)
    }

    /// The one that was sent first.
    pub(crate) fn oldest(&self) -> Option<Held> {
        self.entries.front().copied().flatten()
    }

    /// The one that was sent last.
    pub(crate) fn newest(&self) -> Option<Held> {
        self.entries.back().copied().flatten()
    }

    /// Whether the gaps take more memory than the jobs.
    pub(crate) fn is_sparse(&self) -> bool {
        self.entries.len() > 2 * self.live + SLACK
    }

    /// Closes the gaps, and tells of each job's new place.
    pub(crate) fn compact(&mut self, mut moved: impl FnMut(JobId, u32)) {
        self.entries.retain(Option::is_some);
        self.entries.shrink_to(2 * self.live + SLACK);
        self.front = Front::default();
        self.fill_front();
        for (place, held) in self.places() {
            moved(held.job, place);
        }
    }

    fn index(&self, place: u32) -> usize {
        place.wrapping_sub(self.first) as usize
    }

    fn place_of(&self, index: usize) -> u32 {
        // Nobody holds four billion jobs.
        self.first
            .wrapping_add(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The first contradiction in it, if there is one.
    pub(crate) fn fault(&self) -> Option<String> {
        let is_sent = |held: &Held| held.state == HeldState::Sent;
        let live = self.iter().count();
        let sent = self.iter().filter(is_sent).count();
        let backlog: u64 = self.iter().map(|held| u64::from(held.expected.time)).sum();
        let least: u64 = self.iter().map(|held| u64::from(held.expected.least)).sum();
        let front = live.min(self.slots);
        let front_sent = self.iter().take(front).filter(is_sent).count();
        let ends = [self.entries.front(), self.entries.back()];
        let is_sound = (live, sent, backlog, least)
            == (self.live, self.sent, self.backlog, self.least)
            && (front, front_sent) == (self.front.live, self.front.sent)
            && !ends.iter().any(|end| matches!(end, Some(None)))
            && (!self.is_sparse() || live > 0);
        (!is_sound).then(|| format!("miscounts what it holds: {self:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> JobId {
        JobId::from_u64(number)
    }

    const EXPECTED: Expected = Expected { time: 10, least: 3 };

    fn with(slots: u32, jobs: u64) -> (HeldJobs, Vec<u32>) {
        let mut held = HeldJobs::new(slots);
        let places = (0..jobs).map(|n| held.push(id(n), EXPECTED)).collect();
        (held, places)
    }

    fn waiting(held: &HeldJobs) -> Vec<u64> {
        held.recallable_places()
            .map(|(_, held)| held.job.as_u64())
            .collect()
    }

    #[test]
    fn those_behind_move_up_as_others_end() {
        let (mut held, places) = with(2, 6);
        assert_eq!(waiting(&held), [5, 4, 3, 2]);
        assert_eq!(held.remove(places[1]).map(|held| held.job), Some(id(1)));
        assert_eq!(waiting(&held), [5, 4, 3]);
        held.remove(places[4]);
        assert_eq!(waiting(&held), [5, 3]);
        held.remove(places[0]);
        assert_eq!(
            (waiting(&held), held.recallable(), held.len()),
            (vec![5], 1, 3)
        );
        assert!(held.remove(places[0]).is_none(), "it has gone");
        assert_eq!(held.fault(), None);
    }

    #[test]
    fn slots_come_and_go() {
        let (mut held, places) = with(0, 5);
        assert_eq!(held.recallable(), 5);
        held.set_slots(3);
        assert_eq!(waiting(&held), [4, 3]);
        held.mark(places[1], HeldState::Started);
        held.mark(places[3], HeldState::Recalling);
        assert_eq!(waiting(&held), [4]);
        held.set_slots(1);
        assert_eq!(waiting(&held), [4, 2]);
        assert_eq!(held.fault(), None);
    }

    #[test]
    fn a_long_job_at_the_front_does_not_keep_the_places_of_those_that_pass_it() {
        let (mut held, _) = with(2, 1);
        let mut places = std::collections::HashMap::from([(0, 0)]);
        for n in 1..100_000 {
            let place = held.push(id(n), EXPECTED);
            assert_eq!(held.remove(place).map(|held| held.job), Some(id(n)));
            if n % 10 == 0 {
                places.insert(n, held.push(id(n), EXPECTED));
            }
            if n % 100 == 0 {
                let kept: Vec<_> = places.drain().filter(|&(job, _)| job > 0).collect();
                for (job, place) in kept {
                    assert_eq!(held.remove(place).map(|held| held.job), Some(id(job)));
                }
                places.insert(0, 0);
            }
            if held.is_sparse() {
                held.compact(|job, place| {
                    places.insert(job.as_u64(), place);
                });
            }
            assert!(held.entries.len() <= 200, "{}", held.entries.len());
        }
        assert_eq!(held.fault(), None);
    }

    #[test]
    fn places_count_around() {
        let mut held = HeldJobs::new(1);
        held.first = u32::MAX - 1;
        let places: Vec<_> = (0..4).map(|n| held.push(id(n), EXPECTED)).collect();
        assert_eq!(places, [u32::MAX - 1, u32::MAX, 0, 1]);
        for (n, place) in (0..).zip(places) {
            assert_eq!(held.get(place).map(|held| held.job), Some(id(n)));
            assert_eq!(held.remove(place).map(|held| held.job), Some(id(n)));
        }
        assert_eq!((held.len(), held.backlog(), held.fault()), (0, 0, None));
    }
}
