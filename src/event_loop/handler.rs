//! What an application does with events.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;

use super::deferred::Deferred;
use super::inbox::Inbox;
use super::{Close, ConnectError, Peer, PeerId, Peers, Retry, TimerId};
use crate::handshake::{Acceptance, InvalidField, Offer, Refusal, Request, Response};
use crate::protocol::{CloseCode, Message, Piece};
#[cfg(feature = "tls")]
use crate::tls::TlsSession;

/// An application: one value that is told of everything that happens to all peers.
///
/// Its state is `self`. The loop calls it from one thread, one call at a time, so that it needs no
/// locks, and borrows it only while [`run`](super::EventLoop::run) or
/// [`turn`](super::EventLoop::turn) does, so that it need not be `'static`. A closure
/// `FnMut(&mut Peer<'_>, Message<'_>)` is a handler that only receives messages.
///
/// Whatever a handler does takes effect after it returns: sends are written once per turn, closings
/// begin behind what was sent before. A handler may close or abort any peer, the one it was called
/// for included.
///
/// # Examples
///
/// ```
/// use wsloop::{Close, Handler, Message, Peer};
///
/// /// Tells everyone what anyone says.
/// #[derive(Default)]
/// struct Room {
///     messages: u64,
/// }
///
/// impl Handler for Room {
///     fn on_open(&mut self, peer: &mut Peer<'_>) {
///         peer.send(format!("{} messages so far", self.messages).as_str());
///     }
///
///     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
///         self.messages += 1;
///         peer.peers().broadcast(message);
///     }
///
///     fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
///         eprintln!("{} is gone: {close}", peer.id());
///     }
/// }
/// ```
pub trait Handler {
    /// Decides about an HTTP request: upgrades it to a WebSocket connection, answers it, or defers
    /// the decision.
    ///
    /// By default, what asks for an upgrade is upgraded, and anything else is answered with 426.
    /// The request has passed all checks of RFC 6455 §4.2.1 and the origin policy when this is
    /// called.
    fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        let _ = peers;
        request.upgrade()
    }

    /// Called when a peer's opening handshake is done: from now on it can be sent messages.
    ///
    /// [`Peer::is_server`] tells whether it is one that this loop has connected to.
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        let _ = peer;
    }

    /// Called for each message, when it is complete.
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>);

    /// Called for each piece of a message as it arrives, in place of
    /// [`on_message`](Self::on_message), if that is what [`Delivery`](super::Delivery) asks for.
    ///
    /// Pieces are what a read happens to bring: frames are cut and come together as the network
    /// has it. A peer's pieces come in order, those of its next message after the last of this
    /// one, with those of other peers between them. Text is checked as it arrives, and no piece of
    /// it ends inside a character. What came of a message that is never completed, because the
    /// connection ends, is followed by `on_close`.
    ///
    /// By default, the peer is closed with status code 1011: whoever asks for pieces has to take
    /// them.
    ///
    /// # Examples
    ///
    /// An echo server for messages of any size, which holds none of them:
    ///
    /// ```
    /// use wsloop::{CloseCode, Config, Delivery, EventLoop, Handler, Message, Peer, Piece};
    /// use wsloop::{SendStatus, StreamError};
    ///
    /// struct Echo;
    ///
    /// impl Handler for Echo {
    ///     fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
    ///         if echo(peer, piece).is_err() {
    ///             peer.close(CloseCode::INTERNAL_ERROR, "out of step");
    ///         }
    ///     }
    ///
    ///     fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}
    /// }
    ///
    /// fn echo(peer: &mut Peer<'_>, piece: Piece<'_>) -> Result<SendStatus, StreamError> {
    ///     if piece.first {
    ///         peer.begin_message(piece.message.message_type())?;
    ///     }
    ///     match piece.last {
    ///         false => peer.write(piece.message),
    ///         true => peer.write_last(piece.message),
    ///     }
    /// }
    ///
    /// let config = Config::new().delivery(Delivery::Pieces).max_message_size(u64::MAX);
    /// let mut event_loop = EventLoop::with_config(config)?;
    /// # event_loop.peers().shutdown(std::time::Duration::ZERO);
    /// event_loop.run(&mut Echo)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        let _ = piece;
        peer.close(CloseCode::INTERNAL_ERROR, "messages are not taken in pieces here");
    }

    /// Called for each Ping, which has been answered by then (RFC 6455 §5.5.2).
    fn on_ping(&mut self, peer: &mut Peer<'_>, payload: &[u8]) {
        let _ = (peer, payload);
    }

    /// Called for each Pong, except those that answer the loop's own Pings.
    fn on_pong(&mut self, peer: &mut Peer<'_>, payload: &[u8]) {
        let _ = (peer, payload);
    }

    /// Called when a peer for which `send` or `write` has said
    /// [`Congested`](super::SendStatus::Congested), or [`Dropped`](super::SendStatus::Dropped) for
    /// want of room, has taken what waited for it, down to half of the
    /// [`high_water_mark`](super::Config::high_water_mark).
    ///
    /// What it has sent meanwhile is handled before, so that a handler which goes on sending here
    /// does not keep it from being heard.
    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        let _ = peer;
    }

    /// Called exactly once for every `on_open`, when the connection is over.
    ///
    /// The peer is not among [`Peers`] any more, and sending to it has no effect.
    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        let _ = (peer, close);
    }

    /// Called when a connection that was to be [connected](Peers::connect) does not come about.
    ///
    /// For every id that `connect` returned, either this is called once, or
    /// [`on_open`](Self::on_open) is.
    fn on_connect_error(&mut self, peers: &mut Peers, id: PeerId, error: ConnectError) {
        let _ = (peers, id, error);
    }

    /// Called when a connection is to take the place of one that was lost or did not come about,
    /// right after [`on_close`](Self::on_close) or [`on_connect_error`](Self::on_connect_error), if
    /// [`Connect::reconnect`](super::Connect::reconnect) asked for that.
    ///
    /// The new one is a peer of its own: what was kept of the old one by its id may have to be
    /// handed over.
    fn on_reconnect(&mut self, peers: &mut Peers, retry: Retry) {
        let _ = (peers, retry);
    }

    /// Called when the time of a [timer](Peers::set_timer) or an [interval](Peers::set_interval)
    /// has come. What it sends goes out in the same turn.
    fn on_timer(&mut self, peers: &mut Peers, timer: TimerId) {
        let _ = (peers, timer);
    }
}

