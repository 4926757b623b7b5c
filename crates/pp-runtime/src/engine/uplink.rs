//! The parent that this server works for: the node's end of the protocol on a link.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pp_core::{Charges, Service};
use pp_proto::{Assembler, EncodeError, FromExecutor, Payload, ProtocolError, Stream, ToExecutor};
use tokio::sync::oneshot;

use super::arriving::{self, Arriving};
use super::frames::Frames;
use super::functions::Function;
use super::node::Parting;
use super::pulse::Pulse;
use super::resources::{Needs, RESOURCES_MAX};
use crate::blob::Blob;
use crate::net::Link;
use crate::segments::{Part, Pool};

/// The most jobs that the parent may have here for each that runs: what the scheduler
/// sends ahead at the most, here and on the way.
const CREDIT_PER_SLOT: u32 = 2_048;
/// And the most in all. No parent that keeps to its credit ever has more.
const CREDIT_MAX: u32 = 1 << 20;

/// What the parent wants.
#[derive(Debug)]
pub(super) enum Wish {
    /// A function to be known, with this alias.
    Function { function: u64, blob: Bytes },
    /// A job to be run, of a function that is known.
    Run {
        job: u64,
        function: Arc<Function>,
        args: Blob,
        limits: JobLimits,
    },
    /// A job to be given back unless it has begun.
    Recall(u64),
    /// A job to be ended.
    Cancel(u64),
    /// That this server ends.
    Shutdown,
}

/// A job of which something is still to come.
#[derive(Debug)]
struct Incomplete {
    function: u64,
    args: Option<Blob>,
    parts: Vec<u64>,
    limits: JobLimits,
}

/// What is asked for a job beyond the usual.
#[derive(Debug, Default)]
pub(super) struct JobLimits {
    pub(super) time_limit: Option<Duration>,
    pub(super) needs: Needs,
}

/// The parent.
#[derive(Debug)]
pub(crate) struct Uplink {
    pub(super) link: Arc<Link>,
    pub(super) pulse: Pulse,
    /// Whether something was put into the outbox that was not flushed.
    pub(super) dirty: bool,
    /// Jobs that run or wait here.
    pub(super) service: Service,
    frames: Frames,
    assembler: Assembler,
    arriving: Arriving,
    functions: HashMap<u64, Arc<Function>>,
    incomplete: HashMap<u64, Incomplete>,
    /// The job that comes next, and the segments that it uses.
    used: Option<(u64, Vec<u64>)>,
    /// The job that comes next, and what is asked for it.
    limited: Option<(u64, JobLimits)>,
    /// The number of the next segment that results refer to.
    pub(super) next_segment: u64,
    /// The most bytes of segments that are kept for later jobs.
    cache: u64,
    /// What the parent was told last: how many jobs run at a time.
    told: Option<u32>,
    parting: Option<oneshot::Sender<Parting>>,
}

impl Uplink {
    /// A parent that was let in. Who waits for `parting` learns why it has gone.
    pub(super) fn new(
        link: Arc<Link>,
        pulse: Pulse,
        pool: Arc<Pool>,
        cache: u64,
        parting: oneshot::Sender<Parting>,
    ) -> Self {
        Self {
            link,
            pulse,
            dirty: false,
            service: Service::default(),
            frames: Frames::default(),
            assembler: arriving::assembler(),
            arriving: Arriving::new(pool),
            functions: HashMap::new(),
            incomplete: HashMap::new(),
            used: None,
            limited: None,
            next_segment: 0,
            cache,
            told: None,
            parting: Some(parting),
        }
    }

    /// Closes the link, says why, and tells who minds it.
    pub(super) fn part(mut self, why: Parting) {
        if !matches!(why, Parting::Ended(_)) {
            let text = why.to_string();
            if let Err(error) = self.say(&FromExecutor::fault(&text)) {
                tracing::debug!(%error, "nothing is said at parting");
            }
        }
        self.link.close();
        if let Some(parting) = self.parting.take() {
            let _ = parting.send(why);
        }
    }

