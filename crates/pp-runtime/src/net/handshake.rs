//! How two servers meet: TLS, then greetings, each with a limit on what it costs.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pp_proto::{
    Assembler, AssemblerLimits, CURRENT, FrameError, FromExecutor, MAGIC, NodeId, Payload,
    ProtocolError, Stream, Tail, ToExecutor, limits,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::client::TlsStream as ToServer;
use tokio_rustls::server::TlsStream as ToClient;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::identity::{Identity, Purpose};
use super::link::Link;
use super::socket::Socket;

mod error;
mod getting;
mod offer;
#[cfg(test)]
mod tests;

pub(crate) use error::HandshakeError;
pub(super) use getting::greet_getter;
pub(crate) use getting::{Getter, Giver, seek};
pub(crate) use offer::{Offered, keep_alive, offer};

/// Settings of a client may have so many bytes.
const SETTINGS_MAX: u64 = 64 << 20;

/// Major, minor and micro version of a Python.
pub type PythonVersion = (u8, u8, u8);

/// What a server that wants to have jobs run says of itself.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The version of its Python.
    pub python: PythonVersion,
    /// How long either side may say nothing before the other takes it for dead.
    pub patience: Duration,
    /// The servers that stand above this link, from the outermost to the caller itself.
    pub route: Vec<NodeId>,
    /// What it is called, for the readers of logs.
    pub name: String,
}

/// What a node says of itself.
#[derive(Debug, Clone)]
pub struct Host {
    /// A number that this run of it has chosen by chance.
    pub node: NodeId,
    /// What it is called, for the readers of logs.
    pub name: String,
    /// The version of its Python.
    pub python: PythonVersion,
}

/// A node that was reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub(crate) link: Arc<Link>,
    pub(crate) host: Host,
    /// What the greeting and the answer took.
    pub(crate) latency: Duration,
}

/// A caller that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) link: Arc<Link>,
    pub(crate) caller: Caller,
    /// What its workers are to be set up with.
    pub(crate) settings: Vec<u8>,
}

/// Meets a node at the other end of `stream`, as its parent.
///
/// # Errors
/// [`HandshakeError`].
pub(crate) async fn reach(
    stream: Socket,
    identity: &Identity,
    caller: &Caller,
    settings: &[u8],
) -> Result<Reached, HandshakeError> {
    let mut tls = connect_tls(stream, identity.client()).await?;
    let (host, latency) = call(&mut tls, caller, settings).await?;
    let (stream, connection) = tls.into_inner();
    let link = Link::new(stream.into_std()?, connection.into())?;
    Ok(Reached {
        link,
        host,
        latency,
    })
}

async fn connect_tls(
    stream: Socket,
    config: Arc<rustls::ClientConfig>,
) -> Result<ToServer<Socket>, HandshakeError> {
    stream.set_nodelay(true)?;
    begin_tls(stream, config).await
}

/// Shakes hands as the one who dials.
pub(super) async fn begin_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Arc<rustls::ClientConfig>,
) -> Result<ToServer<S>, HandshakeError> {
    // Nobody is believed by name, so none is said.
    let nobody = ServerName::try_from("pp.invalid").map_err(io::Error::other)?;
    let connecting = TlsConnector::from(config).connect(nobody, stream);
    Ok(connecting.await?)
}

/// Greets a node, and hears who it is; how long the answer took.
pub(super) async fn call(
    tls: &mut (impl AsyncRead + AsyncWrite + Unpin),
    caller: &Caller,
    settings: &[u8],
) -> Result<(Host, Duration), HandshakeError> {
    let asked = Instant::now();
    let said = say_greeting(tls, caller, settings).await;
    match (said, expect_host(tls).await) {
        (Ok(()), host) => Ok((host?, asked.elapsed())),
        // Who refuses closes the connection, but has said why before.
        (Err(error), Ok(_) | Err(HandshakeError::Network(_))) => Err(error),
        (Err(_), Err(refusal)) => Err(refusal),
    }
}

