//! Tells a process from its forks, at the price of one load.
//!
//! A worker asks after each job whether it is still itself. Asking the kernel each time
//! shows in the profile of small jobs.

#[cfg(target_os = "linux")]
use std::io;
use std::process;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU64, Ordering};

/// Knows whether the process that made it is the one that asks.
#[derive(Debug)]
pub(crate) struct Lineage {
    pid: u32,
    /// A page that the kernel hands on to forked children as zeroes.
    #[cfg(target_os = "linux")]
    mark: Option<memmap2::MmapRaw>,
}

impl Lineage {
    /// That of this process.
    pub(crate) fn of_this_process() -> Self {
        Self {
            pid: process::id(),
            #[cfg(target_os = "linux")]
            mark: marked_page().ok(),
        }
    }

    /// Whether this process is a fork of the one that made this.
    #[inline]
    pub(crate) fn is_fork(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(mark) = &self.mark {
            return word(mark).load(Ordering::Relaxed) == 0;
        }
        process::id() != self.pid
    }
}

#[cfg(target_os = "linux")]
fn marked_page() -> io::Result<memmap2::MmapRaw> {
    use rustix::mm::{Advice, madvise};

    let page = memmap2::MmapRaw::from(memmap2::MmapOptions::new().len(8).map_anon()?);
    let pointer = page.as_mut_ptr();
    // SAFETY: the range is a private anonymous mapping of our own; the advice changes
    // what a forked child finds in it, nothing here.
    unsafe { madvise(pointer.cast(), page.len(), Advice::LinuxWipeOnFork)? };
    word(&page).store(1, Ordering::Relaxed);
    Ok(page)
}

#[cfg(target_os = "linux")]
fn word(page: &memmap2::MmapRaw) -> &AtomicU64 {
    // SAFETY: the mapping is page-aligned, has 8 bytes, lives as long as the reference,
    // and is accessed through this function only.
    unsafe { AtomicU64::from_ptr(page.as_mut_ptr().cast()) }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_no_fork_of_itself() {
        let lineage = Lineage::of_this_process();
        assert!(!lineage.is_fork());
        #[cfg(target_os = "linux")]
        assert!(
            lineage.mark.is_some(),
            "the kernel has known this since 4.14"
        );
    }
}
