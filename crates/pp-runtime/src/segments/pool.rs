//! The client's segments: made, handed out, reused, freed.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::file::SegmentFile;
use super::ledger::{Ledger, Refusal};
use super::limits::limits;
use super::memory::{Mapping, Region};
use super::parcel::Parcel;
use crate::fork;
use crate::sync::{Mutex, MutexGuard};

/// Wakes who minds the clock.
type Wake = Box<dyn Fn() + Send + Sync>;

/// Why something does not lie in shared memory.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoSegment {
    /// The limits do not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The operating system does not.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// All segments of one engine.
pub(crate) struct Pool {
    state: Mutex<State>,
    /// Whether segments were closed that workers are to be told of.
    closed: AtomicBool,
    born: Instant,
    generation: u32,
    wake: OnceLock<Wake>,
}

struct State {
    ledger: Ledger,
    files: HashMap<u64, Arc<SegmentFile>>,
    /// Closed ones: workers are to be told, and
    closed: Vec<u64>,
    /// their memory is to be given back where nobody waits for it.
    graves: Vec<Arc<SegmentFile>>,
    /// Whether somebody will look when the next idle one is to go.
    planned: bool,
    complained: bool,
    shut: bool,
    /// Counts down from the top, where it meets no segment.
    next_carried: u64,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// A pool of at most `bytes`; `None`: as much as seems right, 0: of none.
    pub(crate) fn new(bytes: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                ledger: Ledger::new(limits(bytes)),
                files: HashMap::new(),
                closed: Vec::new(),
                graves: Vec::new(),
                planned: false,
                complained: false,
                shut: false,
                next_carried: u64::MAX,
            }),
            closed: AtomicBool::new(false),
            born: Instant::now(),
            generation: fork::generation(),
            wake: OnceLock::new(),
        })
    }

    /// Says how to wake who calls [`Self::plan`] and [`Self::expire`].
    pub(crate) fn set_wake(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Only the first counts.
        let _ = self.wake.set(Box::new(wake));
    }

    /// Puts `parcel` into a segment, or says why it cannot be, at most once aloud.
    pub(crate) fn store(self: &Arc<Self>, parcel: &Parcel<'_>) -> Option<Arc<Lease>> {
        let result = self.take(parcel.len()).and_then(|lease| {
            let written = lease.write(parcel);
            if written.is_err() {
                self.state.lock().ledger.spoil(lease.id());
            }
            written.map(|()| lease).map_err(NoSegment::from)
        });
        self.bury();
        match result {
            Ok(lease) => Some(Arc::new(lease)),
            Err(reason) => {
                self.complain(&reason);
                None
            }
        }
    }

    /// Leases a segment of `len` bytes.
    pub(crate) fn take(self: &Arc<Self>, len: u64) -> Result<Lease, NoSegment> {
        let mut state = self.state.lock();
        let taken = state.ledger.take(len);
        let taken = match taken {
            Ok(taken) => taken,
            Err(refusal) => {
                self.sweep(&mut state);
                return Err(refusal.into());
            }
        };
        let file = if taken.fresh {
            match SegmentFile::create(taken.id, taken.len) {
                Ok(file) => {
                    let file = Arc::new(file);
                    state.files.insert(taken.id, Arc::clone(&file));
                    Some(file)
                }
                Err(error) => {
                    state.ledger.spoil(taken.id);
                    state.ledger.unlease(taken.id, false, self.now());
                    self.sweep(&mut state);
                    return Err(error.into());
                }
            }
        } else {
            state.files.get(&taken.id).map(Arc::clone)
        };
        self.sweep(&mut state);
        let file = file.ok_or_else(|| io::Error::other("a segment has lost its file"))?;
        Ok(Lease::new(Arc::clone(self), file))
    }

    /// One more lease of a segment that is leased or used.
    pub(crate) fn lease(self: &Arc<Self>, id: u64) -> Option<Lease> {
        let mut state = self.state.lock();
        let file = state.files.get(&id).map(Arc::clone)?;
        let is_leased = state.ledger.lease(id);
        is_leased.then(|| Lease::new(Arc::clone(self), file))
    }

    /// A worker gets one more use of a leased segment.
    pub(crate) fn give(&self, id: u64, worker: u64) -> bool {
        self.state.lock().ledger.give(id, worker)
    }

    /// Whether a worker has a use of the segment.
    pub(crate) fn is_used_by(&self, id: u64, worker: u64) -> bool {
        self.state.lock().ledger.is_used_by(id, worker)
    }

    /// A worker's uses have ended; false if it has not as many.
    pub(crate) fn release(&self, id: u64, worker: u64, uses: u64, reusable: bool) -> bool {
        let now = self.now();
        let mut state = self.state.lock();
        let known = state.ledger.release(id, worker, uses, reusable, now);
        self.freed(state);
        known
    }

    /// A worker and its children have ended.
    pub(crate) fn worker_gone(&self, worker: u64) {
        let now = self.now();
        let mut state = self.state.lock();
        state.ledger.worker_gone(worker, now);
        self.freed(state);
    }

    /// A name for what a worker is to keep without shared memory.
    pub(crate) fn name_carried(&self) -> u64 {
        let mut state = self.state.lock();
        state.next_carried -= 1;
        state.next_carried
    }

    /// What has been carried to workers is not needed any more.
    pub(crate) fn drop_carried(&self, id: u64) {
        if self.generation != fork::generation() {
            return;
        }
        let mut state = self.state.lock();
        state.closed.push(id);
        self.closed.store(true, Ordering::Release);
        drop(state);
        self.wake_up();
    }

    /// When [`Self::expire`] is to be called; it will be.
    pub(crate) fn plan(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        let next = state.ledger.next_expiry();
        state.planned = next.is_some();
        Some(self.born + next?)
    }

    /// Closes what has been idle for long enough.
    pub(crate) fn expire(&self) {
        let now = self.now();
        let mut state = self.state.lock();
        state.ledger.expire(now);
        self.sweep(&mut state);
    }

    /// The segments that workers are to be told of: they are closed.
    pub(crate) fn take_closed(&self) -> Vec<u64> {
        if !self.closed.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        std::mem::take(&mut self.state.lock().closed)
    }

    /// Gives back memory. That takes long, so nobody who holds a lock should.
    pub(crate) fn bury(&self) {
        let graves = std::mem::take(&mut self.state.lock().graves);
        drop(graves);
    }

    /// Hands out no more and keeps nothing that nobody uses.
    pub(crate) fn shut(&self) {
        let mut state = self.state.lock();
        state.ledger.shut();
        state.shut = true;
        self.sweep(&mut state);
        drop(state);
        self.bury();
    }

    /// Tells, once, why big data is copied more often than it might be.
    pub(crate) fn complain(&self, reason: &NoSegment) {
        let unsupported = matches!(reason, NoSegment::System(error)
            if error.kind() == io::ErrorKind::Unsupported);
        if unsupported || matches!(reason, NoSegment::Refused(Refusal::Off)) {
            tracing::debug!(%reason, "no shared memory");
            return;
        }
        if std::mem::replace(&mut self.state.lock().complained, true) {
            return;
        }
        tracing::warn!(
            "big arguments or results are copied through the workers' pipes, which is slower \
             than shared memory: {reason}. Collect and drop results sooner, submit fewer big \
             jobs at a time, or change the limit: pp.Server(shared_memory=...) for bytes, \
             `ulimit -n` for descriptors"
        );
    }

    /// Takes note of what the ledger has closed.
    fn sweep(&self, state: &mut MutexGuard<'_, State>) {
        let closed = state.ledger.take_closed();
        if closed.is_empty() {
            return;
        }
        for id in closed {
            if let Some(file) = state.files.remove(&id) {
                state.graves.push(file);
                state.closed.push(id);
            }
        }
        self.closed.store(true, Ordering::Release);
    }

    /// A lease has ended.
    fn unlease(&self, id: u64, reusable: bool) {
        let now = self.now();
        let mut state = self.state.lock();
        state.ledger.unlease(id, reusable, now);
        let shut = state.shut;
        self.freed(state);
        if shut {
            // Nobody else does it any more.
            self.bury();
        }
    }

    /// Something may have become free: wakes who is to close it, now or later.
    fn freed(&self, mut state: MutexGuard<'_, State>) {
        self.sweep(&mut state);
        let idle = !state.planned && state.ledger.next_expiry().is_some();
        state.planned |= idle;
        let due = idle || !state.graves.is_empty();
        drop(state);
        if due {
            self.wake_up();
        }
    }

    fn wake_up(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    fn now(&self) -> Duration {
        self.born.elapsed()
    }
}

