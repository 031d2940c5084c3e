//! What messages cost in allocations, once the loop is warm: nothing.
//!
//! Loop and client take turns on one thread, and the allocations of that thread are counted. The client
//! makes none, and that the count is one is tested too.

#![cfg(feature = "event-loop")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use allocation_counter::measure;
use socket2::SockRef;
use wsloop::protocol::{Header, Opcode, encode_frame};
use wsloop::{Config, Delivery, EventLoop, Handler, Message, MessageType, Peer, Piece, SendStatus};

const MESSAGES: usize = 100_000;

/// So many messages are sent before anything is counted: pools fill, tables grow, buffers find their size.
const WARM_UP: usize = 1_000;

const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        peer.send(message);
    }
}

#[test]
fn small_messages() {
    check_echo(Opcode::Text, 20, 1);
    check_echo(Opcode::Binary, 20, 1);
}

#[test]
fn small_messages_that_arrive_together() {
    check_echo(Opcode::Text, 20, 50);
    check_echo(Opcode::Binary, 20, 50);
}

/// Sends back what it receives, and counts: a server and its client in one loop keep each other
/// busy for ever.
struct Rally(usize);

impl Handler for Rally {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        if peer.is_server() {
            peer.send("to and fro");
        }
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.0 += 1;
        peer.send(message);
    }
}

#[test]
fn messages_to_and_from_a_server() {
    let mut event_loop = EventLoop::new().unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    event_loop.connect(&format!("ws://{addr}")).unwrap();
    let mut rally = Rally(0);
    let mut play = |messages| {
        let end = rally.0 + messages;
        while rally.0 < end {
            event_loop.turn(&mut rally, Some(Duration::from_secs(60))).unwrap();
        }
    };
    play(WARM_UP);
    // Far more than the keys of one seed.
    assert_eq!(measure(|| play(MESSAGES)).count_total, 0);
}

#[test]
fn messages_of_a_page() {
    check_echo(Opcode::Text, 4096, 1);
    check_echo(Opcode::Binary, 4096, 1);
}

#[test]
fn fragmented_messages_with_a_ping_between_the_fragments() {
    let mut request = frame(Opcode::Text, false, &sample(1000));
    request.extend(frame(Opcode::Ping, true, b"are you there?"));
    request.extend(frame(Opcode::Continuation, false, &sample(2000)));
    request.extend(frame(Opcode::Continuation, true, &sample(96)));

    let mut reply = unmasked(Opcode::Pong, b"are you there?");
    reply.extend(unmasked(Opcode::Text, &[sample(1000), sample(2000), sample(96)].concat()));

    assert_eq!(count(&mut Echo, MESSAGES / 4, &[&request], &reply), 0, "in one piece");
    // A page is the loop's to read at once, so this cuts each of the frames as well.
    for cut in [1, 3, 1500, 1014, 1020, 1030, 3030] {
        let (front, back) = request.split_at(cut);
        let allocations = count(&mut Echo, WARM_UP, &[front, back], &reply);
        assert_eq!(allocations, 0, "cut at {cut}");
    }
}

#[test]
fn messages_cut_in_the_middle() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let request = frame(opcode, true, &sample(4096));
        let reply = unmasked(opcode, &sample(4096));
        let (front, back) = request.split_at(2000);
        assert_eq!(count(&mut Echo, MESSAGES / 4, &[front, back], &reply), 0, "{opcode:?}");
        // Inside the header too.
        for cut in 1..10 {
            let (front, back) = request.split_at(cut);
            let allocations = count(&mut Echo, WARM_UP, &[front, back], &reply);
            assert_eq!(allocations, 0, "{opcode:?}, cut at {cut}");
        }
    }
}

/// Sends what it receives, piece by piece.
struct EchoInPieces;

impl Handler for EchoInPieces {
    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {
        unreachable!("messages come in pieces");
    }

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        if piece.first {
            peer.begin_message(piece.message.message_type()).unwrap();
        }
        match piece.last {
            true => peer.write_last(piece.message).unwrap(),
            false => peer.write(piece.message).unwrap(),
        };
    }
}

