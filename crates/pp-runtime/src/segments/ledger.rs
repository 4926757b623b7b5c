//! Who may still look at which segment, and which are free for the next.
//!
//! A state machine without I/O: time is an argument, files are somebody else's. A
//! segment is free when the client has no lease of it and no worker a use. Then it
//! waits, warm, to be taken again, unless somebody unknown may look at it.

use std::collections::BTreeMap;
use std::time::Duration;

/// Sizes are rounded up to an eighth of their power of two, so that arrays of nearly
/// one size share segments, and to no less than this.
const GRAIN: u64 = 64 * 1024;

/// What a ledger allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of all segments together.
    pub(crate) bytes: u64,
    /// How many there are.
    pub(crate) segments: usize,
    /// Bytes of those that nobody uses.
    pub(crate) idle_bytes: u64,
    /// How long nobody uses one before it goes.
    pub(crate) idle_time: Duration,
}

/// Why there is no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// None are to be used.
    #[error("shared memory is switched off")]
    Off,
    /// There would be too many bytes.
    #[error("{wanted} bytes more than the {used} in use would be beyond the limit of {limit}")]
    Bytes {
        /// What was asked for.
        wanted: u64,
        /// What is in use.
        used: u64,
        /// The most that may be.
        limit: u64,
    },
    /// There would be too many segments, each of which takes a file descriptor.
    #[error("{limit} segments are in use, which is the limit for descriptors' sake")]
    Segments {
        /// The most that there may be.
        limit: usize,
    },
}

/// A segment was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) id: u64,
    /// Its whole length.
    pub(crate) len: u64,
    /// Whether it is to be made first.
    pub(crate) fresh: bool,
}

#[derive(Debug)]
struct Entry {
    len: u64,
    leases: u64,
    /// Uses by worker.
    uses: BTreeMap<u64, u64>,
    reusable: bool,
    idle_since: Option<Duration>,
}

/// The books.
#[derive(Debug)]
pub(crate) struct Ledger {
    limits: Limits,
    entries: BTreeMap<u64, Entry>,
    bytes: u64,
    next: u64,
    closed: Vec<u64>,
}

