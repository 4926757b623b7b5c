#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use pp_proto::{FromExecutor, Payload, Stream, Tail, ToExecutor, limits};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::cluster::data::DataThread;
use crate::cluster::testing::idle_node;
use crate::net::testing::{drive, host, identity, listener};
use crate::net::{Arrival, Getter, HandshakeError, Socket, admit, read_frame};
use crate::segments::Carried;

mod between;

const TICKET: Ticket = [5; 16];
/// More than a frame has room for, and not a multiple of anything.
const SIZE: usize = 5_000_011;

type Result<T> = std::result::Result<T, ImportError>;

fn content() -> Vec<u8> {
    (0..=250).cycle().take(SIZE).collect()
}

/// The thread of a node of which the tests need no more.
fn data(limits: Limits) -> DataThread {
    DataThread::start(identity('a'), limits).unwrap()
}

/// Waits for a tenth of a second where others wait for ten.
fn impatient() -> Limits {
    Limits {
        silence: Duration::from_millis(100),
        stall: Duration::from_millis(100),
        ..Limits::default()
    }
}

/// Begins to get something.
fn begin(
    importer: &Importer,
    place: SocketAddr,
    ticket: Ticket,
    size: usize,
) -> oneshot::Receiver<Result<Part>> {
    let (sender, receiver) = oneshot::channel();
    importer.get(Import {
        place: place.to_string().into(),
        ticket,
        size: size as u64,
        pool: Pool::new(Some(0)),
        done: Box::new(move |result| drop(sender.send(result))),
    });
    receiver
}

async fn get(importer: &Importer, place: SocketAddr, ticket: Ticket, size: usize) -> Result<Part> {
    begin(importer, place, ticket, size).await.unwrap()
}

/// Lets in a node that comes to get something.
async fn accept(listener: &TcpListener) -> Getter {
    let stream = Socket::new(listener.accept().await.unwrap().0);
    let arrival = admit(stream, &identity('a'), &host(), |_| Ok(())).await;
    match arrival.unwrap() {
        Arrival::Getter(getter) => *getter,
        other => panic!("{other:?}"),
    }
}

/// Hears what it wants.
async fn hear(getter: &mut Getter) -> Ticket {
    let mut body = Vec::new();
    let patience = Duration::from_secs(10);
    read_frame(getter, &mut body, limits::FRAME_MAX, patience)
        .await
        .unwrap();
    match ToExecutor::decode(&body).unwrap() {
        ToExecutor::Get { ticket } => ticket,
        other => panic!("{other:?}"),
    }
}

fn carry(segment: u64, size: usize, head: &[u8]) -> Vec<u8> {
    let body = Payload::new(size as u64, head).unwrap();
    let mut frame = Vec::new();
    FromExecutor::Carry { segment, body }
        .encode(&mut frame)
        .unwrap();
    frame
}

fn more(stream: Stream, bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut tail = Tail::new(stream, bytes, 0);
    while tail.encode(limits::FRAME_MAX, &mut frames) > 0 {}
    frames
}

/// What comes of an import of `size` bytes from a node that answers with `said`, and then
/// says no more and stays, or goes.
async fn answered(said: &[u8], stays: bool, size: usize) -> Result<Part> {
    answered_within(Limits::default(), said, stays, size).await
}

async fn answered_within(limits: Limits, said: &[u8], stays: bool, size: usize) -> Result<Part> {
    let (listener, place) = listener().await;
    let data = data(limits);
    let answering = async {
        let mut getter = accept(&listener).await;
        assert_eq!(hear(&mut getter).await, TICKET);
        // It may have heard enough before.
        let _ = getter.write_all(said).await;
        let _ = getter.flush().await;
        stays.then_some(getter)
    };
    let (result, getter) = tokio::join!(get(&data.importer, place, TICKET, size), answering);
    drop(getter);
    data.stop();
    result
}

#[test]
fn content_may_come_without_a_head_and_in_any_pieces() {
    drive(async {
        let content = content();
        let stream = Stream::Segment(0);
        let mut said = carry(0, SIZE, b"");
        said.extend(more(stream, &content[..1]));
        said.extend(more(stream, &content[1..70_000]));
        said.extend(more(stream, &content[70_000..]));
        let part = answered(&said, true, SIZE).await.unwrap();
        assert_eq!(*part.content().unwrap(), content);
        let part = answered(&carry(0, 0, b""), true, 0).await.unwrap();
        assert_eq!(part.content().unwrap().len(), 0);
    });
}

#[test]
fn another_size_than_was_said_is_refused_before_anything_comes() {
    drive(async {
        for wrong in [0, 2, 4, usize::MAX] {
            let error = answered(&carry(0, wrong, b""), true, 3).await.unwrap_err();
            let ImportError::OtherSize { found, expected } = error else {
                panic!("{error:?}");
            };
            assert_eq!((found, expected), (wrong as u64, 3));
        }
    });
}

#[test]
fn what_does_not_belong_there_is_refused() {
    drive(async {
        let said = [carry(0, 4, b"ab"), more(Stream::Segment(0), b"cde")].concat();
        let error = answered(&said, true, 4).await.unwrap_err();
        assert!(matches!(error, ImportError::Content(_)), "{error:?}");
        let begun = carry(0, 4, b"ab");
        for said in [
            carry(1, 4, b"abcd"),
            more(Stream::Segment(0), b"abcd"),
            [begun.clone(), more(Stream::Segment(1), b"cd")].concat(),
            [begun.clone(), more(Stream::Job(0), b"cd")].concat(),
            [begun.clone(), begun.clone()].concat(),
        ] {
            let error = answered(&said, true, 4).await.unwrap_err();
            assert!(matches!(error, ImportError::Unexpected(_)), "{error:?}");
        }
        for said in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 5_000], &[0; 64]] {
            let error = answered(said, true, 4).await.unwrap_err();
            let ImportError::Lapse(Lapse::Protocol(_)) = error else {
                panic!("{error:?}");
            };
        }
    });
}

