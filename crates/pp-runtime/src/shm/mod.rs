//! Shared memory between a client and one worker: the memory itself, byte
//! rings in it, and claim words.
//!
//! Nothing that is read from here is trusted. The other process may have been
//! scribbling over its mapping, so indices are checked at each use and bytes are
//! copied out before they are looked at.

mod backing;
mod claims;
mod layout;
#[allow(unsafe_code)]
mod lineage;
mod ring;
#[allow(unsafe_code)]
mod segment;

pub(crate) use backing::Backing;
pub(crate) use claims::Claims;
pub(crate) use layout::{Layout, SEGMENT_LEN};
pub(crate) use lineage::Lineage;
pub use ring::RingCorrupt;
pub(crate) use ring::{Consumer, Producer};
pub(crate) use segment::Segment;

#[cfg(all(test, unix))]
#[allow(clippy::expect_used)] // a test may fail
pub(crate) fn segment_for_test(len: usize) -> std::sync::Arc<Segment> {
    let file = Backing::create("pp-test", len).expect("shared memory for a test");
    std::sync::Arc::new(Segment::map(&file, len).expect("mapping for a test"))
}
