//! Giving other nodes what they come to get.

use pp_proto::{FromExecutor, Payload, ProtocolError, Stream, Tail, ToExecutor, limits};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::data::Limits;
use crate::exports::Exports;
use crate::net::{Lapse, read_frame, write_frames};

/// What a node that comes to get something is told if that is not here.
const GONE: &str = "this node does not have it, or has it no more";

/// Gives what is wanted, one thing after the other, until nothing more is: what is in
/// `exports` to who knows the ticket. Nothing else is answered.
///
/// # Errors
/// [`Lapse`]. Also the usual end is one: the other side goes when it has what it wants.
pub(super) async fn give(
    mut to: impl AsyncRead + AsyncWrite + Unpin,
    exports: &Exports,
    limits: Limits,
) -> Result<(), Lapse> {
    let mut buffer = Vec::new();
    loop {
        read_frame(&mut to, &mut buffer, limits::HANDSHAKE_MAX, limits.silence).await?;
        let part = match ToExecutor::decode(&buffer) {
            Ok(ToExecutor::Get { ticket }) => exports.get(&ticket),
            Ok(other) => {
                let text = format!("{} was said where Get should be", other.name());
                return refuse(&mut to, &text, limits).await;
            }
            Err(error) => {
                refuse(&mut to, &error.to_string(), limits).await?;
                return Err(ProtocolError::from(error).into());
            }
        };
        let Some(part) = part else {
            return refuse(&mut to, GONE, limits).await;
        };
        match part.content() {
            Ok(content) => send(&mut to, &content, &mut buffer, limits).await?,
            Err(error) => {
                let text = format!("it cannot be read: {error}");
                return refuse(&mut to, &text, limits).await;
            }
        }
    }
}

/// Sends all of `content`, of which no more than a piece is copied at a time.
async fn send(
    to: &mut (impl AsyncWrite + Unpin),
    content: &[u8],
    buffer: &mut Vec<u8>,
    limits: Limits,
) -> Result<(), Lapse> {
    let body = Payload::of(content);
    buffer.clear();
    let carry = FromExecutor::Carry { segment: 0, body };
    carry.encode(buffer).map_err(ProtocolError::from)?;
    let mut tail = Tail::new(Stream::Segment(0), content, body.head().len());
    loop {
        write_frames(to, buffer, limits.stall).await?;
        buffer.clear();
        if tail.encode(limits::FRAME_MAX, buffer) == 0 {
            return Ok(());
        }
        // Others get their turn.
        yield_now().await;
    }
}

/// Says why something is not given, which are the last words.
async fn refuse(
    to: &mut (impl AsyncWrite + Unpin),
    text: &str,
    limits: Limits,
) -> Result<(), Lapse> {
    let mut frame = Vec::new();
    let fault = FromExecutor::fault(text);
    fault.encode(&mut frame).map_err(ProtocolError::from)?;
    write_frames(to, &frame, limits.stall).await?;
    let ended = timeout(limits.stall, to.shutdown()).await;
    Ok(ended.map_err(|_| Lapse::Silent(limits.stall))??)
}
