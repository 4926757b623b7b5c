#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use pp_proto::{Version, VersionMismatch, Violation};
use tokio_rustls::client::TlsStream;

use super::*;
use crate::net::testing::{caller, drive, host, identity, let_in, meet, sockets};

#[allow(clippy::unnecessary_wraps)] // a check may find something
fn anybody(_caller: &Caller) -> Result<(), String> {
    Ok(())
}

/// What a node says of a peer who belongs to the cluster and writes `bytes`, and what the
/// peer then reads. If the peer is `silent`, it says nothing more and waits, else it ends.
async fn told(bytes: &[u8], stays: bool) -> (HandshakeError, Vec<u8>) {
    let identity = identity('a');
    let (here, there) = sockets().await;
    let peer = async {
        let mut tls = shake(here, &identity).await;
        tls.write_all(bytes).await.unwrap();
        tls.flush().await.unwrap();
        if !stays {
            tls.shutdown().await.unwrap();
        }
        let mut read = Vec::new();
        // It may end with a word of TLS or without.
        let _ = tls.read_to_end(&mut read).await;
        read
    };
    let host = host();
    let (read, admitted) = tokio::join!(peer, let_in(there, &identity, &host, anybody));
    (admitted.unwrap_err(), read)
}

async fn shake(stream: Socket, identity: &Identity) -> TlsStream<Socket> {
    let connector = TlsConnector::from(identity.client());
    let nobody = ServerName::try_from("pp.invalid").unwrap();
    connector.connect(nobody, stream).await.unwrap()
}

/// What somebody says who does all right, in three parts: hello, introduction, settings.
fn greeting(settings: &[u8]) -> Vec<u8> {
    let mut greeting = Vec::new();
    greet(&caller(&[]), settings, &mut greeting).unwrap();
    greeting
}

/// The length of the first frame of some.
fn first_frame(frames: &[u8]) -> usize {
    4 + u32::from_le_bytes(*frames.first_chunk().unwrap()) as usize
}

/// The text of the fault in which `read` ends.
fn fault_in(mut read: &[u8]) -> String {
    let mut decoder = pp_proto::FrameDecoder::new(limits::FRAME_MAX);
    let mut texts = Vec::new();
    while let Some(body) = decoder.next(&mut read).unwrap() {
        if let FromExecutor::Fault { text } = FromExecutor::decode(body).unwrap() {
            texts.push(text.to_owned());
        }
    }
    texts.pop().unwrap_or_default()
}

#[test]
fn those_who_belong_together_come_together() {
    drive(async {
        let identity = identity('a');
        let settings = vec![3; 1_000_000];
        let mut caller = caller(&[[1; 16], [2; 16]]);
        caller.name = "é".repeat(300);
        let (reached, admitted) = meet(&identity, &identity, &caller, &settings, anybody).await;
        let (reached, admitted) = (reached.unwrap(), admitted.unwrap());
        assert_eq!(reached.host.node, [7; 16]);
        assert_eq!(reached.host.name, "a node");
        assert_eq!(reached.host.python, (3, 12, 1));
        assert_eq!(admitted.settings, settings);
        assert_eq!(admitted.caller.python, (3, 11, 7));
        assert_eq!(admitted.caller.patience, caller.patience);
        assert_eq!(admitted.caller.route, caller.route);
        assert_eq!(admitted.caller.name, "é".repeat(limits::NAME_MAX / 2));
    });
}

#[test]
fn another_secret_makes_strangers_of_both() {
    drive(async {
        let (own, other) = (identity('a'), identity('b'));
        let (reached, admitted) = meet(&own, &other, &caller(&[]), b"", anybody).await;
        assert!(
            matches!(reached, Err(HandshakeError::Stranger)),
            "{reached:?}"
        );
        assert!(
            matches!(admitted, Err(HandshakeError::Stranger)),
            "{admitted:?}"
        );
    });
}

#[test]
fn who_stands_above_itself_is_told() {
    drive(async {
        let identity = identity('a');
        let check = |caller: &Caller| {
            assert_eq!(caller.route, [[7; 16]]);
            Err("it stands above itself".to_owned())
        };
        // Much of what it says is never read.
        let settings = vec![0; 10_000_000];
        let caller = caller(&[[7; 16]]);
        let (reached, admitted) = meet(&identity, &identity, &caller, &settings, check).await;
        for error in [reached.unwrap_err(), admitted.unwrap_err()] {
            assert_eq!(error.to_string(), "it refuses: it stands above itself");
        }
    });
}

#[test]
fn another_version_is_named_to_both() {
    drive(async {
        let mut hello = Vec::new();
        let theirs = Version {
            major: CURRENT.major + 1,
            minor: 0,
        };
        ToExecutor::Hello {
            magic: MAGIC,
            version: theirs,
            features: 0,
        }
        .encode(&mut hello)
        .unwrap();
        let (error, read) = told(&hello, true).await;
        let mismatch = VersionMismatch {
            ours: CURRENT,
            theirs,
        };
        assert_eq!(error.to_string(), mismatch.to_string());
        assert_eq!(fault_in(&read), mismatch.to_string());
    });
}

