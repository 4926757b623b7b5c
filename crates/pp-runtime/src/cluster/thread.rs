//! The thread in which everything happens that waits for the network to connect: never
//! what carries jobs.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::fork;

/// How long a look-up of a name that hangs may hold up the end.
const END_PATIENCE: Duration = Duration::from_millis(200);

/// A thread with an asynchronous runtime.
#[derive(Debug)]
pub(super) struct NetThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    generation: u32,
}

impl NetThread {
    /// Starts a thread that drives `work` until it ends or is stopped.
    pub(super) fn start(
        name: &str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = work => {}
                        _ = stopped => {}
                    }
                });
                runtime.shutdown_timeout(END_PATIENCE);
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
            generation: fork::generation(),
        })
    }

    /// Stops it, and waits until it has.
    pub(super) fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // It may have come to its end by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && self.generation == fork::generation()
        {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}
