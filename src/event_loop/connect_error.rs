//! Why a connection to a server does not come about.

use std::{fmt, io};

use crate::handshake::{ProxyError, RedirectError, ResponseError, ServerRefusal, UrlError};

/// Why a connection that this loop was to make does not come about.
///
/// Returned by [`Peers::connect`](super::Peers::connect) if it is clear at once, and else handed to
/// [`Handler::on_connect_error`](super::Handler::on_connect_error).
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none to connect to.
    Url(UrlError),
    /// The environment names a proxy, but its URL is none.
    ProxyUrl(UrlError),
    /// The URL begins with `wss`, and this library was built without TLS.
    TlsUnavailable,
    /// There are as many connections as
    /// [`max_connections`](super::Config::max_connections) allows.
    TooManyConnections,
    /// The system has no randomness to give, without which no key can be made.
    NoRandomness(io::Error),
    /// The name has no address, or nobody could say which.
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
    /// What the server sent is no answer to an opening handshake.
    Response(ResponseError),
    /// The server said no, such as with 401, or with a redirection that is not to be followed.
    Refused(Box<ServerRefusal>),
    /// The server said to go elsewhere, and that cannot be done.
    Redirect(RedirectError),
    /// The connection broke in the middle of the opening handshake.
    Lost(io::Error),
    /// The application gave it up.
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
    /// To have the server answer the opening handshake.
    Handshake,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => write!(f, "{error}"),
            Self::ProxyUrl(error) => write!(f, "in the environment's URL of a proxy: {error}"),
            Self::TlsUnavailable => f.write_str("wss is not available, expected a ws URL"),
            Self::TooManyConnections => f.write_str("there are as many connections as allowed"),
            Self::NoRandomness(error) => write!(f, "no randomness from the system: {error}"),
            Self::Resolve(error) => write!(f, "could not resolve the name: {error}"),
            Self::Connect(error) => write!(f, "could not connect: {error}"),
            Self::TimedOut(step) => f.write_str(match step {
                ConnectStep::Resolve => "the name was not resolved in time",
                ConnectStep::Connect => "no address could be connected to in time",
                ConnectStep::Proxy => "the proxy did not connect to the server in time",
                ConnectStep::Handshake => "the server did not answer in time",
            }),
            Self::Proxy(error) => write!(f, "{error}"),
            Self::ProxyRefused(refusal) => write!(f, "by the proxy, {refusal}"),
            Self::Response(error) => write!(f, "{error}"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
            Self::Redirect(error) => write!(f, "{error}"),
            Self::Lost(error) => write!(f, "the connection broke: {error}"),
            Self::Aborted => f.write_str("the application gave it up"),
            Self::ShuttingDown => f.write_str("the event loop is shutting down"),
        }
    }
}

impl std::error::Error for ConnectError {}
