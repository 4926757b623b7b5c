//! Messages that make sense, so that what is behind the decoders is reached; and such as do
//! not.

use arbitrary::Arbitrary;
use pp_proto::{FromExecutor, Payload, Status, Stream, ToExecutor};

/// Few, so that messages are about the same things.
type Number = u8;

/// What a payload claims to be.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Size {
    /// All of it has come.
    Whole,
    /// So many bytes are missing.
    Missing(u16),
    /// Whatever.
    Any(u64),
}

impl Size {
    fn of(self, head: &[u8]) -> Payload<'_> {
        let size = match self {
            Self::Whole => head.len() as u64,
            Self::Missing(missing) => head.len() as u64 + u64::from(missing),
            Self::Any(size) => size.max(head.len() as u64),
        };
        // A head that is too long is left out.
        Payload::new(size, head).unwrap_or_default()
    }
}

/// Which payload.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum What {
    Configure,
    Function(Number),
    Job(Number),
    Segment(Number),
}

impl From<What> for Stream {
    fn from(what: What) -> Self {
        match what {
            What::Configure => Self::Configure,
            What::Function(number) => Self::Function(number.into()),
            What::Job(number) => Self::Job(number.into()),
            What::Segment(number) => Self::Segment(number.into()),
        }
    }
}

/// What a parent may say.
#[derive(Debug, Arbitrary)]
pub enum ByParent<'a> {
    Function(Number, Size, &'a [u8]),
    Job(Number, Number, Size, &'a [u8]),
    More(What, &'a [u8]),
    /// Many bytes, which cost the fuzzer nothing.
    MuchMore(What, u16),
    Carry(Number, Size, &'a [u8]),
    Use(Number, Number),
    Drop(Number),
    Forget(Number),
    Recall(Number),
    Cancel(Number),
    Terms(Number, u64, u32, i32),
    Need(Number, &'a str, u64),
    Share(Number, u32, u64, Option<&'a str>),
    Ping(u64),
    Shutdown,
    Raw(&'a [u8]),
}

impl ByParent<'_> {
    /// Appends it as it goes over a link. What cannot be said is left out.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let (start, much) = (out.len(), vec![7; usize::from(u16::MAX)]);
        let message = match *self {
            Self::Function(function, size, body) => ToExecutor::Function {
                function: function.into(),
                digest: [0; 32],
                body: size.of(body),
            },
            Self::Job(job, function, size, args) => ToExecutor::Job {
                job: job.into(),
                ticket: 0,
                function: function.into(),
                args: size.of(args),
            },
            Self::More(what, bytes) => ToExecutor::More {
                stream: what.into(),
                bytes,
            },
            Self::MuchMore(what, len) => ToExecutor::More {
                stream: what.into(),
                bytes: &much[..usize::from(len)],
            },
            Self::Carry(segment, size, body) => ToExecutor::Carry {
                segment: segment.into(),
                body: size.of(body),
            },
            Self::Use(job, segment) => ToExecutor::Use {
                job: job.into(),
                segment: segment.into(),
            },
            Self::Drop(segment) => ToExecutor::Drop {
                segment: segment.into(),
            },
            Self::Forget(function) => ToExecutor::Forget {
                function: function.into(),
            },
            Self::Recall(job) => ToExecutor::Recall { job: job.into() },
            Self::Cancel(job) => ToExecutor::Cancel { job: job.into() },
            Self::Terms(job, time_limit_ns, slots, priority) => ToExecutor::Terms {
                job: job.into(),
                time_limit_ns,
                slots,
                priority,
            },
            Self::Need(job, resource, amount) => ToExecutor::Need {
                job: job.into(),
                resource,
                amount,
            },
            Self::Share(job, cpus, memory, devices) => ToExecutor::Share {
                job: job.into(),
                cpus,
                memory,
                devices,
            },
            Self::Ping(nonce) => ToExecutor::Ping { nonce },
            Self::Shutdown => ToExecutor::Shutdown,
            Self::Raw(bytes) => return out.extend_from_slice(bytes),
        };
        if message.encode(out).is_err() {
            out.truncate(start);
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum How {
    Value,
    Raised,
    Unloadable,
    Failed,
}

impl From<How> for Status {
    fn from(how: How) -> Self {
        match how {
            How::Value => Self::Value,
            How::Raised => Self::Raised,
            How::Unloadable => Self::Unloadable,
            How::Failed => Self::Failed,
        }
    }
}

/// What a node may say.
#[derive(Debug, Arbitrary)]
pub enum ByNode<'a> {
    Capacity(u32, u32, u32),
    Result(Number, How, u64, u8, Size, &'a [u8]),
    More(What, &'a [u8]),
    MuchMore(What, u16),
    Recalled(Number, bool),
    Charge(Number, u32, u32),
    Carry(Number, Size, &'a [u8]),
    Place(Number, Number),
    Pong(u64),
    Leaving,
    Fault(&'a str),
    Raw(&'a [u8]),
}

impl ByNode<'_> {
    /// Appends it as it goes over a link. What cannot be said is left out.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let (start, much) = (out.len(), vec![7; usize::from(u16::MAX)]);
        let message = match *self {
            Self::Capacity(slots, credit, most) => FromExecutor::Capacity {
                slots,
                credit,
                most,
            },
            Self::Result(job, how, run_ns, output_len, size, body) => FromExecutor::Result {
                job: job.into(),
                status: how.into(),
                run_ns,
                worker: run_ns as u32,
                attempts: job.into(),
                output_len: output_len.into(),
                errors_len: u64::from(output_len) / 2,
                body: size.of(body),
            },
            Self::More(what, bytes) => FromExecutor::More {
                stream: what.into(),
                bytes,
            },
            Self::MuchMore(what, len) => FromExecutor::More {
                stream: what.into(),
                bytes: &much[..usize::from(len)],
            },
            Self::Recalled(job, recalled) => FromExecutor::Recalled {
                job: job.into(),
                recalled,
            },
            Self::Charge(job, deaths, losses) => FromExecutor::Charge {
                job: job.into(),
                deaths,
                losses,
            },
            Self::Carry(segment, size, body) => FromExecutor::Carry {
                segment: segment.into(),
                body: size.of(body),
            },
            Self::Place(job, segment) => FromExecutor::Place {
                job: job.into(),
                segment: segment.into(),
            },
            Self::Pong(nonce) => FromExecutor::Pong { nonce },
            Self::Leaving => FromExecutor::Leaving,
            Self::Fault(text) => FromExecutor::Fault { text },
            Self::Raw(bytes) => return out.extend_from_slice(bytes),
        };
        if message.encode(out).is_err() {
            out.truncate(start);
        }
    }
}
