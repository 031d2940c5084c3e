//! Clients that come about or do not, in any order with what the application does meanwhile.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use wsloop::handshake::{ClientRequest, Response, WsUrl};
use wsloop::{Answer, Close, CloseCode, Config, Connect, ConnectError, EventLoop, Handler};
use wsloop::{IncomingRequest, Message, Peer, PeerId, Peers, Reconnect, Retry, TimerId};

/// What a handler knows of a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Known {
    Begun,
    Open,
    Over,
}

/// Does whatever handlers may do, whenever it is called, and keeps account of its clients.
struct Chaos {
    urls: Vec<String>,
    clients: HashMap<PeerId, Known>,
    order: Vec<PeerId>,
    /// How many it may still connect.
    left: u32,
    random: u64,
    panics: bool,
}

/// A bug of the application's.
struct Bug;

impl Chaos {
    fn new(seed: u64, urls: Vec<String>, panics: bool) -> Self {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self { urls, clients: HashMap::new(), order: Vec::new(), left: 100, random, panics }
    }

    /// One of so many numbers.
    fn pick(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % n as u64).unwrap()
    }

    fn note(&mut self, id: PeerId, before: Option<Known>, now: Known) {
        assert_eq!(self.clients.insert(id, now), before, "{id} is now {now:?}");
        if before.is_none() {
            self.order.push(id);
        }
    }

    fn any_client(&mut self) -> Option<PeerId> {
        let n = self.pick(self.order.len().max(1));
        self.order.get(n).copied()
    }

    fn connect(&mut self, peers: &mut Peers) {
        self.left -= 1;
        let n = self.pick(self.urls.len());
        let request = ClientRequest::new(WsUrl::parse(&self.urls[n]).unwrap());
        let mut connect = Connect::new(request).follow_redirects();
        if self.pick(4) == 0 {
            let delay = Duration::from_millis(3);
            connect = connect.reconnect(Reconnect::new().delays(delay, delay).max_attempts(2));
        }
        match peers.connect_with(connect) {
            Ok(id) => self.note(id, None, Known::Begun),
            Err(ConnectError::TooManyConnections | ConnectError::ShuttingDown) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn act(&mut self, peers: &mut Peers) {
        for _ in 0..self.pick(3) {
            match (self.pick(7), self.any_client()) {
                (0..=2, _) if self.left > 0 => self.connect(peers),
                (3, Some(id)) => peers.abort(id),
                (4, Some(id)) => peers.close(id, CloseCode::GOING_AWAY, ""),
                (5, _) => peers.broadcast("hi"),
                (6, _) if self.left > 0 => _ = peers.set_timer(Duration::from_millis(1)),
                _ => {}
            }
        }
    }

    /// The same, where the loop is to survive a panic.
    fn act_and_panic(&mut self, peers: &mut Peers) {
        self.act(peers);
        if self.panics && self.pick(20) == 0 {
            resume_unwind(Box::new(Bug));
        }
    }
}

impl Handler for Chaos {
    fn on_request(&mut self, peers: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
        self.act_and_panic(peers);
        match request.target() {
            "/no" => Response::new(503).into(),
            "/elsewhere" => Response::new(307).header("Location", "/").into(),
            _ => request.upgrade(),
        }
    }

    fn on_open(&mut self, peer: &mut Peer<'_>) {
        if peer.is_server() {
            self.note(peer.id(), Some(Known::Begun), Known::Open);
        }
        self.act_and_panic(peer.peers());
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) {
        if self.pick(2) == 0 {
            peer.close(CloseCode::NORMAL, "");
        }
        self.act_and_panic(peer.peers());
    }

    fn on_close(&mut self, peer: &mut Peer<'_>, _: Close<'_>) {
        if peer.is_server() {
            self.note(peer.id(), Some(Known::Open), Known::Over);
        }
        self.act_and_panic(peer.peers());
    }

    fn on_connect_error(&mut self, peers: &mut Peers, id: PeerId, _: ConnectError) {
        self.note(id, Some(Known::Begun), Known::Over);
        self.act_and_panic(peers);
    }

    fn on_reconnect(&mut self, peers: &mut Peers, retry: Retry) {
        assert_eq!(self.clients[&retry.lost], Known::Over);
        self.note(retry.id, None, Known::Begun);
        self.act_and_panic(peers);
    }

    fn on_timer(&mut self, peers: &mut Peers, _: TimerId) {
        self.act_and_panic(peers);
    }
}

/// Turns a loop once, and survives what the handler does.
#[track_caller]
fn turn(event_loop: &mut EventLoop, chaos: &mut Chaos) {
    let turn = || event_loop.turn(chaos, Some(Duration::from_millis(1))).unwrap();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(turn)) {
        // Of a bug of ours, the message has been printed.
        assert!(panic.is::<Bug>(), "a panic that is not on purpose");
    }
    let connections = event_loop.peers().stats().connections;
    let known = connections.connecting + connections.connected + connections.failed;
    assert_eq!(connections.begun, known);
}

fn urls(addr: SocketAddr, silent: SocketAddr) -> Vec<String> {
    let port = addr.port();
    let here = ["/", "/no", "/elsewhere"].map(|target| format!("ws://{addr}{target}"));
    let others = [format!("ws://localhost:{port}"), format!("ws://{silent}")];
    [&here[..], &others].concat()
}

#[test]
fn of_every_client_that_is_begun_the_end_is_told_once_whatever_happens_meanwhile() {
    for seed in 1..=16 {
        check(seed);
    }
}

#[track_caller]
fn check(seed: u64) {
    let config = Config::new()
        .max_connections(40)
        .max_connecting_per_address(1 + usize::try_from(seed % 3).unwrap())
        .handshake_timeout(Duration::from_millis(20))
        .close_timeout(Duration::from_millis(20));
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let urls = urls(addr, silent.local_addr().unwrap());
    let mut chaos = Chaos::new(seed, urls, seed.is_multiple_of(2));
    while chaos.left > 0 {
        chaos.act(event_loop.peers());
        turn(&mut event_loop, &mut chaos);
    }
    if seed % 4 < 2 {
        event_loop.peers().shutdown(Duration::from_millis(50));
    }
    for _ in 0..20_000 {
        let ids: Vec<_> = event_loop.peers().ids().collect();
        ids.iter().for_each(|id| event_loop.peers().close(*id, CloseCode::NORMAL, ""));
        turn(&mut event_loop, &mut chaos);
        let now = event_loop.peers().stats().connections;
        if now.connecting + now.opening + now.open + now.ending == 0 {
            assert!(chaos.clients.values().all(|known| *known == Known::Over), "seed {seed}");
            return;
        }
    }
    panic!("seed {seed}: {}", event_loop.peers().stats());
}
