//! Tests of the scheduler from outside: scenarios to read, random sequences of
//! events against a model, and simulations under virtual time.

// A test fails by panicking, and prints what repeats it.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)]

mod ahead;
mod cancel;
mod checks;
mod choices;
mod cluster;
mod copies;
mod death;
mod dependencies;
mod destroy;
mod env;
mod events;
mod fairness;
mod finale;
mod functions;
mod gathering;
mod items;
mod losses;
mod near;
mod needs;
mod nodes;
mod ops;
mod order;
mod placement;
mod priorities;
mod properties;
mod queueing;
mod recall;
mod refusals;
mod resize;
mod resources;
mod retries;
mod rng;
mod set_aside;
mod shares;
mod simulation;
mod starting;
mod supply;
mod terms;
mod time_limits;
mod together;
mod ways;
