//! Sockets that no forked child keeps open.

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
        super::close_in_children(&socket);
        Self {
            entry: Entry::of(&socket),
            socket,
        }
    }

    /// Has a socket made, between two forks. `make` must not wait.
    pub(crate) fn make<E>(make: impl FnOnce() -> Result<S, E>) -> Result<Self, E> {
        #[cfg(unix)]
        let mut known = super::SOCKETS.lock();
        let socket = make()?;
        #[cfg(unix)]
        known.push(socket.as_raw_fd());
        Ok(Self {
            entry: Entry::of(&socket),
            socket,
        })
    }

    /// The same socket as another type has it. `convert` must not wait.
    pub(crate) fn convert<T, E>(
        self,
        convert: impl FnOnce(S) -> Result<T, E>,
    ) -> Result<Unshared<T>, E> {
        let Self { entry, socket } = self;
        match entry.keep_while(|| convert(socket)) {
            Ok((entry, socket)) => Ok(Unshared { entry, socket }),
            Err(error) => Err(error),
        }
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

    /// Stays if `make` succeeds; else the socket is closed by now, and its number may be
    /// another's as soon as the list is let go.
    fn keep_while<T, E>(self, make: impl FnOnce() -> Result<T, E>) -> Result<(Self, T), E> {
        let mut known = super::SOCKETS.lock();
        match make() {
            Ok(socket) => Ok((self, socket)),
            Err(error) => {
                known.retain(|&known| known != self.0);
                drop(known);
                std::mem::forget(self);
                Err(error)
            }
        }
    }
}

#[cfg(unix)]
impl Drop for Entry {
    fn drop(&mut self) {
        super::SOCKETS.lock().retain(|&known| known != self.0);
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

    fn keep_while<T, E>(self, make: impl FnOnce() -> Result<T, E>) -> Result<(Self, T), E> {
        Ok((self, make()?))
    }
}
