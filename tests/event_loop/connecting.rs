//! Connections to servers: how they come about, and in which ways they do not.

use std::net::SocketAddr;
use std::time::Duration;

use wsloop::handshake::{ClientRequest, Proxy, WsUrl};
use wsloop::{CloseCode, Config, Connect, ConnectError, EventLoop, Handler, Message, Peer, PeerId};
use wsloop::{Peers, TimerId};

use super::common::{Client, NEVER, Script, ScriptedServer, Server, accept, let_pass, turn_until};

/// A handler that keeps what it is told of connections.
#[derive(Default)]
struct Outcomes {
    opened: Vec<PeerId>,
    errors: Vec<(PeerId, ConnectError)>,
}

impl Handler for Outcomes {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        self.opened.push(peer.id());
    }

    fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}

    fn on_connect_error(&mut self, _: &mut Peers, id: PeerId, error: ConnectError) {
        self.errors.push((id, error));
    }
}

/// Connects, and returns why that comes to nothing.
#[track_caller]
fn error_of(config: Config, connect: impl Into<Connect>) -> ConnectError {
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let id = event_loop.connect_with(connect).unwrap();
    error_in(&mut event_loop, id)
}

#[track_caller]
fn error_in(event_loop: &mut EventLoop, id: PeerId) -> ConnectError {
    let mut outcomes = Outcomes::default();
    turn_until(event_loop, &mut outcomes, |event_loop, outcomes| {
        let stats = event_loop.peers().stats();
        let sum = stats.connections.connecting + stats.connections.connected;
        assert_eq!(stats.connections.begun, sum + stats.connections.failed);
        assert_eq!(outcomes.opened, []);
        !outcomes.errors.is_empty() && stats.connections.ending == 0
    });
    let [(failed, error)] = <[_; 1]>::try_from(outcomes.errors).unwrap();
    assert_eq!(failed, id);
    error
}

fn request(url: &str) -> ClientRequest {
    ClientRequest::new(WsUrl::parse(url).unwrap())
}

/// Checks what a client makes of an answer, which may mention the right `{KEY}`.
#[track_caller]
fn check(answer: &str, expected: &str) {
    let answer = answer.to_owned();
    let server = ScriptedServer::once(move |client| {
        let accepted = String::from_utf8(accept(&client.read_head())).unwrap();
        let key = accepted.split_once("Accept: ").unwrap().1.split_once("\r\n").unwrap().0;
        client.write(answer.replace("{KEY}", key));
        client.end();
        client.expect_gone();
    });
    let error = error_of(Config::new(), request(&server.url()));
    assert_eq!(error.to_string(), expected);
    server.join();
}

const UPGRADED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: {KEY}\r\n";

