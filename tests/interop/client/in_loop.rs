//! The client that is a peer of an event loop.

use std::collections::VecDeque;
use std::error::Error;

use wsloop::handshake::{ClientRequest, Established};
use wsloop::protocol::DeflateParameters;
use wsloop::{
    Close, CloseCode, Config, Connect, ConnectError, EventLoop, Handler, Message, Peer, PeerId,
    Peers, TimerId,
};

use super::client::{Client, Dialer, Failure, LIMIT, MAX_MESSAGE, Received, Redirects};

/// A loop with one peer.
pub(crate) struct InLoop {
    event_loop: EventLoop,
    peer: PeerId,
    told: Told,
}

/// What the loop has told and nobody has asked for.
#[derive(Default)]
struct Told {
    /// How it went with the connection.
    connected: Option<Result<(), ConnectError>>,
    subprotocol: Option<String>,
    deflate: Option<DeflateParameters>,
    received: VecDeque<Result<Received, String>>,
}

impl InLoop {
    pub(crate) fn connect(
        request: &ClientRequest,
        redirects: Redirects,
        dialer: &Dialer,
    ) -> Result<Self, Failure> {
        let mut connect = Connect::new(request.clone());
        if let Some(proxy) = &dialer.proxy {
            connect = connect.proxy(proxy.clone());
        }
        if let Redirects::Follow = redirects {
            connect = connect.follow_redirects();
        }
        let config =
            Config::new().max_message_size(MAX_MESSAGE as u64).compression(dialer.compression);
        let mut event_loop = EventLoop::with_config(config).map_err(|error| failure(&error))?;
        event_loop.peers().set_timer(LIMIT);
        let peer = event_loop.connect_with(connect)?;
        let mut it = Self { event_loop, peer, told: Told::default() };
        while it.told.received.is_empty() {
            match it.told.connected.take() {
                Some(Ok(())) => return Ok(it),
                Some(Err(error)) => return Err(error.into()),
                None => it.turn().map_err(|error| failure(&*error))?,
            }
        }
        Err(Failure { text: "neither connected nor refused".to_owned(), refusal: None })
    }

    fn turn(&mut self) -> Result<(), Box<dyn Error>> {
        Ok(self.event_loop.turn(&mut self.told, None)?)
    }
}

impl Drop for InLoop {
    /// Sees the connection to its end: a loop that is dropped breaks off all it has.
    fn drop(&mut self) {
        self.event_loop.peers().shutdown(LIMIT);
        while !self.event_loop.is_finished() && self.turn().is_ok() {}
    }
}

impl Handler for Told {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.connected = Some(Ok(()));
        self.subprotocol = peer.subprotocol().map(str::to_owned);
        let id = peer.id();
        self.deflate = peer.peers().deflate(id);
    }

    fn on_connect_error(&mut self, _: &mut Peers, _: PeerId, error: ConnectError) {
        self.connected = Some(Err(error));
    }

    fn on_message(&mut self, _: &mut Peer<'_>, message: Message<'_>) {
        self.received.push_back(Ok(message.into()));
    }

    fn on_ping(&mut self, _: &mut Peer<'_>, _: &[u8]) {
        self.received.push_back(Ok(Received::Ping));
    }

    fn on_pong(&mut self, _: &mut Peer<'_>, payload: &[u8]) {
        self.received.push_back(Ok(Received::Pong(payload.to_owned())));
    }

    fn on_close(&mut self, _: &mut Peer<'_>, close: Close<'_>) {
        self.received.push_back(match close.clean {
            true => Ok(Received::Closed(close.code, close.reason.to_owned())),
            false => Err(close.to_string()),
        });
    }

    fn on_timer(&mut self, _: &mut Peers, _: TimerId) {
        self.received.push_back(Err("it took too long".to_owned()));
    }
}

impl Client for InLoop {
    fn send(&mut self, message: Message<'_>) -> Result<(), Box<dyn Error>> {
        self.event_loop.peers().send(self.peer, message);
        Ok(())
    }

    fn ping(&mut self, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        self.event_loop.peers().ping(self.peer, payload);
        Ok(())
    }

    fn receive(&mut self) -> Result<Received, Box<dyn Error>> {
        loop {
            match self.told.received.pop_front() {
                Some(received) => return Ok(received?),
                None => self.turn()?,
            }
        }
    }

    fn close(&mut self, code: CloseCode, reason: &str) -> Result<u16, Box<dyn Error>> {
        self.event_loop.peers().close(self.peer, code, reason);
        loop {
            if let Received::Closed(code, _) = self.receive()? {
                return Ok(code);
            }
        }
    }

    fn subprotocol(&self) -> Option<&str> {
        self.told.subprotocol.as_deref()
    }

    fn deflate(&self) -> Option<DeflateParameters> {
        self.told.deflate
    }

    fn established(&self) -> Option<&Established> {
        None
    }
}

fn failure(error: &dyn Error) -> Failure {
    Failure { text: error.to_string(), refusal: None }
}
