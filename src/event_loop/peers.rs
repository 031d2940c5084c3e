//! All peers, and what can be asked of them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use slab::Slab;

use super::buffers::BufferPool;
use super::close::CloseCause;
use super::config::{Config, Overflow};
use super::entry::{Entry, Stage};
use super::timers::Timers;
use super::topics::Topics;
use super::transport::Transport;
use super::{Peer, PeerId, SharedMessage};
use crate::protocol::{CloseBody, CloseCode, Header, Message, Opcode};

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
    /// When this turn began.
    pub(super) now: Instant,
    /// Of peers that can be sent messages: [`Entry::is_open`].
    topics: Topics,
    open: usize,
    opening: usize,
    generation: u32,
    pings: NonZeroU32,
}

/// What is to be done when no handler is being called.
#[derive(Debug, Default)]
pub(super) struct ToDo {
    /// Peers to flush, close or arm a deadline for.
    pub(super) dirty: VecDeque<PeerId>,
    /// Peers from which more can be read, although no event will say so.
    pub(super) ready: VecDeque<PeerId>,
    /// To shut down, and how long that may take.
    pub(super) shutdown: Option<Duration>,
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
    pub(super) fn new(config: Config, now: Instant) -> Self {
        Self {
            entries: Slab::new(),
            config,
            buffers: BufferPool::default(),
            to_do: ToDo::default(),
            timers: Timers::default(),
            now,
            topics: Topics::default(),
            open: 0,
            opening: 0,
            generation: 0,
            pings: NonZeroU32::MIN,
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
    /// It is queued whole or not at all, in the order of the calls.
    pub fn send<'m>(&mut self, id: PeerId, message: impl Into<Message<'m>>) -> SendStatus {
        let message = message.into();
        let header = Header::new(message.opcode(), message.len() as u64);
        let frame_len = header.encoded_len() + message.len();
        self.enqueue(id, frame_len, |entry, buffers| {
            entry.queue.push_frame(header, message.as_bytes(), buffers);
        })
    }

    /// Sends a message that is shared with other peers, without copying it.
    pub fn send_shared(&mut self, id: PeerId, message: &SharedMessage) -> SendStatus {
        self.enqueue(id, message.frame().len(), |entry, buffers| {
            entry.queue.push_shared(message.frame(), buffers);
        })
    }

    /// Sends a message to all peers. It is encoded once; a slow peer does not delay the others.
    pub fn broadcast<'m>(&mut self, message: impl Into<Message<'m>>) {
        self.broadcast_but(None, message.into());
    }

