//! A thread that waits for a short job reads the links itself, as long as these are few.
//!
//! Meanwhile the poll does not tell of what comes: else it would wake the I/O thread for each
//! result, which finds nothing to do, and takes the time of a processor.

use std::sync::Arc;

use pp_core::ExecutorId;

use super::nodes::token_of;
use super::shared::Shared;
use super::state::State;
use crate::net::{Link, LinkEnd};

/// With more links it takes longer to read them all than to be woken.
const LINKS_MAX: usize = 4;

/// Links that waiters read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// How many waiters do.
    readers: u32,
    /// Those of which the poll does not tell.
    muted: Vec<ExecutorId>,
}

impl Shared {
    /// The links to nodes that the caller reads until [`Self::end_reading`]; none if they
    /// are many.
    pub(super) fn begin_reading(&self, state: &mut State) -> Vec<Arc<Link>> {
        if !may_read(state) {
            return Vec::new();
        }
        state.links.reading.readers += 1;
        if state.links.reading.readers == 1 {
            let ids: Vec<ExecutorId> = state.links.nodes.keys().copied().collect();
            for &id in &ids {
                self.listen(state, id, false);
            }
            state.links.reading.muted = ids;
        }
        let nodes = state.links.nodes.values();
        nodes.map(|node| Arc::clone(&node.link)).collect()
    }

    /// The caller has read the links, if it got some.
    pub(super) fn end_reading(&self, state: &mut State) {
        let reading = &mut state.links.reading;
        reading.readers -= 1;
        if reading.readers == 0 {
            for id in std::mem::take(&mut reading.muted) {
                self.listen(state, id, true);
            }
        }
    }

    /// Lets the poll tell of what comes from a node, also of what has come already, or not.
    fn listen(&self, state: &mut State, id: ExecutorId, listens: bool) {
        let Some(node) = state.links.nodes.get(&id) else {
            return;
        };
        if let Err(error) = self.tell_of_link(&node.link, token_of(id), listens) {
            let end = LinkEnd::from(error);
            state.links.condemned.push((id, end.into()));
        }
    }
}

/// Whether waiters read links.
pub(super) fn may_read(state: &State) -> bool {
    (1..=LINKS_MAX).contains(&state.links.nodes.len())
}
