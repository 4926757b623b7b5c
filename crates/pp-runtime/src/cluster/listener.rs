//! The door of a daemon: who has not proved yet that he belongs to the cluster costs
//! little, waits for a short time, and cannot keep others out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::data::Getters;
use super::parking::Parking;
use super::refusals::Refusals;
use crate::net::{Admitted, Arrival, Caller, HandshakeError, Host, Identity, Socket, admit};
use crate::sync::Mutex;

/// How long the whole handshake may take.
const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
/// The most handshakes at a time. Beyond it, somebody is turned away for each newcomer: a
/// handshake that is meant takes milliseconds, so those who only wait are hit.
const HANDSHAKES_MAX: usize = 256;
/// The pause when the system can accept no more.
const RETRY: Duration = Duration::from_millis(50);
/// Says why somebody who belongs to the cluster is not let in all the same.
pub(super) type SharedCheck = Arc<dyn Fn(&Caller) -> Result<(), String> + Send + Sync>;

/// Who stands at the door.
pub(super) struct Door {
    identity: Identity,
    host: Host,
    admitted: mpsc::UnboundedSender<(SocketAddr, Admitted)>,
    check: SharedCheck,
    parking: Arc<Parking>,
    getters: Getters,
    waiting: Mutex<Waiting>,
    refusals: Arc<Refusals>,
}

/// Handshakes under way.
#[derive(Default)]
struct Waiting {
    next: u64,
    tasks: HashMap<u64, (IpAddr, AbortHandle)>,
}

impl Door {
    /// A door that lets in who belongs to the cluster, and passes `check`, which says why
    /// not.
    pub(super) fn new(
        identity: Identity,
        host: Host,
        admitted: mpsc::UnboundedSender<(SocketAddr, Admitted)>,
        check: SharedCheck,
        parking: Arc<Parking>,
        getters: Getters,
    ) -> Arc<Self> {
        Arc::new(Self {
            identity,
            host,
            admitted,
            check,
            parking,
            getters,
            waiting: Mutex::default(),
            refusals: Refusals::new(),
        })
    }

    /// Lets in who comes to `listener`, for ever.
    pub(super) async fn keep(self: Arc<Self>, listener: TcpListener) {
        let mut told = false;
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    told = false;
                    self.meet(stream, peer);
                }
                Err(error) => {
                    // One that broke off is no reason to stop; without descriptors, others
                    // have to go first.
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(%error, "cannot accept connections; trying again");
                    }
                    sleep(RETRY).await;
                }
            }
        }
    }

    fn meet(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let mut waiting = self.waiting.lock();
        if waiting.tasks.len() >= HANDSHAKES_MAX {
            waiting.turn_one_away();
        }
        let number = waiting.next;
        waiting.next += 1;
        let door = Arc::clone(self);
        let task = tokio::spawn(async move {
            door.shake_hands(stream, peer).await;
            door.waiting.lock().tasks.remove(&number);
        });
        let handle = task.abort_handle();
        waiting.tasks.insert(number, (peer.ip(), handle));
    }

    async fn shake_hands(&self, stream: TcpStream, peer: SocketAddr) {
        let check = &self.check;
        let stream = Socket::new(stream);
        let meeting = admit(stream, &self.identity, &self.host, |caller| check(caller));
        let result = match timeout(HANDSHAKE_TIME, meeting).await {
            Ok(result) => result,
            Err(_) => Err(HandshakeError::TooSlow(HANDSHAKE_TIME)),
        };
        match result {
            Ok(Arrival::Parent(admitted)) => {
                // Nobody listens any more when the daemon ends.
                let _ = self.admitted.send((peer, *admitted));
            }
            Ok(Arrival::Node(offered)) => {
                tracing::debug!(%peer, node = offered.host.name, "a node offers itself");
                self.parking.put(*offered);
            }
            Ok(Arrival::Getter(getter)) => {
                tracing::debug!(%peer, "a node gets something");
                // The same.
                let _ = self.getters.send(getter);
            }
            Err(error) => self.refusals.tell(peer, &error),
        }
    }
}

impl Waiting {
    /// Ends one of the handshakes of the network that has most of them: any, so that whoever
    /// comes has a chance, however many come, and nobody can settle down here.
    fn turn_one_away(&mut self) {
        let mut crowds: HashMap<IpAddr, Vec<u64>> = HashMap::new();
        for (&number, (address, _)) in &self.tasks {
            crowds.entry(network(*address)).or_default().push(number);
        }
        let Some(crowd) = crowds.into_values().max_by_key(Vec::len) else {
            return;
        };
        // Without randomness from the system it is the first.
        let chance = getrandom::u32().map_or(0, |chance| chance as usize % crowd.len());
        let victim = crowd.get(chance);
        if let Some((_, task)) = victim.and_then(|number| self.tasks.remove(number)) {
            task.abort();
        }
    }
}

/// What counts as one: with IPv6, whoever has a network has all of its addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests;
