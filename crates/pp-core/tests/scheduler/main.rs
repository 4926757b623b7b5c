//! Tests of the scheduler from outside: scenarios to read, random sequences of
//! events against a model, and simulations under virtual time.

mod cancel;
mod checks;
mod death;
mod destroy;
mod env;
mod functions;
mod ops;
mod placement;
mod properties;
mod queueing;
mod recall;
mod resize;
mod rng;
mod simulation;
mod starting;
