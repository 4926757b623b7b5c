//! A node as the engine sees it: the parent's end of the protocol on a link.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pp_core::JobId;
use pp_proto::{Assembler, FromExecutor, Payload, ProtocolError, Stream};
use tokio::sync::oneshot;

use super::arriving::{self, Arriving};
use super::contents::{Contents, Lack};
use super::frames::Frames;
use super::kept_there::KeptThere;
use super::nodes::NodeView;
use super::pulse::Pulse;
use super::record::NOWHERE;
use super::state::Totals;
use crate::blob::Blob;
use crate::channel::ResultHeader;
use crate::net::{Host, Link};
use crate::segments::{Away, Part, Pool};

mod parting;
mod said;
mod saying;

pub(crate) use parting::Parting;
pub(super) use said::Said;

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
    /// Whether it goes as soon as what it keeps is here.
    pub(super) is_leaving: bool,
    /// Whether something was said while it was listened to.
    pub(super) has_said: bool,
    frames: Frames,
    assembler: Assembler,
    arriving: Arriving,
    /// Results of which some is still to come.
    partial: HashMap<JobId, ResultHeader>,
    /// The segments that a result refers to which comes next.
    placed: HashMap<JobId, Vec<u64>>,
    contents: Contents,
    kept: KeptThere,
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
        kept: KeptThere,
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
            is_leaving: false,
            has_said: false,
            frames: Frames::default(),
            assembler: arriving::assembler(),
            arriving: Arriving::new(pool),
            partial: HashMap::new(),
            placed: HashMap::new(),
            contents: Contents::default(),
            kept,
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

    /// Whether this node has what lies at a node, or can get it from there.
    pub(super) fn can_have(&self, away: &Away) -> bool {
        let home = away.home();
        self.kept.is_home(home) || self.kept.reaches(home, Instant::now())
    }

    /// A job comes back because it cannot get one of its segments from another node: it is to be
    /// asked for no more of that node. Whether the job was there.
    ///
    /// # Errors
    /// It should have that segment.
    pub(super) fn lacks(&mut self, job: JobId, segment: u64) -> Result<bool, Parting> {
        self.kept.job_left(job);
        match self.contents.lacks(job, segment) {
            Lack::Lent(part) => {
                if let Some(away) = part.away() {
                    self.kept.note_unreachable(away.home(), Instant::now());
                }
                Ok(true)
            }
            Lack::Late => Ok(true),
            Lack::Over => Ok(false),
            Lack::Wrong => Err(Parting::Unexpected("lack of what is there")),
        }
    }

    /// Whether it may go, as it is to, since all that it keeps is here. Answers yes once.
    pub(super) fn may_leave(&mut self) -> bool {
        let may_leave = self.is_leaving && self.kept_there().is_empty();
        self.is_leaving &= !may_leave;
        may_leave
    }

    /// What it keeps that somebody still refers to, and that was not brought.
    pub(super) fn kept_there(&self) -> Vec<Arc<Away>> {
        self.kept.all()
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
                    self.kept.job_left(job);
                }
                Ok(Some(Said::Recalled { job, recalled }))
            }
            FromExecutor::Carry { .. }
            | FromExecutor::Place { .. }
            | FromExecutor::Release { .. }
            | FromExecutor::Kept { .. } => self.of_segments(message),
            FromExecutor::Pong { nonce } => {
                self.pulse.answered(nonce, Instant::now());
                Ok(None)
            }
            FromExecutor::Fault { text } => Err(Parting::Fault(text.to_owned())),
            _ => {
                let said = Said::of_itself(&message);
                said.map(Some).ok_or(Parting::Unexpected(message.name()))
            }
        }
    }

    /// What is said of segments.
    fn of_segments(&mut self, message: FromExecutor<'_>) -> Result<Option<Said>, Parting> {
        match message {
            FromExecutor::Carry { segment, body } => {
                if !self.kept.allows(segment, body.size()) {
                    return Err(Parting::Unexpected("content of what is kept"));
                }
                let is_whole = self.arriving.begin(segment, body);
                let is_whole = is_whole.map_err(ProtocolError::from)?;
                Ok(is_whole.then(|| self.whole(segment)).flatten())
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
                    self.provide(&part).map_err(ProtocolError::from)?;
                    self.has_said = true;
                }
                Ok(None)
            }
            FromExecutor::Kept {
                segment,
                size,
                ticket,
            } => {
                let is_new = self.kept.add(segment, size, ticket);
                is_new
                    .then_some(None)
                    .ok_or(Parting::Unexpected("segment that is kept"))
            }
            _ => Err(Parting::Unexpected(message.name())),
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
            let is_whole = self.arriving.more(segment, bytes);
            let is_whole = is_whole.map_err(ProtocolError::from)?;
            return Ok(is_whole.then(|| self.whole(segment)).flatten());
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

    /// A segment has come; what that is if it was asked for.
    fn whole(&mut self, segment: u64) -> Option<Said> {
        if !self.kept.has(segment) {
            return None;
        }
        let content = self.arriving.take(segment)?;
        let away = self.kept.brought(segment)?;
        Some(Said::Kept { away, content })
    }

    fn complete(&mut self, job: JobId, header: ResultHeader, bytes: Blob) -> Result<Said, Parting> {
        self.contents.job_left(job);
        let stays = self.kept.job_left(job);
        let placed = self.placed.remove(&job).unwrap_or_default();
        let parts: Option<Vec<Part>> = placed
            .into_iter()
            .map(|segment| {
                let kept = self.kept.place(segment).filter(|_| stays);
                kept.or_else(|| self.arriving.take(segment))
            })
            .collect();
        let parts = parts.ok_or(Parting::Unexpected("segment of a result"))?;
        let bytes = bytes.with_parts(parts);
        Ok(Said::Result { job, header, bytes })
    }
}
