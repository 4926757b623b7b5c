//! What lies at another machine, and comes here when it is needed.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use pp_proto::Ticket;

use super::part::Part;
use crate::fork;
use crate::sync::Mutex;

/// Where something lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Home {
    /// The node, as the scheduler calls it.
    pub(crate) node: u64,
    /// What the node calls it.
    pub(crate) segment: u64,
    /// What it gives it to other nodes for.
    pub(crate) ticket: Ticket,
    /// Where other nodes find it.
    pub(crate) place: Option<SocketAddr>,
}

/// A part that a node keeps.
pub struct Away {
    /// What its content is called here.
    name: u64,
    home: Home,
    size: u64,
    /// The same, once it was brought here.
    content: OnceLock<Part>,
    is_lost: AtomicBool,
    discards: Arc<Discards>,
    generation: u32,
}

impl std::fmt::Debug for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Away")
            .field("name", &self.name)
            .field("home", &self.home)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Away {
    /// What is at `home` and has `size` bytes. Its name is given to nothing else.
    pub(crate) fn new(name: u64, home: Home, size: u64, discards: Arc<Discards>) -> Self {
        Self {
            name,
            home,
            size,
            content: OnceLock::new(),
            is_lost: AtomicBool::new(false),
            discards,
            generation: fork::generation(),
        }
    }

    pub(crate) fn name(&self) -> u64 {
        self.name
    }

    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The same here, if it was brought.
    pub(crate) fn content(&self) -> Option<&Part> {
        self.content.get()
    }

    /// It has been brought.
    pub(crate) fn bring(&self, content: Part) {
        // Only the first counts: both are the same.
        let _ = self.content.set(content);
    }

    /// Its node is gone.
    pub(crate) fn lose(&self) {
        self.is_lost.store(true, Ordering::Release);
    }

    /// Whether it is neither here nor there.
    pub(crate) fn is_lost(&self) -> bool {
        self.content.get().is_none() && self.is_lost.load(Ordering::Acquire)
    }

    pub(super) fn here(&self) -> io::Result<&Part> {
        self.content().ok_or_else(|| {
            let text = "it lies at a node, and was not brought before the server ended";
            io::Error::new(io::ErrorKind::NotFound, text)
        })
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        // In a forked child somebody may have the lock for ever, and it is the parent's.
        let is_ours = self.generation == fork::generation();
        if is_ours && !*self.is_lost.get_mut() {
            self.discards.add(Discard {
                name: self.name,
                home: self.home,
            });
        }
    }
}

/// Something that a node need not keep any longer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Discard {
    /// What it was called here.
    pub(crate) name: u64,
    pub(crate) home: Home,
}

/// What nodes keep and nobody needs any more: they are still to be told.
#[derive(Debug, Default)]
pub(crate) struct Discards {
    list: Mutex<Vec<Discard>>,
    is_any: AtomicBool,
}

impl Discards {
    fn add(&self, discard: Discard) {
        self.list.lock().push(discard);
        self.is_any.store(true, Ordering::Release);
    }

    /// Takes all of it out.
    pub(crate) fn take(&self) -> Vec<Discard> {
        if !self.is_any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut list = self.list.lock();
        self.is_any.store(false, Ordering::Release);
        std::mem::take(&mut *list)
    }
}
