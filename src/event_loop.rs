//! The event loop: sockets and time, and nothing of what is said over them.
//!
//! One thread, one [`mio::Poll`], any number of listeners and peers. A [turn](EventLoop::turn) is:
//!
//! 1. wait for events, no longer than the next deadline is away;
//! 2. accept connections;
//! 3. read once from each peer that has something to read, and call the [`Handler`];
//! 4. do some of what other threads have asked for;
//! 5. fire timers, and look at the peers whose time is up;
//! 6. begin to connect to servers, and go on with those under way;
//! 7. write once to each peer that was sent anything, hear those who have caught up by that, and
//!    end what is to end.
//!
//! Handlers run between reading and writing and touch no socket: so everything that a peer is sent
//! in a turn goes out in one write, and only one writer ever touches a socket.
//!
//! This is the only part of the crate that knows `mio`, sockets and clocks.

mod acceptor;
#[cfg(feature = "deflate")]
mod agreed;
mod asking;
mod attempts;
mod buffers;
mod clock;
mod clocks;
mod close;
mod config;
mod connect;
mod connector;
#[cfg(feature = "deflate")]
mod contexts;
mod deadlines;
mod decoders;
mod deferred;
#[cfg(feature = "deflate")]
mod deflating;
mod ending;
mod entry;
mod errands;
mod expiry;
mod faults;
mod handler;
mod in_memory;
mod inbox;
#[cfg(feature = "deflate")]
mod inflating;
mod intake;
#[cfg(feature = "json")]
mod json;
mod lines;
mod listener;
mod memory;
mod peer;
mod peer_id;
mod peer_map;
mod peers;
mod poller;
mod rate_limit;
mod reconnect;
mod remote;
mod remote_error;
mod resolver;
mod sending;
mod settling;
mod shared_message;
mod stats;
mod streaming;
pub mod testing;
mod throttling;
mod timers;
#[cfg(feature = "tls")]
mod tls_stream;
mod to_do;
mod topics;
mod transport;
mod unfinished;
mod upkeep;
mod write_queue;

use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::time::Duration;

pub use self::close::{Close, CloseCause};
pub use self::config::{Config, Delivery, Overflow};
pub use self::connect::Connect;
pub use self::deferred::Deferred;
pub use self::handler::{Answer, Handler, IncomingRequest};
pub use self::peer::Peer;
pub use self::peer_id::PeerId;
pub use self::peer_map::PeerMap;
pub use self::peers::{Peers, SendStatus};
pub use self::rate_limit::{Excess, Rate, RateLimit};
pub use self::reconnect::{Reconnect, Retry};
pub use self::remote::Remote;
pub use self::remote_error::RemoteError;
pub use self::shared_message::SharedMessage;
pub use self::stats::{ByteStats, CloseStats, ConnectionStats, MessageStats, RefusalStats, Stats};
pub use self::streaming::StreamError;
pub use self::timers::TimerId;
#[doc(no_inline)]
pub use crate::connect_error::{ConnectError, ConnectStep};

use self::acceptor::Acceptor;
use self::clock::Clock;
use self::connector::Connector;
use self::entry::Entry;
use self::errands::{Errands, MAX_ERRANDS};
use self::expiry::Expiry;
use self::inbox::{Inbox, Load};
use self::intake::Intake;
use self::listener::Accepted;
use self::poller::{EVENTS, Edge, Poller};
use self::transport::Transport;
use crate::handshake::{HeadBuffer, Refusal};
#[cfg(feature = "tls")]
use crate::tls::TlsServer;

/// A single-threaded WebSocket server, and client: listeners, peers, and the buffers they share.
///
/// To end it, [shut it down](Peers::shutdown) and let it run out: dropping it closes all
/// connections without a word to peers or handler.
///
/// # Examples
///
/// An echo server, which another thread stops:
///
/// ```
/// use std::time::Duration;
/// use wsloop::{EventLoop, Handler, Message, Peer};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
///         peer.send(message);
///     }
/// }
///
/// let mut event_loop = EventLoop::new()?;
/// let addr = event_loop.listen("127.0.0.1:0")?;
/// println!("listening on ws://{addr}");
///
/// let remote = event_loop.remote();
/// std::thread::spawn(move || remote.shutdown(Duration::from_secs(1)));
/// event_loop.run(&mut Echo)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct EventLoop {
    /// First, and so the first to be dropped: from then on other threads know.
    errands: Errands,
    poller: Poller,
    acceptor: Acceptor,
    peers: Peers,
    intake: Intake,
    connector: Connector,
    expiry: Expiry,
}

