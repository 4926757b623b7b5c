//! What the engine knows of the network: its nodes and its parent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pp_core::{Charges, ExecutorId};

use super::absence::Absence;
use super::config::NobodyLeft;
use super::for_parent::Slots;
use super::job::Job;
use super::node::{Node, Parting, Said};
use super::nodes::NodeView;
use super::outcome::{JobFailure, Outcome};
use super::pulse::Pulse;
use super::reading::Reading;
use super::record::Ran;
use super::sites::Sites;
use super::state::{State, Totals};
use super::uplink::Uplink;
use crate::net::Link;
use crate::segments::{Discards, Part};

/// The most nodes that are remembered after they have gone.
const GONE_MAX: usize = 10_000;

/// A node that is not here any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Gone {
    pub(super) title: String,
    pub(super) totals: Totals,
}

/// All links, and what is to be done about them.
#[derive(Default)]
pub(super) struct Links {
    pub(super) nodes: BTreeMap<ExecutorId, Node>,
    /// How many jobs all nodes run at a time.
    slots: u64,
    /// The names of nodes that jobs ran on.
    pub(super) sites: Sites,
    /// Who this server works for, if it does.
    pub(super) uplink: Option<Uplink>,
    /// What nodes have done that are not here any more, by their names.
    pub(super) gone: BTreeMap<Arc<str>, Gone>,
    /// The last node that was lost, and why.
    pub(super) last_loss: Option<(Arc<str>, Arc<str>)>,
    /// How many workers there are to be for the parent, and how many it is told of.
    pub(super) share: Option<(u32, Slots)>,
    /// Whether the parent has, or lately had, jobs here, as was told to who watches.
    pub(super) is_busy: bool,
    /// Why this server cannot work for its parent.
    pub(super) unable: Option<String>,
    /// Whether there are to be nodes.
    pub(super) are_wanted: bool,
    /// Nodes with something in their outbox that was not flushed.
    pub(super) dirty: Vec<ExecutorId>,
    /// Nodes to be given up, and why.
    pub(super) condemned: Vec<(ExecutorId, Parting)>,
    /// Those that waiters read.
    pub(super) reading: Reading,
    /// Whether this process was away itself.
    pub(super) absence: Absence,
    /// When nodes are asked again whether they live.
    pub(super) next_beat: Option<Instant>,
    /// Whether the user was told that nobody is left to run jobs.
    pub(super) alone_was_told: bool,
    /// Since when jobs wait for a machine that has what they need.
    pub(super) hopeless_since: Option<Instant>,
    /// Since when nobody is there to run jobs, where they are to fail for it.
    pub(super) alone_since: Option<Instant>,
    /// What came of getting segments from other nodes.
    pub(super) loans: Vec<(u64, Option<Part>)>,
    /// What nodes keep and nobody needs any more.
    pub(super) discards: Arc<Discards>,
    /// Spare room for what nodes say.
    pub(super) said: Vec<Said>,
}

impl Links {
    /// Whether there are none: then they cost nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.uplink.is_none()
    }

    /// Whether something was read that was not taken in.
    pub(super) fn has_news(&self) -> bool {
        self.all().any(|link| link.has_news())
    }

    /// A node runs so many jobs at a time from now on.
    pub(super) fn set_slots(&mut self, id: ExecutorId, slots: u32) {
        if let Some(node) = self.nodes.get_mut(&id) {
            let before = node.slots.replace(slots).unwrap_or(0);
            self.slots = self.slots - u64::from(before) + u64::from(slots);
        }
    }

    /// Takes out a node.
    pub(super) fn remove(&mut self, id: ExecutorId) -> Option<Node> {
        let node = self.nodes.remove(&id)?;
        self.slots -= u64::from(node.slots.unwrap_or(0));
        Some(node)
    }

    /// Remembers what a node has done that goes.
    pub(super) fn remember(&mut self, node: &Node) {
        if self.gone.len() < GONE_MAX || self.gone.contains_key(&node.name) {
            let gone = self.gone.entry(Arc::clone(&node.name)).or_default();
            gone.title.clone_from(&node.host.name);
            gone.totals.join(node.totals);
        }
    }

    /// What users may know of nodes: of those that are here, then of others that were.
    pub(super) fn views(&self) -> Vec<NodeView> {
        let mut gone = self.gone.clone();
        let mut views: Vec<NodeView> = self.nodes.values().map(Node::view).collect();
        for view in &mut views {
            // It has been here before, and has come back.
            if let Some(before) = gone.remove(&view.name) {
                view.jobs += before.totals.jobs;
                view.run_time += before.totals.run_time;
            }
        }
        views.extend(gone.into_iter().map(|(name, gone)| NodeView {
            name,
            title: gone.title,
            slots: 0,
            jobs: gone.totals.jobs,
            run_time: gone.totals.run_time,
            latency: Duration::ZERO,
            is_active: false,
        }));
        views
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Link>> {
        let nodes = self.nodes.values().map(|node| &node.link);
        nodes.chain(self.uplink.iter().map(|uplink| &uplink.link))
    }
}

