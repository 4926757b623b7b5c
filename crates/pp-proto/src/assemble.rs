//! Putting the pieces of payloads together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;

use crate::grow;
use crate::message::Stream;
use crate::payload::Payload;

/// The pieces of a payload do not fit together, or it is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// A payload is larger than it may be. Nothing was kept for it.
    #[error("{stream} has {size} bytes, where {max} are the most")]
    TooLarge {
        /// Which payload.
        stream: Stream,
        /// Bytes that it claims to have.
        size: u64,
        /// The most that one may have.
        max: u64,
    },
    /// Too many payloads are under way at once.
    #[error("{stream} would be one unfinished payload too many: {max} are the most")]
    TooManyStreams {
        /// Which payload.
        stream: Stream,
        /// The most that there may be.
        max: usize,
    },
    /// A payload begins while another of the same name is under way.
    #[error("{stream} begins again before all of it has come")]
    AlreadyBegun {
        /// Which payload.
        stream: Stream,
    },
    /// Bytes for a payload that has not begun, is complete or was discarded.
    #[error("bytes came for {stream}, for which none are expected")]
    UnknownStream {
        /// Which payload.
        stream: Stream,
    },
    /// A piece without bytes.
    #[error("a piece without bytes came for {stream}")]
    Empty {
        /// Which payload.
        stream: Stream,
    },
    /// More bytes than the payload has.
    #[error("{extra} bytes more than the {size} of {stream}")]
    TooManyBytes {
        /// Which payload.
        stream: Stream,
        /// Bytes that it claimed to have.
        size: u64,
        /// Bytes beyond.
        extra: u64,
    },
    /// There is no memory for what has come.
    #[error("out of memory for {stream} after {received} of {size} bytes")]
    OutOfMemory {
        /// Which payload.
        stream: Stream,
        /// Bytes that had come before.
        received: u64,
        /// Bytes that it has.
        size: u64,
    },
}

/// What an [`Assembler`] puts up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssemblerLimits {
    /// Most bytes of one payload. No limit but memory by default.
    pub payload: u64,
    /// Most payloads under way at once. 4096 by default, beyond any credit that is
    /// granted: a well-behaved peer has at most one for each job that it holds.
    pub streams: usize,
}

impl Default for AssemblerLimits {
    fn default() -> Self {
        Self {
            payload: u64::MAX,
            streams: 4096,
        }
    }
}

/// Collects payloads that come in several frames, those of one direction of a link.
///
/// Memory grows with the bytes that come; what a payload claims to be costs nothing.
/// After an error the peer is not to be trusted and the link is to be closed.
#[derive(Debug, Default)]
pub struct Assembler {
    limits: AssemblerLimits,
    open: BTreeMap<Stream, Unfinished>,
}

/// A payload of which bytes are still to come.
#[derive(Debug)]
struct Unfinished {
    size: u64,
    received: u64,
    /// `None` if nobody wants it.
    bytes: Option<Vec<u8>>,
}

impl Assembler {
    /// An assembler with nothing under way.
    pub const fn new(limits: AssemblerLimits) -> Self {
        Self {
            limits,
            open: BTreeMap::new(),
        }
    }

    /// Takes a payload as it came with its message. Returns all of it if that was all,
    /// else `None`; [`more`](Self::more) then goes on.
    ///
    /// Who can use borrowed bytes asks [`Payload::whole`] first and saves a copy.
    ///
    /// # Errors
    /// [`AssembleError`], see there.
    pub fn begin(
        &mut self,
        stream: Stream,
        payload: Payload<'_>,
    ) -> Result<Option<Bytes>, AssembleError> {
        let (size, max) = (payload.size(), self.limits.payload);
        let Some(total) = usize::try_from(size).ok().filter(|_| size <= max) else {
            return Err(AssembleError::TooLarge { stream, size, max });
        };
        let under_way = self.open.len();
        let Entry::Vacant(place) = self.open.entry(stream) else {
            return Err(AssembleError::AlreadyBegun { stream });
        };
        if let Some(whole) = payload.whole() {
            return Ok(Some(Bytes::copy_from_slice(whole)));
        }
        if under_way >= self.limits.streams {
            let max = self.limits.streams;
            return Err(AssembleError::TooManyStreams { stream, max });
        }
        let mut bytes = Vec::new();
        grow::try_append(&mut bytes, payload.head(), total).map_err(|_| {
            AssembleError::OutOfMemory {
                stream,
                received: 0,
                size,
            }
        })?;
        place.insert(Unfinished {
            size,
            received: payload.head().len() as u64,
            bytes: Some(bytes),
        });
        Ok(None)
    }

