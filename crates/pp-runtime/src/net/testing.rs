//! What the tests of connections share: identities, and the two ends of a connection.

#![allow(clippy::unwrap_used, clippy::panic)] // a test may fail

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pp_proto::NodeId;
use tokio::net::TcpListener;

use super::{
    Admitted, Arrival, Caller, HandshakeError, Host, Identity, Link, Reached, Secret, Socket,
    admit, reach,
};

/// No test may hang.
const LONG: Duration = Duration::from_secs(30);

/// Drives a test to its end.
pub(crate) fn drive<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(async { tokio::time::timeout(LONG, test).await })
        .unwrap()
}

/// Of the cluster that has this letter in its secret.
pub(crate) fn identity(letter: char) -> Identity {
    // As if made by chance, which needs no slow hash.
    let secret = format!("pp2-{}", letter.to_string().repeat(52));
    Identity::of_secret(&Secret::new(secret.into()).unwrap()).unwrap()
}

pub(crate) fn caller(route: &[NodeId]) -> Caller {
    Caller {
        python: (3, 11, 7),
        patience: Duration::from_millis(2_500),
        route: route.to_vec(),
        name: "somebody".into(),
    }
}

pub(crate) fn host() -> Host {
    Host {
        node: [7; 16],
        name: "a node".into(),
        python: (3, 12, 1),
    }
}

/// A listener on loopback, and where it is.
pub(crate) async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
pub(crate) async fn sockets() -> (Socket, Socket) {
    let (listener, address) = listener().await;
    let (here, there) = tokio::join!(Socket::connect(address), listener.accept());
    (here.unwrap(), Socket::new(there.unwrap().0))
}

/// A caller and a node meet; what each comes to.
pub(crate) async fn meet(
    parent: &Identity,
    node: &Identity,
    caller: &Caller,
    settings: &[u8],
    check: impl Fn(&Caller) -> Result<(), String>,
) -> (
    Result<Reached, HandshakeError>,
    Result<Admitted, HandshakeError>,
) {
    let (here, there) = sockets().await;
    let host = host();
    tokio::join!(
        reach(here, parent, caller, settings),
        let_in(there, node, &host, check)
    )
}

/// Lets in a parent.
pub(crate) async fn let_in(
    stream: Socket,
    identity: &Identity,
    host: &Host,
    check: impl Fn(&Caller) -> Result<(), String>,
) -> Result<Admitted, HandshakeError> {
    match admit(stream, identity, host, check).await? {
        Arrival::Parent(admitted) => Ok(*admitted),
        other => panic!("{other:?}"),
    }
}

/// The two ends of a link: the parent's and the node's.
pub(crate) async fn links() -> (Arc<Link>, Arc<Link>) {
    let identity = identity('a');
    let (reached, admitted) = meet(&identity, &identity, &caller(&[]), b"", |_| Ok(())).await;
    (reached.unwrap().link, admitted.unwrap().link)
}
