#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use pp_proto::{FrameDecoder, Version, VersionMismatch, limits};
use tokio::io::AsyncReadExt;

use super::*;
use crate::net::handshake::{Arrival, accept_tls, admit};
use crate::net::testing::{drive, host, identity, sockets};

async fn let_in(stream: Socket, identity: &Identity) -> Result<Getter, HandshakeError> {
    match admit(stream, identity, &host(), |_| panic!("no caller")).await? {
        Arrival::Getter(getter) => Ok(*getter),
        other => panic!("{other:?}"),
    }
}

fn hello(version: Version) -> Vec<u8> {
    let mut frame = Vec::new();
    let hello = ToExecutor::Hello {
        magic: MAGIC,
        version,
        features: 0,
    };
    hello.encode(&mut frame).unwrap();
    frame
}

/// What a node says of one that belongs to the cluster, comes to get something, and says
/// `said`; and the fault that it is told.
async fn told(said: &[u8]) -> (HandshakeError, String) {
    let identity = identity('a');
    let (here, there) = sockets().await;
    let peer = async {
        let mut tls = begin_tls(here, identity.get()).await.unwrap();
        tls.write_all(said).await.unwrap();
        tls.flush().await.unwrap();
        let mut read = Vec::new();
        // It may end with a word of TLS or without.
        let _ = tls.read_to_end(&mut read).await;
        read
    };
    let (read, admitted) = tokio::join!(peer, let_in(there, &identity));
    let mut decoder = FrameDecoder::new(limits::FRAME_MAX);
    let mut input = read.as_slice();
    let body = decoder.next(&mut input).unwrap().unwrap();
    match FromExecutor::decode(body).unwrap() {
        FromExecutor::Fault { text } => (admitted.unwrap_err(), text.to_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn those_who_belong_together_meet_and_go_on() {
    drive(async {
        let identity = identity('a');
        let (here, there) = sockets().await;
        let (giver, getter) = tokio::join!(seek(here, &identity), let_in(there, &identity));
        let (mut giver, mut getter) = (giver.unwrap(), getter.unwrap());
        giver.write_all(b"wish").await.unwrap();
        giver.flush().await.unwrap();
        let mut read = [0; 4];
        getter.read_exact(&mut read).await.unwrap();
        assert_eq!(read, *b"wish");
    });
}

#[test]
fn another_secret_makes_strangers_of_both() {
    drive(async {
        let (own, other) = (identity('a'), identity('b'));
        let (here, there) = sockets().await;
        let (giver, getter) = tokio::join!(seek(here, &own), let_in(there, &other));
        let (giver, getter) = (giver.unwrap_err(), getter.unwrap_err());
        assert!(matches!(giver, HandshakeError::Stranger), "{giver:?}");
        assert!(matches!(getter, HandshakeError::Stranger), "{getter:?}");
    });
}

#[test]
fn who_does_not_greet_as_he_should_is_told_why_not() {
    drive(async {
        let theirs = Version {
            major: CURRENT.major + 1,
            minor: 0,
        };
        let ours = CURRENT;
        let (error, text) = told(&hello(theirs)).await;
        let expected = VersionMismatch { ours, theirs }.to_string();
        assert_eq!((error.to_string(), &text), (expected.clone(), &expected));
        // The ticket is not looked at before.
        let mut get = Vec::new();
        let ticket = [0; 16];
        ToExecutor::Get { ticket }.encode(&mut get).unwrap();
        let (error, text) = told(&get).await;
        let expected = "the other side said Get where a greeting should be";
        assert_eq!((&*error.to_string(), &*text), (expected, expected));
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 5_000], &[0; 64]] {
            let (error, _) = told(garbage).await;
            assert!(matches!(error, HandshakeError::Protocol(_)), "{error:?}");
        }
    });
}

#[test]
fn a_node_that_does_not_answer_as_it_should_is_not_asked() {
    drive(async {
        let identity = identity('a');
        let mut fault = Vec::new();
        FromExecutor::fault("no").encode(&mut fault).unwrap();
        let mut pong = Vec::new();
        FromExecutor::Pong { nonce: 1 }.encode(&mut pong).unwrap();
        for (said, expected) in [
            (&*fault, "it refuses: no"),
            (
                &*pong,
                "the other side said Pong where a greeting should be",
            ),
            (b"", ""),
        ] {
            let (here, there) = sockets().await;
            let node = async {
                let mut tls = accept_tls(there, identity.server()).await.unwrap();
                tls.write_all(said).await.unwrap();
                tls.shutdown().await.unwrap();
                tls
            };
            let (_open, sought) = tokio::join!(node, seek(here, &identity));
            match sought.unwrap_err() {
                HandshakeError::Network(_) => assert!(said.is_empty()),
                other => assert_eq!(other.to_string(), expected),
            }
        }
    });
}
