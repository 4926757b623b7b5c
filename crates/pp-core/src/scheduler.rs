//! The scheduler: its tables, and the events of jobs.

use std::collections::VecDeque;

use crate::aside::Asides;
use crate::charges::Records;
use crate::classes::{ClassTable, PLAIN};
use crate::config::Config;
use crate::demand::DemandTable;
use crate::dependencies::Dependencies;
use crate::effect::{Destroyed, Effect, Ending};
use crate::executor::{ExecutorState, Limits};
use crate::executors::ExecutorTable;
use crate::function::FunctionTable;
use crate::gathering::Gathering;
use crate::held::{Held, HeldState, Taken};
use crate::interrupts::Interrupts;
use crate::job::{Job, JobTable, QUEUED};
use crate::near::Nears;
use crate::recall::Recalls;
use crate::retries::RetryTable;
use crate::shares::{ShareTable, Took};
use crate::starts::Starts;
use crate::suspects::Suspects;
use crate::terms::Terms;
use crate::time::Time;
use crate::time_limits::TimeLimits;
use crate::{FunctionId, JobId};

/// Below this many places the memory of the effects is not worth freeing.
const SMALL: usize = 1024;

/// Decides which job goes to which executor, and when.
///
/// Feed it events, then call [`poll`](Self::poll) until it gives `None` and carry
/// out what it says; call [`tick`](Self::tick) at
/// [`next_deadline`](Self::next_deadline). Each event takes `now`, the present
/// time. Events about jobs and executors that are not known, or not any more, are
/// ignored: in a world where processes die they are to be expected.
#[derive(Debug)]
pub struct Scheduler<J> {
    pub(crate) config: Config,
    /// The latest time seen.
    pub(crate) now: Time,
    pub(crate) destroyed: bool,
    pub(crate) jobs: JobTable<J>,
    /// The charges of jobs that have any.
    pub(crate) records: Records,
    pub(crate) classes: ClassTable,
    pub(crate) demands: DemandTable,
    /// Holds the jobs that wait.
    pub(crate) shares: ShareTable,
    pub(crate) suspects: Suspects,
    pub(crate) dependencies: Dependencies,
    pub(crate) asides: Asides,
    pub(crate) nears: Nears,
    pub(crate) time_limits: TimeLimits,
    pub(crate) retries: RetryTable,
    pub(crate) functions: FunctionTable,
    pub(crate) executors: ExecutorTable,
    pub(crate) gathering: Option<Gathering>,
    pub(crate) starts: Starts,
    pub(crate) recalls: Recalls,
    pub(crate) interrupts: Interrupts,
    pub(crate) next_executor: u64,
    pub(crate) effects: VecDeque<Effect<J>>,
    /// How many of the next effects may have become pointless: see
    /// [`Self::doubt_effects`].
    pub(crate) doubtful: usize,
}

impl<J> Scheduler<J> {
    /// A scheduler without jobs and executors; see [`resize`](Self::resize).
    pub fn new(config: Config) -> Self {
        Self {
            starts: Starts::new(&config),
            shares: ShareTable::new(config.ageing),
            executors: ExecutorTable::new(Limits::new(&config.window)),
            config,
            now: Time::ZERO,
            destroyed: false,
            jobs: JobTable::new(),
            records: Records::default(),
            classes: ClassTable::new(),
            demands: DemandTable::default(),
            gathering: None,
            suspects: Suspects::default(),
            dependencies: Dependencies::default(),
            asides: Asides::default(),
            nears: Nears::default(),
            time_limits: TimeLimits::default(),
            retries: RetryTable::default(),
            functions: FunctionTable::default(),
            recalls: Recalls::default(),
            interrupts: Interrupts::default(),
            next_executor: 0,
            effects: VecDeque::new(),
            doubtful: 0,
        }
    }

    /// Takes a job that uses `function`, and sends it if an executor has room.
    ///
    /// After [`destroy`](Self::destroy) it gives `data` back in an error.
    pub fn submit(
        &mut self,
        function: FunctionId,
        data: J,
        now: Time,
    ) -> Result<JobId, Destroyed<J>> {
        let job = self.take_in(function, PLAIN, data, now)?;
        self.enqueue(job, PLAIN);
        Ok(job)
    }