#[test]
fn a_later_minor_version_is_welcome() {
    drive(async {
        let identity = identity('a');
        let (here, there) = sockets().await;
        let mut hello = Vec::new();
        ToExecutor::Hello {
            magic: MAGIC,
            version: Version {
                minor: CURRENT.minor + 1,
                ..CURRENT
            },
            features: u64::MAX,
        }
        .encode(&mut hello)
        .unwrap();
        let usual = greeting(b"settings");
        hello.extend_from_slice(&usual[first_frame(&usual)..]);
        let peer = async {
            let mut tls = shake(here, &identity).await;
            tls.write_all(&hello).await.unwrap();
            expect_hello(&mut tls).await.unwrap()
        };
        let host = host();
        let (python, admitted) = tokio::join!(peer, let_in(there, &identity, &host, anybody));
        assert_eq!(python, host.python);
        assert_eq!(admitted.unwrap().settings, b"settings");
    });
}

#[test]
fn garbage_is_refused_even_from_who_belongs_to_the_cluster() {
    drive(async {
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 5_000], &[0; 64]] {
            let (error, _) = told(garbage, true).await;
            assert!(matches!(error, HandshakeError::Protocol(_)), "{error:?}");
        }
    });
}

#[test]
fn a_frame_that_claims_too_much_is_refused_before_it_comes() {
    drive(async {
        for len in [1_u32 << 31, u32::MAX, 4 * 1024 + 1] {
            let (error, read) = told(&len.to_le_bytes(), true).await;
            let HandshakeError::Protocol(ProtocolError::Frame(FrameError::TooLong { max, .. })) =
                error
            else {
                panic!("{error:?}");
            };
            assert_eq!(max, limits::HANDSHAKE_MAX);
            assert!(fault_in(&read).contains(&max.to_string()));
        }
        // Later messages may be larger, but not by much.
        let usual = greeting(b"");
        let hello = first_frame(&usual);
        let both = hello + first_frame(&usual[hello..]);
        let mut bytes = usual[..both].to_vec();
        bytes.extend_from_slice(&(1_u32 << 31).to_le_bytes());
        let (error, _) = told(&bytes, true).await;
        let expected = FrameError::TooLong {
            len: 1 << 31,
            max: limits::FRAME_MAX,
        };
        assert_eq!(error.to_string(), expected.to_string());
    });
}

#[test]
fn names_and_routes_have_their_limits() {
    drive(async {
        let usual = greeting(b"");
        let hello = &usual[..first_frame(&usual)];
        let long = "x".repeat(limits::NAME_MAX + 1);
        let deep = vec![1; limits::ROUTE_MAX + 16];
        for (name, route) in [(&*long, &[][..]), ("x", &deep), ("x", &[1; 15])] {
            // As `encode` would not do it.
            let message = ToExecutor::Introduce {
                python: (3, 11, 0),
                patience_ms: 1,
                route,
                name,
            };
            let body = postcard::to_allocvec(&message).unwrap();
            let mut bytes = hello.to_vec();
            bytes.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(&body);
            let (error, _) = told(&bytes, true).await;
            let HandshakeError::Protocol(ProtocolError::Decode(pp_proto::DecodeError::Violation {
                violation,
                ..
            })) = &error
            else {
                panic!("{error:?}");
            };
            assert!(matches!(
                violation,
                Violation::NameTooLong { .. } | Violation::BadRoute { .. }
            ));
        }
    });
}

#[test]
fn settings_have_their_limit_and_it_counts_before_they_come() {
    drive(async {
        let usual = greeting(b"");
        let hello = first_frame(&usual);
        let both = hello + first_frame(&usual[hello..]);
        let mut bytes = usual[..both].to_vec();
        let settings = Payload::new(65 << 20, &[]).unwrap();
        ToExecutor::Configure { settings }
            .encode(&mut bytes)
            .unwrap();
        let (error, read) = told(&bytes, true).await;
        assert!(
            matches!(error, HandshakeError::Protocol(ProtocolError::Assemble(_))),
            "{error:?}"
        );
        assert_eq!(fault_in(&read), error.to_string());
    });
}

#[test]
fn what_comes_out_of_turn_is_named() {
    drive(async {
        let usual = greeting(b"");
        let hello = first_frame(&usual);
        let mut ping = Vec::new();
        ToExecutor::Ping { nonce: 1 }.encode(&mut ping).unwrap();
        let introduced = hello + first_frame(&usual[hello..]);
        for before in [0, hello, introduced] {
            let bytes = [&usual[..before], &ping].concat();
            let (error, read) = told(&bytes, true).await;
            let expected = "the other side said Ping where a greeting should be";
            assert_eq!(error.to_string(), expected);
            assert_eq!(fault_in(&read), expected);
        }
    });
}