#[test]
fn every_wrong_answer_is_an_error_of_its_own() {
    let upgraded = |more: &str| format!("{UPGRADED}{more}\r\n");
    check("", "the connection was closed without an answer");
    check("HTTP/1.1 101 Switch", "the connection was closed within the head of the answer");
    check("SSH-2.0-OpenSSH_9.9\r\n\r\n", "expected HTTP, got something else");
    check(
        "\x15\x03\x01\0\x02\x02\x46",
        "expected HTTP, got TLS: should the URL begin with wss://?",
    );
    check(
        &upgraded("").replace("{KEY}", "dGhpcyBpcyBub3QgdGhlIGtleSE="),
        "wrong Sec-WebSocket-Accept, expected the hash of our key",
    );
    check(
        &upgraded("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        "an extension that we did not offer",
    );
    check(
        &upgraded("Sec-WebSocket-Protocol: chat\r\n"),
        "expected one of the subprotocols that we offered",
    );
    check(&upgraded("Content-Length: 5\r\n"), "a 101 that announces content, expected frames");
    check(
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        "refused with status 403 Forbidden",
    );
    check(
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
        "refused with status 302 Found",
    );
}

#[test]
fn a_refusal_is_handed_on_with_its_fields_and_body() {
    let server = ScriptedServer::answering(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
    );
    let ConnectError::Refused(refusal) = error_of(Config::new(), request(&server.url())) else {
        panic!("it is a refusal");
    };
    assert_eq!((refusal.status(), refusal.body()), (503, &b"busy"[..]));
    assert_eq!(refusal.head().field("Retry-After"), Some("7"));
    server.join();
}

#[test]
fn a_head_without_end_is_not_read_to_its_end() {
    let server = ScriptedServer::once(|client| {
        client.read_head();
        client.write("HTTP/1.1 101 Switching Protocols\r\n");
        let field = format!("X-Padding: {}\r\n", "x".repeat(1000));
        // 4 GiB of them, if anyone were to read that.
        assert!((0..4 << 20).any(|_| client.try_write(&field).is_err()));
    });
    let error = error_of(Config::new(), request(&server.url()));
    assert_eq!(error.to_string(), "the response head is too large");
    server.join();
}

#[test]
fn a_server_that_never_answers_is_waited_for_no_longer_than_the_timeout() {
    let server = ScriptedServer::once(|client| {
        client.read_head();
        client.expect_gone();
    });
    let config = Config::new().connect_timeout(NEVER).handshake_timeout(Duration::from_millis(20));
    let error = error_of(config, request(&server.url()));
    assert_eq!(error.to_string(), "the server did not answer in time");
    server.join();
}

#[test]
fn however_slowly_an_answer_trickles_in_the_timeout_does_not_begin_anew() {
    let server = ScriptedServer::once(|client| {
        client.read_head();
        while client.try_write("H").is_ok() {
            let_pass(Duration::from_millis(5));
        }
    });
    // As interim responses, that goes on for long.
    let config = Config::new().handshake_timeout(Duration::from_millis(50));
    let error = error_of(config, request(&server.url()));
    // Whichever comes first: that it cannot be HTTP is clear after two bytes.
    assert_eq!(error.to_string(), "expected HTTP, got something else");
    server.join();

    let server = ScriptedServer::once(|client| {
        client.read_head();
        client.write("HTTP/1.1 101 S");
        while client.try_write("w").is_ok() {
            let_pass(Duration::from_millis(5));
        }
    });
    let config = Config::new().handshake_timeout(Duration::from_millis(50));
    let error = error_of(config, request(&server.url()));
    assert_eq!(error.to_string(), "the server did not answer in time");
    server.join();
}

#[test]
fn a_refusal_whose_body_does_not_end_is_a_refusal_when_time_is_up() {
    let server = ScriptedServer::once(|client| {
        client.read_head();
        client.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 1000\r\n\r\nfirst ");
        client.expect_gone();
    });
    let config = Config::new().handshake_timeout(Duration::from_millis(50));
    let error = error_of(config, request(&server.url()));
    assert_eq!(error.to_string(), "refused with status 401 Unauthorized");
    server.join();
}

#[test]
fn where_nobody_listens_the_connection_is_refused() {
    let error = error_of(Config::new(), request(&format!("ws://{}", nobody())));
    let ConnectError::Connect(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

/// An address at which nobody listens, nor will.
fn nobody() -> SocketAddr {
    // What is closed by its server first stays taken for a while; so nobody else is given the port.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let client = Client::connect(addr);
    drop(listener.accept().unwrap());
    drop(client);
    addr
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_not_there_is_waited_for_no_longer_than_the_timeout() {
    // Linux lets nobody in, and says nothing, where more wait than there is room for.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let _in_the_way = Client::connect(addr);
    let config = Config::new().connect_timeout(Duration::from_millis(20)).handshake_timeout(NEVER);
    let error = error_of(config, request(&format!("ws://{addr}")));
    assert_eq!(error.to_string(), "no address could be connected to in time");
}

#[test]
fn a_name_without_address_is_an_error_of_its_own() {
    // RFC 6761 §6.4: there is nothing under `invalid`.
    let error = error_of(Config::new(), request("ws://does-not-exist.invalid"));
    assert!(matches!(error, ConnectError::Resolve(_)), "{error}");
}

#[test]
fn a_name_is_resolved_and_its_addresses_tried_until_one_will_do() {
    let server = Server::echo();
    let mut event_loop = EventLoop::new().unwrap();
    // This is ::1 as well, if not first: nobody listens there.
    let url = format!("ws://localhost:{}", server.addr.port());
    let ids = [(); 3].map(|()| event_loop.connect(&url).unwrap());
    let mut outcomes = Outcomes::default();
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.opened.len() == 3);
    assert_eq!(outcomes.opened, ids, "in the order in which they were asked for");
    assert_eq!(event_loop.peers().remote_addr(ids[0]), Some(server.addr));
    (0..3).for_each(|_| server.told.expect("open"));
    drop(event_loop);
    (0..3).for_each(|_| assert!(server.told.next().starts_with("close 1006")));
    server.stop();
}

#[test]
fn what_is_clear_at_once_is_said_at_once() {
    let mut event_loop = EventLoop::with_config(Config::new().max_connections(1)).unwrap();
    let error = |result: Result<PeerId, ConnectError>| result.unwrap_err().to_string();
    assert!(matches!(event_loop.connect("http://x"), Err(ConnectError::Url(_))));
    assert!(matches!(event_loop.connect("ws://name:password@x"), Err(ConnectError::Url(_))));
    #[cfg(not(feature = "tls"))]
    assert!(matches!(event_loop.connect("wss://127.0.0.1"), Err(ConnectError::TlsUnavailable)));
    event_loop.connect("ws://127.0.0.1:1").unwrap();
    let many = error(event_loop.connect("ws://127.0.0.1:1"));
    assert_eq!(many, "there are as many connections as allowed");
    event_loop.peers().shutdown(Duration::ZERO);
    assert_eq!(error(event_loop.connect("ws://127.0.0.1:1")), "the event loop is shutting down");
    let stats = event_loop.peers().stats();
    assert_eq!((stats.connections.begun, stats.connections.connecting), (1, 1));
}

#[test]
fn a_shutdown_ends_what_is_being_connected_and_a_handler_that_insists_does_not_keep_it() {
    struct Insisting(u32);
    impl Handler for Insisting {
        fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}

        fn on_connect_error(&mut self, peers: &mut Peers, _: PeerId, error: ConnectError) {
            assert!(matches!(error, ConnectError::ShuttingDown), "{error}");
            assert!(matches!(peers.connect("ws://[::1]"), Err(ConnectError::ShuttingDown)));
            self.0 += 1;
        }
    }
    let server = ScriptedServer::once(|client| {
        client.read_head();
        client.expect_gone();
    });
    let mut event_loop = EventLoop::new().unwrap();
    // One is waiting for the answer, the others in line behind it.
    (0..3).for_each(|_| drop(event_loop.connect(&server.url())));
    let mut handler = Insisting(0);
    turn_until(&mut event_loop, &mut handler, |event_loop, _| {
        event_loop.peers().stats().bytes.sent > 0
    });
    event_loop.peers().shutdown(NEVER);
    event_loop.run(&mut handler).unwrap();
    assert_eq!(handler.0, 3);
    server.join();
}

#[test]
fn what_is_given_up_ends_wherever_it_is() {
    let server = ScriptedServer::once(|client| {
        client.read_head();
        client.expect_gone();
    });
    let mut event_loop = EventLoop::new().unwrap();
    let [asking, waiting, closed] = [(); 3].map(|()| event_loop.connect(&server.url()).unwrap());
    let resolving = event_loop.connect("ws://localhost:1").unwrap();
    event_loop.peers().abort(resolving);
    let mut outcomes = Outcomes::default();
    turn_until(&mut event_loop, &mut outcomes, |event_loop, _| {
        event_loop.peers().stats().bytes.sent > 0
    });
    event_loop.peers().abort(waiting);
    event_loop.peers().close(closed, CloseCode::NORMAL, "");
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.errors.len() == 3);
    event_loop.peers().abort(asking);
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.errors.len() == 4);
    let ids: Vec<_> = outcomes.errors.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [resolving, waiting, closed, asking]);
    assert!(outcomes.errors.iter().all(|(_, error)| matches!(error, ConnectError::Aborted)));
    assert_eq!(event_loop.peers().stats().connections.failed, 4);
    server.join();
}

