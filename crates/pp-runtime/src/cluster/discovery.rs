//! Finding nodes, and being found: questions by broadcast and multicast on all networks of
//! this machine, and answers to them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use if_addrs::{IfAddr, Interface};
use pp_proto::NodeId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::minding::{Minder, Place, Spot};
use super::names::Pattern;
use crate::net::{Beacon, Key, Nonce, PACKET_LEN, random_id};

/// The groups that nodes listen to: one for the networks of an organization (RFC 2365), one
/// for a link.
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 80);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0x7070, 0x7032);

/// How often to ask: nodes that come later are found within two seconds.
const ASK: Duration = Duration::from_secs(1);
/// An answer to an older question is not believed.
const FRESH: Duration = Duration::from_secs(5);
/// A node that has not answered for so long is forgotten, unless it is connected.
const FORGET: Duration = Duration::from_secs(15);
/// How often to look whether this machine has come to be in other networks.
const LOOK: Duration = Duration::from_secs(10);

/// What is needed to be found.
pub(super) struct Findable {
    pub(super) key: Arc<Key>,
    pub(super) node: NodeId,
    /// Where it takes connections.
    pub(super) doors: Vec<SocketAddr>,
    /// Where it is asked.
    pub(super) asked_at: u16,
}

impl Findable {
    /// Answers questions, for ever.
    pub(super) async fn answer(self) {
        let has_v4 = self.doors.iter().any(takes_v4);
        let has_v6 = self.doors.iter().any(SocketAddr::is_ipv6);
        let families = [(Domain::IPV4, has_v4), (Domain::IPV6, has_v6)];
        let [v4, v6] = families.map(|(domain, is_open)| {
            let socket = is_open.then(|| listen(domain, self.asked_at))?;
            socket
                .inspect_err(|error| tracing::debug!(%error, "cannot listen for questions"))
                .ok()
        });
        if v4.is_none() && v6.is_none() {
            let port = self.asked_at;
            tracing::warn!(
                port,
                "cannot listen for questions: clients will not find this node"
            );
            return std::future::pending().await;
        }
        let mut look = interval(LOOK);
        let mut joined = HashSet::new();
        let (mut from_v4, mut from_v6) = ([0; PACKET_LEN + 1], [0; PACKET_LEN + 1]);
        loop {
            tokio::select! {
                _ = look.tick() => join_groups(v4.as_ref(), v6.as_ref(), &mut joined),
                Some((len, peer)) = receive(v4.as_ref(), &mut from_v4) => {
                    self.reply(v4.as_ref(), &from_v4[..len], peer).await;
                }
                Some((len, peer)) = receive(v6.as_ref(), &mut from_v6) => {
                    self.reply(v6.as_ref(), &from_v6[..len], peer).await;
                }
            }
        }
    }

    /// The port at which connections to an address of this machine are taken.
    fn port_at(&self, own: IpAddr) -> Option<u16> {
        let is_open = |door: &&SocketAddr| {
            let is_for_all = door.ip().is_unspecified()
                && (door.is_ipv4() == own.is_ipv4() || own.is_ipv4() && takes_v4(door));
            is_for_all || door.ip() == own
        };
        self.doors.iter().find(is_open).map(SocketAddr::port)
    }

    async fn reply(&self, socket: Option<&UdpSocket>, packet: &[u8], peer: SocketAddr) {
        let (Some(socket), Some(Beacon::Question { nonce })) =
            (socket, Beacon::open(packet, &self.key))
        else {
            return;
        };
        // Who could not connect is not to be told.
        if let Some(port) = own_address(peer).and_then(|own| self.port_at(own)) {
            let node = self.node;
            let answer = Beacon::Answer { nonce, node, port };
            if let Err(error) = socket.send_to(&answer.seal(&self.key), peer).await {
                tracing::debug!(%error, %peer, "a question cannot be answered");
            }
        }
    }
}

