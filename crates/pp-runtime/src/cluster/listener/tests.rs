#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use std::collections::BTreeSet;

use tokio::io::AsyncReadExt;

use super::*;
use crate::net::testing::{caller, drive, host, identity, listener};
use crate::net::{Socket, reach};

fn door(admitted: mpsc::UnboundedSender<(SocketAddr, Admitted)>) -> Arc<Door> {
    Door::new(
        identity('a'),
        host(),
        admitted,
        Arc::new(|_| Ok(())),
        Parking::new(),
        mpsc::unbounded_channel().0,
    )
}

impl Waiting {
    /// Somebody comes from `address` and waits.
    fn come(&mut self, address: &str) -> u64 {
        if self.tasks.len() >= HANDSHAKES_MAX {
            self.turn_one_away();
        }
        let number = self.next;
        self.next += 1;
        let task = tokio::spawn(std::future::pending::<()>());
        let place = (address.parse().unwrap(), task.abort_handle());
        self.tasks.insert(number, place);
        number
    }
}

#[test]
fn those_of_a_crowd_make_room_and_others_do_not() {
    drive(async {
        let mut waiting = Waiting::default();
        let honest = [waiting.come("10.0.0.1"), waiting.come("::1")];
        for _ in 0..3_000 {
            waiting.come("10.0.0.2");
            assert!(waiting.tasks.len() <= HANDSHAKES_MAX);
        }
        for n in 0..3_000 {
            // One network, however many addresses it has.
            waiting.come(&format!("2001:db8::{n:x}"));
        }
        assert!(
            honest
                .iter()
                .all(|number| waiting.tasks.contains_key(number))
        );
    });
}

#[test]
fn nobody_settles_down_in_a_crowd_and_newcomers_have_a_chance() {
    drive(async {
        let mut waiting = Waiting::default();
        let first: BTreeSet<u64> = (0..HANDSHAKES_MAX).map(|_| waiting.come("::1")).collect();
        let mut last = Vec::new();
        for _ in 0..40 * HANDSHAKES_MAX {
            last.push(waiting.come("::1"));
        }
        let stayed = first
            .iter()
            .filter(|number| waiting.tasks.contains_key(number));
        assert_eq!(stayed.count(), 0, "those who only wait were hit");
        // Each of these was passed over twenty times at the most, with 255 others.
        let newest = last.iter().rev().take(20);
        let there = newest.filter(|number| waiting.tasks.contains_key(number));
        assert!(there.count() > 10);
    });
}

#[test]
fn a_crowd_at_the_door_keeps_nobody_out() {
    drive(async {
        let (listener, address) = listener().await;
        let (sender, mut admitted) = mpsc::unbounded_channel();
        let door = door(sender);
        let keeping = tokio::spawn(Arc::clone(&door).keep(listener));
        let mut crowd = Vec::new();
        for _ in 0..2 * HANDSHAKES_MAX {
            crowd.push(TcpStream::connect(address).await.unwrap());
        }
        let stream = Socket::connect(address).await.unwrap();
        let reached = reach(stream, &identity('a'), &caller(&[]), b"settings").await;
        assert_eq!(reached.unwrap().host.node, host().node);
        let (peer, newcomer) = admitted.recv().await.unwrap();
        assert!(peer.ip().is_loopback());
        assert_eq!(newcomer.settings, b"settings");
        assert!(door.waiting.lock().tasks.len() <= HANDSHAKES_MAX);
        // Half of them at the least have been sent away.
        let mut ended = 0;
        for one in &mut crowd {
            let gone = timeout(Duration::ZERO, one.read_u8()).await;
            ended += usize::from(gone.is_ok());
        }
        assert!(ended >= HANDSHAKES_MAX, "{ended}");
        drop(crowd);
        while !door.waiting.lock().tasks.is_empty() {
            tokio::task::yield_now().await;
        }
        keeping.abort();
    });
}
