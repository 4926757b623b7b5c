#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use std::time::Duration;

use bytes::Bytes;
use pp_proto::{FrameDecoder, Payload, Stream, ToExecutor, limits};

use super::*;
use crate::net::reach;
use crate::net::testing::{caller, drive, host, identity, let_in, links, sockets};

/// No test may hang.
const LONG: Duration = Duration::from_secs(30);

/// What one end has heard: numbers of pings, and bytes of payloads.
#[derive(Default)]
struct Heard {
    nonces: Vec<u64>,
    bytes: Vec<u8>,
    /// How many bytes had come when each ping came.
    places: Vec<usize>,
}

/// One end with what it has heard, which is never more than `take` decodes.
struct End {
    link: Arc<Link>,
    decoder: FrameDecoder,
    heard: Heard,
}

impl End {
    fn new(link: Arc<Link>) -> Self {
        Self {
            link,
            decoder: FrameDecoder::new(limits::FRAME_MAX),
            heard: Heard::default(),
        }
    }

    fn ping(&self, nonce: u64) {
        let message = ToExecutor::Ping { nonce };
        let sent = self.link.outbox.lock().send(|out| message.encode(out));
        sent.unwrap();
    }

    fn payload(&self, job: u64, content: &Bytes) {
        let mut outbox = self.link.outbox.lock();
        outbox.send_rest(Stream::Job(job), content.clone(), 0);
    }

