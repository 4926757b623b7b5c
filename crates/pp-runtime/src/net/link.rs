//! An authenticated, encrypted connection to another server, as the engine uses it.
//!
//! Reading and writing never wait. Encryption takes time, so it is done outside of the
//! engine's lock: what is to be sent is put into the outbox there, and flushed afterwards
//! by whoever put it in; what comes is decrypted by who reads, and decoded there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use pp_proto::FromExecutor;
use rustls::Connection;

use super::outbox::Outbox;
use crate::fork::Unshared;
use crate::sync::Mutex;

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);
/// Bytes taken from the socket at a time.
const GULP: usize = 256 * 1024;
/// After so many, others get their turn.
const GULPS: usize = 4;
/// The same for bytes that are written by who watches the link,
const BURST: usize = 1024 * 1024;
/// and by a thread that has other things to do.
const SHORT_BURST: usize = 128 * 1024;

/// Why a link is of no use any more.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum LinkEnd {
    /// The other side has closed it.
    #[error("the connection was closed by the other side")]
    Closed,
    /// The network or the other machine has given it up.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came is no TLS, or not from whom it should be.
    #[error("the connection was tampered with: {0}")]
    Tls(rustls::Error),
    /// This side has closed it.
    #[error("the connection was closed")]
    Ours,
}

impl From<io::Error> for LinkEnd {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// A connection in use.
pub(crate) struct Link {
    wire: Mutex<Wire>,
    pub(crate) outbox: Mutex<Outbox>,
    inbox: Mutex<Inbox>,
    /// Somebody wants to flush: who holds the wire does it before letting go.
    wanted: AtomicBool,
    /// There may be more in the socket than was read.
    behind: AtomicBool,
    /// Something was decrypted, or the link has ended.
    news: AtomicBool,
    /// The machine at the other end, if it is another one.
    peer: Option<IpAddr>,
    /// The address at the other end.
    place: Option<SocketAddr>,
    /// The descriptor of the stream, as long as this lives.
    #[cfg(unix)]
    fd: RawFd,
    /// Wakes who watches.
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

struct Wire {
    stream: Unshared<TcpStream>,
    connection: Connection,
    /// Spare room: for what comes, as it comes and
    raw: Vec<u8>,
    /// decrypted; and for what goes.
    came: Vec<u8>,
    plain: Vec<u8>,
}

/// How far writing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// All is written, or the socket is full: then the poll tells when it is not.
    AsFarAsPossible,
    /// There is more, and room for it; others are to get their turn before.
    Burst,
}

/// What was decrypted and not decoded yet.
#[derive(Debug)]
struct Inbox {
    bytes: Vec<u8>,
    heard: Instant,
    end: Option<LinkEnd>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Takes over a connection whose handshake is over.
    ///
    /// # Errors
    /// [`LinkEnd`]: it has ended meanwhile.
    pub(crate) fn new(
        stream: Unshared<std::net::TcpStream>,
        mut connection: Connection,
    ) -> Result<Arc<Self>, LinkEnd> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        connection.set_buffer_limit(None);
        let mut early = Vec::new();
        decrypt(&mut connection, &mut early)?;
        let peer = elsewhere(&stream);
        let place = stream.peer_addr().ok();
        #[cfg(unix)]
        let fd = stream.as_raw_fd();
        let stream = stream.convert(|stream| Ok::<_, LinkEnd>(TcpStream::from_std(stream)))?;
        Ok(Arc::new(Self {
            wire: Mutex::new(Wire {
                stream,
                connection,
                raw: Vec::new(),
                came: Vec::new(),
                plain: Vec::new(),
            }),
            outbox: Mutex::default(),
            inbox: Mutex::new(Inbox {
                bytes: early,
                heard: Instant::now(),
                end: None,
            }),
            wanted: AtomicBool::new(false),
            // Something may have come before anybody watches.
            behind: AtomicBool::new(true),
            news: AtomicBool::new(true),
            peer,
            place,
            #[cfg(unix)]
            fd,
            wake: OnceLock::new(),
        }))
    }

