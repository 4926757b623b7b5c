//! What the workers of an engine have of the machine's stock, and what the engine waits for there.
//!
//! The scheduler decides by what its own jobs take. So what a job needs is taken from the stock
//! when the job is about to be sent to a worker; if that cannot be, the job is refused, and this
//! waits in line for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pp_core::{Demand, ExecutorId, ExecutorState, JobId};

use super::config::EngineConfig;
use super::resources::{MEMORY, Needs};
use super::state::State;
use crate::channel::Share;
use crate::stock::{Amounts, Calls, GPU, Owner, Stock};

/// How long a parent that was told of what it waits for may take to send a job for it. It may have
/// found another machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// A machine has not what a job needs, at the moment.
#[derive(Debug)]
pub(super) struct Refused;

/// What is lent, and waited for.
#[derive(Debug)]
pub(super) struct Loans {
    owner: Owner,
    /// By worker, the job that something was lent for. None is sent ahead, so it is one.
    lent: BTreeMap<ExecutorId, JobId>,
    /// What was refused.
    wishes: BTreeMap<Demand, Wish>,
    /// More may be there than when the scheduler was last told.
    has_grown: bool,
    /// Some of it was a job's whose end was told before its worker was gone: the parent may have
    /// sent another one for it meanwhile, in vain.
    has_come_late: bool,
    /// Whether the parent has jobs that lack what others have here, as far as others were told.
    pub(super) is_waiting: bool,
    /// When to ask whether something waited for is there, if nobody tells before.
    pub(super) look_at: Option<Instant>,
    /// Others that are to be woken when the engine's lock is let go.
    pub(super) calls: Calls,
}

/// What is waited for.
#[derive(Debug)]
struct Wish {
    ticket: u64,
    amounts: Amounts,
    /// The jobs for it are with the parent.
    is_parents: bool,
    /// Since when the parent may know that it is there.
    told: Option<Instant>,
}

impl Loans {
    pub(super) fn new(config: &EngineConfig) -> Self {
        let stock = config.stock.as_ref().map(Arc::clone);
        let stock = stock.unwrap_or_else(|| Stock::new(&config.supply, &config.gpus));
        Self {
            owner: stock.join(),
            lent: BTreeMap::new(),
            wishes: BTreeMap::new(),
            has_grown: false,
            has_come_late: false,
            is_waiting: false,
            look_at: None,
            calls: Calls::default(),
        }
    }

    /// Says how this engine is woken when others give back what it waits for.
    pub(super) fn set_wake(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.owner.set_wake(wake);
    }

    /// The engine has no workers any more, and will have none.
    pub(super) fn leave(&mut self) {
        self.lent.clear();
        self.wishes.clear();
        self.owner.leave(&mut self.calls);
    }

    /// Whether something is waited for, for jobs that the parent has.
    pub(super) fn wait_for_parent(&self) -> bool {
        self.wishes.values().any(|wish| wish.is_parents)
    }

    /// When it is over that the parent is waited for.
    fn until(&self) -> Option<Instant> {
        let told = self.wishes.values().filter_map(|wish| wish.told);
        told.min().map(|told| told + PATIENCE)
    }

    fn give_back(&mut self, worker: ExecutorId) {
        self.lent.remove(&worker);
        self.owner.give_back(worker.as_u64(), &mut self.calls);
        self.has_grown = true;
    }
}

impl State {
    /// What a job is given that a worker of this machine is about to get, if it has asked for
    /// anything.
    pub(super) fn lend(
        &mut self,
        worker: ExecutorId,
        job: JobId,
        is_parents: bool,
    ) -> Result<Option<Share>, Refused> {
        let Some(needs) = self.needs_of(job) else {
            return Ok(None);
        };
        let devices = if needs.amounts.is_empty() {
            None
        } else {
            let names = self.take_from_stock(worker, job, &needs, is_parents)?;
            (needs.amount(GPU) > 0).then_some(names)
        };
        tracing::trace!(
            worker = worker.as_u64(),
            job = job.as_u64(),
            ?devices,
            "share"
        );
        Ok(Some(Share {
            cpus: needs.slots,
            memory: needs.amount(MEMORY),
            devices,
        }))
    }

