//! A connection that no forked child of this process keeps open: whoever is at the other
//! end learns at once when this process ends.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::fork::Unshared;

/// A connection, from the moment when it is begun.
pub(crate) type Socket = Unshared<TcpStream>;

impl Socket {
    /// Connects.
    ///
    /// # Errors
    /// Nobody is there, or nothing leads there.
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let begun = Unshared::make(|| mio::net::TcpStream::connect(address))?;
        let socket = begun.convert(|stream| TcpStream::from_std(stream.into()))?;
        // It can be written to once it is connected, or cannot be.
        socket.writable().await?;
        match socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(socket),
        }
    }

    /// The same connection, without the async runtime.
    pub(crate) fn into_std(self) -> io::Result<Unshared<std::net::TcpStream>> {
        self.convert(TcpStream::into_std)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        (**self).is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn it_connects_or_says_why_not() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let address = listener.local_addr().unwrap();
        let (socket, accepted) = tokio::join!(Socket::connect(address), listener.accept());
        let (socket, (_, peer)) = (socket.unwrap(), accepted.unwrap());
        assert_eq!(socket.local_addr().unwrap(), peer);
        drop(listener);
        let refused = Socket::connect(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