/// The client's hold of a segment.
pub struct Lease {
    pool: Arc<Pool>,
    file: Arc<SegmentFile>,
    /// Tells what lies in the segment during this lease from what did in any other.
    content: u64,
    /// How many bytes that is; 0 if it is not known.
    holds: AtomicU64,
    view: Mutex<View>,
}

/// Counts the contents of segments.
static CONTENTS: AtomicU64 = AtomicU64::new(1);

/// What the user may look at.
#[derive(Default)]
struct View {
    mapping: Option<Arc<Mapping>>,
    /// How many forks there had been before.
    forks: Option<u32>,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.id()).finish()
    }
}

impl Lease {
    fn new(pool: Arc<Pool>, file: Arc<SegmentFile>) -> Self {
        Self {
            pool,
            file,
            content: CONTENTS.fetch_add(1, Ordering::Relaxed),
            holds: AtomicU64::new(0),
            view: Mutex::default(),
        }
    }

    /// The name of what lies in the segment: another content has another one.
    pub(crate) fn content_name(&self) -> u64 {
        self.content
    }

    /// So many bytes have been written during this lease.
    pub(crate) fn holds(&self, len: u64) {
        self.holds.store(len, Ordering::Release);
    }

    pub(crate) fn id(&self) -> u64 {
        self.file.id()
    }

