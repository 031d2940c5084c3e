//! Tests of handlers, without sockets, threads or waiting.
//!
//! A [`Rehearsal`] is a server whose clients are in the same test: it runs a handler in the loop
//! that serves sockets, over connections in memory and with a clock that the test moves. A [`pair`]
//! is one such connection by itself.
//!
//! This is always there, not behind a feature: tests run the very build of the library that the
//! server has. To a server that does not use it, it adds 14 KiB.

mod client;
mod opening;

use std::time::Duration;

use self::client::Client;
pub use self::client::Received;
pub use self::opening::{HttpResponse, Opening};
pub use super::faults::Faults;
pub use super::memory::{MemoryStream, pair};

use super::in_memory::Door;
use super::{Config, EventLoop, Handler, PeerId, Peers, Remote};
use crate::protocol::{CloseCode, Message, Piece, SendError};

/// A handler with clients, all in one test.
///
/// Whatever a client does, the loop then runs until nothing is left to do; what clients were sent
/// is there to be [received](Self::receive). Time stands still, but for
/// [`advance`](Self::advance): timers, Pings and timeouts come due in their order, and an hour
/// passes in no time. Given the same calls, the same happens every time.
///
/// What runs is the loop itself, with all its limits. Only sockets, poller and clock are others:
/// no descriptor is opened. Clients answer Pings and Close as browsers do, unless they have been
/// [stopped from reading](Self::stop_reading).
///
/// A test in which two clients connect, exchange ten messages and close takes 28 µs in a release
/// build: `cargo bench -- rehearsal`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use wsloop::testing::{Received, Rehearsal};
/// use wsloop::{Config, Handler, Message, Peer, Peers, TimerId};
///
/// /// Tells the others what anyone says, and how many spoke in the last minute.
/// #[derive(Default)]
/// struct Chat {
///     messages: usize,
/// }
///
/// impl Handler for Chat {
///     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
///         if self.messages == 0 {
///             peer.peers().set_timer(Duration::from_secs(60));
///         }
///         self.messages += 1;
///         peer.broadcast(message);
///     }
///
///     fn on_timer(&mut self, peers: &mut Peers, _: TimerId) {
///         peers.broadcast(&format!("{} messages", std::mem::take(&mut self.messages)));
///     }
/// }
///
/// let mut chat = Rehearsal::new(Config::new(), Chat::default());
/// let alice = chat.connect("/room");
/// let bob = chat.connect("/room");
/// chat.send(alice, "hello");
/// assert_eq!(chat.receive(bob), Some(Received::Text("hello")));
/// assert_eq!(chat.receive(alice), None);
/// assert_eq!(chat.handler().messages, 1);
///
/// chat.advance(Duration::from_secs(60));
/// assert_eq!(chat.receive(alice), Some(Received::Text("1 messages")));
/// ```
#[derive(Debug)]
pub struct Rehearsal<H> {
    event_loop: EventLoop,
    door: Door,
    handler: H,
    /// By [`ClientId`].
    clients: Vec<Client>,
    /// What they read passes through this.
    buffer: Box<[u8]>,
}

/// Identifies a client of one [`Rehearsal`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId(usize);

/// More turns than any test needs in which no time passes.
const MAX_TURNS: usize = 10_000_000;

/// So many of those are worth one in which nothing is read, either.
const IDLE_TURN: usize = 1000;

/// How much a client reads at once.
const READ_BUFFER: usize = 64 * 1024;

impl<H: Handler> Rehearsal<H> {
    /// Makes a server without clients.
    pub fn new(config: Config, handler: H) -> Self {
        let (event_loop, door) = EventLoop::in_memory(config);
        let buffer = vec![0; READ_BUFFER].into_boxed_slice();
        Self { event_loop, door, handler, clients: Vec::new(), buffer }
    }

    /// Connects and does the opening handshake.
    ///
    /// Takes the target of the request, or an [`Opening`] that says more.
    ///
    /// # Panics
    ///
    /// Panics if the client is not let in. Where that is what is tested, [`request`](Self::request)
    /// instead.
    #[track_caller]
    pub fn connect(&mut self, opening: impl Into<Opening>) -> ClientId {
        let client = self.request(opening);
        match self.response(client) {
            Some(response) if response.status() == 101 => client,
            Some(response) => panic!("the client was not let in: {response:?}"),
            None => panic!("the client was not answered"),
        }
    }

