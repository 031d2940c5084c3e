//! Everyone does anything at any time: whatever happens, `on_open` and `on_close` pair, and the counters agree.
//!
//! The storm is made of pseudo-random numbers. A failure prints the seed; `WSLOOP_STORM_SEED` repeats it,
//! as far as the kernel and the clock do the same again.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::Socket;
use wsloop::{
    Acceptance, Answer, Close, CloseCause, CloseCode, Config, Deferred, Handler, IncomingRequest,
    Message, Peer, PeerId, Peers, Refusal, Response,
};

use super::common::{Door, REQUEST, masked, turn_until, wire};

const CONNECTIONS: u64 = 20_000;

/// So many clients are there at once, give or take those that the server has not noticed are gone.
const CLIENTS: usize = 100;

/// So many of them may knock at a time: fewer than a backlog holds, beyond which they would block.
const KNOCKING: u64 = 60;

/// Soon, but nothing here depends on how soon.
const SOON: Duration = Duration::from_millis(20);

/// SplitMix64: as random as this needs, and the same again from the same seed.
struct Random(u64);

impl Random {
    /// Begins with a seed that nobody knows, or the one that is asked for.
    fn new() -> Self {
        let asked = std::env::var("WSLOOP_STORM_SEED");
        let unknown = || RandomState::new().hash_one(0);
        Self(asked.map_or_else(|_| unknown(), |seed| seed.parse().expect("a number")))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Prints the seed if the test fails.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat this storm: WSLOOP_STORM_SEED={}", self.0);
        }
    }
}

/// A handler that does anything to anyone, and checks what it is told.
struct Watch {
    random: Random,
    open: HashSet<PeerId>,
    opened: u64,
    answered: u64,
    messages: u64,
    closed: HashMap<&'static str, u64>,
    deferred: Vec<Deferred>,
}

impl Watch {
    fn new(random: Random) -> Self {
        Self {
            random,
            open: HashSet::new(),
            opened: 0,
            answered: 0,
            messages: 0,
            closed: HashMap::new(),
            deferred: Vec::new(),
        }
    }

    fn act(&mut self, peers: &mut Peers, id: PeerId) {
        let other = peers.ids().nth(self.random.below(CLIENTS)).unwrap_or(id);
        let whom = self.random.pick(&[id, id, other]);
        match self.random.below(24) {
            0 => peers.close(whom, CloseCode::NORMAL, "enough"),
            1 => peers.abort(whom),
            2 => peers.broadcast("to all"),
            3 => drop(peers.send(whom, &[0; 300_000])),
            4 => drop(peers.ping(whom, b"there?")),
            5 => drop(self.deferred.pop().map(|later| later.answer(Acceptance::new()))),
            6 => drop(self.deferred.pop()),
            _ => drop(peers.send(whom, "hello")),
        }
    }
}

impl Handler for Watch {
    fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        self.act(peers, request.id());
        match self.random.below(20) {
            0 => {
                self.answered += 1;
                Response::text(200, "well").into()
            }
            1 => Response::text(401, "who are you?").into(),
            2 => Refusal::NotFound.into(),
            3 => {
                let (answer, later) = request.defer();
                self.deferred.push(later);
                answer
            }
            _ => request.upgrade(),
        }
    }

    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.opened += 1;
        assert!(self.open.insert(peer.id()), "opened twice");
        let id = peer.id();
        self.act(peer.peers(), id);
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) {
        self.messages += 1;
        let id = peer.id();
        assert!(self.open.contains(&id), "a message of one who is not open");
        self.act(peer.peers(), id);
    }

    fn on_ping(&mut self, peer: &mut Peer<'_>, _: &[u8]) {
        assert!(self.open.contains(&peer.id()), "a Ping of one who is not open");
    }

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        assert!(self.open.contains(&peer.id()), "one who is not open has drained");
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, close: Close<'_>) {
        let id = peer.id();
        assert!(self.open.remove(&id), "closed twice, or never opened");
        assert!(!peer.peers().contains(id));
        *self.closed.entry(name(close.cause)).or_default() += 1;
        self.act(peer.peers(), id);
    }
}

/// What the counters call it.
fn name(cause: CloseCause) -> &'static str {
    match cause {
        CloseCause::Remote => "remote",
        CloseCause::Local => "local",
        CloseCause::Aborted => "aborted",
        CloseCause::Shutdown => "shutdown",
        CloseCause::Violation(violation) if u16::from(violation.code()) == 1009 => {
            "message_too_big"
        }
        CloseCause::Violation(_) => "violation",
        CloseCause::QueueFull => "queue_full",
        CloseCause::IdleTimeout => "idle_timeout",
        CloseCause::MessageTimeout => "message_timeout",
        CloseCause::InflatingLimit => "inflating_limit",
        CloseCause::WriteTimeout => "write_timeout",
        CloseCause::EndOfStream => "end_of_stream",
        CloseCause::Lost(_) => "lost",
        other => panic!("a cause that the counters do not know: {other}"),
    }
}

/// A client that does anything, and expects nothing.
struct Client {
    socket: Socket,
    is_tcp: bool,
    has_asked: bool,
    /// How many bytes the socket has taken.
    written: u64,
}

