//! Offering this node to gateways: it dials, since it cannot be dialed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::backoff::Backoff;
use super::listener::SharedCheck;
use super::minding::Place;
use super::names::Target;
use crate::net::{Admitted, HandshakeError, Host, Identity, keep_alive, offer};

/// How long a gateway may take to shake hands.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// The pauses between tries.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is needed to offer a node.
#[derive(Clone)]
pub(super) struct Offering {
    pub(super) identity: Identity,
    pub(super) host: Host,
    pub(super) check: SharedCheck,
    pub(super) admitted: mpsc::UnboundedSender<(SocketAddr, Admitted)>,
}

impl Offering {
    /// Offers the node to a gateway: always one connection waits there to be used.
    pub(super) async fn offer(self, gateway: Target) {
        let name = gateway.name();
        let Target::Host { host, port } = gateway else {
            tracing::warn!(
                gateway = name,
                "a gateway is one host: this one is not dialed"
            );
            return;
        };
        let place = Place::Named { host, port };
        let mut backoff = Backoff::new(FIRST_PAUSE);
        let mut told = String::new();
        loop {
            match self.wait_there(&place).await {
                Ok(admitted) => {
                    told.clear();
                    backoff.reset();
                    if self.admitted.send(admitted).is_err() {
                        return;
                    }
                    continue;
                }
                Err(reason) if told != reason => {
                    tracing::warn!(gateway = name, reason, "not offered; trying again");
                    told = reason;
                }
                Err(_) => {}
            }
            sleep(backoff.pause(LONGEST_PAUSE)).await;
        }
    }

    async fn wait_there(&self, place: &Place) -> Result<(SocketAddr, Admitted), String> {
        let stream = place.connect().await.map_err(|error| error.to_string())?;
        let peer = stream.peer_addr().map_err(|error| error.to_string())?;
        // Who waits for long is to learn that the gateway has gone without a word.
        keep_alive(&stream).map_err(|error| error.to_string())?;
        let check = &self.check;
        let offered = offer(
            stream,
            &self.identity,
            &self.host,
            |caller| check(caller),
            HANDSHAKE_TIME,
        );
        let admitted = offered
            .await
            .map_err(|error: HandshakeError| error.to_string())?;
        Ok((peer, admitted))
    }
}