    /// Sends a message to all peers but one, as [`broadcast`](Self::broadcast) does.
    pub fn broadcast_except<'m>(&mut self, id: PeerId, message: impl Into<Message<'m>>) {
        self.broadcast_but(Some(id), message.into());
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
    pub fn publish<'m>(&mut self, topic: &str, message: impl Into<Message<'m>>) {
        self.publish_but(None, topic, message.into());
    }

    /// Sends a message to all but one who are subscribed to a topic, as [`publish`](Self::publish)
    /// does.
    pub fn publish_except<'m>(&mut self, id: PeerId, topic: &str, message: impl Into<Message<'m>>) {
        self.publish_but(Some(id), topic, message.into());
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
        self.enqueue(id, header.encoded_len() + payload.len(), |entry, buffers| {
            entry.queue.push_frame(header, payload, buffers);
            entry.clocks.asked();
        })
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2), behind what has been sent so far.
    ///
    /// A Close has room for 123 bytes of reason: a longer one is cut where its last character ends
    /// that fits. Messages that the peer sends from now on are not delivered. `on_close` follows
    /// when it has answered, or when [`close_timeout`](Config::close_timeout) is over. No effect on
    /// a peer that is closing already. Status code 1010 is for clients to send (§7.4.1): in its
    /// place, the peer is sent 1011.
    pub fn close(&mut self, id: PeerId, code: CloseCode, reason: &str) {
        // §7.4.1: 1010 is a client's to send.
        let code =
            if code == CloseCode::MANDATORY_EXTENSION { CloseCode::INTERNAL_ERROR } else { code };
        self.begin_close(id, CloseBody { code, reason }, CloseCause::Local);
    }

    /// Drops the connection at once: what is queued is not sent, and the peer is not told.
    ///
    /// `on_close` follows when the handler has returned.
    pub fn abort(&mut self, id: PeerId) {
        if self.contains(id) {
            self.drop_connection(id, CloseCause::Aborted);
        }
    }

    /// Shuts the loop down: no connection is accepted any more, all peers are sent Close with
    /// status code 1001, and [`run`](super::EventLoop::run) returns when they are gone, after
    /// `grace` at the latest.
    pub fn shutdown(&mut self, grace: Duration) {
        let grace = self.to_do.shutdown.map_or(grace, |earlier| earlier.min(grace));
        self.to_do.shutdown = Some(grace);
    }

    /// How many bytes wait for the peer's socket to take them.
    pub fn queued_bytes(&self, id: PeerId) -> usize {
        self.entry(id).map_or(0, |entry| entry.queue.len())
    }

    /// Where the peer's connection comes from; `None` for a Unix socket, or if there is no such
    /// peer.
    pub fn remote_addr(&self, id: PeerId) -> Option<SocketAddr> {
        self.entry(id).and_then(|entry| entry.remote_addr)
    }

    /// The subprotocol that was chosen for the peer.
    pub fn subprotocol(&self, id: PeerId) -> Option<&str> {
        self.entry(id).and_then(|entry| entry.subprotocol.as_deref())
    }

    fn broadcast_but(&mut self, except: Option<PeerId>, message: Message<'_>) {
        let message = SharedMessage::new(message);
        for index in 0..self.entries.capacity() {
            if let Some(id) = self.entries.get(index).map(|entry| entry.id)
                && Some(id) != except
            {
                self.send_shared(id, &message);
            }
        }
    }

    fn publish_but(&mut self, except: Option<PeerId>, topic: &str, message: Message<'_>) {
        let Some(topic) = self.topics.find(topic) else { return };
        let mut encoded = None;
        // From the back: whose queue is full or whose connection is lost leaves while it is sent
        // to.
        for place in (0..self.topics.subscribers(topic).len()).rev() {
            if let Some(&id) = self.topics.subscribers(topic).get(place)
                && Some(id) != except
            {
                let encoded = encoded.get_or_insert_with(|| SharedMessage::new(message));
                self.send_shared(id, encoded);
            }
        }
    }

    /// Queues a data frame or a Ping of the application's, if the peer may be sent one and has room
    /// for it.
    fn enqueue(
        &mut self,
        id: PeerId,
        frame_len: usize,
        push: impl FnOnce(&mut Entry, &mut BufferPool),
    ) -> SendStatus {
        self.write_early(id);
        let Self { entries, buffers, config, to_do, now, .. } = self;
        let Some(entry) = find(entries, id).filter(|entry| entry.is_open()) else {
            return SendStatus::Dropped;
        };
        let limits = &config.limits;
        let queued = entry.queue.len_but_pong();
        if queued > limits.high_water_mark && queued.saturating_add(frame_len) > limits.write_queue
        {
            if config.overflow == Overflow::Close {
                self.close_overfull(id);
            }
            return SendStatus::Dropped;
        }
        push(entry, buffers);
        to_do.settle(entry);
        if entry.queue.len() > limits.high_water_mark {
            entry.congest(*now);
        }
        if entry.flags.congested { SendStatus::Congested } else { SendStatus::Queued }
    }

    /// Writes before the turn ends what would otherwise count as the peer's slowness, although its
    /// socket was never asked.
    fn write_early(&mut self, id: PeerId) {
        let Self { entries, buffers, config, now, .. } = self;
        let mark = config.limits.high_water_mark;
        let Some(entry) = find(entries, id) else { return };
        let refused = entry.flags.blocked && !entry.flags.writable;
        if !entry.is_open() || refused || entry.queue.len() <= mark {
            return;
        }
        entry.flags.writable = false;
        if let Err(error) = entry.write(buffers, *now) {
            self.drop_connection(id, CloseCause::Lost(error.kind()));
        }
    }

    fn close_overfull(&mut self, id: PeerId) {
        let Self { entries, buffers, .. } = self;
        entries[id.index()].queue.discard_data(buffers);
        let body = CloseBody { code: CloseCode::POLICY_VIOLATION, reason: "too slow to read" };
        self.begin_close(id, body, CloseCause::QueueFull);
    }
}

