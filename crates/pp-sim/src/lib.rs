//! Development only: clusters of Parallel Python under virtual time.
//!
//! The schedulers are the real ones, [`pp_core::Scheduler`] and [`pp_core::Service`], of
//! clients, nodes and gateways. What is simulated is the rest: worker processes, machines,
//! the network, and whatever goes wrong with them. A run follows from its seed alone, so
//! that one that fails can be looked at again.
//!
//! * [`Setup`] puts a cluster together, [`Simulation`] lets it run.
//! * [`scenario`] makes clusters and faults from a seed.
//! * A [`Violation`] is what must not happen. After each event the scheduler that decided is
//!   checked against itself; now and then all of them are checked against each other.

#![forbid(unsafe_code)]

mod author;
mod book;
mod checks;
mod connections;
mod effects;
mod engine;
mod faults;
mod host;
mod links;
mod lives;
mod message;
mod net;
mod pulse;
pub mod quality;
mod queue;
mod report;
mod rng;
mod run;
pub mod scenario;
mod setup;
// The very rule by which nodes divide their workers.
#[path = "../../pp-runtime/src/cluster/shares.rs"]
mod shares;
mod simulation;
mod trace;
mod violation;
mod worker;
mod world;

pub use book::{Amounts, JobSpec, Kind, Outcome};
pub use faults::{Fault, What};
pub use net::Path;
pub use report::Report;
pub use rng::Rng;
pub use setup::Setup;
pub use simulation::Simulation;
pub use violation::Violation;
pub use world::Settings;

/// A microsecond, in nanoseconds.
pub const US: u64 = 1_000;
/// A millisecond, in nanoseconds.
pub const MS: u64 = 1_000_000;
/// A second, in nanoseconds.
pub const S: u64 = 1_000_000_000;
