//! The wire format, byte by byte. A change here is a change of the protocol: it needs a
//! new version, not a new snapshot.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fmt::Write;

use common::{Draft, FROM_KINDS, TO_KINDS};
use pp_proto::limits::FRAME_MAX;
use pp_proto::{FromExecutor, MAGIC, Payload, Status, Stream, ToExecutor, Version};

const VERSION: Version = Version { major: 2, minor: 0 };

/// A line for each message: its name, then its frame in hex, prefix first.
fn lines<'a>(frames: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> String {
    let mut text = String::new();
    for (name, frame) in frames {
        write!(text, "{name:<12}").unwrap();
        for (at, byte) in frame.iter().enumerate() {
            let gap = if at == 4 { " " } else { "" };
            write!(text, "{gap}{byte:02x}").unwrap();
        }
        text.push('\n');
    }
    text
}

fn frame_to(message: &ToExecutor<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

fn frame_from(message: &FromExecutor<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

/// All messages to executors.
fn messages_to() -> Vec<ToExecutor<'static>> {
    let mut messages = first_messages_to();
    messages.extend(more_messages_to());
    messages
}

/// Numbers of different length, so that a swap of fields shows.
fn first_messages_to() -> Vec<ToExecutor<'static>> {
    let part = Payload::new(1_000_000, b"abc").unwrap();
    vec![
        ToExecutor::Hello {
            magic: MAGIC,
            version: VERSION,
            features: 0x8001,
        },
        ToExecutor::Configure { settings: part },
        ToExecutor::Function {
            function: 300,
            digest: std::array::from_fn(|at| u8::try_from(at).unwrap()),
            body: Payload::of(b"code"),
        },
        ToExecutor::Job {
            job: 1,
            ticket: 0x3ff,
            function: u64::MAX,
            args: Payload::of(b"args"),
        },
        ToExecutor::More {
            stream: Stream::Configure,
            bytes: b"c",
        },
        ToExecutor::More {
            stream: Stream::Function(300),
            bytes: b"fu",
        },
        ToExecutor::More {
            stream: Stream::Job(1),
            bytes: b"job",
        },
        ToExecutor::Recall { job: 2 },
        ToExecutor::Forget { function: 3 },
        ToExecutor::Ping { nonce: 4 },
        ToExecutor::Shutdown,
        ToExecutor::Segment {
            segment: 5,
            len: 1 << 20,
            inode: 300,
        },
        ToExecutor::Carry {
            segment: 5,
            body: part,
        },
        ToExecutor::More {
            stream: Stream::Segment(5),
            bytes: b"seg",
        },
        ToExecutor::Use { job: 1, segment: 5 },
        ToExecutor::Grant {
            job: 1,
            segment: 300,
            warm: 70_000,
        },
        ToExecutor::Refuse { job: 1 },
        ToExecutor::Drop { segment: 5 },
    ]
}

/// The same, of messages that only nodes get, or that came later.
fn more_messages_to() -> Vec<ToExecutor<'static>> {
    vec![
        ToExecutor::Introduce {
            python: (3, 12, 1),
            patience_ms: 5_000,
            route: &[7; 32],
            name: "laptop",
        },
        ToExecutor::Cancel { job: 300 },
        ToExecutor::Terms {
            job: 301,
            time_limit_ns: 1_500_000_000,
            slots: 2,
            priority: -3,
        },
        ToExecutor::Need {
            job: 301,
            resource: "gpu",
            amount: 1_000,
        },
        ToExecutor::Share {
            job: 301,
            cpus: 2,
            memory: 1 << 30,
            devices: Some("0,1"),
        },
        ToExecutor::Share {
            job: 302,
            cpus: 1,
            memory: 0,
            devices: None,
        },
        ToExecutor::Keep { job: 301 },
        ToExecutor::Fetch { segment: 6 },
        ToExecutor::Discard { segment: 300 },
        ToExecutor::UseKept {
            job: 302,
            segment: 6,
        },
        ToExecutor::Borrow {
            segment: 7,
            size: 1 << 20,
            ticket: [3; 16],
            place: "10.0.0.2:60000",
        },
        ToExecutor::Get { ticket: [3; 16] },
    ]
}