    /// Takes the next bytes of a payload. Returns all of it once it is complete and
    /// was not ignored.
    ///
    /// # Errors
    /// [`AssembleError`], see there.
    pub fn more(&mut self, stream: Stream, bytes: &[u8]) -> Result<Option<Bytes>, AssembleError> {
        if bytes.is_empty() {
            return Err(AssembleError::Empty { stream });
        }
        let Entry::Occupied(mut place) = self.open.entry(stream) else {
            return Err(AssembleError::UnknownStream { stream });
        };
        if let Err(error) = place.get_mut().add(stream, bytes) {
            place.remove();
            return Err(error);
        }
        if place.get().received < place.get().size {
            return Ok(None);
        }
        Ok(place.remove().bytes.map(Bytes::from))
    }

    /// Drops a payload of which the peer will send no more, and says whether it was
    /// under way. For what was recalled or forgotten before all of it had come.
    pub fn discard(&mut self, stream: Stream) -> bool {
        self.open.remove(&stream).is_some()
    }

    /// Drops what has come of a payload and whatever is still to come, and says whether
    /// it was under way. For what nobody wants any more, though the peer goes on sending.
    pub fn ignore(&mut self, stream: Stream) -> bool {
        match self.open.get_mut(&stream) {
            Some(unfinished) => {
                unfinished.bytes = None;
                true
            }
            None => false,
        }
    }

    /// How many payloads are under way, ignored ones included.
    pub fn streams(&self) -> usize {
        self.open.len()
    }

    /// Bytes that have come of payloads under way, without ignored ones.
    pub fn buffered(&self) -> usize {
        self.open
            .values()
            .filter_map(|unfinished| unfinished.bytes.as_ref())
            .map(Vec::len)
            .sum()
    }
}

impl Unfinished {
    fn add(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), AssembleError> {
        let (size, received) = (self.size, self.received);
        let len = bytes.len() as u64;
        let missing = size - received;
        if len > missing {
            let extra = len - missing;
            return Err(AssembleError::TooManyBytes {
                stream,
                size,
                extra,
            });
        }
        if let Some(buffer) = &mut self.bytes {
            // `begin` has seen that the size fits into a usize.
            let total = usize::try_from(size).unwrap_or(usize::MAX);
            grow::try_append(buffer, bytes, total).map_err(|_| AssembleError::OutOfMemory {
                stream,
                received,
                size,
            })?;
        }
        self.received += len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: Stream = Stream::Job(7);

    fn claim(size: u64) -> Payload<'static> {
        Payload::new(size, b"").unwrap()
    }

    fn limited(payload: u64, streams: usize) -> Assembler {
        Assembler::new(AssemblerLimits { payload, streams })
    }

    #[test]
    fn pieces_become_the_payload_and_streams_do_not_mix() {
        let mut assembler = Assembler::default();
        let other = Stream::Function(7);
        assert_eq!(
            assembler.begin(JOB, Payload::new(6, b"ab").unwrap()),
            Ok(None)
        );
        assert_eq!(
            assembler.begin(other, Payload::new(3, b"").unwrap()),
            Ok(None)
        );
        assert_eq!(assembler.more(JOB, b"cde"), Ok(None));
        assert_eq!(assembler.more(other, b"xyz"), Ok(Some(Bytes::from("xyz"))));
        assert_eq!(assembler.buffered(), 5);
        assert_eq!(assembler.more(JOB, b"f"), Ok(Some(Bytes::from("abcdef"))));
        assert_eq!((assembler.streams(), assembler.buffered()), (0, 0));
    }