impl<F: FnMut(&mut Peer<'_>, Message<'_>)> Handler for F {
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self(peer, message);
    }
}

/// An HTTP request that arrived on a new connection.
///
/// Dereferences to the [`Request`], for its target and fields.
#[derive(Debug)]
pub struct IncomingRequest<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) offer: Option<&'a Offer>,
    pub(super) id: PeerId,
    pub(super) remote_addr: Option<SocketAddr>,
    pub(super) client_addr: Option<IpAddr>,
    pub(super) inbox: &'a Arc<Inbox>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<&'a TlsSession>,
}

impl<'a> IncomingRequest<'a> {
    /// The id that the peer will have if it is let in: a place to keep what the request tells about
    /// it.
    ///
    /// If it is not let in, or gives up before a deferred decision, neither `on_open` nor
    /// `on_close` follows.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// Where the connection comes from, or `None` for a Unix socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.remote_addr
    }

    /// Where the request comes from, if need be behind a proxy: see [`Peers::client_addr`].
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.client_addr
    }

    /// What the client offers if it asks for an upgrade; `None` for any other request.
    pub fn offer(&self) -> Option<&'a Offer> {
        self.offer
    }

    /// What TLS tells of the client, such as its certificate; `None` for a connection without TLS.
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> Option<&'a TlsSession> {
        self.tls
    }

    /// Lets the client in, with the subprotocol that the configuration prefers.
    ///
    /// A request that asks for no upgrade is answered with 426.
    pub fn upgrade(&self) -> Answer {
        match self.offer {
            Some(_) => Acceptance::new().into(),
            None => Refusal::UpgradeRequired.into(),
        }
    }

    /// Defers the decision: return the answer from [`on_request`](Handler::on_request), and decide
    /// later with the other.
    pub fn defer(&self) -> (Answer, Deferred) {
        (Answer(Decision::Deferred), Deferred::new(self.inbox, self.id))
    }
}

impl<'a> Deref for IncomingRequest<'a> {
    type Target = Request<'a>;

    fn deref(&self) -> &Self::Target {
        self.request
    }
}

/// What becomes of a request: made from an [`Acceptance`], a [`Response`] or a [`Refusal`], or by
/// [`IncomingRequest::defer`].
#[derive(Debug)]
pub struct Answer(pub(super) Decision);

#[derive(Debug)]
pub(super) enum Decision {
    Upgrade(Acceptance),
    Respond(Response),
    Refuse(Refusal),
    Deferred,
}

impl From<Acceptance> for Answer {
    /// Lets the client in.
    fn from(acceptance: Acceptance) -> Self {
        Self(Decision::Upgrade(acceptance))
    }
}

impl From<Response> for Answer {
    /// Answers with HTTP, and closes the connection.
    fn from(response: Response) -> Self {
        Self(Decision::Respond(response))
    }
}

impl<A: Into<Self>> From<Result<A, InvalidField>> for Answer {
    /// Answers with 500 if a header field of the answer was invalid, so that
    /// `Response::text(…).header(…).into()` needs no more.
    fn from(answer: Result<A, InvalidField>) -> Self {
        match answer {
            Ok(answer) => answer.into(),
            Err(_) => Refusal::HandlerFailed.into(),
        }
    }
}

impl From<Refusal> for Answer {
    /// Answers with the refusal's HTTP response, and closes the connection.
    fn from(refusal: Refusal) -> Self {
        Self(Decision::Refuse(refusal))
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Decision::Upgrade(_) => f.write_str("upgrade"),
            Decision::Respond(response) => write!(f, "{}", response.status()),
            Decision::Refuse(refusal) => write!(f, "{}", refusal.status()),
            Decision::Deferred => f.write_str("deferred"),
        }
    }
}
