//! What can be set, and why it is set as it is when nobody does.

use std::time::Duration;

use super::RateLimit;
#[cfg(feature = "deflate")]
use crate::Compression;
use crate::handshake::{HeadLimits, OriginPolicy, Policy, TrustedProxies};

/// The settings of an [`EventLoop`](super::EventLoop): limits, deadlines, and whom to let in.
///
/// Every limit has a default that is safe on the open internet; each setter states it, with its
/// reason. Sizes are in bytes and inclusive.
///
/// # Examples
///
/// A chat server behind one page: small messages, one origin, quick to notice who is gone.
///
/// ```
/// use std::time::Duration;
/// use wsloop::{Config, OriginPolicy};
///
/// let config = Config::new()
///     .max_message_size(64 * 1024)
///     .origin(OriginPolicy::any_of(["https://chat.example"]))
///     .ping_interval(Some(Duration::from_secs(15)))
///     .idle_timeout(Some(Duration::from_secs(25)));
/// # let _ = config;
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings have no effect until an event loop is made with them"]
pub struct Config {
    pub(super) limits: Limits,
    pub(super) timeouts: Timeouts,
    pub(super) overflow: Overflow,
    pub(super) delivery: Delivery,
    pub(super) rate_limit: RateLimit,
    #[cfg(feature = "deflate")]
    pub(super) compression: Option<Compression>,
    pub(super) head: HeadLimits,
    pub(super) policy: Policy,
    pub(super) proxies: TrustedProxies,
}

#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) message_size: u64,
    pub(super) high_water_mark: usize,
    pub(super) write_queue: usize,
    pub(super) connections: usize,
    pub(super) subscriptions: usize,
    pub(super) handshakes: usize,
    pub(super) read_buffer: usize,
    pub(super) remote_queue: usize,
    #[cfg(feature = "deflate")]
    pub(super) inflating: usize,
    pub(super) connecting_per_address: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) handshake: Duration,
    pub(super) ping_interval: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) message: Option<Duration>,
    pub(super) write: Option<Duration>,
    pub(super) close: Duration,
}

/// What happens to a message that a peer's write queue has no room for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// The peer is closed with status code 1008, and what it was still to be sent is discarded.
    ///
    /// The default: most protocols cannot bear a gap, and a reconnect is the honest way to say that
    /// there is one.
    #[default]
    Close,
    /// The message is dropped, and the peer stays. For streams whose every message replaces the
    /// one before, such as positions and prices.
    DropMessage,
}

/// How what peers send is delivered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Delivery {
    /// As whole messages, to [`Handler::on_message`](super::Handler::on_message).
    #[default]
    Messages,
    /// As pieces of messages, as they arrive, to [`Handler::on_piece`](super::Handler::on_piece).
    ///
    /// For messages too large to hold, or without an end: nothing is put together, so that however
    /// long a message is, it takes no more memory than the loop reads from a peer at a time
    /// ([`Config::read_buffer_size`]). All messages are delivered so, the short ones in a single
    /// piece that is both first and last.
    ///
    /// [`Config::max_message_size`] still bounds a message's pieces together, so that handlers
    /// which store them have a limit: raise it, to [`u64::MAX`] if there is to be none.
    /// [`Config::message_timeout`] then is how long the next piece may take.
    Pieces,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits {
                message_size: 16 << 20,
                high_water_mark: 1 << 20,
                write_queue: 4 << 20,
                connections: 100_000,
                subscriptions: 1024,
                handshakes: 1024,
                read_buffer: 68 << 10,
                remote_queue: 64 << 20,
                #[cfg(feature = "deflate")]
                inflating: 256 << 20,
                connecting_per_address: 1,
            },
            timeouts: Timeouts {
                connect: Duration::from_secs(10),
                handshake: Duration::from_secs(10),
                ping_interval: Some(Duration::from_secs(30)),
                idle: Some(Duration::from_secs(60)),
                message: Some(Duration::from_secs(60)),
                write: Some(Duration::from_secs(30)),
                close: Duration::from_secs(5),
            },
            overflow: Overflow::Close,
            delivery: Delivery::Messages,
            rate_limit: RateLimit::default(),
            #[cfg(feature = "deflate")]
            compression: None,
            head: HeadLimits::default(),
            policy: Policy::default(),
            proxies: TrustedProxies::default(),
        }
    }
}