    fn say(&mut self, message: &FromExecutor<'_>) -> Result<(), EncodeError> {
        self.dirty = true;
        self.link.outbox.lock().send(|out| message.encode(out))
    }

    /// Says how many jobs run at a time from now on, if that is news.
    pub(super) fn tell_capacity(
        &mut self,
        slots: u32,
        supply: &[(Arc<str>, u64)],
    ) -> Result<(), EncodeError> {
        if self.told == Some(slots) {
            return Ok(());
        }
        if self.told.is_none() {
            for (resource, amount) in supply {
                let amount = *amount;
                self.say(&FromExecutor::Supply { resource, amount })?;
            }
        }
        self.told = Some(slots);
        let credit = slots.saturating_mul(CREDIT_PER_SLOT).min(CREDIT_MAX);
        self.say(&FromExecutor::Capacity { slots, credit })
    }

    pub(super) fn say_leaving(&mut self) -> Result<(), EncodeError> {
        self.say(&FromExecutor::Leaving)
    }

    pub(super) fn answer_recall(&mut self, job: u64, recalled: bool) -> Result<(), EncodeError> {
        self.say(&FromExecutor::Recalled { job, recalled })
    }

    /// Tells what a job was charged with that is given back next.
    pub(super) fn tell_charges(&mut self, job: u64, charges: Charges) -> Result<(), EncodeError> {
        self.say(&FromExecutor::Charge {
            job,
            deaths: charges.deaths,
            losses: charges.losses,
        })
    }

    /// A node does not ask; what it hears of its parent's questions is enough.
    fn pong(&mut self, nonce: u64) -> Result<(), EncodeError> {
        self.say(&FromExecutor::Pong { nonce })
    }

    /// A function is known by now.
    pub(super) fn learn(&mut self, alias: u64, function: Arc<Function>, wishes: &mut Vec<Wish>) {
        self.functions.insert(alias, function);
        self.retry(wishes, |job| job.function == alias);
    }

    /// Appends to `wishes` what the parent wants.
    pub(super) fn take(&mut self, wishes: &mut Vec<Wish>) -> Result<(), Parting> {
        let link = Arc::clone(&self.link);
        // Apart, because messages borrow from it.
        let mut frames = std::mem::take(&mut self.frames);
        let result = frames.take_each(&link, |body| self.message(body, wishes));
        self.frames = frames;
        result?;
        self.make_room().map_err(protocol)
    }

    fn message(&mut self, body: &[u8], wishes: &mut Vec<Wish>) -> Result<(), Parting> {
        let message = ToExecutor::decode(body).map_err(ProtocolError::from)?;
        match message {
            ToExecutor::Function { function, body, .. } => {
                let stream = Stream::Function(function);
                if let Some(blob) = self.begin(stream, body)? {
                    wishes.push(Wish::Function { function, blob });
                }
            }
            ToExecutor::Job {
                job,
                function,
                args,
                ..
            } => self.job(job, function, args, wishes)?,
            ToExecutor::More { stream, bytes } => self.more(stream, bytes, wishes)?,
            ToExecutor::Carry { segment, body } => {
                if self.arriving.begin(segment, body).map_err(protocol)? {
                    self.retry(wishes, |job| job.parts.contains(&segment));
                }
            }
            ToExecutor::Use { job, segment } => self.note_use(job, segment)?,
            ToExecutor::Drop { segment } => self.arriving.forget(segment),
            ToExecutor::Forget { function } => {
                self.assembler.discard(Stream::Function(function));
                self.functions.remove(&function);
            }
            ToExecutor::Recall { job } => self.call_off(job, Wish::Recall(job), wishes)?,
            ToExecutor::Cancel { job } => self.call_off(job, Wish::Cancel(job), wishes)?,
            ToExecutor::Ping { nonce } => self.pong(nonce).map_err(protocol)?,
            ToExecutor::Terms {
                job,
                time_limit_ns,
                slots,
            } => self.note_terms(job, time_limit_ns, slots)?,
            ToExecutor::Need {
                job,
                resource,
                amount,
            } => self.note_need(job, resource, amount)?,
            ToExecutor::Shutdown => wishes.push(Wish::Shutdown),
            ToExecutor::Hello { .. }
            | ToExecutor::Configure { .. }
            | ToExecutor::Introduce { .. }
            | ToExecutor::Segment { .. }
            | ToExecutor::Share { .. }
            | ToExecutor::Keep { .. }
            | ToExecutor::Fetch { .. }
            | ToExecutor::Discard { .. }
            | ToExecutor::UseKept { .. }
            | ToExecutor::Borrow { .. }
            | ToExecutor::Get { .. }
            | ToExecutor::Grant { .. }
            | ToExecutor::Refuse { .. } => return Err(Parting::Unexpected(message.name())),
        }
        Ok(())
    }