/// Whether connections by IPv4 are taken at an address: the one for all of IPv6 does, too.
fn takes_v4(address: &SocketAddr) -> bool {
    address.is_ipv4() || address.ip() == Ipv6Addr::UNSPECIFIED
}

/// The address of this machine from which packets go to `peer`.
fn own_address(peer: SocketAddr) -> Option<IpAddr> {
    let any = match peer {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    // No packet goes out: this only chooses the way.
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// What comes to a socket; never anything where there is none. Errors pass: they are about
/// single packets.
async fn receive(socket: Option<&UdpSocket>, into: &mut [u8]) -> Option<(usize, SocketAddr)> {
    match socket {
        Some(socket) => loop {
            if let Ok(received) = socket.recv_from(into).await {
                return Some(received);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        },
        None => std::future::pending().await,
    }
}

fn open(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// A socket at a port that several nodes of this machine listen at.
fn listen(domain: Domain, port: u16) -> io::Result<UdpSocket> {
    let socket = open(domain)?;
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(target_os = "linux")))]
    socket.set_reuse_port(true)?;
    let any = if domain == Domain::IPV4 {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    socket.bind(&SocketAddr::new(any, port).into())?;
    UdpSocket::from_std(socket.into())
}

/// The networks of this machine; none if they cannot be told.
fn interfaces() -> Vec<Interface> {
    if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::debug!(%error, "the networks of this machine cannot be told");
        Vec::new()
    })
}

fn join_groups(
    v4: Option<&UdpSocket>,
    v6: Option<&UdpSocket>,
    joined: &mut HashSet<(Option<u32>, IpAddr)>,
) {
    for interface in interfaces() {
        let place = (interface.index, interface.ip());
        if joined.contains(&place) {
            continue;
        }
        let result = match (interface.ip(), v4, v6) {
            (IpAddr::V4(address), Some(socket), _) => socket.join_multicast_v4(GROUP_V4, address),
            (IpAddr::V6(_), _, Some(socket)) => {
                socket.join_multicast_v6(&GROUP_V6, interface.index.unwrap_or(0))
            }
            _ => continue,
        };
        // Of several addresses of one interface, only the first can join.
        match result {
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, network = interface.name, "no multicast"),
        }
        joined.insert(place);
    }
}

/// A node that has answered.
struct Found {
    heard: Instant,
    /// Where it has answered from.
    spot: Arc<Spot>,
    /// The question that it has answered first.
    first: Nonce,
    /// Who minds it, once it has a name.
    task: Option<AbortHandle>,
}

impl Found {
    fn new(address: SocketAddr, first: Nonce) -> Self {
        Self {
            heard: Instant::now(),
            spot: Spot::new(address),
            first,
            task: None,
        }
    }

    fn heard_at(&mut self, address: SocketAddr) {
        self.heard = Instant::now();
        let mut addresses = self.spot.addresses.lock();
        if !addresses.contains(&address) {
            addresses.push(address);
            // Addresses of one link only are the last to try.
            addresses.sort_by_key(is_of_one_link);
        }
    }
}

fn is_of_one_link(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local())
}

/// Finds nodes and minds them, for ever.
pub(super) struct Finder {
    pub(super) minder: Arc<Minder>,
    pub(super) key: Arc<Key>,
    pub(super) pattern: Pattern,
    pub(super) port: u16,
}

