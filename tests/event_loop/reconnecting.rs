//! Connections that take the place of others.

use std::time::Duration;

use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::{CloseCode, Config, Connect, EventLoop, Handler, Message, Peer, PeerId, Peers};
use wsloop::{Reconnect, Retry};

use super::common::{Client, NEVER, Script, ScriptedServer, turn_until};

const SHORT: Duration = Duration::from_millis(5);

fn connect(server: &ScriptedServer, reconnect: Reconnect) -> Connect {
    let request = ClientRequest::new(WsUrl::parse(&server.url()).unwrap());
    Connect::new(request).reconnect(reconnect.delays(SHORT, NEVER))
}

fn close_with(code: u16) -> Box<dyn FnOnce(&mut Client) + Send> {
    Box::new(move |client| {
        client.let_in();
        client.write([&[0x88, 2][..], &code.to_be_bytes()].concat());
        client.expect_masked(0x88, code.to_be_bytes());
        client.end();
        client.expect_end();
    })
}

fn answer(answer: &'static str) -> Box<dyn FnOnce(&mut Client) + Send> {
    Box::new(move |client| {
        client.read_head();
        client.write(answer);
        client.end();
        client.expect_gone();
    })
}

const REFUSED: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

/// Runs until nothing is left to do, and returns what the handler was told.
#[track_caller]
fn run(server: ScriptedServer, connect: Connect) -> Vec<String> {
    let (mut script, told) = Script::echo();
    let mut event_loop = EventLoop::with_config(Config::new()).unwrap();
    event_loop.connect_with(connect).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        let connections = event_loop.peers().stats().connections;
        connections.open + connections.connecting + connections.ending == 0
    });
    let connections = event_loop.peers().stats().connections;
    assert_eq!(connections.begun, connections.connected + connections.failed);
    server.join();
    told.so_far()
}

#[test]
fn it_connects_again_until_the_server_means_it() {
    let server = ScriptedServer::start([
        answer(REFUSED),
        answer(""),
        close_with(1001),
        close_with(1012),
        close_with(1000),
    ]);
    let connect = connect(&server, Reconnect::new());
    assert_eq!(
        run(server, connect),
        [
            "connect error: refused with status 503 Service Unavailable",
            "reconnect 1",
            "connect error: the connection was closed without an answer",
            "reconnect 2",
            "open",
            "close 1001 clean Remote",
            "reconnect 3",
            "open",
            "close 1012 clean Remote",
            "reconnect 4",
            "open",
            "close 1000 clean Remote",
        ]
    );
}

#[test]
fn refusals_that_will_not_heal_are_final() {
    for (response, told) in [
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "401 Unauthorized"),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403 Forbidden"),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found"),
        ("HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\n\r\n", "501 Not Implemented"),
    ] {
        let server = ScriptedServer::start([answer(REFUSED), answer(response)]);
        let connect = connect(&server, Reconnect::new());
        let refused = "connect error: refused with status";
        let expected = [
            &format!("{refused} 503 Service Unavailable"),
            "reconnect 1",
            &format!("{refused} {told}"),
        ];
        assert_eq!(run(server, connect), expected);
    }
    let server = ScriptedServer::start([answer("SSH-2.0\r\n")]);
    let connect = connect(&server, Reconnect::new());
    assert_eq!(run(server, connect), ["connect error: expected HTTP, got something else"]);
}

#[test]
fn it_tries_no_more_often_than_it_may() {
    let server = ScriptedServer::start([answer(REFUSED), answer(REFUSED), answer(REFUSED)]);
    let connect = connect(&server, Reconnect::new().max_attempts(2));
    let refused = "connect error: refused with status 503 Service Unavailable";
    assert_eq!(run(server, connect), [refused, "reconnect 1", refused, "reconnect 2", refused]);
}

#[test]
fn a_connection_that_lasts_begins_the_count_anew() {
    let server = ScriptedServer::start([
        answer(REFUSED),
        close_with(1001),
        close_with(1001),
        answer(REFUSED),
        close_with(1000),
    ]);
    // Any connection lasts longer than nothing.
    let request = ClientRequest::new(WsUrl::parse(&server.url()).unwrap());
    let connect = Connect::new(request)
        .reconnect(Reconnect::new().delays(Duration::ZERO, Duration::ZERO).max_attempts(2));
    let mut told = run(server, connect);
    told.retain(|told| told.starts_with("reconnect"));
    assert_eq!(told, ["reconnect 1", "reconnect 1", "reconnect 1", "reconnect 2"]);
}