impl EventLoop {
    /// Makes a loop with the default [`Config`].
    ///
    /// # Errors
    ///
    /// Fails if the system denies a poller or its waker.
    pub fn new() -> io::Result<Self> {
        Self::with_config(Config::new())
    }

    /// Makes a loop.
    ///
    /// # Errors
    ///
    /// Fails if the system denies a poller or its waker.
    pub fn with_config(config: Config) -> io::Result<Self> {
        Self::over(Poller::system()?, Clock::System, config)
    }

    fn over(poller: Poller, clock: Clock, config: Config) -> io::Result<Self> {
        let waker = poller.waker(acceptor::WAKER)?;
        let room = Load { errands: MAX_ERRANDS, bytes: config.limits.remote_queue };
        let errands = Errands::new(Inbox::new(room, move || waker.wake()));
        let intake = Intake::new(config.limits.read_buffer, errands.inbox());
        let connector = Connector::new(errands.inbox(), config.limits.connecting_per_address);
        Ok(Self {
            errands,
            poller,
            acceptor: Acceptor::default(),
            peers: Peers::new(config, clock),
            intake,
            connector,
            expiry: Expiry::default(),
        })
    }

    /// Listens on a TCP address, and returns it: with port 0 the system chooses one.
    ///
    /// If a name stands for several addresses, the first that can be bound is.
    ///
    /// # Errors
    ///
    /// Fails if the name cannot be resolved or the address cannot be bound.
    pub fn listen(&mut self, addr: impl ToSocketAddrs) -> io::Result<SocketAddr> {
        self.add_listener(listener::bind(addr)?)
    }

    /// Listens on a TCP socket that was bound elsewhere, such as by a service manager. Returns its
    /// address.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be made non-blocking or registered, or if the loop is shutting
    /// down.
    pub fn add_listener(&mut self, listener: TcpListener) -> io::Result<SocketAddr> {
        let addr = listener.local_addr()?;
        self.refuse_if_shut_down()?;
        self.acceptor.add(listener::Listener::tcp(listener)?, &self.poller)?;
        Ok(addr)
    }

    /// Listens on a TCP address, as [`listen`](Self::listen) does, for connections within TLS.
    ///
    /// The time for an opening handshake, [`Config::handshake_timeout`], is also that of the TLS
    /// handshake before it.
    ///
    /// # Errors
    ///
    /// Fails as [`listen`](Self::listen) does.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use wsloop::{EventLoop, TlsIdentity};
    ///
    /// let identity = TlsIdentity::from_pem_files("chain.pem", "key.pem")?;
    /// let mut event_loop = EventLoop::new()?;
    /// let addr = event_loop.listen_tls("0.0.0.0:443", identity)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "tls")]
    pub fn listen_tls(
        &mut self,
        addr: impl ToSocketAddrs,
        tls: impl Into<TlsServer>,
    ) -> io::Result<SocketAddr> {
        self.add_tls_listener(listener::bind(addr)?, tls)
    }

    /// Listens on a TCP socket that was bound elsewhere, as [`add_listener`](Self::add_listener)
    /// does, for connections within TLS.
    ///
    /// # Errors
    ///
    /// Fails as [`add_listener`](Self::add_listener) does.
    #[cfg(feature = "tls")]
    pub fn add_tls_listener(
        &mut self,
        listener: TcpListener,
        tls: impl Into<TlsServer>,
    ) -> io::Result<SocketAddr> {
        let addr = listener.local_addr()?;
        self.refuse_if_shut_down()?;
        self.acceptor.add(listener::Listener::tcp(listener)?.within(tls.into()), &self.poller)?;
        Ok(addr)
    }

    /// Listens on a Unix socket that was bound elsewhere.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be made non-blocking or registered, or if the loop is shutting
    /// down.
    #[cfg(unix)]
    pub fn add_unix_listener(
        &mut self,
        listener: std::os::unix::net::UnixListener,
    ) -> io::Result<()> {
        self.refuse_if_shut_down()?;
        self.acceptor.add(listener::Listener::unix(listener)?, &self.poller)
    }