impl Ledger {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: BTreeMap::new(),
            bytes: 0,
            next: 0,
            closed: Vec::new(),
        }
    }

    /// Leases a free segment of at least `len` bytes, or a new one.
    pub(crate) fn take(&mut self, len: u64) -> Result<Taken, Refusal> {
        if self.limits.bytes == 0 {
            return Err(Refusal::Off);
        }
        if let Some(taken) = self.reuse(len) {
            return Ok(taken);
        }
        let whole = rounded(len);
        self.make_room(whole)?;
        let id = self.next;
        self.next += 1;
        self.bytes += whole;
        self.entries.insert(
            id,
            Entry {
                len: whole,
                leases: 1,
                uses: BTreeMap::new(),
                reusable: true,
                idle_since: None,
            },
        );
        Ok(Taken {
            id,
            len: whole,
            fresh: true,
        })
    }

    /// The smallest idle one that fits, and of these the one that was used last. One
    /// that is far too large stays for what needs it.
    fn reuse(&mut self, len: u64) -> Option<Taken> {
        let fits = len..=rounded(len).saturating_mul(2);
        let (_, _, id) = self
            .entries
            .iter()
            .filter(|(_, entry)| fits.contains(&entry.len))
            .filter_map(|(&id, entry)| Some((entry.len, entry.idle_since?, id)))
            .min_by_key(|&(len, since, _)| (len, std::cmp::Reverse(since)))?;
        let entry = self.entries.get_mut(&id)?;
        entry.idle_since = None;
        entry.leases = 1;
        Some(Taken {
            id,
            len: entry.len,
            fresh: false,
        })
    }

    fn make_room(&mut self, wanted: u64) -> Result<(), Refusal> {
        let limits = self.limits;
        while self.entries.len() >= limits.segments
            || self.bytes.saturating_add(wanted) > limits.bytes
        {
            if self.close_oldest() {
                continue;
            }
            if self.entries.len() >= limits.segments {
                let limit = limits.segments;
                return Err(Refusal::Segments { limit });
            }
            return Err(Refusal::Bytes {
                wanted,
                used: self.bytes,
                limit: limits.bytes,
            });
        }
        Ok(())
    }

    /// One more lease of a segment that somebody holds.
    pub(crate) fn lease(&mut self, id: u64) -> bool {
        match self.entries.get_mut(&id) {
            Some(entry) if entry.idle_since.is_none() => {
                entry.leases += 1;
                true
            }
            _ => false,
        }
    }

    /// A lease has ended. `reusable`: no view of it can have got into another process.
    pub(crate) fn unlease(&mut self, id: u64, reusable: bool, now: Duration) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.leases = entry.leases.saturating_sub(1);
            entry.reusable &= reusable;
            self.free_if_unused(id, now);
        }
    }

    /// The file of a segment could not be made or written: it is not to be seen again.
    pub(crate) fn spoil(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.reusable = false;
        }
    }

    /// `worker` gets a segment that is leased, for one use more.
    pub(crate) fn give(&mut self, id: u64, worker: u64) -> bool {
        match self.entries.get_mut(&id) {
            Some(entry) if entry.idle_since.is_none() => {
                *entry.uses.entry(worker).or_default() += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether `worker` has a use of the segment.
    pub(crate) fn is_used_by(&self, id: u64, worker: u64) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.uses.contains_key(&worker))
    }

    /// `worker` says that `count` of its uses have ended; false if it has not as many.
    pub(crate) fn release(
        &mut self,
        id: u64,
        worker: u64,
        count: u64,
        reusable: bool,
        now: Duration,
    ) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else {
            return false;
        };
        let Some(left) = entry
            .uses
            .get(&worker)
            .and_then(|uses| uses.checked_sub(count))
        else {
            return false;
        };
        if left == 0 {
            entry.uses.remove(&worker);
        } else {
            entry.uses.insert(worker, left);
        }
        entry.reusable &= reusable;
        self.free_if_unused(id, now);
        true
    }

    /// All uses of a worker have ended with it and its children.
    pub(crate) fn worker_gone(&mut self, worker: u64, now: Duration) {
        let used: Vec<u64> = self
            .entries
            .iter_mut()
            .filter_map(|(&id, entry)| entry.uses.remove(&worker).map(|_| id))
            .collect();
        for id in used {
            self.free_if_unused(id, now);
        }
    }

    /// Closes what has been idle for long enough.
    pub(crate) fn expire(&mut self, now: Duration) {
        let patience = self.limits.idle_time;
        let due: Vec<u64> = self
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry
                    .idle_since
                    .is_some_and(|since| since + patience <= now)
            })
            .map(|(&id, _)| id)
            .collect();
        for id in due {
            self.close(id);
        }
    }

    /// When the next idle one is to go.
    pub(crate) fn next_expiry(&self) -> Option<Duration> {
        self.entries
            .values()
            .filter_map(|entry| Some(entry.idle_since? + self.limits.idle_time))
            .min()
    }

    /// From now on nothing is handed out, and nothing kept that nobody uses.
    pub(crate) fn shut(&mut self) {
        self.limits.bytes = 0;
        self.limits.idle_bytes = 0;
        while self.close_oldest() {}
    }

    /// The segments that have been closed since the last call.
    pub(crate) fn take_closed(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.closed)
    }

    fn free_if_unused(&mut self, id: u64, now: Duration) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        if entry.leases > 0 || !entry.uses.is_empty() || entry.idle_since.is_some() {
            return;
        }
        let len = entry.len;
        if !entry.reusable || len > self.limits.idle_bytes {
            return self.close(id);
        }
        while self.idle_bytes() + len > self.limits.idle_bytes && self.close_oldest() {}
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.idle_since = Some(now);
        }
    }

    fn idle_bytes(&self) -> u64 {
        self.entries
            .values()
            .filter(|entry| entry.idle_since.is_some())
            .map(|entry| entry.len)
            .sum()
    }

    /// Closes the one that has been idle for longest; whether there was one.
    fn close_oldest(&mut self) -> bool {
        let oldest = self
            .entries
            .iter()
            .filter_map(|(&id, entry)| Some((entry.idle_since?, id)))
            .min();
        match oldest {
            Some((_, id)) => {
                self.close(id);
                true
            }
            None => false,
        }
    }

    fn close(&mut self, id: u64) {
        if let Some(entry) = self.entries.remove(&id) {
            self.bytes -= entry.len;
            self.closed.push(id);
        }
    }
}

/// `len` rounded up, so that it is likely to be asked for again.
fn rounded(len: u64) -> u64 {
    let step = (len / 8 + 1).next_power_of_two() / 2;
    let grain = step.max(GRAIN);
    len.max(1).div_ceil(grain).saturating_mul(grain)
}

#[cfg(test)]
mod tests;