#[test]
fn a_normal_close_is_no_reason_unless_it_is_said_to_be() {
    let server = ScriptedServer::start([close_with(1000), close_with(1000)]);
    let connect = connect(&server, Reconnect::new().after_any_close().max_attempts(1));
    let told = run(server, connect);
    let closed = "close 1000 clean Remote";
    assert_eq!(told, ["open", closed, "reconnect 1", "open", closed]);
}

/// Tells what it was told of reconnecting, and gives up, closes or shuts down when that is its part.
#[derive(Default)]
struct Watch {
    retries: Vec<Retry>,
    failed: Vec<PeerId>,
    closes: bool,
}

impl Handler for Watch {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        if self.closes {
            peer.close(CloseCode::NORMAL, "");
        }
    }

    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}

    fn on_connect_error(&mut self, _: &mut Peers, id: PeerId, _: wsloop::ConnectError) {
        self.failed.push(id);
    }

    fn on_reconnect(&mut self, peers: &mut Peers, retry: Retry) {
        assert!(!peers.contains(retry.lost) && !peers.contains(retry.id));
        self.retries.push(retry);
    }
}

#[test]
fn a_server_says_how_long_to_wait_and_what_waits_can_be_given_up() {
    let server = ScriptedServer::start([answer(
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1000\r\nContent-Length: 0\r\n\r\n",
    )]);
    let mut event_loop = EventLoop::new().unwrap();
    let id = event_loop.connect_with(connect(&server, Reconnect::new())).unwrap();
    let mut watch = Watch::default();
    turn_until(&mut event_loop, &mut watch, |_, watch| !watch.retries.is_empty());
    let Retry { lost, id: next, attempt, delay, .. } = watch.retries[0];
    let asked = Duration::from_secs(1000);
    assert_eq!((lost, attempt), (id, 1));
    assert!(delay >= asked && delay <= asked + SHORT, "{delay:?}");
    // It is waited for, no longer and no more often.
    event_loop.turn(&mut watch, Some(Duration::ZERO)).unwrap();
    let wait = event_loop.next_timeout().unwrap();
    // Deadlines that were met in time may be looked at before.
    assert!(wait > Duration::from_secs(5) && wait <= delay, "{wait:?}");

    event_loop.peers().abort(next);
    turn_until(&mut event_loop, &mut watch, |_, watch| watch.failed.len() == 2);
    assert_eq!((watch.failed, watch.retries.len()), (vec![id, next], 1));
    assert_eq!(event_loop.peers().stats().connections.connecting, 0);
    server.join();
}

#[test]
fn what_the_application_ends_is_not_begun_again() {
    let server = ScriptedServer::once(|client| {
        client.let_in();
        client.expect_masked(0x88, [3, 0xE8]);
        client.write(b"\x88\x02\x03\xE8");
        client.end();
        client.expect_end();
    });
    let mut event_loop = EventLoop::new().unwrap();
    event_loop.connect_with(connect(&server, Reconnect::new().after_any_close())).unwrap();
    let mut watch = Watch { closes: true, ..Watch::default() };
    turn_until(&mut event_loop, &mut watch, |event_loop, _| {
        let stats = event_loop.peers().stats();
        stats.closed.local == 1 && stats.connections.ending == 0
    });
    assert_eq!((watch.failed, watch.retries), (vec![], vec![]));
    server.join();
}

#[test]
fn a_shutdown_ends_what_waits_to_be_connected_again() {
    let server = ScriptedServer::start([answer(REFUSED)]);
    let mut event_loop = EventLoop::new().unwrap();
    let request = ClientRequest::new(WsUrl::parse(&server.url()).unwrap());
    let reconnect = Reconnect::new().delays(NEVER, NEVER);
    event_loop.connect_with(Connect::new(request).reconnect(reconnect)).unwrap();
    let mut watch = Watch::default();
    turn_until(&mut event_loop, &mut watch, |_, watch| !watch.retries.is_empty());
    event_loop.peers().shutdown(NEVER);
    event_loop.run(&mut watch).unwrap();
    assert_eq!((watch.failed.len(), watch.retries.len()), (2, 1));
    server.join();
}
