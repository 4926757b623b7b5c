//! Executors come, go and die.

use crate::charges::LOSS;
use crate::effect::{Effect, Ending};
use crate::executor::{Executor, ExecutorState};
use crate::held::{Held, HeldState};
use crate::shares::Took;
use crate::time::Time;
use crate::{ExecutorId, JobId, Scheduler};

impl<J> Scheduler<J> {
    /// A started executor is ready. `credit` is the most jobs that it will hold at a
    /// time, the running one among them.
    pub fn executor_ready(&mut self, executor: ExecutorId, credit: u32, now: Time) {
        self.see(now);
        let Some((slot, state)) = self.look_up(executor) else {
            return;
        };
        let next = match state {
            ExecutorState::Starting => ExecutorState::Ready,
            ExecutorState::Surplus => ExecutorState::Draining,
            _ => return,
        };
        if let Some(entry) = self.executors.get_mut(slot) {
            entry.credit = credit;
            // Those that came last are the first to be idle.
            entry.progress = self.now;
        }
        self.executors.set_state(slot, next);
        self.settle(slot);
        self.start_missing();
        self.pump();
    }

    /// An executor changes the most jobs that it will hold at a time. A smaller figure
    /// takes nothing back: it holds up what would be sent next.
    pub fn executor_credit(&mut self, executor: ExecutorId, credit: u32, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(executor) else {
            return;
        };
        if let Some(entry) = self.executors.get_mut(slot) {
            entry.credit = credit;
        }
        self.executors.refresh_able(slot);
        self.settle(slot);
        self.pump();
    }

    /// An executor died, cannot be reached any more, or was killed as asked.
    ///
    /// `started` are the jobs that it had begun and not finished. Unless we killed it,
    /// each of them is charged with the death, and ends with [`Ending::WorkerDied`]
    /// when that happens too often. All other jobs that it held are queued again, at
    /// no charge. Where a node is lost nobody knows what it had begun, so all that it
    /// held are charged, and end with [`Ending::NodeLost`] when that happens too often.
    pub fn executor_lost(&mut self, executor: ExecutorId, started: &[JobId], now: Time) {
        let mut started = started.to_vec();
        started.sort_unstable();
        let charge = |held: &Held, is_node| {
            if is_node {
                LOSS
            } else {
                started.binary_search(&held.job).is_ok().into()
            }
        };
        self.depart(executor, charge, now);
    }

    /// A node cannot be reached any more, and that is hardly the fault of its jobs: see
    /// [`is_own_outage`](crate::is_own_outage). They are queued again, and charged with a
    /// tenth of a loss.
    pub fn node_cut_off(&mut self, node: ExecutorId, now: Time) {
        self.depart(node, |_, is_node| is_node.into(), now);
    }

    /// An executor died before it was ready.
    ///
    /// After [`Config::start_attempts`](crate::Config::start_attempts) of these in a
    /// row, with no other executor ready or being started, all queued jobs end with
    /// [`Ending::StartFailed`] and nothing is started before the next submit or
    /// resize.
    pub fn executor_start_failed(&mut self, executor: ExecutorId, now: Time) {
        self.depart(executor, |_, _| 0, now);
    }

    /// An executor that was asked to retire, or a node that said so before, has gone.
    pub fn executor_exited(&mut self, executor: ExecutorId, now: Time) {
        self.depart(executor, |_, _| 0, now);
    }

    /// An executor is gone, for whatever reason: its state tells what that means.
    /// `charge`: what a job of it, which may be a node, is charged with for that: a death, or
    /// blame.
    fn depart(&mut self, executor: ExecutorId, charge: impl Fn(&Held, bool) -> u16, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(executor) else {
            return;
        };
        let Some(mut gone) = self.executors.remove(slot) else {
            return;
        };
        self.doubt_effects();
        self.nears.data.forget(executor);
        self.break_up_line(slot);
        let is_ours = gone.state == ExecutorState::Killing;
        let mut began = false;
        for held in gone.held.take_all() {
            let charge = if is_ours {
                0
            } else {
                charge(&held, gone.is_node())
            };
            began |= charge > 0;
            self.recover(&gone, held, charge);
        }
        if !gone.is_node() {
            self.note_departure(&gone, began);
        }
        self.start_missing();
        self.pump();
    }

    /// Decides what becomes of a job whose executor is gone.
    fn recover(&mut self, gone: &Executor, held: Held, charge: u16) {
        if held.state == HeldState::Recalling {
            self.recalls.pending -= 1;
        }
        let has_begun = charge > 0 && !gone.is_node();
        let took = if has_begun {
            Took::Unknown
        } else {
            held.state.took()
        };
        self.release(&held, took);
        if held.state.is_called_off() {
            self.end(held.job, Ending::Cancelled);
            return;
        }
        if held.state == HeldState::Expired {
            self.timed_out(held);
            return;
        }
        let charges = if gone.is_node() {
            (0, charge)
        } else {
            (charge, 0)
        };
        match self.charge(gone.id, held.job, charges) {
            Some(ending) => self.end(held.job, ending),
            // The parent has asked for it, and hears what it was charged with.
            None if held.state == HeldState::Returning => self.end(held.job, Ending::Cancelled),
            None => self.requeue(held.job),
        }
    }

