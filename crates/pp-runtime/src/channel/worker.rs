//! The worker's end of a line.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use pp_proto::{
    Assembler, CURRENT, FrameDecoder, FromExecutor, MAGIC, Payload, ProtocolError, Status, Stream,
    ToExecutor, limits,
};

use super::LineError;
use super::arrivals::{Arrival, Begun, Next, Parts, Share};
use super::bell::{BellLost, WorkerBell};
use super::borrowing::{Answer, Borrowing};
use super::outgoing::Outgoing;

use crate::segments::{Granted, Span};
use crate::shm::{Claims, Consumer, Layout, Producer, Segment};
use crate::worker::Current;

/// Bytes taken from the ring at a time.
const GULP: usize = 64 * 1024;

/// The worker's end: receives functions and jobs, sends results.
#[derive(Debug)]
pub(crate) struct WorkerChannel {
    bell: WorkerBell,
    outgoing: Outgoing,
    incoming: Consumer,
    claims: Claims,
    current: Current,
    decoder: FrameDecoder,
    assembler: Assembler,
    begun: HashMap<Stream, Begun>,
    shares: HashMap<u64, Box<Share>>,
    borrowing: Borrowing,
    /// What has come in whole.
    arrived: VecDeque<Arrival>,
    /// Spare room for results that come in parts.
    scratch: Vec<u8>,
    gulp: Vec<u8>,
    /// How much of `gulp` was decoded.
    decoded: usize,
}

impl WorkerChannel {
    pub(crate) fn new(bell: WorkerBell, segment: Segment) -> Self {
        let segment = Arc::new(segment);
        Self {
            bell,
            outgoing: Outgoing::new(Producer::new(Arc::clone(&segment), Layout::UP)),
            incoming: Consumer::new(Arc::clone(&segment), Layout::DOWN),
            claims: Claims::new(Arc::clone(&segment)),
            current: Current::new(segment),
            decoder: FrameDecoder::new(limits::FRAME_MAX),
            assembler: Assembler::default(),
            begun: HashMap::new(),
            shares: HashMap::new(),
            borrowing: Borrowing::default(),
            arrived: VecDeque::new(),
            scratch: Vec::new(),
            gulp: Vec::new(),
            decoded: 0,
        }
    }

    /// The job that runs, for whoever is told that it is to end.
    pub(crate) fn current(&self) -> Current {
        self.current.clone()
    }

    /// Introduces the worker.
    pub(crate) fn greet(&mut self, python: (u8, u8, u8)) -> Result<(), LineError> {
        let hello = FromExecutor::Hello {
            magic: MAGIC,
            version: CURRENT,
            features: 0,
            pid: std::process::id(),
            python,
        };
        self.send(hello)
    }

    /// Says that jobs may come.
    pub(crate) fn ready(&mut self, credit: u32) -> Result<(), LineError> {
        self.send(FromExecutor::Ready { credit })
    }

    /// Says that the worker wants to be replaced.
    pub(crate) fn leaving(&mut self) -> Result<(), LineError> {
        self.send(FromExecutor::Leaving)
    }

    /// Says why the worker cannot go on.
    pub(crate) fn fault(&mut self, text: &str) -> Result<(), LineError> {
        self.send(FromExecutor::fault(text))
    }

    /// Sends a job's result, and what it printed on standard output and error. Whether all of it
    /// is written; if not, see [`Self::push_or_wait`].
    pub(crate) fn answer(
        &mut self,
        job: u64,
        status: Status,
        run_ns: u64,
        body: &[u8],
        (output, errors): (&[u8], &[u8]),
    ) -> Result<bool, LineError> {
        self.current.ends();
        let parts = [body, output, errors];
        let payload = Payload::of_parts(&parts, &mut self.scratch);
        let head = payload.head().len();
        let has_more = payload.missing() > 0;
        let result = FromExecutor::Result {
            job,
            status,
            run_ns,
            worker: 0,
            attempts: 0,
            output_len: (output.len() + errors.len()) as u64,
            errors_len: errors.len() as u64,
            body: payload,
        };
        self.outgoing.send(|out| result.encode(out))?;
        if has_more {
            let whole = Bytes::from(parts.concat());
            self.outgoing.send_rest(Stream::Job(job), whole, head)?;
        }
        self.ring_if_asleep()?;
        Ok(!self.outgoing.is_waiting())
    }

    /// Writes on, and sleeps if there is no room; whether nothing waits any more.
    pub(crate) fn push_or_wait(&mut self) -> Result<bool, LineError> {
        let done = self.outgoing.push()?;
        self.ring_if_asleep()?;
        if !done && !self.outgoing.can_go_on()? {
            self.bell.wait()?;
        }
        Ok(done)
    }

    /// Sleeps until the client rings; false if a signal came first.
    pub(crate) fn wait(&mut self) -> Result<bool, BellLost> {
        self.bell.wait()
    }

    /// Wants to be rung from now on; look for work once more afterwards.
    pub(crate) fn fall_asleep(&self) {
        self.incoming.fall_asleep();
    }

