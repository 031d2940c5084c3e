//! One event tells of all that has arrived by then, and of its end: no other will.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::sync::Arc;

use wsloop::handshake::{ClientRequest, WsUrl};
use wsloop::tls::client_config;
use wsloop::{Config, Connect, EventLoop};

use super::peer::{TlsSocket, connection, flight};
use super::{Authority, connect};
use crate::common::{Client, NEVER, Script, Told, turn_until};

/// A loop that is turned by the test, so that it sees at once what was sent one after the other.
struct Turned {
    event_loop: EventLoop,
    addr: SocketAddr,
    script: Script,
    told: Told,
    authority: Authority,
}

impl Turned {
    fn new() -> Self {
        let authority = Authority::new();
        let config = Config::new().handshake_timeout(NEVER).ping_interval(None).idle_timeout(None);
        let mut event_loop = EventLoop::with_config(config).unwrap();
        let addr = event_loop.listen_tls("127.0.0.1:0", authority.identity("localhost")).unwrap();
        let (script, told) = Script::echo();
        Self { event_loop, addr, script, told, authority }
    }

    fn turn_until(&mut self, done: impl Fn(&mut EventLoop) -> bool) {
        turn_until(&mut self.event_loop, &mut self.script, |event_loop, _| done(event_loop));
    }

    fn open(&mut self) -> Client<TlsSocket> {
        let (addr, config) = (self.addr, self.authority.clients());
        let client = std::thread::spawn(move || {
            let mut client = connect(addr, "localhost", config);
            client.shake_hands();
            client
        });
        self.turn_until(|event_loop| !event_loop.peers().is_empty());
        self.told.expect("open");
        client.join().unwrap()
    }
}

#[test]
fn an_end_behind_a_part_of_a_record_is_noticed() {
    let mut server = Turned::new();
    let mut client = server.open();
    client.socket().tcp().write_all(b"\x17\x03\x03\x00\x20half of it").unwrap();
    client.end();
    server.turn_until(|event_loop| event_loop.peers().is_empty());
    server.told.expect("close 1006 unclean Lost(UnexpectedEof)");
}

#[test]
fn an_end_behind_what_is_for_tls_alone_is_noticed() {
    let mut server = Turned::new();
    let mut client = server.open();
    let session = client.socket().session();
    session.refresh_traffic_keys().unwrap();
    let key_update = flight(session);
    client.socket().tcp().write_all(&key_update).unwrap();
    client.end();
    server.turn_until(|event_loop| event_loop.peers().is_empty());
    server.told.expect("close 1006 unclean Lost(UnexpectedEof)");
}

#[test]
fn an_end_behind_a_part_of_a_handshake_is_noticed() {
    let mut server = Turned::new();
    let hello = flight(&mut connection("localhost", Arc::new(server.authority.clients())));
    for (n, len) in (1..).zip([1, 100, hello.len()]) {
        let mut client = Client::connect(server.addr);
        client.write(&hello[..len]);
        client.end();
        server.turn_until(|event_loop| {
            let connections = event_loop.peers().stats().connections;
            connections.accepted == n && connections.opening + connections.ending == 0
        });
    }
}

#[test]
fn an_end_behind_a_part_of_the_servers_handshake_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = WsUrl::parse(&format!("wss://{}/", listener.local_addr().unwrap())).unwrap();
    let connect = Connect::new(ClientRequest::new(url));
    let mut event_loop = EventLoop::with_config(Config::new().handshake_timeout(NEVER)).unwrap();
    let (mut script, told) = Script::echo();
    event_loop.connect_with(connect.tls(client_config(Authority::new().roots()))).unwrap();

    listener.set_nonblocking(true).unwrap();
    let mut server = None;
    turn_until(&mut event_loop, &mut script, |_, _| {
        server = server.take().or_else(|| listener.accept().ok());
        server.as_ref().is_some_and(|(server, _)| {
            server.set_nonblocking(true).unwrap();
            server.peek(&mut [0]).is_ok()
        })
    });
    let (mut server, _) = server.unwrap();
    server.write_all(b"\x16\x03\x03\x00\x7A\x02").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        event_loop.peers().stats().connections.failed == 1
    });
    told.expect("connect error: the connection broke before it was open: unexpected end of file");
}
