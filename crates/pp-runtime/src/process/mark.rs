//! Marks: names for servers and workers that their descendants carry in the
//! environment, so that none can hide from the clearing up.
//!
//! A mark is `SERVER.WORKER;`. A worker that makes a server of its own passes its
//! mark on, so the variable holds a path of them.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};

use super::MARK_VARIABLE;

/// A server's name, unique on this machine.
#[derive(Debug, Clone)]
pub(crate) struct ServerMark {
    inherited: String,
    own: String,
}

impl ServerMark {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        let mut own = String::new();
        for part in 0..2u8 {
            // Seeded by the operating system for each process, and counted on.
            let random = RandomState::new().hash_one((part, std::process::id()));
            // Writing to a string cannot fail.
            let _ = write!(own, "{random:016x}");
        }
        Self {
            inherited: std::env::var(MARK_VARIABLE).unwrap_or_default(),
            own,
        }
    }

    /// What all descendants of this server have in their environment.
    pub(crate) fn of_server(&self) -> String {
        format!("{}.", self.own)
    }

    /// What the descendants of one worker have.
    pub(crate) fn of_worker(&self, number: u64) -> String {
        format!("{}.{number};", self.own)
    }

    /// The value of the variable for one worker.
    pub(crate) fn path(&self, number: u64) -> String {
        format!("{}{}", self.inherited, self.of_worker(number))
    }
}
