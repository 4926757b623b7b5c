//! The segments that a worker has been given.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::file::write_cold;
use super::memory::{Mapping, Region, Span};
use super::parcel::Parcel;
use super::source::Source;
use crate::fork;
use crate::sync::Mutex;

/// What the client says about segments does not fit.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// A descriptor is not the one that was announced.
    #[error("the descriptor of segment {segment} is another file's: a job took the right one")]
    WrongFile {
        /// Which segment.
        segment: u64,
    },
    /// The segment never came, or was dropped.
    #[error("segment {segment} is not here")]
    Unknown {
        /// Which segment.
        segment: u64,
    },
    /// The system refuses.
    #[error("segment {segment} cannot be mapped: {error}")]
    Map {
        /// Which segment.
        segment: u64,
        /// Why.
        error: io::Error,
    },
}

/// Uses of a segment that have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) segment: u64,
    pub(crate) uses: u64,
    pub(crate) reusable: bool,
}

type Endings = Arc<Mutex<Vec<Released>>>;

/// What is known of a segment.
#[derive(Debug, Default)]
struct Known {
    /// Just come, until it is known what for.
    file: Option<(File, usize)>,
    read: Option<Content>,
    /// For private copies, if jobs are to have such.
    source: Option<Source>,
    write: Option<Arc<Mapping>>,
    /// How many views of it live.
    live: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Content {
    Mapped(Arc<Mapping>),
    Carried(Bytes),
}

/// The segments of a worker.
#[derive(Debug, Default)]
pub(crate) struct Cabinet {
    segments: HashMap<u64, Known>,
    /// Whether jobs get private copies.
    private: bool,
    endings: Endings,
}

/// One use of a segment, or a grant. Ends when the last view does.
#[derive(Debug)]
struct Hold {
    segment: u64,
    endings: Endings,
    live: Arc<AtomicU64>,
    forks: u32,
    generation: u32,
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A job's child does not speak for the worker, and the lock may be held for ever.
        if self.generation != fork::generation() {
            return;
        }
        self.live.fetch_sub(1, Ordering::AcqRel);
        self.endings.lock().push(Released {
            segment: self.segment,
            uses: 1,
            reusable: self.forks == fork::count(),
        });
    }
}

impl Cabinet {
    /// From now on jobs get private copies.
    pub(crate) fn make_private(&mut self) {
        self.private = true;
    }

    /// A descriptor has come for a segment of which `len` bytes can be read.
    #[cfg(unix)]
    pub(crate) fn receive(
        &mut self,
        segment: u64,
        len: u64,
        inode: u64,
        file: File,
    ) -> Result<(), SegmentError> {
        let found = rustix::fs::fstat(&file).map(|stat| super::file::inode_of(&stat));
        if found != Ok(inode) {
            return Err(SegmentError::WrongFile { segment });
        }
        let len = usize::try_from(len).map_err(|_| SegmentError::Map {
            segment,
            error: io::ErrorKind::OutOfMemory.into(),
        })?;
        self.segments.entry(segment).or_default().file = Some((file, len));
        Ok(())
    }

    /// The content of a segment has come.
    pub(crate) fn carry(&mut self, segment: u64, content: Bytes) {
        let known = self.segments.entry(segment).or_default();
        known.read = Some(Content::Carried(content));
    }

    /// A job is to use the segment.
    pub(crate) fn for_job(&mut self, segment: u64) -> Result<Region, SegmentError> {
        let hold = self.hold(segment);
        let known = self
            .segments
            .get_mut(&segment)
            .ok_or(SegmentError::Unknown { segment })?;
        if let Some((file, len)) = known.file.take() {
            let mapping = Mapping::read_only(&file, len)
                .map_err(|error| SegmentError::Map { segment, error })?;
            known.read = Some(Content::Mapped(Arc::new(mapping)));
            if self.private {
                known.source = Source::reopen(&file);
            }
        }
        if let (Some(source), Some(Content::Mapped(mapping))) = (&known.source, &known.read)
            && let Some(copy) = source.private_copy(mapping.len())
        {
            return Ok(Region::of_mapping(&Arc::new(copy), true, hold));
        }
        match &known.read {
            Some(Content::Mapped(mapping)) => Ok(Region::of_mapping(mapping, false, hold)),
            Some(Content::Carried(bytes)) => Ok(Region::held_bytes(bytes.clone(), hold)),
            None => Err(SegmentError::Unknown { segment }),
        }
    }

