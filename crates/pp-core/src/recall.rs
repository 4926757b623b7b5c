//! Taking back jobs that were sent ahead and wait in the wrong place.

use std::collections::VecDeque;
use std::time::Duration;

use crate::config::Config;
use crate::effect::{Effect, Ending};
use crate::executor::{Executor, ExecutorState, Wait};
use crate::held::{Held, HeldState};
use crate::shares::Took;
use crate::time::{Time, nanos};
use crate::{ExecutorId, JobId, Scheduler};

/// What is going on about recalls.
#[derive(Debug, Default)]
pub(crate) struct Recalls {
    /// Jobs that were asked back to run elsewhere, and for which no answer has come.
    pub(crate) pending: usize,
    /// When an idle executor takes jobs over that should have begun by then.
    pub(crate) deadline: Option<Time>,
    /// Executors that held jobs ahead, and when to look whether they are stalled.
    /// Looked at one interval after the last look, so they stay in order, and jobs
    /// that are sent and finished in the meantime cost nothing here.
    looks: VecDeque<(Time, u32, ExecutorId)>,
}

impl Recalls {
    pub(crate) fn next_look(&self) -> Option<Time> {
        self.looks.front().map(|&(time, ..)| time)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl<J> Scheduler<J> {
    /// Finds work for executors that idle while others hold jobs ahead.
    ///
    /// Jobs that would wait longer than the threshold are taken over at once. For the
    /// others a deadline is set: they should have begun by then.
    ///
    /// Comes last, when the caller has told all that it knows: an executor whose
    /// results are still being read must not look idle or stalled.
    pub(crate) fn balance(&mut self) {
        let overdue = self
            .recalls
            .deadline
            .is_some_and(|deadline| deadline <= self.now);
        while self.executors.free_slots() > self.recalls.pending {
            let Some(slot) = self.executors.most_loaded() else {
                break;
            };
            let Some(holder) = self.executors.get(slot) else {
                break;
            };
            let slack = self.config.recall.slack;
            let near = self.newest_near(holder);
            let threshold = nanos(self.config.recall.threshold) + self.way_over(holder);
            match (holder.wait(self.now, slack), near) {
                (Wait::Unknown, _) => {
                    self.stop_sending_ahead(slot);
                    self.recall_half(slot);
                }
                (Wait::About(_), Some((place, gain))) if gain > threshold => {
                    self.recall(slot, vec![place]);
                }
                (Wait::About(_), Some(_)) => {
                    // It stays where its data is, unless its holder comes to be late.
                    let late = holder.late_at(slack).unwrap_or(self.now);
                    return self.look_again(late, overdue);
                }
                (Wait::About(wait), None) if overdue || wait > threshold => {
                    self.recall_half(slot);
                }
                (Wait::About(wait), None) => {
                    let way = Duration::from_nanos(self.way_over(holder));
                    let wait = Duration::from_nanos(wait);
                    let deadline = self.now.saturating_add(wait + slack + way);
                    return self.look_again(deadline, overdue);
                }
            }
        }
        self.recalls.deadline = None;
    }

    /// What it takes, in nanoseconds, to get a job back from its holder and to where it
    /// would start, beyond what it takes between workers.
    fn way_over(&self, holder: &Executor) -> u64 {
        let taker = self.executors.next_to_serve();
        let taker = taker.and_then(|(slot, _)| self.executors.get(slot));
        holder.latency + taker.map_or(0, |taker| taker.latency)
    }

    /// Sees to it that executors that idle are looked at again, and not only when somebody is late
    /// who was the reason to wait before.
    fn look_again(&mut self, deadline: Time, overdue: bool) {
        let before = self.recalls.deadline.filter(|_| !overdue);
        self.recalls.deadline = Some(before.map_or(deadline, |before| before.min(deadline)));
    }

    /// Asks back the newer half of the work that waits at an executor.
    fn recall_half(&mut self, slot: u32) {
        let Some(holder) = self.executors.get(slot) else {
            return;
        };
        let waiting = || holder.held.recallable_places();
        let all: u64 = waiting()
            .map(|(_, held)| u64::from(held.expected.time))
            .sum();
        let mut taken = 0;
        let mut half = Vec::new();
        for (place, held) in waiting() {
            half.push(place);
            taken += u64::from(held.expected.time);
            if taken * 2 >= all {
                break;
            }
        }
        self.recall(slot, half);
    }

    /// Asks back all that waits at an executor.
    pub(crate) fn recall_all(&mut self, slot: u32) {
        let Some(holder) = self.executors.get(slot) else {
            return;
        };
        let places = holder.held.waiting_places();
        let places = places.map(|(place, _)| place).collect();
        self.recall(slot, places);
    }

    /// Asks back all that an executor holds, also what may have begun.
    pub(crate) fn recall_held(&mut self, slot: u32) {
        let Some(holder) = self.executors.get(slot) else {
            return;
        };
        let is_sent = |held: &Held| held.state == HeldState::Sent;
        let places = holder.held.places().filter(|(_, held)| is_sent(held));
        let places = places.map(|(place, _)| place).rev().collect();
        self.recall(slot, places);
    }

    /// Lets an executor get nothing more ahead before it has finished something.
    pub(crate) fn stop_sending_ahead(&mut self, slot: u32) {
        if let Some(executor) = self.executors.get_mut(slot) {
            executor.stalled = true;
        }
    }

    /// Asks back the jobs at some places, given from the newest to the oldest: the oldest
    /// first, so that what comes back is sent on in order.
    fn recall(&mut self, slot: u32, places: Vec<u32>) {
        let Some(holder) = self.executors.get_mut(slot) else {
            return;
        };
        let executor = holder.id;
        for place in places.into_iter().rev() {
            let Some(job) = holder.held.get(place).map(|held| held.job) else {
                continue;
            };
            holder.held.mark(place, HeldState::Recalling);
            self.recalls.pending += 1;
            self.effects.push_back(Effect::Recall { executor, job });
        }
        self.settle(slot);
    }

    /// The answer to an [`Effect::Recall`]: `recalled` if the job has not been
    /// started and never will be there; else it runs, or has run.
    ///
    /// May come while effects are being polled. Ignored for jobs that were not asked
    /// for or have ended in the meantime, and for executors that are being killed:
    /// what those hold comes back when they are gone.
    pub fn recall_answered(&mut self, executor: ExecutorId, job: JobId, recalled: bool, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(executor) else {
            return;
        };
        let Some(place) = self.place_at(slot, job) else {
            return;
        };
        let Some(holder) = self.executors.get_mut(slot) else {
            return;
        };
        let Some(state) = holder.held.get(place).map(|held| held.state) else {
            return;
        };
        match (state, recalled) {
            (HeldState::Recalling, true) => {
                self.take_back(slot, place);
                self.recalls.pending -= 1;
                self.requeue(job);
            }
            // It had not begun: its time has not either.
            (HeldState::Expiring, true) => {
                self.take_back(slot, place);
                self.requeue(job);
            }
            (HeldState::Expiring, false) => self.interrupt(slot, place, HeldState::Expired),
            (HeldState::Recalling, false) => {
                holder.held.mark(place, HeldState::Started);
                self.recalls.pending -= 1;
            }
            (HeldState::Returning, false) => {
                holder.held.mark(place, HeldState::Started);
                self.check_time_of(slot, place);
            }
            (HeldState::Cancelling | HeldState::Withdrawing | HeldState::Returning, true) => {
                self.take_back(slot, place);
                self.end(job, Ending::Cancelled);
            }
            // Either it has ended in the regular way, and that is being told; or this is the
            // answer to an earlier recall, and that to the cancel is still to come.
            (HeldState::Cancelling, false) if holder.is_node() => return,
            (HeldState::Cancelling, false) => self.interrupt(slot, place, HeldState::Interrupted),
            (HeldState::Withdrawing, false) => {
                holder.held.mark(place, HeldState::Withdrawn);
                self.check_time_of(slot, place);
            }
            (
                HeldState::Sent
                | HeldState::Started
                | HeldState::Withdrawn
                | HeldState::Interrupted
                | HeldState::Expired,
                _,
            ) => return,
        }
        self.doubt_effects();
        self.settle(slot);
        self.start_missing();
        self.pump();
    }

    /// Takes a job from its executor that never began there; gives what was known of it.
    pub(crate) fn take_back(&mut self, slot: u32, place: u32) -> Option<HeldState> {
        let held = self.executors.get_mut(slot)?.take_back(place)?;
        self.release(&held, Took::Nothing);
        Some(held.state)
    }

    /// Puts an executor on the list of those to look at for a stall.
    pub(crate) fn watch(&mut self, slot: u32) {
        if let Some(executor) = self.executors.get_mut(slot) {
            executor.watched = true;
            let patience = patience(&self.config, executor);
            let time = self.now.saturating_add(patience);
            self.recalls.looks.push_back((time, slot, executor.id));
        }
    }

    /// Takes jobs back from executors that have finished nothing for long.
    ///
    /// Also when nobody idles: otherwise jobs behind an endless one would wait for
    /// ever in a busy scheduler.
    pub(crate) fn check_stalls(&mut self) {
        while self
            .recalls
            .next_look()
            .is_some_and(|time| time <= self.now)
        {
            let Some((_, slot, id)) = self.recalls.looks.pop_front() else {
                return;
            };
            let Some(executor) = self.executors.get_mut(slot) else {
                continue;
            };
            if executor.id != id {
                continue;
            }
            executor.watched = false;
            if executor.held.waiting() == 0 || executor.state == ExecutorState::Killing {
                continue;
            }
            let since = self.now.saturating_duration_since(executor.progress);
            if since >= patience(&self.config, executor) {
                self.stop_sending_ahead(slot);
                self.recall_all(slot);
            } else {
                self.watch(slot);
            }
        }
    }
}

/// After how long without an end of a job an executor is stalled. News of ends may be on
/// the way.
fn patience(config: &Config, executor: &Executor) -> Duration {
    config.recall.stall + Duration::from_nanos(executor.latency)
}
