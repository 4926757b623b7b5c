//! Keeping the connections to nodes: found, dialed, joined, and dialed again.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pp_proto::NodeId;
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::backoff::Backoff;
use super::discovery::Finder;
use super::names::Target;
use super::parking::Parking;
use crate::engine::{NotJoined, Parting};
use crate::net::{Caller, HandshakeError, Identity, Reached, Socket, reach};
use crate::sync::Mutex;

/// How long a host may take to answer at all.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// And to shake hands.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// The pause after the first failure.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause before a node that is down is tried again: users are told the truth
/// within two seconds.
const DOWN_PAUSE: Duration = Duration::from_millis(1_200);
/// The same for one that refuses us: that is not changed in a moment.
const REFUSED_PAUSE: Duration = Duration::from_secs(15);
/// A node that has lived for so long has recovered from what took it down before.
const RECOVERED: Duration = Duration::from_secs(10);
/// How often the addresses of a name are looked up.
const LOOK_UP: Duration = Duration::from_secs(5);

/// Uses a node that was reached.
pub(super) type Join =
    Arc<dyn Fn(&Arc<str>, Reached) -> Result<oneshot::Receiver<Parting>, NotJoined> + Send + Sync>;

/// What is needed to get nodes.
pub(super) struct Minder {
    pub(super) identity: Identity,
    pub(super) caller: Caller,
    pub(super) settings: Vec<u8>,
    pub(super) join: Join,
}

/// Where a node is.
#[derive(Debug)]
pub(super) enum Place {
    /// Where a name leads.
    Named {
        /// A name, or an address.
        host: String,
        /// A port.
        port: u16,
    },
    /// At one of these addresses; there may come to be more.
    Known(Arc<Spot>),
    /// It dials, and waits there.
    Offered(Arc<Parking>, NodeId),
}

/// Addresses of one node.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) addresses: Mutex<Vec<SocketAddr>>,
    is_used: AtomicBool,
}

impl Spot {
    pub(super) fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            addresses: Mutex::new(vec![address]),
            is_used: AtomicBool::new(false),
        })
    }

    /// Whether the node is connected.
    pub(super) fn is_used(&self) -> bool {
        self.is_used.load(Ordering::Relaxed)
    }

    pub(super) fn note_use(&self, is_used: bool) {
        self.is_used.store(is_used, Ordering::Relaxed);
    }
}

/// Why there is no connection to a node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReached {
    #[error("its name cannot be looked up: {0}")]
    Unknown(io::Error),
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl NotReached {
    /// How long to wait at the most before the next try.
    fn longest_pause(&self) -> Duration {
        match self {
            // A machine that is frozen accepts, and says nothing; it may go on any moment.
            Self::Handshake(
                HandshakeError::Network(_) | HandshakeError::Ended(_) | HandshakeError::TooSlow(_),
            )
            | Self::Unknown(_)
            | Self::Connect(_) => DOWN_PAUSE,
            Self::Handshake(_) => REFUSED_PAUSE,
        }
    }

    /// Whether somebody should do something about it.
    fn is_lasting(&self) -> bool {
        let may_be_nobody = matches!(
            self,
            Self::Unknown(_) | Self::Handshake(HandshakeError::TooSlow(_))
        );
        may_be_nobody || self.longest_pause() == REFUSED_PAUSE
    }
}

impl Minder {
    /// Minds all nodes that `target` stands for, for ever.
    pub(super) async fn mind(self: Arc<Self>, target: Target) {
        match target {
            Target::Host { ref host, port } => {
                let place = Place::Named {
                    host: host.clone(),
                    port,
                };
                self.mind_place(target.name().into(), place).await;
            }
            Target::Each { host, port } => self.mind_each(host, port).await,
            Target::Found { pattern, port } => {
                let Some(key) = self.identity.beacon() else {
                    tracing::warn!("without a secret no nodes can be found, only named ones used");
                    return;
                };
                let finder = Finder {
                    minder: self,
                    key,
                    pattern,
                    port,
                };
                finder.find().await;
            }
        }
    }