/// RFC 6455 §4.1: "There MUST be no more than one connection in a CONNECTING state."
#[test]
fn one_connection_at_a_time_is_made_to_an_address() {
    check_one_at_a_time("127.0.0.1");
}

/// 0.0.0.0 stands for this host, and what has been connected to it says 127.0.0.1 of itself.
#[cfg(unix)]
#[test]
fn one_at_a_time_is_made_to_an_address_that_stands_for_another() {
    check_one_at_a_time("0.0.0.0");
}

/// Connects three times to a server of this host, by the name `host`.
#[track_caller]
fn check_one_at_a_time(host: &str) {
    // The second connection is not accepted before the first is answered; were it there already,
    // the script would find it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut event_loop = EventLoop::new().unwrap();
    for path in ["/a", "/b", "/c"] {
        event_loop.connect(&format!("ws://{host}:{port}{path}")).unwrap();
    }
    let mut outcomes = Outcomes::default();
    let mut clients = Vec::new();
    for (n, path) in ["/a", "/b", "/c"].into_iter().enumerate() {
        let sent = event_loop.peers().stats().bytes.sent;
        turn_until(&mut event_loop, &mut outcomes, |event_loop, _| {
            event_loop.peers().stats().bytes.sent > sent
        });
        let mut client = Client::over(listener.accept().unwrap().0);
        let head = client.read_head();
        assert!(head.starts_with(&format!("GET {path} ")), "{head}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "another has come");
        listener.set_nonblocking(false).unwrap();
        if n == 1 {
            // That it fails makes way as well.
            client.end();
            turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.errors.len() == 1);
        } else {
            client.write(accept(&head));
        }
        clients.push(client);
    }
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.opened.len() == 2);
}

