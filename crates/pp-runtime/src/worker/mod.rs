//! The worker's side: a session with the client that spawned this process.

mod current;
mod watchdog;

use std::io;
use std::time::{Duration, Instant};

pub use pp_proto::Status;

use crate::channel::{LineError, WorkerChannel, join};
pub use crate::channel::{Next, Share};
use crate::lookout::Lookout;
use crate::segments::{Parcel, Span};
use crate::shm::Lineage;
pub use current::Current;

/// How many jobs a worker holds at the most. Below the number of claim words, far
/// above what is ever sent ahead.
const CREDIT: u32 = 512;

/// How long a worker looks out for work before it sleeps. Falling asleep and being
/// woken takes longer than this, so looking saves time when work comes soon.
const LOOKOUT: Duration = Duration::from_micros(20);

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The line to the client failed.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The operating system refused.
    #[error("cannot join the client: {0}")]
    Join(#[from] io::Error),
}

/// A session with the client.
#[derive(Debug)]
pub struct Session {
    channel: WorkerChannel,
    lineage: Lineage,
    lookout: Lookout,
}

impl Session {
    /// Takes the line to the client from standard input, which is then the null
    /// device, and greets. `python` is the version of the interpreter.
    pub fn join(python: (u8, u8, u8)) -> Result<Self, SessionError> {
        let (bell, segment) = join()?;
        watchdog::start(bell.life_line()?)?;
        let mut channel = WorkerChannel::new(bell, segment);
        channel.greet(python)?;
        Ok(Self {
            channel,
            lineage: Lineage::of_this_process(),
            lookout: Lookout::new(LOOKOUT),
        })
    }

    /// The job that runs, for whoever is told that it is to end.
    pub fn current(&self) -> Current {
        self.channel.current()
    }

    /// Says that this worker is set up.
    pub fn ready(&mut self) -> Result<(), SessionError> {
        Ok(self.channel.ready(CREDIT)?)
    }

    /// Says that this worker wants to be replaced, if its process takes more than so many bytes
    /// of memory.
    pub fn leave_beyond(&mut self, memory: u64) -> Result<(), SessionError> {
        // Where it cannot be told, there is no limit.
        let taken = memory_stats::memory_stats().map_or(0, |stats| stats.physical_mem as u64);
        if taken > memory {
            self.channel.leaving()?;
        }
        Ok(())
    }

    /// Says why this worker cannot be set up.
    pub fn fault(&mut self, text: &str) -> Result<(), SessionError> {
        Ok(self.channel.fault(text)?)
    }

    /// What is to be done next; [`Next::Nothing`] if nothing has come yet.
    pub fn take(&mut self) -> Result<Next, SessionError> {
        Ok(self.channel.take()?)
    }

    /// Waits for something to do. May return early, for a signal.
    pub fn wait(&mut self) -> Result<(), SessionError> {
        self.channel.release()?;
        if self.channel.is_sending() {
            self.channel.push_or_wait()?;
            return Ok(());
        }
        self.lookout.begin(Instant::now());
        while !self.channel.has_work()? {
            let now = Instant::now();
            if self.lookout.goes_on(now) {
                std::thread::yield_now();
                continue;
            }
            self.channel.fall_asleep();
            if !self.channel.has_work()? {
                self.channel.wait().map_err(LineError::from)?;
            }
            self.channel.wake_up();
            break;
        }
        self.lookout.note_work(Instant::now());
        Ok(())
    }

    /// Sends a job's result, and what the job printed on standard output and error. Whether it is
    /// all written; if not, [`Self::wait_for_room`].
    pub fn answer(
        &mut self,
        job: u64,
        status: Status,
        run_time: Duration,
        body: &[u8],
        printed: (&[u8], &[u8]),
    ) -> Result<bool, SessionError> {
        self.channel.release()?;
        let run_ns = u64::try_from(run_time.as_nanos()).unwrap_or(u64::MAX);
        Ok(self.channel.answer(job, status, run_ns, body, printed)?)
    }

    /// From now on, jobs get private copies of segments where the system can make them
    /// page by page; elsewhere regions stay as they are, not writable.
    pub fn make_private(&mut self) {
        self.channel.make_private();
    }

    /// Whether nothing is to be done at the moment, while views of segments are alive:
    /// time to look whether that is only because garbage was not collected.
    pub fn idles_with_views(&self) -> Result<bool, SessionError> {
        Ok(self.channel.is_held() && !self.channel.has_work()?)
    }

    /// The segment that these bytes lie in, and where, if the result of a job may refer
    /// to it.
    pub fn find(&self, bytes: Span<'_>) -> Option<(u64, u64)> {
        self.channel.find(bytes)
    }

    /// Says that the result of `job`, which is to be sent next, refers to a segment that
    /// was found. The first one has slot 0, and so on.
    pub fn place(&mut self, job: u64, segment: u64) -> Result<(), SessionError> {
        Ok(self.channel.place(job, segment)?)
    }

    /// Puts what the result of `job` consists of into shared memory, as the next slot.
    /// False if there is none: it is to be sent as it is.
    pub fn store(&mut self, job: u64, parcel: &Parcel<'_>) -> Result<bool, SessionError> {
        let Some(mut granted) = self.channel.want(job, parcel.len())? else {
            return Ok(false);
        };
        if let Err(error) = granted.write(parcel) {
            // The client tells why if it is for want of memory that it has no more to give.
            tracing::debug!(%error, "a result does not fit into shared memory");
            return Ok(false);
        }
        self.channel.written(&granted);
        self.channel.place(job, granted.segment)?;
        Ok(true)
    }

    /// Waits for room and writes on; whether all is written.
    pub fn wait_for_room(&mut self) -> Result<bool, SessionError> {
        Ok(self.channel.push_or_wait()?)
    }

    /// Whether this process is a fork of the worker, made by a job. It must not
    /// speak for the worker.
    pub fn is_fork(&self) -> bool {
        self.lineage.is_fork()
    }
}
