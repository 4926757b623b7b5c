//! The engine: the scheduler driven for real, with worker processes.
//!
//! One lock guards the state. It is held for short, bounded work only, never over
//! a blocking call, and nobody who holds it waits for Python's lock. Submitters
//! dispatch in their own thread; one I/O thread takes in results and minds the
//! clock; a keeper per worker minds its process.

mod attend;
mod config;
mod effects;
mod events;
mod functions;
mod groups;
mod guard;
mod inbox;
mod intake;
mod io;
mod job;
mod nap;
mod notices;
mod objects;
mod outcome;
mod shared;
mod state;
mod worker;

use std::io::Error as IoError;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::blob::Blob;
use crate::sync::Mutex;
use bytes::Bytes;

pub use attend::Attention;
pub use config::EngineConfig;
pub use functions::Function;
pub use groups::Group;
pub use job::Job;
pub use notices::{Notice, Notices};
pub use objects::Object;
pub use outcome::{JobFailure, Outcome, Report};
pub use state::Totals;

use crate::fork;
use crate::process::{Family, kill_all};
use crate::segments::{Carried, Parcel, Part};
use shared::Shared;

/// How long `destroy` waits for processes that were killed. Only one that hangs
/// in the kernel takes longer.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// How long it waits for the I/O thread, which cannot be reached if other code has
/// closed our descriptors.
const IO_PATIENCE: Duration = Duration::from_secs(1);

/// Why the engine refuses a call.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// It was destroyed.
    #[error("the server was destroyed")]
    Destroyed,
    /// It belongs to the process that this one was forked from.
    #[error("the server belongs to process {owner}, from which this process was forked")]
    Forked {
        /// The process that made the engine.
        owner: u32,
    },
    /// The operating system refused what the engine needs.
    #[error("cannot set up the server: {0}")]
    Setup(#[from] IoError),
}

/// Runs jobs in worker processes of this machine.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    io: Mutex<Option<JoinHandle<()>>>,
    owner: u32,
    generation: u32,
}

impl Engine {
    /// An engine without workers; `resize` starts them.
    pub fn new(config: EngineConfig) -> Result<Self, EngineError> {
        let poll = mio::Poll::new()?;
        let shared = Shared::new(config, &poll)?;
        let io = io::start(Arc::clone(&shared), poll)?;
        Ok(Self {
            shared,
            io: Mutex::new(Some(io)),
            owner: std::process::id(),
            generation: fork::generation(),
        })
    }

    /// Stores a serialized function; equal bytes give the same function.
    pub fn intern(&self, blob: Bytes) -> Result<Arc<Function>, EngineError> {
        self.check_process()?;
        let mut state = self.shared.lock();
        let function = state.intern(blob);
        self.shared.settle(&mut state);
        Ok(function)
    }

    /// Queues a job for `function` with serialized arguments, and sends it to a worker
    /// at once if one idles. An `announced` job's end appears in the notices.
    #[inline]
    pub fn submit(
        &self,
        function: &Arc<Function>,
        args: Blob,
        group: &Arc<Group>,
        announced: bool,
    ) -> Result<Arc<Job>, EngineError> {
        self.check_process()?;
        let job = Arc::new(Job::new(
            self.shared.inbox.number(),
            Arc::clone(function),
            args,
            Arc::clone(group),
            announced,
        ));
        let next = self.shared.inbox.put(Arc::clone(&job));
        self.shared.follow(next.ok_or(EngineError::Destroyed)?);
        Ok(job)
    }

    /// Ends those jobs of `group` that have not begun, as cancelled. Those that have go
    /// on.
    pub fn withdraw(&self, group: &Arc<Group>) {
        if self.check_process().is_err() || group.pending() == 0 {
            return;
        }
        let mut state = self.shared.lock();
        self.shared.unpack(&mut state);
        let now = state.now();
        let is_meant = |job: &Arc<Job>| Arc::ptr_eq(job.group(), group);
        state.scheduler.withdraw_all(is_meant, now);
        self.shared.settle(&mut state);
    }

    /// Puts `parcel` into shared memory, for jobs to refer to. `None` if there is no room;
    /// the user was told. Takes as long as copying does.
    pub fn store(&self, parcel: &Parcel<'_>) -> Option<Part> {
        self.check_process().ok()?;
        self.shared.pool.store(parcel).map(Part::Shared)
    }