/// §5.5: control frames have "a payload length of 125 bytes or less".
const MAX_CONTROL_PAYLOAD: usize = 125;

/// Below so many entries, their memory is not worth giving back.
const KEPT_ENTRIES: usize = 1024;

/// For the loop.
impl Peers {
    pub(super) fn insert(
        &mut self,
        transport: Transport,
        remote_addr: Option<SocketAddr>,
    ) -> PeerId {
        self.generation = self.generation.wrapping_add(1);
        let vacancy = self.entries.vacant_entry();
        let id = PeerId::new(vacancy.key(), self.generation);
        let entry = vacancy.insert(Entry::new(id, transport, remote_addr, self.now));
        self.to_do.settle(entry);
        self.opening += 1;
        id
    }

    /// How many connections are in the middle of their opening handshake.
    pub(super) fn opening(&self) -> usize {
        self.opening
    }

    /// Closes the socket and forgets the peer. Whoever it was, `on_close` has been called.
    pub(super) fn remove(&mut self, id: PeerId) {
        if self.entry(id).is_some() {
            self.over(id);
            let mut entry = self.entries.remove(id.index());
            entry.queue.clear(&mut self.buffers);
            if self.entries.is_empty() && self.entries.capacity() > KEPT_ENTRIES {
                self.entries = Slab::new();
            }
        }
    }

    pub(super) fn entry(&self, id: PeerId) -> Option<&Entry> {
        self.entries.get(id.index()).filter(|entry| entry.id == id)
    }

    pub(super) fn entry_mut(&mut self, id: PeerId) -> Option<&mut Entry> {
        find(&mut self.entries, id)
    }

    /// Notes that the peer's opening handshake is done.
    pub(super) fn open(&mut self, id: PeerId, response: Vec<u8>, subprotocol: Option<Box<str>>) {
        let Self { entries, buffers, to_do, now, open, opening, .. } = self;
        let entry = &mut entries[id.index()];
        entry.queue.push_opaque(response, buffers);
        (entry.stage, entry.subprotocol) = (Stage::Open, subprotocol);
        (entry.clocks.received, entry.clocks.waiting) = (*now, *now);
        *open += 1;
        *opening -= 1;
        to_do.settle(entry);
    }

    /// Answers an HTTP request, which is the end of the connection.
    pub(super) fn respond(&mut self, id: PeerId, response: Vec<u8>) {
        let Self { entries, buffers, .. } = self;
        entries[id.index()].queue.push_opaque(response, buffers);
        self.over(id);
        self.linger(id);
    }

    /// Notes that the application has no more to do with the connection.
    pub(super) fn over(&mut self, id: PeerId) {
        self.topics.leave_all(id);
        let Self { entries, now, open, opening, .. } = self;
        if let Some(entry) = find(entries, id) {
            *opening -= usize::from(entry.stage == Stage::Opening);
            *open -= usize::from(entry.is_peer());
            (entry.stage, entry.clocks.waiting) = (Stage::Over, *now);
            entry.last_words = entry.queue.len();
        }
    }

    /// Has a connection that is over end when what is queued is written and the other side has
    /// ended.
    pub(super) fn linger(&mut self, id: PeerId) {
        let Self { entries, to_do, .. } = self;
        if let Some(entry) = find(entries, id) {
            read_again(entry, to_do);
            to_do.settle(entry);
        }
    }

