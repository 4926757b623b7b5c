//! What drives the Parallel Python scheduler for real: worker processes, the
//! shared memory between them and the client, supervision, and the engine that
//! ties them together.
//!
//! Nothing here knows Python. Functions, arguments and results are opaque bytes.

mod blob;
mod channel;
mod cluster;
mod engine;
mod exports;
pub mod fork;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod lookout;
mod net;
mod process;
mod segments;
mod shm;
mod stock;
pub mod sync;
mod worker;

pub use blob::Blob;
pub use channel::{BellLost, LineError};
pub use cluster::{
    ClusterConfig, DEFAULT_PATIENCE, DEFAULT_PORT, Daemon, DaemonConfig, DaemonError, Done,
    NameError, Pattern, SessionView, Target, parse,
};
pub use pp_core::Retries;

pub use engine::{
    Asked, Attention, Brought, Engine, EngineConfig, EngineError, Function, Group, Inputs,
    InputsError, Job, JobFailure, Needs, NobodyLeft, NodeView, Notice, Notices, Object, Outcome,
    Past, Place, Report, Stage, Totals, Wishes,
};
pub use net::{
    Caller, CertificateFiles, Host, Identity, IdentityError, PythonVersion, Secret, SecretError,
    Uses, random_id,
};
pub use process::{Exit, ExitStatus, MARK_VARIABLE, WorkerSpec, undertake};
pub use segments::usable_memory;
pub use segments::{
    Away, Contents, Item, Lease, Parcel, ParcelError, Part, Region, SegmentError, Span,
};
pub use shm::RingCorrupt;
pub use worker::{Current, Next, Session, SessionError, Share, Status};