impl Config {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the largest message that peers may send, all its fragments together, whether or not it
    /// is [delivered](Self::delivery) in one piece. Default: 16 MiB.
    ///
    /// A peer that announces more is closed with status code 1009 before it has sent it. The
    /// default lets through what browsers send in practice; memory is only ever taken for bytes
    /// that arrived.
    pub fn max_message_size(mut self, bytes: u64) -> Self {
        self.limits.message_size = bytes;
        self
    }

    /// Sets whether peers' messages are delivered whole or in pieces. Default:
    /// [`Delivery::Messages`].
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// Sets how many bytes may wait for a peer before it counts as slow. Default: 1 MiB.
    ///
    /// Raises [`write_queue_limit`](Self::write_queue_limit) to the same if that is less.
    ///
    /// Above the mark `send` says [`Congested`](super::SendStatus::Congested) and the loop stops
    /// reading from the peer, until half of the mark is left. The default is what a 100 Mbit/s line
    /// carries in a tenth of a second.
    pub fn high_water_mark(mut self, bytes: usize) -> Self {
        self.limits.high_water_mark = bytes;
        self.limits.write_queue = self.limits.write_queue.max(bytes);
        self
    }

    /// Sets how many bytes may wait for a peer at all. Default: 4 MiB.
    ///
    /// Lowers [`high_water_mark`](Self::high_water_mark) to the same if that is more.
    ///
    /// A peer that is not above its [`high_water_mark`](Self::high_water_mark) may always be sent
    /// one more message, whatever its size: otherwise a message larger than the limit could never
    /// be sent. So a queue holds at most the limit, or the mark and one message, whichever is more,
    /// and again as much while a [message in fragments](super::Peers::begin_message) is sent.
    /// What happens to a message over the limit is for [`overflow`](Self::overflow) to say. The
    /// default is four times the mark: room for a broadcast or two while a slow peer catches up,
    /// and 40 GB would take ten thousand peers which all stopped reading.
    pub fn write_queue_limit(mut self, bytes: usize) -> Self {
        self.limits.write_queue = bytes;
        self.limits.high_water_mark = self.limits.high_water_mark.min(bytes);
        self
    }

