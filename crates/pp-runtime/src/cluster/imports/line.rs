//! A connection to a node that something is got from: one thing after the other, for as long
//! as something waits.

use std::io;
use std::sync::Arc;

use pp_proto::{FromExecutor, Stream, Ticket, ToExecutor, limits};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::yield_now;
use tokio::time::{Duration, timeout};

use super::{ImportError, Importer};
use crate::cluster::minding::{NotReached, Place};
use crate::cluster::names::{Target, parse};
use crate::net::{Giver, HandshakeError, read_frame, seek, write_frames};
use crate::segments::{Incoming, Part, Pool};

/// What a segment is called that is sent to another node.
const NAME: u64 = 0;

/// Gets what waits for one place.
pub(in crate::cluster) struct Line {
    importer: Importer,
    place: Box<str>,
    is_connected: bool,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.note(false);
        self.importer.end_line(&self.place);
    }
}

impl Line {
    pub(super) fn new(importer: Importer, place: Box<str>) -> Self {
        Self {
            importer,
            place,
            is_connected: false,
        }
    }

    fn note(&mut self, is_connected: bool) {
        if std::mem::replace(&mut self.is_connected, is_connected) != is_connected {
            self.importer.note(&self.place, is_connected);
        }
    }

    /// Gets what waits, until nothing does.
    pub(in crate::cluster) async fn work(mut self) {
        let mut giver = None;
        while let Some(pending) = self.importer.next(&self.place) {
            let mut open = match giver.take() {
                Some(open) => open,
                None => match self.connect().await {
                    Ok(open) => open,
                    Err(error) => {
                        let error = Arc::new(error);
                        for one in self.importer.not_reached(&self.place, pending) {
                            one.finish(Err(ImportError::Unreachable(Arc::clone(&error))));
                        }
                        return;
                    }
                },
            };
            self.note(true);
            let (ticket, size) = (pending.ticket, pending.size);
            let silence = self.importer.shared.limits.silence;
            let result = fetch(&mut open, ticket, size, &pending.pool, silence).await;
            if result.is_ok() {
                giver = Some(open);
            } else {
                self.note(false);
            }
            pending.finish(result);
        }
    }

    async fn connect(&self) -> Result<Giver, NotReached> {
        let stream = place_of(&self.place)?.connect().await?;
        let shared = &self.importer.shared;
        let patience = shared.limits.handshake;
        match timeout(patience, seek(stream, &shared.identity)).await {
            Ok(met) => Ok(met?),
            Err(_) => Err(HandshakeError::TooSlow(patience).into()),
        }
    }
}

/// Where a name leads, which is that of one node.
fn place_of(name: &str) -> Result<Place, NotReached> {
    let named = parse(name).map_err(io::Error::other);
    match named.map_err(NotReached::Unknown)?.pop() {
        Some(Target::Host { host, port }) => Ok(Place::Named { host, port }),
        _ => Err(NotReached::Unknown(io::ErrorKind::InvalidInput.into())),
    }
}

/// Gets one thing from who is at the other end, who may be silent for so long at the most.
pub(in crate::cluster) async fn fetch(
    from: &mut (impl AsyncRead + AsyncWrite + Unpin),
    ticket: Ticket,
    size: u64,
    pool: &Arc<Pool>,
    silence: Duration,
) -> Result<Part, ImportError> {
    let mut buffer = Vec::new();
    let get = ToExecutor::Get { ticket };
    get.encode(&mut buffer)
        .map_err(pp_proto::ProtocolError::from)?;
    write_frames(from, &buffer, silence).await?;
    let mut incoming = None;
    loop {
        read_frame(from, &mut buffer, limits::FRAME_MAX, silence).await?;
        let said = FromExecutor::decode(&buffer).map_err(pp_proto::ProtocolError::from)?;
        let arriving = match (said, incoming.take()) {
            (
                FromExecutor::Carry {
                    segment: NAME,
                    body,
                },
                None,
            ) => {
                let (found, expected) = (body.size(), size);
                if found != expected {
                    return Err(ImportError::OtherSize { found, expected });
                }
                let mut begun = Incoming::new(pool, Stream::Segment(NAME), size);
                begun.add(body.head())?;
                begun
            }
            (FromExecutor::More { stream, bytes }, Some(mut begun))
                if stream == Stream::Segment(NAME) =>
            {
                Incoming::add(&mut begun, bytes)?;
                begun
            }
            (FromExecutor::Fault { text }, _) => return Err(ImportError::Refused(text.into())),
            (other, _) => return Err(ImportError::Unexpected(other.name())),
        };
        if arriving.missing() == 0 {
            return Ok(arriving.finish());
        }
        incoming = Some(arriving);
        // Others get their turn.
        yield_now().await;
    }
}
