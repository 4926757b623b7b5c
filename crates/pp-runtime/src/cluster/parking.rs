//! Nodes that have dialed, and wait to be used: behind a firewall they cannot be dialed
//! themselves.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use pp_proto::NodeId;
use tokio::sync::watch;

use crate::net::Offered;
use crate::sync::Mutex;

/// The most connections of one node that wait: it offers the next one when one is used.
const WAITING_MAX: usize = 4;

/// Where they wait.
#[derive(Debug)]
pub(crate) struct Parking {
    nodes: Mutex<BTreeMap<NodeId, Waiting>>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct Waiting {
    name: Arc<str>,
    connections: VecDeque<Offered>,
}

impl Parking {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            nodes: Mutex::default(),
            changed: watch::Sender::new(0),
        })
    }

    /// A node offers itself.
    pub(super) fn put(&self, offered: Offered) {
        let mut nodes = self.nodes.lock();
        // Those who have gone would be here for ever: a node that is started again is
        // another one.
        nodes.retain(|_, waiting| {
            waiting.connections.retain(Offered::is_alive);
            !waiting.connections.is_empty()
        });
        let waiting = nodes.entry(offered.host.node).or_insert_with(|| Waiting {
            name: offered.host.name.as_str().into(),
            connections: VecDeque::new(),
        });
        waiting.connections.push_back(offered);
        while waiting.connections.len() > WAITING_MAX {
            // The oldest are the likeliest to be dead.
            waiting.connections.pop_front();
        }
        drop(nodes);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Who has offered itself, and how it is called.
    pub(super) fn nodes(&self) -> Vec<(NodeId, Arc<str>)> {
        let nodes = self.nodes.lock();
        let named = nodes.iter();
        named
            .map(|(&id, node)| (id, Arc::clone(&node.name)))
            .collect()
    }

    /// Takes a connection of a node, once there is one: the newest.
    pub(super) async fn take(&self, node: NodeId) -> Offered {
        let mut changes = self.changed.subscribe();
        loop {
            let found = {
                let mut nodes = self.nodes.lock();
                nodes
                    .get_mut(&node)
                    .and_then(|waiting| waiting.connections.pop_back())
            };
            if let Some(offered) = found {
                return offered;
            }
            // This sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Is told of each offer.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}
