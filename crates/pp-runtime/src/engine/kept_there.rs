//! What a node keeps of the results that it has made.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use pp_core::{ExecutorId, JobId};
use pp_proto::Ticket;

use super::arriving::STREAMS_MAX;
use crate::segments::{Away, Discards, Home, Part, Pool};

/// For how long a node does not try again to reach another one, at first; twice as long each time.
const REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(3600);

/// What one node keeps, by its own names for it.
#[derive(Debug)]
pub(super) struct KeptThere {
    node: ExecutorId,
    /// Where the node is.
    place: Option<SocketAddr>,
    pool: Arc<Pool>,
    discards: Arc<Discards>,
    /// Jobs that it was told about.
    jobs: HashSet<JobId>,
    /// Of the result that comes next.
    new: HashMap<u64, Arc<Away>>,
    known: HashMap<u64, Known>,
    /// Nodes that this one has not reached.
    unreachable: BTreeMap<u64, Unreachable>,
}

/// Another try may take as long as it does to give up.
#[derive(Debug)]
struct Unreachable {
    until: Instant,
    rest: Duration,
}

#[derive(Debug)]
struct Known {
    away: Weak<Away>,
    size: u64,
    /// Whether it was asked for, and has not come.
    is_asked: bool,
}

impl KeptThere {
    /// Of a node that is at `place`.
    pub(super) fn new(
        node: ExecutorId,
        place: Option<SocketAddr>,
        pool: Arc<Pool>,
        discards: Arc<Discards>,
    ) -> Self {
        Self {
            node,
            place,
            pool,
            discards,
            jobs: HashSet::new(),
            new: HashMap::new(),
            known: HashMap::new(),
            unreachable: BTreeMap::new(),
        }
    }

    /// It is told to keep what is large in the result of a job.
    pub(super) fn want(&mut self, job: JobId) {
        self.jobs.insert(job);
    }

    /// A job is not there any more; whether its result may be kept.
    pub(super) fn job_left(&mut self, job: JobId) -> bool {
        !self.jobs.is_empty() && self.jobs.remove(&job)
    }

    /// It keeps a segment; false if it has said so before, or keeps too many.
    pub(super) fn add(&mut self, segment: u64, size: u64, ticket: Ticket) -> bool {
        if self.known.contains_key(&segment) || self.new.len() >= STREAMS_MAX {
            return false;
        }
        let home = Home {
            node: self.node.as_u64(),
            segment,
            ticket,
            place: self.place,
        };
        let name = self.pool.name_carried();
        let away = Arc::new(Away::new(name, home, size, Arc::clone(&self.discards)));
        let known = Known {
            away: Arc::downgrade(&away),
            size,
            is_asked: false,
        };
        self.known.insert(segment, known);
        self.new.insert(segment, away);
        true
    }

    /// The segment is part of the result that has come.
    pub(super) fn place(&mut self, segment: u64) -> Option<Part> {
        self.new.remove(&segment).map(Part::Away)
    }

    /// Whether a segment of this size may come: what is kept only comes if it was asked for.
    pub(super) fn allows(&self, segment: u64, size: u64) -> bool {
        let known = self.known.get(&segment);
        known.is_none_or(|known| known.is_asked && known.size == size)
    }

    /// Whether the node is still to be asked for a segment.
    pub(super) fn ask(&mut self, segment: u64) -> bool {
        let known = self.known.get_mut(&segment);
        known.is_some_and(|known| !std::mem::replace(&mut known.is_asked, true))
    }

    /// Whether a segment is kept.
    pub(super) fn has(&self, segment: u64) -> bool {
        self.known.contains_key(&segment)
    }

    /// A segment has come that is kept; none if nobody refers to it any more.
    pub(super) fn brought(&mut self, segment: u64) -> Option<Arc<Away>> {
        let known = self.known.get_mut(&segment)?;
        known.is_asked = false;
        let away = known.away.upgrade();
        if away.is_none() {
            self.known.remove(&segment);
        }
        away
    }

    /// It need not keep a segment any longer.
    pub(super) fn forget(&mut self, segment: u64) {
        // What was asked for is still to come.
        if self
            .known
            .get(&segment)
            .is_some_and(|known| !known.is_asked)
        {
            self.known.remove(&segment);
        }
    }

