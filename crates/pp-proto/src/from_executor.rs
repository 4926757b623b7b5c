//! What an executor says, in the order of the messages' numbers.
//!
//! The order of variants and fields is the wire format. New messages go to the end
//! and raise the minor version; anything else is another major version.

use serde::{Deserialize, Serialize};

use crate::codec::{self, Message};
use crate::error::{DecodeError, EncodeError, Violation};
use crate::limits::FAULT_MAX;
use crate::message::{NodeId, Status, Stream, Ticket, check_more, check_name};
use crate::payload::Payload;
use crate::version::Version;

/// What an executor says to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromExecutor<'a> {
    /// The first message.
    Hello {
        /// [`MAGIC`](crate::MAGIC).
        magic: [u8; 4],
        /// The version that the executor speaks.
        version: Version,
        /// As in the parent's `Hello`.
        features: u64,
        /// Its process on its machine.
        pid: u32,
        /// Major, minor and micro version of its Python.
        python: (u8, u8, u8),
    },
    /// Configured; jobs may come.
    Ready {
        /// How many jobs it will hold that have not ended, running ones included.
        credit: u32,
    },
    /// Holds another number of jobs from now on.
    Credit {
        /// As in `Ready`; replaces what was granted before.
        credit: u32,
    },
    /// A job ended.
    Result {
        /// Which one.
        job: u64,
        /// How.
        status: Status,
        /// How long it ran, in nanoseconds.
        run_ns: u64,
        /// The process that ran it; 0 if that is the executor itself.
        worker: u32,
        /// How often it was begun; 0 if that was once.
        attempts: u32,
        /// How many bytes at the body's end are what the job printed, in UTF-8.
        output_len: u64,
        /// How many of these, the last ones, went to standard error.
        errors_len: u64,
        /// The result as `status` says, then the output.
        body: Payload<'a>,
    },
    /// The next bytes of a payload.
    More {
        /// Which payload.
        stream: Stream,
        /// At least one byte, at most [`CHUNK_MAX`](crate::limits::CHUNK_MAX).
        #[serde(borrow, with = "codec::byte_string")]
        bytes: &'a [u8],
    },
    /// The answer to `Recall`. Or a job is given back that was not asked for, since others have
    /// what it needs; it is not to be sent again before `Supply` comes for some of that, or
    /// another job has ended that needed some.
    Recalled {
        /// Which job.
        job: u64,
        /// Whether it was given back. If not, its result comes or has come.
        recalled: bool,
    },
    /// The answer to `Ping`.
    Pong {
        /// What `Ping` said.
        nonce: u64,
    },
    /// The executor cannot go on; its last message.
    Fault {
        /// Why, for the reader of a log; at most [`FAULT_MAX`] bytes.
        text: &'a str,
    },
    /// A segment is wanted for a result; the answer is `Grant` or `Refuse`.
    Want {
        /// Whose result.
        job: u64,
        /// How many bytes.
        len: u64,
    },
    /// The result of this job, which comes next, lies in a segment, or part of it does.
    /// Sent once for each; the result refers to them by their order.
    Place {
        /// Whose result.
        job: u64,
        /// A segment that was granted for it, or that this executor still uses.
        segment: u64,
    },
    /// A segment is not looked at any more by jobs that it was sent for.
    Release {
        /// Which one.
        segment: u64,
        /// How many of its uses and grants have ended.
        uses: u64,
        /// Whether nobody else can look at it: this process had no child meanwhile.
        reusable: bool,
    },
    /// Who the node is; right behind its `Hello`.
    Introduce {
        /// A number that this run of the node has chosen by chance.
        node: NodeId,
        /// What it is called, for the readers of logs; at most
        /// [`NAME_MAX`](crate::limits::NAME_MAX) bytes.
        name: &'a str,
    },
    /// What the node does for this parent from now on. The first one comes instead of
    /// `Ready`; each replaces the one before.
    Capacity {
        /// How many jobs it runs at a time.
        slots: u32,
        /// How many jobs it will hold that have not ended, running ones included.
        credit: u32,
        /// How many it runs at a time for all its parents together.
        most: u32,
    },
    /// The content of a segment that results lie in.
    Carry {
        /// What it is called, among those of this direction.
        segment: u64,
        /// What is in it.
        body: Payload<'a>,
    },
    /// The node will go. It is to get no more jobs, and is to be asked for those that it
    /// has not begun.
    Leaving,
    /// The job, which is given back next, was charged here.
    Charge {
        /// Which one.
        job: u64,
        /// How many workers died while running it.
        deaths: u32,
        /// How many nodes were lost while holding it.
        losses: u32,
    },
    /// The node has this much of a resource, for all jobs together. Sent once for each, before
    /// the first `Capacity`; each replaces the one of the same resource before.
    Supply {
        /// What the resource is called; at most [`NAME_MAX`](crate::limits::NAME_MAX) bytes.
        resource: &'a str,
        /// How much: bytes of memory, or thousandths of anything else.
        amount: u64,
    },
    /// A segment that results lie in stays here until `Discard`. Comes instead of `Carry`.
    Kept {
        /// What it is called, among those of this direction.
        segment: u64,
        /// How many bytes it has.
        size: u64,
        /// What it is given to other nodes for.
        ticket: Ticket,
    },
    /// A segment that was to be got from another node cannot be got, so this job is given back.
    Lacks {
        /// Which job.
        job: u64,
        /// A segment that it uses.
        segment: u64,
    },
}

