//! Where a worker makes private copies of a segment from.

use std::fs::File;

use super::memory::Mapping;

/// A descriptor of a segment, for reading only: what a job writes to every descriptor
/// that it finds cannot hit the segment.
#[derive(Debug)]
pub(super) struct Source {
    file: Option<File>,
    inode: u64,
}

impl Source {
    /// A descriptor of its own for `file`, if the system gives one.
    pub(super) fn reopen(file: &File) -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use std::os::fd::AsRawFd;
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            let file = File::open(path).ok()?;
            let inode = inode(&file)?;
            let file = Some(file);
            Some(Self { file, inode })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = file;
            None
        }
    }

    /// A private copy, of which pages are copied as they are written to. `None` if the
    /// system refuses, or if a job has closed the descriptor.
    pub(super) fn private_copy(&self, len: usize) -> Option<Mapping> {
        let file = self.file.as_ref().filter(|_| self.is_whole())?;
        Mapping::private(file, len).ok()
    }

    /// Whether the descriptor's number still means the same file.
    fn is_whole(&self) -> bool {
        self.file.as_ref().and_then(inode) == Some(self.inode)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if !self.is_whole() {
            // A job has closed it; by now the number may be that of a file of its own.
            std::mem::forget(self.file.take());
        }
    }
}

#[cfg(unix)]
fn inode(file: &File) -> Option<u64> {
    rustix::fs::fstat(file)
        .ok()
        .map(|stat| super::file::inode_of(&stat))
}

#[cfg(not(unix))]
fn inode(_file: &File) -> Option<u64> {
    None
}
