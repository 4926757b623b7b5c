//! Two nodes, or what there is of them.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use super::*;
use crate::cluster::Daemon;
use crate::cluster::giving::give;
use crate::exports::Exports;
use crate::net::{read_frame, seek, write_frames};

fn on_the_heap(content: &[u8]) -> Part {
    let pool = Pool::new(Some(0));
    Part::Carried(Arc::new(Carried::new(&pool, content.to_vec().into())))
}

/// In shared memory, where there is some.
fn shared(pool: &Arc<Pool>, content: &[u8]) -> Part {
    let Some(filling) = pool.fill(content.len() as u64) else {
        return on_the_heap(content);
    };
    filling.write(0, content).unwrap();
    Part::Shared(filling.finish())
}

fn importer(daemon: &Daemon) -> Importer {
    daemon.data.lock().as_ref().unwrap().importer.clone()
}

fn exports(daemon: &Daemon) -> Arc<Exports> {
    Arc::clone(&daemon.data.lock().as_ref().unwrap().exports)
}

/// Sockets of this machine that somebody still has, with this port at either end.
#[cfg(target_os = "linux")]
fn open_sockets(port: u16) -> usize {
    let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let open = all.lines().skip(1).filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_ours = fields[1].ends_with(&port) || fields[2].ends_with(&port);
        // Those that only wait for their time to pass have no file any more.
        is_ours && fields[9] != "0"
    });
    open.count()
}

#[test]
fn what_one_node_has_another_gets_wherever_it_lies() {
    let (near, far) = (idle_node(), idle_node());
    let place = far.addresses()[0];
    let (pool, content) = (Pool::new(None), content());
    drive(async {
        for part in [
            on_the_heap(b""),
            on_the_heap(b"small"),
            on_the_heap(&content),
            shared(&pool, &content),
        ] {
            let expected = part.content().unwrap();
            let ticket = exports(&far).offer(part).unwrap();
            // Also by itself, and a second time.
            for getter in [&near, &far, &near] {
                let importer = importer(getter);
                let got = get(&importer, place, ticket, expected.len()).await.unwrap();
                assert!(matches!(got, Part::Carried(_)));
                assert_eq!(got.content().unwrap(), expected);
            }
            let (sender, receiver) = oneshot::channel();
            importer(&near).get(Import {
                place: place.to_string().into(),
                ticket,
                size: expected.len() as u64,
                pool: Arc::clone(&pool),
                done: Box::new(move |result| drop(sender.send(result))),
            });
            let got = receiver.await.unwrap().unwrap();
            let fits = cfg!(unix) && expected.len() == SIZE;
            assert_eq!(matches!(got, Part::Shared(_)), fits);
            assert_eq!(got.content().unwrap(), expected);
        }
    });
    near.stop();
    far.stop();
    #[cfg(target_os = "linux")]
    assert_eq!(open_sockets(place.port()), 0);
}

#[test]
fn what_is_not_there_any_more_is_not_given() {
    let (near, far) = (idle_node(), idle_node());
    let place = far.addresses()[0];
    drive(async {
        let ticket = exports(&far).offer(on_the_heap(b"small")).unwrap();
        let importer = importer(&near);
        get(&importer, place, ticket, 5).await.unwrap();
        exports(&far).withdraw(&ticket);
        for unknown in [ticket, TICKET] {
            let error = get(&importer, place, unknown, 5).await.unwrap_err();
            assert!(matches!(error, ImportError::Refused(_)), "{error:?}");
            assert!(error.to_string().contains("no more"), "{error}");
        }
    });
}

#[test]
fn a_node_that_is_to_go_still_gives_to_who_is_there() {
    let far = idle_node();
    let place = far.addresses()[0];
    drive(async {
        let ticket = exports(&far).offer(on_the_heap(b"small")).unwrap();
        let stream = Socket::connect(place).await.unwrap();
        let mut giver = seek(stream, &identity('a')).await.unwrap();
        assert!(far.drain(Duration::from_secs(10)));
        let pool = Pool::new(Some(0));
        for _ in 0..2 {
            let patience = Duration::from_secs(10);
            let got = fetch(&mut giver, ticket, 5, &pool, patience).await;
            assert_eq!(*got.unwrap().content().unwrap(), *b"small");
        }
        far.stop();
        assert!(giver.read_u8().await.is_err());
    });
}

