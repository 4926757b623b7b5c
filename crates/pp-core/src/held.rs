//! The jobs that an executor holds.

use std::collections::VecDeque;

use crate::JobId;
use crate::estimate::Expected;

mod state;

pub(crate) use state::{Held, HeldState, Taken};

/// Gaps that are allowed beyond the number of jobs before the list is made anew.
const SLACK: usize = 64;

/// Jobs in the order in which they were sent, each found by its place in no time.
///
/// The first of them, as many as run at a time, are the *front*: they are taken to run. Each has
/// a slot, and some have several: then fewer run at a time than there are slots. Those behind
/// wait. A job that leaves from the middle leaves a gap, so that the places of the others stay
/// what they are until [`compact`](Self::compact).
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
    /// How many have taken something of a node, and so are not asked back only because others
    /// idle.
    bound: usize,
    slots: usize,
    /// The slots that jobs have beyond one each.
    extra: usize,
    front: Front,
    /// The place of a job that is not asked back only because others idle.
    pinned: Option<u32>,
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
            bound: 0,
            slots: slots as usize,
            extra: 0,
            front: Front::default(),
            pinned: None,
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

    /// The slots that jobs have beyond one each.
    pub(crate) fn extra(&self) -> usize {
        self.extra
    }

    /// How many jobs run at a time, with those that it holds.
    pub(crate) fn lanes(&self) -> usize {
        self.slots.saturating_sub(self.extra)
    }

    /// How many slots are taken by all that it holds, as far as there are so many.
    pub(crate) fn taken(&self) -> usize {
        (self.live + self.extra).min(self.slots)
    }

    /// The job at a place takes something, of a node so many slots more than one.
    pub(crate) fn take(&mut self, place: u32, taken: Taken, extra: usize) {
        let index = self.index(place);
        if let Some(Some(held)) = self.entries.get_mut(index) {
            held.taken = taken;
            self.bound += usize::from(held.is_bound());
            self.extra += extra;
            self.refill_front();
        }
    }

    /// A job has left that had taken something of a node, and so many slots more than one.
    pub(crate) fn give_back(&mut self, extra: usize) {
        self.bound = self.bound.saturating_sub(1);
        self.extra = self.extra.saturating_sub(extra);
        self.refill_front();
    }

    /// How many wait, and have not been asked for.
    pub(crate) fn waiting(&self) -> usize {
        self.sent - self.front.sent
    }

    /// Whether one of these can be asked back because others idle.
    #[inline]
    pub(crate) fn has_recallable(&self) -> bool {
        if self.bound > 0 {
            return self.has_unbound();
        }
        self.waiting() > usize::from(self.has_pinned_waiting())
    }

    #[cold]
    fn has_unbound(&self) -> bool {
        self.recallable_places().next().is_some()
    }

    /// Lets the job at a place not be asked back only because others idle. There is one of
    /// these at the most.
    pub(crate) fn pin(&mut self, place: u32) {
        self.pinned = Some(place);
    }

    fn has_pinned_waiting(&self) -> bool {
        self.pinned.is_some_and(|place| {
            let waits = self.index(place) >= self.front.entries;
            waits && self.get(place).is_some_and(Held::is_sent)
        })
    }

    /// Adds a job at the end, and gives its place.
    pub(crate) fn push(&mut self, job: JobId, expected: Expected, charge: u32) -> u32 {
        let place = self.place_of(self.entries.len());
        let state = HeldState::Sent;
        self.entries.push_back(Some(Held {
            job,
            expected,
            charge,
            state,
            taken: Taken::Nothing,
        }));
        self.live += 1;
        self.sent += 1;
        self.backlog += u64::from(expected.time);
        self.least += u64::from(expected.least);
        self.fill_front();
        place
    }

    /// Whether a place is among the first, as many as there are slots.
    pub(crate) fn is_at_front(&self, place: u32) -> bool {
        self.index(place) < self.front.entries
    }

    pub(crate) fn get(&self, place: u32) -> Option<&Held> {
        self.entries.get(self.index(place))?.as_ref()
    }

    /// Removes the job at a place.
    pub(crate) fn remove(&mut self, place: u32) -> Option<Held> {
        let index = self.index(place);
        let held = self.entries.get_mut(index)?.take()?;
        if self.pinned == Some(place) {
            self.pinned = None;
        }
        self.live -= 1;
        self.backlog -= u64::from(held.expected.time);
        self.least -= u64::from(held.expected.least);
        let is_sent = usize::from(held.is_sent());
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
        while self.front.live < self.lanes()
            && let Some(entry) = self.entries.get(self.front.entries)
        {
            self.front.entries += 1;
            if let Some(held) = entry {
                self.front.live += 1;
                self.front.sent += usize::from(held.is_sent());
            }
        }
    }

    /// Changes how many may run at once.
    pub(crate) fn set_slots(&mut self, slots: u32) {
        self.slots = slots as usize;
        self.refill_front();
    }

    fn refill_front(&mut self) {
        self.front = Front::default();
        self.fill_front();
    }

    /// Of jobs that were known to run, this is not known any more.
    pub(crate) fn forget_starts(&mut self) {
        let is_started = |held: &Held| held.state == HeldState::Started;
        let started = self.places().filter(|(_, held)| is_started(held));
        let started: Vec<u32> = started.map(|(place, _)| place).collect();
        for place in started {
            self.mark(place, HeldState::Sent);
        }
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

    /// Those that can be asked back because others idle, the newest first.
    pub(crate) fn recallable_places(&self) -> impl Iterator<Item = (u32, Held)> + '_ {
        self.waiting_places()
            .filter(|&(place, held)| self.pinned != Some(place) && !held.is_bound())
    }

    /// Those that wait, and have not been asked for, the newest first.
    pub(crate) fn waiting_places(&self) -> impl Iterator<Item = (u32, Held)> + '_ {
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
        let pinned = self.pinned.and_then(|place| self.get(place));
        let pinned = pinned.map(|held| held.job);
        self.pinned = None;
        self.entries.retain(Option::is_some);
        self.entries.shrink_to(2 * self.live + SLACK);
        self.refill_front();
        let mut pin = None;
        for (place, held) in self.places() {
            moved(held.job, place);
            if pinned == Some(held.job) {
                pin = Some(place);
            }
        }
        self.pinned = pin;
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
        let live = self.iter().count();
        let sent = self.iter().filter(Held::is_sent).count();
        let backlog: u64 = self.iter().map(|held| u64::from(held.expected.time)).sum();
        let least: u64 = self.iter().map(|held| u64::from(held.expected.least)).sum();
        let front = live.min(self.lanes());
        let front_sent = self.iter().take(front).filter(Held::is_sent).count();
        let bound = self.iter().filter(Held::is_bound).count();
        let ends = [self.entries.front(), self.entries.back()];
        let is_sound = (live, sent, backlog, least)
            == (self.live, self.sent, self.backlog, self.least)
            && (front, front_sent) == (self.front.live, self.front.sent)
            && bound == self.bound
            && !ends.iter().any(|end| matches!(end, Some(None)))
            && self.pinned.is_none_or(|place| self.get(place).is_some())
            && (!self.is_sparse() || live > 0);
        (!is_sound).then(|| format!("miscounts what it holds: {self:?}"))
    }
}

#[cfg(test)]
mod tests;