fn messages_from() -> Vec<FromExecutor<'static>> {
    let mut messages = vec![
        FromExecutor::Hello {
            magic: MAGIC,
            version: VERSION,
            features: 0x8001,
            pid: 70_000,
            python: (3, 11, 2),
        },
        FromExecutor::Ready { credit: 1 },
        FromExecutor::Credit { credit: 256 },
    ];
    let statuses = [
        Status::Value,
        Status::Raised,
        Status::Unserializable,
        Status::Unloadable,
        Status::Failed,
        Status::Stopped,
        Status::Retriable,
    ];
    messages.extend(statuses.map(|status| FromExecutor::Result {
        job: 1,
        status,
        run_ns: 1_000_000,
        worker: 4_321,
        attempts: 2,
        output_len: 3,
        errors_len: 1,
        body: Payload::of(b"value, out"),
    }));
    messages.extend([
        FromExecutor::More {
            stream: Stream::Job(1),
            bytes: b"job",
        },
        FromExecutor::Recalled {
            job: 2,
            recalled: true,
        },
        FromExecutor::Pong { nonce: 4 },
        FromExecutor::Fault { text: "why" },
        FromExecutor::Want {
            job: 1,
            len: 70_000,
        },
        FromExecutor::Place { job: 1, segment: 5 },
        FromExecutor::Release {
            segment: 5,
            uses: 2,
            reusable: true,
        },
        FromExecutor::Introduce {
            node: [9; 16],
            name: "node-1",
        },
        FromExecutor::Capacity {
            slots: 8,
            credit: 2_000,
            most: 16,
        },
        FromExecutor::Carry {
            segment: 6,
            body: Payload::new(1_000_000, b"abc").unwrap(),
        },
        FromExecutor::Leaving,
        FromExecutor::Charge {
            job: 2,
            deaths: 1,
            losses: 2,
        },
        FromExecutor::Supply {
            resource: "memory",
            amount: 1 << 34,
        },
        FromExecutor::Kept {
            segment: 6,
            size: 1 << 20,
            ticket: [3; 16],
        },
        FromExecutor::Lacks {
            job: 302,
            segment: 7,
        },
    ]);
    messages
}

#[test]
fn frames_to_an_executor_are_as_they_have_always_been() {
    let messages = messages_to();
    insta::assert_snapshot!(lines(messages.iter().map(|m| (m.name(), frame_to(m)))));
}

#[test]
fn frames_from_an_executor_are_as_they_have_always_been() {
    let messages = messages_from();
    insta::assert_snapshot!(lines(messages.iter().map(|m| (m.name(), frame_from(m)))));
}

#[test]
fn every_kind_of_message_has_a_frame_above() {
    let names =
        |all: Vec<&'static str>| -> std::collections::BTreeSet<_> { all.into_iter().collect() };
    let drafts: Vec<Draft> = (0..TO_KINDS.max(FROM_KINDS)).map(plain).collect();
    assert_eq!(
        names(messages_to().iter().map(ToExecutor::name).collect()),
        names(drafts.iter().map(|d| d.message_to().name()).collect())
    );
    assert_eq!(
        names(messages_from().iter().map(FromExecutor::name).collect()),
        names(drafts.iter().map(|d| d.message_from().name()).collect())
    );
}

#[test]
fn debug_names_agree_with_those_in_errors() {
    for draft in (0..TO_KINDS * FROM_KINDS).map(plain) {
        let (to, from) = (draft.message_to(), draft.message_from());
        assert!(format!("{to:?}").starts_with(to.name()));
        assert!(format!("{from:?}").starts_with(from.name()));
    }
}

#[test]
fn limits_are_part_of_the_format() {
    use pp_proto::limits;
    insta::assert_snapshot!(
        format!(
            "handshake {} frame {FRAME_MAX} chunk {} inline {} fault {}",
            limits::HANDSHAKE_MAX,
            limits::CHUNK_MAX,
            limits::INLINE_MAX,
            limits::FAULT_MAX
        ),
        @"handshake 4096 frame 263168 chunk 262144 inline 65536 fault 4000"
    );
}

fn plain(kind: usize) -> Draft {
    Draft {
        kind,
        numbers: [1, 2, 3, 4],
        small: (0, 1, 2, false),
        bytes: b"abc".to_vec(),
        text: "why".to_owned(),
    }
}
