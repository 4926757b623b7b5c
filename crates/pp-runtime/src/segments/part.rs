//! What goes along with a message, beside its own bytes.

use std::io;
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::away::Away;
use super::memory::Region;
use super::pool::{Lease, Pool};

/// Something that a job needs beside its arguments.
#[derive(Debug, Clone)]
pub enum Part {
    /// It lies in shared memory.
    Shared(Arc<Lease>),
    /// It has to be sent through the line, to each worker once.
    Carried(Arc<Carried>),
    /// It lies at a node.
    Away(Arc<Away>),
}

impl Part {
    /// What is in it, for the user to look at.
    ///
    /// # Errors
    /// The system cannot map it, this is a forked child, or it lies elsewhere.
    pub fn region(&self, writable: bool) -> io::Result<Region> {
        match self {
            Self::Shared(lease) => lease.region(writable),
            Self::Carried(carried) => {
                let region = Region::of_bytes(carried.content().clone());
                if writable {
                    region.to_writable()
                } else {
                    Ok(region)
                }
            }
            Self::Away(away) => away.here()?.region(writable),
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// The system cannot map it, this is a forked child, or it lies elsewhere.
    pub fn content(&self) -> io::Result<Bytes> {
        match self {
            Self::Shared(lease) => lease.content(),
            Self::Carried(carried) => Ok(carried.content().clone()),
            Self::Away(away) => away.here()?.content(),
        }
    }

    /// Whether it lies elsewhere and has to be brought before it can be read.
    pub fn is_away(&self) -> bool {
        self.here().is_none()
    }

    /// What lies elsewhere, if it does; it may have been brought.
    pub(crate) fn away(&self) -> Option<&Arc<Away>> {
        match self {
            Self::Away(away) => Some(away),
            _ => None,
        }
    }

    /// The same as it lies here, if it does.
    pub(crate) fn here(&self) -> Option<&Self> {
        match self {
            Self::Away(away) => away.content(),
            part => Some(part),
        }
    }

    pub(crate) fn id(&self) -> u64 {
        match self {
            Self::Shared(lease) => lease.id(),
            Self::Carried(carried) => carried.id(),
            Self::Away(away) => away.name(),
        }
    }

    /// The name of its content: a segment that is used again gets another one.
    pub(crate) fn content_name(&self) -> u64 {
        match self {
            Self::Shared(lease) => lease.content_name(),
            Self::Carried(carried) => carried.id(),
            Self::Away(away) => away.name(),
        }
    }

    /// Whether nobody else keeps it.
    pub(crate) fn is_alone(&self) -> bool {
        match self {
            Self::Shared(lease) => Arc::strong_count(lease) == 1,
            Self::Carried(carried) => Arc::strong_count(carried) == 1,
            Self::Away(away) => Arc::strong_count(away) == 1,
        }
    }

    /// Does not keep it.
    pub(crate) fn downgrade(&self) -> WeakPart {
        match self {
            Self::Shared(lease) => WeakPart::Shared(Arc::downgrade(lease)),
            Self::Carried(carried) => WeakPart::Carried(Arc::downgrade(carried)),
            Self::Away(away) => WeakPart::Away(Arc::downgrade(away)),
        }
    }
}

/// A part that others may still keep.
#[derive(Debug)]
pub(crate) enum WeakPart {
    Shared(Weak<Lease>),
    Carried(Weak<Carried>),
    Away(Weak<Away>),
}

impl WeakPart {
    /// The part, if somebody keeps it.
    pub(crate) fn upgrade(&self) -> Option<Part> {
        match self {
            Self::Shared(lease) => lease.upgrade().map(Part::Shared),
            Self::Carried(carried) => carried.upgrade().map(Part::Carried),
            Self::Away(away) => away.upgrade().map(Part::Away),
        }
    }

    /// Whether nobody keeps it.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Shared(lease) => lease.strong_count() == 0,
            Self::Carried(carried) => carried.strong_count() == 0,
            Self::Away(away) => away.strong_count() == 0,
        }
    }
}

/// What cannot lie in shared memory. Workers forget it when it is dropped.
#[derive(Debug)]
pub struct Carried {
    id: u64,
    content: Bytes,
    pool: Arc<Pool>,
}

impl Carried {
    pub(crate) fn new(pool: &Arc<Pool>, content: Bytes) -> Self {
        Self {
            id: pool.name_carried(),
            content,
            pool: Arc::clone(pool),
        }
    }

    /// Whether something with this name is carried, and no segment.
    pub(crate) fn is_name(id: u64) -> bool {
        id > u64::MAX / 2
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn content(&self) -> &Bytes {
        &self.content
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.pool.drop_carried(self.id);
    }
}
