//! Memory that several processes see: the only module here that goes by pointers.

use std::fmt;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};

use crate::fork;

/// Bytes to be copied from somewhere, such as an array that its owner may be changing
/// meanwhile.
#[derive(Clone, Copy)]
pub struct Span<'a> {
    start: *const u8,
    len: usize,
    _lent: PhantomData<&'a [u8]>,
}

// SAFETY: a span only allows to read bytes that live as long as it does; whoever made
// it vouches that they may be read from any thread.
unsafe impl Send for Span<'_> {}
// SAFETY: as above; nothing is changed through a span.
unsafe impl Sync for Span<'_> {}

impl<'a> Span<'a> {
    /// Bytes of our own.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self {
            start: bytes.as_ptr(),
            len: bytes.len(),
            _lent: PhantomData,
        }
    }

    /// Bytes of somebody else's.
    ///
    /// # Safety
    ///
    /// `start` is valid for reads of `len` bytes for as long as `'a`. Others may write
    /// there meanwhile; what is copied is then a mixture, as their race deserves.
    pub unsafe fn foreign(start: *const u8, len: usize) -> Self {
        Self {
            start,
            len,
            _lent: PhantomData,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where they lie.
    pub fn address(&self) -> usize {
        self.start.addr()
    }

    /// Appends them to `out`.
    pub(crate) fn append_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.bytes());
    }

    /// The two parts before and after byte `at`.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        let at = at.min(self.len);
        let head = Self { len: at, ..self };
        let tail = Self {
            start: self.start.wrapping_add(at),
            len: self.len - at,
            ..self
        };
        (head, tail)
    }

    /// For copying at once, by ourselves or by the system.
    pub(super) fn bytes(self) -> &'a [u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: valid for reads by the contract of the constructors. If another
        // thread writes there meanwhile, single bytes are old or new; nothing that is
        // done with the slice here depends on their values.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl fmt::Debug for Span<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Span({} bytes)", self.len)
    }
}

/// Whether a forked child gets a mapping, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InChildren {
    Kept,
    Left,
}

/// A mapped piece of a file.
#[derive(Debug)]
pub(crate) struct Mapping {
    map: Option<MmapRaw>,
    in_children: InChildren,
    generation: u32,
}

impl Mapping {
    /// For writing to what others read. Forked children do not get it.
    pub(crate) fn writable(file: &File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(len).populate().map_raw(file)?;
        #[cfg(target_os = "linux")]
        map.advise(memmap2::Advice::DontFork)?;
        Ok(Self::new(map, InChildren::Left))
    }

    /// For reading only: writing to it is a fault.
    pub(crate) fn read_only(file: &File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new()
            .len(len)
            .populate()
            .map_raw_read_only(file)?;
        Ok(Self::new(map, InChildren::Kept))
    }

    /// A private copy, of which pages are copied as they are written to.
    pub(crate) fn private(file: &File, len: usize) -> io::Result<Self> {
        // SAFETY: the file's length is sealed, and nobody writes to it while somebody
        // holds a copy of it: that is what leases and uses are for.
        let map = unsafe { MmapOptions::new().len(len).map_copy(file)? };
        Ok(Self::new(map.into(), InChildren::Kept))
    }

    /// Private memory with a copy of `source`.
    pub(crate) fn copy_of(source: &Region) -> io::Result<Self> {
        let mut map = MmapOptions::new().len(source.len.max(1)).map_anon()?;
        let bytes = Span {
            start: source.start,
            len: source.len,
            _lent: PhantomData,
        };
        map[..source.len].copy_from_slice(bytes.bytes());
        Ok(Self::new(map.into(), InChildren::Kept))
    }