impl Finder {
    /// Asks again and again.
    pub(super) async fn find(self) {
        let v4 = open(Domain::IPV4).and_then(|socket| {
            socket.set_broadcast(true)?;
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
            UdpSocket::from_std(socket.into())
        });
        let v6 = open(Domain::IPV6).and_then(|socket| {
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
            UdpSocket::from_std(socket.into())
        });
        let (v4, v6) = (v4.ok(), v6.ok());
        let mut ask = interval(ASK);
        ask.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Vec<(Nonce, Instant)> = Vec::new();
        let mut found: HashMap<NodeId, Found> = HashMap::new();
        let mut tasks = JoinSet::new();
        let (mut from_v4, mut from_v6) = ([0; PACKET_LEN + 1], [0; PACKET_LEN + 1]);
        loop {
            tokio::select! {
                _ = ask.tick() => {
                    asked.retain(|(_, when)| when.elapsed() < FRESH);
                    if let Ok(nonce) = random_id() {
                        asked.push((nonce, Instant::now()));
                        self.ask(v4.as_ref(), v6.as_ref(), nonce).await;
                    }
                    forget(&mut found);
                }
                Some((len, peer)) = receive(v4.as_ref(), &mut from_v4) => {
                    self.hear(&from_v4[..len], peer, &asked, &mut found, &mut tasks);
                }
                Some((len, peer)) = receive(v6.as_ref(), &mut from_v6) => {
                    self.hear(&from_v6[..len], peer, &asked, &mut found, &mut tasks);
                }
            }
        }
    }

    /// Asks on all networks.
    async fn ask(&self, v4: Option<&UdpSocket>, v6: Option<&UdpSocket>, nonce: Nonce) {
        let packet = Beacon::Question { nonce }.seal(&self.key);
        if let Some(socket) = v4 {
            for address in self.places_v4() {
                // Some networks have no broadcast.
                let _ = socket.send_to(&packet, (address, self.port)).await;
            }
        }
        let mut links = HashSet::new();
        for interface in interfaces() {
            match (interface.addr, v4, v6) {
                (IfAddr::V4(own), Some(socket), _) => {
                    let from = socket2::SockRef::from(socket);
                    if from.set_multicast_if_v4(&own.ip).is_ok() {
                        let _ = socket.send_to(&packet, (GROUP_V4, self.port)).await;
                    }
                }
                (IfAddr::V6(_), _, Some(socket)) if self.pattern == Pattern::ANY => {
                    // An interface has several addresses, but is on one link.
                    let index = interface.index.unwrap_or(0);
                    if links.insert(index) {
                        let place = SocketAddrV6::new(GROUP_V6, self.port, 0, index);
                        let _ = socket.send_to(&packet, place).await;
                    }
                }
                _ => {}
            }
        }
    }

    /// Where to broadcast to.
    fn places_v4(&self) -> HashSet<Ipv4Addr> {
        if self.pattern != Pattern::ANY {
            return HashSet::from([self.pattern.broadcast()]);
        }
        let own = interfaces().into_iter().filter_map(|interface| {
            if let IfAddr::V4(own) = interface.addr {
                let mask = u32::from(own.netmask);
                own.broadcast
                    .or_else(|| Some(Ipv4Addr::from(u32::from(own.ip) | !mask)))
            } else {
                None
            }
        });
        own.chain([Ipv4Addr::BROADCAST]).collect()
    }

    fn hear(
        &self,
        packet: &[u8],
        peer: SocketAddr,
        asked: &[(Nonce, Instant)],
        found: &mut HashMap<NodeId, Found>,
        tasks: &mut JoinSet<()>,
    ) {
        let Some(Beacon::Answer { nonce, node, port }) = Beacon::open(packet, &self.key) else {
            return;
        };
        let is_asked = asked.iter().any(|&(asked, _)| asked == nonce);
        let is_own = self.minder.caller.route.contains(&node);
        if !is_asked || is_own || !self.pattern.matches(peer.ip()) {
            return;
        }
        // With the scope of an address that is of one link only.
        let mut address = peer;
        address.set_port(port);
        let mut known = match found.remove(&node) {
            Some(known) if known.task.is_some() => known,
            // If it was started again, it is dialed already where it was before.
            unnamed => take_at(found, address)
                .or(unnamed)
                .unwrap_or_else(|| Found::new(address, nonce)),
        };
        known.heard_at(address);
        // An address of one link is a name only for who has no other, and that may be in
        // another answer to the same question.
        if known.task.is_none() && (!is_of_one_link(&address) || known.first != nonce) {
            known.task = Some(self.mind(&known.spot, tasks));
        }
        found.insert(node, known);
    }

