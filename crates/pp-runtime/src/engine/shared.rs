//! What the engine's threads share.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::sync::{Condvar, Mutex};
use mio::event::Source;
use mio::{Interest, Poll, Registry, Token, Waker};

use super::EngineConfig;
use super::groups::Group;
use super::guard::StateGuard;
use super::inbox::Inbox;
use super::node::Parting;
use super::notices::Notices;
use super::objects::Objects;
use super::state::{IoThread, State};
use crate::net::Link;
use crate::process::{ServerMark, WorkerSpec};
use crate::segments::Pool;

/// The poll token of the waker; workers have their numbers.
pub(super) const WAKE: Token = Token(usize::MAX);

/// The means to reach the I/O thread. Whoever needs one takes it out, and uses it with no lock
/// held: what is watched, or frees what wakes, has locks of its own.
#[derive(Clone)]
struct Poller {
    registry: Arc<Registry>,
    waker: Arc<Waker>,
}

/// State, and the means to wake who must act on it.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Given up when the engine is destroyed, whoever still refers to it then.
    poller: Mutex<Option<Poller>>,
    pub(super) spec: Arc<WorkerSpec>,
    pub(super) mark: ServerMark,
    pub(super) all: Arc<Group>,
    /// Times of jobs count from then on.
    pub(super) born: Instant,
    pub(super) inbox: Inbox,
    pub(super) notices: Arc<Notices>,
    pub(super) pool: Arc<Pool>,
    pub(super) objects: Objects,
    /// Told when the load of a server that works for a parent has changed. Must not wait,
    /// nor come back here.
    pub(super) watch: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Told of each worker that has gone, and of the end of the I/O thread.
    pub(super) worker_gone: Condvar,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(config: EngineConfig, poll: &Poll) -> io::Result<Arc<Self>> {
        let born = Instant::now();
        let poller = Poller {
            registry: Arc::new(poll.registry().try_clone()?),
            waker: Arc::new(Waker::new(poll.registry(), WAKE)?),
        };
        let segments = Pool::new(config.shared_memory);
        let shared = Arc::new(Self {
            poller: Mutex::new(Some(poller)),
            spec: Arc::new(config.worker.clone()),
            mark: ServerMark::new(),
            all: Arc::new(Group::default()),
            inbox: Inbox::default(),
            notices: Arc::default(),
            pool: Arc::clone(&segments),
            objects: Objects::default(),
            watch: OnceLock::new(),
            worker_gone: Condvar::new(),
            state: Mutex::new(State::new(config, born, Arc::clone(&segments))),
            born,
        });
        let waker = Arc::downgrade(&shared);
        let wake = move || {
            if let Some(shared) = waker.upgrade() {
                shared.wake_io();
            }
        };
        segments.set_wake(wake.clone());
        shared.state.lock().loans.set_wake(wake);
        Ok(shared)
    }

    pub(super) fn lock(&self) -> StateGuard<'_> {
        StateGuard::new(self.state.lock())
    }

    pub(super) fn try_lock(&self) -> Option<StateGuard<'_>> {
        self.state.try_lock().map(StateGuard::new)
    }

    /// The load has changed.
    pub(super) fn note_load(&self) {
        if let Some(watch) = self.watch.get() {
            watch();
        }
    }

    fn poller(&self) -> Option<Poller> {
        self.poller.lock().clone()
    }

    /// Wakes the I/O thread.
    pub(super) fn wake_io(&self) {
        if let Some(poller) = self.poller()
            && let Err(error) = poller.waker.wake()
        {
            tracing::error!(%error, "cannot wake the I/O thread");
        }
    }

    /// Lets the I/O thread watch `source`, a worker's socket.
    pub(super) fn watch(&self, source: &mut impl Source, token: Token) -> io::Result<()> {
        match self.poller() {
            Some(poller) => poller.registry.register(source, token, Interest::READABLE),
            None => Err(io::Error::other("the server was destroyed")),
        }
    }

    /// Lets the I/O thread watch a link.
    pub(super) fn watch_link(self: &Arc<Self>, link: &Link, token: Token) -> io::Result<()> {
        let shared = Arc::downgrade(self);
        link.set_wake(move || {
            if let Some(shared) = shared.upgrade() {
                shared.wake_io();
            }
        });
        match self.poller() {
            Some(poller) => link.watch(&poller.registry, token),
            None => Err(io::Error::other("the server was destroyed")),
        }
    }

    /// Lets the I/O thread not be told of a link for now; whether it is not.
    pub(super) fn mute_link(&self, link: &Link) -> bool {
        self.poller()
            .is_some_and(|poller| link.mute(&poller.registry))
    }

    /// Lets it be told again, also of what has come already.
    pub(super) fn unmute_link(&self, link: &Link, token: Token) -> io::Result<()> {
        match self.poller() {
            Some(poller) => link.unmute(&poller.registry, token),
            None => Ok(()),
        }
    }

    /// Ends the watching of a link.
    pub(super) fn forget_link(&self, link: &Link) {
        if let Some(poller) = self.poller() {
            link.forget(&poller.registry);
        }
    }

    /// Ends the watching of `source`.
    pub(super) fn forget(&self, source: &mut impl Source) {
        if let Some(poller) = self.poller() {
            // A socket that was never watched needs no more than to be closed.
            let _ = poller.registry.deregister(source);
        }
    }

    /// Closes what was needed to reach the I/O thread, which has ended.
    pub(super) fn close(&self) {
        self.poller.lock().take();
    }

    /// Ends all jobs and starts the end of all workers.
    pub(super) fn begin_destruction(self: &Arc<Self>) {
        let mut state = self.lock();
        if !state.destroyed {
            state.destroyed = true;
            self.inbox.close();
            self.unpack(&mut state);
            let now = state.now();
            state.scheduler.destroy(now);
            self.settle(&mut state);
            self.leave_parent(&mut state, Parting::Destroyed);
        }
        drop(state);
        self.wake_io();
    }

    /// The I/O thread says that it ends.
    pub(super) fn io_ends(&self, state: &mut State) {
        state.io = IoThread::Ended;
        self.worker_gone.notify_all();
    }

    /// Waits until the I/O thread is about to end; whether it is.
    pub(super) fn wait_for_io(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        while state.io != IoThread::Ended {
            let (guard, is_late) = self.worker_gone.wait_until(state, deadline);
            state = guard;
            if is_late && state.io != IoThread::Ended {
                tracing::error!("the I/O thread cannot be reached");
                return false;
            }
        }
        true
    }

    /// Waits until no worker is left; one that survives SIGKILL is reported.
    pub(super) fn wait_for_workers(&self, deadline: Instant) {
        let mut state = self.state.lock();
        while !state.workers.is_empty() {
            let (guard, is_late) = self.worker_gone.wait_until(state, deadline);
            state = guard;
            if is_late && !state.workers.is_empty() {
                let pids = state.pids();
                tracing::error!(?pids, "worker processes cannot be killed");
                state.workers.clear();
                break;
            }
        }
        drop(state);
        self.wake_io();
    }
}
