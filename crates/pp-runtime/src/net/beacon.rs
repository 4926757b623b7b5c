//! How clients find nodes: a question to whoever hears it, and answers.
//!
//! Both are authenticated by a key that is made of the secret, and an answer repeats the
//! number of its question. So nobody else gets an answer, none is believed that was not
//! given by a node of the cluster, and none that was given to another question.

use hmac::{Hmac, Mac};
use pp_proto::NodeId;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::secret::Key;

/// How every packet begins.
const MAGIC: [u8; 4] = *b"pp2b";
const QUESTION: u8 = 0;
const ANSWER: u8 = 1;
const MAC_LEN: usize = 32;
/// Bytes of a packet: what it begins with, its kind, a number, a node, a port, a MAC.
pub(crate) const PACKET_LEN: usize = 4 + 1 + 16 + 16 + 2 + MAC_LEN;

/// A number that a question has for itself.
pub(crate) type Nonce = [u8; 16];

/// What a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beacon {
    /// Which nodes are there?
    Question {
        /// To be repeated in the answer.
        nonce: Nonce,
    },
    /// I am.
    Answer {
        /// The number of the question.
        nonce: Nonce,
        /// Who.
        node: NodeId,
        /// Where it takes connections, at the address from which the answer came.
        port: u16,
    },
}

impl Beacon {
    /// The packet that says it.
    pub(crate) fn seal(&self, key: &Key) -> Vec<u8> {
        let (kind, nonce, node, port) = match *self {
            Self::Question { nonce } => (QUESTION, nonce, NodeId::default(), 0),
            Self::Answer { nonce, node, port } => (ANSWER, nonce, node, port),
        };
        let mut packet = Vec::with_capacity(PACKET_LEN);
        packet.extend_from_slice(&MAGIC);
        packet.push(kind);
        packet.extend_from_slice(&nonce);
        packet.extend_from_slice(&node);
        packet.extend_from_slice(&port.to_le_bytes());
        let mac = mac(key, &packet).finalize().into_bytes();
        packet.extend_from_slice(&mac);
        packet
    }

    /// What a packet says; none if nobody of the cluster has said it. The comparison
    /// takes the same time whatever it finds.
    pub(crate) fn open(packet: &[u8], key: &Key) -> Option<Self> {
        if packet.len() != PACKET_LEN || !packet.starts_with(&MAGIC) {
            return None;
        }
        let (said, tag) = packet.split_at(PACKET_LEN - MAC_LEN);
        mac(key, said).verify_slice(tag).ok()?;
        let (&kind, rest) = said.get(MAGIC.len()..)?.split_first()?;
        let (nonce, rest) = rest.split_first_chunk()?;
        let (node, rest) = rest.split_first_chunk()?;
        let port = u16::from_le_bytes(rest.try_into().ok()?);
        match kind {
            QUESTION => Some(Self::Question { nonce: *nonce }),
            ANSWER => Some(Self::Answer {
                nonce: *nonce,
                node: *node,
                port,
            }),
            _ => None,
        }
    }
}

/// The MAC of some bytes, yet to be finished. A key is filled up with zeros to a block of the
/// hash, as HMAC does by itself (RFC 2104).
pub(super) fn mac(key: &Key, bytes: &[u8]) -> Hmac<Sha256> {
    let mut block = Zeroizing::new([0; 64]);
    let (filled, _) = block.split_at_mut(key.len());
    filled.copy_from_slice(&key[..]);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(bytes);
    mac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> Key {
        Zeroizing::new([byte; 32])
    }

    proptest! {
        #[test]
        fn what_was_said_is_heard_and_by_nobody_else(
            nonce: Nonce, node: NodeId, port: u16, question: bool, flip in 0..PACKET_LEN * 8
        ) {
            let said = if question {
                Beacon::Question { nonce }
            } else {
                Beacon::Answer { nonce, node, port }
            };
            let mut packet = said.seal(&key(1));
            prop_assert_eq!(packet.len(), PACKET_LEN);
            prop_assert_eq!(Beacon::open(&packet, &key(1)), Some(said));
            prop_assert_eq!(Beacon::open(&packet, &key(2)), None);
            packet[flip / 8] ^= 1 << (flip % 8);
            prop_assert_eq!(Beacon::open(&packet, &key(1)), None);
        }

        #[test]
        fn garbage_says_nothing(packet in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Beacon::open(&packet, &key(1)), None);
        }
    }
}
