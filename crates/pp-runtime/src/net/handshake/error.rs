//! Why two servers do not come together.

use std::io;
use std::time::Duration;

use pp_proto::ProtocolError;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use crate::net::LinkEnd;
use crate::net::certificates::explained;

/// Why two servers do not come together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The network says no.
    #[error("{0}")]
    Network(io::Error),
    /// The other side has another secret, or none.
    #[error(
        "the other side has another secret, or certificate; give both sides the same \
         (`pp secret show` prints the one that is used here)"
    )]
    Stranger,
    /// A certificate is of the right authority, but not of this time.
    #[error(
        "the certificate of {0} side has expired, or is not valid yet: look at its dates, and \
         at the clocks of both machines"
    )]
    Untimely(&'static str),
    /// A certificate cannot be used for another reason.
    #[error("the certificate of the other side is not believed: {0}")]
    Certificate(String),
    /// The other side does not speak TLS, or not as it should.
    #[error("the other side does not speak TLS as a ppserver does: {0}")]
    Tls(rustls::Error),
    /// The other side does not speak our protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The other side says why it will not.
    #[error("it refuses: {0}")]
    Refused(String),
    /// The other side says something else than it should.
    #[error("the other side said {0} where a greeting should be")]
    Unexpected(&'static str),
    /// The connection ended right after.
    #[error(transparent)]
    Ended(#[from] LinkEnd),
    /// The other side took too long.
    #[error("the other side did not complete the handshake in {} s", .0.as_secs())]
    TooSlow(Duration),
}

/// Also of what TLS says: who dials may learn only from the first answer that he is refused.
impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        use rustls::Error;

        let inner = error.get_ref();
        match inner.and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::InvalidCertificate(fault)) => Self::of_certificate(fault),
            Some(Error::AlertReceived(alert)) => Self::of_alert(*alert),
            // One has a secret, the other certificates.
            Some(Error::PeerIncompatible(
                PeerIncompatible::IncorrectCertificateTypeExtension
                | PeerIncompatible::UnsolicitedCertificateTypeExtension,
            )) => Self::Stranger,
            Some(other) => Self::Tls(other.clone()),
            None => Self::Network(error),
        }
    }
}

impl HandshakeError {
    /// What is wrong with the other side's certificate, or key.
    fn of_certificate(fault: &CertificateError) -> Self {
        use CertificateError as Fault;

        match fault {
            Fault::Expired
            | Fault::ExpiredContext { .. }
            | Fault::NotValidYet
            | Fault::NotValidYetContext { .. } => Self::Untimely("the other"),
            Fault::ApplicationVerificationFailure | Fault::UnknownIssuer | Fault::BadSignature => {
                Self::Stranger
            }
            other => Self::Certificate(explained(other)),
        }
    }

    /// What the other side says of ours.
    fn of_alert(alert: AlertDescription) -> Self {
        use AlertDescription as Alert;

        match alert {
            Alert::CertificateExpired => Self::Untimely("this"),
            Alert::AccessDenied
            | Alert::BadCertificate
            | Alert::CertificateRequired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::HandshakeFailure
            | Alert::UnsupportedCertificate => Self::Stranger,
            other => Self::Tls(rustls::Error::AlertReceived(other)),
        }
    }
}
