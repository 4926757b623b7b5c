//! A node as the engine sees it: the parent's end of the protocol on a link.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pp_core::{Charges, FunctionId, JobId};
use pp_proto::{
    Assembler, Digest, EncodeError, FromExecutor, Payload, ProtocolError, Stream, ToExecutor,
};
use tokio::sync::oneshot;

use super::arriving::{self, Arriving};
use super::contents::Contents;
use super::frames::Frames;
use super::nodes::NodeView;
use super::pulse::Pulse;
use super::record::NOWHERE;
use super::resources::Needs;
use super::state::Totals;
use crate::blob::Blob;
use crate::channel::ResultHeader;
use crate::net::{Host, Link, LinkEnd};
use crate::segments::{Part, Pool};

/// Why a node is not used any more.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Parting {
    /// Its connection has ended.
    #[error(transparent)]
    Ended(#[from] LinkEnd),
    /// Nothing was heard of it.
    #[error("nothing was heard of it for {:.1} s", .0.as_secs_f64())]
    Silent(Duration),
    /// It said that it cannot go on.
    #[error("it says: {0}")]
    Fault(String),
    /// It said something that it should not.
    #[error("it does not keep to the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// It named what was not sent, or sent what nobody asked for.
    #[error("it does not keep to the protocol: unexpected {0}")]
    Unexpected(&'static str),
    /// It left, as it had said.
    #[error("it has left")]
    Left,
    /// This server ends; a parent of it hears why.
    #[error("this node was told to end")]
    Destroyed,
}

impl Parting {
    /// Whether the jobs that it held may be to blame. Who can still say why it goes was
    /// not taken down by a job.
    pub(super) fn is_loss(&self) -> bool {
        !matches!(self, Self::Fault(_) | Self::Left | Self::Destroyed)
    }
}

/// What a node said.
#[derive(Debug)]
pub(super) enum Said {
    Capacity {
        slots: u32,
        credit: u32,
    },
    Result {
        job: JobId,
        header: ResultHeader,
        bytes: Blob,
    },
    Recalled {
        job: JobId,
        recalled: bool,
    },
    /// It has this much of a resource.
    Supply {
        resource: Arc<str>,
        amount: u64,
    },
    /// It will go.
    Leaving,
    /// The job, which comes back next, was charged there.
    Charge {
        job: JobId,
        charges: Charges,
    },
}

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    /// How users know it.
    pub(super) name: Arc<str>,
    /// The number of that name.
    pub(super) site: u16,
    pub(super) host: Host,
    pub(super) link: Arc<Link>,
    pub(super) pulse: Pulse,
    /// What it does for us; none before it has said so.
    pub(super) slots: Option<u32>,
    /// What it has beside processors.
    pub(super) supply: Vec<(Arc<str>, u64)>,
    pub(super) totals: Totals,
    /// Whether something was put into its outbox that was not flushed.
    pub(super) dirty: bool,
    /// Whether that happened while it was listened to.
    pub(super) has_said: bool,
    frames: Frames,
    assembler: Assembler,
    arriving: Arriving,
    /// Results of which some is still to come.
    partial: HashMap<JobId, ResultHeader>,
    /// The segments that a result refers to which comes next.
    placed: HashMap<JobId, Vec<u64>>,
    contents: Contents,
    parting: Option<oneshot::Sender<Parting>>,
}

impl Node {
    /// A node that was reached. Who waits for `parting` learns why it has gone.
    pub(super) fn new(
        name: Arc<str>,
        host: Host,
        link: Arc<Link>,
        pulse: Pulse,
        pool: Arc<Pool>,
        parting: oneshot::Sender<Parting>,
    ) -> Self {
        Self {
            name,
            site: NOWHERE,
            host,
            link,
            pulse,
            slots: None,
            supply: Vec::new(),
            totals: Totals::default(),
            dirty: false,
            has_said: false,
            frames: Frames::default(),
            assembler: arriving::assembler(),
            arriving: Arriving::new(pool),
            partial: HashMap::new(),
            placed: HashMap::new(),
            contents: Contents::default(),
            parting: Some(parting),
        }
    }

    /// Closes the link and tells who minds the node why.
    pub(super) fn part(mut self, why: Parting) {
        self.link.close();
        if let Some(parting) = self.parting.take() {
            // Nobody minds it any more when the server ends.
            let _ = parting.send(why);
        }
    }

    /// What users may know of it.
    pub(super) fn view(&self) -> NodeView {
        let heard = self.link.heard();
        let is_active = self.slots.is_some() && !self.pulse.is_doubtful(heard, Instant::now());
        NodeView {
            name: Arc::clone(&self.name),
            title: self.host.name.clone(),
            slots: self.slots.unwrap_or(0),
            jobs: self.totals.jobs,
            run_time: self.totals.run_time,
            latency: self.pulse.latency(),
            is_active,
        }
    }

