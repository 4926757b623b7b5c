#![allow(clippy::unwrap_used)] // a test may fail

use std::time::Instant;

use pp_core::{FunctionId, JobId};

use super::*;
use crate::engine::node::{Node, Said};
use crate::net::testing::{drive, host, links};
use crate::segments::Carried;

/// No test may hang.
const LONG: Duration = Duration::from_secs(30);

/// Both ends of the protocol on a link.
struct Ends {
    node: Node,
    uplink: Uplink,
    wishes: Vec<Wish>,
    said: Vec<Said>,
}

impl Ends {
    fn new(pool: &Arc<Pool>) -> Self {
        let (parents, nodes) = drive(links());
        let pulse = || Pulse::new(LONG, LONG);
        let node = Node::new(
            "node".into(),
            host(),
            parents,
            pulse(),
            Arc::clone(pool),
            oneshot::channel().0,
        );
        let parting = oneshot::channel().0;
        Self {
            node,
            uplink: Uplink::new(nodes, pulse(), Arc::clone(pool), u64::MAX, parting),
            wishes: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Lets all that was sent arrive at the node, and a question after it.
    fn deliver(&mut self) {
        self.until(|ends| ends.node.link.outbox.lock().is_empty());
        let nonce = self.node.pulse.ask(Instant::now());
        self.node.ping(nonce).unwrap();
        self.until(|ends| ends.node.pulse.latency() < LONG);
    }

    fn until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LONG;
        while !is_done(self) {
            assert!(Instant::now() < deadline);
            for link in [&self.node.link, &self.uplink.link] {
                link.receive();
                link.flush();
            }
            self.uplink.take(&mut self.wishes).unwrap();
            self.node.take(&mut self.said).unwrap();
        }
    }
}

#[test]
fn a_segment_that_is_dropped_on_its_way_leaves_nothing_at_the_node() {
    let pool = Pool::new(Some(0));
    let mut ends = Ends::new(&pool);
    let job = JobId::from_u64(1);
    let part = Part::Carried(Arc::new(Carried::new(&pool, vec![7; 40_000_000].into())));
    let args = Blob::from(Bytes::from_static(b"args")).with_parts(vec![part]);
    ends.node
        .send_job(job, FunctionId::from_u64(1), args)
        .unwrap();
    ends.node.recall(job).unwrap();
    ends.until(|ends| matches!(ends.said[..], [Said::Recalled { recalled: true, .. }]));
    // Some of it is on its way, and not all.
    assert!(!ends.node.link.outbox.lock().is_empty());
    ends.node.drop_contents().unwrap();
    ends.deliver();
    assert!(
        ends.wishes.is_empty(),
        "it was given back before it had come"
    );
    assert!(ends.uplink.is_empty());
    assert!(ends.uplink.arriving.is_empty());
}
