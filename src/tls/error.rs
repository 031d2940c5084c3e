//! What goes wrong in TLS, as values to match on.

use std::fmt;

use rustls::{AlertDescription, CertificateError as Rejection, InvalidMessage, PeerIncompatible};

/// Why TLS failed.
///
/// Made from what rustls says, which has more to tell, and changes with its versions.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TlsError {
    /// What the other side sent is no TLS.
    NotTls,
    /// The other side's certificate was rejected by this one.
    Certificate(CertificateError),
    /// The other side asks for a certificate, and got none.
    CertificateRequired,
    /// The host is nothing that a certificate could be for.
    Name,
    /// There is no version of TLS that both sides speak.
    Version,
    /// There is no cipher suite, group or signature scheme that both sides know.
    Algorithms,
    /// The server chose something to be spoken within TLS that is not HTTP/1.1.
    ApplicationProtocol,
    /// The other side gave up, and sent this alert (RFC 8446 §6).
    Alert(u8),
    /// The stream ended without a `close_notify`: something may have been cut off (RFC 8446 §6.1).
    Truncated,
    /// The other side broke the rules of TLS, or somebody on the way changed what it sent.
    Violation,
    /// Anything else, such as what a verifier of the application's own says.
    Other,
}

/// Why a certificate is rejected.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CertificateError {
    /// Its time is over.
    Expired,
    /// Its time has not come. Is the clock right?
    NotYetValid,
    /// It is for other hosts than the one that was asked for.
    WrongHost,
    /// Nobody who is trusted has issued it: it may be self-signed, or lack an intermediate one.
    UnknownIssuer,
    /// Its issuer has taken it back.
    Revoked,
    /// It may not be used for this, such as one of a client by a server.
    Purpose,
    /// It is signed in a way that is not known, or not trusted any more.
    Algorithm,
    /// It, or what was signed with its key, was not signed by whom it should be.
    Signature,
    /// There was none.
    Missing,
    /// It cannot be understood.
    Malformed,
    /// Anything else.
    Other,
}

impl From<&rustls::Error> for TlsError {
    fn from(error: &rustls::Error) -> Self {
        use rustls::Error;
        match error {
            Error::InvalidMessage(
                InvalidMessage::InvalidContentType
                | InvalidMessage::MessageTooLarge
                | InvalidMessage::UnknownProtocolVersion,
            ) => Self::NotTls,
            Error::InvalidCertificate(rejection) => Self::Certificate(rejection.into()),
            Error::NoCertificatesPresented => Self::Certificate(CertificateError::Missing),
            Error::UnsupportedNameType => Self::Name,
            Error::NoApplicationProtocol => Self::ApplicationProtocol,
            Error::AlertReceived(alert) => Self::from_alert(*alert),
            Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::SupportedVersionsExtensionRequired
                | PeerIncompatible::Tls12NotOffered
                | PeerIncompatible::Tls12NotOfferedOrEnabled
                | PeerIncompatible::Tls13RequiredForQuic,
            ) => Self::Version,
            Error::PeerIncompatible(_) => Self::Algorithms,
            Error::InvalidMessage(_)
            | Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::DecryptError
            | Error::PeerMisbehaved(_)
            | Error::PeerSentOversizedRecord => Self::Violation,
            _ => Self::Other,
        }
    }
}

impl TlsError {
    fn from_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::ProtocolVersion => Self::Version,
            AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => {
                Self::Algorithms
            }
            AlertDescription::CertificateRequired => Self::CertificateRequired,
            AlertDescription::NoApplicationProtocol => Self::ApplicationProtocol,
            alert => Self::Alert(alert.into()),
        }
    }
}

impl From<&Rejection> for CertificateError {
    fn from(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::Expired | Rejection::ExpiredContext { .. } => Self::Expired,
            Rejection::NotValidYet | Rejection::NotValidYetContext { .. } => Self::NotYetValid,
            Rejection::NotValidForName | Rejection::NotValidForNameContext { .. } => {
                Self::WrongHost
            }
            Rejection::UnknownIssuer => Self::UnknownIssuer,
            Rejection::Revoked => Self::Revoked,
            Rejection::InvalidPurpose | Rejection::InvalidPurposeContext { .. } => Self::Purpose,
            Rejection::UnsupportedSignatureAlgorithmContext { .. }
            | Rejection::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::Algorithm,
            Rejection::BadSignature => Self::Signature,
            Rejection::BadEncoding | Rejection::UnhandledCriticalExtension => Self::Malformed,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls => "expected TLS, got something else: should the URL begin with ws://?",
            Self::Certificate(error) => return write!(f, "{error}"),
            Self::CertificateRequired => "the other side asks for a certificate, and got none",
            Self::Name => "the host is neither a name nor an address that a certificate is for",
            Self::Version => "no version of TLS in common, expected 1.2 or 1.3",
            Self::Algorithms => "no cipher suite, group or signature scheme in common",
            Self::ApplicationProtocol => "expected http/1.1 to be spoken within TLS (ALPN)",
            Self::Alert(alert) => return write_alert(f, *alert),
            Self::Truncated => "the stream ended without a close_notify: it may be cut off",
            Self::Violation => "the other side broke the rules of TLS",
            Self::Other => "TLS failed",
        })
    }
}

fn write_alert(f: &mut fmt::Formatter<'_>, alert: u8) -> fmt::Result {
    match AlertDescription::from(alert).as_str() {
        Some(name) => write!(f, "the other side gave up: TLS alert {alert}, {name}"),
        None => write!(f, "the other side gave up: TLS alert {alert}"),
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet: is the clock right?",
            Self::WrongHost => "the certificate is for another host",
            Self::UnknownIssuer => "the certificate was issued by nobody who is trusted",
            Self::Revoked => "the certificate has been revoked by its issuer",
            Self::Purpose => "the certificate is for another purpose",
            Self::Algorithm => "the certificate has a signature of a kind that is not accepted",
            Self::Signature => "the certificate does not belong to who signed",
            Self::Missing => "there is no certificate, expected one",
            Self::Malformed => "the certificate is malformed",
            Self::Other => "the certificate was rejected",
        })
    }
}

impl std::error::Error for TlsError {}

impl std::error::Error for CertificateError {}