    /// A job's result may be written to the segment.
    pub(crate) fn granted(&mut self, segment: u64, warm: u64) -> Granted {
        let hold = self.hold(segment);
        let known = self.segments.entry(segment).or_default();
        Granted {
            segment,
            warm,
            file: known.file.take().map(|(file, _)| file),
            mapping: known.write.clone(),
            _hold: hold,
        }
    }

    /// A granted segment was written to: the next time there is memory to write to.
    pub(crate) fn keep_mapping(&mut self, granted: &Granted) {
        if let Some(known) = self.segments.get_mut(&granted.segment) {
            known.write.clone_from(&granted.mapping);
        }
    }

    /// Nobody will name the segment again.
    pub(crate) fn forget(&mut self, segment: u64) {
        self.segments.remove(&segment);
    }

    /// The segment that `bytes` lie in, and where, if a job's view of it lives.
    pub(crate) fn find(&self, bytes: Span<'_>) -> Option<(u64, u64)> {
        self.segments.iter().find_map(|(&segment, known)| {
            let Some(Content::Mapped(mapping)) = &known.read else {
                return None;
            };
            if known.live.load(Ordering::Acquire) == 0 {
                return None;
            }
            let region = Region::of_mapping(mapping, false, ());
            Some((segment, region.offset_of(bytes)?))
        })
    }

    /// Whether views of segments are alive.
    pub(crate) fn is_held(&self) -> bool {
        self.segments
            .values()
            .any(|known| known.live.load(Ordering::Acquire) > 0)
    }

    /// The uses that have ended since the last call.
    pub(crate) fn take_endings(&self) -> Vec<Released> {
        // Most workers have never had a segment. Where none is left, nobody waits to hear.
        if self.segments.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut *self.endings.lock())
    }

    fn hold(&mut self, segment: u64) -> Hold {
        let known = self.segments.entry(segment).or_default();
        known.live.fetch_add(1, Ordering::AcqRel);
        Hold {
            segment,
            endings: Arc::clone(&self.endings),
            live: Arc::clone(&known.live),
            forks: fork::count(),
            generation: fork::generation(),
        }
    }
}

/// A result cannot be written to the segment that was granted for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    /// There is no way to write to it.
    #[error("the segment can neither be mapped nor written to")]
    NoAccess,
    /// The system refuses, most likely because there is no memory left.
    #[error("the segment cannot be written to: {0}")]
    Write(#[from] io::Error),
}

/// A segment that a result may be written to.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) segment: u64,
    warm: u64,
    file: Option<File>,
    mapping: Option<Arc<Mapping>>,
    _hold: Hold,
}

impl Granted {
    /// Writes the result: where there is memory by copying, elsewhere through the
    /// system, which says so if there is none.
    pub(crate) fn write(&mut self, parcel: &Parcel<'_>) -> Result<(), GrantError> {
        self.map(self.warm)?;
        for (offset, piece) in parcel.pieces() {
            self.write_piece(offset, piece)?;
        }
        // For the next time; without it, that one goes through the system as well.
        let _ = self.map(parcel.len());
        Ok(())
    }

    fn map(&mut self, len: u64) -> Result<(), GrantError> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        if len > 0
            && self
                .mapping
                .as_ref()
                .is_none_or(|mapping| mapping.len() < len)
            && let Some(file) = &self.file
        {
            self.mapping = Some(Arc::new(Mapping::writable(file, len)?));
        }
        Ok(())
    }

    fn write_piece(&self, offset: u64, piece: Span<'_>) -> Result<(), GrantError> {
        let mapped = self.mapping.as_ref().map_or(0, |mapping| mapping.len());
        let start = usize::try_from(offset).map_err(|_| GrantError::NoAccess)?;
        let (first, rest) = piece.split_at(mapped.saturating_sub(start));
        if let Some(mapping) = self.mapping.as_ref().filter(|_| !first.is_empty())
            && !mapping.write(start, first)
        {
            return Err(GrantError::NoAccess);
        }
        if !rest.is_empty() {
            let file = self.file.as_ref().ok_or(GrantError::NoAccess)?;
            write_cold(file, offset + first.len() as u64, rest)?;
        }
        Ok(())
    }
}