    /// Takes a job for which more is asked than that it is run.
    ///
    /// It is live from now on, though it may [wait](crate::JobState::Waiting) for others. If
    /// one of these has failed meanwhile, it ends at once.
    pub fn submit_with(
        &mut self,
        function: FunctionId,
        terms: &Terms,
        data: J,
        now: Time,
    ) -> Result<JobId, Destroyed<J>> {
        if self.destroyed {
            return Err(Destroyed { data });
        }
        let class = self
            .classes
            .acquire(terms, &mut self.shares, &mut self.demands);
        let job = self.take_in(function, class, data, now)?;
        if let Some(limit) = terms.time_limit {
            self.time_limits.add(job, limit);
        }
        if terms.retries.count > 0 {
            self.retries.add(job, terms.retries);
        }
        self.note_data(job, &terms.data);
        if terms.after.is_empty() || !self.wait_for(job, &terms.after) {
            self.enqueue(job, class);
        } else if !terms.data.is_empty() {
            // Others that need the same may know now of somebody who has it.
            self.pump();
        }
        Ok(job)
    }

    /// Takes a job that ends at once, like this: one that depends on a job that has failed
    /// before. It has a name as any other.
    ///
    /// After [`destroy`](Self::destroy) it gives `data` back in an error.
    pub fn submit_ended(
        &mut self,
        function: FunctionId,
        ending: Ending,
        data: J,
        now: Time,
    ) -> Result<JobId, Destroyed<J>> {
        let job = self.take_in(function, PLAIN, data, now)?;
        self.end(job, ending);
        Ok(job)
    }

    #[inline]
    fn take_in(
        &mut self,
        function: FunctionId,
        class: u32,
        data: J,
        now: Time,
    ) -> Result<JobId, Destroyed<J>> {
        self.see(now);
        if self.destroyed {
            return Err(Destroyed { data });
        }
        Ok(self.jobs.insert(Job {
            data,
            function: self.functions.acquire(function),
            executor: QUEUED,
            place: 0,
            class,
        }))
    }

    /// Lets a new job be sent.
    #[inline]
    fn enqueue(&mut self, job: JobId, class: u32) {
        let class = self.lined_up(job, self.classes.get(class));
        self.shares.push(job, class);
        if self.starts.is_given_up() {
            self.starts.revive();
            self.start_missing();
        }
        self.pump();
    }

    /// Lets all executors forget a function, unless a live job uses it. True if the
    /// function was known and is not any more.
    pub fn forget_function(&mut self, function: FunctionId) -> bool {
        let Some(place) = self.functions.remove(function) else {
            return false;
        };
        for executor in self.executors.iter_mut() {
            let listens = matches!(
                executor.state,
                ExecutorState::Ready | ExecutorState::Draining
            );
            if executor.functions.remove(place) && listens {
                let executor = executor.id;
                self.effects
                    .push_back(Effect::Forget { executor, function });
            }
        }
        true
    }

    /// Time has passed. To be called at [`next_deadline`](Self::next_deadline);
    /// harmless at any other time.
    pub fn tick(&mut self, now: Time) {
        self.see(now);
        self.check_retries();
        self.start_missing();
        self.check_stalls();
        self.check_interrupts();
        self.check_time_limits();
        self.pump();
    }

