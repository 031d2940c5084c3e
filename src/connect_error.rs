//! Why a connection to a server does not come about, whoever was to make it.

use std::{error, fmt, io};

use crate::handshake::{ProxyError, RedirectError, ResponseError, ServerRefusal, UrlError};
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Why a connection to a server does not come about.
///
/// The blocking client returns it. So does the event loop, if it is clear at once; what turns out
/// later is told to the handler's `on_connect_error`.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none to connect to.
    Url(UrlError),
    /// The environment names a proxy, but its URL is none.
    ProxyUrl(UrlError),
    /// The URL begins with `wss`, and this library was built without the feature `tls`.
    TlsUnavailable,
    /// The system has no root certificates, without which no server can be trusted.
    #[cfg(feature = "tls")]
    NoRoots(io::Error),
    /// The system has no randomness to give, without which no key can be made.
    NoRandomness(io::Error),
    /// The name of the server, or of the proxy, has no address, or nobody could say which.
    Resolve(io::Error),
    /// None of the addresses could be connected to. This is what the most telling of the attempts
    /// ended with.
    Connect(io::Error),
    /// It took too long to come beyond this step.
    TimedOut(ConnectStep),
    /// The proxy broke the rules, or cannot connect to the server.
    Proxy(ProxyError),
    /// The proxy said no, such as with 407 to ask for credentials.
    ProxyRefused(Box<ServerRefusal>),
    /// TLS failed: most likely the server's certificate was rejected.
    #[cfg(feature = "tls")]
    Tls {
        /// What to go by.
        error: TlsError,
        /// What rustls says of it, such as which hosts the certificate is for.
        cause: Box<rustls::Error>,
    },
    /// What the server sent is no answer to an opening handshake.
    Response(ResponseError),
    /// The server said no, such as with 401, or with a redirection that is not to be followed. This
    /// is all that it said.
    Refused(Box<ServerRefusal>),
    /// The server said to go elsewhere, and that cannot be done.
    Redirect(RedirectError),
    /// The connection broke in the middle of the opening handshake.
    Lost(io::Error),
    /// The loop has as many connections as its `Config::max_connections` allows.
    TooManyConnections,
    /// The application gave it up before the connection was open.
    Aborted,
    /// The loop is shutting down.
    ShuttingDown,
}

/// A step on the way to a connection.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ConnectStep {
    /// To have the name resolved.
    Resolve,
    /// To have a TCP connection.
    Connect,
    /// To have the proxy connect to the server.
    Proxy,
    /// To complete the TLS handshake with the server.
    Tls,
    /// To have the server answer the opening handshake.
    Handshake,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "invalid URL: {error}"),
            Self::ProxyUrl(error) => write!(f, "in the environment's URL of a proxy: {error}"),
            Self::TlsUnavailable => f.write_str("wss is not available, expected a ws URL"),
            #[cfg(feature = "tls")]
            Self::NoRoots(error) => write!(f, "the system has no roots to trust: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls { error: error @ (TlsError::Certificate(_) | TlsError::Other), cause } => {
                write!(f, "{error}: {cause}")
            }
            #[cfg(feature = "tls")]
            Self::Tls { error, .. } => write!(f, "{error}"),
            Self::NoRandomness(error) => write!(f, "the system has no randomness: {error}"),
            Self::Resolve(error) => write!(f, "cannot resolve the name: {error}"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::TimedOut(step) => write!(f, "{step} in time"),
            Self::Proxy(error) => write!(f, "{error}"),
            Self::ProxyRefused(refusal) => write!(f, "the proxy does not connect: {refusal}"),
            Self::Response(error) => write!(f, "{error}"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Redirect(error) => write!(f, "{error}"),
            Self::Lost(error) => write!(f, "the connection broke before it was open: {error}"),
            Self::TooManyConnections => f.write_str("there are as many connections as allowed"),
            Self::Aborted => f.write_str("the application gave it up"),
            Self::ShuttingDown => f.write_str("the event loop is shutting down"),
        }
    }
}

impl fmt::Display for ConnectStep {
    /// Writes what did not happen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "the name was not resolved",
            Self::Connect => "no address could be connected to",
            Self::Proxy => "the proxy did not connect to the server",
            Self::Tls => "the server did not complete the TLS handshake",
            Self::Handshake => "the server did not answer",
        })
    }
}

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Url(error) | Self::ProxyUrl(error) => Some(error),
            Self::NoRandomness(error)
            | Self::Resolve(error)
            | Self::Connect(error)
            | Self::Lost(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::NoRoots(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls { cause, .. } => Some(&**cause),
            Self::Proxy(error) => Some(error),
            Self::ProxyRefused(refusal) | Self::Refused(refusal) => Some(refusal),
            Self::Response(error) => Some(error),
            Self::Redirect(error) => Some(error),
            Self::TlsUnavailable
            | Self::TimedOut(_)
            | Self::TooManyConnections
            | Self::Aborted
            | Self::ShuttingDown => None,
        }
    }
}

impl From<UrlError> for ConnectError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

#[cfg(feature = "client")]
impl ConnectError {
    /// The connection broke, unless it was TLS.
    pub(crate) fn lost(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        let error = match error.downcast::<rustls::Error>() {
            Ok(error) => return error.into(),
            Err(error) => error,
        };
        Self::Lost(error)
    }
}

#[cfg(feature = "tls")]
impl From<rustls::Error> for ConnectError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls { error: TlsError::from(&error), cause: Box::new(error) }
    }
}
