//! What a parent says, in the order of the messages' numbers.
//!
//! The order of variants and fields is the wire format. New messages go to the end
//! and raise the minor version; anything else is another major version.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Message};
use crate::error::{DecodeError, EncodeError, Violation};
use crate::message::{Digest, Stream, Ticket, check_more, check_name, check_route};
use crate::payload::Payload;
use crate::version::Version;

/// What a parent says to its executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToExecutor<'a> {
    /// The first message.
    Hello {
        /// [`MAGIC`](crate::MAGIC).
        magic: [u8; 4],
        /// The version that the parent speaks.
        version: Version,
        /// One bit for each optional ability. What both sides name may be used; a bit
        /// that is not known means nothing. None is defined yet.
        features: u64,
    },
    /// How the executor is to be set up, once.
    Configure {
        /// For the executor's Python side.
        settings: Payload<'a>,
    },
    /// A function that jobs may name from now on.
    Function {
        /// What this link calls it. An alias is not used again after `Forget`.
        function: u64,
        /// What everybody calls it.
        digest: Digest,
        /// The serialized function.
        body: Payload<'a>,
    },
    /// A job to run.
    Job {
        /// The parent's number for it, in use once at a time.
        job: u64,
        /// Which claim word says who may start it, on a link with shared memory;
        /// elsewhere 0.
        ticket: u64,
        /// Alias of a function that was sent before.
        function: u64,
        /// The serialized arguments.
        args: Payload<'a>,
    },
    /// The next bytes of a payload.
    More {
        /// Which payload.
        stream: Stream,
        /// At least one byte, at most [`CHUNK_MAX`](crate::limits::CHUNK_MAX).
        #[serde(borrow, with = "codec::byte_string")]
        bytes: &'a [u8],
    },
    /// Give the job back if it has not started; the answer is `Recalled`. No `More`
    /// for its arguments follows.
    Recall {
        /// Which job.
        job: u64,
    },
    /// No job will name this function again.
    Forget {
        /// Its alias.
        function: u64,
    },
    /// Answer with `Pong`.
    Ping {
        /// To be given back.
        nonce: u64,
    },
    /// Finish: what runs may be abandoned, and nothing more is to be sent.
    Shutdown,
    /// A descriptor waits in the socket beside this link. It is a segment's, a file of
    /// fixed length that may be mapped.
    Segment {
        /// What it is called. Comes again for a segment that is known if it is to be
        /// written to.
        segment: u64,
        /// Its length in bytes.
        len: u64,
        /// The file's number in its file system: no other descriptor is taken for it.
        inode: u64,
    },
    /// The content of a segment that cannot be shared.
    Carry {
        /// What it is called.
        segment: u64,
        /// What is in it.
        body: Payload<'a>,
    },
    /// The job with this number, which comes next, uses a segment. Sent once for each;
    /// the arguments refer to them by their order.
    Use {
        /// Which job.
        job: u64,
        /// A segment that was sent before.
        segment: u64,
    },
    /// The answer to `Want`: the result may be written here.
    Grant {
        /// Which job.
        job: u64,
        /// A segment that was sent before, at least as long as was asked for.
        segment: u64,
        /// How many of its first bytes have memory behind them.
        warm: u64,
    },
    /// The answer to `Want` where there is no room: the result is to come as a payload.
    Refuse {
        /// Which job.
        job: u64,
    },
    /// Nothing will name this segment again.
    Drop {
        /// Which one.
        segment: u64,
    },
    /// Who the parent is, to a node; right behind its `Hello`.
    Introduce {
        /// Major, minor and micro version of its Python.
        python: (u8, u8, u8),
        /// How long each side may say nothing before the other takes it for dead, in
        /// milliseconds.
        patience_ms: u32,
        /// The servers that stand above this link, from the outermost to the parent:
        /// 16 bytes for each, at most [`ROUTE_MAX`](crate::limits::ROUTE_MAX) bytes. A
        /// node that finds itself among them refuses, since jobs would run in circles.
        #[serde(borrow, with = "codec::byte_string")]
        route: &'a [u8],
        /// What the parent is called, for the readers of logs; at most
        /// [`NAME_MAX`](crate::limits::NAME_MAX) bytes.
        name: &'a str,
    },
    /// End a job, wherever it is; the answer is `Recalled`, and its `recalled` is false
    /// if the job has ended by itself. No `More` for its arguments follows.
    Cancel {
        /// Which job.
        job: u64,
    },
    /// What is asked for the job that comes next, beyond the usual.
    Terms {
        /// Which job.
        job: u64,
        /// How long it may run at a time, in nanoseconds; 0 for any time.
        time_limit_ns: u64,
        /// How many slots it takes.
        slots: u32,
        /// Of those that wait there for the same parent, jobs of higher priority go first.
        priority: i32,
    },
    /// The job that comes next needs this much of a resource. Sent once for each.
    Need {
        /// Which job.
        job: u64,
        /// What the resource is called; at most [`NAME_MAX`](crate::limits::NAME_MAX) bytes.
        resource: &'a str,
        /// How much: bytes of memory, or thousandths of anything else.
        amount: u64,
    },
    /// What of the machine the job that comes next is given. Only to workers.
    Share {
        /// Which job.
        job: u64,
        /// How many processors.
        cpus: u32,
        /// The most bytes of memory that it may take; 0 for any number.
        memory: u64,
        /// The devices that it may use, as their driver names them, if it has asked for any; at
        /// most [`NAME_MAX`](crate::limits::NAME_MAX) bytes.
        #[serde(borrow)]
        devices: Option<&'a str>,
    },
    /// What is large in the result of this job is to stay where it is made, for other jobs.
    /// Nothing if the job is not held.
    Keep {
        /// Which job.
        job: u64,
    },
    /// Send the content of a segment that was kept; it stays kept.
    Fetch {
        /// A segment of which `Kept` told.
        segment: u64,
    },
    /// A segment that was kept is not needed any more, and will not be named again.
    Discard {
        /// Which one.
        segment: u64,
    },
    /// As `Use`, of a segment that was kept.
    UseKept {
        /// Which job.
        job: u64,
        /// A segment of which `Kept` told.
        segment: u64,
    },
    /// As `Carry`, but the content is to be got from another node.
    Borrow {
        /// What it is called, among those of this direction.
        segment: u64,
        /// How many bytes it has.
        size: u64,
        /// What that node gives it for.
        ticket: Ticket,
        /// Where that node is: its address and port; at most
        /// [`NAME_MAX`](crate::limits::NAME_MAX) bytes.
        place: &'a str,
    },
    /// Send what is kept for this ticket, to another node; the answer is `Carry` of segment 0,
    /// or `Fault`.
    Get {
        /// What `Kept` told.
        ticket: Ticket,
    },
}

