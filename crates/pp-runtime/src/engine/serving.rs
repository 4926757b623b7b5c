//! Working for a parent: its jobs come over a link, and their ends go back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pp_proto::{EncodeError, ProtocolError};
use tokio::sync::oneshot;

use super::job::{Job, Origin};
use super::node::Parting;
use super::nodes::UPLINK;
use super::pulse::Pulse;
use super::shared::Shared;
use super::state::State;
use super::uplink::{Loan, Uplink, Wish};
use crate::cluster::{Import, ImportError};
use crate::net::Link;
use crate::segments::{Part, default_cache};

impl Shared {
    /// Works for the parent at the other end of `link`. Who waits for what it returns
    /// learns why that has gone.
    pub(super) fn serve(
        self: &Arc<Self>,
        link: Arc<Link>,
        patience: Duration,
    ) -> std::io::Result<oneshot::Receiver<Parting>> {
        self.watch_link(&link, UPLINK)?;
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let pulse = Pulse::new(patience, Duration::ZERO);
        let pool = Arc::clone(&state.pool);
        let cache = state.config.cache.unwrap_or_else(default_cache);
        let exports = state.config.exports.clone();
        let uplink = Uplink::new(link, pulse, pool, (cache, exports), sender);
        state.links.uplink = Some(uplink);
        state.plan_beat();
        self.settle(&mut state);
        drop(state);
        // It may have spoken before it was watched.
        self.wake_io();
        Ok(receiver)
    }

    /// Takes in what the parent wants.
    pub(super) fn take_in_uplink(self: &Arc<Self>, state: &mut State) {
        // Apart, because jobs that end look for it.
        let Some(mut uplink) = state.links.uplink.take() else {
            return;
        };
        let mut wishes = Vec::new();
        let taken = uplink.take(&mut wishes);
        let mut taken = taken.and_then(|()| {
            let mut loans = state.links.loans.drain(..);
            loans.try_for_each(|(segment, part)| uplink.take_loan(segment, part, &mut wishes))
        });
        for loan in std::mem::take(&mut uplink.loans) {
            let segment = loan.segment;
            if !self.get_loan(state, loan) {
                taken = taken.and_then(|()| uplink.take_loan(segment, None, &mut wishes));
            }
        }
        let mut wishes = VecDeque::from(wishes);
        let mut ends = None;
        while let Some(wish) = wishes.pop_front() {
            match wish {
                Wish::Function { function, blob } => {
                    let known = state.intern(blob, "");
                    let mut ready = Vec::new();
                    uplink.learn(function, known, &mut ready);
                    for wish in ready.into_iter().rev() {
                        wishes.push_front(wish);
                    }
                }
                Wish::Run {
                    job,
                    function,
                    args,
                    limits,
                } => {
                    let terms = limits.terms(&mut state.resources);
                    let group = Arc::clone(&self.all);
                    self.inbox.count(&group);
                    let submitted = self.born.elapsed();
                    let entry = Job::new(function, args, group, submitted, Origin::Uplink);
                    entry.set_number(job);
                    let entry = Arc::new(entry);
                    let (name, now) = (entry.function().id(), state.now());
                    if let Ok(id) = state.scheduler.submit_with(name, &terms, entry, now) {
                        uplink.service.accept(job, id);
                    }
                }
                Wish::Recall(job) => {
                    let now = state.now();
                    uplink.service.recall(job, &mut state.scheduler, now);
                }
                Wish::Cancel(job) => {
                    let now = state.now();
                    uplink.service.cancel(job, &mut state.scheduler, now);
                }
                Wish::Keep(job) => uplink.note_keep(job),
                Wish::Shutdown => ends = Some(Parting::Left),
            }
        }
        state.links.uplink = Some(uplink);
        if let Some(why) = taken.err().or(ends) {
            self.leave_parent(state, why);
        }
    }

    /// Gets a segment from another node; false if this server does not do that.
    fn get_loan(self: &Arc<Self>, state: &State, loan: Loan) -> bool {
        let Some(importer) = &state.config.importer else {
            return false;
        };
        let Loan {
            segment,
            size,
            ticket,
            place,
        } = loan;
        let shared = Arc::downgrade(self);
        let from = place.clone();
        let done = move |got: Result<Part, ImportError>| {
            let part = got.inspect_err(|error| {
                tracing::warn!(node = %from, %error, "a result cannot be got from another node");
            });
            if let Some(shared) = shared.upgrade() {
                let mut state = shared.lock();
                state.links.loans.push((segment, part.ok()));
                shared.take_in_uplink(&mut state);
                shared.settle(&mut state);
            }
        };
        let import = Import {
            place,
            ticket,
            size,
            pool: Arc::clone(&state.pool),
            done: Box::new(done),
        };
        importer.get(import);
        true
    }

    /// The parent is not worked for any more.
    pub(super) fn leave_parent(&self, state: &mut State, why: Parting) {
        if let Some(uplink) = state.links.uplink.take() {
            self.forget_link(&uplink.link);
            uplink.part(why);
        }
    }

    /// Gives up a parent that has fallen silent.
    pub(super) fn beat_uplink(&self, state: &mut State, now: Instant, was_away: bool) {
        let Some(uplink) = &state.links.uplink else {
            return;
        };
        let heard = uplink.link.heard();
        if !was_away && uplink.pulse.is_lost(heard, now) {
            let silence = now.saturating_duration_since(heard);
            return self.leave_parent(state, Parting::Silent(silence));
        }
        // Told late, lest single jobs make others give up their workers and take them back.
        if uplink.is_empty() && std::mem::take(&mut state.links.is_busy) {
            self.note_load();
        }
    }

    /// Tells the parent what it wants to know after all has been decided.
    pub(super) fn report_to_parent(&self, state: &mut State) {
        if state.links.uplink.is_none() {
            return;
        }
        let has_work = state.links.uplink.as_ref().is_some_and(|up| !up.is_empty());
        if has_work && !std::mem::replace(&mut state.links.is_busy, true) {
            self.note_load();
        }
        let waits = state.loans.wait_for_parent();
        if std::mem::replace(&mut state.loans.is_waiting, waits) != waits {
            self.note_load();
        }
        if let Some(reason) = state.links.unable.take() {
            return self.leave_parent(state, Parting::Fault(reason));
        }
        if let Err(error) = report(state) {
            self.leave_parent(state, ProtocolError::from(error).into());
        }
    }
}

fn report(state: &mut State) -> Result<(), EncodeError> {
    let slots = state.slots();
    let Some(uplink) = &mut state.links.uplink else {
        return Ok(());
    };
    uplink.tell_capacity(slots, &state.config.supply)?;
    for job in uplink.service.begun(&state.scheduler) {
        uplink.answer_recall(job, false)?;
    }
    Ok(())
}
