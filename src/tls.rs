//! TLS, by way of [`rustls`]: who a server is, and whom a client trusts.
//!
//! Cryptography is ring's, whatever other providers a program links and whether it has installed
//! one for the process: nothing here looks at that, so that nothing can be missing when the first
//! connection comes. Whoever hands in a configuration of rustls's own brings a provider along.

mod identity;
mod server;

pub use rustls;

pub use self::identity::{IdentityError, TlsIdentity};
pub use self::server::{ClientCertificates, TlsServer, TlsSession};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// What of HTTP is spoken within TLS, RFC 7301 §6: the opening handshake is one of HTTP/1.1.
pub(crate) const ALPN: &[u8] = b"http/1.1";

/// The one source of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
