//! What a listener tells its clients of itself, and asks of them.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientCertVerifierBuilder, ServerConfig, ServerConnection, WebPkiClientVerifier,
};

use rustls::{ProtocolVersion, RootCertStore};

use super::TlsIdentity;
use super::trust::HTTP_1_1;

/// How a listener speaks TLS; can be replaced while it listens.
///
/// A [`TlsIdentity`] is enough to make one, and so is a configuration of rustls's own. Clones are
/// the same one: what [`reload`](Self::reload) does to one is done to all, from any thread.
///
/// Made from an identity, it speaks TLS 1.2 and 1.3 and resumes sessions, without keeping anything
/// for them (by tickets, RFC 8446 §2.2, whose key changes every six hours). Of application
/// protocols (ALPN) it knows `http/1.1`.
///
/// # Examples
///
/// Certificates that are renewed while the server runs:
///
/// ```no_run
/// use wsloop::{EventLoop, TlsIdentity, TlsServer};
///
/// let identity = || TlsIdentity::from_pem_files("chain.pem", "key.pem");
/// let tls = TlsServer::new(identity()?);
///
/// let mut event_loop = EventLoop::new()?;
/// event_loop.listen_tls("0.0.0.0:443", tls.clone())?;
///
/// // Later, in whichever thread is told of the renewal:
/// tls.reload(identity()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TlsServer {
    config: Arc<Mutex<Arc<ServerConfig>>>,
}

impl TlsServer {
    /// Shows clients this identity, and asks for none of theirs.
    pub fn new(identity: TlsIdentity) -> Self {
        config(identity, WebPkiClientVerifier::no_client_auth()).into()
    }

    /// Shows clients this identity, and asks for their certificates.
    pub fn asking(identity: TlsIdentity, clients: ClientCertificates) -> Self {
        config(identity, clients.verifier).into()
    }

    /// Replaces everything by what is in another one, for the connections that come from now on.
    ///
    /// Those that are there go on with what they have. Sessions from before are not resumed: what
    /// was replaced need not be as trustworthy as what it is replaced by.
    pub fn reload(&self, by: impl Into<Self>) {
        let config = by.into().config();
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// What is to be used for the next connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl From<TlsIdentity> for TlsServer {
    fn from(identity: TlsIdentity) -> Self {
        Self::new(identity)
    }
}

impl From<Arc<ServerConfig>> for TlsServer {
    /// Takes a configuration as it is. It should offer the protocol `http/1.1`, or none.
    fn from(config: Arc<ServerConfig>) -> Self {
        Self { config: Arc::new(Mutex::new(config)) }
    }
}

fn config(identity: TlsIdentity, clients: Arc<dyn ClientCertVerifier>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has cipher suites for TLS 1.2 and 1.3")
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(identity));
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // Without randomness for a key, the last few sessions are kept in memory instead.
    if let Ok(tickets) = ring::Ticketer::new() {
        config.ticketer = tickets;
    }
    Arc::new(config)
}

/// Whose certificates clients may show, or have to.
#[derive(Clone, Debug)]
#[must_use = "nobody is asked before it is handed to `TlsServer::asking`"]
pub struct ClientCertificates {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientCertificates {
    /// Lets in nobody who has no certificate that one of these authorities vouches for, such as
    /// those that [`roots_in_pem`](super::roots_in_pem) reads.
    ///
    /// # Errors
    ///
    /// Fails if there are none.
    pub fn required(authorities: RootCertStore) -> io::Result<Self> {
        Self::verified_by(builder(authorities))
    }

    /// Lets in those as well who show no certificate at all: see
    /// [`TlsSession::certificates`]. Who shows a wrong one is turned away.
    ///
    /// # Errors
    ///
    /// Fails if there are none.
    pub fn optional(authorities: RootCertStore) -> io::Result<Self> {
        Self::verified_by(builder(authorities).allow_unauthenticated())
    }

    fn verified_by(builder: ClientCertVerifierBuilder) -> io::Result<Self> {
        match builder.build() {
            Ok(verifier) => Ok(Self { verifier }),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
        }
    }
}

fn builder(authorities: RootCertStore) -> ClientCertVerifierBuilder {
    let provider = Arc::new(ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
}

/// What TLS tells of a client, by the time of its request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TlsSession {
    /// The version that was agreed on.
    pub version: Option<ProtocolVersion>,
    /// The name that the client asked for (SNI, RFC 6066 §3). It has no need to be the `Host`.
    pub server_name: Option<String>,
    /// The certificate that the client has shown and its authority vouches for, followed by those
    /// in between. None if it was not asked, or did not want to.
    pub certificates: Vec<CertificateDer<'static>>,
}

impl TlsSession {
    pub(crate) fn of(connection: &ServerConnection) -> Self {
        Self {
            version: connection.protocol_version(),
            server_name: connection.server_name().map(str::to_owned),
            certificates: connection.peer_certificates().unwrap_or_default().to_vec(),
        }
    }
}