    /// What somebody refers to, and was not brought.
    pub(super) fn all(&self) -> Vec<Arc<Away>> {
        let aways = self.known.values().filter_map(|known| known.away.upgrade());
        aways.filter(|away| away.content().is_none()).collect()
    }

    /// Whether this is the node that keeps it.
    pub(super) fn is_home(&self, home: &Home) -> bool {
        home.node == self.node.as_u64()
    }

    /// Whether this node may get something at another one from there.
    pub(super) fn reaches(&self, home: &Home, now: Instant) -> bool {
        let (Some(own), Some(other)) = (self.place, home.place) else {
            return false;
        };
        // What is on the loopback of the client's machine is out of reach elsewhere.
        let is_near = !other.ip().is_loopback() || own.ip().is_loopback();
        let unreachable = self.unreachable.get(&home.node);
        is_near && unreachable.is_none_or(|unreachable| unreachable.until <= now)
    }

    /// This node cannot get anything from that one at the moment.
    pub(super) fn note_unreachable(&mut self, home: &Home, now: Instant) {
        let before = self.unreachable.get(&home.node);
        if before.is_some_and(|before| now < before.until) {
            // Several jobs have met with the same.
            return;
        }
        let rest = before.map_or(REST, |before| (before.rest * 2).min(LONGEST_REST));
        let until = now + rest;
        self.unreachable
            .insert(home.node, Unreachable { until, rest });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(place: &str) -> KeptThere {
        let place = place.parse().ok();
        let pool = Pool::new(Some(0));
        KeptThere::new(ExecutorId::from_u64(3), place, pool, Arc::default())
    }

    #[test]
    fn what_is_kept_comes_when_it_was_asked_for_and_once() {
        let mut kept = kept("10.0.0.1:6");
        assert!(kept.add(1, 10, [0; 16]) && !kept.add(1, 10, [0; 16]));
        let part = kept.place(1).unwrap();
        assert!(kept.place(1).is_none() && kept.all().len() == 1);
        assert!(!kept.allows(1, 10) && kept.allows(2, 7));
        assert!(kept.ask(1) && !kept.ask(1));
        assert!(kept.allows(1, 10) && !kept.allows(1, 11));
        assert_eq!(kept.brought(1).unwrap().size(), 10);
        assert!(!kept.allows(1, 10));
        drop(part);
        let discarded = kept.discards.take();
        assert_eq!(discarded.len(), 1, "nobody refers to it");
        assert_eq!((discarded[0].home.node, discarded[0].home.segment), (3, 1));
        kept.forget(1);
        assert!(kept.known.is_empty());
    }

    #[test]
    fn what_was_asked_for_may_come_though_nobody_needs_it_any_more() {
        let mut kept = kept("10.0.0.1:6");
        kept.add(1, 10, [0; 16]);
        assert!(kept.ask(1));
        drop(kept.place(1));
        kept.forget(1);
        assert!(kept.allows(1, 10));
        assert!(kept.has(1) && kept.brought(1).is_none());
        assert!(!kept.has(1));
    }

    #[test]
    fn a_node_reaches_others_by_addresses_that_hold_for_it() {
        let home = |place: &str| Home {
            node: 4,
            segment: 0,
            ticket: [0; 16],
            place: place.parse().ok(),
        };
        let now = Instant::now();
        let (near, far) = (kept("127.0.0.1:5"), kept("10.0.0.1:6"));
        assert!(near.reaches(&home("127.0.0.1:7"), now) && near.reaches(&home("10.0.0.2:7"), now));
        assert!(far.reaches(&home("10.0.0.2:7"), now) && !far.reaches(&home("[::1]:7"), now));
        assert!(!far.reaches(&home(""), now), "it has dialed itself");
    }

    #[test]
    fn who_was_not_reached_is_tried_again_later_and_later() {
        let home = |node| Home {
            node,
            segment: 0,
            ticket: [0; 16],
            place: "10.0.0.2:7".parse().ok(),
        };
        let (start, mut far) = (Instant::now(), kept("10.0.0.1:6"));
        let mut now = start;
        for rest in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
            assert!(far.reaches(&home(4), now));
            far.note_unreachable(&home(4), now);
            // The same failure, as other jobs meet with it.
            far.note_unreachable(&home(4), now);
            assert!(far.reaches(&home(5), now));
            let almost = now + Duration::from_millis(rest * 1_000 - 1);
            assert!(!far.reaches(&home(4), almost));
            now += Duration::from_secs(rest);
        }
    }
}
