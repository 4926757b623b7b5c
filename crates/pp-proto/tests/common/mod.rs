//! Messages of every kind, made from plain values.

#![allow(dead_code, reason = "each test file uses a part")]

use pp_proto::limits::{CHUNK_MAX, FAULT_MAX, INLINE_MAX, NAME_MAX, ROUTE_MAX};
use pp_proto::{FromExecutor, Payload, Status, Stream, ToExecutor, Version};
use proptest::prelude::*;

/// Kinds of messages to an executor, and from one.
pub(crate) const TO_KINDS: usize = 26;
pub(crate) const FROM_KINDS: usize = 19;

/// Values that any message can be made of.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) kind: usize,
    pub(crate) numbers: [u64; 4],
    pub(crate) small: (u16, u8, u32, bool),
    pub(crate) bytes: Vec<u8>,
    pub(crate) text: String,
}

impl Draft {
    pub(crate) fn message_to(&self) -> ToExecutor<'_> {
        let [first, second, third, _] = self.numbers;
        match self.kind % TO_KINDS {
            0 => ToExecutor::Hello {
                magic: pp_proto::MAGIC,
                version: self.version(),
                features: first,
            },
            1 => ToExecutor::Configure {
                settings: self.payload(),
            },
            2 => ToExecutor::Function {
                function: first,
                digest: [self.small.1; 32],
                body: self.payload(),
            },
            3 => ToExecutor::Job {
                job: first,
                ticket: second,
                function: third,
                args: self.payload(),
            },
            4 => ToExecutor::More {
                stream: self.stream(),
                bytes: self.chunk(),
            },
            5 => ToExecutor::Recall { job: first },
            6 => ToExecutor::Forget { function: first },
            7 => ToExecutor::Ping { nonce: first },
            8 => ToExecutor::Shutdown,
            9 => ToExecutor::Segment {
                segment: first,
                len: second,
                inode: third,
            },
            10 => ToExecutor::Carry {
                segment: first,
                body: self.payload(),
            },
            11 => ToExecutor::Use {
                job: first,
                segment: second,
            },
            12 => ToExecutor::Grant {
                job: first,
                segment: second,
                warm: third,
            },
            13 => ToExecutor::Refuse { job: first },
            14 => ToExecutor::Drop { segment: first },
            15 => ToExecutor::Introduce {
                python: (3, self.small.1, 0),
                patience_ms: self.small.2,
                route: self.route(),
                name: self.name(),
            },
            16 => ToExecutor::Cancel { job: first },
            17 => ToExecutor::Terms {
                job: first,
                time_limit_ns: self.numbers[1],
                slots: self.small.2,
                priority: self.small.2.cast_signed(),
            },
            18 => ToExecutor::Need {
                job: first,
                resource: self.name(),
                amount: self.numbers[1],
            },
            19 => ToExecutor::Share {
                job: first,
                cpus: self.small.2,
                memory: self.numbers[1],
                devices: self.small.3.then(|| self.name()),
            },
            20 => ToExecutor::Keep { job: first },
            21 => ToExecutor::Fetch { segment: first },
            22 => ToExecutor::Discard { segment: first },
            23 => ToExecutor::UseKept {
                job: first,
                segment: second,
            },
            24 => ToExecutor::Borrow {
                segment: first,
                size: second,
                ticket: [self.small.1; 16],
                place: self.name(),
            },
            _ => ToExecutor::Get {
                ticket: [self.small.1; 16],
            },
        }
    }

    pub(crate) fn message_from(&self) -> FromExecutor<'_> {
        let [job, run_ns, ..] = self.numbers;
        let (_, byte, credit, recalled) = self.small;
        match self.kind % FROM_KINDS {
            0 => FromExecutor::Hello {
                magic: pp_proto::MAGIC,
                version: self.version(),
                features: job,
                pid: credit,
                python: (3, byte, byte / 2),
            },
            1 => FromExecutor::Ready { credit },
            2 => FromExecutor::Credit { credit },
            3 => FromExecutor::Result {
                job,
                status: self.status(),
                run_ns,
                worker: credit,
                attempts: credit / 2,
                output_len: self.payload().size() / 3,
                errors_len: self.payload().size() / 9,
                body: self.payload(),
            },
            4 => FromExecutor::More {
                stream: self.stream(),
                bytes: self.chunk(),
            },
            5 => FromExecutor::Recalled { job, recalled },
            6 => FromExecutor::Pong { nonce: job },
            7 => FromExecutor::fault(&self.text),
            8 => FromExecutor::Want { job, len: run_ns },
            9 => FromExecutor::Place {
                job,
                segment: run_ns,
            },
            10 => FromExecutor::Release {
                segment: job,
                uses: run_ns,
                reusable: recalled,
            },
            11 => FromExecutor::Introduce {
                node: [byte; 16],
                name: self.name(),
            },
            12 => FromExecutor::Capacity {
                slots: credit,
                credit: u32::from(byte),
                most: credit.wrapping_add(1),
            },
            13 => FromExecutor::Carry {
                segment: job,
                body: self.payload(),
            },
            14 => FromExecutor::Leaving,
            15 => FromExecutor::Charge {
                job,
                deaths: credit,
                losses: u32::from(byte),
            },
            16 => FromExecutor::Supply {
                resource: self.name(),
                amount: job,
            },
            17 => FromExecutor::Kept {
                segment: job,
                size: run_ns,
                ticket: [byte; 16],
            },
            _ => FromExecutor::Lacks {
                job,
                segment: run_ns,
            },
        }
    }

    fn route(&self) -> &[u8] {
        let len = self.bytes.len().min(ROUTE_MAX) / 16 * 16;
        &self.bytes[..len]
    }

    fn name(&self) -> &str {
        let mut len = self.text.len().min(NAME_MAX);
        while !self.text.is_char_boundary(len) {
            len -= 1;
        }
        &self.text[..len]
    }

    fn version(&self) -> Version {
        Version {
            major: pp_proto::CURRENT.major,
            minor: self.small.0,
        }
    }

    /// All of the bytes, or the beginning of more.
    fn payload(&self) -> Payload<'_> {
        let all = Payload::of(&self.bytes);
        let size = all.size()
            + if self.small.3 {
                self.numbers[3] >> 1
            } else {
                0
            };
        Payload::new(size, all.head()).unwrap()
    }

    fn chunk(&self) -> &[u8] {
        match self.bytes.get(..CHUNK_MAX).unwrap_or(&self.bytes) {
            [] => b"x",
            bytes => bytes,
        }
    }

    fn stream(&self) -> Stream {
        match self.small.1 % 4 {
            0 => Stream::Configure,
            1 => Stream::Function(self.numbers[0]),
            2 => Stream::Job(self.numbers[0]),
            _ => Stream::Segment(self.numbers[0]),
        }
    }

    fn status(&self) -> Status {
        match self.small.1 % 5 {
            0 => Status::Value,
            1 => Status::Raised,
            2 => Status::Unserializable,
            3 => Status::Unloadable,
            _ => Status::Failed,
        }
    }
}

/// Any message, mostly small, at times as large as its kind may be.
pub(crate) fn draft() -> impl Strategy<Value = Draft> {
    let sizes = prop_oneof![
        12 => 0..200_usize,
        2 => INLINE_MAX - 2..INLINE_MAX + 2,
        1 => CHUNK_MAX - 2..CHUNK_MAX + 2,
    ];
    let bytes = (sizes, any::<u8>()).prop_map(|(size, first)| {
        (0..size)
            .map(|at| first.wrapping_add(u8::try_from(at % 251).unwrap()))
            .collect()
    });
    let text = prop_oneof![4 => ".{0,80}", 1 => Just("ü".repeat(FAULT_MAX))];
    (
        0..TO_KINDS * FROM_KINDS,
        any::<[u64; 4]>(),
        any::<(u16, u8, u32, bool)>(),
        bytes,
        text,
    )
        .prop_map(|(kind, numbers, small, bytes, text)| Draft {
            kind,
            numbers,
            small,
            bytes,
            text,
        })
}

/// The same frames, cut anywhere.
pub(crate) fn fragments<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    ends.extend([0, stream.len()]);
    ends.sort_unstable();
    ends.windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}
