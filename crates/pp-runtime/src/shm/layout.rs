//! Where things lie in a segment.

/// Bytes of each ring. Large enough that a few hundred small jobs and a 64 KiB
/// piece of a large payload fit together; pages that are not used cost nothing.
const RING_LEN: usize = 256 * 1024;

/// Claim words in a segment; a power of two, above any credit a worker grants.
pub(super) const CLAIM_SLOTS: usize = 1024;

/// Words that different processes write lie in cache lines of their own.
const CACHE_LINE: usize = 64;

const DOWN_WORDS: usize = 0;
const UP_WORDS: usize = 4 * CACHE_LINE;
const CLAIMS: usize = 4096;
const DOWN_DATA: usize = CLAIMS + 8 * CLAIM_SLOTS;
const UP_DATA: usize = DOWN_DATA + RING_LEN;

/// Bytes of a whole segment.
pub(crate) const SEGMENT_LEN: usize = UP_DATA + RING_LEN;

/// Offsets, in bytes, of one ring's words and data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Bytes that the consumer has taken, ever.
    pub(super) head: usize,
    /// Bytes that the producer has put, ever.
    pub(super) tail: usize,
    /// 1 while the consumer sleeps and wants the doorbell rung.
    pub(super) consumer_asleep: usize,
    /// 1 while the producer waits for room and wants the doorbell rung.
    pub(super) producer_waits: usize,
    /// The ring's bytes.
    pub(super) data: usize,
    /// How many there are; a power of two.
    pub(super) len: usize,
}

impl Layout {
    /// The ring from client to worker.
    pub(crate) const DOWN: Self = Self::at(DOWN_WORDS, DOWN_DATA);
    /// The ring from worker to client.
    pub(crate) const UP: Self = Self::at(UP_WORDS, UP_DATA);

    const fn at(words: usize, data: usize) -> Self {
        Self {
            head: words,
            tail: words + CACHE_LINE,
            consumer_asleep: words + 2 * CACHE_LINE,
            producer_waits: words + 3 * CACHE_LINE,
            data,
            len: RING_LEN,
        }
    }
}

/// Offset of the claim word in `slot`.
pub(super) const fn claim_offset(slot: usize) -> usize {
    CLAIMS + 8 * slot
}
