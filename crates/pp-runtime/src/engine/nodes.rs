//! Nodes join, speak, fall silent and go.

use std::sync::Arc;
use std::time::Duration;

use mio::Token;
use pp_core::{ExecutorId, Machine, Time};
use pp_proto::{EncodeError, ProtocolError};
use tokio::sync::oneshot;

use super::absence::Clocks;
use super::kept_there::KeptThere;
use super::node::{Node, Parting, Said};
use super::outcome::{Outcome, Report};
use super::pulse::Pulse;
use super::record::{NOWHERE, Ran};
use super::shared::Shared;
use super::state::State;
use crate::net::{Link, Reached};

/// The poll token of the link to the parent.
pub(super) const UPLINK: Token = Token(usize::MAX - 1);

/// The poll token of the link to a node.
pub(super) fn token_of(node: ExecutorId) -> Token {
    usize::try_from(node.as_u64()).map_or(Token(0), Token)
}

/// Why a node that was reached is not used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotJoined {
    /// The same node is used already, by another name or address.
    #[error("it is the same node as {0}")]
    Known(Arc<str>),
    /// The server was destroyed.
    #[error("the server was destroyed")]
    Destroyed,
    /// The system cannot watch the connection.
    #[error("cannot watch the connection: {0}")]
    Watch(#[from] std::io::Error),
}

/// What users may know of a node.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// How users know it.
    pub name: Arc<str>,
    /// What it calls itself.
    pub title: String,
    /// How many jobs it runs at a time.
    pub slots: u32,
    /// Jobs that it has finished.
    pub jobs: u64,
    /// How long these ran, together.
    pub run_time: Duration,
    /// What a message to it and the answer take.
    pub latency: Duration,
    /// Whether it has been heard of lately.
    pub is_active: bool,
}

impl Shared {
    /// Uses a node that was reached, under this name. Who waits for what it returns learns
    /// why it has gone.
    pub(super) fn join(
        self: &Arc<Self>,
        name: &Arc<str>,
        reached: Reached,
    ) -> Result<oneshot::Receiver<Parting>, NotJoined> {
        let Reached {
            link,
            host,
            latency,
        } = reached;
        let mut state = self.lock();
        let known = state
            .links
            .nodes
            .values()
            .find(|node| node.host.node == host.node);
        if let Some(node) = known {
            return Err(NotJoined::Known(Arc::clone(&node.name)));
        }
        let now = state.now();
        let Some(id) = state.scheduler.node_joined(0, 0, latency, now) else {
            return Err(NotJoined::Destroyed);
        };
        let (sender, receiver) = oneshot::channel();
        let pulse = Pulse::new(state.config.patience, latency);
        let pool = Arc::clone(&state.pool);
        if let Err(error) = self.watch_link(&link, token_of(id)) {
            state.scheduler.executor_exited(id, now);
            return Err(error.into());
        }
        tracing::info!(node = %name, title = host.name, "node joined");
        let discards = Arc::clone(&state.links.discards);
        let kept = KeptThere::new(id, link.place(), Arc::clone(&pool), discards);
        let mut node = Node::new(Arc::clone(name), host, link, pulse, pool, kept, sender);
        node.site = state.links.sites.number(name);
        state.links.nodes.insert(id, node);
        state.plan_beat();
        drop(state);
        // It may have spoken before it was watched.
        self.wake_io();
        Ok(receiver)
    }

    /// Reads from links, outside of the lock. What came is still to be taken in.
    pub(super) fn receive_from(links: &[Arc<Link>]) {
        for link in links {
            link.receive();
            link.flush();
        }
    }

