//! A body with buffers beside it, as bytes.
//!
//! What jobs are sent as is opaque to the engine, but where its buffers lie is not. A
//! plain body stands for itself. A parcel is a table, the body and the buffers, one after
//! the other; it is sent as it is, or lies at the beginning of a segment and a pointer is
//! sent. A buffer may also lie in another segment. Segments are told by *slots*, their
//! places in the list of those that the message uses.
//!
//! All numbers are `u64`, little-endian. The first byte tells the three apart: bodies of
//! the general kind must not begin with 1 or 2.

use super::memory::{Region, Span};

/// The first number of a parcel.
const PARCEL: u64 = 1;
/// The first number of a pointer to one.
const POINTER: u64 = 2;
/// The slot of what lies in the parcel itself.
const HERE: u64 = u64::MAX;
/// Bytes of a number, of an entry of the table, and of all before it.
const NUMBER: u64 = 8;
const ENTRY: u64 = 3 * NUMBER;
const HEAD: u64 = 2 * NUMBER;
/// Where buffers may begin: arrays are computed with faster so.
const ALIGNMENT: u64 = 64;

/// How many samples of a piece are taken, and of how many bytes.
const SAMPLES: usize = 64;
const SAMPLE: usize = 1024;

/// What claims to be a parcel is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParcelError {
    /// It ends before it should.
    #[error("a parcel of {len} bytes is to have {wanted}")]
    TooShort {
        /// Bytes that there are.
        len: u64,
        /// Bytes that there should be at the least.
        wanted: u64,
    },
    /// Something lies beyond the end of where it should lie.
    #[error("{len} bytes at {offset} lie outside of slot {slot}")]
    Outside {
        /// Where they should lie.
        slot: u64,
        /// Where they should begin.
        offset: u64,
        /// How many there should be.
        len: u64,
    },
    /// It refers to a segment that did not come with it.
    #[error("slot {slot} is named, where there are {slots}")]
    NoSuchSlot {
        /// The slot.
        slot: u64,
        /// How many there are.
        slots: usize,
    },
    /// It has no body.
    #[error("a parcel without a body")]
    NoBody,
    /// A pointer leads to something else than a parcel.
    #[error("a pointer to what begins with {kind}")]
    NoParcel {
        /// What it begins with.
        kind: u64,
    },
}

/// A buffer that goes with a body.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// It is to be copied into the parcel.
    Copied(Span<'a>),
    /// It lies in a segment that goes along.
    Within {
        /// Which one.
        slot: u64,
        /// Where it begins.
        offset: u64,
        /// Its length.
        len: u64,
    },
}

/// A parcel, not yet put together.
#[derive(Debug)]
pub struct Parcel<'a> {
    table: Vec<u8>,
    pieces: Vec<(u64, Span<'a>)>,
    len: u64,
}

impl<'a> Parcel<'a> {
    /// A parcel of a body, which may consist of several pieces, and buffers.
    pub fn new(body: &[Span<'a>], items: &[Item<'a>]) -> Self {
        let count = items.len() as u64 + 1;
        let mut parcel = Self {
            table: Vec::new(),
            pieces: Vec::new(),
            len: HEAD + count * ENTRY,
        };
        parcel.number(PARCEL);
        parcel.number(count);
        parcel.copied(body);
        for item in items {
            match *item {
                Item::Copied(span) => parcel.copied(&[span]),
                Item::Within { slot, offset, len } => parcel.entry(slot, offset, len),
            }
        }
        parcel
    }

    /// What is sent in place of a parcel that lies in the segment of `slot`.
    pub fn pointer(slot: u64, len: u64) -> Vec<u8> {
        [POINTER, slot, len]
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    /// How many bytes a message stands for: its own, and those of the parcel that it
    /// points to. Not those of what is used by others, too.
    pub fn weight(message: &[u8]) -> usize {
        let (numbers, _) = message.as_chunks::<8>();
        let pointed = match numbers {
            [kind, _, len] if u64::from_le_bytes(*kind) == POINTER => u64::from_le_bytes(*len),
            _ => 0,
        };
        message.len() + usize::try_from(pointed).unwrap_or(0)
    }

    /// Bytes of the whole.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Never: there is a table at the least.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// All of it in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(usize::try_from(self.len).unwrap_or(0));
        for (offset, piece) in self.pieces() {
            whole.resize(usize::try_from(offset).unwrap_or(whole.len()), 0);
            piece.append_to(&mut whole);
        }
        whole
    }

    /// Its pieces, in order, and where each begins.
    pub(super) fn pieces(&self) -> impl Iterator<Item = (u64, Span<'_>)> {
        let table = (0, Span::of(&self.table));
        std::iter::once(table).chain(self.pieces.iter().copied())
    }