    fn say(&self, message: &ToExecutor<'_>) -> Result<(), EncodeError> {
        self.link.outbox.lock().send(|out| message.encode(out))
    }

    pub(super) fn send_function(
        &mut self,
        id: FunctionId,
        digest: Digest,
        blob: Bytes,
    ) -> Result<(), EncodeError> {
        let body = Payload::of(&blob);
        let head = body.head().len();
        let function = id.as_u64();
        let message = ToExecutor::Function {
            function,
            digest,
            body,
        };
        self.say(&message)?;
        let stream = Stream::Function(function);
        self.link.outbox.lock().send_rest(stream, blob, head);
        Ok(())
    }

    pub(super) fn send_job(
        &mut self,
        id: JobId,
        function: FunctionId,
        args: Blob,
    ) -> Result<(), EncodeError> {
        for part in args.parts() {
            self.send_part(id, part)?;
        }
        let payload = Payload::of(&args);
        let head = payload.head().len();
        let message = ToExecutor::Job {
            job: id.as_u64(),
            ticket: 0,
            function: function.as_u64(),
            args: payload,
        };
        self.say(&message)?;
        if head < args.len() {
            let stream = Stream::Job(id.as_u64());
            let mut outbox = self.link.outbox.lock();
            outbox.send_rest(stream, args.into_bytes(), head);
        }
        Ok(())
    }

    /// Says what is asked for the job that is sent next, if that is more than the usual.
    pub(super) fn send_terms(
        &mut self,
        job: JobId,
        time_limit: Option<Duration>,
        needs: Option<&Needs>,
    ) -> Result<(), EncodeError> {
        if time_limit.is_none() && needs.is_none() {
            return Ok(());
        }
        let job = job.as_u64();
        // 0 would be none.
        let nanos = time_limit.map_or(0, |limit| {
            u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
        });
        self.say(&ToExecutor::Terms {
            job,
            time_limit_ns: nanos,
            slots: needs.map_or(1, |needs| needs.slots),
        })?;
        for (resource, amount) in needs.map_or(&[][..], |needs| &needs.amounts) {
            let amount = *amount;
            self.say(&ToExecutor::Need {
                job,
                resource,
                amount,
            })?;
        }
        Ok(())
    }

    /// Sends what a job needs beside its arguments, once.
    fn send_part(&mut self, job: JobId, part: &Part) -> Result<(), EncodeError> {
        if self.contents.refer(job, part) {
            self.carry(part)?;
        }
        let (job, segment) = (job.as_u64(), part.content_name());
        self.say(&ToExecutor::Use { job, segment })
    }

    /// Sends a content.
    fn carry(&mut self, part: &Part) -> Result<(), EncodeError> {
        // What cannot be mapped is sent empty: the job then fails, and says of what.
        let content = part.content().unwrap_or_else(|error| {
            tracing::error!(%error, "a large argument cannot be read");
            Bytes::new()
        });
        let segment = part.content_name();
        let body = Payload::new(content.len() as u64, &[]).unwrap_or_default();
        self.say(&ToExecutor::Carry { segment, body })?;
        let stream = Stream::Segment(segment);
        self.link.outbox.lock().send_rest(stream, content, 0);
        Ok(())
    }

    /// Lets the node forget the contents that nobody refers to any more.
    pub(super) fn drop_contents(&mut self) -> Result<(), EncodeError> {
        for segment in self.contents.take_gone() {
            // What has not gone out would come after the message, and stay for ever.
            self.link.outbox.lock().withdraw(Stream::Segment(segment));
            self.say(&ToExecutor::Drop { segment })?;
        }
        Ok(())
    }

    pub(super) fn forget(&mut self, function: FunctionId) -> Result<(), EncodeError> {
        let function = function.as_u64();
        let stream = Stream::Function(function);
        self.link.outbox.lock().withdraw(stream);
        self.say(&ToExecutor::Forget { function })
    }

    pub(super) fn recall(&mut self, job: JobId) -> Result<(), EncodeError> {
        let job = job.as_u64();
        self.link.outbox.lock().withdraw(Stream::Job(job));
        self.say(&ToExecutor::Recall { job })
    }

    pub(super) fn cancel(&mut self, job: JobId) -> Result<(), EncodeError> {
        let job = job.as_u64();
        self.link.outbox.lock().withdraw(Stream::Job(job));
        self.say(&ToExecutor::Cancel { job })
    }

    pub(super) fn ping(&mut self, nonce: u64) -> Result<(), EncodeError> {
        self.say(&ToExecutor::Ping { nonce })
    }

