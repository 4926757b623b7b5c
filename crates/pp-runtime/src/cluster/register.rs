//! Who is here, and what those have done who were.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::session::Session;
use crate::engine::Totals;
use crate::sync::{Condvar, Mutex};

/// What is known of a client.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// What it calls itself.
    pub name: String,
    /// Where it is.
    pub peer: SocketAddr,
    /// How many workers it has at the moment.
    pub workers: u32,
    /// How many jobs of its wait or run here.
    pub pending: usize,
    /// How many of its jobs were finished.
    pub jobs: u64,
    /// How long those ran, together.
    pub run_time: Duration,
    /// For how long it has been here.
    pub age: Duration,
}

/// What a node has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// How many clients have come.
    pub clients: u64,
    /// What was finished for them.
    pub totals: Totals,
}

/// All clients.
#[derive(Debug, Default)]
pub(super) struct Register {
    book: Mutex<Book>,
    gone: Condvar,
}

#[derive(Debug, Default)]
struct Book {
    present: BTreeMap<u64, Arc<Session>>,
    past: Done,
}

impl Register {
    /// A client has come.
    pub(super) fn add(&self, number: u64, session: Arc<Session>) {
        self.book.lock().present.insert(number, session);
    }

    /// A client has gone.
    pub(super) fn remove(&self, number: u64) {
        let mut book = self.book.lock();
        if let Some(session) = book.present.remove(&number) {
            book.past.add(&session);
        }
        drop(book);
        self.gone.notify_all();
    }

    /// Those who are here; then nobody is.
    pub(super) fn take_all(&self) -> Vec<Arc<Session>> {
        let mut book = self.book.lock();
        let all = std::mem::take(&mut book.present);
        all.into_values().collect()
    }

    /// Those who are here.
    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.book.lock().present.values().cloned().collect()
    }

    /// The same, for users.
    pub(super) fn views(&self) -> Vec<SessionView> {
        let book = self.book.lock();
        book.present
            .values()
            .map(|session| session.view())
            .collect()
    }

    /// What was done for those who are here and those who were.
    pub(super) fn done(&self) -> Done {
        let book = self.book.lock();
        let mut done = book.past;
        for session in book.present.values() {
            done.add(session);
        }
        done
    }

    /// Waits until nobody is here, or for so long; whether nobody is.
    pub(super) fn wait_until_empty(&self, deadline: Instant) -> bool {
        let mut book = self.book.lock();
        while !book.present.is_empty() {
            let (guard, is_late) = self.gone.wait_until(book, deadline);
            book = guard;
            if is_late && !book.present.is_empty() {
                return false;
            }
        }
        true
    }
}

impl Done {
    fn add(&mut self, session: &Session) {
        self.clients += 1;
        self.totals
            .join(session.engine.totals().unwrap_or_default());
    }
}

impl Session {
    fn view(&self) -> SessionView {
        let load = self.engine.load();
        let totals = self.engine.totals().unwrap_or_default();
        SessionView {
            name: self.caller.name.clone(),
            peer: self.peer,
            workers: load.workers,
            pending: self.engine.all_jobs().pending(),
            jobs: totals.jobs,
            run_time: totals.run_time,
            age: self.since.elapsed(),
        }
    }
}
