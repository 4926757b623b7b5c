//! Getting from other nodes what they have made: who waits for what, and how much is under
//! way at a time.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use pp_proto::{AssembleError, ProtocolError, Ticket};
use tokio::sync::Notify;

use super::data::Limits;
use super::minding::NotReached;
use crate::net::{Identity, Lapse};
use crate::segments::{Part, Pool};
use crate::sync::Mutex;

mod line;
#[cfg(test)]
mod tests;

use line::Line;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use line::fetch;

/// The most connections to one place,
const PLACE_MAX: usize = 4;
/// and to all.
const ALL_MAX: usize = 64;

/// Something to be got from another node.
pub(crate) struct Import {
    /// Where that node is: its address and port.
    pub(crate) place: Box<str>,
    /// What it is given for there.
    pub(crate) ticket: Ticket,
    /// The bytes that it must have.
    pub(crate) size: u64,
    /// Where it goes, if there is room; else it goes on the heap.
    pub(crate) pool: Arc<Pool>,
    /// Called exactly once, from any thread, with no lock held.
    pub(crate) done: Done,
}

/// Is told what has come of an import.
pub(crate) type Done = Box<dyn FnOnce(Result<Part, ImportError>) + Send>;

/// Why something could not be got from another node.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// There is no connection to that node.
    #[error("the node that has it cannot be reached: {0}")]
    Unreachable(Arc<NotReached>),
    /// That node says why it does not give it.
    #[error("the node that should have it refuses: {0}")]
    Refused(Box<str>),
    /// It is something else.
    #[error("it has {found} bytes, and should have {expected}")]
    OtherSize {
        /// What the other node says.
        found: u64,
        /// What was said before.
        expected: u64,
    },
    /// The other node sends more than it said, or there is no memory for what it sends.
    #[error(transparent)]
    Content(#[from] AssembleError),
    /// The connection is of no use.
    #[error(transparent)]
    Lapse(#[from] Lapse),
    /// The other node says what does not belong there.
    #[error("the other side said {0} where content should be")]
    Unexpected(&'static str),
    /// This node ends.
    #[error("this node ends")]
    Stopped,
}

impl From<ProtocolError> for ImportError {
    fn from(error: ProtocolError) -> Self {
        Self::Lapse(error.into())
    }
}

/// An import, whose end is told whatever becomes of it.
struct Pending {
    ticket: Ticket,
    size: u64,
    pool: Arc<Pool>,
    done: Option<Done>,
}

impl Pending {
    fn finish(mut self, result: Result<Part, ImportError>) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(ImportError::Stopped));
        }
    }
}

/// Gets things from other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Importer {
    shared: Arc<Shared>,
}

struct Shared {
    identity: Identity,
    limits: Limits,
    state: Mutex<State>,
    /// There is something to be begun.
    news: Notify,
}

#[derive(Default)]
struct State {
    places: HashMap<Box<str>, Waiting>,
    /// Connections, also those that are being made.
    lines: usize,
    is_shut: bool,
}

/// What is to be got from one place.
struct Waiting {
    queue: VecDeque<Pending>,
    lines: usize,
    /// How many of the lines are connected.
    connected: usize,
    /// How many there may be: fewer where one more was refused.
    most: usize,
}

impl fmt::Debug for Importer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Importer").finish_non_exhaustive()
    }
}

impl Importer {
    pub(super) fn new(identity: Identity, limits: Limits) -> Self {
        Self {
            shared: Arc::new(Shared {
                identity,
                limits,
                state: Mutex::default(),
                news: Notify::new(),
            }),
        }
    }

    /// Gets something. Never waits, and never calls `done` itself: the caller may hold what
    /// that needs.
    pub(crate) fn get(&self, import: Import) {
        let pending = Pending {
            ticket: import.ticket,
            size: import.size,
            pool: import.pool,
            done: Some(import.done),
        };
        let mut state = self.shared.state.lock();
        if state.is_shut {
            drop(state);
            refuse_later(pending);
            return;
        }
        let waiting = state.places.entry(import.place).or_insert(Waiting {
            queue: VecDeque::new(),
            lines: 0,
            connected: 0,
            most: PLACE_MAX,
        });
        waiting.queue.push_back(pending);
        drop(state);
        self.shared.news.notify_one();
    }

    /// Waits until there may be something to begin.
    pub(super) async fn wait(&self) {
        self.shared.news.notified().await;
    }

    /// A line to a place where something waits; the place with the fewest comes first. They
    /// are made one by one, so that who tries to reach a machine that is down does so once.
    pub(super) fn next_line(&self) -> Option<Line> {
        let mut state = self.shared.state.lock();
        if state.lines >= ALL_MAX {
            return None;
        }
        let open = state.places.iter_mut().filter(|(_, waiting)| {
            let is_settled = waiting.lines == waiting.connected;
            is_settled && waiting.lines < waiting.most && !waiting.queue.is_empty()
        });
        let (place, waiting) = open.min_by_key(|(_, waiting)| waiting.lines)?;
        waiting.lines += 1;
        let place = place.clone();
        state.lines += 1;
        drop(state);
        Some(Line::new(self.clone(), place))
    }

    /// Nothing is got any more: who waits is told, and so is who comes later.
    pub(super) fn shut(&self) {
        let mut state = self.shared.state.lock();
        state.is_shut = true;
        let waiting = std::mem::take(&mut state.places);
        drop(state);
        // Who is told may want the lock.
        drop(waiting);
    }

    fn next(&self, place: &str) -> Option<Pending> {
        let mut state = self.shared.state.lock();
        state.places.get_mut(place)?.queue.pop_front()
    }

    /// A place could not be reached: what is not got therefore. If other lines have reached
    /// it, they will get it, and there are no more of them for now.
    fn not_reached(&self, place: &str, first: Pending) -> VecDeque<Pending> {
        let mut state = self.shared.state.lock();
        let Some(waiting) = state.places.get_mut(place) else {
            return [first].into();
        };
        waiting.queue.push_front(first);
        if waiting.connected == 0 {
            return std::mem::take(&mut waiting.queue);
        }
        waiting.most = waiting.connected;
        VecDeque::new()
    }

    /// A line has been connected, or is not any more.
    fn note(&self, place: &str, is_connected: bool) {
        let mut state = self.shared.state.lock();
        if let Some(waiting) = state.places.get_mut(place) {
            if is_connected {
                waiting.connected += 1;
            } else {
                waiting.connected -= 1;
            }
        }
        drop(state);
        // It may be time for one more.
        self.shared.news.notify_one();
    }

    /// A line has ended.
    fn end_line(&self, place: &str) {
        let mut state = self.shared.state.lock();
        state.lines -= 1;
        if let Some(waiting) = state.places.get_mut(place) {
            waiting.lines -= 1;
            if waiting.lines == 0 && waiting.queue.is_empty() {
                state.places.remove(place);
            }
        }
        drop(state);
        // Something may have come meanwhile, or waited for room.
        self.shared.news.notify_one();
    }
}

/// Tells, from another thread, that nothing is got any more.
fn refuse_later(pending: Pending) {
    let kept = Arc::new(Mutex::new(Some(pending)));
    let refused = Arc::clone(&kept);
    let spawned = std::thread::Builder::new()
        .name("pp-late".into())
        .spawn(move || {
            let pending = refused.lock().take();
            drop(pending);
        });
    if let Err(error) = spawned {
        tracing::error!(%error, "nobody can be told that something is not got");
        // Dropped here, it would tell the caller, who may hold what that needs.
        std::mem::forget(kept);
    }
}