    /// Need not be rung.
    pub(crate) fn wake_up(&self) {
        self.incoming.wake_up();
    }

    /// Whether something waits to be received.
    pub(crate) fn has_work(&self) -> Result<bool, LineError> {
        Ok(!self.arrived.is_empty() || self.has_bytes()?)
    }

    fn has_bytes(&self) -> Result<bool, LineError> {
        Ok(self.decoded < self.gulp.len() || self.incoming.waiting()? > 0)
    }

    /// What the client wants next. A job is claimed before it is returned; one that
    /// was recalled is skipped.
    pub(crate) fn take(&mut self) -> Result<Next, LineError> {
        loop {
            let Some(arrival) = self.arrived.pop_front() else {
                if self.decode_next()? {
                    continue;
                }
                return Ok(Next::Nothing);
            };
            match arrival.ticket {
                None => return Ok(arrival.next),
                Some(ticket) if self.claims.take(ticket) => {
                    self.current.begins(ticket);
                    return Ok(arrival.next);
                }
                Some(_) => {}
            }
        }
    }

    /// Takes in one more message, or a part of it; false if there is nothing.
    fn decode_next(&mut self) -> Result<bool, LineError> {
        if self.decoded == self.gulp.len() && !self.refill()? {
            return Ok(false);
        }
        self.decode_one()?;
        Ok(true)
    }

    /// Asks for a segment of `len` bytes for a result and waits for the answer.
    pub(crate) fn want(&mut self, job: u64, len: u64) -> Result<Option<Granted>, LineError> {
        self.borrowing.wish(job);
        self.send(FromExecutor::Want { job, len })?;
        loop {
            // What else comes is for later: it must not be claimed as yet.
            while self.decode_next()? {}
            match self.borrowing.take_answer() {
                Some(Answer::Granted(granted)) => return Ok(Some(granted)),
                Some(Answer::Refused) => return Ok(None),
                None => self.sleep()?,
            }
        }
    }

    /// Sleeps until something comes. May return early.
    fn sleep(&mut self) -> Result<(), LineError> {
        if self.outgoing.is_waiting() {
            self.push_or_wait()?;
            return Ok(());
        }
        self.incoming.fall_asleep();
        if !self.has_bytes()? {
            self.bell.wait()?;
        }
        self.incoming.wake_up();
        Ok(())
    }

    /// A result was written to what was granted.
    pub(crate) fn written(&mut self, granted: &Granted) {
        self.borrowing.written(granted);
    }

    /// The result of `job`, which is to be sent next, lies in `segment`.
    pub(crate) fn place(&mut self, job: u64, segment: u64) -> Result<(), LineError> {
        self.send(FromExecutor::Place { job, segment })
    }

    /// Where these bytes lie, if in a segment that can be named in a result.
    pub(crate) fn find(&self, bytes: Span<'_>) -> Option<(u64, u64)> {
        self.borrowing.find(bytes)
    }

    /// From now on jobs get private copies of segments.
    pub(crate) fn make_private(&mut self) {
        self.borrowing.make_private();
    }

    /// Whether a job's views of segments are alive.
    pub(crate) fn is_held(&self) -> bool {
        self.borrowing.is_held()
    }

    /// Tells the client which segments are not looked at any more.
    pub(crate) fn release(&mut self) -> Result<(), LineError> {
        for ended in self.borrowing.take_endings() {
            self.send(FromExecutor::Release {
                segment: ended.segment,
                uses: ended.uses,
                reusable: ended.reusable,
            })?;
        }
        Ok(())
    }

    /// Whether something waits for room.
    pub(crate) fn is_sending(&self) -> bool {
        self.outgoing.is_waiting()
    }

    fn refill(&mut self) -> Result<bool, LineError> {
        self.gulp.clear();
        self.decoded = 0;
        let count = self.incoming.take(GULP, &mut self.gulp)?;
        if count > 0 && self.incoming.producer_needs_bell() {
            self.bell.ring()?;
        }
        Ok(count > 0)
    }

    fn decode_one(&mut self) -> Result<(), LineError> {
        let mut input = &self.gulp[self.decoded..];
        let body = self.decoder.next(&mut input).map_err(ProtocolError::from)?;
        self.decoded = self.gulp.len() - input.len();
        let Some(body) = body else {
            return Ok(());
        };
        let message = ToExecutor::decode(body).map_err(ProtocolError::from)?;
        let mut parts = Parts {
            arrived: &mut self.arrived,
            bell: &mut self.bell,
            borrowing: &mut self.borrowing,
            assembler: &mut self.assembler,
            begun: &mut self.begun,
            shares: &mut self.shares,
        };
        parts.take(message)
    }

    fn send(&mut self, message: FromExecutor<'_>) -> Result<(), LineError> {
        self.outgoing.send(|out| message.encode(out))?;
        self.ring_if_asleep()
    }

    fn ring_if_asleep(&mut self) -> Result<(), LineError> {
        if self.outgoing.consumer_needs_bell() {
            self.bell.ring()?;
        }
        Ok(())
    }
}
