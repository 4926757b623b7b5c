//! Connections to other servers: who is believed, how they meet, what goes over the wire.

use pp_proto::NodeId;

mod beacon;
mod certificates;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod handshake;
mod identity;
mod link;
mod outbox;
mod secret;
mod socket;
#[cfg(test)]
pub(crate) mod testing;
mod verifiers;

pub(crate) use beacon::{Beacon, Nonce, PACKET_LEN};
pub use certificates::{CertificateFiles, Uses};
pub(crate) use frames::{Lapse, read_frame, write_frames};
pub(crate) use handshake::{
    Admitted, Arrival, Getter, Giver, HandshakeError, Offered, Reached, admit, keep_alive, offer,
    reach, seek,
};
pub use handshake::{Caller, Host, PythonVersion};
pub use identity::{Identity, IdentityError};
pub(crate) use link::{Link, LinkEnd};
pub(crate) use outbox::Lane;
pub(crate) use secret::Key;
pub use secret::{Secret, SecretError};
pub(crate) use socket::Socket;

/// A number that tells a server from all others.
///
/// # Errors
/// The system has no randomness to give.
pub fn random_id() -> std::io::Result<NodeId> {
    let mut id = NodeId::default();
    getrandom::fill(&mut id).map_err(std::io::Error::other)?;
    Ok(id)
}
