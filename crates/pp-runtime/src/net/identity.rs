//! Who belongs to the cluster: TLS in which each side proves it to the other.
//!
//! With a secret, all servers have the same Ed25519 key pair, made of it. Each shows the
//! public key as a raw key (RFC 7250) and signs the handshake with the private one; nothing
//! else is believed. Or the user's own authority has signed a certificate for each server.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::{ClientConfig, Error, ServerConfig};
use zeroize::Zeroizing;

use super::certificates::{CertificateFiles, Uses};
use super::secret::{Key, Secret, SecretError};
use super::verifiers::SameKey;

/// What we call ourselves in the handshake: who wants something else is told so at once.
const ALPN: &[u8] = b"pp/2";
/// The same where a node dials, and offers itself to who is dialed.
const ALPN_OFFER: &[u8] = b"pp/2 offer";
/// The same where a node dials, to get something from who is dialed.
const ALPN_GET: &[u8] = b"pp/2 get";

/// How an Ed25519 private key in PKCS#8 begins; the seed follows (RFC 8410, section 7).
const PKCS8_ED25519: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why an identity cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The secret is of no use.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file does not hold what it should.
    #[error("{what} cannot be read from {path}: {reason}")]
    File {
        /// What should be in it.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS refuses it.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] Error),
    /// Peers will not believe the certificate.
    #[error("the certificate in {path} cannot be used: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The key and the certificate do not belong together.
    #[error(
        "the private key in {} is not that of the certificate in {}",
        .0.key.display(),
        .0.certificate.display()
    )]
    OtherKey(CertificateFiles),
    /// A private key is not private.
    #[error(
        "the private key in {path} could be read or changed by others (mode {mode:04o}): run \
         `chmod 600 {path}`"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// What a server proves by that it belongs to the cluster, and what it believes of others.
#[derive(Clone)]
pub struct Identity {
    client: Arc<ClientConfig>,
    offer: Arc<ClientConfig>,
    get: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    beacon: Option<Arc<Key>>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(...)")
    }
}

impl Identity {
    /// Of a cluster whose servers share a secret.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn of_secret(secret: &Secret) -> Result<Self, IdentityError> {
        let keys = secret.keys()?;
        let provider = Arc::new(ring::default_provider());
        let key = signing_key(&keys.identity)?;
        let public = key
            .public_key()
            .ok_or_else(|| Error::General("an Ed25519 key has no public key".into()))?;
        let public = SubjectPublicKeyInfoDer::from(public.as_ref().to_vec());
        let verifier = Arc::new(SameKey {
            public: public.clone(),
            algorithms: provider.signature_verification_algorithms,
        });
        let shown = vec![CertificateDer::from(public.as_ref().to_vec())];
        let certified = Arc::new(CertifiedKey::new(shown, key));
        let client = client_builder(&provider)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<_>)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                Arc::clone(&certified),
            )));
        let server = server_builder(&provider)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        Ok(Self::new(client, server, Some(Arc::new(keys.beacon))))
    }

    /// Of a cluster whose servers have certificates of one authority. A server is believed
    /// whatever name its certificate has. Discovery needs a secret besides.
    ///
    /// # Errors
    /// [`IdentityError`], also if peers would not believe the certificate in one of its
    /// `uses`.
    pub fn of_certificates(
        files: &CertificateFiles,
        uses: Uses,
        secret: Option<&Secret>,
    ) -> Result<Self, IdentityError> {
        let provider = Arc::new(ring::default_provider());
        let checked = files.check(&provider, uses)?;
        let own = Arc::new(SingleCertAndKey::from(checked.own));
        let client = client_builder(&provider)?
            .dangerous()
            .with_custom_certificate_verifier(checked.servers)
            .with_client_cert_resolver(Arc::clone(&own) as Arc<_>);
        let server = server_builder(&provider)?
            .with_client_cert_verifier(checked.clients)
            .with_cert_resolver(own);
        let beacon = secret.map(Secret::keys).transpose()?;
        let beacon = beacon.map(|keys| Arc::new(keys.beacon));
        Ok(Self::new(client, server, beacon))
    }

    fn new(mut client: ClientConfig, mut server: ServerConfig, beacon: Option<Arc<Key>>) -> Self {
        client.alpn_protocols = vec![ALPN.to_vec()];
        server.alpn_protocols = [ALPN, ALPN_OFFER, ALPN_GET].map(<[u8]>::to_vec).into();
        // Each connection proves itself anew.
        client.resumption = Resumption::disabled();
        client.enable_early_data = false;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.max_early_data_size = 0;
        let mut offer = client.clone();
        offer.alpn_protocols = vec![ALPN_OFFER.to_vec()];
        let mut get = client.clone();
        get.alpn_protocols = vec![ALPN_GET.to_vec()];
        Self {
            client: Arc::new(client),
            offer: Arc::new(offer),
            get: Arc::new(get),
            server: Arc::new(server),
            beacon,
        }
    }

    /// For who dials.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.client)
    }

    /// For a node that dials.
    pub(crate) fn offer(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.offer)
    }

    /// For a node that gets something from another.
    pub(crate) fn get(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.get)
    }

    /// For who is dialed.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// What beacons are authenticated with; none where there is no secret.
    pub(crate) fn beacon(&self) -> Option<Arc<Key>> {
        self.beacon.clone()
    }
}

fn client_builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, Error> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
}

fn server_builder(
    provider: &Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, Error> {
    ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
}

fn signing_key(seed: &Key) -> Result<Arc<dyn SigningKey>, Error> {
    let mut der = Zeroizing::new(PKCS8_ED25519.to_vec());
    der.extend_from_slice(&seed[..]);
    ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))
}

/// What somebody dials for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To have jobs run.
    Use,
    /// To run some.
    Offer,
    /// To get what jobs have made.
    Get,
}

impl Purpose {
    /// What a connection that was accepted is for.
    pub(super) fn of(connection: &rustls::ServerConnection) -> Self {
        match connection.alpn_protocol() {
            Some(ALPN_OFFER) => Self::Offer,
            Some(ALPN_GET) => Self::Get,
            _ => Self::Use,
        }
    }
}
