//! Peers that the loop has connected to: it is their client.

use std::collections::HashSet;
use std::time::Duration;

use wsloop::{
    CloseCode, Config, EventLoop, Handler, Message, MessageType, Peer, PeerId, SendStatus,
};

use super::common::{NEVER, Script, ScriptedServer, Server, Told, turn_until};

#[test]
fn a_client_connects_exchanges_messages_and_closes() {
    let server = Server::echo();
    let (mut event_loop, (mut script, told)) = client();
    script.on_open = Box::new(|peer| {
        assert!(peer.is_server());
        peer.send("Hello");
    });
    script.on_message = Box::new(|peer: &mut Peer<'_>, _| peer.close(CloseCode::NORMAL, "bye"));
    let id = event_loop.connect(&format!("ws://{}/chat", server.addr)).unwrap();
    assert!(!event_loop.peers().contains(id), "not yet");

    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        let stats = event_loop.peers().stats();
        stats.closed.total() == 1 && stats.connections.ending == 0
    });
    assert_eq!(told.so_far(), ["open", "text Hello", "close 1000 clean Local"]);
    for expected in ["open", "text Hello", "close 1000 clean Remote bye"] {
        server.told.expect(expected);
    }
    server.stop();
}

fn client() -> (EventLoop, (Script, Told)) {
    (EventLoop::with_config(Config::new()).unwrap(), Script::echo())
}

/// A loop that has connected to a server which plays a script after it has let the client in.
fn connected(
    config: Config,
    server: &ScriptedServer,
    (mut script, told): (Script, Told),
) -> (EventLoop, Script, Told, PeerId) {
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let id = event_loop.connect(&server.url()).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.connected == 1
    });
    told.expect("open");
    (event_loop, script, told, id)
}

/// Turns the loop until nothing is left of its connections.
fn turn_to_the_end(event_loop: &mut EventLoop, handler: &mut impl Handler) {
    turn_until(event_loop, handler, |event_loop, _| {
        let ending = event_loop.peers().stats().connections.ending;
        event_loop.peers().is_empty() && ending == 0
    });
}

/// RFC 6455 §5.1: "a client MUST mask all frames that it sends to the server".
#[test]
fn whatever_is_sent_is_masked_each_with_a_key_of_its_own() {
    let large = "x".repeat(70_000);
    let expected = large.clone();
    let server = ScriptedServer::once(move |client| {
        client.let_in();
        let mut keys = HashSet::new();
        for (opcode, payload) in [
            (0x81, "Hello"),
            (0x82, "bytes"),
            (0x81, ""),
            (0x81, &expected),
            (0x81, "to all"),
            (0x81, &expected),
            (0x81, "to some"),
            (0x89, "ping"),
            (0x01, "Hel"),
            (0x00, "lo"),
            (0x80, ""),
            (0x81, "waited"),
            (0x81, "and waited"),
        ] {
            assert!(keys.insert(client.expect_masked(opcode, payload)), "the same key");
        }
        client.write(b"\x89\x02hi");
        assert!(keys.insert(client.expect_masked(0x8A, "hi")), "the same key");
        client.write(b"\x88\x02\x03\xE8");
        assert!(keys.insert(client.expect_masked(0x88, [3, 0xE8])), "the same key");
        client.end();
        client.expect_end();
    });
    let (mut event_loop, mut script, told, id) = connected(Config::new(), &server, Script::echo());
    let peers = event_loop.peers();
    peers.send(id, "Hello");
    peers.send(id, b"bytes");
    peers.send(id, "");
    peers.send(id, &large);
    peers.broadcast("to all");
    peers.broadcast(&large);
    peers.subscribe(id, "topic");
    peers.publish("topic", "to some");
    peers.ping(id, b"ping");
    peers.begin_message(id, MessageType::Text).unwrap();
    peers.write(id, "Hel").unwrap();
    peers.send(id, "waited");
    peers.broadcast("and waited");
    peers.write(id, "lo").unwrap();
    peers.finish(id).unwrap();
    turn_to_the_end(&mut event_loop, &mut script);
    assert_eq!(told.so_far(), ["ping hi", "close 1000 clean Remote"]);
    server.join();
}

#[test]
fn keys_are_equal_no_more_often_than_by_chance() {
    const FRAMES: usize = 100_000;
    let server = ScriptedServer::once(|client| {
        client.let_in();
        let frames = client.read(6 * FRAMES);
        let keys: HashSet<_> = frames.as_chunks::<6>().0.iter().map(|frame| &frame[2..]).collect();
        // Of so many a fair source repeats 1.2 on average, and 13 once in 10⁹ runs.
        assert!(keys.len() > FRAMES - 13, "{} different ones", keys.len());
        client.end();
    });
    let config = Config::new().write_queue_limit(1 << 20);
    let (mut event_loop, mut script, _, id) = connected(config, &server, Script::echo());
    for _ in 0..FRAMES {
        event_loop.peers().send(id, "");
    }
    turn_to_the_end(&mut event_loop, &mut script);
    server.join();
}

