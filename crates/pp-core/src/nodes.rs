//! Executors that are schedulers themselves: they come and go as they like.

use std::time::Duration;

use crate::executor::{Executor, ExecutorState};
use crate::executors::Site;
use crate::time::{Time, nanos};
use crate::{ExecutorId, Scheduler};

impl<J> Scheduler<J> {
    /// A node has come. It runs `slots` jobs at a time and holds `credit` at the most;
    /// `latency` is what a message to it and the answer take, beyond what it takes for a
    /// worker. None after [`destroy`](Self::destroy).
    pub fn node_joined(
        &mut self,
        slots: u32,
        credit: u32,
        latency: Duration,
        now: Time,
    ) -> Option<ExecutorId> {
        self.see(now);
        if self.destroyed {
            return None;
        }
        let id = ExecutorId::from_u64(self.next_executor);
        self.next_executor += 1;
        let slot = self.executors.insert(Executor {
            credit,
            latency: nanos(latency),
            progress: self.now,
            ..Executor::node(id, slots)
        });
        self.executors.refresh(slot);
        self.pump();
        Some(id)
    }

    /// A node runs another number of jobs at a time from now on, and holds another number
    /// at the most. Smaller figures take nothing back: they hold up what would be sent
    /// next, and what waits may be recalled. 0 is allowed.
    pub fn node_capacity(&mut self, node: ExecutorId, slots: u32, credit: u32, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(node) else {
            return;
        };
        if let Some(entry) = self.executors.get_mut(slot) {
            entry.credit = credit;
            if (slots as usize) < entry.held.slots() {
                // What had begun behind a gateway may have been lost there.
                entry.held.forget_starts();
            }
            entry.held.set_slots(slots);
        }
        self.executors.note_growth(Site::Node(slot));
        self.settle(slot);
        self.pump();
    }

    /// A message to a node and the answer take so long by now, beyond what it takes for a
    /// worker.
    pub fn node_latency(&mut self, node: ExecutorId, latency: Duration, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(node) else {
            return;
        };
        if let Some(entry) = self.executors.get_mut(slot) {
            entry.latency = nanos(latency);
        }
        self.settle(slot);
        self.pump();
    }

    /// A node is about to go: it gets no more jobs, and is asked for those that wait there.
    /// When it holds none any more, [`Effect::Retire`](crate::Effect::Retire) lets it go.
    pub fn node_leaving(&mut self, node: ExecutorId, now: Time) {
        self.see(now);
        let Some(slot) = self.executors.slot(node) else {
            return;
        };
        let state = self.executors.get(slot).map(|executor| executor.state);
        if state != Some(ExecutorState::Ready) {
            return;
        }
        self.executors.set_state(slot, ExecutorState::Draining);
        self.recall_held(slot);
        self.pump();
    }
}
