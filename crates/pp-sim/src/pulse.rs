//! Whether the other end of a link lives, and how far away it is: as in the real engine.

use std::collections::VecDeque;

const WINDOW: usize = 8;
const MS: u64 = 1_000_000;

#[derive(Debug)]
pub(crate) struct Pulse {
    next_nonce: u64,
    asked: Option<(u64, u64)>,
    measured: VecDeque<u64>,
}

/// How often to ask, where the other end may be silent for `patience` nanoseconds.
pub(crate) fn interval(patience: u64) -> u64 {
    (patience / 10).clamp(20 * MS, 500 * MS)
}

impl Pulse {
    pub(crate) fn new(latency: u64) -> Self {
        Self {
            next_nonce: 0,
            asked: None,
            measured: VecDeque::from([latency]),
        }
    }

    pub(crate) fn number(&mut self) -> u64 {
        let nonce = self.next_nonce;
        self.next_nonce += 1;
        nonce
    }

    pub(crate) fn ask(&mut self, now: u64) -> u64 {
        let nonce = self.number();
        self.asked.get_or_insert((nonce, now));
        nonce
    }

    pub(crate) fn answered(&mut self, nonce: u64, now: u64) {
        let Some((asked, when)) = self.asked.filter(|&(asked, _)| asked <= nonce) else {
            return;
        };
        if asked == nonce {
            self.measured.push_back(now.saturating_sub(when));
            if self.measured.len() > WINDOW {
                self.measured.pop_front();
            }
        }
        self.asked = None;
    }

    pub(crate) fn latency(&self) -> u64 {
        self.measured.iter().min().copied().unwrap_or_default()
    }
}

/// Whether two latencies are too near to each other to tell of.
pub(crate) fn is_alike(known: u64, measured: u64) -> bool {
    known.abs_diff(measured) <= known / 4
}
