//! The worker's end of a line.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use pp_proto::{
    Assembler, CURRENT, Digest, FrameDecoder, FromExecutor, MAGIC, Payload, ProtocolError, Status,
    Stream, ToExecutor, limits,
};

use super::LineError;
use super::bell::{BellLost, WorkerBell};
use super::outgoing::Outgoing;
use crate::blob::Blob;
use crate::shm::{Claims, Consumer, Layout, Producer, Segment};

/// Bytes taken from the ring at a time.
const GULP: usize = 64 * 1024;

/// What the client wants next.
#[derive(Debug)]
pub enum Next {
    /// To set up with these settings.
    Configure(Bytes),
    /// To keep a function.
    Function {
        /// What jobs call it.
        function: u64,
        /// Its name.
        digest: Digest,
        /// The function, serialized.
        blob: Bytes,
    },
    /// To run a job, which is taken by now.
    Job {
        /// What the client calls it.
        job: u64,
        /// A function that was sent before.
        function: u64,
        /// Its serialized arguments.
        args: Blob,
    },
    /// To drop a function.
    Forget(u64),
    /// To exit.
    Shutdown,
    /// Nothing yet.
    Nothing,
}

/// What came first of a payload that arrives in pieces.
#[derive(Debug)]
enum Begun {
    Configure,
    Function {
        function: u64,
        digest: Digest,
    },
    Job {
        job: u64,
        ticket: u64,
        function: u64,
    },
}

/// The worker's end: receives functions and jobs, sends results.
#[derive(Debug)]
pub(crate) struct WorkerChannel {
    bell: WorkerBell,
    outgoing: Outgoing,
    incoming: Consumer,
    claims: Claims,
    decoder: FrameDecoder,
    assembler: Assembler,
    begun: HashMap<Stream, Begun>,
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
            claims: Claims::new(segment),
            decoder: FrameDecoder::new(limits::FRAME_MAX),
            assembler: Assembler::default(),
            begun: HashMap::new(),
            scratch: Vec::new(),
            gulp: Vec::new(),
            decoded: 0,
        }
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

    /// Says why the worker cannot go on.
    pub(crate) fn fault(&mut self, text: &str) -> Result<(), LineError> {
        self.send(FromExecutor::fault(text))
    }

    /// Sends a job's result, and what it printed. Whether all of it is written; if
    /// not, see [`Self::push_or_wait`].
    pub(crate) fn answer(
        &mut self,
        job: u64,
        status: Status,
        run_ns: u64,
        body: &[u8],
        output: &[u8],
    ) -> Result<bool, LineError> {
        let parts = [body, output];
        let payload = Payload::of_parts(&parts, &mut self.scratch);
        let head = payload.head().len();
        let has_more = payload.missing() > 0;
        let result = FromExecutor::Result {
            job,
            status,
            run_ns,
            output_len: output.len() as u64,
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

    /// Whether bytes wait to be received.
    pub(crate) fn has_work(&self) -> Result<bool, LineError> {
        Ok(self.decoded < self.gulp.len() || self.incoming.waiting()? > 0)
    }

    /// What the client wants next. A job is claimed before it is returned; one that
    /// was recalled is skipped.
    pub(crate) fn take(&mut self) -> Result<Next, LineError> {
        loop {
            if self.decoded == self.gulp.len() && !self.refill()? {
                return Ok(Next::Nothing);
            }
            if let Some(next) = self.decode_one()? {
                return Ok(next);
            }
        }
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

    fn decode_one(&mut self) -> Result<Option<Next>, LineError> {
        let mut input = &self.gulp[self.decoded..];
        let body = self.decoder.next(&mut input).map_err(ProtocolError::from)?;
        self.decoded = self.gulp.len() - input.len();
        let Some(body) = body else {
            return Ok(None);
        };
        let message = ToExecutor::decode(body).map_err(ProtocolError::from)?;
        let mut parts = Parts {
            claims: &self.claims,
            assembler: &mut self.assembler,
            begun: &mut self.begun,
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

/// What a message may change.
struct Parts<'a> {
    claims: &'a Claims,
    assembler: &'a mut Assembler,
    begun: &'a mut HashMap<Stream, Begun>,
}

impl Parts<'_> {
    fn take(&mut self, message: ToExecutor<'_>) -> Result<Option<Next>, LineError> {
        match message {
            ToExecutor::Hello { .. } => Ok(None),
            ToExecutor::Configure { settings } => {
                self.payload(Stream::Configure, Begun::Configure, settings)
            }
            ToExecutor::Function {
                function,
                digest,
                body,
            } => {
                let begun = Begun::Function { function, digest };
                self.payload(Stream::Function(function), begun, body)
            }
            ToExecutor::Job {
                job,
                ticket,
                function,
                args,
            } => {
                let begun = Begun::Job {
                    job,
                    ticket,
                    function,
                };
                self.payload(Stream::Job(job), begun, args)
            }
            ToExecutor::More { stream, bytes } => self.more(stream, bytes),
            ToExecutor::Forget { function } => Ok(Some(Next::Forget(function))),
            ToExecutor::Shutdown => Ok(Some(Next::Shutdown)),
            ToExecutor::Recall { .. } | ToExecutor::Ping { .. } => {
                Err(LineError::Unexpected(message.name()))
            }
        }
    }

    fn payload(
        &mut self,
        stream: Stream,
        begun: Begun,
        payload: Payload<'_>,
    ) -> Result<Option<Next>, LineError> {
        if let Some(whole) = payload.whole() {
            return Ok(self.complete(&begun, Blob::from(whole)));
        }
        self.assembler
            .begin(stream, payload)
            .map_err(ProtocolError::from)?;
        self.begun.insert(stream, begun);
        Ok(None)
    }

    fn more(&mut self, stream: Stream, bytes: &[u8]) -> Result<Option<Next>, LineError> {
        let complete = self
            .assembler
            .more(stream, bytes)
            .map_err(ProtocolError::from)?;
        let Some(bytes) = complete else {
            return Ok(None);
        };
        let begun = self
            .begun
            .remove(&stream)
            .ok_or(LineError::Unexpected("end of a payload"))?;
        Ok(self.complete(&begun, Blob::from(bytes)))
    }

    fn complete(&self, begun: &Begun, bytes: Blob) -> Option<Next> {
        match *begun {
            Begun::Configure => Some(Next::Configure(bytes.into_bytes())),
            Begun::Function { function, digest } => Some(Next::Function {
                function,
                digest,
                blob: bytes.into_bytes(),
            }),
            Begun::Job {
                job,
                ticket,
                function,
            } => self.claims.take(ticket).then_some(Next::Job {
                job,
                function,
                args: bytes,
            }),
        }
    }
}
