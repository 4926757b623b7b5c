//! The client's end of a line.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pp_core::{FunctionId, JobId};
use pp_proto::{
    Assembler, CURRENT, FrameDecoder, FromExecutor, MAGIC, Payload, ProtocolError, Status, Stream,
    ToExecutor, limits,
};

use super::LineError;
use super::arrivals::Share;
use super::bell::{ParentBell, ParentStream};
use super::lending::Lending;
use super::outgoing::Outgoing;
use crate::blob::Blob;
use crate::shm::{Claims, Consumer, Layout, Producer, Segment};

/// Bytes taken from the ring at a time.
const GULP: usize = 64 * 1024;
/// After so many, others get their turn. More than a ring holds.
const GULPS: usize = 16;

/// What a worker said.
#[derive(Debug)]
pub(crate) enum Received {
    /// It is set up and may hold that many jobs.
    Ready { credit: u32 },
    /// A job has ended: `bytes` are its result and then `output_len` bytes of output.
    Result {
        job: JobId,
        header: ResultHeader,
        bytes: Blob,
    },
    /// It wants a segment of that many bytes for a result.
    Want { job: JobId, len: u64 },
    /// It cannot go on.
    Fault(String),
    /// It wants to be replaced.
    Leaving,
}

/// What is said about a job's end beside the result.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultHeader {
    pub(crate) status: Status,
    pub(crate) run_time: Duration,
    /// The process that ran it, if a node says so, and
    pub(crate) worker: u32,
    /// how often it was begun there.
    pub(crate) attempts: u32,
    pub(crate) output_len: u64,
    pub(crate) errors_len: u64,
}

/// The client's end: sends functions and jobs, receives results.
#[derive(Debug)]
pub(crate) struct ParentChannel {
    bell: ParentBell,
    outgoing: Outgoing,
    incoming: Consumer,
    claims: Claims,
    lending: Lending,
    decoder: FrameDecoder,
    assembler: Assembler,
    /// The one result that arrives in pieces, if any: a worker sends one at a time.
    partial: Option<(JobId, ResultHeader)>,
    gulp: Vec<u8>,
    /// Jobs that were sent and have not ended, with their tickets, in order.
    held: VecDeque<(JobId, u64)>,
    next_ticket: u64,
}

impl ParentChannel {
    pub(crate) fn new(bell: ParentBell, segment: Segment, lending: Lending) -> Self {
        let segment = Arc::new(segment);
        Self {
            bell,
            outgoing: Outgoing::new(Producer::new(Arc::clone(&segment), Layout::DOWN)),
            incoming: Consumer::new(Arc::clone(&segment), Layout::UP),
            claims: Claims::new(segment),
            lending,
            decoder: FrameDecoder::new(limits::HANDSHAKE_MAX),
            assembler: Assembler::default(),
            partial: None,
            gulp: Vec::new(),
            held: VecDeque::new(),
            next_ticket: 0,
        }
    }

    /// What the poll watches.
    pub(crate) fn source(&mut self) -> &mut ParentStream {
        self.bell.source()
    }

    /// Greets the worker and tells it how to set itself up.
    pub(crate) fn open(&mut self, settings: Bytes) -> Result<(), LineError> {
        let hello = ToExecutor::Hello {
            magic: MAGIC,
            version: CURRENT,
            features: 0,
        };
        self.outgoing.send(|out| hello.encode(out))?;
        let payload = Payload::of(&settings);
        let head = payload.head().len();
        let configure = ToExecutor::Configure { settings: payload };
        self.outgoing.send(|out| configure.encode(out))?;
        self.outgoing.send_rest(Stream::Configure, settings, head)
    }

    pub(crate) fn send_function(
        &mut self,
        id: FunctionId,
        digest: pp_proto::Digest,
        blob: Bytes,
    ) -> Result<(), LineError> {
        let body = Payload::of(&blob);
        let head = body.head().len();
        let function = id.as_u64();
        let message = ToExecutor::Function {
            function,
            digest,
            body,
        };
        self.outgoing.send(|out| message.encode(out))?;
        self.outgoing
            .send_rest(Stream::Function(function), blob, head)
    }

