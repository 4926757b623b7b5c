//! What the client lends to one worker: segments for its jobs and its results.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pp_core::JobId;
use pp_proto::{Payload, Stream, ToExecutor};

use super::LineError;
use super::bell::ParentBell;
use super::outgoing::Outgoing;
use crate::segments::{Carried, Lease, Part, Pool};

/// What a worker can do with a segment.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    /// How many bytes it can read.
    read: u64,
    /// How many it can write.
    write: u64,
}

/// A segment that a result is being written to.
#[derive(Debug)]
struct Grant {
    job: JobId,
    lease: Arc<Lease>,
    len: u64,
}

/// The books about one worker.
#[derive(Debug)]
pub(crate) struct Lending {
    worker: u64,
    pool: Arc<Pool>,
    known: HashMap<u64, Known>,
    grant: Option<Grant>,
    /// Where the result that comes next lies.
    placed: Vec<Arc<Lease>>,
    placed_for: Option<JobId>,
}

impl Lending {
    pub(crate) fn new(worker: u64, pool: Arc<Pool>) -> Self {
        Self {
            worker,
            pool,
            known: HashMap::new(),
            grant: None,
            placed: Vec::new(),
            placed_for: None,
        }
    }

    /// Sends what a job needs. The job itself comes next.
    pub(super) fn send_parts(
        &mut self,
        job: JobId,
        parts: &[Part],
        bell: &mut ParentBell,
        outgoing: &mut Outgoing,
    ) -> Result<(), LineError> {
        for part in parts {
            // What lies elsewhere was brought before, or the job is not sent.
            let part = part.here().ok_or(LineError::Unexpected("part elsewhere"))?;
            match part {
                Part::Away(_) => {}
                Part::Shared(lease) => {
                    let warm = lease.file().warm();
                    let known = self.known.get(&lease.id()).copied().unwrap_or_default();
                    if known.read < warm {
                        let sent = send_segment(lease, warm, bell, outgoing)?;
                        if !sent {
                            send_content(lease, outgoing)?;
                        }
                        self.known.entry(lease.id()).or_default().read = warm;
                    }
                    self.pool.give(lease.id(), self.worker);
                }
                Part::Carried(carried) => {
                    let before = self.known.insert(carried.id(), Known::default());
                    if before.is_none() {
                        carry(carried.id(), carried.content().clone(), outgoing)?;
                    }
                }
            }
            let segment = part.id();
            let job = job.as_u64();
            let message = ToExecutor::Use { job, segment };
            outgoing.send(|out| message.encode(out))?;
        }
        Ok(())
    }

    /// Finds a place for a result of `len` bytes, or refuses.
    pub(super) fn answer_want(
        &mut self,
        job: JobId,
        len: u64,
        bell: &mut ParentBell,
        outgoing: &mut Outgoing,
    ) -> Result<(), LineError> {
        if self.grant.is_some() {
            return Err(LineError::Unexpected("second wish for one result"));
        }
        let number = job.as_u64();
        match self.pool.take(len) {
            Ok(lease) => {
                let lease = Arc::new(lease);
                if self.send_writable(&lease, len, bell, outgoing)? {
                    let (segment, warm) = (lease.id(), lease.file().warm());
                    self.pool.give(segment, self.worker);
                    self.grant = Some(Grant { job, lease, len });
                    let message = ToExecutor::Grant {
                        job: number,
                        segment,
                        warm: warm.min(len),
                    };
                    return outgoing.send(|out| message.encode(out));
                }
            }
            Err(reason) => self.pool.complain(&reason),
        }
        outgoing.send(|out| ToExecutor::Refuse { job: number }.encode(out))
    }

    /// Sees to it that the worker can write to the segment; whether it can.
    fn send_writable(
        &mut self,
        lease: &Arc<Lease>,
        len: u64,
        bell: &mut ParentBell,
        outgoing: &mut Outgoing,
    ) -> Result<bool, LineError> {
        let known = self.known.get(&lease.id()).copied().unwrap_or_default();
        if known.write < len {
            if !send_segment(lease, lease.file().warm(), bell, outgoing)? {
                return Ok(false);
            }
            self.known.entry(lease.id()).or_default().write = len;
        }
        Ok(true)
    }

