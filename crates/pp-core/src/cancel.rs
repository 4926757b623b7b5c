//! Cancelling jobs, with or without regard for what has begun.

use crate::effect::{Effect, Ending};
use crate::executor::ExecutorState;
use crate::held::HeldState;
use crate::job::{ASIDE, PAUSED, QUEUED, WAITING};
use crate::time::Time;
use crate::{JobId, Scheduler};

impl<J> Scheduler<J> {
    /// Ends a job as [`Ending::Cancelled`], wherever it is.
    ///
    /// A job that is queued, waits or pauses ends at once, and what depends on a job ends with
    /// it, as [`Ending::DependencyCancelled`]. One that a worker has is asked back; if it has
    /// been started, it is [asked to end](Effect::Interrupt), and if it has not ended after
    /// [`Config::cancel_grace`](crate::Config::cancel_grace), the worker is killed and replaced,
    /// at no other job's charge. A node is told to end it. False if the job is not live. After
    /// true it may still finish in the regular way.
    pub fn cancel(&mut self, job: JobId, now: Time) -> bool {
        self.call_off(job, HeldState::Cancelling, now)
    }

    /// [Cancels](Self::cancel) all jobs whose data `is_meant`; how many there were.
    ///
    /// Looks at every live job.
    pub fn cancel_all(&mut self, is_meant: impl Fn(&J) -> bool, now: Time) -> usize {
        let meant = self.jobs_that(is_meant);
        // The last ones first: those that wait take no place that is left by one that ran.
        for &job in meant.iter().rev() {
            self.cancel(job, now);
        }
        meant.len()
    }

    /// The names of all live jobs whose data `is_meant`, in the order of submission.
    fn jobs_that(&self, is_meant: impl Fn(&J) -> bool) -> Vec<JobId> {
        let jobs = self.jobs.iter();
        let mut meant: Vec<_> = jobs
            .filter(|(_, entry)| is_meant(&entry.data))
            .map(|(job, _)| job)
            .collect();
        meant.sort_unstable();
        meant
    }

    /// Ends a job as [`Ending::Cancelled`], unless it has begun: then it goes on, to
    /// its own end or to that of its executor. False if the job is not live.
    pub fn withdraw(&mut self, job: JobId, now: Time) -> bool {
        self.call_off(job, HeldState::Withdrawing, now)
    }

    /// Ends a job as [`Ending::Cancelled`], unless it has begun: then it goes on as if
    /// nothing had been asked. Which of the two, the end of the job tells, or
    /// [`JobState::Sent`](crate::JobState::Sent). False if the job is not live.
    pub fn give_back(&mut self, job: JobId, now: Time) -> bool {
        self.call_off(job, HeldState::Returning, now)
    }

    /// Withdraws all jobs whose data `is_meant`.
    ///
    /// Looks at every live job.
    pub fn withdraw_all(&mut self, is_meant: impl Fn(&J) -> bool, now: Time) {
        for job in self.jobs_that(is_meant) {
            self.withdraw(job, now);
        }
    }

    /// `manner`: what becomes of the job if an executor holds it.
    fn call_off(&mut self, job: JobId, manner: HeldState, now: Time) -> bool {
        self.see(now);
        let Some((slot, class)) = self
            .jobs
            .get(job)
            .map(|entry| (entry.executor, entry.class))
        else {
            return false;
        };
        if matches!(slot, WAITING | PAUSED | ASIDE) {
            self.end(job, Ending::Cancelled);
            return true;
        }
        if slot == QUEUED {
            if !self.suspects.remove(job) {
                let (jobs, class) = (&self.jobs, self.classes.get(class));
                let class = class.queued_at(self.nears.key(job, class.demand));
                let is_live = |other| other != job && jobs.contains(other);
                self.shares.remove(job, class, is_live);
            }
            self.end(job, Ending::Cancelled);
            // It may have held up what waits behind it.
            self.pump();
            return true;
        }
        self.call_off_sent(slot, job, manner);
        self.doubt_effects();
        self.pump();
        true
    }

    fn call_off_sent(&mut self, slot: u32, job: JobId, manner: HeldState) {
        let Some(place) = self.place_at(slot, job) else {
            return;
        };
        let Some(executor) = self.executors.get_mut(slot) else {
            return;
        };
        let Some(state) = executor.held.get(place).map(|held| held.state) else {
            return;
        };
        let runs = matches!(state, HeldState::Started | HeldState::Withdrawn);
        if manner == HeldState::Withdrawing && (runs || state == HeldState::Cancelling) {
            if runs {
                executor.held.mark(place, HeldState::Withdrawn);
            }
            return;
        }
        if executor.state == ExecutorState::Killing && manner != HeldState::Returning {
            if let Some(held) = executor.held.remove(place) {
                self.release(&held, held.state.took());
            }
            self.end(job, Ending::Cancelled);
            return;
        }
        if state.is_asked_to_end() {
            if manner != HeldState::Returning {
                executor.held.mark(place, HeldState::Interrupted);
            }
            return;
        }
        let may_return = matches!(
            state,
            HeldState::Sent | HeldState::Recalling | HeldState::Expiring
        ) && executor.state != ExecutorState::Killing;
        if manner == HeldState::Returning && !may_return {
            return;
        }
        let is_node = executor.is_node();
        if runs && !is_node {
            self.interrupt(slot, place, HeldState::Interrupted);
            return;
        }
        executor.held.mark(place, manner);
        let executor = executor.id;
        // What was asked back for another reason will not come back to run elsewhere.
        self.recalls.pending -= usize::from(state == HeldState::Recalling);
        if is_node && manner == HeldState::Cancelling && state != HeldState::Cancelling {
            self.effects.push_back(Effect::Cancel { executor, job });
        } else if state == HeldState::Sent {
            self.effects.push_back(Effect::Recall { executor, job });
        }
        self.settle(slot);
    }
}
