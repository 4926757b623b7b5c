//! Doors to what strangers can reach: beacons and handshakes.

use std::sync::LazyLock;
use std::time::Duration;

use hmac::Mac;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use zeroize::Zeroizing;

use super::beacon::{Beacon, mac};
use super::handshake::{
    HandshakeError, accept_tls, begin_tls, call, expect_host, greet_getter, hear,
};
use super::identity::{Identity, Purpose};
use super::secret::{Key, Secret};
use super::{Caller, Host};

/// Room for all that either side says: nobody ever waits for the other to read.
const ROOM: usize = 4 << 20;

static KEY: LazyLock<Key> = LazyLock::new(|| Zeroizing::new([7; 32]));

/// Made of a secret that needs no slow hash.
static IDENTITY: LazyLock<Option<Identity>> = LazyLock::new(|| {
    let secret = [b"pp2-".as_slice(), &[b'a'; 52]].concat();
    Identity::of_secret(&Secret::new(secret).ok()?).ok()
});

thread_local! {
    static RUNTIME: Option<Runtime> = Builder::new_current_thread().build().ok();
}

/// What a packet says, as it would be said again; none if nobody of the cluster said it.
pub fn beacon(packet: &[u8]) -> Option<Vec<u8>> {
    Some(Beacon::open(packet, &KEY)?.seal(&KEY))
}

/// The packet by which somebody of the cluster says `said`, which may be anything.
pub fn sign_beacon(said: &[u8]) -> Vec<u8> {
    let tag = mac(&KEY, said).finalize().into_bytes();
    [said, &tag].concat()
}

/// A node hears what an authenticated caller says; what is then wrong, and what it answers.
pub fn hear_as_host(said: &[u8]) -> (Option<String>, Vec<u8>) {
    with_peer(said, async |mut stream| {
        let heard = hear(&mut stream, &host(), |_| Ok(())).await;
        heard.map(drop)
    })
}

/// A caller hears what an authenticated node says; what is then wrong, and what it said.
pub fn hear_as_caller(said: &[u8]) -> (Option<String>, Vec<u8>) {
    with_peer(said, async |mut stream| {
        let called = call(&mut stream, &caller(), b"settings").await;
        called.map(drop)
    })
}

/// Who is at the other end of a connection, and what it does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stranger {
    /// It sends bytes to a node.
    Dials,
    /// It answers a caller with bytes.
    IsDialed,
    /// It shakes hands with a node as it should, and goes on in clear.
    TurnsPlain,
    /// It shakes hands with a node as it should, and says bytes then.
    Belongs,
    /// The same as a node that dials.
    Offers,
    /// The same as a node that wants to get something.
    Gets,
}

/// Somebody comes to a node, or answers a caller; what is then wrong.
pub fn shake_hands(stranger: Stranger, said: &[u8]) -> Option<String> {
    let identity = IDENTITY.as_ref()?;
    match stranger {
        Stranger::Dials => {
            let accept = async |stream| accept_tls(stream, identity.server()).await.map(drop);
            with_peer(said, accept).0
        }
        Stranger::IsDialed => {
            let begin = async |stream| begin_tls(stream, identity.client()).await.map(drop);
            with_peer(said, begin).0
        }
        Stranger::TurnsPlain | Stranger::Belongs | Stranger::Offers | Stranger::Gets => {
            run(meet(identity, stranger, said))?
                .err()
                .map(|error| text(&error))
        }
    }
}

/// A node and somebody who has the secret meet.
async fn meet(identity: &Identity, stranger: Stranger, said: &[u8]) -> Result<(), HandshakeError> {
    let (near, far) = duplex(ROOM);
    let config = match stranger {
        Stranger::Offers => identity.offer(),
        Stranger::Gets => identity.get(),
        _ => identity.client(),
    };
    let (host, caller) = (accept_tls(near, identity.server()), begin_tls(far, config));
    let (host, caller) = tokio::join!(host, caller);
    let (mut host, mut caller) = (host?, caller?);
    if stranger == Stranger::TurnsPlain {
        let (mut plain, _) = caller.into_inner();
        plain.write_all(said).await?;
        plain.shutdown().await?;
    } else {
        caller.write_all(said).await?;
        caller.shutdown().await?;
    }
    match Purpose::of(host.get_ref().1) {
        Purpose::Use => hear(&mut host, &self::host(), |_| Ok(())).await.map(drop),
        Purpose::Offer => expect_host(&mut host).await.map(drop),
        Purpose::Get => greet_getter(&mut host, &self::host()).await,
    }
}

/// Lets `work` have a connection whose other end says `said` and then no more; what is
/// wrong after it, and what the other end has heard.
fn with_peer(
    said: &[u8],
    work: impl AsyncFnOnce(DuplexStream) -> Result<(), HandshakeError>,
) -> (Option<String>, Vec<u8>) {
    let work = async {
        let (near, mut far) = duplex(ROOM);
        far.write_all(said).await?;
        far.shutdown().await?;
        let result = work(near).await;
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await?;
        Ok::<_, HandshakeError>((result.err().map(|error| text(&error)), heard))
    };
    match run(work) {
        Some(Ok(done)) => done,
        Some(Err(error)) => (Some(text(&error)), Vec::new()),
        None => (None, Vec::new()),
    }
}

/// Runs it to its end; none if the system has no means for that.
fn run<T>(work: impl Future<Output = T>) -> Option<T> {
    RUNTIME.with(|runtime| Some(runtime.as_ref()?.block_on(work)))
}

fn text(error: &HandshakeError) -> String {
    error.to_string()
}

fn host() -> Host {
    Host {
        node: [1; 16],
        name: "host".to_owned(),
        python: (3, 11, 0),
    }
}

fn caller() -> Caller {
    Caller {
        python: (3, 11, 0),
        patience: Duration::from_secs(5),
        route: vec![[2; 16]],
        name: "caller".to_owned(),
    }
}