#[test]
fn pieces_both_ways_with_a_ping_and_a_message_between_them() {
    let mut request = frame(Opcode::Binary, false, &sample(1000));
    request.extend(frame(Opcode::Ping, true, b"are you there?"));
    request.extend(frame(Opcode::Continuation, false, &sample(20_000)));
    request.extend(frame(Opcode::Continuation, true, &sample(96)));

    let mut reply = Vec::new();
    let fragment = |opcode| Header { fin: false, ..Header::new(opcode, 0) };
    encode_frame(fragment(Opcode::Binary), &sample(1000), &mut reply);
    reply.extend(unmasked(Opcode::Pong, b"are you there?"));
    encode_frame(fragment(Opcode::Continuation), &sample(20_000), &mut reply);
    reply.extend(unmasked(Opcode::Continuation, &sample(96)));

    let config = || Config::new().delivery(Delivery::Pieces);
    let mut echo = EchoInPieces;
    let mut world = World::with_config(config(), &mut echo, 1);
    world.exchange(WARM_UP, &[&request], &reply);
    let allocations = measure(|| world.exchange(MESSAGES / 10, &[&request], &reply));
    assert_eq!(allocations.count_total, 0, "in one read");

    // What is sent meanwhile waits without more ado.
    let mut echo_and_send = EchoAndSend(EchoInPieces);
    reply.extend(unmasked(Opcode::Text, b"meanwhile"));
    let mut world = World::with_config(config(), &mut echo_and_send, 1);
    world.exchange(WARM_UP, &[&request], &reply);
    let allocations = measure(|| world.exchange(MESSAGES / 10, &[&request], &reply));
    assert_eq!(allocations.count_total, 0, "with a message that waits");
}

struct EchoAndSend(EchoInPieces);

impl Handler for EchoAndSend {
    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        self.0.on_piece(peer, piece);
        if piece.first {
            peer.send("meanwhile");
        }
    }
}

/// A frame of 64 MiB, of which the loop never holds more than it reads at a time.
#[test]
fn a_huge_frame_in_pieces_takes_no_memory() {
    const LEN: usize = 64 << 20;
    let mut received = 0;
    let mut count = Count(&mut received);
    let config = Config::new().delivery(Delivery::Pieces).max_message_size(LEN as u64);
    let mut world = World::with_config(config, &mut count, 1);
    let chunk = vec![0x55; 64 << 10];
    let mut send_one = || {
        let header = Header { masking_key: Some(KEY), ..Header::new(Opcode::Binary, LEN as u64) };
        let mut encoded = Vec::with_capacity(Header::MAX_LEN);
        header.encode(&mut encoded);
        world.clients[0].write_all(&encoded).unwrap();
        let mut left = LEN;
        while left > 0 {
            match world.clients[0].write(&chunk[..left.min(chunk.len())]) {
                Ok(n) => left -= n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            world.turn_at_once();
        }
        for _ in 0..1_000 {
            if world.handler.0.is_multiple_of(LEN) {
                return;
            }
            world.turn();
        }
        panic!("{} bytes have been delivered", world.handler.0);
    };
    send_one();
    let allocations = measure(send_one);
    assert_eq!(received, 2 * LEN);
    // The client's header.
    assert_eq!((allocations.count_total, allocations.bytes_max), (1, Header::MAX_LEN as u64));
}

struct Count<'c>(&'c mut usize);

impl Handler for Count<'_> {
    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}

    fn on_piece(&mut self, _: &mut Peer<'_>, piece: Piece<'_>) {
        *self.0 += piece.message.len();
    }
}

/// Fragments of 64 KiB to a peer that reads, paced by the mark.
#[test]
fn a_message_in_fragments_uses_buffers_again() {
    let mut source = Source { chunk: vec![0x55; 64 << 10], left: 0 };
    let mut world = World::new(&mut source, 1);
    let mut send = |fragments| {
        world.handler.left = fragments;
        let id = world.event_loop.peers().ids().next().unwrap();
        let mut peer = world.event_loop.peers().peer(id).unwrap();
        peer.begin_message(MessageType::Binary).unwrap();
        world.handler.on_drain(&mut peer);
        let mut missing = fragments * (10 + (64 << 10)) + 2;
        while missing > 0 {
            match world.clients[0].read(&mut world.buffer) {
                Ok(n) => missing -= n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => world.turn(),
                Err(error) => panic!("{error}"),
            }
        }
    };
    send(1_000);
    let allocations = measure(|| send(10_000)).count_total;
    // As the kernel takes more or less at a time, more or fewer of them wait to be used again.
    assert!(allocations <= 4, "{allocations} allocations for 10000 fragments");
}