    fn mind(&self, spot: &Arc<Spot>, tasks: &mut JoinSet<()>) -> AbortHandle {
        let name = spot.addresses.lock().first().map(ToString::to_string);
        let name = name.unwrap_or_default();
        tracing::info!(node = name, "node found");
        let place = Place::Known(Arc::clone(spot));
        tasks.spawn(Arc::clone(&self.minder).mind_place(name.into(), place))
    }
}

/// Takes out the node that was known at an address.
fn take_at(found: &mut HashMap<NodeId, Found>, address: SocketAddr) -> Option<Found> {
    let mut all = found.iter();
    let is_there = |node: &Found| node.spot.addresses.lock().contains(&address);
    let id = all.find(|(_, node)| is_there(node)).map(|(&id, _)| id)?;
    found.remove(&id)
}

/// Stops to mind nodes that have not answered for long, and are not connected.
fn forget(found: &mut HashMap<NodeId, Found>) {
    found.retain(|_, node| {
        let is_there = node.spot.is_used() || node.heard.elapsed() < FORGET;
        let is_over = node.task.as_ref().is_some_and(AbortHandle::is_finished);
        let stays = is_there && !is_over;
        if let (false, Some(task)) = (stays, &node.task) {
            task.abort();
        }
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::drive;

    #[test]
    fn nobody_is_told_to_knock_where_there_is_no_door() {
        let findable = |doors: &[&str]| Findable {
            key: crate::net::testing::identity('a').beacon().unwrap(),
            node: NodeId::default(),
            doors: doors.iter().map(|door| door.parse().unwrap()).collect(),
            asked_at: 1,
        };
        let (v4, v6, home) = ("10.0.0.1", "fe80::1", "127.0.0.1");
        for (doors, at, port) in [
            (&["[::]:7"][..], v4, Some(7)),
            (&["[::]:7"], v6, Some(7)),
            (&["0.0.0.0:7"], v4, Some(7)),
            (&["0.0.0.0:7"], v6, None),
            (&["127.0.0.1:7"], v4, None),
            (&["127.0.0.1:7"], home, Some(7)),
            (&["127.0.0.1:7", "10.0.0.1:8"], v4, Some(8)),
        ] {
            let found = findable(doors).port_at(at.parse().unwrap());
            assert_eq!(found, port, "{doors:?} at {at}");
        }
        let home = home.parse().unwrap();
        assert_eq!(own_address(SocketAddr::new(home, 9)), Some(home));
    }

    fn found_long_ago(address: &str) -> Found {
        Found {
            heard: Instant::now().checked_sub(2 * FORGET).unwrap(),
            task: Some(tokio::spawn(std::future::pending::<()>()).abort_handle()),
            ..Found::new(address.parse().unwrap(), Nonce::default())
        }
    }

    #[test]
    fn who_does_not_answer_is_forgotten_unless_connected() {
        drive(async {
            let mut found = HashMap::from([
                ([1; 16], found_long_ago("10.0.0.1:7")),
                ([2; 16], found_long_ago("10.0.0.2:7")),
            ]);
            found[&[2; 16]].spot.note_use(true);
            forget(&mut found);
            assert_eq!(found.keys().collect::<Vec<_>>(), [&[2; 16]]);
            found[&[2; 16]].spot.note_use(false);
            forget(&mut found);
            assert!(found.is_empty());
        });
    }

    #[test]
    fn who_is_started_again_is_known_by_its_addresses() {
        drive(async {
            let mut found = HashMap::from([([1; 16], found_long_ago("10.0.0.1:7"))]);
            let other = "[fe80::1]:7".parse().unwrap();
            let old = found.get_mut(&[1; 16]).unwrap();
            old.heard_at(other);
            assert!(take_at(&mut found, "10.0.0.1:8".parse().unwrap()).is_none());
            let known = take_at(&mut found, other).unwrap();
            assert_eq!(known.spot.addresses.lock().len(), 2);
            assert!(found.is_empty());
        });
    }
}
