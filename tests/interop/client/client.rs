//! What a case does with a client, whichever of ours it is.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use wsloop::handshake::{ClientRequest, Established, Proxy, ServerRefusal};
use wsloop::protocol::DeflateParameters;
use wsloop::{CloseCode, Compression, ConnectError, Message};

use super::blocking::Blocking;
use super::in_loop::InLoop;

/// Longer than anything takes here.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// What is longer, clients refuse. The servers accept more.
pub(crate) const MAX_MESSAGE: usize = 2 << 20;

/// How to get to a server, and with which client.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) make: Make,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) compression: Option<Compression>,
}

/// The clients there are.
#[derive(Clone, Copy)]
pub(crate) enum Make {
    /// `wsloop::client`.
    Blocking,
    /// A peer of an event loop.
    InLoop,
}

/// What to do about redirections.
#[derive(Clone, Copy)]
pub(crate) enum Redirects {
    Report,
    Follow,
}

impl Make {
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "blocking" => Ok(Self::Blocking),
            "in-loop" => Ok(Self::InLoop),
            _ => Err(format!("there is no client {name}")),
        }
    }
}

impl Dialer {
    /// Opens a connection.
    pub(crate) fn connect(
        &self,
        request: &ClientRequest,
        redirects: Redirects,
    ) -> Result<Box<dyn Client>, Failure> {
        Ok(match self.make {
            Make::Blocking => Box::new(Blocking::connect(request, redirects, self)?),
            Make::InLoop => Box::new(InLoop::connect(request, redirects, self)?),
        })
    }
}

/// A connection.
pub(crate) trait Client {
    fn send(&mut self, message: Message<'_>) -> Result<(), Box<dyn Error>>;

    fn ping(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>>;

    /// Waits for what the server sends next.
    fn receive(&mut self) -> Result<Received, Box<dyn Error>>;

    /// Closes, and returns the server's status code.
    fn close(&mut self, code: CloseCode, reason: &str) -> Result<u16, Box<dyn Error>>;

    fn subprotocol(&self) -> Option<&str>;

    /// How messages are compressed, if it was agreed that they are.
    fn deflate(&self) -> Option<DeflateParameters>;

    /// What the server answered, where that is told.
    fn established(&self) -> Option<&Established>;
}

/// What a server sends.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    /// The end, with status code and reason.
    Closed(u16, String),
}

impl From<Message<'_>> for Received {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_owned()),
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    /// What the server said, if it did.
    pub(crate) refusal: Option<Box<ServerRefusal>>,
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let text = error.to_string();
        match error {
            ConnectError::Refused(refusal) => Self { text, refusal: Some(refusal) },
            _ => Self { text, refusal: None },
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {}
