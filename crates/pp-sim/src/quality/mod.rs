//! How good decisions are: the same work under our scheduler and under what others document.
//!
//! * A [`Trace`] is what there is to do, and the [`Cluster`] that does it; [`workload`]
//!   makes them from a seed.
//! * A [`Policy`] decides. [`run`] lets it, under virtual time: our own is the real
//!   [`pp_core::Scheduler`], of a client and of each machine; the others are models of what
//!   their makers have written down, see [`fifo`], [`dask`] and [`ray`].
//! * [`bound`] says what nobody can beat, and [`oracle`] what somebody would reach who knew
//!   everything and to whom messages and data came at once: the optimum is between.
//! * A [`Report`] is what came of it.
//!
//! Only decisions are compared. All policies have the same machines, the same network with the
//! same data in it, and pay the same for each message; nobody pays for the time in which he
//! decides.

mod amounts;
pub mod bound;
mod cluster;
pub mod dask;
mod event;
pub mod fifo;
mod graphs;
mod network;
pub mod oracle;
pub mod ours;
mod policy;
pub mod ray;
mod report;
mod trace;
pub mod workload;
mod world;

pub use amounts::{Amounts, KINDS};
pub use cluster::{Capacity, Change, Cluster, Machine, What};
pub use policy::{Policy, run};
pub use report::{Delay, Report};
pub use trace::{Job, Trace};
pub use world::{Counts, Outcome, World};