    /// When [`tick`](Self::tick) is due, if nothing else happens before. To be asked
    /// when [`poll`](Self::poll) has given `None`.
    pub fn next_deadline(&self) -> Option<Time> {
        let start = self.starts.deadline(self.executors.workers());
        let stall = self.recalls.next_look();
        [
            start,
            stall,
            self.recalls.deadline,
            self.interrupts.deadline(),
            self.time_limits.next(),
            self.retries.next(),
            self.gathering.map(|gathering| gathering.until),
            self.nears.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// The next thing to do, until `None`.
    ///
    /// Several events may come before it is called: then what is decided goes by all
    /// of them. Tell of all results that can be read before polling.
    pub fn poll(&mut self) -> Option<Effect<J>> {
        loop {
            if self.effects.is_empty() {
                self.balance();
            }
            let Some(effect) = self.effects.pop_front() else {
                if self.effects.capacity() > SMALL {
                    self.effects.shrink_to(SMALL);
                }
                return None;
            };
            let is_doubtful = self.doubtful > 0;
            self.doubtful -= usize::from(is_doubtful);
            if !is_doubtful || self.is_due(&effect) {
                return Some(effect);
            }
        }
    }

    /// Lets every effect that has not been polled be looked at again before it is.
    ///
    /// To be called by whatever takes a job or an executor away that effects may be
    /// about. In the usual course of things nothing does, and effects pass unchecked.
    pub(crate) fn doubt_effects(&mut self) {
        self.doubtful = self.effects.len();
    }

    /// Whether no later event has made an effect pointless.
    fn is_due(&self, effect: &Effect<J>) -> bool {
        let Some(executor) = effect.executor() else {
            return true;
        };
        let Some(slot) = self.executors.slot(executor) else {
            return false;
        };
        match *effect {
            Effect::Send { job, .. } => {
                let entry = self.jobs.get(job);
                entry.is_some_and(|entry| entry.executor == slot)
            }
            Effect::Recall { job, .. } | Effect::Cancel { job, .. } => self
                .held_state(slot, job)
                .is_some_and(HeldState::is_asked_back),
            Effect::Interrupt { job, .. } => self
                .held_state(slot, job)
                .is_some_and(HeldState::is_asked_to_end),
            _ => true,
        }
    }

    /// Takes note of the time. It never goes backwards.
    pub(crate) fn see(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    /// A job of a class has been removed from the table.
    #[inline]
    pub(crate) fn leave_class(&mut self, class: u32) {
        let (shares, demands) = (&mut self.shares, &mut self.demands);
        self.classes.release(class, shares, demands);
        self.forgive_if_idle();
    }

    /// Where there is no job, no share is in debt to another, and nothing is refused.
    #[inline]
    pub(crate) fn forgive_if_idle(&mut self) {
        if self.jobs.len() == 0 {
            self.shares.forgive_all();
            self.executors.forget_refused();
        }
    }

    /// Notes that an executor does not hold a job any more. To be called before the job ends
    /// or is queued again.
    pub(crate) fn release(&mut self, held: &Held, took: Took) {
        if let Some(entry) = self.jobs.get(held.job) {
            let (class, executor) = (entry.class, entry.executor);
            self.release_from(class, executor, held, took);
        }
    }

    /// The same for a job of a class that is known, and the slot of its executor.
    #[inline]
    pub(crate) fn release_from(&mut self, class: u32, executor: u32, held: &Held, took: Took) {
        let class = self.classes.get(class);
        let mut slots = 1;
        if held.taken != Taken::Nothing {
            let demand = self.demands.get(class.demand);
            slots = demand.slots;
            self.executors.give_back(executor, held.taken, demand);
        }
        self.shares.released(class.share, held.charge, took, slots);
    }

    /// Gives a job that nobody holds any more its place in the queue.
    pub(crate) fn requeue(&mut self, job: JobId) {
        let Some(entry) = self.jobs.get_mut(job) else {
            return;
        };
        entry.executor = QUEUED;
        let class = entry.class;
        self.suspects.left(job);
        self.time_limits.left(job);
        if self.is_suspect(self.records.get(job).blame) {
            self.suspects.put(job);
        } else {
            let class = self.lined_up(job, self.classes.get(class));
            self.shares.give_back(job, class);
        }
        self.starts.revive();
    }

    /// Where a job is among those that the executor in this slot holds; none if it does
    /// not hold it.
    pub(crate) fn place_at(&self, slot: u32, job: JobId) -> Option<u32> {
        let entry = self.jobs.get(job)?;
        (entry.executor == slot).then_some(entry.place)
    }

    /// What is known of a job that the executor in this slot holds.
    fn held_state(&self, slot: u32, job: JobId) -> Option<HeldState> {
        let place = self.place_at(slot, job)?;
        let held = self.executors.get(slot)?.held.get(place)?;
        Some(held.state)
    }

    /// Brings everything up to date with a change of one executor.
    pub(crate) fn settle(&mut self, slot: u32) {
        if !self.time_limits.is_empty() {
            self.watch_time(slot);
        }
        let Some(executor) = self.executors.get_mut(slot) else {
            return;
        };
        if executor.held.is_sparse() {
            let jobs = &mut self.jobs;
            executor.held.compact(|job, place| {
                if let Some(entry) = jobs.get_mut(job) {
                    entry.place = place;
                }
            });
        }
        let is_leaving = match executor.state {
            ExecutorState::Draining => true,
            ExecutorState::Ready => executor.is_spent(),
            _ => false,
        };
        if is_leaving && executor.held.is_empty() {
            self.retire(slot);
        } else if self.executors.refresh(slot) {
            self.watch(slot);
        }
    }
}
