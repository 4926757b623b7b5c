//! What must happen around a fork of the client.
//!
//! A forked child inherits the client's descriptors. If it kept the sockets to
//! the workers open, they would not notice the death of the client. So the child
//! closes them, and each engine can tell that it now lives in the wrong process.
//!
//! All of it is done by hooks of the C library, which are the innermost: no other code of the
//! program, such as Python's own hooks, runs between them and the fork, with our locks held or
//! in a child that does not know yet what it is.

mod unshared;

#[cfg(unix)]
use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(unix)]
use crate::sync::{Mutex, MutexGuard};

pub(crate) use unshared::Unshared;

/// Descriptors that a forked child must close.
#[cfg(unix)]
static SOCKETS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// Counts forks on the way from the first process to this one.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Counts the children that this process was forked into.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// What else is to be held still for a fork, and let go afterwards, on both sides.
static OTHERS: OnceLock<Hooks> = OnceLock::new();

type Hooks = (fn(), fn());

#[cfg(unix)]
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

/// Sees to what must happen around forks from now on. Before each of them `hold` is called,
/// and afterwards `let_go`, in parent and child; neither may wait for anything but a lock that
/// is never held for long, nor allocate. Only the first call counts.
///
/// # Errors
/// The system has no memory for it.
pub fn watch(hold: fn(), let_go: fn()) -> std::io::Result<()> {
    if OTHERS.set((hold, let_go)).is_ok() {
        hooks::install()?;
    }
    Ok(())
}

#[cfg(unix)]
fn before_fork() {
    if let Some((hold, _)) = OTHERS.get() {
        hold();
    }
    // Here and afterwards: memory may be mapped in between.
    COUNT.fetch_add(1, Ordering::Relaxed);
    // A thread that is ending has no such place any more; then nothing is held.
    let _ = HELD.try_with(|held| *held.borrow_mut() = Some(SOCKETS.lock()));
}

#[cfg(unix)]
fn after_fork_in_parent() {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let _ = HELD.try_with(|held| held.borrow_mut().take());
    if let Some((_, let_go)) = OTHERS.get() {
        let_go();
    }
}

#[cfg(unix)]
fn after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    let _ = HELD.try_with(|held| {
        if let Some(mut sockets) = held.borrow_mut().take() {
            for socket in sockets.drain(..) {
                close::inherited(socket);
            }
        }
    });
    if let Some((_, let_go)) = OTHERS.get() {
        let_go();
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

#[cfg(unix)]
#[allow(unsafe_code)]
mod hooks {
    use std::io;

    extern "C" fn before() {
        super::before_fork();
    }

    extern "C" fn in_parent() {
        super::after_fork_in_parent();
    }

    extern "C" fn in_child() {
        super::after_fork_in_child();
    }

    /// Lets the C library call us around each fork.
    pub(super) fn install() -> io::Result<()> {
        // SAFETY: the three functions live as long as this library, which is never
        // unloaded, and unwind into nothing: they cannot panic.
        match unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) } {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// There is no fork here.
#[cfg(not(unix))]
mod hooks {
    pub(super) fn install() -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
#[allow(unsafe_code)]
mod close {
    use std::os::fd::{FromRawFd, OwnedFd};

    /// Closes a descriptor that this forked child inherited.
    pub(super) fn inherited(fd: i32) {
        // SAFETY: the parent listed the descriptor as open under the lock that
        // was held across the fork. In the child its Rust owner is never used
        // or dropped: each engine checks `generation` first.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }
}
