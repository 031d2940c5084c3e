//! The peer that an event came from.

use std::net::{IpAddr, SocketAddr};

use super::{PeerId, Peers, RateLimit, SendStatus, SharedMessage};
#[cfg(feature = "deflate")]
use crate::protocol::DeflateParameters;
use crate::protocol::{CloseCode, Message};

/// The peer that an event came from, and through it all others.
///
/// It is borrowed for the length of a call. To speak to the peer later, keep its [`id`](Self::id).
#[derive(Debug)]
pub struct Peer<'a> {
    peers: &'a mut Peers,
    id: PeerId,
}

impl<'a> Peer<'a> {
    pub(super) fn new(peers: &'a mut Peers, id: PeerId) -> Self {
        Self { peers, id }
    }

    /// The peer's id.
    pub fn id(&self) -> PeerId {
        self.id
    }

    /// All peers, this one included.
    pub fn peers(&mut self) -> &mut Peers {
        self.peers
    }

    /// Sends a message: see [`Peers::send`].
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> SendStatus {
        self.peers.send(self.id, message)
    }

    /// Sends a message that is shared with other peers: see [`Peers::send_shared`].
    pub fn send_shared(&mut self, message: &SharedMessage) -> SendStatus {
        self.peers.send_shared(self.id, message)
    }

    /// Sends a message to everyone else: see [`Peers::broadcast_except`].
    pub fn broadcast(&mut self, message: impl Into<SharedMessage>) {
        self.peers.broadcast_except(self.id, message);
    }

    /// Subscribes the peer to a topic, and returns whether it is subscribed now: see
    /// [`Peers::subscribe`].
    pub fn subscribe(&mut self, topic: &str) -> bool {
        self.peers.subscribe(self.id, topic)
    }

    /// Ends the peer's subscription to a topic: see [`Peers::unsubscribe`].
    pub fn unsubscribe(&mut self, topic: &str) -> bool {
        self.peers.unsubscribe(self.id, topic)
    }

    /// Sends a message to everyone else who is subscribed to a topic, whether or not this peer is:
    /// see [`Peers::publish_except`].
    pub fn publish(&mut self, topic: &str, message: impl Into<SharedMessage>) {
        self.peers.publish_except(self.id, topic, message);
    }

    /// Sends a Ping: see [`Peers::ping`].
    pub fn ping(&mut self, payload: &[u8]) -> SendStatus {
        self.peers.ping(self.id, payload)
    }

    /// Begins the closing handshake: see [`Peers::close`].
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::{CloseCode, Message, Peer};
    ///
    /// fn on_message(peer: &mut Peer<'_>, message: Message<'_>) {
    ///     if let Message::Binary(_) = message {
    ///         return peer.close(CloseCode::UNSUPPORTED_DATA, "text only, please");
    ///     }
    ///     peer.send(message);
    /// }
    /// ```
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        self.peers.close(self.id, code, reason);
    }

    /// Drops the connection at once: see [`Peers::abort`].
    pub fn abort(&mut self) {
        self.peers.abort(self.id);
    }

    /// Sets how fast the peer may send from now on: see [`Peers::set_rate_limit`].
    pub fn set_rate_limit(&mut self, limit: RateLimit) {
        self.peers.set_rate_limit(self.id, limit);
    }

    /// How many bytes wait for the peer: see [`Peers::queued_bytes`].
    pub fn queued_bytes(&self) -> usize {
        self.peers.queued_bytes(self.id)
    }

    /// Whether the peer is a server, and this loop its client: see [`Peers::is_server`].
    pub fn is_server(&self) -> bool {
        self.peers.is_server(self.id)
    }

    /// Where the peer's connection comes from; `None` for a Unix socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.peers.remote_addr(self.id)
    }

    /// The address that the peer's connection was made to: see [`Peers::local_addr`].
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.peers.local_addr(self.id)
    }

    /// Where the peer comes from, if need be behind a proxy: see [`Peers::client_addr`].
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.peers.client_addr(self.id)
    }

    /// The subprotocol that was chosen in the opening handshake.
    pub fn subprotocol(&self) -> Option<&str> {
        self.peers.subprotocol(self.id)
    }

    /// How messages with the peer are compressed, if it was agreed that they may be.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<DeflateParameters> {
        self.peers.deflate(self.id)
    }
}
