//! Nodes that dial a gateway, because they cannot be dialed: they offer themselves, and wait
//! to be used.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::{
    Admitted, Caller, HandshakeError, Host, Reached, ToClient, answer, connect_tls, expect_host,
    hear, say_greeting,
};
use crate::net::identity::Identity;
use crate::net::link::Link;
use crate::net::socket::Socket;

/// A node that has dialed and waits to be used.
#[derive(Debug)]
pub(crate) struct Offered {
    tls: ToClient<Socket>,
    pub(crate) host: Host,
}

impl Offered {
    pub(super) fn new(tls: ToClient<Socket>, host: Host) -> Self {
        Self { tls, host }
    }

    /// Whether the node still is at the other end, as far as the system can tell. It says
    /// nothing while it waits, so what comes is its end.
    pub(crate) fn is_alive(&self) -> bool {
        let (stream, _) = self.tls.get_ref();
        let read = stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Meets the node, as its parent.
    ///
    /// # Errors
    /// [`HandshakeError`]: it may have gone long ago.
    pub(crate) async fn reach(
        mut self,
        caller: &Caller,
        settings: &[u8],
    ) -> Result<Reached, HandshakeError> {
        let asked = Instant::now();
        say_greeting(&mut self.tls, caller, settings).await?;
        // It has said who it is when it came; this tells that it still is there.
        expect_host(&mut self.tls).await?;
        let latency = asked.elapsed();
        let (stream, connection) = self.tls.into_inner();
        let link = Link::new(stream.into_std()?, connection.into())?;
        Ok(Reached {
            link,
            host: self.host,
            latency,
        })
    }
}

/// Has the system look now and then whether the other end of a connection still is there,
/// while nobody says anything.
pub(crate) fn keep_alive(stream: &Socket) -> io::Result<()> {
    let often = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(10))
        .with_interval(Duration::from_secs(5));
    socket2::SockRef::from(&**stream).set_tcp_keepalive(&often)
}

/// Offers this node to who is at the other end of `stream`, and waits until it is used. To
/// be given up if `patience` passes before the other side has shaken hands.
///
/// # Errors
/// [`HandshakeError`]. The other side is told why, as far as it is one of ours.
pub(crate) async fn offer(
    stream: Socket,
    identity: &Identity,
    host: &Host,
    check: impl Fn(&Caller) -> Result<(), String>,
    patience: Duration,
) -> Result<Admitted, HandshakeError> {
    let shaking = async {
        let mut tls = connect_tls(stream, identity.offer()).await?;
        let mut greeting = Vec::new();
        answer(host, &mut greeting)?;
        tls.write_all(&greeting).await?;
        tls.flush().await?;
        Ok::<_, HandshakeError>(tls)
    };
    let shaken = tokio::time::timeout(patience, shaking).await;
    let mut tls = shaken.map_err(|_| HandshakeError::TooSlow(patience))??;
    let (caller, settings) = hear(&mut tls, host, check).await?;
    let (stream, connection) = tls.into_inner();
    let link = Link::new(stream.into_std()?, connection.into())?;
    Ok(Admitted {
        link,
        caller,
        settings,
    })
}