    fn new(map: MmapRaw, in_children: InChildren) -> Self {
        Self {
            map: Some(map),
            in_children,
            generation: fork::generation(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.as_ref().map_or(0, MmapRaw::len)
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.map
            .as_ref()
            .map_or(std::ptr::null_mut(), MmapRaw::as_mut_ptr)
    }

    /// Copies `bytes` to `offset` of a writable mapping; false if they do not fit.
    pub(crate) fn write(&self, offset: usize, bytes: Span<'_>) -> bool {
        let fits = offset
            .checked_add(bytes.len)
            .is_some_and(|end| end <= self.len());
        if !fits || self.in_children != InChildren::Left {
            return false;
        }
        let target = self.start().wrapping_add(offset);
        // SAFETY: the target is in bounds and the mapping writable (both checked above).
        // `copy` allows the two to overlap, as they might if a view of a segment were
        // copied into itself. Readers of the segment come only after the writer.
        unsafe { std::ptr::copy(bytes.start, target, bytes.len) };
        true
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // A forked child has not got it; something else may lie there.
        if self.in_children == InChildren::Left && self.generation != fork::generation() {
            std::mem::forget(self.map.take());
        }
    }
}

/// Memory that stays as long as this is held, of a segment or of our own.
#[derive(Clone)]
pub struct Region {
    start: *const u8,
    len: usize,
    writable: bool,
    holder: Arc<dyn Send + Sync>,
}

// SAFETY: the memory is kept by `holder`, which may be sent; reading it needs no thread.
unsafe impl Send for Region {}
// SAFETY: as above. Writing goes through the pointer, by whoever vouches for it.
unsafe impl Sync for Region {}

impl Region {
    /// All of `bytes`.
    pub fn of_bytes(bytes: bytes::Bytes) -> Self {
        Self {
            start: bytes.as_ptr(),
            len: bytes.len(),
            writable: false,
            holder: Arc::new(bytes),
        }
    }

    /// All of `bytes`, held by `holder` beside them.
    pub(crate) fn held_bytes(bytes: bytes::Bytes, holder: impl Send + Sync + 'static) -> Self {
        Self {
            start: bytes.as_ptr(),
            len: bytes.len(),
            writable: false,
            holder: Arc::new((bytes, holder)),
        }
    }

    /// All of `mapping`, held by `holder` beside it.
    pub(crate) fn of_mapping(
        mapping: &Arc<Mapping>,
        writable: bool,
        holder: impl Send + Sync + 'static,
    ) -> Self {
        Self {
            start: mapping.start(),
            len: mapping.len(),
            writable,
            holder: Arc::new((Arc::clone(mapping), holder)),
        }
    }

    /// A part of it; `None` if it is not that long.
    pub fn part(&self, offset: u64, len: u64) -> Option<Self> {
        let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
        if offset.checked_add(len)? > self.len {
            return None;
        }
        Some(Self {
            start: self.start.wrapping_add(offset),
            len,
            writable: self.writable,
            holder: Arc::clone(&self.holder),
        })
    }

    /// A private copy that may be written to.
    pub fn to_writable(&self) -> io::Result<Self> {
        if self.writable {
            return Ok(self.clone());
        }
        let copy = Arc::new(Mapping::copy_of(self)?);
        let region = Self::of_mapping(&copy, true, ());
        Ok(Self {
            len: self.len,
            ..region
        })
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is private and may be written to.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Where it lies.
    pub fn start(&self) -> *const u8 {
        self.start
    }

    /// Its bytes, to be copied.
    pub fn span(&self) -> Span<'_> {
        Span {
            start: self.start,
            len: self.len,
            _lent: PhantomData,
        }
    }

    /// Where `inner` begins in it, if all of it lies there.
    pub(crate) fn offset_of(&self, inner: Span<'_>) -> Option<u64> {
        let offset = inner.address().checked_sub(self.start.addr())?;
        let inside = offset.checked_add(inner.len)? <= self.len;
        inside.then_some(offset as u64)
    }
}

/// For sending it piece by piece.
impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        self.span().bytes()
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({} bytes)", self.len)
    }
}