    /// Takes over a connection on which another HTTP server has read the head of a request.
    ///
    /// `target` and `fields` are those of the GET request; `read_already` is what was read behind
    /// its head. The request is checked and handed to [`Handler::on_request`] as if it had arrived
    /// here.
    ///
    /// # Errors
    ///
    /// Fails if the socket cannot be made non-blocking or registered, if the loop is shutting down
    /// or has [`Config::max_connections`] already, and with `InvalidInput` if target or fields
    /// could not have stood in a request.
    pub fn adopt<'f>(
        &mut self,
        stream: std::net::TcpStream,
        target: &str,
        fields: impl IntoIterator<Item = (&'f str, &'f [u8])>,
        read_already: &[u8],
    ) -> io::Result<PeerId> {
        self.refuse_if_shut_down()?;
        if self.peers.entries.len() >= self.peers.config.limits.connections {
            return Err(io::Error::other("there are as many connections as the limit allows"));
        }
        let head = HeadBuffer::from_parts("GET", target, fields).map_err(invalid_input)?;
        let transport = Transport::adopt(stream)?;
        self.peers.now = self.peers.clock.now();
        let id = self.insert(transport)?;
        self.intake.hold(id, [head.head(), read_already].concat());
        self.peers.to_do.read(&mut self.peers.entries[id.index()]);
        Ok(id)
    }

    /// A handle for other threads.
    pub fn remote(&self) -> Remote {
        Remote::new(self.errands.inbox())
    }

    /// All peers, to send them something between turns.
    pub fn peers(&mut self) -> &mut Peers {
        self.peers.now = self.peers.clock.now();
        &mut self.peers
    }

    /// Serves until the loop is [shut down](Peers::shutdown).
    ///
    /// # Errors
    ///
    /// Fails if polling does. Nothing that happens to a single connection is an error of the loop.
    ///
    /// # Panics
    ///
    /// Only if the handler does, or a task of [`Remote::run`]. The loop can be used further then:
    /// the connection for which the handler was called is dropped when it is looked at next, and
    /// the others do not notice.
    pub fn run(&mut self, handler: &mut (impl Handler + ?Sized)) -> io::Result<()> {
        while !self.is_finished() {
            self.turn(handler, None)?;
        }
        Ok(())
    }

    /// Whether the loop was shut down, and all its connections are gone.
    pub fn is_finished(&self) -> bool {
        self.expiry.shutting_down && self.peers.entries.is_empty()
    }

    /// Waits for events, for at most `timeout` or as long as it takes, and handles them.
    ///
    /// To nest the loop in another: poll its descriptor (it is `AsRawFd` on Unix), no longer than
    /// [`next_timeout`](Self::next_timeout) says, and call this with a timeout of zero.
    ///
    /// # Errors
    ///
    /// Fails if polling does.
    pub fn turn(
        &mut self,
        handler: &mut (impl Handler + ?Sized),
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.poller.poll(sooner(timeout, self.next_timeout()))?;
        self.peers.now = self.peers.clock.begin_turn();
        self.note_events();
        #[cfg(feature = "tls")]
        self.peers.to_do.allow_handshakes();
        self.accept();
        self.read(handler);
        self.do_errands(handler);
        self.fire_timers(handler);
        self.expire();
        self.expire_connects();
        #[cfg(feature = "deflate")]
        self.release_contexts();
        self.begin_shutdown();
        self.begin_connects();
        self.settle(handler);
        Ok(())
    }

    /// How long the loop may wait for events before it has something to do anyway; `None` for ever.
    pub fn next_timeout(&self) -> Option<Duration> {
        let Peers { to_do, timers, .. } = &self.peers;
        let peers_wait = !to_do.ready.is_empty() || !to_do.dirty.is_empty();
        let errands_wait = self.errands.are_waiting();
        // A loop around this one is told of events as they come, and not again of those left over.
        let events_wait = self.expiry.events >= EVENTS;
        if events_wait || peers_wait || to_do.shutdown.is_some() || errands_wait {
            return Some(Duration::ZERO);
        }
        let now = self.peers.clock.now();
        let next = sooner(self.acceptor.next(now), sooner(self.expiry.next(), timers.next()));
        let next = sooner(next, self.connector.next());
        #[cfg(feature = "deflate")]
        let next = sooner(next, self.peers.deflating.releases.next());
        let next = next?;
        Some(next.saturating_duration_since(now))
    }

    /// Notes what the events are about. Nothing is done yet, so that none of them can be made stale
    /// by another.
    fn note_events(&mut self) {
        let Self { poller, peers, acceptor, errands, expiry, .. } = self;
        expiry.events = 0;
        match poller {
            Poller::System { events, .. } => {
                for event in &*events {
                    expiry.events += 1;
                    note(Edge::from(event), peers, acceptor, errands);
                }
            }
            Poller::Memory { edges, .. } => {
                expiry.events = edges.len();
                edges.drain(..).for_each(|edge| note(edge, peers, acceptor, errands));
            }
        }
    }

    fn accept(&mut self) {
        for _ in 0..acceptor::MAX_ACCEPTED {
            let room = self.peers.entries.len() < self.peers.config.limits.connections;
            match self.acceptor.accept(self.peers.now, room) {
                // Registering fails for want of kernel memory. Then it is as if the client had not
                // come.
                Some(Accepted::Connection(transport)) => drop(self.insert(transport)),
                Some(_) => {}
                None => return,
            }
        }
    }

    fn insert(&mut self, transport: Transport) -> io::Result<PeerId> {
        let id = self.peers.insert(transport);
        let Self { poller, peers, .. } = self;
        if let Err(error) = peers.entries[id.index()].transport.register(poller, id.token()) {
            self.peers.remove(id);
            return Err(error);
        }
        self.peers.stats.connections.accepted += 1;
        self.intake.insert(id);
        let Self { acceptor, intake, peers, .. } = self;
        let is_waiting =
            |id| peers.entry(id).is_some_and(Entry::is_heard) && intake.awaits_head(id);
        let waiting = peers.opening().saturating_sub(intake.undecided());
        let most = peers.config.limits.handshakes;
        if let Some(oldest) = acceptor.admit(id, waiting, most, is_waiting) {
            peers.drop_opening(oldest, |refused| &mut refused.gave_way);
        }
        Ok(id)
    }

    fn read(&mut self, handler: &mut (impl Handler + ?Sized)) {
        for _ in 0..self.peers.to_do.ready.len() {
            let Some(id) = self.peers.to_do.ready.pop_front() else { return };
            if let Some(entry) = self.peers.entry_mut(id) {
                entry.flags.ready = false;
                self.intake.read(&mut self.peers, handler, id);
            }
        }
    }

    fn refuse_if_shut_down(&self) -> io::Result<()> {
        match self.expiry.shutting_down {
            false => Ok(()),
            true => Err(io::Error::other("the event loop is shutting down")),
        }
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for EventLoop {
    /// The poller's descriptor: readable when [`turn`](EventLoop::turn) has events to handle.
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match &self.poller {
            Poller::System { poll, .. } => poll.as_raw_fd(),
            Poller::Memory { .. } => unreachable!("nobody is handed a loop in memory"),
        }
    }
}

/// The sooner of two times, or of one. (An iterator over both took twice as long.)
fn sooner<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Notes what an event is about.
///
/// Inlined, as it is needed for each event of the system's: a call took a hundredth of the time
/// that an echo takes.
#[inline(always)]
fn note(edge: Edge, peers: &mut Peers, acceptor: &mut Acceptor, errands: &mut Errands) {
    let Edge { token, readable, writable, hung_up } = edge;
    let Some(place) = PeerId::place(token) else {
        match token {
            acceptor::WAKER => errands.call(),
            token => acceptor.note(token),
        }
        return;
    };
    let Peers { entries, to_do, now, .. } = peers;
    // An event for a connection that is gone: its place may be another's by now.
    let Some(entry) = entries.get_mut(place).filter(|entry| entry.id.token() == token) else {
        return;
    };
    if hung_up {
        entry.hung_up(*now);
    }
    if readable || entry.flags.hung_up {
        to_do.read(entry);
    }
    if entry.flags.blocked && writable {
        entry.flags.writable = true;
        to_do.settle(entry);
    }
}

fn invalid_input(error: Refusal) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}
