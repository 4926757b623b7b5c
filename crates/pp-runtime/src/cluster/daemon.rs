//! The daemon: lets clients in, divides its workers among them, and leaves in good order.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinSet, spawn_blocking};

use super::data::{DataThread, Getters, Limits};
use super::discovery::Findable;
use super::listener::{Door, SharedCheck};
use super::names::Target;
use super::offering::Offering;
use super::parking::Parking;
use super::register::{Done, Register, SessionView};
use super::session::{Common, Session};
use super::shares::{Claim, divide};
use super::thread::NetThread;
use crate::engine::Slots;
use crate::net::{Admitted, Caller, Host, Identity};
use crate::process::WorkerSpec;
use crate::stock::Stock;
use crate::sync::Mutex;

/// What a daemon is made with.
#[derive(Debug, Clone)]
pub struct DaemonConfig {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// What it says of itself.
    pub host: Host,
    /// What it proves by that it belongs to the cluster.
    pub identity: Identity,
    /// How many jobs run here at a time, at the most.
    pub workers: u32,
    /// How to start a worker.
    pub worker: WorkerSpec,
    /// Whether each job gets a fresh worker.
    pub restart: bool,
    /// What this machine has beside processors: bytes of memory, and thousandths of anything
    /// else.
    pub supply: Vec<(Arc<str>, u64)>,
    /// The GPUs among that, as their driver names them.
    pub gpus: Vec<Arc<str>>,
    /// Bytes of shared memory for big data of each client; `None`: as much as seems right.
    pub shared_memory: Option<u64>,
    /// Bytes of big arguments that are kept for later jobs of each client; `None`: a quarter
    /// of the memory that this process may use.
    pub cache: Option<u64>,
    /// The port of UDP at which clients may ask for nodes; `None`: they will not find this
    /// one.
    pub discovery: Option<u16>,
    /// Nodes behind this one, which work for its clients as if they were part of it.
    pub behind: Vec<Target>,
    /// Gateways that it is to be offered to.
    pub dial: Vec<Target>,
    /// How much of the node clients get beside others, by their names; 1 for those who are
    /// not here.
    pub weights: Vec<(String, u32)>,
}

impl DaemonConfig {
    /// What is needed to be found, if that is wanted.
    fn findable(&self, listeners: &[TcpListener]) -> Option<Findable> {
        let asked_at = self.discovery?;
        let key = self.identity.beacon()?;
        let doors = listeners
            .iter()
            .filter_map(|listener| listener.local_addr().ok());
        Some(Findable {
            key,
            node: self.host.node,
            doors: doors.collect(),
            asked_at,
        })
    }

    pub(super) fn weight_of(&self, name: &str) -> u32 {
        let find = |name| self.weights.iter().find(|(known, _)| known == name);
        // Clients are called by their machine and, in brackets, their process.
        let host = name.split_once(" (").map_or(name, |(host, _)| host);
        let known = find(name).or_else(|| find(host));
        known.map_or(1, |&(_, weight)| weight)
    }
}

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system refuses a thread, or what belongs to one.
    #[error("cannot start: {0}")]
    Thread(#[from] io::Error),
}

