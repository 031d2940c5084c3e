//! The opening handshake: who is let in, who is refused, and who has to wait.

use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use wsloop::handshake::{HeadLimits, Method, Refusal};
use wsloop::{Acceptance, Config, Deferred, EventLoop, OriginPolicy, PeerId, Response, SendStatus};

#[cfg(unix)]
use super::common::Door;
use super::common::{
    Client, HANG, NEVER, REQUEST, Script, Server, Told, frame, let_pass, masked, turn_until, wire,
};

/// What a client may have sent before it is told that it was refused.
const MEGABYTE: usize = 1 << 20;

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let server = Server::echo();
    let mut client = Client::connect(server.addr);
    for byte in REQUEST.bytes() {
        client.write([byte]);
    }
    client.expect_opened();
    server.told.expect("open");
    client.send("81 05 'Hello'");
    client.expect("81 05 'Hello'");
    server.told.expect("text Hello");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn what_is_sent_on_open_follows_the_response() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| assert_eq!(peer.send("welcome"), SendStatus::Queued));
    let server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    client.expect("81 07 'welcome'");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_refusal_is_read_whole_whatever_was_sent_behind_the_request() {
    let without = |field: &str| {
        let lines = REQUEST.split_inclusive("\r\n").filter(|line| !line.starts_with(field));
        lines.collect::<String>()
    };
    let with = |field: &str| {
        let (head, end) = REQUEST.split_at(REQUEST.len() - 2);
        format!("{head}{field}\r\n{end}")
    };
    let path = "/x".repeat(5000);
    for (status, request) in [
        (400, "\u{16}\u{3}\u{1}".to_owned()),
        (400, REQUEST.replace("\r\n", "\n")),
        (400, without("Host")),
        (400, without("Sec-WebSocket-Key")),
        (403, with("Origin: https://evil.example")),
        (404, REQUEST.replace("/chat", "/nowhere")),
        (405, REQUEST.replace("GET", "POST")),
        (413, with("Content-Length: 5")),
        (414, REQUEST.replace("/chat", &path)),
        (417, with("Expect: miracles")),
        (421, REQUEST.replace("server.example.com", "other.example.com")),
        (426, without("Upgrade")),
        (426, REQUEST.replace("Version: 13", "Version: 12")),
        (431, with(&"X-Field: value\r\n".repeat(80))),
        (431, with(&format!("Cookie: {}", "x".repeat(20_000)))),
        (501, REQUEST.replace("GET", "BREW")),
        (505, REQUEST.replace("HTTP/1.1", "HTTP/2.0")),
    ] {
        let (mut script, told) = Script::echo();
        script.on_request = Box::new(|_, request| match request.path() {
            "/chat" => request.upgrade(),
            _ => Refusal::NotFound.into(),
        });
        let config = Config::new().allowed_hosts(["server.example.com"]).close_timeout(NEVER);
        let server = Server::start(config, (script, told));
        let mut client = Client::connect(server.addr);
        client.write([request.as_bytes(), &[0x55; MEGABYTE]].concat());
        client.expect_response(status);
        client.end();
        server.stop();
    }
}

#[test]
fn origins_are_checked_unless_any_is_welcome() {
    let request = REQUEST.replace("\r\n\r\n", "\r\nOrigin: https://app.example\r\n\r\n");
    for (origin, welcome) in [
        (OriginPolicy::default(), false),
        (OriginPolicy::any_of(["https://app.example"]), true),
        (OriginPolicy::any_of(["https://other.example"]), false),
    ] {
        let server = Server::start(Config::new().origin(origin), Script::echo());
        let mut client = Client::connect(server.addr);
        client.write(&request);
        if welcome {
            client.expect_opened();
        } else {
            client.expect_response(403);
        }
    }
}

#[test]
fn a_plain_request_is_the_handlers_to_answer() {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(|_, request| {
        assert!(request.offer().is_none());
        Response::html("<p>hello</p>").into()
    });
    let server = Server::start(Config::new(), (script, told));
    let mut client = Client::connect(server.addr);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let response = client.expect_response(200);
    assert!(response.ends_with("\r\n\r\n<p>hello</p>"), "{response}");
    server.stop();
}

#[test]
fn a_second_request_is_not_answered() {
    let server = Server::echo();
    let mut client = Client::connect(server.addr);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2));
    let response = client.expect_response(426);
    assert_eq!(response.matches("HTTP/1.1 ").count(), 1, "{response}");
    server.stop();
}

