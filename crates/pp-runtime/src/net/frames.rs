//! Frames over a connection that is waited for, with a limit on how long nothing may happen.

use std::io;
use std::time::Duration;

use pp_proto::limits::PREFIX_LEN;
use pp_proto::{FrameError, ProtocolError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// Why nothing more is read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lapse {
    /// The connection has ended.
    #[error("the connection broke off: {0}")]
    Ended(#[from] io::Error),
    /// The other side says, or takes, nothing.
    #[error("the other side did nothing for {0:?}")]
    Silent(Duration),
    /// The other side does not speak our protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// Reads the body of the next frame, and not a byte more, into `body`.
///
/// # Errors
/// [`Lapse`], also if nothing comes for `patience`.
pub(crate) async fn read_frame(
    from: &mut (impl AsyncRead + Unpin),
    body: &mut Vec<u8>,
    max: usize,
    patience: Duration,
) -> Result<(), Lapse> {
    let mut prefix = [0; PREFIX_LEN];
    read_exact(from, &mut prefix, patience).await?;
    let len = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
    if len == 0 {
        return Err(ProtocolError::from(FrameError::Empty).into());
    }
    if len > max {
        return Err(ProtocolError::from(FrameError::TooLong { len, max }).into());
    }
    body.resize(len, 0);
    read_exact(from, body, patience).await
}

async fn read_exact(
    from: &mut (impl AsyncRead + Unpin),
    mut into: &mut [u8],
    patience: Duration,
) -> Result<(), Lapse> {
    while !into.is_empty() {
        let read = timeout(patience, from.read(into)).await;
        let len = read.map_err(|_| Lapse::Silent(patience))??;
        if len == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        into = into.get_mut(len..).unwrap_or_default();
    }
    Ok(())
}

/// Writes all of `bytes`.
///
/// # Errors
/// [`Lapse`], also if nothing is taken for `patience`.
pub(crate) async fn write_frames(
    to: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    patience: Duration,
) -> Result<(), Lapse> {
    while !bytes.is_empty() {
        let written = timeout(patience, to.write(bytes)).await;
        let len = written.map_err(|_| Lapse::Silent(patience))??;
        if len == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        bytes = bytes.get(len..).unwrap_or_default();
    }
    let flushed = timeout(patience, to.flush()).await;
    Ok(flushed.map_err(|_| Lapse::Silent(patience))??)
}
