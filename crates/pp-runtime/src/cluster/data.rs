//! The thread in which nodes give each other what jobs have made. It encrypts a lot, which
//! would hold up the handshakes of others in the thread where those are made.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::giving::give;
use super::imports::Importer;
use super::thread::NetThread;
use crate::exports::Exports;
use crate::net::{Getter, Identity};

/// The most connections that are served at a time; others wait.
const SERVED_MAX: usize = 256;

/// How long others may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// To shake hands.
    pub(super) handshake: Duration,
    /// To say the next few bytes of what is due, or what they want.
    pub(super) silence: Duration,
    /// To take the next few bytes of what they wanted.
    pub(super) stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            silence: Duration::from_secs(10),
            stall: Duration::from_secs(60),
        }
    }
}

/// Who has come to get something, on the way to the thread.
pub(super) type Getters = mpsc::UnboundedSender<Box<Getter>>;

/// The thread.
#[derive(Debug)]
pub(super) struct DataThread {
    pub(super) exports: Arc<Exports>,
    pub(super) importer: Importer,
    pub(super) getters: Getters,
    thread: NetThread,
}

impl DataThread {
    /// Starts to give what is exported, and to get what is asked of the importer.
    pub(super) fn start(identity: Identity, limits: Limits) -> io::Result<Self> {
        let exports = Arc::new(Exports::default());
        let offered = Arc::clone(&exports);
        let (getters, comers) = mpsc::unbounded_channel();
        let importer = Importer::new(identity, limits);
        let shutting = Shutting(importer.clone());
        let thread = NetThread::start("pp-data", async move {
            run(&shutting.0, comers, &offered, limits).await;
        })?;
        Ok(Self {
            exports,
            importer,
            getters,
            thread,
        })
    }

    /// Ends it; who waits for something is told.
    pub(super) fn stop(self) {
        self.thread.stop();
    }
}

/// Shuts an importer when nobody works for it any more.
struct Shutting(Importer);

impl Drop for Shutting {
    fn drop(&mut self) {
        self.0.shut();
    }
}

/// Everything that the thread does.
async fn run(
    importer: &Importer,
    mut comers: mpsc::UnboundedReceiver<Box<Getter>>,
    exports: &Arc<Exports>,
    limits: Limits,
) {
    let served = Arc::new(Semaphore::new(SERVED_MAX));
    let mut tasks = JoinSet::new();
    let mut is_open = true;
    loop {
        tokio::select! {
            comer = comers.recv(), if is_open => match comer {
                Some(getter) => {
                    tasks.spawn(serve(*getter, Arc::clone(exports), Arc::clone(&served), limits));
                }
                // The door is closed; who is here is still served.
                None => is_open = false,
            },
            () = importer.wait() => {
                while let Some(line) = importer.next_line() {
                    tasks.spawn(line.work());
                }
            }
            Some(ended) = tasks.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "giving or getting something has failed");
                }
            }
        }
    }
}

/// Serves one who has come to get something, when it is his turn.
async fn serve(getter: Getter, exports: Arc<Exports>, served: Arc<Semaphore>, limits: Limits) {
    let Ok(_turn) = served.acquire_owned().await else {
        return;
    };
    if let Err(reason) = give(getter, &exports, limits).await {
        tracing::debug!(%reason, "nothing more is given to a node");
    }
}
