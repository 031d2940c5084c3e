//! TLS, by way of [rustls]: who a server is, who is trusted, and what goes wrong.
//!
//! A server has a [`TlsIdentity`], and that is all it needs. With a [`TlsServer`], it can replace that
//! while it listens, and ask clients for certificates.
//!
//! A client that connects to a `wss` URL trusts whom the system trusts, and needs nothing of this. To
//! trust others, or to show a certificate of one's own, is to hand in a [`ClientConfig`], which is
//! made by [`client_config`] or by rustls itself: its [`rustls`] is re-exported, so that it is the
//! same version.
//!
//! Cryptography is `ring`'s, in what is made here. The default of the process, which rustls keeps in
//! case nobody chooses, is neither asked for nor set.
//!
//! # Examples
//!
//! A server whose certificate is signed by an authority of one's own:
//!
//! ```no_run
//! # #[cfg(feature = "client")] {
//! use wsloop::client::Connector;
//! use wsloop::handshake::{ClientRequest, WsUrl};
//! use wsloop::tls;
//!
//! let roots = tls::roots_in_pem(&std::fs::read("authority.pem")?)?;
//! let connector = Connector::new().tls(tls::client_config(roots));
//! let client = connector.connect(&ClientRequest::new(WsUrl::parse("wss://intranet/")?))?;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [rustls]: https://docs.rs/rustls
//! [`ClientConfig`]: rustls::ClientConfig

mod error;
#[cfg(feature = "event-loop")]
mod identity;
#[cfg(feature = "event-loop")]
mod server;
mod trust;

pub use self::error::{CertificateError, TlsError};
#[cfg(feature = "event-loop")]
pub use self::identity::{IdentityError, TlsIdentity};
#[cfg(feature = "event-loop")]
pub use self::server::{ClientCertificates, TlsServer, TlsSession};
#[cfg(any(feature = "client", feature = "event-loop"))]
pub(crate) use self::trust::{begin, check_protocol};
pub use self::trust::{client_config, roots_in_pem, system_config, system_roots};
#[doc(no_inline)]
pub use rustls;
