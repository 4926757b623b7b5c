#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use pp_proto::{FrameDecoder, FromExecutor, limits};

use super::*;
use crate::cluster::Settings;
use crate::cluster::testing::idle_node;
use crate::net::testing::{caller, drive, identity};
use crate::net::{Link, Reached, Socket, reach};

fn settings() -> Vec<u8> {
    let one = std::num::NonZeroU32::MIN;
    Settings {
        max_worker_deaths: one,
        max_node_losses: one,
        max_jobs_per_worker: None,
        cancel_grace: Duration::from_secs(1),
        python: Vec::new(),
    }
    .encode()
}

async fn knock(daemon: &Daemon) -> Socket {
    Socket::connect(daemon.addresses()[0]).await.unwrap()
}

async fn come_in(stream: Socket) -> Reached {
    let caller = Caller {
        patience: Duration::from_secs(60),
        ..caller(&[])
    };
    reach(stream, &identity('a'), &caller, &settings())
        .await
        .unwrap()
}

/// Waits until the node has said `name`.
async fn await_word(link: &Link, name: &str) {
    let mut decoder = FrameDecoder::new(limits::FRAME_MAX);
    loop {
        link.receive();
        link.flush();
        let mut said = Vec::new();
        link.take(&mut said);
        let mut input = said.as_slice();
        while let Some(body) = decoder.next(&mut input).unwrap() {
            if FromExecutor::decode(body).unwrap().name() == name {
                return;
            }
        }
        assert_eq!(link.ended(), None, "it never said {name}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn await_sessions(daemon: &Daemon, number: usize) {
    while daemon.sessions().len() != number {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn clients_come_and_go() {
    let daemon = idle_node();
    drive(async {
        let first = come_in(knock(&daemon).await).await;
        await_word(&first.link, "Capacity").await;
        let second = come_in(knock(&daemon).await).await;
        await_sessions(&daemon, 2).await;
        assert_eq!(daemon.sessions()[0].name, "somebody");
        first.link.close();
        await_sessions(&daemon, 1).await;
        drop(second);
        await_sessions(&daemon, 0).await;
    });
    assert!(daemon.drain(Duration::from_secs(30)), "nobody is here");
    daemon.stop();
    daemon.stop();
}

#[test]
fn who_is_at_the_door_when_the_node_is_to_go_is_told() {
    let daemon = idle_node();
    drive(async {
        let early = knock(&daemon).await;
        // They are let in one after the other, so this one has been seen at the door.
        let present = come_in(knock(&daemon).await).await;
        await_sessions(&daemon, 1).await;
        assert!(!daemon.drain(Duration::ZERO), "somebody is still here");
        await_word(&present.link, "Leaving").await;
        let late = come_in(early).await;
        await_word(&late.link, "Leaving").await;
        assert!(Socket::connect(daemon.addresses()[0]).await.is_err());
        await_sessions(&daemon, 2).await;
        daemon.stop();
        assert_eq!(daemon.sessions().len(), 0);
        await_word(&late.link, "Fault").await;
    });
}

#[test]
fn weights_are_by_name() {
    let daemon = idle_node();
    assert_eq!(daemon.config.weight_of("heavy"), 3);
    assert_eq!(daemon.config.weight_of("heavy (4711)"), 3);
    assert_eq!(daemon.config.weight_of("heavyweight (4711)"), 1);
    assert_eq!(daemon.config.weight_of("another"), 1);
}
