//! The part of a message that may be large.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Violation;
use crate::limits::INLINE_MAX;

/// Opaque bytes of any length, of which the first few travel with the message.
///
/// The other `size - head.len()` bytes follow in `More` frames. The head may be
/// shorter than it could be, even empty.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Payload<'a> {
    size: u64,
    #[serde(with = "crate::codec::byte_string")]
    head: &'a [u8],
}

impl<'a> Payload<'a> {
    /// A payload of all of `bytes`; what is beyond [`INLINE_MAX`] is left for `More`.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self {
            size: bytes.len() as u64,
            head: bytes.get(..INLINE_MAX).unwrap_or(bytes),
        }
    }

    /// A payload of all of `parts`, one after the other, such as a result and what its
    /// job printed.
    ///
    /// Where the first part is too short for the head, the head is put together in
    /// `scratch`, whose content is replaced. So this never copies more than
    /// [`INLINE_MAX`] bytes.
    pub fn of_parts(parts: &[&'a [u8]], scratch: &'a mut Vec<u8>) -> Self {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let wanted = size.min(INLINE_MAX);
        let first = parts.first().copied().unwrap_or_default();
        let head = match first.get(..wanted) {
            Some(head) => head,
            None => gather(parts, wanted, scratch),
        };
        Self {
            size: size as u64,
            head,
        }
    }

    /// A payload of `size` bytes of which `head` are the first.
    ///
    /// # Errors
    /// [`Violation::HeadTooLong`] or [`Violation::HeadBeyondSize`].
    pub fn new(size: u64, head: &'a [u8]) -> Result<Self, Violation> {
        let payload = Self { size, head };
        payload.check()?;
        Ok(payload)
    }

    /// Bytes of the whole payload.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes, which came with the message.
    pub const fn head(&self) -> &'a [u8] {
        self.head
    }

    /// Bytes that are still to come in `More` frames.
    pub const fn missing(&self) -> u64 {
        self.size.saturating_sub(self.head.len() as u64)
    }

    /// The payload, if all of it came with the message: the usual case, and then
    /// there is nothing to assemble.
    pub const fn whole(&self) -> Option<&'a [u8]> {
        if self.missing() == 0 {
            Some(self.head)
        } else {
            None
        }
    }

    pub(crate) fn check(&self) -> Result<(), Violation> {
        let len = self.head.len();
        if len > INLINE_MAX {
            return Err(Violation::HeadTooLong { len });
        }
        if len as u64 > self.size {
            let size = self.size;
            return Err(Violation::HeadBeyondSize { len, size });
        }
        Ok(())
    }
}

/// Payloads are other people's data: lengths are enough for a log.
impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} of {} bytes)", self.head.len(), self.size)
    }
}

/// Copies the first `wanted` bytes of `parts` to `scratch`.
fn gather<'s>(parts: &[&[u8]], wanted: usize, scratch: &'s mut Vec<u8>) -> &'s [u8] {
    scratch.clear();
    scratch.reserve(wanted);
    for part in parts {
        let len = part.len().min(wanted - scratch.len());
        scratch.extend_from_slice(part.get(..len).unwrap_or_default());
    }
    scratch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_as_long_as_it_may_be_and_no_longer() {
        for size in [0, 1, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1] {
            let bytes = vec![3; size];
            let payload = Payload::of(&bytes);
            assert_eq!(payload.size(), size as u64);
            assert_eq!(payload.head().len(), size.min(INLINE_MAX));
            assert_eq!(payload.missing(), size.saturating_sub(INLINE_MAX) as u64);
            assert_eq!(payload.whole().is_some(), size <= INLINE_MAX);
        }
    }

    #[test]
    fn parts_are_put_together_only_where_they_must_be() {
        let mut scratch = vec![9; 3];
        let one = b"in one part";
        let payload = Payload::of_parts(&[one, b""], &mut scratch);
        assert_eq!(payload.head().as_ptr(), one.as_ptr());
        assert_eq!(scratch, [9; 3]);

        let payload = Payload::of_parts(&[b"first, ", b"", b"second"], &mut scratch);
        assert_eq!(payload.whole(), Some(&b"first, second"[..]));

        let (long, rest) = (vec![1; INLINE_MAX - 1], [2; 10]);
        let payload = Payload::of_parts(&[&long, &rest], &mut scratch);
        assert_eq!(payload.head().len(), INLINE_MAX);
        assert_eq!(payload.head()[INLINE_MAX - 2..], [1, 2]);
        assert_eq!(payload.missing(), 9);

        assert_eq!(Payload::of_parts(&[], &mut scratch), Payload::of(b""));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_numbers() {
        assert_eq!(
            Payload::new(1, b"ab"),
            Err(Violation::HeadBeyondSize { len: 2, size: 1 })
        );
        let long = vec![0; INLINE_MAX + 1];
        assert_eq!(
            Payload::new(u64::MAX, &long),
            Err(Violation::HeadTooLong {
                len: INLINE_MAX + 1
            })
        );
        assert!(Payload::new(u64::MAX, &long[1..]).is_ok());
    }

    #[test]
    fn debug_shows_lengths_and_no_data() {
        let text = format!("{:?}", Payload::of(b"secret"));
        assert_eq!(text, "Payload(6 of 6 bytes)");
    }
}