#[test]
fn who_breaks_off_or_falls_silent_is_not_waited_for() {
    drive(async {
        let whole = [carry(0, 4, b"ab"), more(Stream::Segment(0), b"cd")].concat();
        for len in [0, 1, 8, whole.len() - 1] {
            let error = answered(&whole[..len], false, 4).await.unwrap_err();
            assert!(
                matches!(error, ImportError::Lapse(Lapse::Ended(_))),
                "{error:?}"
            );
            let begun = Instant::now();
            let error = answered_within(impatient(), &whole[..len], true, 4)
                .await
                .unwrap_err();
            assert!(
                matches!(error, ImportError::Lapse(Lapse::Silent(_))),
                "{error:?}"
            );
            assert!(begun.elapsed() >= impatient().silence);
        }
    });
}

#[test]
fn who_says_why_not_is_heard() {
    drive(async {
        for before in [vec![], carry(0, 4, b"ab")] {
            let mut said = before;
            FromExecutor::fault("no").encode(&mut said).unwrap();
            let error = answered(&said, true, 4).await.unwrap_err();
            let expected = "the node that should have it refuses: no";
            assert_eq!(error.to_string(), expected);
        }
    });
}

#[test]
fn a_place_where_nobody_is_is_tried_once_for_all_who_wait() {
    drive(async {
        let data = data(Limits::default());
        let (listener, place) = listener().await;
        drop(listener);
        let waiting = [(); 100].map(|()| begin(&data.importer, place, TICKET, 1));
        for one in waiting {
            let error = one.await.unwrap().unwrap_err();
            assert!(matches!(error, ImportError::Unreachable(_)), "{error:?}");
        }
        for nonsense in ["", "*:7", "n[1-2]:7", "a b:7"] {
            let (sender, receiver) = oneshot::channel();
            data.importer.get(Import {
                place: nonsense.into(),
                ticket: TICKET,
                size: 1,
                pool: Pool::new(Some(0)),
                done: Box::new(move |result| drop(sender.send(result))),
            });
            let error = receiver.await.unwrap().unwrap_err();
            assert!(matches!(error, ImportError::Unreachable(_)), "{error:?}");
        }
        // A line ends right after the last of them was told.
        while data.importer.shared.state.lock().lines > 0 {
            tokio::task::yield_now().await;
        }
        assert!(data.importer.shared.state.lock().places.is_empty());
        data.stop();
    });
}

#[test]
fn a_stranger_is_neither_asked_nor_answered() {
    drive(async {
        let (listener, place) = listener().await;
        let data = DataThread::start(identity('b'), Limits::default()).unwrap();
        let strange = async {
            let stream = Socket::new(listener.accept().await.unwrap().0);
            admit(stream, &identity('a'), &host(), |_| Ok(())).await
        };
        let (result, admitted) = tokio::join!(get(&data.importer, place, TICKET, 1), strange);
        let error = result.unwrap_err();
        let ImportError::Unreachable(why) = error else {
            panic!("{error:?}");
        };
        assert!(matches!(
            *why,
            NotReached::Handshake(HandshakeError::Stranger)
        ));
        assert!(matches!(admitted.unwrap_err(), HandshakeError::Stranger));
        data.stop();
    });
}

#[test]
fn whoever_waits_when_the_node_ends_is_told_once() {
    drive(async {
        let (listener, place) = listener().await;
        let data = data(Limits::default());
        let importer = data.importer.clone();
        // One is under way, others wait for the connection to be made, or for their turn.
        let first = begin(&importer, place, TICKET, 4);
        let mut getter = accept(&listener).await;
        hear(&mut getter).await;
        getter.write_all(&carry(0, 4, b"ab")).await.unwrap();
        getter.flush().await.unwrap();
        let mut waiting = vec![first];
        waiting.extend([(); 20].map(|()| begin(&importer, place, TICKET, 4)));
        let second = listener.accept().await.unwrap();
        data.stop();
        waiting.push(begin(&importer, place, TICKET, 4));
        for one in waiting {
            let error = one.await.expect("it is told").unwrap_err();
            assert!(matches!(error, ImportError::Stopped), "{error:?}");
        }
        let mut rest = Vec::new();
        let _ = getter.read_to_end(&mut rest).await;
        assert!(rest.is_empty(), "the connection has ended");
        drop(second);
    });
}

#[test]
fn who_asks_may_hold_what_is_needed_to_be_told() {
    let data = data(Limits::default());
    let importer = data.importer.clone();
    data.stop();
    let lock = Arc::new(Mutex::new(0));
    let (sender, receiver) = std::sync::mpsc::channel();
    let guard = lock.lock();
    let shared = Arc::clone(&lock);
    importer.get(Import {
        place: "127.0.0.1:1".into(),
        ticket: TICKET,
        size: 1,
        pool: Pool::new(Some(0)),
        done: Box::new(move |result| {
            *shared.lock() += 1;
            sender.send(result.is_err()).unwrap();
        }),
    });
    drop(guard);
    assert!(receiver.recv_timeout(Duration::from_secs(30)).unwrap());
    assert_eq!(*lock.lock(), 1);
}