#[test]
fn who_breaks_off_anywhere_is_done_with() {
    drive(async {
        let usual = greeting(&[1; 3_000]);
        let hello = first_frame(&usual);
        for len in [0, 1, hello / 2, hello, hello + 3, usual.len() - 1] {
            let (error, _) = told(&usual[..len], false).await;
            let HandshakeError::Network(error) = error else {
                panic!("{error:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    });
}

#[test]
fn who_breaks_off_before_tls_is_over_is_done_with() {
    drive(async {
        let identity = identity('a');
        for garbage in [
            &b""[..],
            b"\x16",
            b"\x16\x03\x01\x02\x00\x01",
            b"SSH-2.0-x\r\n",
        ] {
            let (mut here, there) = sockets().await;
            here.write_all(garbage).await.unwrap();
            here.shutdown().await.unwrap();
            let host = host();
            let error = let_in(there, &identity, &host, anybody).await.unwrap_err();
            assert!(
                matches!(error, HandshakeError::Network(_) | HandshakeError::Tls(_)),
                "{error:?}"
            );
        }
    });
}

/// What a parent says of a node that answers with `bytes`.
async fn told_by_parent(bytes: Vec<u8>) -> HandshakeError {
    let identity = identity('a');
    let (here, there) = sockets().await;
    let node = async {
        let acceptor = TlsAcceptor::from(identity.server());
        let mut tls = acceptor.accept(there).await.unwrap();
        tls.write_all(&bytes).await.unwrap();
        tls.shutdown().await.unwrap();
        tls
    };
    let caller = caller(&[]);
    let (_open, reached) = tokio::join!(node, reach(here, &identity, &caller, b""));
    reached.unwrap_err()
}

#[test]
fn a_node_that_does_not_answer_as_it_should_is_not_used() {
    drive(async {
        let mut usual = Vec::new();
        answer(&host(), &mut usual).unwrap();
        let hello = first_frame(&usual);
        let mut fault = Vec::new();
        FromExecutor::fault("no").encode(&mut fault).unwrap();
        let mut pong = Vec::new();
        FromExecutor::Pong { nonce: 1 }.encode(&mut pong).unwrap();
        for (bytes, said) in [
            (fault.clone(), "it refuses: no"),
            ([&usual[..hello], &fault].concat(), "it refuses: no"),
            (
                pong.clone(),
                "the other side said Pong where a greeting should be",
            ),
            (
                [&usual[..hello], &pong].concat(),
                "the other side said Pong where a greeting should be",
            ),
        ] {
            assert_eq!(told_by_parent(bytes).await.to_string(), said);
        }
        for bytes in [vec![], usual[..hello + 2].to_vec()] {
            let error = told_by_parent(bytes).await;
            assert!(matches!(error, HandshakeError::Network(_)), "{error:?}");
        }
        let claims = (1_u32 << 31).to_le_bytes().to_vec();
        let error = told_by_parent(claims).await;
        assert!(matches!(error, HandshakeError::Protocol(_)), "{error:?}");
    });
}

/// A node that offers itself, as the gateway has it, and what comes of the offer there.
async fn offered(
    node: Host,
) -> (
    Offered,
    tokio::task::JoinHandle<Result<Admitted, HandshakeError>>,
) {
    let (here, there) = sockets().await;
    let dialing = tokio::spawn(async move {
        let patience = Duration::from_secs(30);
        offer(here, &identity('a'), &node, anybody, patience).await
    });
    let own = host();
    match admit(there, &identity('a'), &own, anybody).await.unwrap() {
        Arrival::Node(offered) => (*offered, dialing),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_that_dials_is_met_when_it_is_needed() {
    drive(async {
        let node = Host {
            name: "hidden".into(),
            ..host()
        };
        let (waiting, dialing) = offered(node).await;
        assert_eq!(waiting.host.name, "hidden");
        assert!(waiting.is_alive());
        let reached = waiting
            .reach(&caller(&[[1; 16]]), b"settings")
            .await
            .unwrap();
        let admitted = dialing.await.unwrap().unwrap();
        assert_eq!(reached.host.name, "hidden");
        assert_eq!(admitted.settings, b"settings");
        assert_eq!(admitted.caller.route, [[1; 16]]);
    });
}

#[test]
fn a_node_that_dialed_and_has_gone_is_known_to_be() {
    drive(async {
        let (waiting, dialing) = offered(host()).await;
        assert!(waiting.is_alive());
        dialing.abort();
        while waiting.is_alive() {
            tokio::task::yield_now().await;
        }
        let error = waiting.reach(&caller(&[]), b"").await.unwrap_err();
        assert!(matches!(error, HandshakeError::Network(_)), "{error:?}");
    });
}
