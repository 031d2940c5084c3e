//! Who a server is: certificates, and the keys that go with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{error, fmt, fs, io};

use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Who a server is: a certificate, those that vouch for it, and its private key.
///
/// # Examples
///
/// A server for two names. Each client is shown the certificate for the name that it asks for:
///
/// ```no_run
/// use wsloop::{EventLoop, TlsIdentity};
///
/// let example = TlsIdentity::from_pem_files("example.org.pem", "example.org.key")?;
/// let other = TlsIdentity::from_pem_files("example.net.pem", "example.net.key")?;
///
/// let mut event_loop = EventLoop::new()?;
/// event_loop.listen_tls("0.0.0.0:443", example.or(other))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use = "an identity is of use to a listener"]
pub struct TlsIdentity {
    /// At least one. The first is shown to whoever asks for no name, or for one that none is for.
    keys: Vec<Arc<CertifiedKey>>,
}

/// Why there is no [`TlsIdentity`] in what was given.
#[derive(Debug)]
#[non_exhaustive]
pub enum IdentityError {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// What should hold certificates is not PEM.
    Certificates(pem::Error),
    /// There is no certificate in what should hold them.
    NoCertificate,
    /// What should hold the private key is not PEM, or holds none.
    Key(pem::Error),
    /// The key is of a kind that is not supported, or not the certificate's.
    Mismatch(rustls::Error),
}

impl TlsIdentity {
    /// Reads two files: the certificate, followed by those that vouch for it, and its private key.
    ///
    /// Both are PEM. The key may be PKCS #8, PKCS #1 or SEC1, but not encrypted.
    ///
    /// # Errors
    ///
    /// Fails if a file cannot be read, and as [`from_pem`](Self::from_pem) does.
    pub fn from_pem_files(
        certificates: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, IdentityError> {
        Self::from_pem(&read(certificates.as_ref())?, &read(key.as_ref())?)
    }

    /// Makes an identity of what is in such files.
    ///
    /// # Errors
    ///
    /// Fails if one of them is not PEM or does not hold what it should, if the key is not the
    /// certificate's, or of a kind that is not supported.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(IdentityError::Certificates)?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(IdentityError::Key)?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(IdentityError::Mismatch)?;
        Ok(Self { keys: vec![Arc::new(key)] })
    }

    /// Adds the identities of `other`, for clients that ask for a name in their certificates (SNI,
    /// RFC 6066 §3) or cannot verify the signatures of those before them.
    ///
    /// Whoever asks for no name, or for one that is in none of them, is shown the first.
    pub fn or(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    fn for_name(&self, hello: &ClientHello<'_>, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = ServerName::try_from(name).ok()?;
        let mut fitting = self.keys.iter().filter(|key| is_for(key, &name));
        let first = fitting.clone().next();
        let verifiable =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        fitting.find(verifiable).or(first)
    }
}

impl ResolvesServerCert for TlsIdentity {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let key = hello.server_name().and_then(|name| self.for_name(&hello, name));
        key.or_else(|| self.keys.first()).map(Arc::clone)
    }
}

fn is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.cert.first().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
    parsed.is_some_and(|leaf| verify_server_name(&leaf, name).is_ok())
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    fs::read(path).map_err(|error| IdentityError::Read(path.to_owned(), error))
}

impl fmt::Debug for TlsIdentity {
    /// Writes no key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").field("certificates", &self.keys.len()).finish()
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Certificates(error) => write!(f, "the certificates are not PEM: {error}"),
            Self::NoCertificate => f.write_str("there is no certificate"),
            Self::Key(error) => write!(f, "there is no private key, or it is encrypted: {error}"),
            Self::Mismatch(error) => write!(f, "the private key cannot be used: {error}"),
        }
    }
}

impl error::Error for IdentityError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read(_, error) => Some(error),
            Self::Certificates(error) | Self::Key(error) => Some(error),
            Self::Mismatch(error) => Some(error),
            Self::NoCertificate => None,
        }
    }
}
