//! How jobs end.

use std::time::Duration;

use crate::effect::{Effect, Ending};
use crate::held::{Held, HeldState};
use crate::job::{ASIDE, Job, WAITING};
use crate::shares::Took;
use crate::time::{Time, nanos};
use crate::{ExecutorId, JobId, Scheduler};

/// A job that ran this many times longer than expected makes us look again at
/// what the jobs behind it are expected to take.
const SURPRISE: u64 = 4;

/// What becomes of a job that has raised something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raised<J> {
    /// It lives, and is run again; or it ends by an [`Effect::End`] that comes.
    Again,
    /// It has ended, and no retries are left. This was submitted with it. What depends on it
    /// ends with [`Ending::DependencyFailed`].
    Ended(J),
    /// The executor does not hold that job: see [`Scheduler::job_finished`].
    Unknown,
}

/// A job that has left its executor.
struct Left {
    /// Where the executor is.
    slot: u32,
    /// What was known of the job there.
    held: Held,
    /// The place of its function.
    function: u32,
}

impl<J> Scheduler<J> {
    /// A job has ended well; `run_time` is how long it ran.
    ///
    /// Gives back what was submitted with it. `None` if the executor does not hold
    /// that job: it was cancelled or lost before, or the executor talks nonsense.
    pub fn job_finished(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        run_time: Duration,
        now: Time,
    ) -> Option<J> {
        let slot = self.ran(executor, job, run_time, now)?.slot;
        let data = self.take_out(job)?;
        self.fulfil(job);
        self.settle(slot);
        self.pump();
        Some(data)
    }

    /// A job has raised something that its [retries](crate::Terms::retries) are for.
    pub fn job_raised(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        run_time: Duration,
        now: Time,
    ) -> Raised<J> {
        let Some(Left { slot, held, .. }) = self.ran(executor, job, run_time, now) else {
            return Raised::Unknown;
        };
        let raised = if self.try_again(held) {
            Raised::Again
        } else {
            self.fail(job).map_or(Raised::Unknown, Raised::Ended)
        };
        self.settle(slot);
        self.pump();
        raised
    }

    /// A job has failed in a way that its retries are not for: it has raised something else, or
    /// its result cannot be serialized. The same as [`job_finished`](Self::job_finished), but
    /// what depends on it ends too, with [`Ending::DependencyFailed`].
    pub fn job_failed(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        run_time: Duration,
        now: Time,
    ) -> Option<J> {
        let slot = self.ran(executor, job, run_time, now)?.slot;
        let data = self.fail(job);
        self.settle(slot);
        self.pump();
        data
    }

    /// Takes out a job that has failed in a way of its own, and ends what depends on it.
    fn fail(&mut self, job: JobId) -> Option<J> {
        let data = self.take_out(job)?;
        self.fail_dependants(job, Ending::DependencyFailed { root: job });
        Some(data)
    }

    /// A job has ended because it was [asked to](Effect::Interrupt), without an end of its
    /// own; or because its time was over, where a node ran it. How it ends comes as
    /// [`Effect::End`], unless it is to be run again. One without a limit that nobody
    /// asked to end is cancelled by that.
    pub fn job_stopped(&mut self, executor: ExecutorId, job: JobId, run_time: Duration, now: Time) {
        let Some(Left { slot, held, .. }) = self.leave(executor, job, run_time, now) else {
            return;
        };
        self.stopped(held);
        self.settle(slot);
        self.pump();
    }

    /// A job that nobody holds any more was ended from outside.
    pub(crate) fn stopped(&mut self, held: Held) {
        if held.state.is_called_off() {
            self.end(held.job, Ending::Cancelled);
        } else {
            self.timed_out(held);
        }
    }

    /// A job leaves its executor, having run to its end: see [`leave`](Self::leave).
    fn ran(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        run_time: Duration,
        now: Time,
    ) -> Option<Left> {
        let left = self.leave(executor, job, run_time, now)?;
        // One that was cut short says nothing of the others.
        if !left.held.state.is_asked_to_end() {
            self.functions.observe(left.function, nanos(run_time));
        }
        if nanos(run_time) > SURPRISE * u64::from(left.held.expected.time) {
            self.reestimate(left.slot);
        }
        Some(left)
    }

    /// A job leaves its executor, having run. The caller settles.
    fn leave(
        &mut self,
        executor: ExecutorId,
        job: JobId,
        run_time: Duration,
        now: Time,
    ) -> Option<Left> {
        self.see(now);
        let slot = self.executors.slot(executor)?;
        let entry = self.jobs.get(job).filter(|entry| entry.executor == slot)?;
        let (function, class) = (entry.function, entry.class);
        let executor = self.executors.get_mut(slot)?;
        let held = executor.held.remove(entry.place)?;
        executor.finished += 1;
        executor.run_time = executor.run_time.saturating_add(run_time);
        executor.progress = self.now;
        executor.stalled = false;
        if executor.finished == 1 {
            self.starts.works();
            // It may have been the trial after failures.
            self.start_missing();
        }
        if held.state != HeldState::Sent {
            self.recalls.pending -= usize::from(held.state == HeldState::Recalling);
            self.doubt_effects();
        }
        self.release_from(class, slot, &held, Took::Measured(nanos(run_time)));
        Some(Left {
            slot,
            held,
            function,
        })
    }

    /// Expects the jobs of one executor to take what is known of them by now.
    fn reestimate(&mut self, slot: u32) {
        let (jobs, functions) = (&self.jobs, &self.functions);
        let expected = |job| {
            let place = jobs.get(job).map_or(u32::MAX, |entry| entry.function);
            functions.estimate(place).expected()
        };
        if let Some(executor) = self.executors.get_mut(slot) {
            executor.held.reestimate(expected);
        }
    }

    /// Removes a job that is in no queue and held by nobody from the tables.
    fn take_out(&mut self, job: JobId) -> Option<J> {
        let entry = self.jobs.remove(job)?;
        self.suspects.left(job);
        self.time_limits.remove(job);
        self.retries.remove(job);
        self.nears.remove(job);
        self.records.remove(job);
        self.functions.release(entry.function);
        self.leave_class(entry.class);
        Some(entry.data)
    }

    /// Ends a job that is in no queue and held by nobody, and with it what depends on it.
    pub(crate) fn end(&mut self, job: JobId, ending: Ending) {
        self.end_alone(job, ending);
        self.fail_dependants(job, ending.of_dependants(job));
    }

    /// Ends a job that is in no queue and held by nobody.
    pub(crate) fn end_alone(&mut self, job: JobId, ending: Ending) {
        let Some(entry) = self.jobs.get(job) else {
            return;
        };
        let charges = self.records.get(job).into();
        match entry.executor {
            WAITING => self.dependencies.leave(job),
            ASIDE => _ = self.asides.remove(job),
            _ => {}
        }
        if let Some(data) = self.take_out(job) {
            self.effects.push_back(Effect::End {
                job,
                data,
                ending,
                charges,
            });
        }
    }

    /// Tells of the end of a job that was removed from the table of jobs, when all others are
    /// empty or about to be.
    pub(crate) fn tell_end(&mut self, job: JobId, entry: Job<J>, ending: Ending) {
        self.functions.release(entry.function);
        self.leave_class(entry.class);
        let charges = self.records.remove(job).into();
        let data = entry.data;
        self.effects.push_back(Effect::End {
            job,
            data,
            ending,
            charges,
        });
    }
}
