//! A segment whose content comes bit by bit.

use std::io;
use std::sync::Arc;

use super::memory::{Region, Span};
use super::pool::{Lease, Pool};

/// Less is not worth a segment: the same as for what a client puts into one.
const LEAST: u64 = 128 * 1024;

/// A leased segment that is being written to, from its beginning on.
#[derive(Debug)]
pub(crate) struct Filling {
    lease: Lease,
    size: u64,
}

impl Pool {
    /// A segment to be filled with `size` bytes. `None` if there is no room, or if it is
    /// not worth a segment; the user was told.
    pub(crate) fn fill(self: &Arc<Self>, size: u64) -> Option<Filling> {
        if size < LEAST {
            return None;
        }
        match self.take(size) {
            Ok(lease) => Some(Filling { lease, size }),
            Err(reason) => {
                self.complain(&reason);
                None
            }
        }
    }
}

impl Filling {
    /// Writes the bytes that follow the first `received`.
    ///
    /// # Errors
    /// There is no memory for them.
    pub(crate) fn write(&self, received: u64, bytes: &[u8]) -> io::Result<()> {
        self.lease.file().write(received, Span::of(bytes))?;
        self.lease.file().warmed(received + bytes.len() as u64);
        Ok(())
    }

    /// A copy of the first `received` bytes.
    ///
    /// # Errors
    /// They cannot be mapped.
    pub(crate) fn written(&self, received: u64) -> io::Result<Vec<u8>> {
        let len = usize::try_from(received).map_err(|_| io::ErrorKind::OutOfMemory)?;
        if len == 0 {
            return Ok(Vec::new());
        }
        let mapping = Arc::new(self.lease.file().view(len)?);
        Ok(Region::of_mapping(&mapping, false, ()).as_ref().to_vec())
    }

    /// It is full.
    pub(crate) fn finish(self) -> Arc<Lease> {
        self.lease.holds(self.size);
        Arc::new(self.lease)
    }
}