    /// Drops what is too much of what nobody uses, and says so.
    fn make_room(&mut self) -> Result<(), EncodeError> {
        let (incomplete, used) = (&self.incomplete, &self.used);
        let is_needed = |segment: u64| {
            let used = used.iter().map(|(_, parts)| parts);
            let mut lists = incomplete.values().map(|job| &job.parts).chain(used);
            lists.any(|parts| parts.contains(&segment))
        };
        for segment in self.arriving.make_room(self.cache, is_needed) {
            let release = FromExecutor::Release {
                segment,
                uses: 0,
                reusable: false,
            };
            self.say(&release)?;
        }
        Ok(())
    }

    fn begin(&mut self, stream: Stream, body: Payload<'_>) -> Result<Option<Bytes>, Parting> {
        self.assembler.begin(stream, body).map_err(protocol)
    }

    /// The job that comes next uses a segment.
    fn note_use(&mut self, job: u64, segment: u64) -> Result<(), Parting> {
        let (next, segments) = self.used.get_or_insert_with(|| (job, Vec::new()));
        if *next != job || segments.len() >= arriving::STREAMS_MAX {
            return Err(Parting::Unexpected("use of a segment"));
        }
        segments.push(segment);
        Ok(())
    }

    /// Something is asked for the job that comes next.
    fn note_terms(&mut self, job: u64, time_limit_ns: u64, slots: u32) -> Result<(), Parting> {
        if self.limited.is_some() {
            return Err(Parting::Unexpected("second terms for a job"));
        }
        let limits = JobLimits {
            time_limit: (time_limit_ns > 0).then(|| Duration::from_nanos(time_limit_ns)),
            needs: Needs {
                slots,
                amounts: Vec::new(),
            },
        };
        self.limited = Some((job, limits));
        Ok(())
    }

    /// The job that comes next needs some of a resource.
    fn note_need(&mut self, job: u64, resource: &str, amount: u64) -> Result<(), Parting> {
        let limited = self.limited.as_mut();
        let (_, limits) = limited
            .filter(|(next, limits)| *next == job && limits.needs.amounts.len() < RESOURCES_MAX)
            .ok_or(Parting::Unexpected("need of a job"))?;
        limits.needs.amounts.push((resource.into(), amount));
        Ok(())
    }

    fn job(
        &mut self,
        job: u64,
        function: u64,
        args: Payload<'_>,
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        if self.service.holds(job) || self.incomplete.contains_key(&job) {
            return Err(Parting::Unexpected("second job of the same number"));
        }
        if self.service.len() + self.incomplete.len() >= CREDIT_MAX as usize {
            return Err(Parting::Unexpected("job beyond what was granted"));
        }
        let parts = match self.used.take() {
            Some((next, parts)) if next == job => parts,
            Some(_) => return Err(Parting::Unexpected("job before the one that was announced")),
            None => Vec::new(),
        };
        let limits = match self.limited.take() {
            Some((next, limits)) if next == job => limits,
            Some(_) => return Err(Parting::Unexpected("job before the one that was announced")),
            None => JobLimits::default(),
        };
        let args = match args.whole() {
            Some(whole) => Some(Blob::from(whole)),
            None => self.begin(Stream::Job(job), args)?.map(Blob::from),
        };
        let incomplete = Incomplete {
            function,
            args,
            parts,
            limits,
        };
        if let Some(incomplete) = self.try_run(job, incomplete, wishes) {
            self.incomplete.insert(job, incomplete);
        }
        Ok(())
    }

