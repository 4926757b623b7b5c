#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use std::time::Instant;

use pp_core::{ExecutorId, FunctionId, JobId};

use super::*;
use crate::engine::kept_there::KeptThere;
use crate::engine::node::{Node, Said};
use crate::engine::outcome::{Outcome, Report};
use crate::engine::record::Ran;
use crate::net::testing::{drive, host, links};
use crate::segments::{Away, Carried, Part};

/// No test may hang.
const LONG: Duration = Duration::from_secs(30);

/// So many bytes are kept.
const CACHE: u64 = 10_000_000;

/// Both ends of the protocol on a link.
struct Ends {
    node: Node,
    uplink: Uplink,
    wishes: Vec<Wish>,
    said: Vec<Said>,
}

impl Ends {
    fn new(pool: &Arc<Pool>) -> Self {
        Self::of(ExecutorId::from_u64(3), pool)
    }

    fn of(node: ExecutorId, pool: &Arc<Pool>) -> Self {
        let kept = KeptThere::new(node, None, Arc::clone(pool), Arc::default());
        let (parents, nodes) = drive(links());
        let pulse = || Pulse::new(LONG, LONG);
        let node = Node::new(
            "node".into(),
            host(),
            parents,
            pulse(),
            Arc::clone(pool),
            kept,
            oneshot::channel().0,
        );
        let parting = oneshot::channel().0;
        let kept = (CACHE, Some(Arc::default()));
        Self {
            node,
            uplink: Uplink::new(nodes, pulse(), Arc::clone(pool), kept, parting),
            wishes: Vec::new(),
            said: Vec::new(),
        }
    }