    /// The address of the machine at the other end; `None` if it is this machine.
    pub(crate) fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The address at the other end; if that was dialed, others may dial it, too.
    pub(crate) fn place(&self) -> Option<SocketAddr> {
        self.place
    }

    /// Lets a poll watch it, for both directions.
    pub(crate) fn watch(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let result = registry.register(&mut *self.wire.lock().stream, token, BOTH);
        // Whoever found the wire taken meanwhile counts on that.
        self.flush_if_wanted();
        result
    }

    /// Lets the poll that watches it not tell of anything for now; whether it does not. Does
    /// not wait for who reads or writes.
    #[cfg(unix)]
    pub(crate) fn mute(&self, registry: &Registry) -> bool {
        registry.deregister(&mut SourceFd(&self.fd)).is_ok()
    }

    /// Lets it tell again, also of what has come already.
    #[cfg(unix)]
    pub(crate) fn unmute(&self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut SourceFd(&self.fd), token, BOTH)
    }

    /// A socket cannot be taken out here without who uses it.
    #[cfg(not(unix))]
    pub(crate) fn mute(&self, _registry: &Registry) -> bool {
        false
    }

    #[cfg(not(unix))]
    pub(crate) fn unmute(&self, _registry: &Registry, _token: Token) -> io::Result<()> {
        Ok(())
    }

    /// Says how to wake who watches.
    pub(crate) fn set_wake(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Only the first counts.
        let _ = self.wake.set(Box::new(wake));
    }

    /// Ends the watching.
    pub(crate) fn forget(&self, registry: &Registry) {
        // A socket that was never watched needs no more than to be closed.
        let _ = registry.deregister(&mut *self.wire.lock().stream);
    }

    /// Writes what is in the outbox, as far as the socket takes it. What it does not take
    /// is written when it has room, by who watches it.
    pub(crate) fn flush(&self) {
        self.flush_up_to(BURST);
    }

    /// The same for a thread that has other things to do: it leaves most of what is large
    /// to who watches.
    pub(crate) fn flush_shortly(&self) {
        self.flush_up_to(SHORT_BURST);
    }

    fn flush_up_to(&self, burst: usize) {
        self.wanted.store(true, Ordering::SeqCst);
        while self.wanted.load(Ordering::SeqCst) {
            let Some(mut wire) = self.wire.try_lock() else {
                // Who has it comes back here.
                return;
            };
            while self.wanted.swap(false, Ordering::SeqCst) {
                match wire.write(&self.outbox, burst) {
                    Ok(Written::AsFarAsPossible) => {}
                    Ok(Written::Burst) => {
                        self.behind.store(true, Ordering::SeqCst);
                        // Whoever is woken, or watches, may want the wire.
                        drop(wire);
                        if let Some(wake) = self.wake.get() {
                            wake();
                        }
                        return;
                    }
                    Err(end) => self.end(end),
                }
            }
        }
    }

    /// Reads what has come. Waits for who writes. To be followed by a flush.
    pub(crate) fn receive(&self) {
        self.behind.store(false, Ordering::SeqCst);
        self.read(&mut self.wire.lock());
    }

    /// Reads what has come, unless somebody else reads or writes.
    pub(crate) fn try_receive(&self) {
        if let Some(mut wire) = self.wire.try_lock() {
            self.read(&mut wire);
        }
        self.flush_if_wanted();
    }

    fn flush_if_wanted(&self) {
        if self.wanted.load(Ordering::SeqCst) {
            self.flush_shortly();
        }
    }

    fn read(&self, wire: &mut Wire) {
        let mut end = None;
        for turn in 0..=GULPS {
            if turn == GULPS {
                self.behind.store(true, Ordering::SeqCst);
                break;
            }
            match wire.read() {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    end = Some(error);
                    break;
                }
            }
        }
        let mut inbox = self.inbox.lock();
        if !wire.came.is_empty() || end.is_some() {
            self.news.store(true, Ordering::Release);
        }
        if !wire.came.is_empty() {
            inbox.heard = Instant::now();
            if inbox.bytes.is_empty() {
                std::mem::swap(&mut inbox.bytes, &mut wire.came);
            } else {
                inbox.bytes.append(&mut wire.came);
            }
        }
        if let Some(end) = end {
            inbox.end.get_or_insert(end);
        }
    }

    /// Lets the other side have said `bytes`.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn pretend(&self, bytes: &[u8]) {
        self.inbox.lock().bytes.extend_from_slice(bytes);
    }

    /// Takes what was decrypted, in exchange for an empty vector.
    pub(crate) fn take(&self, into: &mut Vec<u8>) {
        let mut inbox = self.inbox.lock();
        self.news.store(false, Ordering::Release);
        std::mem::swap(&mut inbox.bytes, into);
    }

    /// Whether there is something to take, or to learn of its end.
    pub(crate) fn has_news(&self) -> bool {
        self.news.load(Ordering::Acquire)
    }

    /// Whether the socket may have more than was read.
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    /// When the other side was last heard.
    pub(crate) fn heard(&self) -> Instant {
        self.inbox.lock().heard
    }

    /// Why it is of no use any more, if it is not.
    pub(crate) fn ended(&self) -> Option<LinkEnd> {
        self.inbox.lock().end.clone()
    }

    fn end(&self, end: LinkEnd) {
        let mut inbox = self.inbox.lock();
        inbox.end.get_or_insert(end);
        self.news.store(true, Ordering::Release);
    }

    /// Tells the other side why it is not worked for, and closes.
    pub(crate) fn refuse(&self, reason: &str) {
        let fault = FromExecutor::fault(reason);
        if let Err(error) = self.outbox.lock().send(|out| fault.encode(out)) {
            tracing::debug!(%error, "nothing is said at parting");
        }
        self.close();
    }

    /// Says goodbye, as far as the socket takes it, and closes both directions.
    pub(crate) fn close(&self) {
        self.end(LinkEnd::Ours);
        let mut wire = self.wire.lock();
        let _ = wire.write(&self.outbox, BURST);
        wire.connection.send_close_notify();
        let _ = wire.write(&self.outbox, 0);
        let _ = wire.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Wire {
    /// Reads once; false if nothing is there.
    fn read(&mut self) -> Result<bool, LinkEnd> {
        self.raw.resize(GULP, 0);
        let len = loop {
            match self.stream.read(&mut self.raw) {
                Ok(0) => return Err(LinkEnd::Closed),
                Ok(len) => break len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        };
        let mut input = self.raw.get(..len).unwrap_or_default();
        while !input.is_empty() {
            self.connection.read_tls(&mut input)?;
            let decrypted = decrypt(&mut self.connection, &mut self.came);
            if decrypted.is_err() {
                // The other side is to learn why.
                let _ = self.connection.write_tls(&mut *self.stream);
            }
            decrypted?;
        }
        Ok(true)
    }

    /// Writes until the outbox is empty, the socket full or it is the turn of others.
    fn write(&mut self, outbox: &Mutex<Outbox>, burst: usize) -> Result<Written, LinkEnd> {
        let mut written = 0;
        loop {
            while self.connection.wants_write() {
                match self.connection.write_tls(&mut *self.stream) {
                    Ok(len) => written += len,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return Ok(Written::AsFarAsPossible);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if written >= burst {
                return Ok(Written::Burst);
            }
            self.plain.clear();
            outbox.lock().next(&mut self.plain);
            if self.plain.is_empty() {
                return Ok(Written::AsFarAsPossible);
            }
            self.connection.writer().write_all(&self.plain)?;
        }
    }
}

/// The address of who is at the other end, unless that is on this machine, or gone.
fn elsewhere(stream: &std::net::TcpStream) -> Option<IpAddr> {
    let own = stream.local_addr().ok()?.ip().to_canonical();
    let peer = stream.peer_addr().ok()?.ip().to_canonical();
    (own != peer && !peer.is_loopback()).then_some(peer)
}

/// Decrypts what was read, and appends it to `into`.
fn decrypt(connection: &mut Connection, into: &mut Vec<u8>) -> Result<(), LinkEnd> {
    let state = connection.process_new_packets().map_err(LinkEnd::Tls)?;
    let plain = state.plaintext_bytes_to_read() as u64;
    connection.reader().take(plain).read_to_end(into)?;
    if state.peer_has_closed() {
        return Err(LinkEnd::Closed);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
