//! A stream of bytes as a link reads it, from the greeting on, in both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pp_proto::limits::{FRAME_MAX, HANDSHAKE_MAX};
use pp_proto::{
    Assembler, AssemblerLimits, FrameDecoder, FromExecutor, Payload, ProtocolError, Stream,
    ToExecutor,
};

const LIMITS: AssemblerLimits = AssemblerLimits {
    payload: 1 << 40,
    streams: 64,
};

fuzz_target!(|stream: &[u8]| {
    let _ = read(stream, as_executor);
    let _ = read(stream, as_parent);
});

type Take = fn(&[u8], &mut Assembler) -> Result<bool, ProtocolError>;

fn read(stream: &[u8], take: Take) -> Result<(), ProtocolError> {
    let mut decoder = FrameDecoder::new(HANDSHAKE_MAX);
    let mut assembler = Assembler::new(LIMITS);
    for mut piece in stream.chunks(1000) {
        while let Some(body) = decoder.next(&mut piece)? {
            if take(body, &mut assembler)? {
                decoder.set_max(FRAME_MAX);
            }
            assert!(assembler.buffered() <= stream.len());
        }
    }
    Ok(decoder.finish()?)
}

/// Takes a message from the parent and says whether it was the greeting.
fn as_executor(body: &[u8], assembler: &mut Assembler) -> Result<bool, ProtocolError> {
    match ToExecutor::decode(body)? {
        ToExecutor::Hello { .. } => return Ok(true),
        ToExecutor::Configure { settings } => begin(assembler, Stream::Configure, settings)?,
        ToExecutor::Function { function, body, .. } => {
            begin(assembler, Stream::Function(function), body)?;
        }
        ToExecutor::Job { job, args, .. } => begin(assembler, Stream::Job(job), args)?,
        ToExecutor::More { stream, bytes } => drop(assembler.more(stream, bytes)?),
        ToExecutor::Recall { job } => drop(assembler.discard(Stream::Job(job))),
        ToExecutor::Forget { function } => drop(assembler.discard(Stream::Function(function))),
        ToExecutor::Carry { segment, body } => begin(assembler, Stream::Segment(segment), body)?,
        ToExecutor::Drop { segment } => drop(assembler.discard(Stream::Segment(segment))),
        _ => {}
    }
    Ok(false)
}

/// Takes a message from the executor and says whether it was the greeting.
fn as_parent(body: &[u8], assembler: &mut Assembler) -> Result<bool, ProtocolError> {
    match FromExecutor::decode(body)? {
        FromExecutor::Hello { .. } => return Ok(true),
        FromExecutor::Result {
            job,
            body,
            output_len,
            errors_len,
            ..
        } => {
            assert!(errors_len <= output_len && output_len <= body.size());
            begin(assembler, Stream::Job(job), body)?;
        }
        FromExecutor::More { stream, bytes } => drop(assembler.more(stream, bytes)?),
        FromExecutor::Recalled { job, .. } => drop(assembler.ignore(Stream::Job(job))),
        FromExecutor::Carry { segment, body } => begin(assembler, Stream::Segment(segment), body)?,
        _ => {}
    }
    Ok(false)
}

fn begin(
    assembler: &mut Assembler,
    stream: Stream,
    payload: Payload<'_>,
) -> Result<(), ProtocolError> {
    if let Some(bytes) = assembler.begin(stream, payload)? {
        assert_eq!(payload.whole(), Some(&bytes[..]));
    }
    Ok(())
}