    /// Draws the conclusions for the starting of others. `began`: it ran a job.
    fn note_departure(&mut self, gone: &Executor, began: bool) {
        let is_wanted = matches!(gone.state, ExecutorState::Starting | ExecutorState::Ready);
        if !is_wanted {
            return;
        }
        let counts = self.executors.workers();
        if gone.finished == 0 && !began {
            let others = counts.wanted() + self.executors.nodes().ready;
            if let Some(attempts) = self.starts.failed(others, self.now) {
                // Nobody will ever run the queued jobs.
                self.end_queued(Ending::StartFailed { attempts });
            }
            return;
        }
        if began {
            self.starts.works();
        }
        if counts.ready == 0 {
            self.starts.hurry(self.now);
        }
    }

    /// Ends all jobs that no executor holds, with [`Ending::GivenUp`]; and what depends on
    /// these, with [`Ending::DependencyFailed`].
    pub fn give_up(&mut self, now: Time) {
        self.see(now);
        self.end_queued(Ending::GivenUp);
        self.pump();
    }

    /// Ends all jobs that no executor holds and that wait for nothing but one.
    fn end_queued(&mut self, ending: Ending) {
        let jobs = &self.jobs;
        let queued = self.shares.take_all(|job| jobs.contains(job));
        let others = self.suspects.take_all().into_iter();
        let others = others.chain(self.retries.names());
        for job in queued.into_iter().chain(others) {
            self.end(job, ending);
        }
    }

    /// Starts as many workers as are wanted and may be started now.
    pub(crate) fn start_missing(&mut self) {
        for _ in 0..self.starts.due(self.executors.workers(), self.now) {
            let executor = ExecutorId::from_u64(self.next_executor);
            self.next_executor += 1;
            let remaining = self.config.jobs_per_executor.map(std::num::NonZero::get);
            self.executors.insert(Executor::worker(executor, remaining));
            self.effects.push_back(Effect::Start { executor });
        }
    }

    /// Asks an executor that holds nothing to exit. If it was wanted, another takes
    /// its place.
    pub(crate) fn retire(&mut self, slot: u32) {
        let Some(executor) = self.executors.get(slot).map(|entry| entry.id) else {
            return;
        };
        self.executors.set_state(slot, ExecutorState::Retiring);
        self.effects.push_back(Effect::Retire { executor });
        self.start_missing();
    }

    /// Kills an executor because it runs a job that is to end. What else it holds comes
    /// back when it is gone.
    pub(crate) fn kill(&mut self, slot: u32) {
        let Some(entry) = self.executors.get_mut(slot) else {
            return;
        };
        if entry.state == ExecutorState::Killing {
            return;
        }
        let executor = entry.id;
        let mut ended = Vec::new();
        let held: Vec<_> = entry.held.places().collect();
        for (place, held) in held {
            self.time_limits.left(held.job);
            match held.state {
                // It is not to run twice at a time.
                HeldState::Expired if self.retries.outlives_timeout(held.job) => {}
                HeldState::Cancelling
                | HeldState::Withdrawing
                | HeldState::Interrupted
                | HeldState::Expired => ended.extend(entry.held.remove(place)),
                HeldState::Recalling => {
                    // Nobody is left to answer.
                    entry.held.mark(place, HeldState::Sent);
                    self.recalls.pending -= 1;
                }
                HeldState::Returning | HeldState::Expiring => {
                    entry.held.mark(place, HeldState::Sent);
                }
                HeldState::Sent | HeldState::Started | HeldState::Withdrawn => {}
            }
        }
        for held in ended {
            self.release(&held, held.state.took());
            self.stopped(held);
        }
        self.executors.set_state(slot, ExecutorState::Killing);
        self.doubt_effects();
        self.effects.push_back(Effect::Kill { executor });
        self.start_missing();
    }

    /// Ends every job with [`Ending::Destroyed`] and kills every executor. After it
    /// nothing can be submitted, and nothing is started.
    pub fn destroy(&mut self, now: Time) {
        self.see(now);
        if self.destroyed {
            return;
        }
        self.destroyed = true;
        self.starts.target = 0;
        self.recalls.clear();
        self.interrupts.clear();
        self.withdraw_effects();
        for slot in self.executors.slots() {
            let entry = self.executors.get_mut(slot);
            let held = entry.map(|entry| entry.held.take_all());
            for held in held.unwrap_or_default() {
                self.release(&held, held.state.took());
            }
            self.executors.refresh(slot);
            self.kill(slot);
        }
        self.shares.take_all(|_| true);
        self.suspects.clear();
        self.dependencies.clear();
        self.asides.clear();
        self.nears.clear();
        self.stop_gathering();
        self.time_limits.clear();
        self.retries.clear();
        for (job, entry) in self.jobs.take_all() {
            self.tell_end(job, entry, Ending::Destroyed);
        }
    }

    /// Drops what has not been polled and need not be done any more, and executors
    /// that nobody has heard of.
    fn withdraw_effects(&mut self) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::End { .. } | Effect::Kill { .. } => self.effects.push_back(effect),
                Effect::Start { executor } => {
                    if let Some(slot) = self.executors.slot(executor) {
                        self.executors.remove(slot);
                    }
                }
                _ => {}
            }
        }
    }

    /// Where an executor is, and its state.
    fn look_up(&self, executor: ExecutorId) -> Option<(u32, ExecutorState)> {
        let slot = self.executors.slot(executor)?;
        Some((slot, self.executors.get(slot)?.state))
    }
}
