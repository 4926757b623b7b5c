//! A client that is let in, and what works for it: an engine of its own, so that clients
//! see nothing of each other.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::imports::Importer;
use super::parking::Parking;
use super::settings::Settings;
use super::{ClusterConfig, DaemonConfig};
use crate::engine::{Engine, EngineConfig, EngineError, Parting};
use crate::exports::Exports;
use crate::net::{Admitted, Caller};
use crate::stock::Stock;

/// Why a client cannot be worked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// It says something about itself that this release does not understand.
    #[error("its settings cannot be read: install the same release of parallel-python on both")]
    Settings,
    /// The system does not allow it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The connection cannot be used.
    #[error(transparent)]
    Link(#[from] std::io::Error),
}

/// A client, while it is connected.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) caller: Caller,
    pub(super) peer: SocketAddr,
    pub(super) engine: Engine,
    pub(super) since: Instant,
    pub(super) weight: u32,
}

/// What all sessions of a daemon share.
#[derive(Clone)]
pub(super) struct Common {
    /// Nodes that dial.
    pub(super) parking: Arc<Parking>,
    /// What other nodes may get.
    pub(super) exports: Arc<Exports>,
    /// What gets things from them.
    pub(super) importer: Importer,
    /// What this machine has for the jobs of all.
    pub(super) stock: Arc<Stock>,
}

impl Session {
    /// Begins to work for a client. `changed` is told when its load has changed. Who waits
    /// for what is returned with it learns why it has gone. Takes as long as a few system
    /// calls do.
    pub(super) fn open(
        config: &DaemonConfig,
        peer: SocketAddr,
        admitted: Admitted,
        common: Common,
        changed: impl Fn() + Send + Sync + 'static,
    ) -> Result<(Arc<Self>, oneshot::Receiver<Parting>), SessionError> {
        let Admitted {
            link,
            caller,
            settings,
        } = admitted;
        let settings = Settings::decode(&settings).ok_or(SessionError::Settings)?;
        let engine = Engine::new(EngineConfig {
            max_worker_deaths: settings.max_worker_deaths,
            max_node_losses: settings.max_node_losses,
            max_jobs_per_worker: if config.restart {
                Some(NonZeroU32::MIN)
            } else {
                settings.max_jobs_per_worker
            },
            cancel_grace: settings.cancel_grace,
            supply: config.supply.clone(),
            gpus: config.gpus.clone(),
            stock: Some(common.stock),
            shared_memory: config.shared_memory,
            cache: config.cache,
            patience: caller.patience,
            exports: Some(common.exports),
            importer: Some(common.importer),
            ..EngineConfig::new(config.worker.clone(), settings.python.into())
        })?;
        engine.set_watch(changed);
        let parted = engine.serve(link, caller.patience)?;
        let mut route = caller.route.clone();
        route.push(config.host.node);
        engine.connect(ClusterConfig {
            targets: config.behind.clone(),
            identity: config.identity.clone(),
            caller: Caller {
                route,
                name: format!("{} for {}", config.host.name, caller.name),
                ..caller.clone()
            },
            parking: Some(common.parking),
        })?;
        let session = Self {
            weight: config.weight_of(&caller.name),
            caller,
            peer,
            engine,
            since: Instant::now(),
        };
        Ok((Arc::new(session), parted))
    }
}
