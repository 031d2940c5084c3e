//! Why there is no connection.

use std::{error, fmt, io};

use crate::handshake::{ProxyError, RedirectError, ResponseError, ServerRefusal, UrlError};

/// Why a client could not connect, by whose affair it is.
#[non_exhaustive]
#[derive(Debug)]
pub enum ConnectError {
    /// The URL is none to connect to.
    Url(UrlError),
    /// The URL is `wss`, and this build has no TLS.
    TlsUnavailable,
    /// The environment names a proxy by something that is no URL of one.
    ProxyUrl(UrlError),
    /// The name of the server, or of the proxy, could not be resolved.
    Resolve(io::Error),
    /// None of the addresses could be connected to. This is what the last one said, of those that
    /// said anything.
    Connect(io::Error),
    /// The proxy broke the rules, or cannot connect.
    Proxy(ProxyError),
    /// The proxy refuses, such as with 407.
    ProxyRefused(Box<ServerRefusal>),
    /// What the server answered is no answer to an opening handshake.
    Response(ResponseError),
    /// The server does not upgrade. This says what it said, redirections included unless they are
    /// [followed](super::Connector::follow_redirects).
    Refused(Box<ServerRefusal>),
    /// A redirection that is not followed.
    Redirect(RedirectError),
    /// The connection broke before it was open.
    Lost(io::Error),
    /// The [time](super::Connector::connect_timeout) was up.
    TimedOut(ConnectStep),
    /// The operating system has no randomness to give.
    NoRandomness(io::Error),
}

/// A step on the way to a connection: what was being waited for when the time was up.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ConnectStep {
    /// The addresses of a name.
    Resolve,
    /// A TCP connection.
    Connect,
    /// What the proxy says.
    Proxy,
    /// What the server says.
    Handshake,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "invalid URL: {error}"),
            Self::TlsUnavailable => f.write_str("wss is not available, expected a ws URL"),
            Self::ProxyUrl(error) => write!(f, "the environment's proxy has no valid URL: {error}"),
            Self::Resolve(error) => write!(f, "cannot resolve the name: {error}"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Proxy(error) => write!(f, "{error}"),
            Self::ProxyRefused(refusal) => write!(f, "the proxy does not connect: {refusal}"),
            Self::Response(error) => write!(f, "no opening handshake: {error}"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Redirect(error) => write!(f, "{error}"),
            Self::Lost(error) => write!(f, "the connection broke before it was open: {error}"),
            Self::TimedOut(step) => write!(f, "it took too long {step}"),
            Self::NoRandomness(error) => write!(f, "the system has no randomness: {error}"),
        }
    }
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "to resolve the name",
            Self::Connect => "to connect",
            Self::Proxy => "until the proxy had answered",
            Self::Handshake => "until the server had answered",
        })
    }
}

impl error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Url(error) | Self::ProxyUrl(error) => Some(error),
            Self::Resolve(error)
            | Self::Connect(error)
            | Self::Lost(error)
            | Self::NoRandomness(error) => Some(error),
            Self::Proxy(error) => Some(error),
            Self::ProxyRefused(refusal) | Self::Refused(refusal) => Some(refusal),
            Self::Response(error) => Some(error),
            Self::Redirect(error) => Some(error),
            Self::TlsUnavailable | Self::TimedOut(_) => None,
        }
    }
}

impl From<UrlError> for ConnectError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}