    /// Answers a Ping: at once, or if the peer has much to read yet, when it has read it.
    pub(super) fn pong(&mut self, id: PeerId, payload: &[u8]) {
        let Self { entries, buffers, config, to_do, .. } = self;
        let Some(entry) = find(entries, id) else { return };
        let header = Header::new(Opcode::Pong, payload.len() as u64);
        let frame_len = header.encoded_len() + payload.len();
        // Pongs alone do not make a peer a slow one, for which its messages would suffer.
        if entry.queue.len() + frame_len <= config.limits.high_water_mark {
            entry.queue.pay_pong(buffers);
            entry.queue.push_frame(header, payload, buffers);
        } else {
            entry.queue.owe_pong(header, payload, buffers);
        }
        to_do.settle(entry);
    }

    /// Sends Close and waits for the other side's, unless that is under way already.
    pub(super) fn begin_close(&mut self, id: PeerId, body: CloseBody<'_>, cause: CloseCause) {
        let Some(entry) = self.entry_mut(id).filter(|entry| entry.is_open()) else { return };
        let owed = entry.closing.send_close();
        debug_assert!(owed, "an open peer was not sent Close");
        entry.cause = Some(cause);
        self.topics.leave_all(id);
        self.push_close(id, Some(body));
    }

    /// Queues a Close, behind the Pong that may be owed.
    pub(super) fn push_close(&mut self, id: PeerId, body: Option<CloseBody<'_>>) {
        let Self { entries, buffers, to_do, now, .. } = self;
        let Some(entry) = find(entries, id) else { return };
        entry.queue.pay_pong(buffers);
        entry.queue.push_close(body, buffers);
        entry.last_words = entry.queue.len();
        entry.clocks.waiting = *now;
        // Their Close may be behind what was not read for congestion.
        read_again(entry, to_do);
        to_do.settle(entry);
    }

    /// Sends a Ping to a peer that has been silent.
    pub(super) fn keep_alive(&mut self, id: PeerId) {
        let Self { entries, buffers, to_do, now, pings, .. } = self;
        let Some(entry) = find(entries, id).filter(|entry| entry.is_open()) else { return };
        *pings = pings.checked_add(1).unwrap_or(NonZeroU32::MIN);
        let payload = entry.clocks.send_ping(*pings, *now);
        entry.queue.push_frame(Header::new(Opcode::Ping, payload.len() as u64), &payload, buffers);
        to_do.settle(entry);
    }

    /// Gives the connection up: the loop will end it without another word to the peer.
    pub(super) fn drop_connection(&mut self, id: PeerId, cause: CloseCause) {
        self.topics.leave_all(id);
        let Self { entries, to_do, open, .. } = self;
        if let Some(entry) = find(entries, id) {
            *open -= usize::from(entry.is_peer());
            entry.flags.dropped = true;
            entry.cause.get_or_insert(cause);
            to_do.settle(entry);
        }
    }
}

/// The connection with this id, if it is still there.
pub(super) fn find(entries: &mut Slab<Entry>, id: PeerId) -> Option<&mut Entry> {
    entries.get_mut(id.index()).filter(|entry| entry.id == id)
}

/// Reads from a peer again, if congestion had kept it from being read.
fn read_again(entry: &mut Entry, to_do: &mut ToDo) {
    if std::mem::take(&mut entry.flags.congested) {
        to_do.read(entry);
    }
}

impl ToDo {
    /// Has the loop look at the peer before it waits again.
    pub(super) fn settle(&mut self, entry: &mut Entry) {
        if !std::mem::replace(&mut entry.flags.dirty, true) {
            self.dirty.push_back(entry.id);
        }
    }

    /// Has the loop read from the peer without waiting for an event.
    pub(super) fn read(&mut self, entry: &mut Entry) {
        if !std::mem::replace(&mut entry.flags.ready, true) {
            self.ready.push_back(entry.id);
        }
    }
}