    /// Connects and sends a request, whatever comes of it: see [`response`](Self::response).
    pub fn request(&mut self, opening: impl Into<Opening>) -> ClientId {
        let opening = opening.into();
        let client = self.admit(&opening);
        self.send_raw(client, &opening.head());
        client
    }

    /// Connects, and says nothing yet: what is to be said is [sent raw](Self::send_raw).
    ///
    /// Of the opening, only what concerns the connection matters.
    pub fn connect_silently(&mut self, opening: impl Into<Opening>) -> ClientId {
        let client = self.admit(&opening.into());
        self.run();
        client
    }

    /// Has the connections that are made from here on suffer what networks do.
    pub fn faults(&mut self, mut faults: Faults) {
        self.event_loop.reorder(&mut faults);
        self.door.suffer(faults);
    }

    /// Has what the handler [connects](Peers::connect) to be this very server, whatever the URL
    /// says, and without TLS. Before that there is nowhere to connect to.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::testing::Rehearsal;
    /// use wsloop::{Config, Handler, Message, Peer};
    ///
    /// /// Greets whatever server it connects to, and counts what is said to it.
    /// struct Greeter(usize);
    ///
    /// impl Handler for Greeter {
    ///     fn on_open(&mut self, peer: &mut Peer<'_>) {
    ///         if peer.is_server() {
    ///             peer.send("hello");
    ///         }
    ///     }
    ///
    ///     fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {
    ///         self.0 += 1;
    ///     }
    /// }
    ///
    /// let mut greeter = Rehearsal::new(Config::new(), Greeter(0));
    /// greeter.connect_to_itself();
    /// greeter.peers().connect("ws://server.example/")?;
    /// greeter.run();
    /// assert_eq!((greeter.peers().len(), greeter.handler().0), (2, 1));
    /// # Ok::<(), wsloop::ConnectError>(())
    /// ```
    pub fn connect_to_itself(&mut self) {
        self.event_loop.connect_to(&self.door);
    }

    /// How a client's request was answered. `None` if it is not, or not yet: the decision may have
    /// been [deferred](super::IncomingRequest::defer).
    pub fn response(&mut self, client: ClientId) -> Option<&HttpResponse> {
        self.run();
        self.clients[client.0].response()
    }

    /// The id that the handler knows a client by. `None` once the connection is gone, on the
    /// server's side.
    pub fn peer_id(&self, client: ClientId) -> Option<PeerId> {
        self.event_loop.connection_of(self.clients[client.0].stream()?)
    }

    /// Whether a client can send messages: it was let in, and nobody has sent Close.
    pub fn is_open(&mut self, client: ClientId) -> bool {
        self.run();
        self.clients[client.0].is_open()
    }