async fn say_greeting(
    to: &mut (impl AsyncWrite + Unpin),
    caller: &Caller,
    settings: &[u8],
) -> Result<(), HandshakeError> {
    let mut greeting = Vec::new();
    greet(caller, settings, &mut greeting)?;
    to.write_all(&greeting).await?;
    Ok(to.flush().await?)
}

pub(super) async fn expect_host(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<Host, HandshakeError> {
    let python = expect_hello(from).await?;
    let body = frame(from, limits::HANDSHAKE_MAX).await?;
    match FromExecutor::decode(&body).map_err(ProtocolError::from)? {
        FromExecutor::Introduce { node, name } => Ok(Host {
            node,
            name: name.to_owned(),
            python,
        }),
        FromExecutor::Fault { text } => Err(HandshakeError::Refused(text.to_owned())),
        other => Err(HandshakeError::Unexpected(other.name())),
    }
}

/// What a parent says first, in one go: it need not know the answer before.
fn greet(caller: &Caller, settings: &[u8], out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let hello = ToExecutor::Hello {
        magic: MAGIC,
        version: CURRENT,
        features: 0,
    };
    hello.encode(out)?;
    let route = caller.route.concat();
    let introduce = ToExecutor::Introduce {
        python: caller.python,
        patience_ms: u32::try_from(caller.patience.as_millis()).unwrap_or(u32::MAX),
        route: &route,
        name: shortened(&caller.name),
    };
    introduce.encode(out)?;
    let payload = Payload::of(settings);
    let head = payload.head().len();
    ToExecutor::Configure { settings: payload }.encode(out)?;
    let mut tail = Tail::new(Stream::Configure, settings, head);
    while tail.encode(limits::FRAME_MAX, out) > 0 {}
    Ok(())
}

/// As much of a name as may be sent.
fn shortened(name: &str) -> &str {
    let mut len = name.len().min(limits::NAME_MAX);
    while !name.is_char_boundary(len) {
        len -= 1;
    }
    name.get(..len).unwrap_or_default()
}

async fn expect_hello(
    from: &mut (impl AsyncRead + Unpin),
) -> Result<PythonVersion, HandshakeError> {
    let body = frame(from, limits::HANDSHAKE_MAX).await?;
    match FromExecutor::decode(&body).map_err(ProtocolError::from)? {
        FromExecutor::Hello { python, .. } => Ok(python),
        FromExecutor::Fault { text } => Err(HandshakeError::Refused(text.to_owned())),
        other => Err(HandshakeError::Unexpected(other.name())),
    }
}

/// Who has come.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// A parent, which wants to have jobs run.
    Parent(Box<Admitted>),
    /// A node, which wants to run some.
    Node(Box<Offered>),
    /// A node, which wants to get what jobs have made here.
    Getter(Box<Getter>),
}

/// Meets who has dialed, at the other end of `stream`.
///
/// # Errors
/// [`HandshakeError`]. The other side is told why, as far as it is one of ours.
pub(crate) async fn admit(
    stream: Socket,
    identity: &Identity,
    host: &Host,
    check: impl Fn(&Caller) -> Result<(), String>,
) -> Result<Arrival, HandshakeError> {
    stream.set_nodelay(true)?;
    let mut tls = accept_tls(stream, identity.server()).await?;
    match Purpose::of(tls.get_ref().1) {
        Purpose::Use => {}
        Purpose::Offer => {
            let host = expect_host(&mut tls).await?;
            // It may wait for long, and be gone without a word.
            keep_alive(tls.get_ref().0)?;
            return Ok(Arrival::Node(Box::new(Offered::new(tls, host))));
        }
        Purpose::Get => {
            greet_getter(&mut tls, host).await?;
            return Ok(Arrival::Getter(Box::new(tls)));
        }
    }
    let (caller, settings) = hear(&mut tls, host, check).await?;
    let (stream, connection) = tls.into_inner();
    let link = Link::new(stream.into_std()?, connection.into())?;
    Ok(Arrival::Parent(Box::new(Admitted {
        link,
        caller,
        settings,
    })))
}

/// Shakes hands as the one who is dialed.
pub(super) async fn accept_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: Arc<rustls::ServerConfig>,
) -> Result<ToClient<S>, HandshakeError> {
    let accepting = TlsAcceptor::from(config).accept(stream);
    Ok(accepting.await?)
}