    pub(crate) fn file(&self) -> &Arc<SegmentFile> {
        &self.file
    }

    /// What was written to it, to be looked at by the user.
    ///
    /// # Errors
    /// The system cannot map it, or this is a forked child.
    pub fn region(self: &Arc<Self>, writable: bool) -> io::Result<Region> {
        let len = usize::try_from(self.file.warm()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut view = self.view.lock();
        view.forks.get_or_insert_with(fork::count);
        if writable {
            let copy = Arc::new(self.file.private_copy(len)?);
            return Ok(Region::of_mapping(&copy, true, Arc::clone(self)));
        }
        let mapping = match &view.mapping {
            Some(mapping) => Arc::clone(mapping),
            None => Arc::new(self.file.view(len)?),
        };
        view.mapping = Some(Arc::clone(&mapping));
        Ok(Region::of_mapping(&mapping, false, Arc::clone(self)))
    }

    /// What was written to it, to be sent piece by piece.
    pub(crate) fn content(self: &Arc<Self>) -> io::Result<Bytes> {
        let len = match self.holds.load(Ordering::Acquire) {
            0 => self.file.warm(),
            len => len,
        };
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mapping = Arc::new(self.file.view(len)?);
        let region = Region::of_mapping(&mapping, false, Arc::clone(self));
        Ok(Bytes::from_owner(region))
    }

    fn write(&self, parcel: &Parcel<'_>) -> io::Result<()> {
        for (offset, piece) in parcel.pieces() {
            self.file.write(offset, piece)?;
        }
        self.file.warmed(parcel.len());
        self.holds(parcel.len());
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A forked child has no part in its parent's pool, whose lock may be held for ever.
        if self.pool.generation != fork::generation() {
            return;
        }
        let View { mapping, forks } = std::mem::take(&mut *self.view.lock());
        drop(mapping);
        let reusable = forks.is_none_or(|forks| forks == fork::count());
        self.pool.unlease(self.id(), reusable);
    }
}

#[cfg(all(test, unix))]
mod tests;