#[test]
fn many_imports_share_few_connections() {
    drive(async {
        let (listener, place) = listener().await;
        let exports = Arc::new(Exports::default());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(0));
        let offered = Arc::clone(&exports);
        let serving = async {
            let mut tasks = JoinSet::new();
            loop {
                let getter = accept(&listener).await;
                let (exports, now) = (Arc::clone(&offered), Arc::clone(&now));
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tasks.spawn(async move {
                    let _ = give(getter, &exports, Limits::default()).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        };
        let data = data(Limits::default());
        let getting = async {
            let mut waiting = Vec::new();
            for byte in 0..100 {
                let content = vec![byte; 100_000 + usize::from(byte)];
                let ticket = exports.offer(on_the_heap(&content)).unwrap();
                let receiver = begin(&data.importer, place, ticket, content.len());
                waiting.push((content, receiver));
            }
            for (content, receiver) in waiting {
                let got = receiver.await.unwrap().unwrap();
                assert_eq!(*got.content().unwrap(), content);
            }
        };
        tokio::select! {
            () = serving => {}
            () = getting => {}
        }
        let most = most.load(Ordering::SeqCst);
        assert!((2..=PLACE_MAX).contains(&most), "{most}");
        data.stop();
    });
}

/// What a node says to one that asks so, and then says no more.
async fn told(said: &[u8], limits: Limits) -> (std::result::Result<(), Lapse>, Vec<u8>) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let exports = Exports::default();
    far.write_all(said).await.unwrap();
    let given = give(near, &exports, limits).await;
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    (given, heard)
}

#[test]
fn who_asks_for_anything_else_is_refused() {
    drive(async {
        let mut ping = Vec::new();
        ToExecutor::Ping { nonce: 1 }.encode(&mut ping).unwrap();
        let unread = [&5_u32.to_le_bytes()[..], &[0xff; 5]].concat();
        for (said, expected) in [(ping, "Ping was said"), (unread, "message")] {
            let (_, heard) = told(&said, Limits::default()).await;
            let text = match FromExecutor::decode(&heard[4..]).unwrap() {
                FromExecutor::Fault { text } => text,
                other => panic!("{other:?}"),
            };
            assert!(text.contains(expected), "{text}");
        }
        // Much is not even read.
        let (given, heard) = told(&5_000_u32.to_le_bytes(), Limits::default()).await;
        assert!(matches!(given, Err(Lapse::Protocol(_))), "{given:?}");
        assert!(heard.is_empty());
    });
}

#[test]
fn who_wants_nothing_or_takes_nothing_is_not_waited_for() {
    drive(async {
        for said in [&b""[..], b"\x11\0\0"] {
            let (given, _) = told(said, impatient()).await;
            assert!(matches!(given, Err(Lapse::Silent(_))), "{given:?}");
        }
        let exports = Exports::default();
        let ticket = exports.offer(on_the_heap(&content())).unwrap();
        let (near, mut far) = tokio::io::duplex(1_000);
        let mut wish = Vec::new();
        ToExecutor::Get { ticket }.encode(&mut wish).unwrap();
        far.write_all(&wish).await.unwrap();
        let given = give(near, &exports, impatient()).await;
        assert!(matches!(given, Err(Lapse::Silent(_))), "{given:?}");
    });
}

#[test]
fn what_is_withdrawn_while_it_is_given_is_given_whole() {
    drive(async {
        let content = content();
        let exports = Exports::default();
        let part = on_the_heap(&content);
        let ticket = exports.offer(part.clone()).unwrap();
        let (near, mut far) = tokio::io::duplex(1_000);
        let mut frame = Vec::new();
        ToExecutor::Get { ticket }.encode(&mut frame).unwrap();
        let patience = Duration::from_secs(10);
        let getting = async {
            write_frames(&mut far, &frame, patience).await.unwrap();
            let mut body = Vec::new();
            let mut got = Vec::new();
            while got.len() < SIZE {
                read_frame(&mut far, &mut body, limits::FRAME_MAX, patience)
                    .await
                    .unwrap();
                exports.withdraw(&ticket);
                match FromExecutor::decode(&body).unwrap() {
                    FromExecutor::Carry { body, .. } => got.extend_from_slice(body.head()),
                    FromExecutor::More { bytes, .. } => got.extend_from_slice(bytes),
                    other => panic!("{other:?}"),
                }
            }
            drop(far);
            got
        };
        let (got, _) = tokio::join!(getting, give(near, &exports, Limits::default()));
        assert!(got == content);
        assert!(part.is_alone());
    });
}