/// Hears who calls, and answers.
pub(super) async fn hear(
    tls: &mut (impl AsyncRead + AsyncWrite + Unpin),
    host: &Host,
    check: impl Fn(&Caller) -> Result<(), String>,
) -> Result<(Caller, Vec<u8>), HandshakeError> {
    let caller = match expect_caller(tls).await {
        Ok(caller) => caller,
        Err(error) => return Err(refuse(tls, error).await),
    };
    if let Err(reason) = check(&caller) {
        return Err(refuse(tls, HandshakeError::Refused(reason)).await);
    }
    let mut greeting = Vec::new();
    answer(host, &mut greeting)?;
    tls.write_all(&greeting).await?;
    tls.flush().await?;
    match expect_settings(tls).await {
        Ok(settings) => Ok((caller, settings)),
        Err(error) => Err(refuse(tls, error).await),
    }
}

/// Tells the other side why, and gives the reason back.
async fn refuse(to: &mut (impl AsyncWrite + Unpin), error: HandshakeError) -> HandshakeError {
    let text = match &error {
        HandshakeError::Refused(reason) => reason.clone(),
        other => other.to_string(),
    };
    let mut farewell = Vec::new();
    if FromExecutor::fault(&text).encode(&mut farewell).is_ok() {
        // It has gone, or it hears it.
        let _ = to.write_all(&farewell).await;
        let _ = to.shutdown().await;
    }
    error
}

async fn expect_parents_hello(from: &mut (impl AsyncRead + Unpin)) -> Result<(), HandshakeError> {
    let body = frame(from, limits::HANDSHAKE_MAX).await?;
    match ToExecutor::decode(&body).map_err(ProtocolError::from)? {
        ToExecutor::Hello { .. } => Ok(()),
        other => Err(HandshakeError::Unexpected(other.name())),
    }
}

async fn expect_caller(from: &mut (impl AsyncRead + Unpin)) -> Result<Caller, HandshakeError> {
    expect_parents_hello(from).await?;
    let body = frame(from, limits::HANDSHAKE_MAX).await?;
    match ToExecutor::decode(&body).map_err(ProtocolError::from)? {
        ToExecutor::Introduce {
            python,
            patience_ms,
            route,
            name,
        } => Ok(Caller {
            python,
            patience: Duration::from_millis(patience_ms.into()),
            route: route.as_chunks().0.to_vec(),
            name: name.to_owned(),
        }),
        other => Err(HandshakeError::Unexpected(other.name())),
    }
}

fn answer(host: &Host, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let hello = FromExecutor::Hello {
        magic: MAGIC,
        version: CURRENT,
        features: 0,
        pid: std::process::id(),
        python: host.python,
    };
    hello.encode(out)?;
    let introduce = FromExecutor::Introduce {
        node: host.node,
        name: shortened(&host.name),
    };
    Ok(introduce.encode(out)?)
}

async fn expect_settings(from: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, HandshakeError> {
    let mut assembler = Assembler::new(AssemblerLimits {
        payload: SETTINGS_MAX,
        streams: 1,
    });
    loop {
        let body = frame(from, limits::FRAME_MAX).await?;
        let whole = match ToExecutor::decode(&body).map_err(ProtocolError::from)? {
            ToExecutor::Configure { settings } => assembler.begin(Stream::Configure, settings),
            ToExecutor::More { stream, bytes } => assembler.more(stream, bytes),
            other => return Err(HandshakeError::Unexpected(other.name())),
        };
        if let Some(whole) = whole.map_err(ProtocolError::from)? {
            return Ok(whole.into());
        }
    }
}

/// The body of the next frame, and not a byte more.
async fn frame(from: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Vec<u8>, HandshakeError> {
    let len = from.read_u32_le().await?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    if len == 0 || len > max {
        let fault = if len == 0 {
            FrameError::Empty
        } else {
            FrameError::TooLong { len, max }
        };
        return Err(ProtocolError::from(fault).into());
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body).await?;
    Ok(body)
}
