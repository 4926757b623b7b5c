//! What a machine has beside processors, for all engines that have workers on it.
//!
//! Each engine's scheduler counts what its own jobs take, as if nobody else took any. So before a
//! job is given to a worker, what it needs is taken from here, and it is given back when the
//! worker does not have the job any more. Who gets nothing waits in [`line`].
//!
//! One lock guards it. Nothing is called while it is held: who is to try again is told by
//! [`Calls`], when they are dropped.

mod line;
mod shelf;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use crate::sync::Mutex;
use line::Line;
pub(crate) use shelf::GPU;
use shelf::{Parts, Shelf};

/// How much of which resource; each is named once.
pub(crate) type Amounts = Vec<(Arc<str>, u64)>;

/// Whether both name some resource.
fn compete(one: &Amounts, other: &Amounts) -> bool {
    one.iter().any(|(name, _)| names(other, name))
}

fn names(amounts: &Amounts, name: &str) -> bool {
    amounts.iter().any(|(other, _)| **other == *name)
}

/// What a machine has, and who has it.
#[derive(Debug)]
pub struct Stock(Mutex<Book>);

#[derive(Debug)]
struct Book {
    shelf: Shelf,
    line: Line,
    /// By owner and worker.
    loans: BTreeMap<(u64, u64), Loan>,
    owners: BTreeMap<u64, Arc<Bell>>,
    next_owner: u64,
}

#[derive(Debug)]
struct Loan {
    amounts: Amounts,
    parts: Parts,
}

/// How an owner is told to try again.
#[derive(Default)]
struct Bell {
    has_rung: AtomicBool,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl std::fmt::Debug for Bell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

/// Owners to be woken when this is dropped. That must not be under the lock of an engine.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Arc<Bell>>);

impl Drop for Calls {
    fn drop(&mut self) {
        for bell in &self.0 {
            if let Some(wake) = bell.wake.get() {
                wake();
            }
        }
    }
}

impl Stock {
    /// What there is: bytes of memory, and thousandths of all else; `gpus` are the names of
    /// those among it.
    pub(crate) fn new(supply: &[(Arc<str>, u64)], gpus: &[Arc<str>]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Book {
            shelf: Shelf::new(supply, gpus),
            line: Line::default(),
            loans: BTreeMap::new(),
            owners: BTreeMap::new(),
            next_owner: 0,
        })))
    }

    /// Lets one more take of it.
    pub(crate) fn join(self: &Arc<Self>) -> Owner {
        let mut book = self.0.lock();
        let number = book.next_owner;
        book.next_owner += 1;
        let bell = Arc::new(Bell::default());
        book.owners.insert(number, Arc::clone(&bell));
        Owner {
            stock: Arc::clone(self),
            number,
            bell,
        }
    }
}

/// One who takes of a stock. It gives everything back when it is dropped.
#[derive(Debug)]
pub(crate) struct Owner {
    stock: Arc<Stock>,
    number: u64,
    bell: Arc<Bell>,
}

impl Owner {
    /// Says what is called when others have given back what this one waits for. It must not
    /// wait, nor call anybody here.
    pub(crate) fn set_wake(&self, wake: impl Fn() + Send + Sync + 'static) {
        // Only the first counts.
        let _ = self.bell.wake.set(Box::new(wake));
    }

    /// Takes what a job needs that a worker is about to get, and gives the names of its GPUs, with
    /// commas. If that cannot be, it waits in line with a ticket, the one that it had or a new
    /// one; with it, it is to try again when it is [called](Self::is_called).
    pub(crate) fn take(
        &self,
        worker: u64,
        amounts: &Amounts,
        ticket: Option<u64>,
        now: Instant,
        calls: &mut Calls,
    ) -> Result<String, u64> {
        let mut book = self.stock.0.lock();
        let book = &mut *book;
        book.return_loan((self.number, worker), calls);
        let held_back = if book.owners.len() > 1 {
            let lacks = |wished: &Amounts| book.shelf.lacks(wished);
            let free = lacks(amounts).is_empty();
            free.then(|| {
                book.line
                    .held_back(self.number, amounts, ticket, now, lacks)
            })
            .flatten()
        } else {
            None
        };
        let parts = match held_back {
            None => book.shelf.take(amounts),
            Some(_) => None,
        };
        let Some(parts) = parts else {
            return Err(book.line.wait(self.number, amounts, ticket, held_back));
        };
        if ticket.is_some_and(|ticket| book.line.leave(ticket)) {
            book.call(self.number, amounts, calls);
        }
        let devices = book.shelf.device_names(&parts);
        let amounts = amounts.clone();
        book.loans
            .insert((self.number, worker), Loan { amounts, parts });
        Ok(devices)
    }

    /// Gives back what a worker has had.
    pub(crate) fn give_back(&self, worker: u64, calls: &mut Calls) {
        let mut book = self.stock.0.lock();
        book.return_loan((self.number, worker), calls);
    }

    /// Does not wait any more.
    pub(crate) fn withdraw(&self, ticket: u64, amounts: &Amounts, calls: &mut Calls) {
        let mut book = self.stock.0.lock();
        if book.line.leave(ticket) {
            book.call(self.number, amounts, calls);
        }
    }

    /// Whether it is to try again what it waits for; it is told once.
    pub(crate) fn is_called(&self, now: Instant) -> bool {
        let is_due = self.stock.0.lock().line.take_due(self.number, now);
        self.bell.has_rung.swap(false, Ordering::Relaxed) || is_due
    }

    /// When it is to ask again whether it is called, even if it is not woken.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        self.stock.0.lock().line.next_look(self.number)
    }

    /// Gives everything back, and waits for nothing.
    pub(crate) fn leave(&self, calls: &mut Calls) {
        let mut book = self.stock.0.lock();
        if book.owners.remove(&self.number).is_none() {
            return;
        }
        book.line.leave_all(self.number);
        let mine = (self.number, 0)..=(self.number, u64::MAX);
        let loans: Vec<_> = book.loans.range(mine).map(|(&key, _)| key).collect();
        for loan in loans {
            book.return_loan(loan, calls);
        }
        // It may have held anybody back.
        book.call_all(calls);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.leave(&mut Calls::default());
    }
}

impl Book {
    fn return_loan(&mut self, key: (u64, u64), calls: &mut Calls) {
        if let Some(loan) = self.loans.remove(&key) {
            self.shelf.give_back(&loan.amounts, &loan.parts);
            self.call(key.0, &loan.amounts, calls);
        }
    }

    /// Lets others try again that wait for some of this.
    fn call(&self, owner: u64, amounts: &Amounts, calls: &mut Calls) {
        for other in self.line.waiting(|other| compete(other, amounts)) {
            if other != owner {
                self.ring(other, calls);
            }
        }
    }

    fn call_all(&self, calls: &mut Calls) {
        for owner in self.line.waiting(|_| true) {
            self.ring(owner, calls);
        }
    }

    fn ring(&self, owner: u64, calls: &mut Calls) {
        if let Some(bell) = self.owners.get(&owner)
            && !bell.has_rung.swap(true, Ordering::Relaxed)
        {
            calls.0.push(Arc::clone(bell));
        }
    }
}

#[cfg(test)]
mod tests;