    #[test]
    fn what_came_whole_is_returned_at_once_and_its_name_is_free_again() {
        let mut assembler = limited(u64::MAX, 0);
        for text in ["", "all"] {
            let payload = Payload::of(text.as_bytes());
            assert_eq!(assembler.begin(JOB, payload), Ok(Some(Bytes::from(text))));
        }
    }

    #[test]
    fn limits_are_exact() {
        let mut assembler = limited(10, 2);
        let too_large = AssembleError::TooLarge {
            stream: JOB,
            size: 11,
            max: 10,
        };
        assert_eq!(assembler.begin(JOB, claim(11)), Err(too_large));
        assert_eq!(assembler.begin(JOB, claim(10)), Ok(None));
        assert_eq!(assembler.begin(Stream::Job(8), claim(1)), Ok(None));
        let stream = Stream::Job(9);
        let too_many = AssembleError::TooManyStreams { stream, max: 2 };
        assert_eq!(assembler.begin(stream, claim(1)), Err(too_many));
        assert_eq!(assembler.streams(), 2);
        assembler.more(Stream::Job(8), b"x").unwrap();
        assert_eq!(assembler.begin(stream, claim(1)), Ok(None));
    }

    #[test]
    fn bytes_that_do_not_fit_are_errors() {
        let mut assembler = Assembler::default();
        let unknown = Err(AssembleError::UnknownStream { stream: JOB });
        assert_eq!(assembler.more(JOB, b"x"), unknown);
        assembler.begin(JOB, claim(3)).unwrap();
        let again = Err(AssembleError::AlreadyBegun { stream: JOB });
        assert_eq!(assembler.begin(JOB, claim(3)), again);
        assert_eq!(assembler.begin(JOB, Payload::of(b"x")), again);
        let empty = Err(AssembleError::Empty { stream: JOB });
        assert_eq!(assembler.more(JOB, b""), empty);
        let extra = AssembleError::TooManyBytes {
            stream: JOB,
            size: 3,
            extra: 2,
        };
        assert_eq!(assembler.more(JOB, b"12345"), Err(extra));
        assert_eq!(assembler.streams(), 0);
    }

    #[test]
    fn discarded_means_no_more_comes_and_ignored_means_it_is_swallowed() {
        let mut assembler = Assembler::default();
        for stream in [JOB, Stream::Configure] {
            assembler
                .begin(stream, Payload::new(6, b"ab").unwrap())
                .unwrap();
        }
        assert!(assembler.discard(JOB) && !assembler.discard(JOB));
        assert!(assembler.more(JOB, b"c").is_err());

        assert!(assembler.ignore(Stream::Configure) && !assembler.ignore(JOB));
        assert_eq!((assembler.buffered(), assembler.streams()), (0, 1));
        assert_eq!(assembler.more(Stream::Configure, b"cd"), Ok(None));
        assert_eq!(assembler.more(Stream::Configure, b"ef"), Ok(None));
        assert_eq!(assembler.streams(), 0);

        assembler.begin(Stream::Configure, claim(1)).unwrap();
        assembler.ignore(Stream::Configure);
        assert!(assembler.more(Stream::Configure, b"12").is_err());
    }

    #[test]
    fn a_complete_payload_is_handed_over_without_slack() {
        let mut assembler = Assembler::default();
        let piece = vec![1; 1000];
        assembler.begin(JOB, claim(100_500)).unwrap();
        for _ in 0..100 {
            assert_eq!(assembler.more(JOB, &piece), Ok(None));
        }
        let bytes = assembler.more(JOB, &piece[..500]).unwrap().unwrap();
        assert_eq!(bytes.len(), 100_500);
        assert_eq!(Vec::from(bytes).capacity(), 100_500);
    }
}