    pub(crate) fn send_job(
        &mut self,
        id: JobId,
        function: FunctionId,
        args: Blob,
    ) -> Result<(), LineError> {
        if !args.parts().is_empty() {
            let (bell, outgoing) = (&mut self.bell, &mut self.outgoing);
            self.lending.send_parts(id, args.parts(), bell, outgoing)?;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.claims.open(ticket);
        self.held.push_back((id, ticket));
        let payload = Payload::of(&args);
        let head = payload.head().len();
        let message = ToExecutor::Job {
            job: id.as_u64(),
            ticket,
            function: function.as_u64(),
            args: payload,
        };
        self.outgoing.send(|out| message.encode(out))?;
        if head == args.len() {
            return Ok(());
        }
        self.outgoing
            .send_rest(Stream::Job(id.as_u64()), args.into_bytes(), head)
    }

    /// Says what the job that is sent next is given of the machine.
    pub(crate) fn send_share(&mut self, id: JobId, share: &Share) -> Result<(), LineError> {
        let message = ToExecutor::Share {
            job: id.as_u64(),
            cpus: share.cpus,
            memory: share.memory,
            devices: share.devices.as_deref(),
        };
        self.outgoing.send(|out| message.encode(out))
    }

    pub(crate) fn forget(&mut self, function: FunctionId) -> Result<(), LineError> {
        let message = ToExecutor::Forget {
            function: function.as_u64(),
        };
        self.outgoing.send(|out| message.encode(out))
    }

    /// Answers a worker that wants a segment for a result.
    pub(crate) fn answer_want(&mut self, job: JobId, len: u64) -> Result<(), LineError> {
        self.lending
            .answer_want(job, len, &mut self.bell, &mut self.outgoing)
    }

    /// Lets the worker forget a segment; whether it has to be told.
    pub(crate) fn forget_segment(&mut self, segment: u64) -> Result<bool, LineError> {
        self.lending.forget(segment, &mut self.outgoing)
    }

    /// Asks the worker to exit.
    pub(crate) fn shut_down(&mut self) -> Result<(), LineError> {
        self.outgoing.send(|out| ToExecutor::Shutdown.encode(out))
    }

    /// Takes a job back, unless the worker has started it; whether it was taken.
    pub(crate) fn recall(&mut self, job: JobId) -> bool {
        let Some(index) = self.held.iter().rposition(|&(held, _)| held == job) else {
            return false;
        };
        let recalled = self.claims.recall(self.held[index].1);
        if recalled {
            self.held.remove(index);
        }
        recalled
    }

    /// Marks a job as one that is to end, if the worker runs it; whether it does.
    pub(crate) fn interrupt(&self, job: JobId) -> bool {
        let held = self.held.iter().find(|&&(held, _)| held == job);
        held.is_some_and(|&(_, ticket)| self.claims.interrupt(ticket))
    }

    /// The jobs that the worker has started and not finished.
    pub(crate) fn started(&self) -> impl Iterator<Item = JobId> + '_ {
        self.held
            .iter()
            .filter(|&&(_, ticket)| self.claims.is_taken(ticket))
            .map(|&(job, _)| job)
    }

    /// Whether the worker holds no job.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// Rings the worker if it sleeps over something that was sent.
    pub(crate) fn ring_if_asleep(&mut self) {
        if self.outgoing.consumer_needs_bell() {
            self.bell.ring();
        }
    }

    /// Takes the rings off the socket; false once the worker's end is closed.
    pub(crate) fn answer_bell(&mut self) -> bool {
        self.bell.drain()
    }

    /// Wants to be rung from now on; look for news once more afterwards.
    pub(crate) fn fall_asleep(&self) {
        self.incoming.fall_asleep();
    }

    /// Need not be rung.
    pub(crate) fn wake_up(&self) {
        self.incoming.wake_up();
    }

    /// Whether something was said that was not received yet. A broken ring has
    /// news, too: receiving tells of it.
    pub(crate) fn has_news(&self) -> bool {
        self.incoming.waiting().map_or(true, |bytes| bytes > 0)
    }

    /// Whether a result arrives in pieces.
    pub(crate) fn is_receiving(&self) -> bool {
        self.partial.is_some()
    }

    /// Whether something that was sent waits for its turn or for room.
    pub(crate) fn is_sending(&self) -> bool {
        self.outgoing.is_waiting()
    }

    /// Whether sending can go on at once; otherwise the worker rings when it can. A
    /// broken ring can go on, too: receiving tells of it.
    pub(crate) fn can_go_on_sending(&mut self) -> bool {
        self.outgoing.can_go_on().unwrap_or(true)
    }

    /// Whether `receive` has something to do.
    pub(crate) fn needs_attention(&self) -> bool {
        self.has_news() || self.outgoing.is_waiting()
    }

    /// Appends to `news` what the worker has said.
    pub(crate) fn receive(&mut self, news: &mut Vec<Received>) -> Result<(), LineError> {
        let mut gulp = std::mem::take(&mut self.gulp);
        let result = self.receive_into(&mut gulp, news);
        self.gulp = gulp;
        result?;
        if self.outgoing.is_waiting() {
            self.outgoing.push()?;
            self.ring_if_asleep();
        }
        Ok(())
    }