struct Source {
    chunk: Vec<u8>,
    left: usize,
}

impl Handler for Source {
    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}

    fn on_drain(&mut self, peer: &mut Peer<'_>) {
        while self.left > 0 {
            self.left -= 1;
            let status = peer.write(&self.chunk).unwrap();
            if self.left == 0 {
                peer.finish().unwrap();
            }
            if status != SendStatus::Queued {
                return;
            }
        }
    }
}

#[test]
fn a_handler_that_copies_is_counted() {
    let mut copy_and_echo = |peer: &mut Peer<'_>, message: Message<'_>| {
        let copy = message.as_bytes().to_vec();
        peer.send(&copy);
    };
    let (request, reply) =
        (frame(Opcode::Binary, true, &sample(20)), unmasked(Opcode::Binary, &sample(20)));
    assert_eq!(count(&mut copy_and_echo, 1_000, &[&request], &reply), 1_000);
}

#[test]
fn a_broadcast_is_encoded_once_however_many_peers_there_are() {
    let mut broadcast = |peer: &mut Peer<'_>, message: Message<'_>| {
        peer.peers().broadcast(message);
    };
    for (opcode, len) in [(Opcode::Text, 20), (Opcode::Binary, 4096), (Opcode::Binary, 60_000)] {
        let (request, reply) = (frame(opcode, true, &sample(len)), unmasked(opcode, &sample(len)));
        let mut allocations_with = |peers| {
            let mut world = World::new(&mut broadcast, peers);
            world.exchange(WARM_UP, &[&request], &reply);
            measure(|| world.exchange(1_000, &[&request], &reply)).count_total
        };
        let few = allocations_with(2);
        assert_eq!(allocations_with(50), few, "with 50 peers, and with 2");
        // The frame, and the reference-counted memory that the peers share.
        assert!(few <= 2 * 1_000, "{few} allocations for 1000 broadcasts of {len} bytes");
    }
}

#[test]
fn a_broadcast_copies_its_payload_once_however_many_peers_there_are() {
    const LEN: usize = 1024;
    let mut broadcast = |peer: &mut Peer<'_>, message: Message<'_>| {
        peer.peers().broadcast(message);
    };
    let (request, reply) =
        (frame(Opcode::Binary, true, &sample(LEN)), unmasked(Opcode::Binary, &sample(LEN)));
    let mut bytes_with = |peers| {
        let mut world = World::new(&mut broadcast, peers);
        world.exchange(10, &[&request], &reply);
        measure(|| world.exchange(100, &[&request], &reply)).bytes_total
    };
    let few = bytes_with(2);
    assert!(few < 2 * LEN as u64 * 100, "{few} bytes for 100 broadcasts of {LEN}");
    assert_eq!(bytes_with(200), few, "with 200 peers, and with 2");
    // There are not as many spare queues: some of these are allocated, and freed, but hold no copy.
    let many = bytes_with(300);
    assert!(many - few < 300 * 100 * LEN as u64 / 8, "{many} bytes with 300 peers, {few} with 2");
}