    /// Has a client send a message.
    ///
    /// # Panics
    ///
    /// Panics if the client is not [open](Self::is_open), or is in the middle of a message.
    #[track_caller]
    pub fn send<'m>(&mut self, client: ClientId, message: impl Into<Message<'m>>) {
        self.send_piece(client, message.into().into());
    }

    /// Has a client send a piece of a message, as one frame.
    ///
    /// # Panics
    ///
    /// Panics if the client is not [open](Self::is_open), or if the piece does not continue what it
    /// sent before.
    #[track_caller]
    pub fn send_piece(&mut self, client: ClientId, piece: Piece<'_>) {
        let result = self.clients[client.0].act(|connection| connection.send_piece(piece));
        self.went_well(result);
    }

    /// Has a client send a Ping. Its Pong is [received](Self::receive) like a message.
    ///
    /// # Panics
    ///
    /// Panics if the client is not [open](Self::is_open), or if the payload exceeds 125 bytes.
    #[track_caller]
    pub fn ping(&mut self, client: ClientId, payload: &[u8]) {
        let result = self.clients[client.0].act(|connection| connection.ping(payload));
        self.went_well(result);
    }

    /// Has a client begin the closing handshake.
    ///
    /// # Panics
    ///
    /// Panics if the client is not [open](Self::is_open).
    #[track_caller]
    pub fn close(&mut self, client: ClientId, code: CloseCode, reason: &str) {
        let result = self.clients[client.0].act(|connection| connection.close(code, reason));
        self.went_well(result);
    }

    /// Has a client send bytes as they are, such as frames that break the protocol. No effect once
    /// the connection is over.
    pub fn send_raw(&mut self, client: ClientId, bytes: &[u8]) {
        self.clients[client.0].send_raw(bytes);
        self.run();
    }

    /// Has a client end its stream without a Close, behind what it sent: TCP's FIN.
    pub fn end_stream(&mut self, client: ClientId) {
        self.clients[client.0].end_stream();
        self.run();
    }

    /// Has a client break the connection: TCP's RST. What is on its way is lost.
    pub fn reset(&mut self, client: ClientId) {
        self.clients[client.0].reset();
        self.run();
    }

    /// Has a client read nothing any more, nor answer anything. What it is sent fills its
    /// connection, and then its queue.
    pub fn stop_reading(&mut self, client: ClientId) {
        self.clients[client.0].reads = false;
    }

    /// Has a client go on reading.
    pub fn go_on_reading(&mut self, client: ClientId) {
        self.clients[client.0].reads = true;
        self.run();
    }

    /// The next thing that a client was sent, in order. It is lent: use it before anything else is
    /// asked of the rehearsal.
    pub fn receive(&mut self, client: ClientId) -> Option<Received<'_>> {
        self.run();
        self.clients[client.0].receive()
    }

    /// Lets time pass. Timers, Pings and timeouts come due in their order, each at its time.
    ///
    /// # Panics
    ///
    /// See [`run`](Self::run). Also panics if the time is too long to be counted.
    pub fn advance(&mut self, time: Duration) {
        self.run();
        let mut left = time;
        while let Some(wait) = self.event_loop.next_timeout().filter(|wait| *wait <= left) {
            self.event_loop.advance(wait);
            left -= wait;
            self.run();
        }
        self.event_loop.advance(left);
        self.run();
    }

    /// Runs the loop until nothing is left to do at the present time.
    ///
    /// Everything else here does so by itself. This is for what comes from elsewhere: from
    /// [`peers`](Self::peers), or from other threads.
    ///
    /// # Panics
    ///
    /// Panics if the handler does, and if there is no end to it because of the handler: with an
    /// interval of zero, or when it answers its own `on_drain`.
    pub fn run(&mut self) {
        let mut turns = 0;
        while turns < MAX_TURNS {
            let mut moved = false;
            for client in &mut self.clients {
                moved |= client.exchange(&mut self.buffer);
            }
            if self.event_loop.has_work() {
                let before = self.event_loop.peers.stats.bytes.received;
                let result = self.event_loop.turn(&mut self.handler, Some(Duration::ZERO));
                result.expect("in memory, nothing is asked of the system");
                // What it connects to may be itself.
                moved |= self.event_loop.peers.stats.bytes.received != before;
            } else if !moved {
                return;
            }
            turns += if moved { 1 } else { IDLE_TURN };
        }
        panic!("the handler keeps the loop busy for ever");
    }

    /// The handler, to look at what it knows.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The handler, to change what it knows.
    pub fn handler_mut(&mut self) -> &mut H {
        &mut self.handler
    }

    /// All peers, to send them something or to set timers, as on
    /// [`EventLoop::peers`](super::EventLoop::peers).
    pub fn peers(&mut self) -> &mut Peers {
        self.event_loop.peers()
    }

    /// A handle for other threads, as [`EventLoop::remote`](super::EventLoop::remote) makes it.
    ///
    /// What it is used for is done by the next call of anything here, so that a test in which
    /// threads take part waits for them and then [runs](Self::run) the loop.
    pub fn remote(&self) -> Remote {
        self.event_loop.remote()
    }

    /// Whether the loop was shut down, and all its connections are gone.
    pub fn is_finished(&mut self) -> bool {
        self.run();
        self.event_loop.is_finished()
    }

    fn admit(&mut self, opening: &Opening) -> ClientId {
        self.clients.push(Client::new(self.door.connect(opening.buffer, opening.remote_addr)));
        ClientId(self.clients.len() - 1)
    }

    #[track_caller]
    fn went_well(&mut self, result: Result<(), SendError>) {
        if let Err(error) = result {
            panic!("the client cannot send that: {error}");
        }
        self.run();
    }
}
