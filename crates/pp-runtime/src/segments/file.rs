//! The file behind a segment, in the client.

use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::{Mapping, Span};
use crate::fork;
use crate::sync::Mutex;

/// A file in memory, of fixed length. One that is written to for the first time gets
/// its memory then; when it is used again, that is still there.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    id: u64,
    len: u64,
    #[cfg(unix)]
    inode: u64,
    file: ManuallyDrop<File>,
    /// How many of the first bytes have memory behind them.
    warm: AtomicU64,
    /// For writing to what is warm.
    mapping: Mutex<Option<Arc<Mapping>>>,
    generation: u32,
}

impl SegmentFile {
    #[cfg(unix)]
    pub(super) fn create(id: u64, len: u64) -> io::Result<Self> {
        let size = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let file = crate::shm::Backing::create("pp-data", size)?;
        let stat = rustix::fs::fstat(&file)?;
        fork::close_in_children(&file);
        Ok(Self {
            id,
            len,
            inode: inode_of(&stat),
            file: ManuallyDrop::new(file),
            warm: AtomicU64::new(0),
            mapping: Mutex::new(None),
            generation: fork::generation(),
        })
    }

    /// A descriptor cannot be handed to another process as simply here.
    #[cfg(not(unix))]
    pub(super) fn create(_id: u64, _len: u64) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    #[cfg(unix)]
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    #[cfg(unix)]
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// How many of its first bytes have memory behind them.
    pub(crate) fn warm(&self) -> u64 {
        self.warm.load(Ordering::Acquire)
    }

    /// That many of its first bytes have been written.
    pub(crate) fn warmed(&self, len: u64) {
        self.warm.fetch_max(len.min(self.len), Ordering::AcqRel);
    }

    /// Writes `bytes` to `offset`. Where there is no memory yet, the system is asked to
    /// write: it says when there is none left, where a mapping would end the process.
    pub(super) fn write(&self, offset: u64, bytes: Span<'_>) -> io::Result<()> {
        let warm = self.warm().saturating_sub(offset);
        let (first, rest) = bytes.split_at(usize::try_from(warm).unwrap_or(usize::MAX));
        if !first.is_empty() {
            let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
            if !self.mapping()?.write(start, first) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        write_cold(&self.file, offset + first.len() as u64, rest)
    }

    /// A mapping of what is warm.
    fn mapping(&self) -> io::Result<Arc<Mapping>> {
        let wanted = usize::try_from(self.warm()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut kept = self.mapping.lock();
        if let Some(mapping) = kept.as_ref().filter(|mapping| mapping.len() >= wanted) {
            return Ok(Arc::clone(mapping));
        }
        let mapping = Arc::new(Mapping::writable(&self.file, wanted)?);
        *kept = Some(Arc::clone(&mapping));
        Ok(mapping)
    }

    /// A mapping of the first `len` bytes for reading.
    pub(super) fn view(&self, len: usize) -> io::Result<Mapping> {
        if self.generation != fork::generation() {
            return Err(io::Error::other(
                "this process was forked from the one that has the shared memory",
            ));
        }
        Mapping::read_only(&self.file, len)
    }

    /// A private copy of the first `len` bytes.
    pub(super) fn private_copy(&self, len: usize) -> io::Result<Mapping> {
        if self.generation != fork::generation() {
            return Err(io::Error::other(
                "this process was forked from the one that has the shared memory",
            ));
        }
        Mapping::private(&self.file, len)
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        // In a forked child it was closed at the fork; its number may be another's.
        if self.generation != fork::generation() {
            return;
        }
        #[cfg(unix)]
        fork::forget_socket(&*self.file);
        close::for_good(&mut self.file);
    }
}

#[allow(unsafe_code)]
mod close {
    use std::fs::File;
    use std::mem::ManuallyDrop;

    /// Closes a file that is not used again.
    pub(super) fn for_good(file: &mut ManuallyDrop<File>) {
        // SAFETY: called once, by the destructor of its owner.
        unsafe { ManuallyDrop::drop(file) };
    }
}

/// Writes to where memory has yet to be found.
pub(super) fn write_cold(file: &File, offset: u64, bytes: Span<'_>) -> io::Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::fs::FileExt;
        file.write_all_at(bytes.bytes(), offset)
    }
    // Shared memory objects of other systems cannot be written to but by mapping.
    #[cfg(not(target_os = "linux"))]
    {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mapping = Mapping::writable(file, start + bytes.len())?;
        if mapping.write(start, bytes) {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }
}

/// The number of a file in its file system.
#[cfg(unix)]
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // its type differs by platform
pub(super) fn inode_of(stat: &rustix::fs::Stat) -> u64 {
    stat.st_ino as u64
}