/// What is received borrows from the message, and what is sent is serialised into memory that is there.
#[cfg(feature = "json")]
#[test]
fn json_in_and_out() {
    let mut swap = |peer: &mut Peer<'_>, message: Message<'_>| {
        let (first, second): (&str, f64) = message.json().unwrap();
        peer.send_json(&(second, first)).unwrap();
    };
    for len in [20, 4096, 60_000] {
        let text = String::from_utf8(sample(len)).unwrap();
        let request = frame(Opcode::Text, true, format!(r#"["{text}", 0.5]"#).as_bytes());
        let reply = unmasked(Opcode::Text, format!(r#"[0.5,"{text}"]"#).as_bytes());
        assert_eq!(count(&mut swap, 1_000, &[&request], &reply), 0, "{len} bytes");
    }
}

#[cfg(feature = "json")]
#[test]
fn a_value_is_serialised_once_however_many_peers_there_are() {
    let mut broadcast = |peer: &mut Peer<'_>, message: Message<'_>| {
        let text: &str = message.json().unwrap();
        peer.peers().broadcast_json(text).unwrap();
    };
    let request = frame(Opcode::Text, true, br#" "Hello" "#);
    let reply = unmasked(Opcode::Text, br#""Hello""#);
    for peers in [2, 50] {
        let mut world = World::new(&mut broadcast, peers);
        world.exchange(WARM_UP, &[&request], &reply);
        // The frame, and the reference-counted memory that the peers share.
        let allocations = measure(|| world.exchange(1_000, &[&request], &reply)).count_total;
        assert!(allocations <= 2 * 1_000, "{allocations} for 1000 broadcasts to {peers} peers");
    }
}

/// Connections that were opened, used and ended leave no memory behind, in whichever way they ended.
#[test]
fn a_thousand_connections_that_come_and_go() {
    let mut echo = Echo;
    let mut world = World::new(&mut echo, 1);
    let addr = world.clients[0].peer_addr().unwrap();
    let mut come_and_go = |connections: usize| {
        for way in 0..connections {
            world.connect(addr);
            let mut client = world.clients.pop().unwrap();
            client.write_all(&frame(Opcode::Binary, true, &sample(3000))).unwrap();
            match way % 5 {
                // The closing handshake.
                0 => {
                    client.write_all(&frame(Opcode::Close, true, &1000_u16.to_be_bytes())).unwrap()
                }
                // A violation: a reserved opcode.
                1 => client.write_all(&[0x83]).unwrap(),
                // An end without a Close, in the middle of a message.
                2 => client.write_all(&frame(Opcode::Text, false, &sample(5000))).unwrap(),
                // The same at once.
                3 => {}
                // A reset.
                _ => SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap(),
            }
            drop(client);
            for _ in 0..1_000 {
                world.turn_at_once();
                if world.event_loop.peers().len() == 1 {
                    break;
                }
            }
            assert_eq!(world.event_loop.peers().len(), 1, "way {}", way % 5);
        }
    };
    // Some wait to be dropped for want of an answer, and deadlines are forgotten now and then.
    come_and_go(WARM_UP);
    let left = measure(|| come_and_go(1_000)).bytes_current;
    assert!(left.abs() <= 4 * 1024, "{left} bytes more after a thousand connections");
}

#[test]
fn what_is_published_is_encoded_once_if_anyone_is_to_receive_it() {
    let (request, reply) =
        (frame(Opcode::Binary, true, &sample(4096)), unmasked(Opcode::Binary, &sample(4096)));
    let mut publish_to_all = |peer: &mut Peer<'_>, message: Message<'_>| {
        peer.peers().publish("all", message);
    };
    let mut allocations_with = |peers| {
        let mut world = World::new(&mut publish_to_all, peers);
        let peers = world.event_loop.peers();
        for id in peers.ids().collect::<Vec<_>>() {
            assert!(peers.subscribe(id, "all"));
        }
        world.exchange(WARM_UP, &[&request], &reply);
        measure(|| world.exchange(1_000, &[&request], &reply)).count_total
    };
    let few = allocations_with(2);
    assert_eq!(allocations_with(50), few, "with 50 subscribers, and with 2");
    assert!(few <= 2 * 1_000, "{few} allocations for 1000 publications");

    // To no topic, and to one to which the publisher alone has subscribed: the echo is all.
    let mut publish_to_nobody = |peer: &mut Peer<'_>, message: Message<'_>| {
        peer.peers().publish("nobody's", message);
        peer.publish("mine", message);
        peer.send(message);
    };
    let mut world = World::new(&mut publish_to_nobody, 1);
    let peers = world.event_loop.peers();
    let id = peers.ids().next().unwrap();
    assert!(peers.subscribe(id, "mine"));
    world.exchange(WARM_UP, &[&request], &reply);
    assert_eq!(measure(|| world.exchange(1_000, &[&request], &reply)).count_total, 0);
}

/// Checks that messages of `len` bytes, `together` of them in each segment, are echoed without an allocation.
#[track_caller]
fn check_echo(opcode: Opcode, len: usize, together: usize) {
    let request = frame(opcode, true, &sample(len)).repeat(together);
    let reply = unmasked(opcode, &sample(len)).repeat(together);
    let allocations = count(&mut Echo, MESSAGES / together, &[&request], &reply);
    assert_eq!(allocations, 0, "{opcode:?}, {len} bytes, {together} together");
}

/// Counts the allocations of `times` exchanges with one peer, after a warm-up.
#[track_caller]
fn count(handler: &mut impl Handler, times: usize, request: &[&[u8]], reply: &[u8]) -> u64 {
    let mut world = World::new(handler, 1);
    world.exchange(WARM_UP, request, reply);
    measure(|| world.exchange(times, request, reply)).count_total
}

/// A loop, its handler and its peers' other ends.
struct World<'h, H> {
    event_loop: EventLoop,
    handler: &'h mut H,
    clients: Vec<TcpStream>,
    buffer: Vec<u8>,
}

impl<'h, H: Handler> World<'h, H> {
    fn new(handler: &'h mut H, clients: usize) -> Self {
        Self::with_config(Config::new(), handler, clients)
    }

    fn with_config(config: Config, handler: &'h mut H, clients: usize) -> Self {
        let mut event_loop = EventLoop::with_config(config).unwrap();
        let addr = event_loop.listen("127.0.0.1:0").unwrap();
        let mut world = Self { event_loop, handler, clients: Vec::new(), buffer: vec![0; 1 << 16] };
        for _ in 0..clients {
            world.connect(addr);
        }
        world
    }

    fn connect(&mut self, addr: SocketAddr) {
        let mut client = TcpStream::connect(addr).unwrap();
        client.set_nodelay(true).unwrap();
        client.set_nonblocking(true).unwrap();
        client.write_all(REQUEST).unwrap();
        self.clients.push(client);
        self.receive(self.clients.len() - 1, RESPONSE);
    }

    /// Has the first client send `request`, a segment at a time, and all of them receive `reply`.
    fn exchange(&mut self, times: usize, request: &[&[u8]], reply: &[u8]) {
        for _ in 0..times {
            for segment in request {
                assert_eq!(self.clients[0].write(segment).unwrap(), segment.len());
                self.turn();
            }
            for client in 0..self.clients.len() {
                self.receive(client, reply);
            }
        }
    }

    /// Turns the loop until a client has received `expected`.
    fn receive(&mut self, client: usize, expected: &[u8]) {
        let mut received = 0;
        // A turn ends with the loop's writes, so one or two suffice; a loop that is stuck has to be noticed.
        for _ in 0..1_000 {
            match self.clients[client].read(&mut self.buffer[received..]) {
                Ok(0) => panic!("the loop closed the connection"),
                Ok(n) => received += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.turn(),
                Err(error) => panic!("{error}"),
            }
            if received >= expected.len() {
                assert!(self.buffer[..received] == *expected, "the reply is what was expected");
                return;
            }
        }
        panic!("{received} of {} bytes after a thousand turns", expected.len());
    }

    fn turn_at_once(&mut self) {
        self.event_loop.turn(self.handler, Some(Duration::ZERO)).unwrap();
    }

    fn turn(&mut self) {
        self.event_loop.turn(self.handler, Some(Duration::from_millis(10))).unwrap();
    }
}

/// A masked frame, as clients send it.
fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let header = Header::new(opcode, payload.len() as u64);
    let mut frame = Vec::new();
    encode_frame(Header { fin, masking_key: Some(KEY), ..header }, payload, &mut frame);
    frame
}

/// A frame as servers send it.
fn unmasked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(Header::new(opcode, payload.len() as u64), payload, &mut frame);
    frame
}

/// Text with characters of one to four bytes, so that cuts come inside of characters too.
fn sample(len: usize) -> Vec<u8> {
    let mut text: String = "grün €5 𝄞 ".chars().cycle().take(len).collect();
    while text.len() > len {
        text.pop();
    }
    while text.len() < len {
        text.push('.');
    }
    text.into_bytes()
}

/// The example of RFC 6455 §1.3.
const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\n\
    Host: server.example.com\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\
    \r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";
