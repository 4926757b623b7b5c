//! The messages, in the order of their numbers.
//!
//! The order of variants and fields is the wire format. New messages go to the end
//! and raise the minor version; anything else is another major version.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Message};
use crate::error::{DecodeError, EncodeError, Violation};
use crate::limits::{CHUNK_MAX, FAULT_MAX};
use crate::payload::Payload;
use crate::version::Version;

/// BLAKE3 of a serialized function: equal functions have equal names everywhere.
pub type Digest = [u8; 32];

/// Which payload a `More` goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// The settings of `Configure`.
    Configure,
    /// The body of the function with this alias.
    Function(u64),
    /// The arguments of this job, or its result, by the direction that it travels in.
    Job(u64),
    /// The content of this segment, where it cannot be shared. Since 1.1.
    Segment(u64),
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configure => f.write_str("the settings"),
            Self::Function(function) => write!(f, "function {function}"),
            Self::Job(job) => write!(f, "job {job}"),
            Self::Segment(segment) => write!(f, "segment {segment}"),
        }
    }
}

/// How a job ended, and so what the first part of its result's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It returned; the body is its serialized value.
    Value,
    /// It raised; the body describes the exception.
    Raised,
    /// It returned what cannot be serialized; the body describes why.
    Unserializable,
    /// It did not start, because its function or arguments could not be loaded; the
    /// body describes the exception.
    Unloadable,
}

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
        /// At least one byte, at most [`CHUNK_MAX`].
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
    /// fixed length that may be mapped. Since 1.1, as all that follow.
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
}

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
        /// How many bytes at the body's end are what the job printed, in UTF-8.
        output_len: u64,
        /// The result as `status` says, then the output.
        body: Payload<'a>,
    },
    /// The next bytes of a payload.
    More {
        /// Which payload.
        stream: Stream,
        /// At least one byte, at most [`CHUNK_MAX`].
        #[serde(borrow, with = "codec::byte_string")]
        bytes: &'a [u8],
    },
    /// The answer to `Recall`.
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
    /// A segment is wanted for a result; the answer is `Grant` or `Refuse`. Since 1.1,
    /// as all that follow.
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
        }
    }

    #[inline]
    fn bulk(&self) -> usize {
        match self {
            Self::Configure { settings } => settings.head().len(),
            Self::Function { body, .. } | Self::Carry { body, .. } => body.head().len(),
            Self::Job { args, .. } => args.head().len(),
            Self::More { bytes, .. } => bytes.len(),
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
            _ => Ok(()),
        }
    }
}

impl<'a> Message<'a> for FromExecutor<'a> {
    const SENDER: &'static str = "executor";
    const NAMES: &'static [&'static str] = &[
        "Hello", "Ready", "Credit", "Result", "More", "Recalled", "Pong", "Fault", "Want", "Place",
        "Release",
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
        }
    }

    #[inline]
    fn bulk(&self) -> usize {
        match self {
            Self::Result { body, .. } => body.head().len(),
            Self::More { bytes, .. } => bytes.len(),
            Self::Fault { text } => text.len(),
            _ => 0,
        }
    }

    #[inline]
    fn check(&self) -> Result<(), Violation> {
        match *self {
            Self::Result {
                output_len, body, ..
            } => check_result(output_len, &body),
            Self::More { stream, bytes } => check_more(stream, bytes),
            Self::Fault { text } if text.len() > FAULT_MAX => {
                Err(Violation::FaultTooLong { len: text.len() })
            }
            _ => Ok(()),
        }
    }
}

fn check_result(output_len: u64, body: &Payload<'_>) -> Result<(), Violation> {
    let size = body.size();
    if output_len > size {
        return Err(Violation::OutputBeyondBody { output_len, size });
    }
    body.check()
}

fn check_more(stream: Stream, bytes: &[u8]) -> Result<(), Violation> {
    match bytes.len() {
        0 => Err(Violation::EmptyMore { stream }),
        1..=CHUNK_MAX => Ok(()),
        len => Err(Violation::ChunkTooLong { stream, len }),
    }
}