#[test]
fn more_at_a_time_are_made_if_that_is_wanted() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let config = Config::new().max_connecting_per_address(3);
    let mut event_loop = EventLoop::with_config(config).unwrap();
    (0..4).for_each(|_| drop(event_loop.connect(&url)));
    let mut outcomes = Outcomes::default();
    let mut clients = [(); 3].map(|()| {
        let sent = event_loop.peers().stats().bytes.sent;
        turn_until(&mut event_loop, &mut outcomes, |event_loop, _| {
            event_loop.peers().stats().bytes.sent > sent || sent > 0
        });
        Client::over(listener.accept().unwrap().0)
    });
    clients.iter_mut().for_each(|client| drop(client.let_in()));
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.opened.len() == 3);
    let mut fourth = Client::over(listener.accept().unwrap().0);
    turn_until(&mut event_loop, &mut outcomes, |_, _| fourth.has_input());
    fourth.let_in();
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.opened.len() == 4);
}

#[test]
fn a_redirection_is_followed_if_that_is_wanted() {
    let server = Server::echo();
    let elsewhere = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{}/\r\nContent-Length: 0\r\n\r\n",
        server.addr
    );
    let redirecting = ScriptedServer::answering(elsewhere);
    let mut event_loop = EventLoop::new().unwrap();
    let connect = Connect::new(request(&redirecting.url())).follow_redirects();
    let id = event_loop.connect_with(connect).unwrap();
    let mut outcomes = Outcomes::default();
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| !outcomes.opened.is_empty());
    assert_eq!(outcomes.opened, [id]);
    assert_eq!(event_loop.peers().remote_addr(id), Some(server.addr));
    redirecting.join();
    server.told.expect("open");
    drop(event_loop);
    assert!(server.told.next().starts_with("close 1006"));
    server.stop();
}

