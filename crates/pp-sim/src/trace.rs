//! What has happened, for who looks into a run that failed.

use std::collections::VecDeque;
use std::fmt::Debug;

/// So many lines are kept.
const KEPT: usize = 4_000;

/// A fingerprint of a run, and its last lines if they are wanted.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Option<VecDeque<String>>,
    fingerprint: u64,
}

impl Trace {
    pub(crate) fn keep_lines(&mut self) {
        self.lines = Some(VecDeque::new());
    }

    /// Notes what happens.
    pub(crate) fn note(&mut self, now: u64, what: &impl Debug) {
        if let Some(lines) = &mut self.lines {
            if lines.len() == KEPT {
                lines.pop_front();
            }
            lines.push_back(format!("{now:>16} {what:?}"));
        }
    }

    /// Lets a number count for the fingerprint.
    pub(crate) fn mix(&mut self, number: u64) {
        let mixed = (self.fingerprint ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.fingerprint = mixed ^ (mixed >> 29);
    }

    /// Two runs with the same fingerprint were alike.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().flatten().map(String::as_str)
    }
}