    /// Takes in what nodes and the parent have said. What follows is still to be settled.
    pub(super) fn take_in_links(self: &Arc<Self>, state: &mut State) {
        if state.links.is_empty() {
            return;
        }
        let ids: Vec<ExecutorId> = state
            .links
            .nodes
            .iter()
            .filter(|(_, node)| node.link.has_news())
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.take_in_node(state, id);
        }
        let has_news = state
            .links
            .uplink
            .as_ref()
            .is_some_and(|up| up.link.has_news());
        if has_news {
            self.take_in_uplink(state);
        }
    }

    fn take_in_node(self: &Arc<Self>, state: &mut State, id: ExecutorId) {
        let mut said = std::mem::take(&mut state.links.said);
        let result = match state.links.nodes.get_mut(&id) {
            Some(node) => node.take(&mut said),
            None => Ok(()),
        };
        let now = state.now();
        let handled = said
            .drain(..)
            .try_for_each(|message| hear(state, id, message, now));
        state.links.said = said;
        let has_said = state.links.nodes.get_mut(&id);
        if has_said.is_some_and(|node| std::mem::take(&mut node.has_said)) {
            with_node(state, id, |_| Ok(()));
        }
        if let Err(why) = handled.and(result) {
            self.lose(state, id, why);
        }
    }

    /// A node is not used any more.
    pub(super) fn lose(self: &Arc<Self>, state: &mut State, id: ExecutorId, why: Parting) {
        let Some(node) = state.links.remove(id) else {
            return;
        };
        self.forget_link(&node.link);
        state.links.remember(&node);
        state.lose_kept(node.kept_there());
        if !state.destroyed {
            tracing::warn!(node = %node.name, reason = %why, "node is gone");
        }
        let now = state.now();
        let patience = state.config.patience;
        let is_excused = state.links.absence.excuses(Clocks::now(), patience);
        if why.is_loss() {
            state.links.last_loss = Some((Arc::clone(&node.name), why.to_string().into()));
            if is_excused {
                state.scheduler.node_cut_off(id, now);
            } else {
                state.scheduler.executor_lost(id, &[], now);
            }
        } else {
            state.scheduler.executor_exited(id, now);
        }
        node.part(why);
        state.tell_if_alone();
    }
}

fn hear(state: &mut State, id: ExecutorId, message: Said, now: Time) -> Result<(), Parting> {
    match message {
        Said::Capacity {
            slots,
            credit,
            most,
        } => {
            state.links.set_slots(id, slots);
            state.scheduler.set_most_slots(Machine::Node(id), most);
            state.scheduler.node_capacity(id, slots, credit, now);
            state.links.alone_was_told = false;
        }
        Said::Result { job, header, bytes } => {
            let report = Report::new(bytes, header.output_len, header.errors_len);
            let report = report.ok_or(Parting::Unexpected("output"))?;
            let outcome = Outcome::reported(header.status, report);
            let ran = Ran {
                run_time: header.run_time,
                worker: header.worker,
                site: state.links.nodes.get(&id).map_or(NOWHERE, |node| node.site),
                attempts: header.attempts,
            };
            if state.take_result(id, job, outcome, ran, now)
                && let Some(node) = state.links.nodes.get_mut(&id)
            {
                node.totals.add(ran.run_time);
            }
        }
        Said::Kept { away, content } => state.take_brought(id, &away, content),
        Said::Lacks { job, segment } => state.take_lack(id, job, segment)?,
        Said::Supply { resource, amount } => state.note_supply(id, resource, amount)?,
        Said::Recalled { job, recalled } => {
            if recalled && state.is_refused_by(id, job) {
                state.scheduler.refused(id, job, now);
            } else {
                state.scheduler.recall_answered(id, job, recalled, now);
            }
        }
        Said::Charge { job, charges } => {
            if charges.losses > 0
                && let Some(node) = state.links.nodes.get(&id)
            {
                let why = "nodes behind it were lost with the job";
                state.links.last_loss = Some((Arc::clone(&node.name), why.into()));
            }
            state.scheduler.job_charged(id, job, charges, now);
        }
        Said::Leaving => {
            if let Some(node) = state.links.nodes.get(&id) {
                tracing::info!(node = %node.name, "node will leave");
            }
            state.scheduler.node_leaving(id, now);
        }
    }
    Ok(())
}

/// Lets `send` write to a node; if that fails, it is a mistake of ours, and the node is
/// given up.
pub(super) fn with_node(
    state: &mut State,
    id: ExecutorId,
    send: impl FnOnce(&mut Node) -> Result<(), EncodeError>,
) {
    let Some(node) = state.links.nodes.get_mut(&id) else {
        return;
    };
    let result = send(node);
    if !std::mem::replace(&mut node.dirty, true) {
        state.links.dirty.push(id);
    }
    if let Err(error) = result {
        state
            .links
            .condemned
            .push((id, ProtocolError::from(error).into()));
    }
}