impl State {
    /// Tells the parent how a job of its has ended; not if that is because this server
    /// cannot go on: then it runs elsewhere.
    pub(super) fn report_end(&mut self, job: &Job, outcome: &Outcome, ran: Ran) {
        match outcome.failure() {
            Some(JobFailure::ServerDestroyed) => return,
            Some(failure @ JobFailure::NoWorker { .. }) => {
                self.links.unable = Some(failure.to_string());
                return;
            }
            _ => {}
        }
        if let Some(uplink) = &mut self.links.uplink
            && let Err(error) = uplink.tell_end(job.number(), outcome, ran)
        {
            self.links.unable = Some(error.to_string());
        }
    }

    /// Tells the parent what a job of its was charged with that is given back.
    pub(super) fn report_charges(&mut self, job: &Job, charges: Charges) {
        if let Some(uplink) = &mut self.links.uplink
            && !charges.is_none()
            && uplink.service.is_asked_back(job.number())
            && let Err(error) = uplink.tell_charges(job.number(), charges)
        {
            self.links.unable = Some(error.to_string());
        }
    }

    /// How many jobs run at a time, here and on nodes.
    pub(super) fn slots(&self) -> Slots {
        let Slots { slots, most } = self.links.share.map_or_else(
            || {
                let workers = self.scheduler.worker_counts().wanted();
                Slots::alone(u32::try_from(workers).unwrap_or(u32::MAX))
            },
            |(_, slots)| slots,
        );
        let nodes = u32::try_from(self.links.slots).unwrap_or(u32::MAX);
        Slots {
            slots: slots.saturating_add(nodes),
            most: most.saturating_add(nodes),
        }
    }

    /// The shortest time after which somebody at the end of a link is taken for dead.
    pub(super) fn shortest_patience(&self) -> Duration {
        let uplink = self.links.uplink.as_ref().map(Uplink::patience);
        let nodes = (!self.links.nodes.is_empty()).then_some(self.config.patience);
        uplink
            .into_iter()
            .chain(nodes)
            .min()
            .unwrap_or(self.config.patience)
    }

    /// Sees to it that there will be a beat while there are links, or somebody is missed.
    pub(super) fn plan_beat(&mut self) {
        let are_watched = || self.is_alone() || self.scheduler.has_hopeless();
        if self.links.next_beat.is_none() && (!self.links.is_empty() || are_watched()) {
            self.links.next_beat = Some(Instant::now() + Pulse::interval(self.shortest_patience()));
        }
    }

    /// Whether nobody is there who could run jobs, and nodes may come.
    pub(super) fn is_waiting_for_nodes(&self) -> bool {
        let may_come = self.links.are_wanted || self.config.nobody_left == NobodyLeft::Fail;
        may_come && self.links.uplink.is_none() && self.slots().slots == 0
    }

    /// Whether jobs wait for them.
    fn is_alone(&self) -> bool {
        self.is_waiting_for_nodes() && self.scheduler.queued() > 0 && !self.destroyed
    }

    /// Looks at how long jobs have waited for somebody to come. If that is too long, they fail,
    /// or the user is told.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        if !self.is_alone() {
            self.links.alone_since = None;
            return;
        }
        let since = *self.links.alone_since.get_or_insert(now);
        if now.saturating_duration_since(since) <= self.config.patience {
            return;
        }
        if self.config.nobody_left == NobodyLeft::Fail {
            let now = self.now();
            self.scheduler.give_up(now);
        } else {
            self.tell_if_alone();
        }
    }

    /// Says so, once, if jobs wait and nobody is there who could run them.
    pub(super) fn tell_if_alone(&mut self) {
        if !self.is_alone() || std::mem::replace(&mut self.links.alone_was_told, true) {
            return;
        }
        let waiting = self.scheduler.queued();
        if self.links.gone.is_empty() {
            tracing::warn!(
                waiting,
                "no node has come, and there are no local workers: jobs wait until one does; is \
                 ppserver running, and is its secret the same?"
            );
        } else {
            tracing::warn!(
                waiting,
                "no node is left, and there are no local workers: jobs wait until a node comes back"
            );
        }
    }
}