    /// Runs a job if all of it has come; else gives it back.
    fn try_run(
        &mut self,
        job: u64,
        mut incomplete: Incomplete,
        wishes: &mut Vec<Wish>,
    ) -> Option<Incomplete> {
        let Some(function) = self.functions.get(&incomplete.function).map(Arc::clone) else {
            return Some(incomplete);
        };
        let parts: Option<Vec<Part>> = incomplete
            .parts
            .iter()
            .map(|&segment| self.arriving.get(segment).cloned())
            .collect();
        let Some(parts) = parts else {
            return Some(incomplete);
        };
        let Some(args) = incomplete.args.take() else {
            return Some(incomplete);
        };
        wishes.push(Wish::Run {
            job,
            function,
            args: args.with_parts(parts),
            limits: incomplete.limits,
        });
        None
    }

    /// Runs those of the jobs that have waited for something which have waited for nothing
    /// else.
    fn retry(&mut self, wishes: &mut Vec<Wish>, has_waited: impl Fn(&Incomplete) -> bool) {
        let mut ready: Vec<u64> = self
            .incomplete
            .iter()
            .filter(|(_, job)| has_waited(job))
            .map(|(&number, _)| number)
            .collect();
        ready.sort_unstable();
        for job in ready {
            if let Some(incomplete) = self.incomplete.remove(&job)
                && let Some(incomplete) = self.try_run(job, incomplete, wishes)
            {
                self.incomplete.insert(job, incomplete);
            }
        }
    }

    fn more(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        if let Stream::Segment(segment) = stream {
            if self.arriving.more(segment, bytes).map_err(protocol)? {
                self.retry(wishes, |job| job.parts.contains(&segment));
            }
            return Ok(());
        }
        let Some(whole) = self.assembler.more(stream, bytes).map_err(protocol)? else {
            return Ok(());
        };
        match stream {
            Stream::Function(function) => wishes.push(Wish::Function {
                function,
                blob: whole,
            }),
            Stream::Job(job) => {
                let Some(mut incomplete) = self.incomplete.remove(&job) else {
                    return Err(Parting::Unexpected("end of a job's arguments"));
                };
                incomplete.args = Some(Blob::from(whole));
                if let Some(incomplete) = self.try_run(job, incomplete, wishes) {
                    self.incomplete.insert(job, incomplete);
                }
            }
            Stream::Configure | Stream::Segment(_) => {
                return Err(Parting::Unexpected("end of a payload"));
            }
        }
        Ok(())
    }

    /// A job is not wanted any more, or not here. No more of its arguments follows.
    fn call_off(&mut self, job: u64, wish: Wish, wishes: &mut Vec<Wish>) -> Result<(), Parting> {
        if self.incomplete.remove(&job).is_some() {
            self.assembler.discard(Stream::Job(job));
            return self.answer_recall(job, true).map_err(protocol);
        }
        wishes.push(wish);
        Ok(())
    }

    /// What of its name the parent still has here, for tests and logs.
    pub(super) fn is_empty(&self) -> bool {
        self.service.is_empty() && self.incomplete.is_empty()
    }

    /// How long the parent may be silent.
    pub(super) fn patience(&self) -> Duration {
        self.pulse.patience()
    }
}

fn protocol(error: impl Into<ProtocolError>) -> Parting {
    Parting::Protocol(error.into())
}

#[cfg(all(test, unix))]
mod tests;