#[test]
fn a_circle_of_redirections_has_an_end() {
    let redirect = || -> Box<dyn FnOnce(&mut Client) + Send> {
        Box::new(|client| {
            client.read_head();
            client.write("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
            client.expect_gone();
        })
    };
    let server = ScriptedServer::start([(); 6].map(|()| redirect()));
    let connect = Connect::new(request(&server.url())).follow_redirects();
    let error = error_of(Config::new(), connect);
    assert_eq!(error.to_string(), "too many redirections, expected 5 at most");
    server.join();
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_redirection_to_tls_is_not_followed_without() {
    let server = ScriptedServer::answering(
        "HTTP/1.1 302 Found\r\nLocation: wss://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    );
    let error = error_of(Config::new(), Connect::new(request(&server.url())).follow_redirects());
    assert!(matches!(error, ConnectError::TlsUnavailable), "{error}");
    server.join();
}

#[test]
fn a_proxy_that_speaks_http_is_asked_for_a_tunnel() {
    let proxy = ScriptedServer::once(|client| {
        let head = client.read_head();
        assert!(head.starts_with("CONNECT server.example:80 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains("Proxy-Authorization: Basic bmFtZTpwYXNzd29yZA==\r\n"), "{head}");
        client.write("HTTP/1.1 200 Connection established\r\n\r\n");
        let request = client.let_in();
        assert!(request.starts_with("GET /chat HTTP/1.1\r\nHost: server.example\r\n"), "{request}");
        assert!(!request.contains("Authorization"), "{request}");
        client.expect_masked(0x81, "hi");
    });
    tunnel(&format!("http://name:password@{}", proxy.addr));
    proxy.join();
}

#[test]
fn a_proxy_that_speaks_socks_is_asked_for_a_tunnel() {
    let proxy = ScriptedServer::once(|client| {
        client.expect("05 01 00");
        client.write([5, 0]);
        client.expect("05 01 00 03 0E 'server.example' 0050");
        client.write([5, 0, 0, 1, 10, 0, 0, 1, 0, 80]);
        client.let_in();
        client.expect_masked(0x81, "hi");
    });
    tunnel(&format!("socks5://{}", proxy.addr));
    proxy.join();
}

/// Connects to a server through a proxy, and says something.
fn tunnel(proxy: &str) {
    let proxy = Proxy::parse(proxy).unwrap();
    let mut event_loop = EventLoop::new().unwrap();
    let connect = Connect::new(request("ws://server.example/chat")).proxy(proxy);
    let id = event_loop.connect_with(connect).unwrap();
    let mut outcomes = Outcomes::default();
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| !outcomes.opened.is_empty());
    event_loop.peers().send(id, "hi");
    turn_until(&mut event_loop, &mut outcomes, |event_loop, _| {
        event_loop.peers().queued_bytes(id) == 0
    });
}

#[test]
fn what_a_proxy_gets_wrong_is_said_to_be_the_proxys() {
    let through = |proxy: &ScriptedServer, config| {
        let proxy = Proxy::parse(&format!("http://{}", proxy.addr)).unwrap();
        error_of(config, Connect::new(request("ws://server.example")).proxy(proxy)).to_string()
    };
    for (answer, expected) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "the proxy does not connect: refused with status 407 Proxy Authentication Required",
        ),
        ("", "from the proxy: the connection was closed without an answer"),
        ("SSH-2.0", "from the proxy: expected HTTP, got something else"),
        (
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 ",
            "the proxy sent bytes before the server could have sent any",
        ),
    ] {
        let proxy = ScriptedServer::answering(answer);
        assert_eq!(through(&proxy, Config::new()), expected);
        proxy.join();
    }
    let proxy = ScriptedServer::once(|client| {
        client.read_head();
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        client.read_head();
        client.end();
        client.expect_gone();
    });
    assert_eq!(through(&proxy, Config::new()), "the connection was closed without an answer");
    proxy.join();
    let silent = ScriptedServer::once(|client| {
        client.read_head();
        client.expect_gone();
    });
    let config = Config::new().handshake_timeout(Duration::from_millis(20));
    assert_eq!(through(&silent, config), "the proxy did not connect to the server in time");
    silent.join();
}

#[test]
fn connecting_works_from_inside_any_callback() {
    /// Connects whenever it is called, as long as there are things left to be called for.
    struct Chain {
        url: String,
        called: Vec<&'static str>,
    }
    impl Chain {
        fn next(&mut self, name: &'static str, peers: &mut Peers) {
            if !self.called.contains(&name) {
                self.called.push(name);
                peers.connect(&self.url).unwrap();
            }
        }
    }
    impl Handler for Chain {
        fn on_open(&mut self, peer: &mut Peer<'_>) {
            peer.send("hi");
            self.next("open", peer.peers());
        }
        fn on_message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) {
            self.next("message", peer.peers());
            peer.close(CloseCode::NORMAL, "");
        }
        fn on_close(&mut self, peer: &mut Peer<'_>, _: wsloop::Close<'_>) {
            self.next("close", peer.peers());
        }
        fn on_connect_error(&mut self, peers: &mut Peers, _: PeerId, _: ConnectError) {
            self.next("error", peers);
        }
        fn on_timer(&mut self, peers: &mut Peers, _: TimerId) {
            self.next("timer", peers);
            peers.connect(&format!("ws://{}", nobody())).unwrap();
        }
    }
    let server = Server::start(Config::new(), Script::echo());
    let mut event_loop = EventLoop::new().unwrap();
    event_loop.peers().set_timer(Duration::ZERO);
    let mut chain = Chain { url: format!("ws://{}", server.addr), called: Vec::new() };
    turn_until(&mut event_loop, &mut chain, |event_loop, chain| {
        chain.called.len() == 5
            && event_loop.peers().stats().closed.remote + event_loop.peers().stats().closed.local
                == 5
    });
    assert_eq!(event_loop.peers().stats().connections.connected, 5);
    for _ in 0..15 {
        server.told.next();
    }
    server.stop();
}

#[test]
fn other_threads_connect_by_way_of_the_loop() {
    let server = Server::echo();
    let mut event_loop = EventLoop::new().unwrap();
    let remote = event_loop.remote();
    let url = format!("ws://{}", server.addr);
    std::thread::spawn(move || {
        remote
            .run(move |peers| {
                peers.connect(&url).unwrap();
            })
            .unwrap();
    });
    let mut outcomes = Outcomes::default();
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| !outcomes.opened.is_empty());
    server.told.expect("open");
    drop(event_loop);
    assert!(server.told.next().starts_with("close 1006"));
    server.stop();
}