#[test]
fn the_loop_s_own_pings_are_masked_too_and_their_pongs_understood() {
    let server = ScriptedServer::once(|client| {
        client.let_in();
        for _ in 0..2 {
            let (first, _, payload) = client.read_masked();
            assert_eq!((first, payload.len()), (0x89, 8));
            client.write([&[0x8A, 8][..], &payload].concat());
        }
        client.end();
    });
    let config =
        Config::new().ping_interval(Some(Duration::from_millis(10))).idle_timeout(Some(NEVER));
    let (mut event_loop, mut script, told, _) = connected(config, &server, Script::echo());
    turn_to_the_end(&mut event_loop, &mut script);
    assert_eq!(told.so_far(), ["close 1006 unclean EndOfStream"]);
    server.join();
}

/// RFC 6455 §5.1: "A client MUST close a connection if it detects a masked frame."
#[test]
fn a_masked_frame_from_a_server_breaks_the_protocol() {
    let server = ScriptedServer::once(|client| {
        client.let_in();
        client.send("81 02 'hi'");
        client.expect_masked(0x88, [3, 0xEA]);
        client.expect_end();
    });
    let (mut event_loop, mut script, told, _) = connected(Config::new(), &server, Script::echo());
    turn_to_the_end(&mut event_loop, &mut script);
    assert_eq!(told.so_far(), ["close 1006 unclean Violation(MaskedFrame)"]);
    server.join();
}

/// RFC 6455 §4.1: "the client MUST wait for a response from the server before sending any further
/// data."
#[test]
fn nothing_is_sent_before_the_answer() {
    let (go, goes) = std::sync::mpsc::channel();
    let server = ScriptedServer::once(move |client| {
        let head = client.read_head();
        goes.recv().unwrap();
        assert!(!client.has_input(), "there is something behind the request");
        client.write(super::common::accept(&head));
        client.expect_masked(0x81, "now");
        client.end();
    });
    let (mut event_loop, (mut script, told)) = client();
    script.on_open = Box::new(|peer| assert_eq!(peer.send("now"), SendStatus::Queued));
    let id = event_loop.connect(&server.url()).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().bytes.sent > 0
    });
    let peers = event_loop.peers();
    assert_eq!(peers.send(id, "early"), SendStatus::Dropped);
    assert_eq!(peers.ping(id, b"early"), SendStatus::Dropped);
    assert_eq!(peers.begin_message(id, MessageType::Text), Ok(SendStatus::Dropped));
    peers.broadcast("early");
    // As many turns as it would take to write that.
    (0..10).for_each(|_| event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap());
    go.send(()).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().closed.total() == 1
    });
    assert_eq!(told.so_far(), ["open", "close 1006 unclean EndOfStream"]);
    server.join();
}

#[test]
fn what_comes_with_the_answer_is_not_lost() {
    let server = ScriptedServer::once(|client| {
        let head = client.read_head();
        let mut answer = super::common::accept(&head);
        answer.extend(b"\x81\x05first\x81\x06second\x01\x02of");
        client.write(answer);
        client.expect_masked(0x81, "first");
        client.expect_masked(0x81, "second");
        client.write(b"\x80\x04 all");
        client.expect_masked(0x81, "of all");
        client.end();
    });
    let (mut event_loop, mut script, told, _) = connected(Config::new(), &server, Script::echo());
    turn_to_the_end(&mut event_loop, &mut script);
    let expected = ["text first", "text second", "text of all", "close 1006 unclean EndOfStream"];
    assert_eq!(told.so_far(), expected);
    server.join();
}

/// RFC 6455 §7.1.1: the connection "SHOULD be closed first by the server".
#[test]
fn after_the_closing_handshake_the_server_ends_tcp_first() {
    let (sender, closed) = std::sync::mpsc::channel();
    let (go, goes) = std::sync::mpsc::channel();
    let server = ScriptedServer::once(move |client| {
        client.let_in();
        client.expect_masked(0x88, [3, 0xE8]);
        client.write(b"\x88\x02\x03\xE8");
        goes.recv().unwrap();
        assert!(!client.has_input(), "the client has ended first");
        client.end();
        client.expect_end();
        sender.send(()).unwrap();
    });
    let config = Config::new().close_timeout(NEVER);
    let (mut event_loop, mut script, told, id) = connected(config, &server, Script::echo());
    event_loop.peers().close(id, CloseCode::NORMAL, "");
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().is_empty());
    assert_eq!(told.so_far(), ["close 1000 clean Local"]);
    // As many turns as it would take to end.
    (0..10).for_each(|_| event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap());
    assert_eq!(event_loop.peers().stats().connections.ending, 1);
    go.send(()).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.ending == 0
    });
    closed.recv().unwrap();
    server.join();
}