    /// One turn of what an engine does.
    fn turn(&mut self) {
        self.link.receive();
        self.link.flush();
        let mut inbox = Vec::new();
        self.link.take(&mut inbox);
        let mut input = inbox.as_slice();
        while let Some(body) = self.decoder.next(&mut input).unwrap() {
            match ToExecutor::decode(body).unwrap() {
                ToExecutor::Ping { nonce } => {
                    self.heard.nonces.push(nonce);
                    self.heard.places.push(self.heard.bytes.len());
                }
                ToExecutor::More { bytes, .. } => self.heard.bytes.extend_from_slice(bytes),
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn ends() -> (End, End) {
    let (one, two) = links().await;
    (End::new(one), End::new(two))
}

/// Gives both their turns until something is true.
fn turns(one: &mut End, two: &mut End, is_done: impl Fn(&End, &End) -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_done(one, two) {
        assert!(Instant::now() < deadline, "it never comes to that");
        one.turn();
        two.turn();
    }
}

/// Bytes that show it if a piece of them is missing or out of its place.
fn content(len: usize, seed: u8) -> Bytes {
    // A prime number of them fits no size of pieces.
    let pattern: Vec<u8> = (0..251).map(|n| seed.wrapping_add(n)).collect();
    let mut all = pattern.repeat(len / pattern.len() + 1);
    all.truncate(len);
    all.into()
}

#[test]
fn much_goes_both_ways_at_a_time() {
    let (mut one, mut two) = drive(ends());
    let (there, back) = (content(9_000_000, 1), content(7_000_001, 2));
    one.payload(1, &there);
    two.payload(1, &back);
    for nonce in 0..2_000 {
        one.ping(nonce);
        two.ping(nonce);
        if nonce % 100 == 0 {
            one.turn();
            two.turn();
        }
    }
    turns(&mut one, &mut two, |one, two| {
        let pings = one.heard.nonces.len() + two.heard.nonces.len();
        let bytes = one.heard.bytes.len() + two.heard.bytes.len();
        (pings, bytes) == (4_000, there.len() + back.len())
    });
    assert!(two.heard.bytes == there && one.heard.bytes == back);
    assert!(one.heard.nonces.into_iter().eq(0..2_000));
    assert!(two.heard.nonces.into_iter().eq(0..2_000));
    assert_eq!((one.link.ended(), two.link.ended()), (None, None));
}

#[test]
fn who_does_not_read_holds_up_what_is_large_and_nobody_waits() {
    let (mut one, mut two) = drive(ends());
    let large = content(32_000_000, 3);
    one.payload(1, &large);
    // However often: it takes what the socket takes, and returns.
    for _ in 0..200 {
        one.link.flush();
    }
    assert!(!one.link.outbox.lock().is_empty(), "nobody has read yet");
    one.ping(1);
    one.link.flush();
    turns(&mut one, &mut two, |_, two| !two.heard.nonces.is_empty());
    let [place] = two.heard.places[..] else {
        panic!("{:?}", two.heard.places);
    };
    assert!(place < large.len() / 2, "it came after {place} bytes");
    turns(&mut one, &mut two, |_, two| {
        two.heard.bytes.len() == large.len()
    });
    assert!(two.heard.bytes == large);
}

#[test]
fn a_burst_lets_others_have_their_turn_and_is_gone_on_with() {
    let (mut one, mut two) = drive(ends());
    let woken = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    let link = Arc::downgrade(&one.link);
    one.link.set_wake(move || {
        // Another thread may hold what waking needs, and wait for the wire.
        assert!(link.upgrade().unwrap().wire.try_lock().is_some());
        counter.fetch_add(1, Ordering::SeqCst);
    });
    let large = content(8_000_000, 4);
    one.payload(1, &large);
    let deadline = Instant::now() + LONG;
    while two.heard.bytes.len() < large.len() {
        assert!(Instant::now() < deadline);
        // Only as who watches does it: a flush where there is reason to.
        if one.link.is_behind() || two.heard.bytes.is_empty() {
            one.turn();
        } else {
            one.link.receive();
            one.link.flush();
        }
        two.turn();
    }
    assert!(
        woken.load(Ordering::SeqCst) > 0,
        "who watches was told that there is more"
    );
}

#[test]
fn what_was_said_before_the_end_is_heard() {
    let (mut one, mut two) = drive(ends());
    for nonce in 0..100 {
        one.ping(nonce);
    }
    one.link.close();
    assert_eq!(one.link.ended(), Some(LinkEnd::Ours));
    turns(&mut one, &mut two, |_, two| two.link.ended().is_some());
    two.turn();
    assert_eq!(two.link.ended(), Some(LinkEnd::Closed));
    assert_eq!(two.heard.nonces.len(), 100);
    // And nothing breaks that is tried afterwards.
    one.ping(1);
    two.ping(1);
    one.turn();
    two.turn();
    assert_eq!(
        one.link.ended(),
        Some(LinkEnd::Ours),
        "the first reason counts"
    );
}

#[test]
fn who_is_gone_without_a_word_has_closed() {
    let (one, two) = drive(ends());
    drop(one);
    let other = End::new(Arc::clone(&two.link));
    let deadline = Instant::now() + LONG;
    while two.link.ended().is_none() {
        assert!(Instant::now() < deadline);
        other.link.receive();
    }
    assert!(two.link.has_news());
    assert_eq!(two.link.ended(), Some(LinkEnd::Closed));
}

#[test]
fn what_somebody_writes_in_between_ends_it() {
    use std::io::Write;

    let identity = identity('a');
    let (mut raw, one, two) = drive(async {
        let (here, there) = sockets().await;
        let here = here.into_std().unwrap();
        let raw = here.try_clone().unwrap();
        let here = here.convert(tokio::net::TcpStream::from_std).unwrap();
        let (caller, host) = (caller(&[]), host());
        let (reached, admitted) = tokio::join!(
            reach(here, &identity, &caller, b""),
            let_in(there, &identity, &host, |_| Ok(()))
        );
        (raw, reached.unwrap().link, admitted.unwrap().link)
    });
    let (mut one, mut two) = (End::new(one), End::new(two));
    one.ping(1);
    turns(&mut one, &mut two, |_, two| !two.heard.nonces.is_empty());
    raw.write_all(&[0x17, 3, 3, 0, 32]).unwrap();
    raw.write_all(&[0; 32]).unwrap();
    turns(&mut one, &mut two, |_, two| two.link.ended().is_some());
    assert!(
        matches!(two.link.ended(), Some(LinkEnd::Tls(_))),
        "{:?}",
        two.link.ended()
    );
    turns(&mut one, &mut two, |one, _| one.link.ended().is_some());
    assert_eq!(two.heard.nonces, [1], "nothing else was heard");
}

#[test]
fn many_threads_may_flush_at_a_time() {
    let (one, mut two) = drive(ends());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let one = &one;
            scope.spawn(move || {
                for n in 0..500 {
                    one.ping(thread * 1_000 + n);
                    one.link.flush();
                }
            });
        }
    });
    let deadline = Instant::now() + LONG;
    while two.heard.nonces.len() < 2_000 {
        assert!(Instant::now() < deadline);
        one.link.flush();
        two.turn();
    }
    for thread in 0..4 {
        let own = two
            .heard
            .nonces
            .iter()
            .filter(|&&nonce| nonce / 1_000 == thread);
        assert!(own.is_sorted(), "each thread's messages keep their order");
    }
    let mut all = two.heard.nonces;
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2_000);
}

#[test]
fn a_payload_with_a_head_is_not_cut_twice() {
    let (mut one, mut two) = drive(ends());
    let whole = content(300_000, 5);
    let head = Payload::of(&whole).head().len();
    one.link
        .outbox
        .lock()
        .send_rest(Stream::Job(1), whole.clone(), head);
    turns(&mut one, &mut two, |_, two| {
        two.heard.bytes.len() == whole.len() - head
    });
    assert!(two.heard.bytes == whole[head..]);
}
