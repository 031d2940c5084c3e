//! Whom clients trust.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
#[cfg(any(feature = "client", feature = "event-loop"))]
use rustls::{ClientConnection, pki_types::ServerName};

/// The one protocol that is spoken within TLS, as ALPN knows it (RFC 7301 §6).
pub(super) const HTTP_1_1: &[u8] = b"http/1.1";

/// Returns the configuration that trusts [the system's roots](system_roots).
///
/// It is made once for the process, when it is first needed, and shared: with it go the sessions that
/// servers let clients resume. Roots that are installed later are seen by the next process.
///
/// # Errors
///
/// Fails as [`system_roots`] does, and tries again when it is next needed.
pub fn system_config() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(Arc::clone(config));
    }
    let config = client_config(system_roots()?);
    Ok(Arc::clone(CONFIG.get_or_init(|| config)))
}

/// Makes a configuration that trusts these roots, and nobody else.
///
/// It offers TLS 1.3 and 1.2, with ALPN's `http/1.1`, and resumes up to 256 sessions. Clients of the
/// same servers had better share one.
#[must_use]
pub fn client_config(roots: RootCertStore) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let Ok(builder) = builder.with_safe_default_protocol_versions() else {
        unreachable!("ring has cipher suites for both versions")
    };
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Arc::new(config)
}

/// Reads the roots that the system trusts.
///
/// Where `SSL_CERT_FILE` or `SSL_CERT_DIR` are set, it is the roots in there instead. Some may be of a
/// kind that rustls does not know, and are left out.
///
/// # Errors
///
/// Fails if there are none, as in a container without the package `ca-certificates`, and says what is
/// missing.
pub fn system_roots() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        return Err(no_roots(found.errors.first()));
    }
    Ok(roots)
}

/// Reads roots from the contents of a PEM file.
///
/// A server's certificate that is signed with its own key can be one, as long as it does not say that
/// it is an authority's, as `openssl req -x509` makes it say by default: for a server, an authority is
/// rejected (`CaUsedAsEndEntity`).
///
/// To trust them besides those of the system, add them to these: the field `roots` of a
/// [`RootCertStore`] is a vector.
///
/// # Errors
///
/// Fails if there are none, or if any of them is malformed.
pub fn roots_in_pem(pem: &[u8]) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
        roots.add(certificate).map_err(|error| invalid(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(invalid("no certificate, expected -----BEGIN CERTIFICATE-----".to_owned()));
    }
    Ok(roots)
}

/// Begins a TLS connection to a server: a host without brackets, by name or address.
///
/// # Errors
///
/// Fails if no certificate could be for such a name.
#[cfg(any(feature = "client", feature = "event-loop"))]
pub(crate) fn begin(
    config: &Arc<ClientConfig>,
    host: &str,
) -> Result<ClientConnection, rustls::Error> {
    let name = ServerName::try_from(host).map_err(|_| rustls::Error::UnsupportedNameType)?;
    ClientConnection::new(Arc::clone(config), name.to_owned())
}

/// Checks that the server has not chosen something to be spoken that is not HTTP/1.1, from an offer
/// that the application made.
///
/// # Errors
///
/// Fails if it has. To have chosen nothing is fine: not every server knows ALPN.
#[cfg(any(feature = "client", feature = "event-loop"))]
pub(crate) fn check_protocol(connection: &ClientConnection) -> Result<(), rustls::Error> {
    match connection.alpn_protocol() {
        None | Some(HTTP_1_1) => Ok(()),
        Some(_) => Err(rustls::Error::NoApplicationProtocol),
    }
}

fn no_roots(error: Option<&rustls_native_certs::Error>) -> io::Error {
    let missing = "found none, expected those of the package ca-certificates, or some where \
                   SSL_CERT_FILE or SSL_CERT_DIR say";
    let message = match error {
        Some(error) => format!("{missing}: {error}"),
        None => missing.to_owned(),
    };
    io::Error::new(io::ErrorKind::NotFound, message)
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}