#[test]
fn a_server_that_does_not_end_tcp_is_not_waited_for_longer_than_the_timeout() {
    let server = ScriptedServer::once(|client| {
        client.let_in();
        client.expect_masked(0x81, "hi");
        client.write(b"\x88\x02\x03\xE8");
        client.expect_masked(0x88, [3, 0xE8]);
        client.expect_end();
    });
    let config = Config::new().close_timeout(Duration::from_millis(20));
    let (mut event_loop, mut script, told, id) = connected(config, &server, Script::echo());
    event_loop.peers().send(id, "hi");
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.ending == 1
    });
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.ending == 0
    });
    assert_eq!(told.so_far(), ["close 1000 clean Remote"]);
    server.join();
}

/// RFC 6455 §7.4.1: 1010 is a client's to send.
#[test]
fn a_client_may_miss_an_extension() {
    let server = ScriptedServer::once(|client| {
        client.let_in();
        client.expect_masked(0x88, [3, 0xF2]);
        client.write(b"\x88\x00");
        client.end();
        client.expect_end();
    });
    let (mut event_loop, mut script, told, id) = connected(Config::new(), &server, Script::echo());
    event_loop.peers().close(id, CloseCode::MANDATORY_EXTENSION, "");
    turn_to_the_end(&mut event_loop, &mut script);
    assert_eq!(told.so_far(), ["close 1005 clean Local"]);
    server.join();
}

#[test]
fn a_shutdown_says_that_the_client_goes_away() {
    let server = Server::echo();
    let (mut event_loop, (mut script, told)) = client();
    event_loop.connect(&format!("ws://{}", server.addr)).unwrap();
    script.on_open = Box::new(|peer| peer.peers().shutdown(NEVER));
    event_loop.run(&mut script).unwrap();
    assert_eq!(told.so_far(), ["open", "close 1001 clean Shutdown"]);
    server.told.expect("open");
    server.told.expect("close 1001 clean Remote");
    server.stop();
}

#[test]
fn a_server_and_its_clients_live_in_the_same_loop() {
    let (mut event_loop, (mut script, _)) = client();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    script.on_message = Box::new(|peer, message| {
        if peer.is_server() {
            assert_eq!(message, Message::Text("Hello"));
            return peer.close(CloseCode::NORMAL, "");
        }
        peer.send(message);
    });
    script.on_open = Box::new(|peer| {
        if peer.is_server() {
            peer.send("Hello");
        }
    });
    for _ in 0..10 {
        event_loop.connect(&format!("ws://{addr}")).unwrap();
    }
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        let stats = event_loop.peers().stats();
        stats.closed.total() == 20 && stats.connections.ending == 0
    });
    let stats = event_loop.peers().stats();
    assert_eq!((stats.connections.accepted, stats.connections.connected), (10, 10));
    assert_eq!((stats.connections.opened, stats.closed.local, stats.closed.remote), (20, 10, 10));
}

/// How many messages each of a thousand clients has still to get back.
struct Crowd {
    url: String,
    connecting: u32,
    opened: u32,
    closed: u32,
    received: u64,
}

const MESSAGES: u64 = 20;

impl Handler for Crowd {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.opened += 1;
        peer.send(&self.opened.to_be_bytes());
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        self.received += 1;
        // Each begins with a message of its own, and appends to it.
        let (next, len) = ([message.as_bytes(), b"."].concat(), message.len() as u64);
        match len - 4 + 1 < MESSAGES {
            true => _ = peer.send(&next),
            false => peer.close(CloseCode::NORMAL, ""),
        }
    }

    fn on_close(&mut self, _: &mut Peer<'_>, close: wsloop::Close<'_>) {
        assert!(close.clean, "{close}");
        self.closed += 1;
    }

    fn on_connect_error(&mut self, _: &mut wsloop::Peers, _: PeerId, error: wsloop::ConnectError) {
        panic!("{} after {} at {}: {error}", self.connecting, self.opened, self.url);
    }
}

#[cfg(unix)]
#[test]
fn a_thousand_clients_in_one_loop_each_exchange_messages_and_close() {
    const CLIENTS: u32 = 1000;
    if !super::common::in_own_process(
        "client_peers::a_thousand_clients_in_one_loop_each_exchange_messages_and_close",
        "-n 4096",
    ) {
        return;
    }
    let server = Server::start(Config::new(), Script::echo());
    let url = format!("ws://{}", server.addr);
    let mut event_loop = EventLoop::new().unwrap();
    let mut crowd = Crowd { url, connecting: CLIENTS, opened: 0, closed: 0, received: 0 };
    #[cfg(target_os = "linux")]
    let before = super::common::descriptors();
    for _ in 0..CLIENTS {
        event_loop.connect(&crowd.url).unwrap();
    }
    turn_until(&mut event_loop, &mut crowd, |event_loop, crowd| {
        crowd.closed == CLIENTS && event_loop.peers().stats().connections.ending == 0
    });
    assert_eq!((crowd.opened, crowd.received), (CLIENTS, u64::from(CLIENTS) * MESSAGES));
    let told = (0..CLIENTS as u64 * (MESSAGES + 2)).map(|_| server.told.next());
    assert_eq!(told.filter(|told| told == "close 1000 clean Remote").count(), CLIENTS as usize);
    server.stop();
    #[cfg(target_os = "linux")]
    assert!(super::common::descriptors() <= before, "descriptors stay behind");
}
