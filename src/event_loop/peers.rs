//! All peers, and what can be asked of them.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use slab::Slab;

use super::buffers::BufferPool;
use super::clock::Clock;
use super::close::CloseCause;
use super::config::Config;
#[cfg(feature = "deflate")]
use super::deflating::Deflating;
use super::entry::Entry;
use super::stats::Stats;
use super::timers::Timers;
use super::to_do::ToDo;
use super::topics::Topics;
use super::{Peer, PeerId, SharedMessage};
#[cfg(feature = "deflate")]
use crate::protocol::Compress;
use crate::protocol::{CloseBody, CloseCode, Header, Message, Opcode, Role};

/// All peers of an [`EventLoop`](super::EventLoop): those whose opening handshake is done and whose
/// `on_close` is not.
///
/// Nothing here writes to a socket. What peers are sent is queued, and written when the handler has
/// returned.
#[derive(Debug)]
pub struct Peers {
    pub(super) entries: Slab<Entry>,
    pub(super) config: Config,
    pub(super) buffers: BufferPool,
    pub(super) to_do: ToDo,
    pub(super) timers: Timers,
    pub(super) clock: Clock,
    /// When this turn began.
    pub(super) now: Instant,
    /// Of peers that can be sent messages: [`Entry::is_open`].
    pub(super) topics: Topics,
    /// How many peers there are.
    pub(super) open: usize,
    /// How many accepted connections are in the middle of their opening handshake.
    pub(super) opening: usize,
    /// How many clients' connections are not there yet, or in the middle of theirs.
    pub(super) connecting: usize,
    /// Of the connection that came last.
    pub(super) generation: u32,
    /// The number of the loop's latest Ping.
    pub(super) pings: NonZeroU32,
    /// What has been counted so far. What there is now is not in it.
    pub(super) stats: Stats,
    /// What messages are compressed with.
    #[cfg(feature = "deflate")]
    pub(super) deflating: Deflating,
    /// What values are serialised into, empty between calls.
    #[cfg(feature = "json")]
    pub(super) json: Vec<u8>,
}

/// What became of a message. Safe to ignore: the limits act by themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendStatus {
    /// It is queued.
    Queued,
    /// It is queued, but the peer is slow: better wait for [`on_drain`](super::Handler::on_drain)
    /// before sending more.
    Congested,
    /// It is not queued: there is no such peer, it is closing, or its queue is full
    /// ([`Config::overflow`] says what happens then).
    Dropped,
}

impl Peers {
    pub(super) fn new(config: Config, clock: Clock) -> Self {
        Self {
            entries: Slab::new(),
            config,
            buffers: BufferPool::default(),
            to_do: ToDo::default(),
            timers: Timers::default(),
            now: clock.now(),
            clock,
            topics: Topics::default(),
            open: 0,
            opening: 0,
            connecting: 0,
            generation: 0,
            pings: NonZeroU32::MIN,
            stats: Stats::default(),
            #[cfg(feature = "deflate")]
            deflating: Deflating::default(),
            #[cfg(feature = "json")]
            json: Vec::new(),
        }
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.open
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.open == 0
    }

    /// Whether there is such a peer. It may be closing.
    pub fn contains(&self, id: PeerId) -> bool {
        self.entry(id).is_some_and(Entry::is_peer)
    }

    /// The ids of all peers, in no particular order.
    pub fn ids(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.entries.iter().filter(|(_, entry)| entry.is_peer()).map(|(_, entry)| entry.id)
    }

