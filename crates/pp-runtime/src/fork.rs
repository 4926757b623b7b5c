//! What must happen around `os.fork()` in a client.
//!
//! A forked child inherits the client's descriptors. If it kept the sockets to
//! the workers open, they would not notice the death of the client. So the child
//! closes them, and each engine can tell that it now lives in the wrong process.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sync::{Mutex, MutexGuard};

/// Descriptors that a forked child must close.
static SOCKETS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Counts forks on the way from the first process to this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Counts the children that this process was forked into.
static COUNT: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// Held across the fork, so that the child finds the list whole.
    static HELD: RefCell<Option<MutexGuard<'static, Vec<i32>>>> = const { RefCell::new(None) };
}

/// The number of forks between the first process and this one. What was made
/// under another number belongs to another process.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// How many children this process was forked into. While the number stays the same,
/// nobody else can have come to look at this process's memory.
pub fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// To be called before a fork, in the forking thread.
pub fn before_fork() {
    // Here and afterwards: memory may be mapped in between.
    COUNT.fetch_add(1, Ordering::Relaxed);
    HELD.with(|held| *held.borrow_mut() = Some(SOCKETS.lock()));
}

/// To be called after a fork, in the parent's forking thread.
pub fn after_fork_in_parent() {
    COUNT.fetch_add(1, Ordering::Relaxed);
    HELD.with(|held| held.borrow_mut().take());
}

/// To be called after a fork, in the child.
pub fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    HELD.with(|held| {
        if let Some(mut sockets) = held.borrow_mut().take() {
            for socket in sockets.drain(..) {
                close::inherited(socket);
            }
        }
    });
}

/// A socket that no forked child keeps, whoever has it by then.
#[derive(Debug)]
pub(crate) struct Unshared<S> {
    // Dropped before the socket: its number may be another's right after it is closed.
    entry: Entry,
    socket: S,
}

#[cfg(unix)]
pub(crate) use std::os::fd::AsRawFd as Descriptor;
#[cfg(windows)]
pub(crate) use std::os::windows::io::AsRawSocket as Descriptor;

impl<S: Descriptor> Unshared<S> {
    /// A socket that exists already.
    pub(crate) fn new(socket: S) -> Self {
        #[cfg(unix)]
        close_in_children(&socket);
        Self {
            entry: Entry::of(&socket),
            socket,
        }
    }

    /// Has a socket made, between two forks. `make` must not wait.
    pub(crate) fn make<E>(make: impl FnOnce() -> Result<S, E>) -> Result<Self, E> {
        #[cfg(unix)]
        let mut known = SOCKETS.lock();
        let socket = make()?;
        #[cfg(unix)]
        known.push(socket.as_raw_fd());
        Ok(Self {
            entry: Entry::of(&socket),
            socket,
        })
    }

    /// The same socket as another type has it.
    pub(crate) fn convert<T, E>(
        self,
        convert: impl FnOnce(S) -> Result<T, E>,
    ) -> Result<Unshared<T>, E> {
        let socket = convert(self.socket)?;
        Ok(Unshared {
            entry: self.entry,
            socket,
        })
    }
}

impl<S> std::ops::Deref for Unshared<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.socket
    }
}

impl<S> std::ops::DerefMut for Unshared<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.socket
    }
}

/// A place in the list.
#[derive(Debug)]
#[cfg(unix)]
struct Entry(i32);

#[cfg(unix)]
impl Entry {
    fn of(socket: &impl Descriptor) -> Self {
        Self(socket.as_raw_fd())
    }
}

#[cfg(unix)]
impl Drop for Entry {
    fn drop(&mut self) {
        SOCKETS.lock().retain(|&known| known != self.0);
    }
}

/// There is no fork here.
#[derive(Debug)]
#[cfg(not(unix))]
struct Entry;

#[cfg(not(unix))]
impl Entry {
    fn of(_socket: &impl Descriptor) -> Self {
        Self
    }
}

/// Adds a socket to those that a forked child closes.
#[cfg(unix)]
pub(crate) fn close_in_children(socket: &impl std::os::fd::AsRawFd) {
    SOCKETS.lock().push(socket.as_raw_fd());
}

/// The socket is about to be closed here.
#[cfg(unix)]
pub(crate) fn forget_socket(socket: &impl std::os::fd::AsRawFd) {
    let fd = socket.as_raw_fd();
    SOCKETS.lock().retain(|&known| known != fd);
}

#[allow(unsafe_code)]
mod close {
    /// Closes a descriptor that this forked child inherited.
    #[cfg(unix)]
    pub(super) fn inherited(fd: i32) {
        use std::os::fd::{FromRawFd, OwnedFd};
        // SAFETY: the parent listed the descriptor as open under the lock that
        // was held across the fork. In the child its Rust owner is never used
        // or dropped: each engine checks `generation` first.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }

    /// There is no fork here.
    #[cfg(not(unix))]
    pub(super) fn inherited(_fd: i32) {}
}
