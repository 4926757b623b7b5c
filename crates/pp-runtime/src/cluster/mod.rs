//! Clusters: the client's side, which finds nodes and keeps them connected, and the
//! daemon's, which lets clients in and works for them.

mod backoff;
mod daemon;
mod data;
mod discovery;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod giving;
mod imports;
mod listener;
mod minding;
mod names;
mod offering;
mod parking;
mod refusals;
mod register;
mod session;
mod settings;
mod shares;
#[cfg(test)]
mod testing;
mod thread;

pub use daemon::{Daemon, DaemonConfig, DaemonError};
pub(crate) use imports::{Import, ImportError, Importer};
pub use names::{DEFAULT_PORT, NameError, Pattern, Target, parse};
pub use register::{Done, SessionView};
pub(crate) use settings::Settings;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use minding::{Join, Minder};
use parking::Parking;
use thread::NetThread;

use crate::net::{Caller, Identity};

/// What a server needs to get nodes.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Which nodes.
    pub targets: Vec<Target>,
    /// What it proves by that it belongs to the cluster.
    pub identity: Identity,
    /// What it says of itself.
    pub caller: Caller,
    /// Nodes that dial, where this is a daemon.
    pub(crate) parking: Option<Arc<Parking>>,
}

impl ClusterConfig {
    /// What a client needs.
    pub fn new(targets: Vec<Target>, identity: Identity, caller: Caller) -> Self {
        Self {
            targets,
            identity,
            caller,
            parking: None,
        }
    }
}

/// The connections of a server to its nodes, while it lives.
#[derive(Debug)]
pub(crate) struct Cluster {
    thread: NetThread,
}

impl Cluster {
    /// Starts to get nodes, and to hand them to `join`.
    pub(crate) fn start(config: ClusterConfig, settings: Vec<u8>, join: Join) -> io::Result<Self> {
        let minder = Arc::new(Minder {
            identity: config.identity,
            caller: config.caller,
            settings,
            join,
        });
        let thread = NetThread::start("pp-net", async move {
            let mut tasks = tokio::task::JoinSet::new();
            for target in config.targets {
                tasks.spawn(Arc::clone(&minder).mind(target));
            }
            if let Some(parking) = config.parking {
                tasks.spawn(minder.mind_offers(parking));
            }
            while tasks.join_next().await.is_some() {}
        })?;
        Ok(Self { thread })
    }

    /// Stops; what is connected stays so.
    pub(crate) fn stop(self) {
        self.thread.stop();
    }
}

/// How long a peer may say nothing unless somebody sets it otherwise.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(5);