    /// Whether `whole` is what [`Self::to_vec`] would give.
    pub(crate) fn equals(&self, whole: &[u8]) -> bool {
        whole.len() as u64 == self.len
            && self.pieces().all(|(offset, piece)| {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(piece.len());
                whole
                    .get(start..end)
                    .is_some_and(|part| part == piece.bytes())
            })
    }

    /// Shows its table and parts of all its pieces: the beginning, the end, and some
    /// between. Equal parcels show the same.
    pub(crate) fn sample(&self, mut show: impl FnMut(&[u8])) {
        for (_, piece) in self.pieces() {
            let bytes = piece.bytes();
            let step = (bytes.len() / SAMPLES).max(SAMPLE);
            for part in bytes.chunks(step) {
                show(part.get(..SAMPLE).unwrap_or(part));
            }
            show(bytes.last_chunk::<SAMPLE>().map_or(&[][..], |end| &end[..]));
        }
    }

    fn copied(&mut self, spans: &[Span<'a>]) {
        let start = self.len.next_multiple_of(ALIGNMENT);
        let mut end = start;
        for &span in spans {
            if !span.is_empty() {
                self.pieces.push((end, span));
                end += span.len() as u64;
            }
        }
        if end > start {
            self.len = end;
            self.entry(HERE, start, end - start);
        } else {
            self.entry(HERE, 0, 0);
        }
    }

    fn entry(&mut self, slot: u64, offset: u64, len: u64) {
        self.number(slot);
        self.number(offset);
        self.number(len);
    }

    fn number(&mut self, number: u64) {
        self.table.extend_from_slice(&number.to_le_bytes());
    }
}

/// An opened parcel.
#[derive(Debug)]
pub struct Contents {
    /// The body.
    pub body: Region,
    /// The buffers that it refers to.
    pub buffers: Vec<Region>,
}

impl Contents {
    /// What was sent as `message` with the segments in `slots`. Whatever it says is
    /// checked: nothing outside of them is referred to.
    ///
    /// # Errors
    /// [`ParcelError`], see there.
    pub fn open(message: &Region, slots: &[Region]) -> Result<Self, ParcelError> {
        match kind(message) {
            Some(PARCEL) => Self::parcel(message, slots),
            Some(POINTER) => {
                let [slot, len] = numbers(message, NUMBER)?;
                let target = within(slots, slot, 0, len)?;
                match kind(&target) {
                    Some(PARCEL) => Self::parcel(&target, slots),
                    other => Err(ParcelError::NoParcel {
                        kind: other.unwrap_or(0),
                    }),
                }
            }
            _ => Ok(Self {
                body: message.clone(),
                buffers: Vec::new(),
            }),
        }
    }

    fn parcel(parcel: &Region, slots: &[Region]) -> Result<Self, ParcelError> {
        let [count] = numbers(parcel, NUMBER)?;
        let len = parcel.len() as u64;
        let wanted = count.saturating_mul(ENTRY).saturating_add(HEAD);
        if wanted > len {
            return Err(ParcelError::TooShort { len, wanted });
        }
        let mut regions = (0..count).map(|index| {
            let [slot, offset, len] = numbers(parcel, HEAD + index * ENTRY)?;
            if slot == HERE {
                return parcel
                    .part(offset, len)
                    .ok_or(ParcelError::Outside { slot, offset, len });
            }
            within(slots, slot, offset, len)
        });
        let body = regions.next().ok_or(ParcelError::NoBody)??;
        let buffers = regions.collect::<Result<_, _>>()?;
        Ok(Self { body, buffers })
    }
}

/// What a message begins with, if it is none of the general kind.
fn kind(message: &Region) -> Option<u64> {
    let first = message.part(0, 1)?;
    let byte = u64::from(*first.span().bytes().first()?);
    (byte == PARCEL || byte == POINTER).then_some(byte)
}

/// Numbers at `offset`, copied, so that they stay what they are when they are checked.
fn numbers<const N: usize>(region: &Region, offset: u64) -> Result<[u64; N], ParcelError> {
    let size = N as u64 * NUMBER;
    let bytes = region.part(offset, size).ok_or(ParcelError::TooShort {
        len: region.len() as u64,
        wanted: offset.saturating_add(size),
    })?;
    let mut copy = Vec::with_capacity(bytes.len());
    bytes.span().append_to(&mut copy);
    let (chunks, _) = copy.as_chunks::<8>();
    Ok(std::array::from_fn(|index| {
        chunks
            .get(index)
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }))
}

fn within(slots: &[Region], slot: u64, offset: u64, len: u64) -> Result<Region, ParcelError> {
    let region = usize::try_from(slot)
        .ok()
        .and_then(|index| slots.get(index))
        .ok_or(ParcelError::NoSuchSlot {
            slot,
            slots: slots.len(),
        })?;
    region
        .part(offset, len)
        .ok_or(ParcelError::Outside { slot, offset, len })
}

#[cfg(test)]
mod tests;
