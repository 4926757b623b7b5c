//! Who waits for what of a stock, in the order of coming.
//!
//! Whoever comes later gets nothing that an earlier one of another owner waits for, if that could
//! have it now, or if what is there less of than it wants is what the later one would take. But it
//! may not be able to take it, since its workers are busy; or another keeps the rest of what it
//! wants for ever. So it *holds back* others for a while only, counted from the first one that
//! would have got something; then it rests for as long, and both for twice as long each time.
//! It is the same as with jobs that [gather](pp_core::Scheduler::gathers) processors: the others
//! get half of the time at least, and nobody is passed for ever.
//!
//! If an earlier one lacks something else besides, what it keeps from others may lie idle for as
//! long as somebody works with that. But without it, who wants two things would wait for ever
//! beside others who want one of them each. So it does the same, but rests first, and for longer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Amounts, compete, names};

/// For how long others are held back at first. It has to be woken, and to send a job.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many times as long as it holds others back one rests that lacks something else besides.
const LONG_REST: u32 = 8;

/// All that is waited for, by tickets, which count up.
#[derive(Debug, Default)]
pub(super) struct Line {
    wishes: BTreeMap<u64, Wish>,
    next: u64,
}

#[derive(Debug)]
struct Wish {
    owner: u64,
    amounts: Amounts,
    /// For those who would take all that it lacks.
    turns: Turns,
    /// For others, once there was one.
    rare_turns: Option<Turns>,
    /// Until when somebody before it holds it back.
    look_at: Option<Instant>,
}

/// When others are held back, and when not.
#[derive(Debug, Clone, Copy)]
struct Turns {
    phase: Phase,
    patience: Duration,
    /// How many times as long as it holds others back it rests.
    rests: u32,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// It has not held anybody back since it came, or has rested.
    Fresh,
    /// It holds others back until then.
    Holds(Instant),
    /// It does not, until then.
    Rests(Instant),
}

impl Turns {
    fn new() -> Self {
        Self {
            phase: Phase::Fresh,
            patience: PATIENCE,
            rests: 1,
        }
    }

    /// It has held nobody back, but rests as if it had.
    fn rare(now: Instant) -> Self {
        Self {
            phase: Phase::Holds(now),
            patience: PATIENCE,
            rests: LONG_REST,
        }
    }

    /// Until when it holds back one that comes to take something now.
    fn holds(&mut self, now: Instant) -> Option<Instant> {
        if let Phase::Holds(until) = self.phase
            && until <= now
        {
            let rest = self.patience.saturating_mul(self.rests);
            self.phase = Phase::Rests(until + rest);
        }
        if let Phase::Rests(until) = self.phase
            && until <= now
        {
            self.phase = Phase::Fresh;
            self.patience = self.patience.saturating_mul(2);
        }
        if let Phase::Fresh = self.phase {
            self.phase = Phase::Holds(now + self.patience);
        }
        match self.phase {
            Phase::Holds(until) => Some(until),
            _ => None,
        }
    }

    fn has_held(&self) -> bool {
        !matches!(self.phase, Phase::Fresh)
    }
}

impl Line {
    /// Waits, or goes on to wait with that ticket. `until`: somebody holds it back until then.
    pub(super) fn wait(
        &mut self,
        owner: u64,
        amounts: &Amounts,
        ticket: Option<u64>,
        until: Option<Instant>,
    ) -> u64 {
        if let Some(ticket) = ticket
            && let Some(wish) = self.wishes.get_mut(&ticket)
        {
            wish.look_at = until;
            return ticket;
        }
        let ticket = self.next;
        self.next += 1;
        self.wishes.insert(
            ticket,
            Wish {
                owner,
                amounts: amounts.clone(),
                turns: Turns::new(),
                rare_turns: None,
                look_at: until,
            },
        );
        ticket
    }

    /// Until when somebody who came before holds back one who could take this now. `lacks` tells
    /// what of something is not there.
    pub(super) fn held_back(
        &mut self,
        owner: u64,
        amounts: &Amounts,
        ticket: Option<u64>,
        now: Instant,
        lacks: impl Fn(&Amounts) -> Vec<Arc<str>>,
    ) -> Option<Instant> {
        let ahead = self.wishes.range_mut(..ticket.unwrap_or(self.next));
        let others = ahead.map(|(_, wish)| wish);
        let mut others = others.filter(|wish| wish.owner != owner);
        others.find_map(|wish| {
            if !compete(&wish.amounts, amounts) {
                return None;
            }
            let lacking = lacks(&wish.amounts);
            if lacking.iter().all(|name| names(amounts, name)) {
                return wish.turns.holds(now);
            }
            let rare = wish.rare_turns.get_or_insert_with(|| Turns::rare(now));
            rare.holds(now)
        })
    }

    /// Waits no more; whether somebody may have been held back.
    pub(super) fn leave(&mut self, ticket: u64) -> bool {
        let wish = self.wishes.remove(&ticket);
        wish.is_some_and(|wish| wish.turns.has_held() || wish.rare_turns.is_some())
    }

    pub(super) fn leave_all(&mut self, owner: u64) {
        self.wishes.retain(|_, wish| wish.owner != owner);
    }

    /// The owners that wait for something like that, the first first, some more than once.
    pub(super) fn waiting(&self, is_meant: impl Fn(&Amounts) -> bool) -> impl Iterator<Item = u64> {
        let wishes = self.wishes.values();
        let meant = wishes.filter(move |wish| is_meant(&wish.amounts));
        meant.map(|wish| wish.owner)
    }

    /// Whether something of an owner is not held back any more; it is told once.
    pub(super) fn take_due(&mut self, owner: u64, now: Instant) -> bool {
        let mut is_due = false;
        for wish in self.wishes.values_mut().filter(|wish| wish.owner == owner) {
            if wish.look_at.is_some_and(|at| at <= now) {
                wish.look_at = None;
                is_due = true;
            }
        }
        is_due
    }

    /// When that is to be asked.
    pub(super) fn next_look(&self, owner: u64) -> Option<Instant> {
        let wishes = self.wishes.values().filter(|wish| wish.owner == owner);
        wishes.filter_map(|wish| wish.look_at).min()
    }
}
