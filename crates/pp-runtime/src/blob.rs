//! Bytes that are mostly few: arguments and results of small jobs.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;

use crate::segments::Part;

/// As many bytes lie in place: a blob is three words large then, no more than a
/// vector, and a million queued jobs need no million allocations.
const INLINE: usize = 22;

/// Immutable bytes, cheap to clone. Few lie in place, more on the heap, shared.
#[derive(Clone)]
pub struct Blob(Repr);

#[derive(Clone)]
enum Repr {
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Heap(Box<Bytes>),
    /// What they refer to goes along.
    WithParts(Box<(Bytes, Vec<Part>)>),
}

impl Blob {
    /// The same bytes, without a copy if there are many.
    pub fn into_bytes(self) -> Bytes {
        match self.0 {
            Repr::Inline { .. } => Bytes::copy_from_slice(&self),
            Repr::Heap(bytes) => *bytes,
            Repr::WithParts(both) => both.0,
        }
    }

    /// The same bytes with what they refer to.
    #[must_use]
    pub fn with_parts(self, parts: Vec<Part>) -> Self {
        if parts.is_empty() {
            return self;
        }
        Self(Repr::WithParts(Box::new((self.into_bytes(), parts))))
    }

    /// What the bytes refer to.
    #[inline]
    pub fn parts(&self) -> &[Part] {
        match &self.0 {
            Repr::WithParts(both) => &both.1,
            _ => &[],
        }
    }

    fn inline(slice: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE];
        bytes.get_mut(..slice.len())?.copy_from_slice(slice);
        let len = u8::try_from(slice.len()).ok()?;
        Some(Self(Repr::Inline { len, bytes }))
    }
}

impl Default for Blob {
    fn default() -> Self {
        let bytes = [0; INLINE];
        Self(Repr::Inline { len: 0, bytes })
    }
}

impl Deref for Blob {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Repr::Heap(bytes) => bytes,
            Repr::WithParts(both) => &both.0,
        }
    }
}

impl From<&[u8]> for Blob {
    #[inline]
    fn from(slice: &[u8]) -> Self {
        Self::inline(slice)
            .unwrap_or_else(|| Self(Repr::Heap(Box::new(Bytes::copy_from_slice(slice)))))
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Self {
        Self::inline(&bytes).unwrap_or_else(|| Self(Repr::Heap(Box::new(bytes))))
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

/// Other people's data: the length is enough for a log.
impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        for len in [0, 1, INLINE - 1, INLINE, INLINE + 1, 5000] {
            let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
            for blob in [
                Blob::from(bytes.as_slice()),
                Blob::from(Bytes::from(bytes.clone())),
            ] {
                assert_eq!(*blob, bytes);
                assert_eq!(*blob.clone(), bytes);
                assert_eq!(blob.into_bytes(), bytes);
            }
        }
        assert!(Blob::default().is_empty());
    }

    #[test]
    fn many_bytes_are_shared_and_a_blob_is_small() {
        let bytes = Bytes::from(vec![1; 1000]);
        let blob = Blob::from(bytes.clone());
        assert_eq!(blob.as_ptr(), bytes.as_ptr());
        assert_eq!(blob.clone().as_ptr(), bytes.as_ptr());
        assert!(size_of::<Blob>() <= 24);
    }
}