    /// Minds every node that offers itself, for ever.
    pub(super) async fn mind_offers(self: Arc<Self>, parking: Arc<Parking>) {
        let mut minded = HashSet::new();
        let mut changes = parking.changes();
        let mut tasks = JoinSet::new();
        loop {
            for (node, name) in parking.nodes() {
                let is_own = self.caller.route.contains(&node);
                if !is_own && minded.insert(node) {
                    let place = Place::Offered(Arc::clone(&parking), node);
                    tasks.spawn(Arc::clone(&self).mind_place(name, place));
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Minds a node at each address of a name.
    async fn mind_each(self: Arc<Self>, host: String, port: u16) {
        let mut minded: HashMap<SocketAddr, AbortHandle> = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut told = false;
        loop {
            match tokio::net::lookup_host((host.as_str(), port)).await {
                Ok(found) => {
                    told = false;
                    let found: Vec<SocketAddr> = found.collect();
                    for &address in &found {
                        minded.entry(address).or_insert_with(|| {
                            let name: Arc<str> = address.to_string().into();
                            let place = Place::Known(Spot::new(address));
                            tasks.spawn(Arc::clone(&self).mind_place(name, place))
                        });
                    }
                    minded.retain(|address, task| {
                        let stays = found.contains(address);
                        if !stays {
                            task.abort();
                        }
                        stays
                    });
                }
                Err(error) if !std::mem::replace(&mut told, true) => {
                    tracing::warn!(name = host, %error, "the addresses of nodes cannot be looked up");
                }
                Err(_) => {}
            }
            sleep(LOOK_UP).await;
        }
    }

    /// Minds one node: connects whenever it is not connected.
    pub(super) async fn mind_place(self: Arc<Self>, name: Arc<str>, place: Place) {
        let mut backoff = Backoff::new(FIRST_PAUSE);
        let mut told = String::new();
        loop {
            let mut longest = DOWN_PAUSE;
            match self.reach(&place).await {
                Ok(reached) => match (self.join)(&name, reached) {
                    Ok(parted) => {
                        told.clear();
                        let born = Instant::now();
                        place.note_use(true);
                        let why = parted.await.unwrap_or(Parting::Destroyed);
                        place.note_use(false);
                        if matches!(why, Parting::Destroyed) {
                            return;
                        }
                        if born.elapsed() > RECOVERED {
                            backoff.reset();
                        }
                        if matches!(why, Parting::Fault(_)) {
                            longest = REFUSED_PAUSE;
                        }
                    }
                    Err(NotJoined::Destroyed) => return,
                    Err(error) => {
                        longest = REFUSED_PAUSE;
                        tell(&mut told, &name, &error, true);
                    }
                },
                Err(error) => {
                    longest = error.longest_pause();
                    tell(&mut told, &name, &error, error.is_lasting());
                }
            }
            sleep(backoff.pause(longest)).await;
        }
    }

    async fn reach(&self, place: &Place) -> Result<Reached, NotReached> {
        if let Place::Offered(parking, node) = place {
            let offered = parking.take(*node).await;
            let meeting = offered.reach(&self.caller, &self.settings);
            return match timeout(HANDSHAKE_TIME, meeting).await {
                Ok(reached) => Ok(reached?),
                Err(_) => Err(HandshakeError::TooSlow(HANDSHAKE_TIME).into()),
            };
        }
        let stream = place.connect().await?;
        let meeting = reach(stream, &self.identity, &self.caller, &self.settings);
        match timeout(HANDSHAKE_TIME, meeting).await {
            Ok(reached) => Ok(reached?),
            Err(_) => Err(HandshakeError::TooSlow(HANDSHAKE_TIME).into()),
        }
    }
}

impl Place {
    /// The addresses that it has at the moment.
    async fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Named { host, port } => {
                let found = tokio::net::lookup_host((host.as_str(), *port)).await?;
                Ok(found.collect())
            }
            Self::Known(spot) => Ok(spot.addresses.lock().clone()),
            Self::Offered(..) => Ok(Vec::new()),
        }
    }

    /// The node has been connected, or is not any more.
    fn note_use(&self, is_used: bool) {
        if let Self::Known(spot) = self {
            spot.note_use(is_used);
        }
    }

    /// Connects to the first address that answers.
    pub(super) async fn connect(&self) -> Result<Socket, NotReached> {
        let addresses = self.addresses().await.map_err(NotReached::Unknown)?;
        connect(&addresses).await
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<Socket, NotReached> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(CONNECT_TIME, Socket::connect(*address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(NotReached::Connect(last))
}

/// Tells of a failure, once while it stays the same.
fn tell(told: &mut String, name: &str, error: &dyn std::fmt::Display, is_lasting: bool) {
    let text = error.to_string();
    if *told == text {
        tracing::debug!(node = name, reason = text, "node still cannot be used");
        return;
    }
    if is_lasting {
        tracing::warn!(node = name, reason = text, "node cannot be used");
    } else {
        tracing::info!(
            node = name,
            reason = text,
            "node is down; it will be tried again"
        );
    }
    *told = text;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_come_back_any_moment_is_tried_often() {
        let slow = HandshakeError::TooSlow(HANDSHAKE_TIME);
        let broken = HandshakeError::Network(io::ErrorKind::ConnectionReset.into());
        for error in [slow, broken] {
            assert_eq!(NotReached::from(error).longest_pause(), DOWN_PAUSE);
        }
        let stranger = NotReached::from(HandshakeError::Stranger);
        assert_eq!(stranger.longest_pause(), REFUSED_PAUSE);
    }

    #[test]
    fn what_somebody_should_see_to_is_told_loudly() {
        let slow = NotReached::from(HandshakeError::TooSlow(HANDSHAKE_TIME));
        let stranger = NotReached::from(HandshakeError::Stranger);
        assert!(slow.is_lasting() && stranger.is_lasting());
        assert!(!NotReached::Connect(io::ErrorKind::ConnectionRefused.into()).is_lasting());
    }
}