    /// Bytes that jobs refer to and that cannot lie in shared memory: each worker gets
    /// them through its line, once.
    pub fn carry(&self, content: Bytes) -> Part {
        Part::Carried(Arc::new(Carried::new(&self.shared.pool, content)))
    }

    /// Keeps what is in `parcel` for jobs to refer to, once if it is put twice; in shared
    /// memory if it has at least `shared` bytes.
    pub fn put(&self, parcel: &Parcel<'_>, shared: u64) -> Result<Arc<Object>, EngineError> {
        self.check_process()?;
        if self.shared.inbox.is_closed() {
            return Err(EngineError::Destroyed);
        }
        Ok(self.shared.objects.find_or(parcel, || {
            let stored = (parcel.len() >= shared).then(|| self.store(parcel));
            stored
                .flatten()
                .unwrap_or_else(|| self.carry(parcel.to_vec().into()))
        }))
    }

    /// Takes in results for a moment, `length` at the most, if `job` may end as soon.
    /// Never sleeps.
    pub fn attend(&self, job: &Job, length: Duration) -> Attention {
        self.shared.attend(job, length)
    }

    /// Waits until `job` has ended or `patience` is over; whether it has ended. May take
    /// in results of other jobs meanwhile.
    pub fn wait_for(&self, job: &Job, patience: Duration) -> bool {
        self.shared.mind(job, patience)
    }

    /// Sets the number of workers. Fewer: busy ones finish what they run first.
    pub fn resize(&self, workers: u32) -> Result<(), EngineError> {
        self.check_process()?;
        let mut state = self.shared.lock();
        if state.destroyed {
            return Err(EngineError::Destroyed);
        }
        let now = state.now();
        state.scheduler.resize(workers, now);
        self.shared.settle(&mut state);
        Ok(())
    }

    /// The group that counts all jobs.
    pub fn all_jobs(&self) -> &Arc<Group> {
        &self.shared.all
    }

    /// Sums over the finished jobs.
    pub fn totals(&self) -> Result<Totals, EngineError> {
        self.check_process()?;
        Ok(self.shared.lock().totals)
    }

    /// The identifiers of the worker processes.
    pub fn worker_pids(&self) -> Result<Vec<u32>, EngineError> {
        self.check_process()?;
        Ok(self.shared.lock().pids())
    }

    /// The queue of announced ends.
    pub fn notices(&self) -> &Arc<Notices> {
        &self.shared.notices
    }

    /// Whether `destroy` was called.
    pub fn is_destroyed(&self) -> bool {
        self.check_process().is_ok() && self.shared.inbox.is_closed()
    }

    /// Whether this process may use the engine.
    pub fn check_process(&self) -> Result<(), EngineError> {
        if fork::generation() == self.generation {
            Ok(())
        } else {
            Err(EngineError::Forked { owner: self.owner })
        }
    }

    /// Ends all jobs that have not ended, and all workers with all that they
    /// started; returns when nothing of them is left. A forked child's call does
    /// nothing.
    pub fn destroy(&self) {
        if self.check_process().is_err() {
            return;
        }
        // Held to the end, so that no other call returns before all is done.
        let mut io = self.io.lock();
        if let Some(io) = io.take() {
            let mark = self.shared.mark.of_server();
            let family = Family::of(&self.shared.lock().pids(), &mark);
            self.shared.begin_destruction();
            self.shared.wait_for_workers(Instant::now() + KILL_PATIENCE);
            family.kill();
            // What a worker's child forked while it was being killed.
            kill_all(&[], &mark);
            if self.shared.wait_for_io(Instant::now() + IO_PATIENCE) {
                // A thread that panicked has nothing more to say.
                let _ = io.join();
            }
            self.shared.close();
            self.shared.pool.shut();
        }
        self.shared.notices.close();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.destroy();
        if self.check_process().is_err() {
            // Sockets, threads and locks in here belong to the parent process.
            std::mem::forget(Arc::clone(&self.shared));
            // Not by the lock, which a thread may have held that was not forked along.
            std::mem::forget(self.io.get_mut().take());
        }
    }
}