#[test]
fn a_connection_that_breaks_before_the_answer_is_lost() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut event_loop = EventLoop::new().unwrap();
    let id = event_loop.connect(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    turn_until(&mut event_loop, &mut Outcomes::default(), |event_loop, _| {
        event_loop.peers().stats().bytes.sent > 0
    });
    Client::over(listener.accept().unwrap().0).reset();
    let error = error_in(&mut event_loop, id);
    let ConnectError::Lost(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[cfg(unix)]
#[test]
fn the_environment_may_name_a_proxy() {
    let in_environment = |variables: &str| {
        super::common::in_own_process(
            "connecting::the_environment_may_name_a_proxy",
            &format!("-n 256 && export {variables}"),
        )
    };
    let proxies = ["http_proxy=http://127.0.0.1:1", "http_proxy=no://proxy"];
    if !proxies.map(|proxy| in_environment(&format!("{proxy} no_proxy=excluded.invalid")))[0] {
        return;
    }
    let connect = |url| Connect::new(request(url)).proxy_from_environment();
    let excluded = error_of(Config::new(), connect("ws://excluded.invalid"));
    assert!(matches!(excluded, ConnectError::Resolve(_)), "{excluded}");
    if std::env::var("http_proxy").unwrap().starts_with("no") {
        let result = EventLoop::new().unwrap().connect_with(connect("ws://other.invalid"));
        assert!(matches!(result, Err(ConnectError::ProxyUrl(_))));
        return;
    }
    let error = error_of(Config::new(), connect("ws://other.invalid"));
    let ConnectError::Connect(error) = error else { panic!("{error}") };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    // Unasked, the environment says nothing.
    let error = error_of(Config::new(), request("ws://other.invalid"));
    assert!(matches!(error, ConnectError::Resolve(_)), "{error}");
}

#[test]
fn in_a_rehearsal_there_is_nowhere_to_connect_to() {
    struct Connecting(Option<ConnectError>);
    impl Handler for Connecting {
        fn on_message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) {
            peer.peers().connect("ws://server.example").unwrap();
        }
        fn on_connect_error(&mut self, _: &mut Peers, _: PeerId, error: ConnectError) {
            self.0 = Some(error);
        }
    }
    let mut rehearsal = wsloop::testing::Rehearsal::new(Config::new(), Connecting(None));
    let client = rehearsal.connect("/");
    rehearsal.send(client, "go");
    let Some(ConnectError::Connect(error)) = &rehearsal.handler().0 else { panic!("no error") };
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
}

#[cfg(target_os = "linux")]
#[test]
fn no_thread_stays_behind_when_the_loop_is_gone() {
    let test = "connecting::no_thread_stays_behind_when_the_loop_is_gone";
    if !super::common::in_own_process(test, "-n 256") {
        return;
    }
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name == b"wsloop-resolver\n").count()
    };
    let mut event_loop = EventLoop::new().unwrap();
    // As many names as there may be threads, and more. With another port it is another one.
    let ids: Vec<_> = (1..=20)
        .map(|port| event_loop.connect(&format!("ws://localhost:{port}")).unwrap())
        .collect();
    let mut outcomes = Outcomes::default();
    turn_until(&mut event_loop, &mut outcomes, |_, outcomes| outcomes.errors.len() == ids.len());
    assert!((1..=8).contains(&threads()), "{}", threads());
    drop(event_loop);
    while threads() > 0 {
        let_pass(Duration::from_millis(1));
    }
}
