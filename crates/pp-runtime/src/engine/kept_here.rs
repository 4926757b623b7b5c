//! What this node keeps of the results that it has made, for its parent and for other nodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pp_proto::Ticket;

use crate::exports::Exports;
use crate::segments::Part;

/// Results that stay here, and jobs whose results will.
#[derive(Debug)]
pub(super) struct KeptHere {
    exports: Option<Arc<Exports>>,
    /// Jobs whose results are to stay.
    jobs: HashSet<u64>,
    segments: HashMap<u64, Kept>,
    bytes: u64,
    /// The most bytes that are kept; what is too much is sent.
    most: u64,
}

#[derive(Debug)]
struct Kept {
    part: Part,
    size: u64,
    ticket: Ticket,
}

impl KeptHere {
    pub(super) fn new(exports: Option<Arc<Exports>>, most: u64) -> Self {
        Self {
            exports,
            jobs: HashSet::new(),
            segments: HashMap::new(),
            bytes: 0,
            most,
        }
    }

    /// The result of a job is to stay.
    pub(super) fn want(&mut self, job: u64) {
        self.jobs.insert(job);
    }

    /// A job has ended, or is not here any more; whether its result is to stay.
    pub(super) fn job_left(&mut self, job: u64) -> bool {
        !self.jobs.is_empty() && self.jobs.remove(&job)
    }

    /// Keeps what is called `segment`, if there is room; what others get it for, and its size.
    pub(super) fn keep(&mut self, segment: u64, part: &Part) -> Option<(Ticket, u64)> {
        let exports = self.exports.as_ref()?;
        let size = part.content().ok()?.len() as u64;
        if self.bytes.saturating_add(size) > self.most {
            return None;
        }
        let ticket = exports.offer(part.clone());
        let ticket = ticket
            .inspect_err(|error| tracing::warn!(%error, "a result is not kept, but sent"))
            .ok()?;
        self.bytes += size;
        let part = part.clone();
        let kept = Kept { part, size, ticket };
        self.segments.insert(segment, kept);
        Some((ticket, size))
    }

    /// What is kept as `segment`.
    pub(super) fn get(&self, segment: u64) -> Option<&Part> {
        self.segments.get(&segment).map(|kept| &kept.part)
    }

    /// Nobody needs it any more.
    pub(super) fn discard(&mut self, segment: u64) {
        if let Some(kept) = self.segments.remove(&segment) {
            self.bytes -= kept.size;
            self.withdraw(&kept.ticket);
        }
    }

    fn withdraw(&self, ticket: &Ticket) {
        if let Some(exports) = &self.exports {
            exports.withdraw(ticket);
        }
    }
}

impl Drop for KeptHere {
    fn drop(&mut self) {
        for kept in self.segments.values() {
            self.withdraw(&kept.ticket);
        }
    }
}
