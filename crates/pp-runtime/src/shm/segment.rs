//! A mapped piece of shared memory: the only module that touches it by pointer.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

/// A shared mapping of fixed length, readable and writable by both processes.
#[derive(Debug)]
pub(crate) struct Segment {
    map: MmapRaw,
}

impl Segment {
    /// Maps the first `len` bytes of `file`, which must be at least that long.
    pub(crate) fn map(file: &File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).map_raw(file)?;
        // A forked child must not hold, and cannot use, its parent's rings.
        #[cfg(target_os = "linux")]
        map.advise(memmap2::Advice::DontFork)?;
        Ok(Self { map })
    }

    /// The 8-byte word at byte `offset`.
    ///
    /// # Panics
    ///
    /// If `offset` is misaligned or out of range: offsets are constants of the
    /// layout, never input.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(
            offset.is_multiple_of(8) && offset + 8 <= self.map.len(),
            "word at {offset} lies outside the segment"
        );
        let word = self.at(offset);
        // SAFETY: the pointer is in bounds and aligned (asserted above; the map
        // is page-aligned) and lives as long as `self`. All access to this
        // word, here and in the other process, is atomic.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// Copies `bytes` into the segment at `offset`.
    pub(crate) fn copy_in(&self, offset: usize, bytes: &[u8]) {
        self.check(offset, bytes.len());
        let target = self.at(offset);
        // SAFETY: the range is in bounds (checked above), `bytes` is private
        // memory and cannot overlap the map. The ring protocol gives this range
        // to one writer at a time; a peer that breaks the protocol can only
        // change the values of plain bytes, which nobody trusts.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }

    /// Appends `len` bytes at `offset` to `out`.
    pub(crate) fn copy_out(&self, offset: usize, len: usize, out: &mut Vec<u8>) {
        self.check(offset, len);
        out.reserve(len);
        let source = self.at(offset);
        let spare = out.spare_capacity_mut().as_mut_ptr();
        // SAFETY: the source range is in bounds (checked above), the
        // destination was reserved, and the two cannot overlap. Any byte value
        // is valid for `u8`, so a racing peer can spoil data but not soundness.
        unsafe { std::ptr::copy_nonoverlapping(source, spare.cast::<u8>(), len) };
        let filled = out.len() + len;
        // SAFETY: these bytes were reserved and initialised above.
        unsafe { out.set_len(filled) };
    }

    /// The byte at `offset`, which the caller has checked.
    fn at(&self, offset: usize) -> *mut u8 {
        self.map.as_mut_ptr().wrapping_add(offset)
    }

    fn check(&self, offset: usize, len: usize) {
        assert!(
            offset
                .checked_add(len)
                .is_some_and(|end| end <= self.map.len()),
            "range {offset}+{len} lies outside the segment"
        );
    }
}