#[test]
fn the_answer_to_head_has_no_body() {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(|_, request| {
        assert_eq!(request.method(), Method::Head);
        Response::html("<p>hello</p>").into()
    });
    let server = Server::start(Config::new(), (script, told));
    for (status, request) in [
        (200, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        // The client reads the response by the same rule if the request is refused.
        (400, "HEAD / HTTP/1.1\r\n\r\n"),
        (400, "HEAD / HTTP/1.1\r\nHost: local host\r\n\r\n"),
        (400, "HEAD / HTTP/1.1\r\nHost\u{1}\r\n"),
    ] {
        let mut client = Client::connect(server.addr);
        client.write(request);
        let response = String::from_utf8(client.read_to_end()).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(
            !response.contains("Content-Length: 0"),
            "the length is that of the body: {response}"
        );
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
    server.stop();
}

#[test]
fn a_subprotocol_is_agreed_on() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_open = Box::new(move |peer| teller.tell(peer.subprotocol().unwrap_or("none")));
    let server = Server::start(Config::new().subprotocols(["v2", "v1"]), (script, told));
    for (offered, agreed) in [("v1, v2", "v2"), ("v0, v1", "v1"), ("v0", "none")] {
        let mut client = Client::connect(server.addr);
        client.write(
            REQUEST.replace("\r\n\r\n", &format!("\r\nSec-WebSocket-Protocol: {offered}\r\n\r\n")),
        );
        server.told.expect("open");
        server.told.expect(agreed);
        // No Close is sent, so that the whole response can be read to the end of the stream.
        client.end();
        let response = String::from_utf8(client.read_to_end()).unwrap();
        let field = format!("Sec-WebSocket-Protocol: {agreed}\r\n");
        assert_eq!(response.contains(&field), agreed != "none", "{response}");
        server.told.expect("close 1006 unclean EndOfStream");
    }
    server.stop();
}

/// Whatever the configuration says, an acceptance has the last word.
#[cfg(feature = "deflate")]
#[test]
fn compression_is_agreed_to_as_configured_or_as_accepted() {
    use wsloop::Compression;
    use wsloop::handshake::DeflateOptions;

    let shared = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let window = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                  server_max_window_bits=10";
    check_agreed(Config::new(), Acceptance::new, None);
    check_agreed(Config::new(), || Acceptance::new().deflate(Default::default()), Some(shared));
    let on = || Config::new().compression(Compression::shared());
    check_agreed(on(), Acceptance::new, Some(shared));
    check_agreed(on(), || Acceptance::new().no_deflate(), None);
    check_agreed(on().compression(None), Acceptance::new, None);
    let options = DeflateOptions { server_max_window_bits: 10, ..Default::default() };
    check_agreed(on(), move || Acceptance::new().deflate(options), Some(window));
    let dedicated = Config::new().compression(Compression::dedicated());
    check_agreed(dedicated, Acceptance::new, Some("permessage-deflate"));
}

#[cfg(feature = "deflate")]
#[track_caller]
fn check_agreed(
    config: Config,
    acceptance: impl Fn() -> Acceptance + Send + 'static,
    agreed: Option<&str>,
) {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(move |_, _| acceptance().into());
    let server = Server::start(config, (script, told));
    let mut client = Client::connect(server.addr);
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    client.write(REQUEST.replace("\r\n\r\n", offer));
    server.told.expect("open");
    client.end();
    let response = String::from_utf8(client.read_to_end()).unwrap();
    let mut fields =
        response.lines().filter_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    assert_eq!(fields.next(), agreed, "{response}");
    assert_eq!(fields.next(), None);
    server.told.expect("close 1006 unclean EndOfStream");
    server.stop();
}

#[test]
fn an_acceptance_that_the_client_could_not_accept_is_an_error_of_the_server() {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(|_, _| Acceptance::new().subprotocol("unheard-of").into());
    let server = Server::start(Config::new(), (script, told));
    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    client.expect_response(500);
    server.stop();
}

#[test]
fn an_upgrade_that_nobody_asked_for_is_refused() {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(|_, _| Acceptance::new().into());
    let server = Server::start(Config::new(), (script, told));
    let mut client = Client::connect(server.addr);
    client.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.expect_response(426);
    server.stop();
}

/// A handler that defers every decision, and who is to make them.
fn deferring() -> ((Script, Told), mpsc::Receiver<Deferred>) {
    let (mut script, told) = Script::echo();
    let (sender, decisions) = mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        let (answer, deferred) = request.defer();
        assert_eq!(deferred.id(), request.id());
        sender.send(deferred).unwrap();
        answer
    });
    ((script, told), decisions)
}

