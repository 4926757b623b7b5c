//! What a worker has been lent: segments for its jobs and its results.

use std::collections::HashMap;

use bytes::Bytes;

use super::LineError;
use super::bell::WorkerBell;
use crate::segments::{Cabinet, Granted, Region, Released, Span};

/// The answer to a wish for a segment.
#[derive(Debug)]
pub(super) enum Answer {
    Granted(Granted),
    Refused,
}

/// The segments, and what they are for.
#[derive(Debug, Default)]
pub(super) struct Borrowing {
    cabinet: Cabinet,
    /// Those of jobs that are still to come.
    of_jobs: HashMap<u64, Vec<Region>>,
    /// The job whose result is wanted a place for, and the answer.
    wish: Option<u64>,
    answer: Option<Answer>,
}

impl Borrowing {
    /// From now on jobs get private copies.
    pub(super) fn make_private(&mut self) {
        self.cabinet.make_private();
    }

    /// A segment is announced: its descriptor has come.
    #[cfg_attr(windows, allow(clippy::unused_self))]
    pub(super) fn receive(
        &mut self,
        segment: u64,
        len: u64,
        inode: u64,
        bell: &mut WorkerBell,
    ) -> Result<(), LineError> {
        #[cfg(unix)]
        return Ok(self
            .cabinet
            .receive(segment, len, inode, bell.descriptor()?)?);
        #[cfg(windows)]
        {
            let _ = (segment, len, inode, bell);
            Err(LineError::Unexpected("descriptor of a segment"))
        }
    }

    /// The content of a segment has come.
    pub(super) fn carry(&mut self, segment: u64, content: Bytes) {
        self.cabinet.carry(segment, content);
    }

    /// A job that comes next is to have the segment.
    pub(super) fn use_for(&mut self, job: u64, segment: u64) -> Result<(), LineError> {
        let region = self.cabinet.for_job(segment)?;
        self.of_jobs.entry(job).or_default().push(region);
        Ok(())
    }

    /// The segments of a job that has come.
    pub(super) fn take_for(&mut self, job: u64) -> Vec<Region> {
        if self.of_jobs.is_empty() {
            return Vec::new();
        }
        self.of_jobs.remove(&job).unwrap_or_default()
    }

    /// A segment is being asked for.
    pub(super) fn wish(&mut self, job: u64) {
        self.wish = Some(job);
        self.answer = None;
    }

    pub(super) fn grant(&mut self, job: u64, segment: u64, warm: u64) -> Result<(), LineError> {
        if self.wish.take() != Some(job) {
            return Err(LineError::Unexpected("grant"));
        }
        let granted = self.cabinet.granted(segment, warm);
        self.answer = Some(Answer::Granted(granted));
        Ok(())
    }

    pub(super) fn refuse(&mut self, job: u64) -> Result<(), LineError> {
        if self.wish.take() != Some(job) {
            return Err(LineError::Unexpected("refusal"));
        }
        self.answer = Some(Answer::Refused);
        Ok(())
    }

    /// The answer to the wish, once it has come.
    pub(super) fn take_answer(&mut self) -> Option<Answer> {
        self.answer.take()
    }

    /// The result was written.
    pub(super) fn written(&mut self, granted: &Granted) {
        self.cabinet.keep_mapping(granted);
    }

    pub(super) fn forget(&mut self, segment: u64) {
        self.cabinet.forget(segment);
    }

    /// Where these bytes lie, if in a segment that a job's view is alive of.
    pub(super) fn find(&self, bytes: Span<'_>) -> Option<(u64, u64)> {
        self.cabinet.find(bytes)
    }

    /// Whether views of segments are alive.
    pub(super) fn is_held(&self) -> bool {
        self.cabinet.is_held()
    }

    /// The uses that have ended since the last call.
    pub(super) fn take_endings(&self) -> Vec<Released> {
        self.cabinet.take_endings()
    }
}
