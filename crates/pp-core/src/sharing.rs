//! Setting shares, and what can be seen of them.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::time::Time;
use crate::{Scheduler, ShareId};

/// One share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareStats {
    /// What it gets of the service, in proportion to the weights of others.
    pub weight: NonZeroU32,
    /// The most of its jobs that executors may hold.
    pub limit: Option<u32>,
    /// Its jobs that wait.
    pub queued: usize,
    /// Its jobs that executors hold: those that run and those that were sent ahead.
    pub held: usize,
    /// How long its jobs ran that have ended.
    pub run_time: Duration,
}

impl<J> Scheduler<J> {
    /// Sets what a share gets.
    ///
    /// While jobs of several shares wait, these get service in proportion to their weights, in
    /// any unit. Executors hold no more than `limit` jobs of a share, sent-ahead ones among them,
    /// but not those that wait for others or pause; a smaller figure takes nothing back, and 0
    /// holds the share up. A share that was not set
    /// has weight 1 and no limit, and one that is set to these again is forgotten when it has no
    /// jobs. Ignored after [`destroy`](Self::destroy).
    pub fn set_share(&mut self, share: ShareId, weight: NonZeroU32, limit: Option<u32>, now: Time) {
        self.see(now);
        if self.destroyed {
            return;
        }
        self.shares.set(share, weight, limit);
        self.forgive_if_idle();
        self.pump();
    }

    /// One share; `None` if it was not set, and has no jobs and has none to make up for.
    pub fn share_stats(&self, share: ShareId) -> Option<ShareStats> {
        let slot = self.shares.slot(share)?;
        let share = self.shares.get(slot)?;
        let is_its = |&job: &_| {
            let class = self
                .jobs
                .get(job)
                .map(|entry| self.classes.get(entry.class));
            class.is_some_and(|class| class.share == slot)
        };
        let suspects = self.suspects.names().filter(is_its).count();
        Some(ShareStats {
            weight: share.weight,
            limit: share.limit,
            queued: share.queued() + suspects,
            held: share.held,
            run_time: Duration::from_nanos(share.run_time),
        })
    }

    /// The names of all shares that [`share_stats`](Self::share_stats) knows.
    pub fn shares(&self) -> impl Iterator<Item = ShareId> + '_ {
        self.shares.iter().map(|(_, share)| share.id)
    }
}
