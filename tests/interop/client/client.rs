//! What a case does with a client, whichever of ours it is.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use wsloop::client::{self, ConnectError, Connector};
use wsloop::handshake::{ClientRequest, Established, Proxy, ServerRefusal};
use wsloop::protocol::Event;
use wsloop::{CloseCode, Message};

/// Longer than anything takes here.
const LIMIT: Duration = Duration::from_secs(20);

/// What is longer, clients refuse. The servers accept more.
pub(crate) const MAX_MESSAGE: usize = 2 << 20;

/// How to get to a server.
pub(crate) struct Dialer {
    pub(crate) proxy: Option<Proxy>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) text: String,
    /// What the server said, if it did.
    pub(crate) refusal: Option<Box<ServerRefusal>>,
}

/// A connection.
pub(crate) struct Client(client::Client);

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

impl Dialer {
    /// Opens a connection, without following redirections.
    pub(crate) fn connect(&self, request: &ClientRequest) -> Result<Client, Failure> {
        Ok(Client(self.connector().connect(request)?))
    }

    /// Opens a connection, wherever redirections lead.
    pub(crate) fn follow(&self, request: &ClientRequest) -> Result<Client, Failure> {
        Ok(Client(self.connector().follow_redirects().connect(request)?))
    }

    fn connector(&self) -> Connector {
        let connector = Connector::new()
            .connect_timeout(LIMIT)
            .read_timeout(Some(LIMIT))
            .max_message_size(MAX_MESSAGE as u64);
        match &self.proxy {
            Some(proxy) => connector.proxy(proxy.clone()),
            None => connector,
        }
    }
}

impl Client {
    pub(crate) fn send<'a>(
        &mut self,
        message: impl Into<Message<'a>>,
    ) -> Result<(), client::Error> {
        self.0.send(message)
    }

    pub(crate) fn ping(&mut self, payload: &[u8]) -> Result<(), client::Error> {
        self.0.ping(payload)
    }

    /// Waits for what comes next.
    pub(crate) fn receive(&mut self) -> Result<Received, client::Error> {
        let received = self.0.receive_event()?.map(|event| match event {
            Event::Message(Message::Text(text)) => Received::Text(text.to_owned()),
            Event::Message(Message::Binary(bytes)) => Received::Binary(bytes.to_owned()),
            Event::Ping(_) => Received::Ping,
            Event::Pong(payload) => Received::Pong(payload.to_owned()),
            Event::Piece(_) | Event::Close(_) => unreachable!("a client does not report these"),
        });
        Ok(received.unwrap_or_else(|| {
            let closed = self.0.closed().expect("there is nothing more to receive");
            Received::Closed(closed.code, closed.reason.to_string())
        }))
    }

    /// Closes, and returns the server's status code.
    pub(crate) fn close(&mut self, code: CloseCode, reason: &str) -> Result<u16, client::Error> {
        self.0.close(code, reason).map(|closed| closed.code)
    }

    /// What the server answered.
    pub(crate) fn established(&self) -> &Established {
        self.0.established()
    }
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