impl<'a> ToExecutor<'a> {
    /// Appends this message to `out` as one frame.
    ///
    /// # Errors
    /// [`EncodeError`] if the message breaks a rule; `out` is then as it was.
    #[inline]
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        codec::encode(self, out)
    }

    /// Reads the message in the body of a frame.
    ///
    /// # Errors
    /// [`DecodeError`] if `body` is not exactly one message, if it breaks a rule, or
    /// if it is a `Hello` of something else or of another major version.
    #[inline]
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        codec::decode(body)
    }

    /// What this kind of message is called, for logs and errors.
    pub fn name(&self) -> &'static str {
        Message::name(self)
    }
}

impl<'a> Message<'a> for ToExecutor<'a> {
    const SENDER: &'static str = "parent";
    const NAMES: &'static [&'static str] = &[
        "Hello",
        "Configure",
        "Function",
        "Job",
        "More",
        "Recall",
        "Forget",
        "Ping",
        "Shutdown",
        "Segment",
        "Carry",
        "Use",
        "Grant",
        "Refuse",
        "Drop",
        "Introduce",
        "Cancel",
        "Terms",
        "Need",
        "Share",
        "Keep",
        "Fetch",
        "Discard",
        "UseKept",
        "Borrow",
        "Get",
    ];

    #[inline]
    fn number(&self) -> usize {
        match self {
            Self::Hello { .. } => 0,
            Self::Configure { .. } => 1,
            Self::Function { .. } => 2,
            Self::Job { .. } => 3,
            Self::More { .. } => 4,
            Self::Recall { .. } => 5,
            Self::Forget { .. } => 6,
            Self::Ping { .. } => 7,
            Self::Shutdown => 8,
            Self::Segment { .. } => 9,
            Self::Carry { .. } => 10,
            Self::Use { .. } => 11,
            Self::Grant { .. } => 12,
            Self::Refuse { .. } => 13,
            Self::Drop { .. } => 14,
            Self::Introduce { .. } => 15,
            Self::Cancel { .. } => 16,
            Self::Terms { .. } => 17,
            Self::Need { .. } => 18,
            Self::Share { .. } => 19,
            Self::Keep { .. } => 20,
            Self::Fetch { .. } => 21,
            Self::Discard { .. } => 22,
            Self::UseKept { .. } => 23,
            Self::Borrow { .. } => 24,
            Self::Get { .. } => 25,
        }
    }

    #[inline]
    fn bulk(&self) -> usize {
        match self {
            Self::Configure { settings } => settings.head().len(),
            Self::Function { body, .. } | Self::Carry { body, .. } => body.head().len(),
            Self::Job { args, .. } => args.head().len(),
            Self::More { bytes, .. } => bytes.len(),
            Self::Introduce { route, name, .. } => route.len() + name.len(),
            Self::Need { resource, .. } => resource.len(),
            Self::Share { devices, .. } => devices.map_or(0, str::len),
            Self::Borrow { place, .. } => place.len(),
            _ => 0,
        }
    }

    #[inline]
    fn check(&self) -> Result<(), Violation> {
        match self {
            Self::Configure { settings } => settings.check(),
            Self::Function { body, .. } | Self::Carry { body, .. } => body.check(),
            Self::Job { args, .. } => args.check(),
            Self::More { stream, bytes } => check_more(*stream, bytes),
            Self::Introduce { route, name, .. } => {
                check_route(route)?;
                check_name(name)
            }
            Self::Need { resource, .. } => check_name(resource),
            Self::Share { devices, .. } => check_name(devices.unwrap_or_default()),
            Self::Borrow { place, .. } => check_name(place),
            _ => Ok(()),
        }
    }
}
