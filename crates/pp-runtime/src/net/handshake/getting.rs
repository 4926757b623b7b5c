//! Nodes that dial others to get something that these have made.

use pp_proto::{CURRENT, FromExecutor, MAGIC, ToExecutor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::{
    HandshakeError, Host, ToClient, ToServer, begin_tls, expect_hello, expect_parents_hello, refuse,
};
use crate::net::identity::Identity;
use crate::net::socket::Socket;

/// What is read from the socket at a time: TLS itself asks for no more than a record.
const GULP: usize = 128 * 1024;

/// A connection to a node that wants to get something.
pub(crate) type Getter = ToClient<Socket>;

/// A connection to a node that something is to be got from.
pub(crate) type Giver = ToServer<BufReader<Socket>>;

/// Meets a node at the other end of `stream`, to get something from it.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn seek(stream: Socket, identity: &Identity) -> Result<Giver, HandshakeError> {
    stream.set_nodelay(true)?;
    let stream = BufReader::with_capacity(GULP, stream);
    let mut tls = begin_tls(stream, identity.get()).await?;
    greet_giver(&mut tls).await?;
    Ok(tls)
}

/// Greets a node that something is to be got from.
async fn greet_giver(
    tls: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), HandshakeError> {
    let mut greeting = Vec::new();
    let hello = ToExecutor::Hello {
        magic: MAGIC,
        version: CURRENT,
        features: 0,
    };
    hello
        .encode(&mut greeting)
        .map_err(pp_proto::ProtocolError::from)?;
    tls.write_all(&greeting).await?;
    tls.flush().await?;
    expect_hello(tls).await.map(drop)
}

/// Greets a node that wants to get something.
pub(in crate::net) async fn greet_getter(
    tls: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &Host,
) -> Result<(), HandshakeError> {
    if let Err(error) = expect_parents_hello(tls).await {
        return Err(refuse(tls, error).await);
    }
    let mut greeting = Vec::new();
    let hello = FromExecutor::Hello {
        magic: MAGIC,
        version: CURRENT,
        features: 0,
        pid: std::process::id(),
        python: host.python,
    };
    hello
        .encode(&mut greeting)
        .map_err(pp_proto::ProtocolError::from)?;
    tls.write_all(&greeting).await?;
    Ok(tls.flush().await?)
}

#[cfg(test)]
mod tests;
