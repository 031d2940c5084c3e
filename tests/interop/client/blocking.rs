//! The client that blocks.

use std::error::Error;

use wsloop::client::{self, Connector};
use wsloop::handshake::{ClientRequest, Established};
use wsloop::protocol::{DeflateParameters, Event};
use wsloop::{CloseCode, Message};

use super::client::{Client, Dialer, Failure, LIMIT, MAX_MESSAGE, Received, Redirects};

pub(crate) struct Blocking(client::Client);

impl Blocking {
    pub(crate) fn connect(
        request: &ClientRequest,
        redirects: Redirects,
        dialer: &Dialer,
    ) -> Result<Self, Failure> {
        let mut connector = Connector::new()
            .connect_timeout(LIMIT)
            .read_timeout(Some(LIMIT))
            .max_message_size(MAX_MESSAGE as u64)
            .compression(dialer.compression);
        if let Some(proxy) = &dialer.proxy {
            connector = connector.proxy(proxy.clone());
        }
        if let Redirects::Follow = redirects {
            connector = connector.follow_redirects();
        }
        Ok(Self(connector.connect(request)?))
    }
}

impl Client for Blocking {
    fn send(&mut self, message: Message<'_>) -> Result<(), Box<dyn Error>> {
        Ok(self.0.send(message)?)
    }

    fn ping(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        Ok(self.0.ping(payload)?)
    }

    fn receive(&mut self) -> Result<Received, Box<dyn Error>> {
        let received = self.0.receive_event()?.map(|event| match event {
            Event::Message(message) => message.into(),
            Event::Ping(_) => Received::Ping,
            Event::Pong(payload) => Received::Pong(payload.to_owned()),
            Event::Piece(_) | Event::Close(_) => unreachable!("a client does not report these"),
        });
        Ok(received.unwrap_or_else(|| {
            let closed = self.0.closed().expect("there is nothing more to receive");
            Received::Closed(closed.code, closed.reason.to_string())
        }))
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<u16, Box<dyn Error>> {
        Ok(self.0.close(code, reason)?.code)
    }

    fn subprotocol(&self) -> Option<&str> {
        self.0.subprotocol()
    }

    fn deflate(&self) -> Option<DeflateParameters> {
        self.0.established().deflate()
    }

    fn established(&self) -> Option<&Established> {
        Some(self.0.established())
    }
}