    /// Sets what happens when a write queue is full. Default: [`Overflow::Close`].
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// Sets how fast each peer may send. Default: as fast as it is read.
    ///
    /// What is too fast, only the application knows. [`set_rate_limit`](super::Peers::set_rate_limit)
    /// makes exceptions.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = limit;
        self
    }

    /// Sets how many connections there may be at once, those still shaking hands included. Default:
    /// 100,000.
    ///
    /// More are left in the listeners' backlogs until there is room again. The default is above
    /// what a process may have descriptors for unless someone raised that limit on purpose.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.limits.connections = connections.min(super::PeerId::MAX_PEERS);
        self
    }

    /// Sets how many topics each peer may be subscribed to. Default: 1024.
    ///
    /// Where peers name the topics, each of them could otherwise have any number remembered. The
    /// default is more than people look at, and bounds what one peer's take to little more than 1
    /// MiB. To subscribe takes time in proportion to how many subscriptions the peer has.
    pub fn max_subscriptions(mut self, subscriptions: usize) -> Self {
        self.limits.subscriptions = subscriptions;
        self
    }

    /// Sets how many connections may be in the middle of sending their request, and how many
    /// requests may wait for a deferred decision. Default: 1024.
    ///
    /// When one more connection arrives, the one that has taken longest is closed: honest clients
    /// take a round trip, so that it is most likely not one. That takes a limit well below
    /// [`max_connections`](Self::max_connections): where there is no room for one more connection,
    /// it waits outside until the others' time is up. When one more decision is deferred,
    /// the client is answered with 503. The default bounds what all of them hold to 16 MiB of
    /// heads, and 68 MiB of what clients send without waiting for the decision. Within TLS, whose
    /// handshakes are counted as well, those that are not done hold 66 MiB at most instead.
    pub fn max_handshakes(mut self, handshakes: usize) -> Self {
        self.limits.handshakes = handshakes.max(1);
        self
    }

    /// Sets the size of the buffer that all peers share for reading. Default: 68 KiB.
    ///
    /// Also the most that is read from one peer before the others get their turn. Frames that are
    /// whole in it are handed out without a copy: the default has room for one of 64 KiB and its
    /// header. Larger buffers make larger messages cheaper, and the wait of everyone else longer.
    pub fn read_buffer_size(mut self, bytes: usize) -> Self {
        self.limits.read_buffer = bytes.max(1);
        self
    }

    /// Sets how many bytes of messages from other threads may wait for the loop. Default: 64 MiB.
    ///
    /// Over it, a [`Remote`](super::Remote) gives them [back](super::RemoteError::Full). Those that
    /// the loop has taken and not yet passed on to peers are counted, and so is what tasks have
    /// captured. When nothing else waits, one message may be larger.
    ///
    /// The default is what a loop passes on to single peers in a small part of a second, so that
    /// threads meet the limit only if handlers keep it from that, or if much is for thousands at
    /// once. And it is not much beside what may wait for peers.
    pub fn remote_queue_limit(mut self, bytes: usize) -> Self {
        self.limits.remote_queue = bytes;
        self
    }

    /// Sets how messages are compressed (RFC 7692), with peers that agree to it. Default: not at all.
    ///
    /// To clients that connect to this loop it is agreed if they offer it, as all browsers do. To
    /// servers that the loop connects to, it is offered. [`Acceptance::deflate`],
    /// [`Acceptance::no_deflate`] and their like of
    /// [`ClientRequest`](crate::handshake::ClientRequest) make exceptions.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::{Compression, Config};
    ///
    /// let config = Config::new().compression(Compression::shared().threshold(256));
    /// # let _ = config;
    /// ```
    ///
    /// [`Acceptance::deflate`]: crate::handshake::Acceptance::deflate
    /// [`Acceptance::no_deflate`]: crate::handshake::Acceptance::no_deflate
    #[cfg(feature = "deflate")]
    pub fn compression(mut self, compression: impl Into<Option<Compression>>) -> Self {
        self.compression = compression.into();
        self
    }

    /// Sets how many bytes compressed messages may take that have not arrived whole, of all peers
    /// together. Default: 256 MiB.
    ///
    /// Such messages are inflated as they arrive, to a thousand times what was sent at worst, so
    /// that [`max_message_size`](Self::max_message_size) alone would let a few peers that never
    /// finish take all memory there is. Over the limit, the peer whose message has been in progress
    /// for longest is closed with status code 1013: most likely it is no honest one. But one that
    /// takes more than twice what each could have is closed itself. Messages that arrive in one read
    /// are not concerned: of these there is one at a time. Each that is in progress counts 80 KiB
    /// for its decompressor. The default is for 16 of the largest, or 3,000 small ones at a time.
    #[cfg(feature = "deflate")]
    pub fn inflating_limit(mut self, bytes: usize) -> Self {
        self.limits.inflating = bytes;
        self
    }

    /// Sets how many connections to the same address this loop may be making at a time, until their
    /// opening handshakes are done. Default: 1.
    ///
    /// The others wait in line. RFC 6455 §4.1 says one, so that no program can flood a server by
    /// accident; it also has thousands of clients connect at the pace that the server can keep up
    /// with. At a round-trip time of 50 ms that is ten in a second: raise it where the server is
    /// yours. Behind a proxy, which resolves names, each host name counts as an address.
    pub fn max_connecting_per_address(mut self, connections: usize) -> Self {
        self.limits.connecting_per_address = connections.max(1);
        self
    }

    /// Sets how long it may take to [connect](super::Peers::connect): to resolve the name, and to
    /// have a TCP connection to one of its addresses or to the proxy. Default: 10 s.
    ///
    /// Counted anew after a redirection, and not while another connection to the same address
    /// [is waited for](Self::max_connecting_per_address). What follows is for
    /// [`handshake_timeout`](Self::handshake_timeout). The default leaves TCP time for three
    /// attempts to reach a server that packets get lost on the way to: after 1, 3 and 7 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// Sets how long an opening handshake may take. Default: 10 s.
    ///
    /// For clients that connect to this loop: from the accepted connection to the last byte of the
    /// request's head, and to a deferred decision. For servers that it connects to: from the TCP
    /// connection to the last byte of the answer, what a proxy has to say included. Both include the
    /// TLS handshake, if there is one.
    ///
    /// However slowly bytes trickle in, this does not begin anew.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.handshake = timeout;
        self
    }

    /// Sets after how long a silence a peer is sent a Ping, or `None` for never. Default: 30 s.
    ///
    /// Keeps proxies from closing what looks unused (nginx does after 60 s), and finds peers that
    /// are gone without a word: browsers and libraries answer by themselves.
    ///
    /// Without Pings, or with a longer interval than [`idle_timeout`](Self::idle_timeout), peers
    /// that have nothing to say are closed as idle: browsers do not send Pings of their own.
    pub fn ping_interval(mut self, interval: Option<Duration>) -> Self {
        self.timeouts.ping_interval = interval;
        self
    }

    /// Sets after how long a silence a peer is closed, with status code 1001, or `None` for never.
    /// Default: 60 s.
    ///
    /// Any message, Ping or answer to a Ping breaks the silence; a Pong that nobody asked for does
    /// not. The default leaves 30 s for the answer to the automatic Ping, and that much time it
    /// always has, even if the Ping went out late. While a peer has not taken what it was sent
    /// before, [`write_timeout`](Self::write_timeout) is what counts.
    pub fn idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.idle = timeout;
        self
    }

    /// Sets how long a message may take to arrive, from its first byte to its last, or `None` for
    /// ever. Default: 60 s.
    ///
    /// A peer that takes longer is closed with status code 1008: it could otherwise hold the memory
    /// of an unfinished message for as long as it likes, at a byte a minute. The default lets 16
    /// MiB through at 2.2 Mbit/s; raise it where large messages come over slow lines.
    ///
    /// With [`Delivery::Pieces`] no memory is held, and this is how long any piece may take after
    /// the one before it: a message may go on for ever, but not stand still.
    pub fn message_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.message = timeout;
        self
    }

    /// Sets how long a peer may take not a single byte of what waits for it, or `None` for ever.
    /// Default: 30 s.
    pub fn write_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeouts.write = timeout;
        self
    }

    /// Sets how long the closing handshake may take, and then again the end of the TCP connection.
    /// Default: 5 s.
    ///
    /// Counted from when what was queued before has been written, or from when the socket last took
    /// some of it.
    pub fn close_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.close = timeout;
        self
    }

    /// Sets the limits on the head of a request: its size, its request line, its fields.
    pub fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head = limits;
        self
    }

    /// Sets which pages may connect (RFC 6455 §10.2). Default: those of the same host.
    ///
    /// Browsers send their cookies along whichever page asks, so that without this check any page
    /// on the web could act in your users' names. Programs other than browsers send no `Origin` and
    /// may always connect.
    pub fn origin(mut self, origin: OriginPolicy) -> Self {
        self.policy.origins = origin;
        self
    }

    /// Sets the proxies that are trusted to say whose requests they pass on. Default: none.
    ///
    /// It is what [`client_addr`](super::Peers::client_addr) goes by, so that clients behind a
    /// proxy are not all the same one. The page of the same host that may connect by default is
    /// then that of the host which the client asked the proxy for, if the proxy says so
    /// (`X-Forwarded-Host`, or `host` in `Forwarded`). Proxies that say nothing must pass `Host` on
    /// as it is: nginx does with `proxy_set_header Host $http_host`.
    pub fn trusted_proxies(mut self, proxies: TrustedProxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Sets the host names that this server answers to. Default: any.
    ///
    /// A server on a developer's own machine should name its hosts: it is then out of reach for
    /// pages that let their own host name point to it (DNS rebinding).
    pub fn allowed_hosts<S: Into<String>>(mut self, hosts: impl IntoIterator<Item = S>) -> Self {
        self.policy.allowed_hosts = Some(hosts.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the subprotocols (RFC 6455 §1.9) that this server speaks, best first. Default: none.
    ///
    /// The first of these that a client offers is chosen; the order of its offers does not matter.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.policy.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }
}
