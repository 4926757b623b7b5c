//! Certificates of the user's own authority: read from files, and looked at before they are
//! used, so that what is wrong with them is told where they are, and not by the peers.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore};
use zeroize::Zeroizing;

use super::identity::IdentityError;
use super::verifiers::SameAuthority;

/// Files of the user's own authority, in PEM.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The certificates of the authority. Whoever it has signed belongs to the cluster.
    pub authority: PathBuf,
    /// The certificate of this server, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a server does with its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// It connects to others.
    pub dials: bool,
    /// Others connect to it.
    pub listens: bool,
}

/// What the files hold, once it is known that peers will believe it.
pub(super) struct Checked {
    /// What the server shows.
    pub(super) own: Arc<CertifiedKey>,
    /// Whom it believes when it dials.
    pub(super) servers: Arc<SameAuthority>,
    /// Whom it believes when it is dialed.
    pub(super) clients: Arc<dyn ClientCertVerifier>,
}

impl CertificateFiles {
    /// Reads them, and checks that the certificate can be used as it will be.
    pub(super) fn check(
        &self,
        provider: &Arc<CryptoProvider>,
        uses: Uses,
    ) -> Result<Checked, IdentityError> {
        let roots = Arc::new(authority(&self.authority)?);
        let servers = Arc::new(SameAuthority {
            roots: Arc::clone(&roots),
            algorithms: provider.signature_verification_algorithms,
        });
        let clients = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
            .build()
            .map_err(|error| authority_fault(&self.authority, &error))?;
        let chain = certificates(&self.certificate)?;
        self.check_chain(&chain, &*servers, &*clients, uses)?;
        let key = provider
            .key_provider
            .load_private_key(private_key(&self.key)?)
            .map_err(|error| IdentityError::File {
                what: "a private key",
                path: self.key.clone(),
                reason: format!("it is of no kind that can be used: {error}"),
            })?;
        let own = CertifiedKey::new(chain, key);
        match own.keys_match() {
            // Some kinds of keys do not tell their public half.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => return Err(IdentityError::OtherKey(self.clone())),
        }
        Ok(Checked {
            own: Arc::new(own),
            servers,
            clients,
        })
    }

    /// As peers will look at it.
    fn check_chain(
        &self,
        chain: &[CertificateDer<'static>],
        servers: &dyn ServerCertVerifier,
        clients: &dyn ClientCertVerifier,
        uses: Uses,
    ) -> Result<(), IdentityError> {
        let Some((own, between)) = chain.split_first() else {
            return Ok(());
        };
        let fault = |error: Error| IdentityError::Certificate {
            path: self.certificate.clone(),
            reason: remedy(&error, &self.authority),
        };
        let now = UnixTime::now();
        if uses.dials {
            clients
                .verify_client_cert(own, between, now)
                .map_err(fault)?;
        }
        if uses.listens {
            // It is looked at without regard to names.
            let nobody = ServerName::try_from("pp.invalid");
            let nobody = nobody.map_err(|error| Error::General(error.to_string()))?;
            servers
                .verify_server_cert(own, between, &nobody, &[], now)
                .map_err(fault)?;
        }
        Ok(())
    }
}

/// What is wrong with one's own certificate, and what to do about it.
fn remedy(error: &Error, authority: &Path) -> String {
    use CertificateError as Fault;

    let Error::InvalidCertificate(fault) = error else {
        return error.to_string();
    };
    let what = explained(fault);
    let todo = match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => "make a new one",
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "look at the clock of this machine"
        }
        Fault::UnknownIssuer | Fault::BadSignature => {
            return format!(
                "{what} in {}, or a certificate between the two is missing, which belongs into the \
                 same file, after it",
                authority.display()
            );
        }
        _ => "make one as docs/security.md of parallel-python shows",
    };
    format!("{what}; {todo}")
}

/// What is wrong with a certificate, as the end of a sentence that begins with "it".
pub(super) fn explained(fault: &CertificateError) -> String {
    use CertificateError as Fault;

    let text = match fault {
        Fault::Expired | Fault::ExpiredContext { .. } => "it has expired",
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => "it is not valid yet",
        Fault::UnknownIssuer | Fault::BadSignature => "it was not signed by the authority",
        Fault::BadEncoding => "it is damaged",
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "its extendedKeyUsage must name serverAuth for a node, clientAuth for who connects to \
             nodes, or not be there"
        }
        Fault::UnsupportedSignatureAlgorithmContext { .. }
        | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "it is signed in a way that is not supported: Ed25519, P-256, P-384 and RSA with \
             SHA-256 or better are"
        }
        Fault::Other(other) => match other.0.downcast_ref() {
            Some(webpki::Error::UnsupportedCertVersion) => {
                "it is of X.509 version 1, and version 3 is needed, which has extensions"
            }
            Some(webpki::Error::CaUsedAsEndEntity) => {
                "it is one of an authority (CA:TRUE), and one that the authority has signed is \
                 needed (CA:FALSE)"
            }
            Some(other) => return format!("it cannot be used: {other}"),
            None => return fault.to_string(),
        },
        other => return other.to_string(),
    };
    text.to_owned()
}

fn unreadable<'a>(
    what: &'static str,
    path: &'a Path,
) -> impl Fn(&dyn std::fmt::Display) -> IdentityError + 'a {
    move |reason| IdentityError::File {
        what,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let fault = unreadable("a certificate", path);
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| fault(&error))?
        .collect();
    let found = found.map_err(|error| fault(&error))?;
    if found.is_empty() {
        return Err(fault(&"there is none in PEM"));
    }
    Ok(found)
}

fn authority(path: &Path) -> Result<RootCertStore, IdentityError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| authority_fault(path, &error))?;
    }
    Ok(roots)
}

fn authority_fault(path: &Path, error: &dyn std::fmt::Display) -> IdentityError {
    unreadable("the certificates of the authority", path)(error)
}

/// The key in a file, which is as secret as a secret.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let fault = unreadable("a private key", path);
    let mut file = File::open(path).map_err(|error| fault(&error))?;
    check_mode(&file, path)?;
    let mut text = Zeroizing::new(Vec::new());
    file.read_to_end(&mut text).map_err(|error| fault(&error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            fault(&"there is none in PEM that is not encrypted")
        }
        other => fault(&other),
    })
}

/// The bits of a mode that give something to others than the owner.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;

    let found = file.metadata();
    let mode = found
        .map_err(|error| unreadable("a private key", path)(&error))?
        .permissions()
        .mode()
        & 0o777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    Err(IdentityError::Open {
        path: path.to_owned(),
        mode,
    })
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)] // as on Unix
fn check_mode(_file: &File, _path: &Path) -> Result<(), IdentityError> {
    Ok(())
}
