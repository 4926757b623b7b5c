//! Something whose content comes bit by bit, for shared memory where there is room.

use std::sync::Arc;

use pp_proto::{AssembleError, Stream};

use super::filling::Filling;
use super::part::{Carried, Part};
use super::pool::Pool;

/// What has come so far of it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pool: Arc<Pool>,
    stream: Stream,
    size: u64,
    received: u64,
    into: Place,
}

#[derive(Debug)]
enum Place {
    Shared(Filling),
    /// There is no room in shared memory, or it is too small for that.
    Heap(Vec<u8>),
}

impl Incoming {
    /// Of `size` bytes, of which none has come. On the heap, it takes no more than has come
    /// and half as much again.
    pub(crate) fn new(pool: &Arc<Pool>, stream: Stream, size: u64) -> Self {
        let into = pool
            .fill(size)
            .map_or(Place::Heap(Vec::new()), Place::Shared);
        Self {
            pool: Arc::clone(pool),
            stream,
            size,
            received: 0,
            into,
        }
    }

    /// Bytes of all of it.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes that are still to come.
    pub(crate) fn missing(&self) -> u64 {
        self.size - self.received
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`AssembleError`]: there are too many, or there is no memory for them.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), AssembleError> {
        let (stream, size, received) = (self.stream, self.size, self.received);
        let len = bytes.len() as u64;
        if len > self.missing() {
            let extra = len - self.missing();
            return Err(AssembleError::TooManyBytes {
                stream,
                size,
                extra,
            });
        }
        let full = AssembleError::OutOfMemory {
            stream,
            received,
            size,
        };
        if let Place::Shared(filling) = &self.into
            && let Err(error) = filling.write(received, bytes)
        {
            // There was no memory behind it after all.
            tracing::debug!(%error, "a segment goes on the heap");
            self.into = Place::Heap(filling.written(received).map_err(|_| full)?);
        }
        if let Place::Heap(all) = &mut self.into {
            grow(all, bytes.len(), size).ok_or(full)?;
            all.extend_from_slice(bytes);
        }
        self.received += len;
        Ok(())
    }

    /// All has come.
    pub(crate) fn finish(self) -> Part {
        match self.into {
            Place::Shared(filling) => Part::Shared(filling.finish()),
            Place::Heap(bytes) => Part::Carried(Arc::new(Carried::new(&self.pool, bytes.into()))),
        }
    }
}

/// Makes room for `more` bytes of at most `size`: by halves, and never beyond the end.
fn grow(bytes: &mut Vec<u8>, more: usize, size: u64) -> Option<()> {
    let needed = bytes.len().checked_add(more)?;
    if needed <= bytes.capacity() {
        return Some(());
    }
    let most = usize::try_from(size).unwrap_or(usize::MAX);
    let wanted = needed.saturating_add(bytes.len() / 2).min(most).max(needed);
    bytes.try_reserve_exact(wanted - bytes.len()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail

    use super::*;

    const STREAM: Stream = Stream::Segment(0);

    /// Gets `content` into `pool`, in pieces of `len` bytes.
    fn take(pool: &Arc<Pool>, content: &[u8], len: usize) -> Part {
        let mut incoming = Incoming::new(pool, STREAM, content.len() as u64);
        for piece in content.chunks(len) {
            incoming.add(piece).unwrap();
        }
        assert_eq!(incoming.missing(), 0);
        incoming.finish()
    }

    #[test]
    fn what_comes_in_pieces_is_whole_wherever_it_goes() {
        let content: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        let part = take(&Pool::new(Some(0)), &content, 70_000);
        assert!(matches!(part, Part::Carried(_)));
        assert_eq!(*part.content().unwrap(), content);
        let part = take(&Pool::new(None), &content, 70_000);
        assert!(matches!(part, Part::Shared(_)) || cfg!(not(unix)));
        assert_eq!(*part.content().unwrap(), content);
        let part = take(&Pool::new(None), b"", 1);
        assert_eq!(part.content().unwrap().len(), 0);
    }

    #[test]
    fn a_byte_too_many_is_refused() {
        let mut incoming = Incoming::new(&Pool::new(Some(0)), STREAM, 4);
        incoming.add(b"abc").unwrap();
        let error = incoming.add(b"de").unwrap_err();
        let (stream, size, extra) = (STREAM, 4, 1);
        assert_eq!(
            error,
            AssembleError::TooManyBytes {
                stream,
                size,
                extra
            }
        );
    }

    #[test]
    fn the_heap_grows_with_what_has_come() {
        let mut bytes = Vec::new();
        grow(&mut bytes, 10, u64::MAX).unwrap();
        assert_eq!(bytes.capacity(), 10);
        bytes.extend_from_slice(&[0; 10]);
        grow(&mut bytes, 10, u64::MAX).unwrap();
        assert_eq!(bytes.capacity(), 25);
        bytes.extend_from_slice(&[0; 15]);
        grow(&mut bytes, 1, 27).unwrap();
        assert_eq!(bytes.capacity(), 27);
    }
}