    /// The peer with this id, if there is one.
    pub fn peer(&mut self, id: PeerId) -> Option<Peer<'_>> {
        self.contains(id).then_some(Peer::new(self, id))
    }

    /// Sends a message.
    ///
    /// It is queued whole or not at all, in the order of the calls. While another is being sent in
    /// fragments, it waits until that is [finished](Self::begin_message).
    pub fn send<'m>(&mut self, id: PeerId, message: impl Into<Message<'m>>) -> SendStatus {
        let message = message.into();
        #[cfg(feature = "deflate")]
        if let Some(status) = self.send_compressed(id, message, Compress::Auto) {
            return status;
        }
        self.send_plain(id, message)
    }

    /// Sends a message as it is.
    #[inline]
    pub(super) fn send_plain(&mut self, id: PeerId, message: Message<'_>) -> SendStatus {
        let header = Header::new(message.opcode(), message.len() as u64);
        let frame_len = header.encoded_len() + message.len();
        self.enqueue_message(id, frame_len, |queue, buffers, masking_key| {
            let header = Header { masking_key, ..header };
            queue.push_frame(header, message.as_bytes(), buffers);
        })
    }

    /// Sends a message that is shared with other peers, without copying it.
    ///
    /// A peer that is a server, because this loop has [connected](Self::connect) to it, is sent a
    /// copy of its own, masked as its alone (RFC 6455 §5.3).
    pub fn send_shared(&mut self, id: PeerId, message: &SharedMessage) -> SendStatus {
        let frame = message.frame();
        #[cfg(feature = "deflate")]
        let frame = self.compressed_frame(id, message).unwrap_or(frame);
        self.enqueue_message(id, frame.bytes().len(), |queue, buffers, masking_key| {
            match masking_key {
                None => queue.push_shared(frame, buffers),
                Some(key) => queue.push_masked(frame, key, buffers),
            }
        })
    }

    /// Sends a message to all peers. It is encoded once, or not at all if it is a
    /// [`SharedMessage`]; a slow peer does not delay the others.
    pub fn broadcast(&mut self, message: impl Into<SharedMessage>) {
        self.broadcast_but(None, message);
    }

    /// Sends a message to all peers but one, as [`broadcast`](Self::broadcast) does.
    pub fn broadcast_except(&mut self, id: PeerId, message: impl Into<SharedMessage>) {
        self.broadcast_but(Some(id), message);
    }

    /// Subscribes a peer to a topic, and returns whether it is subscribed now.
    ///
    /// A topic is a name that something is [published](Self::publish) under; it exists as long as
    /// anyone is subscribed to it. To subscribe once more changes nothing.
    ///
    /// Subscriptions end with the peer's last chance to be sent anything: when its closing begins,
    /// from whichever side, so that in `on_close` there are none left. Nobody has to unsubscribe.
    ///
    /// A peer is not subscribed if it is gone, closing or still shaking hands, if it has as many
    /// subscriptions as [`max_subscriptions`](super::Config::max_subscriptions) allows, or if the
    /// name is longer than 1024 bytes: names may come from peers.
    ///
    /// # Examples
    ///
    /// The first message of each peer names its room, where all others are heard:
    ///
    /// ```
    /// use wsloop::{CloseCode, Message, Peer, PeerMap};
    ///
    /// fn on_message(rooms: &mut PeerMap<String>, peer: &mut Peer<'_>, message: Message<'_>) {
    ///     if let Some(room) = rooms.get(peer.id()) {
    ///         return peer.publish(room, message);
    ///     }
    ///     match message {
    ///         Message::Text(room) if peer.subscribe(room) => {
    ///             rooms.insert(peer.id(), room.to_owned());
    ///         }
    ///         _ => peer.close(CloseCode::POLICY_VIOLATION, "no such room"),
    ///     }
    /// }
    /// ```
    pub fn subscribe(&mut self, id: PeerId, topic: &str) -> bool {
        let limit = self.config.limits.subscriptions;
        self.entry(id).is_some_and(Entry::is_open) && self.topics.subscribe(id, topic, limit)
    }

    /// Ends a peer's subscription to a topic, and returns whether there was one.
    pub fn unsubscribe(&mut self, id: PeerId, topic: &str) -> bool {
        self.topics.unsubscribe(id, topic)
    }

    /// Sends a message to all who are subscribed to a topic.
    ///
    /// It is encoded once, and not at all if there is nobody. A slow peer does not delay the
    /// others. Each peer is sent what is published in the order of the calls, whatever the topic
    /// and together with what else it is sent.
    pub fn publish(&mut self, topic: &str, message: impl Into<SharedMessage>) {
        self.publish_but(None, topic, message);
    }

    /// Sends a message to all but one who are subscribed to a topic, as [`publish`](Self::publish)
    /// does.
    pub fn publish_except(&mut self, id: PeerId, topic: &str, message: impl Into<SharedMessage>) {
        self.publish_but(Some(id), topic, message);
    }

    /// How many peers are subscribed to a topic.
    pub fn subscribers(&self, topic: &str) -> usize {
        self.topics.find(topic).map_or(0, |topic| self.topics.subscribers(topic).len())
    }

    /// Sends a Ping (RFC 6455 §5.5.2). Its Pong is reported to
    /// [`on_pong`](super::Handler::on_pong).
    ///
    /// A control frame has room for 125 bytes: a Ping with a longer payload is
    /// [`Dropped`](SendStatus::Dropped).
    pub fn ping(&mut self, id: PeerId, payload: &[u8]) -> SendStatus {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return SendStatus::Dropped;
        }
        let header = Header::new(Opcode::Ping, payload.len() as u64);
        self.enqueue(id, header.encoded_len() + payload.len(), |entry, buffers, masking_key| {
            let header = Header { masking_key, ..header };
            entry.queue.push_frame(header, payload, buffers);
            entry.clocks.asked();
        })
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2), behind what has been sent so far.
    ///
    /// A Close has room for 123 bytes of reason: a longer one is cut where its last character ends
    /// that fits. Messages that the peer sends from now on are not delivered. `on_close` follows
    /// when it has answered, or when [`close_timeout`](Config::close_timeout) is over. No effect on
    /// a peer that is closing already; one that is still [being connected to](Self::connect) is
    /// given up. Status code 1010 is for clients to send (§7.4.1): in its place, a peer that is one
    /// is sent 1011.
    ///
    /// A message that is being sent in fragments is cut, and what waits behind it is discarded: see
    /// [`begin_message`](Self::begin_message).
    pub fn close(&mut self, id: PeerId, code: CloseCode, reason: &str) {
        let Some(entry) = self.entry(id) else { return };
        if entry.is_connecting() {
            return self.abort(id);
        }
        // §7.4.1: 1010 is a client's to send.
        let is_ours = entry.role() == Role::Client || code != CloseCode::MANDATORY_EXTENSION;
        let code = if is_ours { code } else { CloseCode::INTERNAL_ERROR };
        self.begin_close(id, CloseBody { code, reason }, CloseCause::Local);
    }

    /// Drops the connection at once: what is queued is not sent, and the peer is not told.
    ///
    /// `on_close` follows when the handler has returned; or `on_connect_error`, if it is still
    /// [being connected to](Self::connect).
    pub fn abort(&mut self, id: PeerId) {
        if self.contains(id) || self.entry(id).is_some_and(Entry::is_connecting) {
            self.drop_connection(id, CloseCause::Aborted);
        }
    }

    /// Shuts the loop down: no connection is accepted any more, all peers are sent Close with
    /// status code 1001, and [`run`](super::EventLoop::run) returns when they are gone, after
    /// `grace` at the latest.
    pub fn shutdown(&mut self, grace: Duration) {
        let grace = self.to_do.shutdown.map_or(grace, |earlier| earlier.min(grace));
        (self.to_do.shutdown, self.to_do.shut_down) = (Some(grace), true);
    }

    /// How many bytes wait for the peer's socket to take them, or for a message to be
    /// [finished](Self::finish).
    pub fn queued_bytes(&self, id: PeerId) -> usize {
        self.entry(id).map_or(0, Entry::queued_bytes)
    }

    /// Where the peer's connection comes from; `None` for a Unix socket, or if there is no such
    /// peer.
    pub fn remote_addr(&self, id: PeerId) -> Option<SocketAddr> {
        self.entry(id).and_then(|entry| entry.transport.remote_addr())
    }

    /// The address that the peer's connection was made to; `None` as for
    /// [`remote_addr`](Self::remote_addr). It tells by which of several listeners a peer, or a
    /// [request](super::IncomingRequest::id), came. Each call asks the system.
    pub fn local_addr(&self, id: PeerId) -> Option<SocketAddr> {
        self.entry(id).and_then(|entry| entry.transport.local_addr())
    }

    /// Where the peer comes from, as far as that is known: if its connection comes from one of the
    /// [`trusted_proxies`](Config::trusted_proxies), whom those pass on; else the same as
    /// [`remote_addr`](Self::remote_addr).
    ///
    /// It is the nearest address that is not a trusted proxy's, or that of a proxy which does not
    /// say anything better. IPv4 addresses that are mapped to IPv6 ones are IPv4 addresses.
    pub fn client_addr(&self, id: PeerId) -> Option<IpAddr> {
        self.entry(id).and_then(Entry::client_addr)
    }

    /// The subprotocol that was chosen for the peer.
    pub fn subprotocol(&self, id: PeerId) -> Option<&str> {
        self.entry(id)?.particulars.as_ref()?.subprotocol.as_deref()
    }
}

/// §5.5: control frames have "a payload length of 125 bytes or less".
const MAX_CONTROL_PAYLOAD: usize = 125;