impl Client {
    fn connect(random: &mut Random, addr: SocketAddr, door: &Door) -> Self {
        // There are not as many ports as connections, all of which linger for a while.
        let is_tcp = random.below(4) == 0;
        let socket: Socket = match is_tcp {
            true => TcpStream::connect(addr).unwrap().into(),
            false => OwnedFd::from(door.knock()).into(),
        };
        socket.set_nonblocking(true).unwrap();
        Self { socket, is_tcp, has_asked: false, written: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        // Whoever is not listening any more is not told either.
        self.written += self.socket.write(bytes).unwrap_or(0) as u64;
    }

    /// Does something, and returns whether it stays.
    fn act(&mut self, random: &mut Random) -> bool {
        if !std::mem::replace(&mut self.has_asked, true) {
            return self.ask(random);
        }
        match random.below(24) {
            0..8 => self.send("81 05 'Hello'"),
            8 => self.send("81 03 'one'  82 03 'two'  89 00"),
            9 => self.send("01 03 'beg'"),
            10 => self.write(b"\x81"),
            11 => self.send("88 02 03E8"),
            12 => self.send("88 00"),
            13 => self.send("81 02 'hi'  83 00"),
            14 => self.send("82 7F 0000000000100000"),
            15 => drop(self.socket.shutdown(Shutdown::Write)),
            16 => return false,
            17 if self.is_tcp => {
                self.socket.set_linger(Some(Duration::ZERO)).unwrap();
                return false;
            }
            _ => return self.read(),
        }
        true
    }

    fn ask(&mut self, random: &mut Random) -> bool {
        match random.below(20) {
            0 => self.write(&REQUEST.as_bytes()[..random.below(REQUEST.len())]),
            1 => self.write(b"G\n"),
            2 => self.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            3 => {}
            4 => return false,
            // A message that comes together with the request.
            5 => self.write(&[REQUEST.as_bytes(), &masked(&wire("81 02 'hi'"))].concat()),
            _ => self.write(REQUEST.as_bytes()),
        }
        true
    }

    fn send(&mut self, transcript: &str) {
        self.write(&masked(&wire(transcript)));
    }

    /// Reads once, and returns whether the connection is still there.
    fn read(&mut self) -> bool {
        match self.socket.read(&mut [0; 4096]) {
            Ok(n) => n > 0,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn every_open_is_followed_by_one_close_whatever_happens() {
    let mut random = Random::new();
    let _seed = Seed(random.0);
    let mut watch = Watch::new(Random(random.next()));
    let config = Config::new()
        .max_handshakes(CLIENTS / 2)
        .max_message_size(1_000)
        .high_water_mark(50_000)
        .write_queue_limit(400_000)
        .handshake_timeout(SOON)
        .ping_interval(Some(SOON))
        .idle_timeout(Some(3 * SOON))
        .message_timeout(Some(SOON))
        .write_timeout(Some(SOON))
        .close_timeout(SOON);
    let (mut event_loop, door) = Door::new(config);
    let addr = event_loop.listen("127.0.0.1:0").unwrap();

    let (mut clients, mut connected, mut written) = (Vec::new(), 0, 0);
    while connected < CONNECTIONS {
        let stats = event_loop.peers().stats();
        if clients.len() < CLIENTS && connected - stats.connections.accepted < KNOCKING {
            clients.push(Client::connect(&mut random, addr, &door));
            connected += 1;
        }
        let index = random.below(clients.len().max(1));
        if let Some(client) = clients.get_mut(index)
            && !client.act(&mut random)
        {
            written += clients.swap_remove(index).written;
        }
        if random.below(8) == 0 || clients.len() == CLIENTS {
            event_loop.turn(&mut watch, Some(Duration::ZERO)).unwrap();
            assert_eq!(event_loop.peers().stats().connections.opened, watch.opened);
        }
    }
    turn_until(&mut event_loop, &mut watch, |event_loop, _| {
        event_loop.peers().stats().connections.accepted == CONNECTIONS
    });
    event_loop.peers().shutdown(SOON);
    turn_until(&mut event_loop, &mut watch, |event_loop, _| event_loop.is_finished());
    written += clients.iter().map(|client| client.written).sum::<u64>();

    let stats = event_loop.peers().stats();
    assert!(watch.open.is_empty(), "{} were never closed", watch.open.len());
    let connections = stats.connections;
    assert_eq!(connections.opening + connections.open + connections.ending, 0);
    assert_eq!((connections.opened, connections.answered), (watch.opened, watch.answered));
    let refused = stats.refused.total();
    assert_eq!(CONNECTIONS, connections.opened + connections.answered + refused);
    assert_eq!(connections.opened, stats.closed.total());
    for (cause, count) in stats.closed.causes() {
        assert_eq!(count, watch.closed.get(cause).copied().unwrap_or(0), "{cause}");
    }
    assert_eq!(stats.messages.received, watch.messages);
    assert_eq!(stats.bytes.queued, 0);
    assert!(stats.bytes.received <= written, "what was reset was not read");
    // It was a storm.
    assert!(watch.opened > CONNECTIONS / 4 && refused > CONNECTIONS / 20, "{stats}");
    let ways = stats.closed.causes().filter(|&(_, count)| count > 0).count();
    assert!(ways >= 7, "{stats}");
}