/// A node of a cluster.
#[derive(Debug)]
pub struct Daemon {
    config: Arc<DaemonConfig>,
    addresses: Vec<SocketAddr>,
    sessions: Arc<Register>,
    doors: watch::Sender<bool>,
    net: Mutex<Option<NetThread>>,
    pub(super) data: Mutex<Option<DataThread>>,
    shares: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

impl Daemon {
    /// Starts to listen.
    ///
    /// # Errors
    /// [`DaemonError`].
    pub fn start(config: DaemonConfig) -> Result<Self, DaemonError> {
        let mut listeners = Vec::new();
        for &address in &config.listen {
            let bound = bind(address);
            listeners.push(bound.map_err(|source| DaemonError::Listen { address, source })?);
        }
        let addresses: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses?;
        let config = Arc::new(config);
        let sessions = Arc::new(Register::default());
        let (changed, loads) = channel();
        let (doors, closing) = watch::channel(false);
        let shares = share_out(config.workers, Arc::clone(&sessions), loads)?;
        let data = DataThread::start(config.identity.clone(), Limits::default())?;
        let rooms = Rooms {
            config: Arc::clone(&config),
            sessions: Arc::clone(&sessions),
            changed: changed.clone(),
            common: Common {
                parking: Parking::new(),
                exports: Arc::clone(&data.exports),
                importer: data.importer.clone(),
                stock: Stock::new(&config.supply, &config.gpus),
            },
            closing,
        };
        let net = NetThread::start("pp-net", run(rooms, data.getters.clone(), listeners))?;
        Ok(Self {
            config,
            addresses,
            sessions,
            doors,
            net: Mutex::new(Some(net)),
            data: Mutex::new(Some(data)),
            shares: Mutex::new(Some((changed, shares))),
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How many jobs run here at a time, at the most.
    pub fn workers(&self) -> u32 {
        self.config.workers
    }

    /// Who is here.
    pub fn sessions(&self) -> Vec<SessionView> {
        self.sessions.views()
    }

    /// What was done so far, also for those who have gone.
    pub fn done(&self) -> Done {
        self.sessions.done()
    }

    /// Lets nobody in any more, tells those who are here that it will go, and waits until
    /// they have gone, for `patience` at the most; whether they have. Then call
    /// [`stop`](Self::stop).
    pub fn drain(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        self.doors.send_replace(true);
        for session in self.sessions.all() {
            session.engine.announce_leaving();
        }
        self.sessions.wait_until_empty(deadline)
    }

    /// Ends: what runs is killed, and clients run it elsewhere. Returns when nothing is
    /// left. A second call does nothing.
    pub fn stop(&self) {
        if let Some(net) = self.net.lock().take() {
            net.stop();
        }
        if let Some(data) = self.data.lock().take() {
            data.stop();
        }
        for session in self.sessions.take_all() {
            session.engine.destroy();
        }
        if let Some((changed, thread)) = self.shares.lock().take() {
            drop(changed);
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens. One for all addresses of IPv6 takes those of IPv4, too.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};

    let is_any = address.ip() == Ipv6Addr::UNSPECIFIED;
    let bound = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if is_any {
            socket.set_only_v6(false)?;
        }
        // A node that is started again must not wait for the last connections to time out.
        // On Windows the option means that others may listen, too.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(1024)?;
        Ok(TcpListener::from(socket))
    };
    match bound() {
        Err(error) if is_any && error.kind() != io::ErrorKind::AddrInUse => {
            // There is no IPv6 here.
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        }
        other => other,
    }
}

/// What sessions are opened with.
#[derive(Clone)]
struct Rooms {
    config: Arc<DaemonConfig>,
    sessions: Arc<Register>,
    changed: Sender<()>,
    common: Common,
    closing: watch::Receiver<bool>,
}

/// Everything that the net thread does.
async fn run(rooms: Rooms, getters: Getters, listeners: Vec<TcpListener>) {
    let (sender, mut admitted) = mpsc::unbounded_channel();
    let me = rooms.config.host.node;
    let check: SharedCheck = Arc::new(move |caller: &Caller| {
        if caller.route.contains(&me) {
            return Err("it stands above itself: its --ppservers lead back to it".into());
        }
        Ok(())
    });
    let (identity, host) = (rooms.config.identity.clone(), rooms.config.host.clone());
    let offering = Offering {
        identity: identity.clone(),
        host: host.clone(),
        check: Arc::clone(&check),
        admitted: sender.clone(),
    };
    let parking = Arc::clone(&rooms.common.parking);
    let door = Door::new(identity, host, sender, check, parking, getters);
    let mut doors = JoinSet::new();
    if let Some(findable) = rooms.config.findable(&listeners) {
        doors.spawn(findable.answer());
    }
    for gateway in rooms.config.dial.clone() {
        doors.spawn(offering.clone().offer(gateway));
    }
    drop(offering);
    let mut closing = rooms.closing.clone();
    for listener in listeners {
        match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => {
                doors.spawn(Arc::clone(&door).keep(listener));
            }
            Err(error) => tracing::error!(%error, "cannot listen"),
        }
    }
    drop(door);
    let mut number = 0;
    loop {
        tokio::select! {
            newcomer = admitted.recv() => {
                let Some((peer, newcomer)) = newcomer else {
                    break;
                };
                number += 1;
                tokio::spawn(rooms.clone().host(number, peer, newcomer));
            }
            _ = closing.changed() => doors.abort_all(),
        }
    }
    // Those who are here are worked for until the thread is stopped.
    std::future::pending::<()>().await;
}

impl Rooms {
    /// Works for a client until it goes.
    async fn host(self, number: u64, peer: SocketAddr, newcomer: Admitted) {
        let name = newcomer.caller.name.clone();
        let link = Arc::clone(&newcomer.link);
        let rooms = self.clone();
        let opened = spawn_blocking(move || {
            let changed = Mutex::new(rooms.changed.clone());
            let changed = move || {
                // Nobody listens any more when the daemon ends.
                let _ = changed.lock().send(());
            };
            Session::open(&rooms.config, peer, newcomer, rooms.common, changed)
        })
        .await;
        let (session, parted) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                tracing::warn!(client = name, %peer, %error, "client cannot be served");
                link.refuse(&error.to_string());
                return;
            }
            Err(_) => return,
        };
        tracing::info!(client = name, %peer, "client joined");
        self.sessions.add(number, Arc::clone(&session));
        if *self.closing.borrow() {
            // It was at the door already; those who were told to go did not include it.
            session.engine.announce_leaving();
        }
        let _ = self.changed.send(());
        if let Ok(why) = parted.await {
            tracing::info!(client = name, %peer, reason = %why, "client left");
        }
        let ended = spawn_blocking(move || session.engine.destroy()).await;
        if let Err(error) = ended {
            tracing::error!(%error, "a client's workers could not be ended");
        }
        self.sessions.remove(number);
        let _ = self.changed.send(());
    }
}

/// Starts the thread that divides the workers among the clients whenever something changes.
fn share_out(
    total: u32,
    sessions: Arc<Register>,
    changes: Receiver<()>,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("pp-shares".into())
        .spawn(move || {
            while changes.recv().is_ok() {
                // All that has changed by now is seen below.
                while changes.try_recv().is_ok() {}
                let all = sessions.all();
                let claims: Vec<_> = all.iter().map(|session| session.claim()).collect();
                for (session, share) in all.iter().zip(divide(total, &claims)) {
                    let (slots, most) = (share.slots, total);
                    session
                        .engine
                        .set_share(share.workers, Slots { slots, most });
                }
            }
        })
}

impl Session {
    fn claim(&self) -> Claim {
        let load = self.engine.load();
        Claim {
            weight: self.weight,
            is_busy: load.is_busy,
            is_waiting: load.is_waiting,
            has: load.workers,
        }
    }
}

#[cfg(test)]
mod tests;
