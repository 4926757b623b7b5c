//! A thread that waits for a short job reads the links itself, as long as these are few.
//!
//! Meanwhile the poll does not tell of what comes: else it would wake the I/O thread for each
//! result, which finds nothing to do, and takes the time of a processor.

use std::sync::Arc;
use std::time::Duration;

use pp_core::ExecutorId;

use super::nodes::token_of;
use super::shared::Shared;
use super::state::State;
use crate::net::{Link, LinkEnd};

/// With more links it takes longer to read them all than to be woken.
const LINKS_MAX: usize = 4;
/// The longest way to a node that is looked out for: no longer than it takes to fall asleep
/// and be woken by two threads, one after the other.
const WAY_MAX: Duration = Duration::from_micros(80);

/// Links that waiters read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// How many waiters do.
    readers: u32,
    /// Those of which the poll does not tell.
    muted: Vec<ExecutorId>,
}

impl Shared {
    /// The links to nodes that the caller reads until [`Self::end_reading`].
    pub(super) fn begin_reading(&self, state: &mut State) -> Vec<Arc<Link>> {
        let reading = &mut state.links.reading;
        reading.readers += 1;
        if reading.readers == 1 {
            let nodes = state.links.nodes.iter();
            let muted = nodes.filter(|(_, node)| self.mute_link(&node.link));
            reading.muted = muted.map(|(&id, _)| id).collect();
        }
        let nodes = state.links.nodes.values();
        nodes.map(|node| Arc::clone(&node.link)).collect()
    }

    /// The caller has read the links.
    pub(super) fn end_reading(&self, state: &mut State) {
        let reading = &mut state.links.reading;
        reading.readers -= 1;
        if reading.readers > 0 {
            return;
        }
        for id in std::mem::take(&mut reading.muted) {
            let Some(node) = state.links.nodes.get(&id) else {
                continue;
            };
            if let Err(error) = self.unmute_link(&node.link, token_of(id)) {
                let end = LinkEnd::from(error);
                state.links.condemned.push((id, end.into()));
            }
        }
    }
}

impl State {
    /// For how much longer a waiter looks out that reads the links, which is as long as a
    /// message and its answer take to the node that is nearest. None if that does not pay:
    /// jobs run here, or nodes are many or far away.
    pub(super) fn worth_reading(&self) -> Option<Duration> {
        let nodes = &self.links.nodes;
        if self.scheduler.worker_counts().wanted() > 0 || nodes.len() > LINKS_MAX {
            return None;
        }
        let ways = nodes.values().map(|node| node.pulse.latency());
        ways.min().filter(|&way| way <= WAY_MAX)
    }
}