    /// A result lies in this segment. It is the worker's claim.
    pub(super) fn place(&mut self, job: JobId, segment: u64) -> Result<(), LineError> {
        if self.placed_for != Some(job) {
            self.placed.clear();
            self.placed_for = Some(job);
        }
        let granted = self
            .grant
            .as_ref()
            .filter(|grant| grant.job == job && grant.lease.id() == segment);
        let lease = if let Some(grant) = granted {
            grant.lease.file().warmed(grant.len);
            grant.lease.holds(grant.len);
            Some(Arc::clone(&grant.lease))
        } else if self.pool.is_used_by(segment, self.worker) {
            self.pool.lease(segment).map(Arc::new)
        } else {
            None
        };
        self.placed.push(lease.ok_or(LineError::Unexpected(
            "result in a segment that it does not use",
        ))?);
        Ok(())
    }

    /// The result of a job has come: where it lies.
    pub(super) fn finish(&mut self, job: JobId) -> Vec<Part> {
        if self.grant.is_none() && self.placed_for.is_none() {
            return Vec::new();
        }
        self.grant = None;
        let placed = std::mem::take(&mut self.placed);
        if self.placed_for.take() == Some(job) {
            placed.into_iter().map(Part::Shared).collect()
        } else {
            Vec::new()
        }
    }

    /// The worker says that it does not look at a segment any more.
    pub(super) fn release(
        &mut self,
        segment: u64,
        uses: u64,
        reusable: bool,
    ) -> Result<(), LineError> {
        // Nothing follows from the end of a use of what was carried.
        if Carried::is_name(segment) || self.pool.release(segment, self.worker, uses, reusable) {
            Ok(())
        } else {
            Err(LineError::Unexpected("release of a segment"))
        }
    }

    /// A segment is closed: the worker is to forget it.
    pub(super) fn forget(
        &mut self,
        segment: u64,
        outgoing: &mut Outgoing,
    ) -> Result<bool, LineError> {
        if self.known.remove(&segment).is_none() {
            return Ok(false);
        }
        let message = ToExecutor::Drop { segment };
        outgoing.send(|out| message.encode(out))?;
        Ok(true)
    }
}

impl Drop for Lending {
    fn drop(&mut self) {
        self.pool.worker_gone(self.worker);
    }
}

fn carry(segment: u64, content: Bytes, outgoing: &mut Outgoing) -> Result<(), LineError> {
    let body = Payload::of(&content);
    let head = body.head().len();
    let message = ToExecutor::Carry { segment, body };
    outgoing.send(|out| message.encode(out))?;
    outgoing.send_rest(Stream::Segment(segment), content, head)
}

/// For when a descriptor does not fit into the socket.
fn send_content(lease: &Arc<Lease>, outgoing: &mut Outgoing) -> Result<(), LineError> {
    let content = lease
        .content()
        .map_err(|error| LineError::Bell(super::bell::BellLost::Io(error)))?;
    carry(lease.id(), content, outgoing)
}

/// Sends a descriptor and speaks of it, in this order. False if the socket is full.
#[cfg_attr(windows, allow(clippy::unnecessary_wraps))]
fn send_segment(
    lease: &Lease,
    len: u64,
    bell: &mut ParentBell,
    outgoing: &mut Outgoing,
) -> Result<bool, LineError> {
    #[cfg(unix)]
    {
        let file = lease.file();
        if !bell.send(file.file()) {
            return Ok(false);
        }
        let message = ToExecutor::Segment {
            segment: file.id(),
            len,
            inode: file.inode(),
        };
        outgoing.send(|out| message.encode(out))?;
        Ok(true)
    }
    #[cfg(windows)]
    {
        let _ = (lease, len, bell, outgoing);
        Ok(false)
    }
}

#[cfg(all(test, unix))]
mod tests;