    fn take_from_stock(
        &mut self,
        worker: ExecutorId,
        job: JobId,
        needs: &Needs,
        is_parents: bool,
    ) -> Result<String, Refused> {
        let Some(demand) = self.scheduler.demand(job).cloned() else {
            return Err(Refused);
        };
        // What has ended since the last look is free already, as the scheduler sees it.
        self.take_back_lent();
        if self.loans.lent.contains_key(&worker) {
            self.loans.give_back(worker);
        }
        let loans = &mut self.loans;
        let wish = loans.wishes.remove(&demand);
        let taken = loans.owner.take(
            worker.as_u64(),
            &needs.amounts,
            wish.map(|wish| wish.ticket),
            Instant::now(),
            &mut loans.calls,
        );
        match taken {
            Ok(devices) => {
                loans.lent.insert(worker, job);
                // Nobody waits for it any more, so nobody would be told.
                loans.has_grown |= self.scheduler.is_refused(&demand);
                Ok(devices)
            }
            Err(ticket) => {
                let wish = Wish {
                    ticket,
                    amounts: needs.amounts.clone(),
                    is_parents,
                    told: None,
                };
                loans.wishes.insert(demand, wish);
                Err(Refused)
            }
        }
    }

    /// A job was [not lent](Self::lend) what it needs. One of the parent waits there, where it takes
    /// nobody's place, and may go to another machine.
    pub(super) fn refuse(&mut self, worker: ExecutorId, job: JobId, of_parent: Option<u64>) {
        let now = self.now();
        self.scheduler.refused(worker, job, now);
        if let Some(number) = of_parent
            && let Some(uplink) = &mut self.links.uplink
        {
            uplink.service.recall(number, &mut self.scheduler, now);
            // The parent does not try those any more that need the same.
            self.scheduler.try_refused(now);
        }
    }

    /// Gives back what workers have had that are gone, or have not the job any more.
    fn take_back_lent(&mut self) {
        let lent = self.loans.lent.iter();
        let ended = lent.filter(|&(&worker, &job)| !self.may_have(worker, job));
        let ended: Vec<ExecutorId> = ended.map(|(&worker, _)| worker).collect();
        for worker in ended {
            self.loans.has_come_late |= !self.workers.contains_key(&worker);
            self.loans.give_back(worker);
        }
    }

    /// Whether a worker may run a job still. One that is being killed runs on until it is gone,
    /// though its job may have ended for all others.
    fn may_have(&self, worker: ExecutorId, job: JobId) -> bool {
        if !self.workers.contains_key(&worker) {
            return false;
        }
        let stats = self.scheduler.executor_stats(worker);
        match stats.map(|stats| stats.state) {
            Some(ExecutorState::Ready | ExecutorState::Draining | ExecutorState::Retiring) => {
                let view = self.scheduler.job(job);
                view.and_then(|view| view.state.executor()) == Some(worker)
            }
            _ => true,
        }
    }

    /// Brings what is lent and waited for up to date with the scheduler; true if that was told of
    /// something, and decides anew. Costs nothing where nothing is lent.
    pub(super) fn settle_loans(&mut self) -> bool {
        let loans = &self.loans;
        if loans.lent.is_empty() && loans.wishes.is_empty() && !loans.has_grown {
            return false;
        }
        self.take_back_lent();
        let mut has_grown = std::mem::take(&mut self.loans.has_grown);
        let has_come_late = std::mem::take(&mut self.loans.has_come_late);
        self.loans.look_at = None;
        if !self.loans.wishes.is_empty() {
            let now = Instant::now();
            has_grown |= self.withdraw_wishes(now);
            if self.loans.owner.is_called(now) || has_come_late {
                has_grown = true;
                self.call_parent(now);
            }
            let looks = [self.loans.owner.next_look(), self.loans.until()];
            self.loans.look_at = looks.into_iter().flatten().min();
        }
        let now = self.now();
        has_grown && self.scheduler.try_refused(now)
    }

    /// Waits no more for what no job is queued for; whether there was such.
    fn withdraw_wishes(&mut self, now: Instant) -> bool {
        let Loans {
            owner,
            wishes,
            calls,
            ..
        } = &mut self.loans;
        let before = wishes.len();
        wishes.retain(|demand, wish| {
            let is_wanted = if wish.is_parents {
                wish.told.is_none_or(|told| now < told + PATIENCE)
            } else {
                self.scheduler.is_queued_for(demand)
            };
            if !is_wanted {
                owner.withdraw(wish.ticket, &wish.amounts, calls);
            }
            is_wanted
        });
        wishes.len() < before
    }

    /// Lets the parent try again what it waits for: it hears once more what there is.
    fn call_parent(&mut self, now: Instant) {
        let Some(uplink) = &mut self.links.uplink else {
            return;
        };
        let mut names: BTreeSet<&Arc<str>> = BTreeSet::new();
        for wish in self
            .loans
            .wishes
            .values_mut()
            .filter(|wish| wish.is_parents)
        {
            wish.told.get_or_insert(now);
            names.extend(wish.amounts.iter().map(|(name, _)| name));
        }
        let mut supply = self
            .config
            .supply
            .iter()
            .filter(|(name, _)| names.contains(name));
        let said = supply.try_for_each(|(name, amount)| uplink.tell_supply(name, *amount));
        if let Err(error) = said {
            self.links.unable = Some(error.to_string());
        }
    }
}
