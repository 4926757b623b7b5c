//! What an engine is made with.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::cluster::Importer;
use crate::exports::Exports;
use crate::process::WorkerSpec;
use crate::stock::Stock;

/// What becomes of jobs when there are neither workers nor nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NobodyLeft {
    /// They wait until there are some.
    Wait,
    /// They fail, once nobody has been there for as long as a node may be silent.
    Fail,
}

/// The settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// How to start a worker.
    pub worker: WorkerSpec,
    /// Handed to each worker's Python side; opaque here.
    pub settings: Bytes,
    /// A job that took down this many workers fails.
    pub max_worker_deaths: NonZeroU32,
    /// A worker that ran this many jobs is replaced; `None`: it may run any number.
    pub max_jobs_per_worker: Option<NonZeroU32>,
    /// How long a cancelled job may go on after it was asked to end, before its worker is
    /// killed; zero: it is not asked.
    pub cancel_grace: Duration,
    /// What this machine has beside processors: bytes of memory, and thousandths of anything
    /// else.
    pub supply: Vec<(Arc<str>, u64)>,
    /// The GPUs among that, as their driver names them.
    pub gpus: Vec<Arc<str>>,
    /// What others take of it, too, if they do.
    #[doc(hidden)]
    pub stock: Option<Arc<Stock>>,
    /// Bytes of shared memory for big data; `None`: as much as seems right, 0: none.
    pub shared_memory: Option<u64>,
    /// How long a worker may take from its start to being ready.
    pub start_patience: Duration,
    /// How long a stopped worker may stay stopped before it is replaced.
    pub stop_patience: Duration,
    /// How long an idle worker may take to leave when the engine is destroyed.
    pub leave_patience: Duration,
    /// A job during which this many nodes were lost fails.
    pub max_node_losses: NonZeroU32,
    /// How long a node may say nothing before it is taken for dead.
    pub patience: Duration,
    /// Bytes of big arguments of a parent's jobs that are kept for later jobs; `None`: a
    /// quarter of the memory that this process may use.
    pub cache: Option<u64>,
    /// What becomes of jobs that nobody is there to run.
    pub nobody_left: NobodyLeft,
    /// What other nodes may get from this one, if this is one.
    #[doc(hidden)]
    pub exports: Option<Arc<Exports>>,
    /// What gets things from other nodes, if this is one.
    #[doc(hidden)]
    pub importer: Option<Importer>,
}

impl EngineConfig {
    /// The usual settings for workers started by `worker`.
    pub fn new(worker: WorkerSpec, settings: Bytes) -> Self {
        Self {
            worker,
            settings,
            max_worker_deaths: NonZeroU32::MIN.saturating_add(2),
            max_jobs_per_worker: None,
            cancel_grace: Duration::from_secs(1),
            supply: Vec::new(),
            gpus: Vec::new(),
            stock: None,
            shared_memory: None,
            // An interpreter on a cold network disk can take long.
            start_patience: Duration::from_secs(60),
            // Long enough for a person who pauses a worker by mistake.
            stop_patience: Duration::from_secs(3),
            leave_patience: Duration::from_millis(250),
            max_node_losses: NonZeroU32::MIN.saturating_add(2),
            patience: Duration::from_secs(5),
            cache: None,
            nobody_left: NobodyLeft::Wait,
            exports: None,
            importer: None,
        }
    }
}
