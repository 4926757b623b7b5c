//! The shared secret, and the keys that are made of it.

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// How secrets begin that `pp secret new` makes: 256 bits by chance, which nobody guesses.
const MADE: &str = "pp2-";
/// How many characters follow.
const MADE_LEN: usize = 52;

/// Separates our keys from those that others make of the same secret.
const DOMAIN: &[u8] = b"parallel-python/2";

/// Argon2id of version 1.3 with 64 MiB, 3 passes, 4 lanes: the second recommended option
/// of RFC 9106, section 4.
const ARGON_KIB: u32 = 64 * 1024;
const ARGON_PASSES: u32 = 3;
const ARGON_LANES: u32 = 4;

/// A key made of the secret.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Why a secret cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none.
    #[error("the secret is empty")]
    Empty,
    /// The slow hash has failed.
    #[error("cannot derive keys from the secret: {0}")]
    Derivation(String),
}

/// What all servers of a cluster know and nobody else.
///
/// Wiped from memory when it is dropped, and never printed.
pub struct Secret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(...)")
    }
}

impl Secret {
    /// The secret that these bytes are. White space around it does not count: files end
    /// with a line break.
    ///
    /// # Errors
    /// [`SecretError::Empty`].
    pub fn new(mut bytes: Vec<u8>) -> Result<Self, SecretError> {
        let secret = Zeroizing::new(bytes.trim_ascii().to_vec());
        bytes.zeroize();
        if secret.is_empty() {
            return Err(SecretError::Empty);
        }
        Ok(Self(secret))
    }

    /// The keys that are made of it. Takes some tenths of a second for a secret that a
    /// person has thought of, because such ones can be guessed.
    ///
    /// # Errors
    /// [`SecretError::Derivation`], for want of memory.
    pub(crate) fn keys(&self) -> Result<Keys, SecretError> {
        let strong = self.strengthened()?;
        let hkdf = Hkdf::<Sha256>::new(Some(DOMAIN), &strong[..]);
        let expand = |purpose: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            hkdf.expand(purpose, &mut key[..])
                .map_err(|error| SecretError::Derivation(error.to_string()))?;
            Ok(key)
        };
        Ok(Keys {
            identity: expand(b"identity")?,
            beacon: expand(b"beacon")?,
        })
    }

    fn strengthened(&self) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        if is_made(&self.0) {
            return Ok(self.0.clone());
        }
        let failed = |error: argon2::Error| SecretError::Derivation(error.to_string());
        let params = argon2::Params::new(ARGON_KIB, ARGON_PASSES, ARGON_LANES, Some(32));
        let argon = argon2::Argon2::new(
            argon2::Algorithm::Argon2id,
            argon2::Version::V0x13,
            params.map_err(failed)?,
        );
        let mut strong = Zeroizing::new(vec![0; 32]);
        // The same salt everywhere: both sides have nothing but the secret in common.
        argon
            .hash_password_into(&self.0, DOMAIN, &mut strong)
            .map_err(failed)?;
        Ok(strong)
    }
}

/// Whether a secret was made by chance, and needs no slow hash.
fn is_made(secret: &[u8]) -> bool {
    secret
        .strip_prefix(MADE.as_bytes())
        .is_some_and(|rest| rest.len() == MADE_LEN && rest.iter().all(u8::is_ascii_alphanumeric))
}

/// Keys for each purpose: none tells anything about another.
pub(crate) struct Keys {
    /// The seed of the key pair by which servers of a cluster know each other.
    pub(crate) identity: Key,
    /// What beacons are authenticated with.
    pub(crate) beacon: Key,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> Keys {
        Secret::new(secret.into()).unwrap().keys().unwrap()
    }

    #[test]
    fn equal_secrets_give_equal_keys_and_others_do_not() {
        for secret in [
            "epo20pdosl;dksldkmm",
            "pp2-abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst",
        ] {
            let (one, two) = (keys(secret), keys(&format!(" {secret}\n")));
            assert_eq!(one.identity, two.identity);
            assert_eq!(one.beacon, two.beacon);
            assert_ne!(one.identity, one.beacon);
            assert_ne!(one.identity, keys(&format!("{secret}x")).identity);
        }
    }

    #[test]
    fn keys_are_as_they_have_always_been() {
        // Nodes of different releases must come to the same.
        let hex = |key: &Key| format!("{:02x?}", &key[..4]);
        assert_eq!(hex(&keys("typed by a person").identity), "[b9, cb, ce, 1a]");
        let made = "pp2-abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst";
        assert_eq!(hex(&keys(made).identity), "[78, 05, 4e, 3c]");
    }

    #[test]
    fn an_empty_secret_is_none_and_no_secret_is_printed() {
        assert_eq!(
            Secret::new(b" \n".to_vec()).unwrap_err(),
            SecretError::Empty
        );
        let secret = Secret::new(b"hush".to_vec()).unwrap();
        assert!(!format!("{secret:?}").contains("hush"));
    }
}