    /// Lets all that was sent arrive at the node, and a question after it.
    fn deliver(&mut self) {
        self.until(|ends| ends.node.link.outbox.lock().is_empty());
        self.node.pulse = Pulse::new(LONG, LONG);
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
            for wish in self
                .wishes
                .extract_if(.., |wish| matches!(wish, Wish::Keep(_)))
            {
                if let Wish::Keep(job) = wish {
                    self.uplink.note_keep(job);
                }
            }
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

impl Ends {
    /// Grants the wishes to keep, as of jobs that were accepted.
    fn grant(&mut self) {
        for wish in &self.wishes {
            if let Wish::Keep(job) = wish {
                self.uplink.note_keep(*job);
            }
        }
    }

    /// Sends a job of a function that is known, and lets it come.
    fn send(&mut self, job: JobId, parts: Vec<Part>) {
        let function = FunctionId::from_u64(1);
        let blob = Bytes::from_static(b"function");
        if self.uplink.functions.is_empty() {
            let (function, _) = crate::engine::functions::Functions::default().intern(blob, "f");
            self.uplink.functions.insert(1, function);
        }
        let args = Blob::from(Bytes::from_static(b"args")).with_parts(parts);
        self.node.send_job(job, function, args).unwrap();
    }

    /// Lets a job that was sent be held, and end with a result.
    fn end(&mut self, job: JobId, parts: Vec<Part>) {
        let bytes = Blob::from(Bytes::from_static(b"result")).with_parts(parts);
        let outcome = Outcome::Value(Report::new(bytes, 0, 0).unwrap());
        self.uplink
            .tell_end(job.as_u64(), &outcome, Ran::NOT)
            .unwrap();
        self.until(|ends| matches!(ends.said.last(), Some(Said::Result { .. })));
    }

    /// What of the last result that has come lies at the node.
    fn away(&mut self) -> Vec<Arc<Away>> {
        let Some(Said::Result { bytes, .. }) = self.said.pop() else {
            panic!("no result: {:?}", self.said);
        };
        bytes
            .parts()
            .iter()
            .filter_map(Part::away)
            .cloned()
            .collect()
    }
}

fn large(pool: &Arc<Pool>, size: usize) -> Part {
    Part::Carried(Arc::new(Carried::new(pool, vec![7; size].into())))
}

fn job(number: u64) -> JobId {
    JobId::from_u64(number)
}

#[test]
fn a_result_that_is_to_stay_stays_until_nobody_needs_it() {
    let pool = Pool::new(Some(0));
    let mut ends = Ends::new(&pool);
    ends.send(job(1), Vec::new());
    ends.deliver();
    ends.uplink.service.accept(1, job(1));
    ends.node.keep(job(1)).unwrap();
    ends.deliver();
    ends.grant();
    ends.end(job(1), vec![large(&pool, 300_000)]);
    let away = ends.away().pop().unwrap();
    assert_eq!((away.size(), away.content().is_none()), (300_000, true));

    // Jobs there use it where it is.
    ends.wishes.clear();
    ends.send(job(2), vec![Part::Away(Arc::clone(&away))]);
    ends.deliver();
    let Some(Wish::Run { args, .. }) = ends.wishes.pop() else {
        panic!("not run: {:?}", ends.wishes);
    };
    assert_eq!(args.parts()[0].content().unwrap().len(), 300_000);

    // It comes when it is asked for, once.
    ends.node.fetch(away.home().segment).unwrap();
    ends.node.fetch(away.home().segment).unwrap();
    ends.until(|ends| !ends.said.is_empty());
    ends.deliver();
    let [Said::Kept { content, .. }] = &ends.said[..] else {
        panic!("not brought: {:?}", ends.said);
    };
    assert_eq!(content.content().unwrap(), vec![7; 300_000]);

    ends.node.discard(away.home().segment).unwrap();
    ends.deliver();
    assert!(ends.uplink.kept.get(away.home().segment).is_none());
}

#[test]
fn what_is_too_much_to_be_kept_is_sent() {
    let pool = Pool::new(Some(0));
    let mut ends = Ends::new(&pool);
    for (number, size) in [(1, 6_000_000), (2, 6_000_000)] {
        ends.uplink.service.accept(number, job(number));
        ends.node.keep(job(number)).unwrap();
        ends.deliver();
        ends.grant();
        ends.end(job(number), vec![large(&pool, size)]);
        assert_eq!(ends.away().len(), usize::from(number == 1));
    }
}

#[test]
fn a_job_is_given_back_whose_input_does_not_come_from_another_node() {
    let pool = Pool::new(Some(0));
    let mut ends = Ends::new(&pool);
    let mut other = Ends::of(ExecutorId::from_u64(4), &pool);
    other.uplink.service.accept(1, job(1));
    other.node.keep(job(1)).unwrap();
    other.deliver();
    other.grant();
    other.end(job(1), vec![large(&pool, 300_000)]);
    let away = other.away().pop().unwrap();
    let part = || vec![Part::Away(Arc::clone(&away))];
    for number in [5, 6] {
        ends.send(job(number), part());
    }
    ends.deliver();
    let loan = ends.uplink.loans.pop().unwrap();
    assert_eq!(
        (loan.size, ends.uplink.loans.len()),
        (300_000, 0),
        "once for both"
    );
    let mut wishes = Vec::new();
    ends.uplink
        .take_loan(loan.segment, None, &mut wishes)
        .unwrap();
    ends.send(job(7), part());
    ends.deliver();
    let lacking = ends.said.iter().map(|said| match said {
        Said::Lacks { job, segment } => (job.as_u64(), *segment),
        other => panic!("{other:?}"),
    });
    let lacking: Vec<_> = lacking.collect();
    let segment = away.name();
    assert_eq!(lacking, [(5, segment), (6, segment), (7, segment)]);
    assert!(wishes.is_empty() && ends.uplink.is_empty());
    for number in [5, 6, 7] {
        assert!(ends.node.lacks(job(number), segment).unwrap());
    }

    // It is asked for anew; this time it comes.
    ends.wishes.clear();
    ends.send(job(8), part());
    ends.deliver();
    let loan = ends.uplink.loans.pop().unwrap();
    let come = Some(large(&pool, 300_000));
    ends.uplink
        .take_loan(loan.segment, come, &mut wishes)
        .unwrap();
    assert!(matches!(wishes[..], [Wish::Run { job: 8, .. }]));
}

#[test]
fn a_job_has_its_terms_and_the_next_one_none() {
    let pool = Pool::new(Some(0));
    let mut ends = Ends::new(&pool);
    let (limit, needs) = (
        Some(Duration::from_secs(2)),
        Needs {
            slots: 3,
            amounts: vec![("gpu".into(), 500)],
        },
    );
    ends.node
        .send_terms(job(1), limit, -7, Some(&needs))
        .unwrap();
    ends.send(job(1), Vec::new());
    ends.node.send_terms(job(2), None, 9, None).unwrap();
    ends.send(job(2), Vec::new());
    ends.node.send_terms(job(3), None, 0, None).unwrap();
    ends.send(job(3), Vec::new());
    ends.deliver();
    ends.grant();
    let mut names = Names::default();
    let gpu = names.demand(&needs).amounts[0].0;
    let terms = ends.wishes.drain(..).filter_map(|wish| match wish {
        Wish::Run { limits, .. } => Some(limits.terms(&mut names)),
        _ => None,
    });
    let terms: Vec<_> = terms
        .map(|terms| {
            (
                terms.time_limit,
                terms.priority,
                terms.demand.slots,
                terms.demand.amounts,
            )
        })
        .collect();
    let wanted = [
        (limit, -7, 3, vec![(gpu, 500)]),
        (None, 9, 1, vec![]),
        (None, 0, 1, vec![]),
    ];
    assert_eq!(terms, wanted);
}

#[test]
fn what_a_parent_may_not_want_ends_the_session() {
    let pool = Pool::new(Some(0));
    let wants = |ask: &dyn Fn(&mut Node)| {
        let mut ends = Ends::new(&pool);
        ask(&mut ends.node);
        ends.node.link.flush();
        let deadline = Instant::now() + LONG;
        loop {
            assert!(Instant::now() < deadline);
            ends.uplink.link.receive();
            if let Err(why) = ends.uplink.take(&mut ends.wishes) {
                return matches!(why, Parting::Unexpected(_));
            }
        }
    };
    assert!(wants(&|node| {
        node.say(&ToExecutor::Fetch { segment: 9 }).unwrap();
    }));
    assert!(wants(&|node| {
        node.say(&ToExecutor::UseKept { job: 1, segment: 9 })
            .unwrap();
    }));
}
