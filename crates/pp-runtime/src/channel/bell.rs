//! The doorbell: a socket whose bytes mean nothing but "look at your ring".
//!
//! It doubles as the life line. When one side's process ends, however it ends,
//! the other side reads end-of-file.

use std::io::{self, Read, Write};

#[cfg(windows)]
pub(crate) use mio::net::TcpStream as ParentStream;
#[cfg(unix)]
pub(crate) use mio::net::UnixStream as ParentStream;

#[cfg(windows)]
pub(crate) use std::net::TcpStream as WorkerStream;
#[cfg(unix)]
pub(crate) use std::os::unix::net::UnixStream as WorkerStream;

use crate::fork::Unshared;

/// The socket to the other side is gone.
#[derive(Debug, thiserror::Error)]
pub enum BellLost {
    /// The other process has ended or closed its end.
    #[error("the other side has gone")]
    PeerGone,
    /// This process no longer has the descriptor that it opened.
    #[error("descriptor {0} is no longer the socket of this worker: a job closed or replaced it")]
    Replaced(i64),
    /// A descriptor that the client has sent is not in the socket any more.
    #[error("a job has read from the socket of this worker what was not meant for it")]
    Stolen,
    /// The operating system refused.
    #[error("socket failed: {0}")]
    Io(#[from] io::Error),
}

/// The client's end; never blocks.
#[derive(Debug)]
pub(crate) struct ParentBell {
    stream: Unshared<ParentStream>,
    /// A second connection on which nothing is ever sent: where a hang-up cannot be
    /// waited for beside a reader, the watchdog reads this one.
    #[cfg(windows)]
    _life_line: WorkerStream,
}

impl ParentBell {
    #[cfg(unix)]
    pub(crate) fn new(stream: ParentStream) -> Self {
        Self {
            stream: Unshared::new(stream),
        }
    }

    #[cfg(windows)]
    pub(crate) fn new(stream: ParentStream, life_line: WorkerStream) -> Self {
        Self {
            stream: Unshared::new(stream),
            _life_line: life_line,
        }
    }

    /// What the poll watches.
    pub(crate) fn source(&mut self) -> &mut ParentStream {
        &mut self.stream
    }

    /// Wakes the worker. A worker that has gone is noticed elsewhere.
    pub(crate) fn ring(&mut self) {
        // A full socket already holds more rings than anybody needs.
        let _ = self.stream.write(&[1]);
    }

    /// Puts a descriptor into the socket; false if there is no room for it at the moment.
    #[cfg(unix)]
    pub(crate) fn send(&mut self, file: &std::fs::File) -> bool {
        super::descriptors::send(&*self.stream, file).is_ok()
    }

    /// Takes all rings off the socket; false once the worker's end is closed.
    pub(crate) fn drain(&mut self) -> bool {
        let mut rings = [0u8; 256];
        loop {
            match self.stream.read(&mut rings) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
    }
}

/// The worker's end; waits in a blocking read.
#[derive(Debug)]
pub(crate) struct WorkerBell {
    stream: WorkerStream,
    /// Descriptors that have come, in order.
    #[cfg(unix)]
    descriptors: std::collections::VecDeque<std::os::fd::OwnedFd>,
    #[cfg(windows)]
    life_line: WorkerStream,
    identity: Identity,
}

impl WorkerBell {
    #[cfg(unix)]
    pub(crate) fn new(stream: WorkerStream) -> io::Result<Self> {
        let identity = Identity::of(&stream)?;
        Ok(Self {
            stream,
            descriptors: std::collections::VecDeque::new(),
            identity,
        })
    }

    #[cfg(windows)]
    pub(crate) fn new(stream: WorkerStream, life_line: WorkerStream) -> io::Result<Self> {
        let identity = Identity::of(&stream)?;
        Ok(Self {
            stream,
            life_line,
            identity,
        })
    }

    /// A handle to a socket that ends with the client, for the watchdog.
    pub(crate) fn life_line(&self) -> io::Result<WorkerStream> {
        #[cfg(unix)]
        return self.stream.try_clone();
        #[cfg(windows)]
        return self.life_line.try_clone();
    }

    /// Wakes the client.
    pub(crate) fn ring(&mut self) -> Result<(), BellLost> {
        self.identity.check(&self.stream)?;
        match self.stream.write(&[1]) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => self.ring(),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(BellLost::PeerGone),
            Err(e) => Err(e.into()),
        }
    }

    /// Sleeps until the client rings. `Ok(false)`: a signal came first.
    pub(crate) fn wait(&mut self) -> Result<bool, BellLost> {
        self.identity.check(&self.stream)?;
        match self.read() {
            Ok(0) => Err(BellLost::PeerGone),
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Err(BellLost::PeerGone),
            Err(e) => Err(e.into()),
        }
    }

    #[cfg(unix)]
    fn read(&mut self) -> io::Result<usize> {
        super::descriptors::receive(&self.stream, true, &mut self.descriptors)
    }

    #[cfg(windows)]
    fn read(&mut self) -> io::Result<usize> {
        self.stream.read(&mut [0u8; 256])
    }

    /// The next descriptor. The client puts it into the socket before it speaks of it, so
    /// one that is not there never comes: a job has taken it.
    #[cfg(unix)]
    pub(crate) fn descriptor(&mut self) -> Result<std::fs::File, BellLost> {
        while self.descriptors.is_empty() {
            self.identity.check(&self.stream)?;
            match super::descriptors::receive(&self.stream, false, &mut self.descriptors) {
                Ok(0) => return Err(BellLost::PeerGone),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e.into()),
                _ => {}
            }
        }
        let next = self.descriptors.pop_front();
        next.map(std::fs::File::from).ok_or(BellLost::Stolen)
    }
}

/// Tells whether a descriptor number still means the same socket. User code may
/// close every descriptor it finds and open files that get the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

impl Identity {
    #[cfg(unix)]
    #[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)] // st_dev differs by platform
    fn of(stream: &WorkerStream) -> io::Result<Self> {
        let stat = rustix::fs::fstat(stream)?;
        Ok(Self {
            device_and_inode: (stat.st_dev as u64, stat.st_ino as u64),
        })
    }

    /// Handles are not small numbers that user code closes in a loop.
    #[cfg(windows)]
    #[allow(clippy::unnecessary_wraps)]
    fn of(_stream: &WorkerStream) -> io::Result<Self> {
        Ok(Self {})
    }

    fn check(self, stream: &WorkerStream) -> Result<(), BellLost> {
        match Self::of(stream) {
            Ok(found) if found == self => Ok(()),
            _ => Err(BellLost::Replaced(descriptor(stream))),
        }
    }
}

#[cfg(unix)]
fn descriptor(stream: &WorkerStream) -> i64 {
    use std::os::fd::AsRawFd;
    i64::from(stream.as_raw_fd())
}

#[cfg(windows)]
fn descriptor(stream: &WorkerStream) -> i64 {
    use std::os::windows::io::AsRawSocket;
    i64::try_from(stream.as_raw_socket()).unwrap_or(-1)
}
