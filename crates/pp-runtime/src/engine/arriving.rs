//! Segments whose content comes over a link.

use std::collections::HashMap;
use std::sync::Arc;

use pp_proto::{AssembleError, Assembler, AssemblerLimits, Payload, Stream};

use crate::segments::{Incoming, Part, Pool};

/// The most payloads under way on a link, of each kind: all jobs that a node may hold can
/// have a large argument or result, and a link that is slow has begun with all of them.
pub(super) const STREAMS_MAX: usize = 1 << 20;

/// What puts together the payloads that come over a link.
pub(super) fn assembler() -> Assembler {
    Assembler::new(AssemblerLimits {
        streams: STREAMS_MAX,
        ..AssemblerLimits::default()
    })
}

/// Segments by the names that the other side has given them.
#[derive(Debug)]
pub(super) struct Arriving {
    pool: Arc<Pool>,
    open: HashMap<u64, Incoming>,
    whole: HashMap<u64, Whole>,
    /// Bytes of those that are whole.
    bytes: u64,
    /// Counts looks, to tell which was needed last.
    looks: u64,
}

/// One that has come.
#[derive(Debug)]
struct Whole {
    part: Part,
    size: u64,
    last_look: u64,
}

impl Arriving {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            open: HashMap::new(),
            whole: HashMap::new(),
            bytes: 0,
            looks: 0,
        }
    }

    /// Takes the beginning of a segment; whether that was all.
    pub(super) fn begin(
        &mut self,
        segment: u64,
        payload: Payload<'_>,
    ) -> Result<bool, AssembleError> {
        let stream = Stream::Segment(segment);
        if self.open.contains_key(&segment) {
            return Err(AssembleError::AlreadyBegun { stream });
        }
        if self.open.len() >= STREAMS_MAX {
            let max = STREAMS_MAX;
            return Err(AssembleError::TooManyStreams { stream, max });
        }
        let size = payload.size();
        let incoming = Incoming::new(&self.pool, stream, size);
        self.open.insert(segment, incoming);
        if payload.head().is_empty() && size > 0 {
            return Ok(false);
        }
        self.more(segment, payload.head())
    }

    /// Takes the next bytes of a segment; whether they were the last.
    pub(super) fn more(&mut self, segment: u64, bytes: &[u8]) -> Result<bool, AssembleError> {
        let stream = Stream::Segment(segment);
        let Some(open) = self.open.get_mut(&segment) else {
            return Err(AssembleError::UnknownStream { stream });
        };
        open.add(bytes)?;
        if open.missing() > 0 {
            return Ok(false);
        }
        if let Some(open) = self.open.remove(&segment) {
            let size = open.size();
            self.keep(segment, open.finish(), size);
        }
        Ok(true)
    }

    /// Takes a segment that has come in another way.
    pub(super) fn put(&mut self, segment: u64, part: Part) {
        let size = part.content().map_or(0, |content| content.len() as u64);
        self.keep(segment, part, size);
    }

    fn keep(&mut self, segment: u64, part: Part, size: u64) {
        self.looks += 1;
        self.bytes += size;
        let last_look = self.looks;
        let whole = Whole {
            part,
            size,
            last_look,
        };
        if let Some(before) = self.whole.insert(segment, whole) {
            self.bytes -= before.size;
        }
    }

    /// A segment that is whole.
    pub(super) fn get(&mut self, segment: u64) -> Option<&Part> {
        self.looks += 1;
        let whole = self.whole.get_mut(&segment)?;
        whole.last_look = self.looks;
        Some(&whole.part)
    }

    /// Drops segments that nobody uses until no more than `most` bytes are left: those
    /// that were not needed for the longest time first. `is_needed` tells which somebody
    /// waits for. Gives the names of those that were dropped.
    pub(super) fn make_room(&mut self, most: u64, is_needed: impl Fn(u64) -> bool) -> Vec<u64> {
        if self.bytes <= most {
            return Vec::new();
        }
        let mut idle: Vec<(u64, u64)> = self
            .whole
            .iter()
            .filter(|(name, whole)| whole.part.is_alone() && !is_needed(**name))
            .map(|(&name, whole)| (whole.last_look, name))
            .collect();
        idle.sort_unstable();
        let mut dropped = Vec::new();
        for (_, name) in idle {
            if self.bytes <= most {
                break;
            }
            self.take(name);
            dropped.push(name);
        }
        dropped
    }

    /// Forgets a segment, of which no more comes.
    pub(super) fn forget(&mut self, segment: u64) {
        self.open.remove(&segment);
        self.take(segment);
    }

    /// Whether nothing is here, for tests.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.whole.is_empty()
    }

    /// Takes out a segment that is whole.
    pub(super) fn take(&mut self, segment: u64) -> Option<Part> {
        let whole = self.whole.remove(&segment)?;
        self.bytes -= whole.size;
        Some(whole.part)
    }
}
