//! What a worker makes of the client's messages.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use pp_proto::{Assembler, Digest, Payload, ProtocolError, Stream, ToExecutor};

use super::LineError;
use super::bell::WorkerBell;
use super::borrowing::Borrowing;
use crate::blob::Blob;
use crate::segments::Region;

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
        /// The segments that they refer to.
        segments: Vec<Region>,
        /// What it is given of the machine, if it has asked for anything.
        share: Option<Box<Share>>,
    },
    /// To drop a function.
    Forget(u64),
    /// To exit.
    Shutdown,
    /// Nothing yet.
    Nothing,
}

/// What a job is given of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// How many processors.
    pub cpus: u32,
    /// The most bytes of memory; 0 for any number.
    pub memory: u64,
    /// The devices, as their driver names them; none if it has not asked for any.
    pub devices: Option<String>,
}

/// What came first of a payload that arrives in pieces.
#[derive(Debug)]
pub(super) enum Begun {
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
    Segment(u64),
}

/// What has come, and the ticket by which it is to be claimed if it is a job.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) next: Next,
    pub(super) ticket: Option<u64>,
}

/// What a message may change. What has come is put down where it is to be found, and not handed
/// from one to the other: that would take longer than to read it.
pub(super) struct Parts<'a> {
    /// What has come in whole.
    pub(super) arrived: &'a mut VecDeque<Arrival>,
    pub(super) bell: &'a mut WorkerBell,
    pub(super) borrowing: &'a mut Borrowing,
    pub(super) assembler: &'a mut Assembler,
    pub(super) begun: &'a mut HashMap<Stream, Begun>,
    /// What jobs are given that come next, or have come in part.
    pub(super) shares: &'a mut HashMap<u64, Box<Share>>,
}

impl Parts<'_> {
    pub(super) fn take(&mut self, message: ToExecutor<'_>) -> Result<(), LineError> {
        match message {
            ToExecutor::Hello { .. } => {}
            ToExecutor::Configure { settings } => {
                self.payload(Stream::Configure, Begun::Configure, settings)?;
            }
            ToExecutor::Function {
                function,
                digest,
                body,
            } => {
                let begun = Begun::Function { function, digest };
                self.payload(Stream::Function(function), begun, body)?;
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
                self.payload(Stream::Job(job), begun, args)?;
            }
            ToExecutor::Share {
                job,
                cpus,
                memory,
                devices,
            } => {
                let devices = devices.map(str::to_owned);
                let share = Share {
                    cpus,
                    memory,
                    devices,
                };
                self.shares.insert(job, Box::new(share));
            }
            ToExecutor::More { stream, bytes } => self.more(stream, bytes)?,
            ToExecutor::Forget { function } => self.put(Next::Forget(function)),
            ToExecutor::Shutdown => self.put(Next::Shutdown),
            ToExecutor::Carry { segment, body } => {
                self.payload(Stream::Segment(segment), Begun::Segment(segment), body)?;
            }
            ToExecutor::Segment { .. }
            | ToExecutor::Use { .. }
            | ToExecutor::Grant { .. }
            | ToExecutor::Refuse { .. }
            | ToExecutor::Drop { .. } => self.lent(message)?,
            ToExecutor::Recall { .. }
            | ToExecutor::Ping { .. }
            | ToExecutor::Introduce { .. }
            | ToExecutor::Cancel { .. }
            | ToExecutor::Terms { .. }
            | ToExecutor::Need { .. }
            | ToExecutor::Keep { .. }
            | ToExecutor::Fetch { .. }
            | ToExecutor::Discard { .. }
            | ToExecutor::UseKept { .. }
            | ToExecutor::Borrow { .. }
            | ToExecutor::Get { .. } => return Err(LineError::Unexpected(message.name())),
        }
        Ok(())
    }

    fn put(&mut self, next: Next) {
        self.arrived.push_back(Arrival { next, ticket: None });
    }

    /// What is said of segments.
    fn lent(&mut self, message: ToExecutor<'_>) -> Result<(), LineError> {
        match message {
            ToExecutor::Segment {
                segment,
                len,
                inode,
            } => self.borrowing.receive(segment, len, inode, self.bell),
            ToExecutor::Use { job, segment } => self.borrowing.use_for(job, segment),
            ToExecutor::Grant { job, segment, warm } => self.borrowing.grant(job, segment, warm),
            ToExecutor::Refuse { job } => self.borrowing.refuse(job),
            ToExecutor::Drop { segment } => {
                self.borrowing.forget(segment);
                Ok(())
            }
            _ => Err(LineError::Unexpected(message.name())),
        }
    }

    fn take_share(&mut self, job: u64) -> Option<Box<Share>> {
        // Hardly any job has one.
        if self.shares.is_empty() {
            return None;
        }
        self.shares.remove(&job)
    }

    fn payload(
        &mut self,
        stream: Stream,
        begun: Begun,
        payload: Payload<'_>,
    ) -> Result<(), LineError> {
        if let Some(whole) = payload.whole() {
            self.complete(&begun, Blob::from(whole));
            return Ok(());
        }
        self.assembler
            .begin(stream, payload)
            .map_err(ProtocolError::from)?;
        self.begun.insert(stream, begun);
        Ok(())
    }

    fn more(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), LineError> {
        let complete = self
            .assembler
            .more(stream, bytes)
            .map_err(ProtocolError::from)?;
        let Some(bytes) = complete else {
            return Ok(());
        };
        let begun = self
            .begun
            .remove(&stream)
            .ok_or(LineError::Unexpected("end of a payload"))?;
        self.complete(&begun, Blob::from(bytes));
        Ok(())
    }

    fn complete(&mut self, begun: &Begun, bytes: Blob) {
        match *begun {
            Begun::Configure => self.put(Next::Configure(bytes.into_bytes())),
            Begun::Function { function, digest } => self.put(Next::Function {
                function,
                digest,
                blob: bytes.into_bytes(),
            }),
            Begun::Segment(segment) => self.borrowing.carry(segment, bytes.into_bytes()),
            Begun::Job {
                job,
                ticket,
                function,
            } => {
                let next = Next::Job {
                    job,
                    function,
                    args: bytes,
                    segments: self.borrowing.take_for(job),
                    share: self.take_share(job),
                };
                let ticket = Some(ticket);
                self.arrived.push_back(Arrival { next, ticket });
            }
        }
    }
}
