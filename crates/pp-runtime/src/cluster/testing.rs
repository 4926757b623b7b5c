//! What the tests of clusters share.

#![allow(clippy::unwrap_used)] // a test may fail

use std::path::PathBuf;

use super::{Daemon, DaemonConfig};
use crate::net::testing::{host, identity};
use crate::process::WorkerSpec;

/// A node without workers: it lets clients in and has nothing for them.
pub(super) fn idle_node() -> Daemon {
    let config = DaemonConfig {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        host: host(),
        identity: identity('a'),
        workers: 0,
        worker: WorkerSpec {
            program: PathBuf::from("/nonexistent"),
            args: Vec::new(),
            env: Vec::new(),
        },
        restart: false,
        supply: Vec::new(),
        gpus: Vec::new(),
        shared_memory: Some(0),
        cache: None,
        discovery: None,
        behind: Vec::new(),
        dial: Vec::new(),
        weights: vec![("heavy".into(), 3)],
    };
    Daemon::start(config).unwrap()
}
