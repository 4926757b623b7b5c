//! An engine that works for a parent, as the daemon sees it that has made it.

use std::sync::Arc;
use std::time::Duration;

use pp_core::Machine;
use tokio::sync::oneshot;

use super::Engine;
use super::node::Parting;
use crate::net::Link;

/// How busy a server is that works for a parent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// Whether it has, or lately had, jobs.
    pub(crate) is_busy: bool,
    /// Whether the parent has jobs that lack what others have here.
    pub(crate) is_waiting: bool,
    /// How many worker processes there are, those that are to leave among them.
    pub(crate) workers: u32,
}

/// How many jobs a server runs at a time for its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) slots: u32,
    /// For all parents that the machine works for.
    pub(crate) most: u32,
}

impl Slots {
    /// Nobody else uses the machine.
    pub(super) fn alone(slots: u32) -> Self {
        Self { slots, most: slots }
    }
}

impl Engine {
    /// Works for the parent at the other end of `link`, which may be silent for
    /// `patience`. Who waits for what it returns learns why that has gone.
    pub(crate) fn serve(
        &self,
        link: Arc<Link>,
        patience: Duration,
    ) -> std::io::Result<oneshot::Receiver<Parting>> {
        self.shared.serve(link, patience)
    }

    /// Says who is to be told when the load of a server that works for a parent has
    /// changed. It must not wait, nor call the engine.
    pub(crate) fn set_watch(&self, watch: impl Fn() + Send + Sync + 'static) {
        // Only the first counts.
        let _ = self.shared.watch.set(Box::new(watch));
    }

    /// How busy a server is that works for a parent.
    pub(crate) fn load(&self) -> Load {
        let state = self.shared.lock();
        Load {
            is_busy: state.links.is_busy,
            is_waiting: state.loans.is_waiting,
            workers: u32::try_from(state.scheduler.worker_counts().total()).unwrap_or(u32::MAX),
        }
    }

    /// Sets how many workers there are to be, and how many the parent is to be told of.
    pub(crate) fn set_share(&self, workers: u32, slots: Slots) {
        let mut state = self.shared.lock();
        if state.destroyed || state.links.share == Some((workers, slots)) {
            return;
        }
        let is_resized = state
            .links
            .share
            .is_none_or(|(before, _)| before != workers);
        state.links.share = Some((workers, slots));
        state.scheduler.set_most_slots(Machine::Here, slots.most);
        if is_resized {
            let now = state.now();
            state.scheduler.resize(workers, now);
        }
        self.shared.settle(&mut state);
    }

    /// Tells the parent that this server will go: it is to give no more jobs, and to ask
    /// for those that have not begun.
    pub(crate) fn announce_leaving(&self) {
        let mut state = self.shared.lock();
        if let Some(uplink) = &mut state.links.uplink
            && let Err(error) = uplink.say_leaving()
        {
            tracing::error!(%error, "the parent cannot be told");
        }
        self.shared.settle(&mut state);
    }
}