    fn receive_into(
        &mut self,
        gulp: &mut Vec<u8>,
        news: &mut Vec<Received>,
    ) -> Result<(), LineError> {
        for _ in 0..GULPS {
            gulp.clear();
            if self.incoming.take(GULP, gulp)? == 0 {
                break;
            }
            if self.incoming.producer_needs_bell() {
                self.bell.ring();
            }
            let mut input = gulp.as_slice();
            while let Some(body) = self.decoder.next(&mut input).map_err(ProtocolError::from)? {
                let message = FromExecutor::decode(body).map_err(ProtocolError::from)?;
                // Borrowed apart, because the message borrows from the decoder.
                let mut parts = Parts {
                    news,
                    held: &mut self.held,
                    lending: &mut self.lending,
                    assembler: &mut self.assembler,
                    partial: &mut self.partial,
                };
                let greeted = matches!(message, FromExecutor::Hello { .. });
                parts.take(message)?;
                if greeted {
                    self.decoder.set_max(limits::FRAME_MAX);
                }
            }
        }
        Ok(())
    }
}

/// What a message may change.
struct Parts<'a> {
    /// What the worker has said.
    news: &'a mut Vec<Received>,
    held: &'a mut VecDeque<(JobId, u64)>,
    lending: &'a mut Lending,
    assembler: &'a mut Assembler,
    partial: &'a mut Option<(JobId, ResultHeader)>,
}

impl Parts<'_> {
    fn take(&mut self, message: FromExecutor<'_>) -> Result<(), LineError> {
        match message {
            FromExecutor::Hello { .. } => {}
            FromExecutor::Ready { credit } => self.news.push(Received::Ready { credit }),
            FromExecutor::Fault { text } => self.news.push(Received::Fault(text.to_owned())),
            FromExecutor::Result {
                job,
                status,
                run_ns,
                worker,
                attempts,
                output_len,
                errors_len,
                body,
            } => {
                let header = ResultHeader {
                    status,
                    run_time: Duration::from_nanos(run_ns),
                    worker,
                    attempts,
                    output_len,
                    errors_len,
                };
                self.take_result(JobId::from_u64(job), header, body)?;
            }
            FromExecutor::More { stream, bytes } => self.take_more(stream, bytes)?,
            FromExecutor::Leaving => self.news.push(Received::Leaving),
            FromExecutor::Want { job, len } => {
                let job = JobId::from_u64(job);
                self.index_of(job)?;
                self.news.push(Received::Want { job, len });
            }
            FromExecutor::Place { job, segment } => {
                let job = JobId::from_u64(job);
                self.index_of(job)?;
                self.lending.place(job, segment)?;
            }
            FromExecutor::Release {
                segment,
                uses,
                reusable,
            } => self.lending.release(segment, uses, reusable)?,
            FromExecutor::Credit { .. }
            | FromExecutor::Recalled { .. }
            | FromExecutor::Pong { .. }
            | FromExecutor::Introduce { .. }
            | FromExecutor::Capacity { .. }
            | FromExecutor::Carry { .. }
            | FromExecutor::Supply { .. }
            | FromExecutor::Kept { .. }
            | FromExecutor::Lacks { .. }
            | FromExecutor::Charge { .. } => return Err(LineError::Unexpected(message.name())),
        }
        Ok(())
    }

    fn take_result(
        &mut self,
        job: JobId,
        header: ResultHeader,
        body: Payload<'_>,
    ) -> Result<(), LineError> {
        let index = self.index_of(job)?;
        if let Some(whole) = body.whole() {
            self.held.remove(index);
            let parts = self.lending.finish(job);
            let mut bytes = Blob::from(whole);
            if !parts.is_empty() {
                bytes = bytes.with_parts(parts);
            }
            self.news.push(Received::Result { job, header, bytes });
            return Ok(());
        }
        self.assembler
            .begin(Stream::Job(job.as_u64()), body)
            .map_err(ProtocolError::from)?;
        *self.partial = Some((job, header));
        Ok(())
    }

    /// Where a job that the worker speaks of is among those that it has.
    fn index_of(&self, job: JobId) -> Result<usize, LineError> {
        let index = self.held.iter().position(|&(held, _)| held == job);
        index.ok_or(LineError::Unexpected(
            "result of a job that it does not have",
        ))
    }

    fn take_more(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), LineError> {
        let complete = self
            .assembler
            .more(stream, bytes)
            .map_err(ProtocolError::from)?;
        let Some(bytes) = complete else {
            return Ok(());
        };
        let (job, header) = self
            .partial
            .take()
            .filter(|&(job, _)| Stream::Job(job.as_u64()) == stream)
            .ok_or(LineError::Unexpected("end of a result"))?;
        self.held.retain(|&(held, _)| held != job);
        let bytes = Blob::from(bytes).with_parts(self.lending.finish(job));
        self.news.push(Received::Result { job, header, bytes });
        Ok(())
    }
}
