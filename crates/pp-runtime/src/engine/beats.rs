//! What is done now and then while there are links: others are asked whether they live.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pp_core::ExecutorId;

use super::absence::Clocks;
use super::node::Parting;
use super::nodes::with_node;
use super::pulse::Pulse;
use super::shared::Shared;
use super::state::State;

/// A measured latency that differs by less than this part is the same.
const ALIKE: f64 = 0.25;

impl Shared {
    /// Asks nodes whether they live, gives up those that do not, and sees to what is to be
    /// done now and then.
    pub(super) fn beat(self: &Arc<Self>, state: &mut State) {
        let now = Instant::now();
        let Some(due) = state.links.next_beat.filter(|&due| due <= now) else {
            return;
        };
        // Who was stopped itself, or had no processor, has heard nobody, and must not
        // blame them before they have had another chance.
        let was_away = now.saturating_duration_since(due) > state.shortest_patience() / 4;
        state.note_absences(now);
        let ids: Vec<ExecutorId> = state.links.nodes.keys().copied().collect();
        for id in ids {
            match state.silence_of(id, now) {
                Some(silence) if !was_away => self.lose(state, id, Parting::Silent(silence)),
                _ => ask(state, id, now),
            }
        }
        self.beat_uplink(state, now, was_away);
        state.lose_patience(now);
        state.lose_hope(now);
        state.links.next_beat = None;
        state.plan_beat();
        if state.links.next_beat.is_none() {
            state.links.absence.rest();
        }
    }
}

impl State {
    /// Notes whether this process was away, or the machine is cut off.
    fn note_absences(&mut self, now: Instant) {
        let (clocks, patience) = (Clocks::now(), self.config.patience);
        self.links.absence.beat(clocks, patience);
        // Nodes were heard last at times that are up to a beat apart, and are given up so.
        let limit = patience.saturating_sub(2 * Pulse::interval(self.shortest_patience()));
        let nodes = self.links.nodes.values();
        // Those on this machine are heard whatever becomes of its lines.
        let silences = nodes.filter_map(|node| {
            let silence = now.saturating_duration_since(node.link.heard());
            Some((node.link.peer()?, silence))
        });
        if pp_core::is_own_outage(silences, limit) && self.links.absence.excuse(clocks, patience) {
            tracing::warn!("nothing is heard of any node: this machine may be cut off from them");
        }
    }

    /// For how long nothing was heard of a node that is to be given up for that.
    fn silence_of(&self, id: ExecutorId, now: Instant) -> Option<Duration> {
        let node = self.links.nodes.get(&id)?;
        let heard = node.link.heard();
        let is_lost = node.pulse.is_lost(heard, now);
        is_lost.then(|| now.saturating_duration_since(heard))
    }
}

/// Asks a node whether it lives.
fn ask(state: &mut State, id: ExecutorId, now: Instant) {
    let Some(node) = state.links.nodes.get_mut(&id) else {
        return;
    };
    // Behind jobs that wait to be sent, the crowd would be measured and not the way, and
    // the longer that seems the more is sent: there would be no end to it.
    let is_clear = node.link.outbox.lock().is_empty();
    let nonce = if is_clear {
        node.pulse.ask(now)
    } else {
        node.pulse.number()
    };
    let latency = node.pulse.latency();
    let said = node.ping(nonce).and_then(|()| node.drop_contents());
    let known = state
        .scheduler
        .executor_stats(id)
        .map(|stats| stats.latency);
    if known.is_some_and(|known| !is_alike(known, latency)) {
        let now = state.now();
        state.scheduler.node_latency(id, latency, now);
    }
    with_node(state, id, |_| said);
}

fn is_alike(known: Duration, measured: Duration) -> bool {
    let difference = known.abs_diff(measured);
    difference <= known.mul_f64(ALIKE)
}