#[test]
fn a_decision_may_be_made_on_another_thread() {
    let (script, decisions) = deferring();
    let server = Server::start(Config::new(), script);
    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    decisions.recv_timeout(HANG).unwrap().answer(Acceptance::new());
    client.expect_opened();
    server.told.expect("open");
    client.close();
    server.told.expect("close 1000 clean Remote");

    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    decisions.recv_timeout(HANG).unwrap().answer(Response::text(401, "who are you?"));
    client.expect_response(401);
    server.stop();
}

#[test]
fn a_decision_may_be_made_by_the_handler_later() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    let (sender, decisions) = mpsc::channel();
    script.on_request = Box::new(move |_, request| {
        if request.path() == "/chat" {
            return request.upgrade();
        }
        teller.tell("request");
        let (answer, deferred) = request.defer();
        sender.send(deferred).unwrap();
        answer
    });
    script.on_message = Box::new(move |_, _| {
        decisions.try_recv().unwrap().answer(Acceptance::new());
    });
    let server = Server::start(Config::new(), (script, told));
    let mut doorman = server.open();
    let mut guest = Client::connect(server.addr);
    guest.write(REQUEST.replace("/chat", "/wait"));
    server.told.expect("request");
    doorman.send("81 00");
    guest.expect_opened();
    server.told.expect("text");
    server.told.expect("open");
    guest.close();
    server.told.expect("close 1000 clean Remote");
    doorman.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn a_decision_that_is_forgotten_is_a_500() {
    let (script, decisions) = deferring();
    let server = Server::start(Config::new(), script);
    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    drop(decisions.recv_timeout(HANG).unwrap());
    client.expect_response(500);
    server.stop();
}

#[test]
fn frames_that_arrive_before_the_decision_are_kept() {
    let (script, decisions) = deferring();
    let server = Server::start(Config::new(), script);
    let mut client = Client::connect(server.addr);
    // Some are read together with the head, more arrive while nothing is read.
    client.write([REQUEST.as_bytes(), &masked(&wire("81 01 'a'  81 01 'b'  81"))].concat());
    let decision = decisions.recv_timeout(HANG).unwrap();
    client.write(&masked(&wire("81 01 'c'"))[1..]);
    decision.answer(Acceptance::new());
    client.expect_opened();
    client.expect("81 01 'a'  81 01 'b'  81 01 'c'");
    client.close();
    for expected in ["open", "text a", "text b", "text c", "close 1000 clean Remote"] {
        server.told.expect(expected);
    }
    server.stop();
}

