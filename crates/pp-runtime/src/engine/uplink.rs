//! The parent that this server works for: the node's end of the protocol on a link.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pp_core::{Charges, Service, Terms};
use pp_proto::{
    Assembler, EncodeError, FromExecutor, Payload, ProtocolError, Stream, Ticket, ToExecutor,
};
use tokio::sync::oneshot;

use super::arriving::{self, Arriving};
use super::for_parent::Slots;
use super::frames::Frames;
use super::functions::Function;
use super::kept_here::KeptHere;
use super::node::Parting;
use super::pulse::Pulse;
use super::resources::{Names, Needs};
use crate::blob::Blob;
use crate::exports::Exports;
use crate::net::Link;
use crate::segments::Pool;

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
    /// The result of a job to stay here.
    Keep(u64),
    /// That this server ends.
    Shutdown,
}

/// A job of which something is still to come.
#[derive(Debug)]
struct Incomplete {
    function: u64,
    args: Option<Blob>,
    parts: Vec<Used>,
    limits: JobLimits,
}

/// A segment that a job uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Used {
    /// It comes, or has come, from the parent or another node.
    Sent(u64),
    /// It has been kept here.
    Kept(u64),
}

/// A segment to be got from another node.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) segment: u64,
    pub(super) size: u64,
    pub(super) ticket: Ticket,
    pub(super) place: Box<str>,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lent {
    Coming,
    Failed,
}

impl Incomplete {
    fn uses(&self, segment: u64) -> bool {
        self.parts.contains(&Used::Sent(segment))
    }
}

/// What is asked for a job beyond the usual.
#[derive(Debug, Default)]
pub(super) struct JobLimits {
    pub(super) time_limit: Option<Duration>,
    pub(super) priority: i32,
    pub(super) needs: Needs,
}

impl JobLimits {
    /// The same for the scheduler. The parent has the rest.
    pub(super) fn terms(&self, names: &mut Names) -> Terms {
        Terms {
            time_limit: self.time_limit,
            priority: self.priority,
            demand: names.demand(&self.needs),
            ..Terms::default()
        }
    }
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
    used: Option<(u64, Vec<Used>)>,
    /// Results that stay here.
    pub(super) kept: KeptHere,
    /// Segments that are to be got from other nodes, once this server has been told.
    pub(super) loans: Vec<Loan>,
    /// Those that are on their way from there, and those that do not come.
    lent: HashMap<u64, Lent>,
    /// The job that comes next, and what is asked for it.
    limited: Option<(u64, JobLimits)>,
    /// The number of the next segment that results refer to.
    pub(super) next_segment: u64,
    /// The most bytes of segments that are kept for later jobs.
    cache: u64,
    /// What the parent was told last: how many jobs run at a time.
    told: Option<Slots>,
    parting: Option<oneshot::Sender<Parting>>,
}

impl Uplink {
    /// A parent that was let in. Who waits for `parting` learns why it has gone.
    pub(super) fn new(
        link: Arc<Link>,
        pulse: Pulse,
        pool: Arc<Pool>,
        (cache, exports): (u64, Option<Arc<Exports>>),
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
            kept: KeptHere::new(exports, cache),
            loans: Vec::new(),
            lent: HashMap::new(),
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
        slots: Slots,
        supply: &[(Arc<str>, u64)],
    ) -> Result<(), EncodeError> {
        if self.told == Some(slots) {
            return Ok(());
        }
        if self.told.is_none() {
            for (resource, amount) in supply {
                self.tell_supply(resource, *amount)?;
            }
        }
        self.told = Some(slots);
        let Slots { slots, most } = slots;
        let credit = slots.saturating_mul(CREDIT_PER_SLOT).min(CREDIT_MAX);
        self.say(&FromExecutor::Capacity {
            slots,
            credit,
            most,
        })
    }

    /// Says how much of a resource this machine has.
    pub(super) fn tell_supply(&mut self, resource: &str, amount: u64) -> Result<(), EncodeError> {
        self.say(&FromExecutor::Supply { resource, amount })
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
                self.lent.remove(&segment);
                if self.arriving.begin(segment, body).map_err(protocol)? {
                    self.retry(wishes, |job| job.uses(segment));
                }
            }
            ToExecutor::Borrow {
                segment,
                size,
                ticket,
                place,
            } => self.note_loan(segment, size, ticket, place)?,
            ToExecutor::Use { job, segment } => self.note_use(job, Used::Sent(segment))?,
            ToExecutor::UseKept { job, segment } => self.note_use(job, Used::Kept(segment))?,
            ToExecutor::Drop { segment } => {
                self.lent.remove(&segment);
                self.arriving.forget(segment);
            }
            ToExecutor::Keep { job } => self.note_wish_to_keep(job, wishes),
            ToExecutor::Fetch { segment } => self.send_kept(segment)?,
            ToExecutor::Discard { segment } => self.kept.discard(segment),
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
                priority,
            } => self.note_terms(job, time_limit_ns, slots, priority)?,
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
            lists.any(|parts| parts.contains(&Used::Sent(segment)))
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

    fn more(
        &mut self,
        stream: Stream,
        bytes: &[u8],
        wishes: &mut Vec<Wish>,
    ) -> Result<(), Parting> {
        if let Stream::Segment(segment) = stream {
            if self.arriving.more(segment, bytes).map_err(protocol)? {
                self.retry(wishes, |job| job.uses(segment));
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
                self.go_on(job, incomplete, wishes)?;
            }
            Stream::Configure | Stream::Segment(_) => {
                return Err(Parting::Unexpected("end of a payload"));
            }
        }
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

mod jobs;
mod lending;
#[cfg(all(test, unix))]
mod tests;
