//! Where shared memory comes from: anonymous files that vanish with their users.

use std::fs::File;
use std::io;

/// Makes the file behind a segment.
///
/// It has no name that could be left behind: on Linux a sealed memfd, on other
/// Unixes a POSIX shared memory object that is unlinked at once, on Windows a
/// temporary file that the system deletes with its last handle.
pub(crate) struct Backing;

#[cfg(target_os = "linux")]
impl Backing {
    /// A file of exactly `len` zero bytes whose size nobody can change any more. `name`
    /// is for people who look at what a process has mapped.
    pub(crate) fn create(name: &str, len: usize) -> io::Result<File> {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

        let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, len as u64)?;
        // A worker that shrank the file would kill the client with SIGBUS.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(File::from(fd))
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
impl Backing {
    /// A file of exactly `len` zero bytes without a name.
    pub(crate) fn create(_name: &str, len: usize) -> io::Result<File> {
        use std::sync::atomic::{AtomicU32, Ordering};

        use rustix::fs::{Mode, ftruncate};
        use rustix::shm::{OFlags, open, unlink};

        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        // macOS allows 31 characters at the most.
        let name = format!("/pp-{:x}-{number:x}", std::process::id());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
        let fd = open(&name, flags, Mode::RUSR | Mode::WUSR)?;
        unlink(&name)?;
        ftruncate(&fd, len as u64)?;
        Ok(File::from(fd))
    }
}

#[cfg(windows)]
impl Backing {
    /// A temporary file of `len` zero bytes, deleted with its last handle, and
    /// the path by which the worker opens it.
    pub(crate) fn create_named(len: usize) -> io::Result<(File, std::path::PathBuf)> {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!("pp-ring-{:032x}", u128::from_le_bytes(random));
        let path = std::env::temp_dir().join(name);
        let file = Self::open_named(&path, true)?;
        file.set_len(len as u64)?;
        Ok((file, path))
    }

    /// Opens the file at `path`; it vanishes when client and worker have closed it.
    pub(crate) fn open_named(path: &std::path::Path, create: bool) -> io::Result<File> {
        use std::os::windows::fs::OpenOptionsExt;

        const FILE_ATTRIBUTE_TEMPORARY: u32 = 0x100;
        const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;
        const FILE_SHARE_READ_WRITE_DELETE: u32 = 0x7;
        std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(create)
            .share_mode(FILE_SHARE_READ_WRITE_DELETE)
            .attributes(FILE_ATTRIBUTE_TEMPORARY)
            .custom_flags(FILE_FLAG_DELETE_ON_CLOSE)
            .open(path)
    }
}