#[test]
fn a_client_that_left_before_the_decision_was_there_for_a_moment() {
    let (script, decisions) = deferring();
    let server = Server::start(Config::new(), script);

    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    let decision = decisions.recv_timeout(HANG).unwrap();
    client.end();
    decision.answer(Acceptance::new());
    client.expect_opened();
    client.expect_end();
    server.told.expect("open");
    server.told.expect("close 1006 unclean EndOfStream");

    let mut client = Client::connect(server.addr);
    client.write(REQUEST);
    let decision = decisions.recv_timeout(HANG).unwrap();
    client.reset();
    decision.answer(Acceptance::new());
    server.told.expect("open");
    let told = server.told.next();
    assert!(told.starts_with("close 1006 unclean Lost("), "{told}");
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_decision_that_takes_too_long_is_a_503() {
    let ((mut script, _told), decisions) = deferring();
    let config = Config::new().handshake_timeout(Duration::from_millis(10)).close_timeout(NEVER);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.connect();
    // The time runs from when the connection is accepted, which is in the first turn.
    client.write(REQUEST);
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect_response(503);

    // It is too late for an answer.
    decisions.recv_timeout(HANG).unwrap().answer(Acceptance::new());
    client.end();
    expect_deserted(&mut event_loop, &mut script);
}

#[test]
fn a_503_is_read_whatever_was_sent_behind_the_request() {
    let ((mut script, _told), decisions) = deferring();
    let config = Config::new().handshake_timeout(Duration::from_millis(500)).close_timeout(NEVER);
    let (mut event_loop, addr) = listening(config);
    let mut client = Client::connect(addr);
    client.write(REQUEST);
    let remote = event_loop.remote();
    let client = std::thread::spawn(move || {
        client.write(masked(&frame(0x82, &[0; MEGABYTE])));
        client.expect_response(503);
        remote.shutdown(NEVER);
    });
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
    client.join().unwrap();
    drop(decisions);
}

#[test]
fn a_client_that_says_nothing_is_left_without_a_word() {
    let config = Config::new().handshake_timeout(Duration::from_millis(10));
    let server = Server::start(config, Script::echo());
    Client::connect(server.addr).expect_end();
    server.stop();
}

#[cfg(unix)]
#[test]
fn half_a_request_is_answered_when_its_time_is_up() {
    let (mut script, _told) = Script::echo();
    let config = Config::new().handshake_timeout(Duration::from_millis(10));
    for half in ["G", "\r\n", &REQUEST[..REQUEST.len() - 1]] {
        let (mut event_loop, door) = Door::new(config.clone());
        let mut client = door.connect();
        // The time runs from when the connection is accepted, which is in the first turn.
        client.write(half);
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_response(408);
        client.end();
        expect_deserted(&mut event_loop, &mut script);
    }
}

/// A server whose clients trickle has as many of them as they like.
#[cfg(unix)]
#[test]
fn however_slowly_a_request_trickles_in_its_time_does_not_begin_anew() {
    let (mut script, _told) = Script::echo();
    let config = Config::new().handshake_timeout(Duration::from_millis(50)).close_timeout(NEVER);
    let (mut event_loop, door) = Door::new(config);
    let mut client = door.connect();
    client.write("GET /");
    turn_until(&mut event_loop, &mut script, |_, _| {
        let answered = client.has_input();
        if !answered {
            // Never for as long as a handshake may take.
            let_pass(Duration::from_millis(2));
            client.write("x");
        }
        answered
    });
    client.expect_response(408);
}

#[cfg(unix)]
#[test]
fn the_answer_to_head_has_no_body_when_its_time_is_up_either() {
    let ((mut script, _told), _decisions) = deferring();
    let config = Config::new().handshake_timeout(Duration::from_millis(10));
    for (status, request) in
        [(408, "HEAD / HTTP/1.1\r\n"), (503, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n")]
    {
        let (mut event_loop, door) = Door::new(config.clone());
        let mut client = door.connect();
        client.write(request);
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        let response = String::from_utf8(client.read_to_end()).unwrap();
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
}

#[test]
fn head_limits_hold() {
    let mut limits = HeadLimits::default();
    limits.max_head_size = REQUEST.len();
    let server = Server::start(Config::new().head_limits(limits), Script::echo());
    let client = server.open();
    client.close();
    server.told.expect("close 1000 clean Remote");

    let mut client = Client::connect(server.addr);
    client.write(REQUEST.replace("/chat", "/chats"));
    client.expect_response(431);
    server.stop();
}

#[test]
fn of_too_many_handshakes_the_oldest_gives_way() {
    let server = Server::start(Config::new().max_handshakes(2), Script::echo());
    let mut first = Client::connect(server.addr);
    let mut second = Client::connect(server.addr);
    let mut third = Client::connect(server.addr);
    first.expect_end();

    // One that is complete does not count any more, and its peer stays.
    second.shake_hands();
    server.told.expect("open");
    let mut fourth = Client::connect(server.addr);
    let mut fifth = Client::connect(server.addr);
    third.expect_end();
    for client in [&mut fourth, &mut fifth] {
        client.shake_hands();
        server.told.expect("open");
    }
    second.send("81 02 'hi'");
    second.expect("81 02 'hi'");
    server.told.expect("text hi");
    for client in [second, fourth, fifth] {
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn who_finds_no_room_waits_until_there_is_some() {
    let server = Server::start(Config::new().max_connections(2), Script::echo());
    let first = server.open();
    let mut second = server.open();
    let mut third = Client::connect(server.addr);
    third.write(REQUEST);
    // The loop has had a turn since, and more than one.
    for _ in 0..3 {
        second.send("81 00");
        second.expect("81 00");
        server.told.expect("text");
    }
    first.close();
    server.told.expect("close 1000 clean Remote");
    third.expect_opened();
    server.told.expect("open");
    for client in [second, third] {
        client.close();
        server.told.expect("close 1000 clean Remote");
    }
    server.stop();
}

#[test]
fn a_connection_can_be_adopted_from_another_server() {
    let (mut script, told) = Script::echo();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut event_loop = EventLoop::new().unwrap();
    let read_already = masked(&wire("81 01 'a'  81"));
    let (id, mut client) = adopt(&listener, &mut event_loop, &read_already);
    client.write(&masked(&wire("81 01 'b'"))[1..]);
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().contains(id));
    let mut seen = told.so_far();
    turn_until(&mut event_loop, &mut script, |_, _| {
        seen.extend(told.so_far());
        seen.len() == 3
    });
    assert_eq!(seen, ["open", "text a", "text b"]);
    client.expect_opened();
    client.expect("81 01 'a'  81 01 'b'");
    client.send("88 00");
    turn_until(&mut event_loop, &mut script, |event_loop, _| !event_loop.peers().contains(id));
    told.expect("close 1005 clean Remote");
    client.expect("88 00");
    client.expect_end();
    drop(client);
    expect_deserted(&mut event_loop, &mut script);
}

#[test]
fn what_could_not_have_been_a_request_is_not_adopted() {
    let (mut event_loop, addr) = listening(Config::new());
    for (target, name, value) in
        [("/a b", "Host", "a"), ("/", "Ho st", "a"), ("/", "Host", "a\r\nOrigin: evil")]
    {
        let socket = Client::connect(addr).into_socket();
        let fields = [(name, value.as_bytes())];
        let error = event_loop.adopt(socket, target, fields, b"").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    }
}

#[test]
fn no_more_connections_are_adopted_than_there_may_be() {
    let (mut script, told) = Script::echo();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut event_loop = EventLoop::with_config(Config::new().max_connections(2)).unwrap();
    let (_, mut first) = adopt(&listener, &mut event_loop, b"");
    let (_, mut second) = adopt(&listener, &mut event_loop, b"");
    let mut excess = Client::connect(listener.local_addr().unwrap());
    let (socket, _) = listener.accept().unwrap();
    let error = event_loop.adopt(socket, "/chat", [("Host", &b"a"[..])], b"").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Other, "{error}");
    excess.expect_gone();
    for client in [&mut first, &mut second] {
        turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
        client.expect_opened();
        told.expect("open");
    }
    // Whoever leaves makes room.
    first.reset();
    turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.peers().len() == 1);
    let (_, mut third) = adopt(&listener, &mut event_loop, b"");
    turn_until(&mut event_loop, &mut script, |_, _| third.has_input());
    third.expect_opened();
}

#[test]
fn the_time_for_a_handshake_begins_when_the_connection_is_adopted() {
    let ((mut script, told), decisions) = deferring();
    let timeout = Duration::from_secs(1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut event_loop = EventLoop::with_config(Config::new().handshake_timeout(timeout)).unwrap();
    // Nobody turns the loop for longer than a handshake may take.
    let_pass(timeout);
    let (id, mut client) = adopt(&listener, &mut event_loop, b"");
    for _ in 0..3 {
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
    }
    decisions.try_recv().unwrap().answer(Acceptance::new());
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    assert!(event_loop.peers().contains(id));
    told.expect("open");
    client.expect_opened();
}

fn listening(config: Config) -> (EventLoop, std::net::SocketAddr) {
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let addr = event_loop.listen("127.0.0.1:0").unwrap();
    (event_loop, addr)
}

/// Has the loop adopt a connection whose request this reads no further than its head.
fn adopt(
    listener: &TcpListener,
    event_loop: &mut EventLoop,
    read_already: &[u8],
) -> (PeerId, Client) {
    let client = Client::connect(listener.local_addr().unwrap());
    let (socket, _) = listener.accept().unwrap();
    let fields = REQUEST.lines().skip(1).filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| (name, value.as_bytes()));
    (event_loop.adopt(socket, "/chat", fields, read_already).unwrap(), client)
}

/// Sees that no connection is left, not even one that is done with.
#[track_caller]
fn expect_deserted(event_loop: &mut EventLoop, script: &mut Script) {
    event_loop.peers().shutdown(NEVER);
    turn_until(event_loop, script, |event_loop, _| event_loop.is_finished());
}
