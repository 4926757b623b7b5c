//! Big data between a client and its workers: files in memory that both map.
//!
//! A *segment* is such a file. The client makes it, hands it out, reuses and frees it;
//! descriptors go to workers and never come back. Who may still look at a segment is
//! kept in the [`Ledger`](ledger::Ledger), a state machine without I/O. What lies in a
//! segment is a [`Parcel`]: a body and the buffers that it refers to.

mod away;
mod file;
mod filling;
mod incoming;
mod ledger;
mod limits;
#[allow(unsafe_code)]
mod memory;
mod parcel;
mod part;
mod pool;
mod received;
mod source;

pub use away::Away;
pub(crate) use away::{Discard, Discards, Home};
pub(crate) use incoming::Incoming;
pub(crate) use limits::default_cache;
pub use limits::usable_memory;
pub use memory::{Region, Span};
pub use parcel::{Contents, Item, Parcel, ParcelError};
pub(crate) use part::Carried;
pub use part::Part;
pub(crate) use part::WeakPart;
pub use pool::Lease;
pub(crate) use pool::Pool;
pub use received::SegmentError;
pub(crate) use received::{Cabinet, Granted, Released};