impl<'a> FromExecutor<'a> {
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

    /// A `Fault` with as much of `text` as may be sent: its end, because a traceback
    /// says there what happened.
    pub fn fault(text: &'a str) -> Self {
        let mut start = text.len().saturating_sub(FAULT_MAX);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let text = text.get(start..).unwrap_or_default();
        Self::Fault { text }
    }

    /// What this kind of message is called, for logs and errors.
    pub fn name(&self) -> &'static str {
        Message::name(self)
    }
}

impl<'a> Message<'a> for FromExecutor<'a> {
    const SENDER: &'static str = "executor";
    const NAMES: &'static [&'static str] = &[
        "Hello",
        "Ready",
        "Credit",
        "Result",
        "More",
        "Recalled",
        "Pong",
        "Fault",
        "Want",
        "Place",
        "Release",
        "Introduce",
        "Capacity",
        "Carry",
        "Leaving",
        "Charge",
        "Supply",
        "Kept",
        "Lacks",
    ];

    #[inline]
    fn number(&self) -> usize {
        match self {
            Self::Hello { .. } => 0,
            Self::Ready { .. } => 1,
            Self::Credit { .. } => 2,
            Self::Result { .. } => 3,
            Self::More { .. } => 4,
            Self::Recalled { .. } => 5,
            Self::Pong { .. } => 6,
            Self::Fault { .. } => 7,
            Self::Want { .. } => 8,
            Self::Place { .. } => 9,
            Self::Release { .. } => 10,
            Self::Introduce { .. } => 11,
            Self::Capacity { .. } => 12,
            Self::Carry { .. } => 13,
            Self::Leaving => 14,
            Self::Charge { .. } => 15,
            Self::Supply { .. } => 16,
            Self::Kept { .. } => 17,
            Self::Lacks { .. } => 18,
        }
    }

    #[inline]
    fn bulk(&self) -> usize {
        match self {
            Self::Result { body, .. } | Self::Carry { body, .. } => body.head().len(),
            Self::More { bytes, .. } => bytes.len(),
            Self::Fault { text } => text.len(),
            Self::Introduce { name, .. } => name.len(),
            Self::Supply { resource, .. } => resource.len(),
            _ => 0,
        }
    }

    #[inline]
    fn check(&self) -> Result<(), Violation> {
        match *self {
            Self::Result {
                output_len,
                errors_len,
                body,
                ..
            } => check_result(output_len, errors_len, &body),
            Self::More { stream, bytes } => check_more(stream, bytes),
            Self::Fault { text } if text.len() > FAULT_MAX => {
                Err(Violation::FaultTooLong { len: text.len() })
            }
            Self::Introduce { name, .. } => check_name(name),
            Self::Supply { resource, .. } => check_name(resource),
            Self::Carry { body, .. } => body.check(),
            _ => Ok(()),
        }
    }
}

fn check_result(output_len: u64, errors_len: u64, body: &Payload<'_>) -> Result<(), Violation> {
    let size = body.size();
    if output_len > size {
        return Err(Violation::OutputBeyondBody { output_len, size });
    }
    if errors_len > output_len {
        return Err(Violation::OutputBeyondBody {
            output_len: errors_len,
            size: output_len,
        });
    }
    body.check()
}