    pub(super) fn shut_down(&mut self) -> Result<(), EncodeError> {
        self.say(&ToExecutor::Shutdown)
    }

    /// Appends to `news` what the node has said.
    pub(super) fn take(&mut self, news: &mut Vec<Said>) -> Result<(), Parting> {
        let link = Arc::clone(&self.link);
        // Apart, because messages borrow from it.
        let mut frames = std::mem::take(&mut self.frames);
        let result = frames.take_each(&link, |body| {
            news.extend(self.message(body)?);
            Ok(())
        });
        self.frames = frames;
        result
    }

    fn message(&mut self, body: &[u8]) -> Result<Option<Said>, Parting> {
        let message = FromExecutor::decode(body).map_err(ProtocolError::from)?;
        match message {
            FromExecutor::Capacity { slots, credit } => Ok(Some(Said::Capacity { slots, credit })),
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
                self.result(JobId::from_u64(job), header, body)
            }
            FromExecutor::More { stream, bytes } => self.more(stream, bytes),
            FromExecutor::Recalled { job, recalled } => {
                let job = JobId::from_u64(job);
                if recalled {
                    self.contents.job_left(job);
                }
                Ok(Some(Said::Recalled { job, recalled }))
            }
            FromExecutor::Carry { segment, body } => {
                let begun = self.arriving.begin(segment, body);
                begun.map_err(ProtocolError::from)?;
                Ok(None)
            }
            FromExecutor::Place { job, segment } => {
                if self.placed.len() >= arriving::STREAMS_MAX {
                    return Err(Parting::Unexpected("segment of a result"));
                }
                let placed = self.placed.entry(JobId::from_u64(job)).or_default();
                placed.push(segment);
                Ok(None)
            }
            FromExecutor::Release { segment, .. } => {
                // It had to make room.
                if let Some(part) = self.contents.dropped_there(segment) {
                    self.carry(&part).map_err(ProtocolError::from)?;
                    self.has_said = true;
                }
                Ok(None)
            }
            FromExecutor::Pong { nonce } => {
                self.pulse.answered(nonce, Instant::now());
                Ok(None)
            }
            FromExecutor::Leaving => Ok(Some(Said::Leaving)),
            FromExecutor::Supply { resource, amount } => Ok(Some(Said::Supply {
                resource: resource.into(),
                amount,
            })),
            FromExecutor::Charge {
                job,
                deaths,
                losses,
            } => {
                let job = JobId::from_u64(job);
                let charges = Charges { deaths, losses };
                Ok(Some(Said::Charge { job, charges }))
            }
            FromExecutor::Fault { text } => Err(Parting::Fault(text.to_owned())),
            FromExecutor::Hello { .. }
            | FromExecutor::Introduce { .. }
            | FromExecutor::Ready { .. }
            | FromExecutor::Credit { .. }
            | FromExecutor::Kept { .. }
            | FromExecutor::Lacks { .. }
            | FromExecutor::Want { .. } => Err(Parting::Unexpected(message.name())),
        }
    }

    fn result(
        &mut self,
        job: JobId,
        header: ResultHeader,
        body: Payload<'_>,
    ) -> Result<Option<Said>, Parting> {
        if let Some(whole) = body.whole() {
            return self.complete(job, header, Blob::from(whole)).map(Some);
        }
        let stream = Stream::Job(job.as_u64());
        self.assembler
            .begin(stream, body)
            .map_err(ProtocolError::from)?;
        self.partial.insert(job, header);
        Ok(None)
    }

    fn more(&mut self, stream: Stream, bytes: &[u8]) -> Result<Option<Said>, Parting> {
        if let Stream::Segment(segment) = stream {
            let more = self.arriving.more(segment, bytes);
            more.map_err(ProtocolError::from)?;
            return Ok(None);
        }
        let whole = self
            .assembler
            .more(stream, bytes)
            .map_err(ProtocolError::from)?;
        let (Some(whole), Stream::Job(job)) = (whole, stream) else {
            return Ok(None);
        };
        let job = JobId::from_u64(job);
        let header = self.partial.remove(&job);
        let header = header.ok_or(Parting::Unexpected("end of a result"))?;
        self.complete(job, header, Blob::from(whole)).map(Some)
    }

    fn complete(&mut self, job: JobId, header: ResultHeader, bytes: Blob) -> Result<Said, Parting> {
        self.contents.job_left(job);
        let placed = self.placed.remove(&job).unwrap_or_default();
        let parts: Option<Vec<Part>> = placed
            .into_iter()
            .map(|segment| self.arriving.take(segment))
            .collect();
        let parts = parts.ok_or(Parting::Unexpected("segment of a result"))?;
        let bytes = bytes.with_parts(parts);
        Ok(Said::Result { job, header, bytes })
    }
}
