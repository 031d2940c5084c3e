//! The opening handshake: what servers answer, and what not.

use std::error::Error;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use wsloop::client::{Client, ConnectError, ConnectStep};
use wsloop::handshake::{RedirectError, ResponseError, ResponseLimits, UrlError, WsUrl};
use wsloop::protocol::Message;

use crate::common::{SOON, Server, fails_to_connect, let_pass, patient, response_to};

#[test]
fn frames_may_come_right_behind_the_answer() {
    let server = Server::run(|mut peer| {
        let request = peer.accept_and_send("81 02 'ab'  81 01");
        assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
        peer.send("'c'");
    });
    let mut client = server.connect();
    assert_eq!(client.receive(), Ok(Some(Message::Text("ab"))));
    assert_eq!(client.receive(), Ok(Some(Message::Text("c"))));
    server.join();
}

#[test]
fn what_is_agreed_on_can_be_asked() {
    let server = Server::run(|mut peer| {
        let request = peer.read_head();
        assert!(request.contains("\r\nSec-WebSocket-Protocol: b, a\r\n"), "{request}");
        assert!(request.contains("\r\nX-Token: 7\r\n"), "{request}");
        let response = String::from_utf8(response_to(&request)).unwrap();
        let fields = "\r\nSec-WebSocket-Protocol: a\r\nSet-Cookie: x=1\r\n\r\n";
        peer.write(response.replace("\r\n\r\n", fields));
    });
    let request = server.request().subprotocol("b").unwrap().subprotocol("a").unwrap();
    let client = patient().connect(&request.header("X-Token", "7").unwrap()).unwrap();
    assert_eq!(client.subprotocol(), Some("a"));
    assert_eq!(client.established().head().field("Set-Cookie"), Some("x=1"));
    assert_eq!(client.remote_addr().unwrap(), server.addr);
    assert_eq!(client.local_addr().unwrap().ip(), server.addr.ip());
    server.join();
}

/// A server answers what a good one would, after this has been done to it.
#[track_caller]
fn check_answer(change: impl FnOnce(String) -> String + Send + 'static, expected: ResponseError) {
    let error = fails_to_connect(&patient(), |mut peer, request| {
        let response = String::from_utf8(response_to(&request)).unwrap();
        peer.write(change(response));
        // The client does not wait for the end: it is the one who ends.
        peer.await_gone();
    });
    assert!(matches!(error, ConnectError::Response(error) if error == expected), "{error:?}");
    assert_eq!(error.source().unwrap().to_string(), expected.to_string());
}

#[test]
fn an_answer_that_is_none_fails_at_once() {
    let with = |field: &'static str| {
        move |response: String| response.replacen("\r\n", &format!("\r\n{field}\r\n"), 1)
    };
    check_answer(|_| "SSH-2.0-OpenSSH_9.6\r\n".into(), ResponseError::NotHttp);
    check_answer(|_| "\x15\x03\x01\x00\x02\x02\x46".into(), ResponseError::Tls);
    check_answer(|response| response.replace("Accept: ", "Accept: A"), ResponseError::AcceptKey);
    check_answer(with("Content-Length: 5"), ResponseError::Content);
    check_answer(with("Transfer-Encoding: chunked"), ResponseError::Content);
    check_answer(with("Sec-WebSocket-Protocol: c"), ResponseError::UnofferedSubprotocol);
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate";
    check_answer(with(deflate), ResponseError::UnofferedExtension);
}

#[test]
fn a_head_without_end_is_not_read_to_the_end() {
    let error = fails_to_connect(&patient(), |mut peer, _| {
        peer.write("HTTP/1.1 101 Switching Protocols\r\nX: ");
        peer.write_endlessly(&[b'x'; 4096]);
    });
    assert!(matches!(error, ConnectError::Response(ResponseError::HeadTooLarge)), "{error:?}");
    let error = fails_to_connect(&patient(), |mut peer, _| {
        peer.write("HTTP/1.1 101 Switching Protocols\r\n");
        peer.write_endlessly(b"X: y\r\n");
    });
    assert!(
        matches!(
            error,
            ConnectError::Response(ResponseError::HeadTooLarge | ResponseError::TooManyFields)
        ),
        "{error:?}"
    );
}

#[test]
fn how_much_is_accepted_of_an_answer_can_be_set() {
    let mut limits = ResponseLimits::default();
    limits.max_head_size = 64;
    let connector = patient().response_limits(limits);
    let error = fails_to_connect(&connector, |mut peer, request| {
        peer.write(response_to(&request));
        peer.await_gone();
    });
    assert!(matches!(error, ConnectError::Response(ResponseError::HeadTooLarge)), "{error:?}");
}

#[test]
fn a_server_that_says_nothing_is_waited_for_until_the_time_is_up() {
    let connector = patient().connect_timeout(SOON);
    let error = fails_to_connect(&connector, |mut peer, _| peer.await_gone());
    assert!(matches!(error, ConnectError::TimedOut(ConnectStep::Handshake)), "{error:?}");
    assert_eq!(error.to_string(), "the server did not answer in time");
}

#[test]
fn a_slow_answer_does_not_stretch_the_time() {
    let connector = patient().connect_timeout(10 * SOON);
    let error = fails_to_connect(&connector, |mut peer, _| {
        peer.write("HTTP/1.1 101 Switching Protocols\r\nX: ");
        // There is always something to read, and the head is not too large for seconds.
        while io::Write::write(&mut peer.stream, b"x").is_ok() {
            let_pass(Duration::from_micros(100));
        }
    });
    assert!(matches!(error, ConnectError::TimedOut(ConnectStep::Handshake)), "{error:?}");
}

#[test]
fn a_connection_that_ends_without_an_answer_says_so() {
    for (answer, expected) in
        [("", ResponseError::NoResponse), ("HTTP/1.1 101", ResponseError::Incomplete)]
    {
        let error = fails_to_connect(&patient(), move |mut peer, _| peer.write(answer));
        assert!(matches!(error, ConnectError::Response(it) if it == expected), "{error:?}");
    }
}

#[test]
fn a_refusal_comes_with_what_the_server_said() {
    let error = fails_to_connect(&patient(), |mut peer, _| {
        peer.write("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nX: y\r\n\r\nwho?");
    });
    let ConnectError::Refused(refusal) = &error else { panic!("{error:?}") };
    assert_eq!((refusal.status(), refusal.body()), (401, &b"who?"[..]));
    assert_eq!(refusal.head().field("X"), Some("y"));
    assert_eq!(error.to_string(), "refused with status 401 Unauthorized");
    // If the body does not come, the refusal is one all the same.
    let connector = patient().connect_timeout(10 * SOON);
    let error = fails_to_connect(&connector, |mut peer, _| {
        peer.write("HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nw");
        peer.await_gone();
    });
    assert!(
        matches!(&error, ConnectError::Refused(refusal) if refusal.status() == 503),
        "{error:?}"
    );
}

#[test]
fn redirections_are_followed_only_on_request() {
    let redirect = "HTTP/1.1 307 There\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n";
    let error = fails_to_connect(&patient(), move |mut peer, _| peer.write(redirect));
    assert!(
        matches!(&error, ConnectError::Refused(refusal) if refusal.status() == 307),
        "{error:?}"
    );

    let server = Server::run_times(2, move |i, mut peer| {
        if i == 0 {
            peer.read_head();
            return peer.write(redirect);
        }
        let request = peer.accept_and_send("81 00");
        assert!(request.starts_with("GET /there HTTP/1.1\r\n"), "{request}");
    });
    let mut client = server.connect_by(&patient().follow_redirects());
    assert_eq!(client.receive(), Ok(Some(Message::Text(""))));
    server.join();
}

/// What the request says has the last word.
#[cfg(feature = "deflate")]
#[test]
fn compression_is_offered_as_set_or_as_requested() {
    use wsloop::Compression;
    use wsloop::client::Connector;
    use wsloop::handshake::ClientRequest;

    type Ask = fn(ClientRequest) -> ClientRequest;
    let check = |connector: Connector, ask: Ask, offered: Option<&str>| {
        let expected = offered.map(|offered| format!("Sec-WebSocket-Extensions: {offered}"));
        let server = Server::run(move |mut peer| {
            let request = peer.read_head();
            let field = request.lines().find(|line| line.starts_with("Sec-WebSocket-Extensions"));
            assert_eq!(field, expected.as_deref(), "{request}");
            peer.write(response_to(&request));
        });
        connector.connect(&ask(server.request())).unwrap();
        server.join();
    };
    let shared = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                  client_max_window_bits";
    let dedicated = "permessage-deflate; client_max_window_bits";
    check(patient(), |request| request, None);
    check(patient(), |request| request.deflate(Default::default()), Some(shared));
    let on = || patient().compression(Compression::dedicated());
    check(on(), |request| request, Some(dedicated));
    check(on(), |request| request.deflate(Default::default()), Some(shared));
    check(on(), |request| request.no_deflate(), None);
    check(on().compression(None), |request| request, None);
}

#[test]
fn redirections_in_a_circle_have_an_end() {
    let server = Server::run_times(6, |_, mut peer| {
        peer.read_head();
        peer.write("HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
    });
    let error = patient().follow_redirects().connect(&server.request()).unwrap_err();
    assert!(matches!(error, ConnectError::Redirect(RedirectError::TooMany)), "{error:?}");
    server.join();
}

#[cfg(not(feature = "tls"))]
#[test]
fn a_redirection_to_tls_is_not_followed_without_it() {
    let server = Server::run(|mut peer| {
        peer.read_head();
        peer.write("HTTP/1.1 308 x\r\nLocation: wss://h/\r\nContent-Length: 0\r\n\r\n");
    });
    let error = patient().follow_redirects().connect(&server.request()).unwrap_err();
    assert!(matches!(error, ConnectError::TlsUnavailable), "{error:?}");
    server.join();
}

#[test]
fn nothing_is_connected_to_for_a_url_that_is_none() {
    let error = Client::connect("http://127.0.0.1/").unwrap_err();
    assert!(matches!(error, ConnectError::Url(UrlError::Http)), "{error:?}");
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_there_is_no_wss() {
    let error = Client::connect("wss://127.0.0.1/").unwrap_err();
    assert_eq!(error.to_string(), "wss is not available, expected a ws URL");
}

#[test]
fn a_port_on_which_nobody_listens_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // A port that nobody else gets as long as this has it.
    let busy = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let addr = busy.local_addr().unwrap();
    let error = Client::connect(&format!("ws://{addr}/")).unwrap_err();
    let ConnectError::Connect(cause) = &error else { panic!("{error:?}") };
    assert_eq!(cause.kind(), io::ErrorKind::ConnectionRefused);
}

/// Where one family leads nowhere, the other is tried: here nobody listens at `::1`.
#[test]
fn all_addresses_of_a_name_are_tried() {
    let server = Server::run(|mut peer| _ = peer.accept_and_send("81 00"));
    let url = format!("ws://localhost:{}/", server.addr.port());
    let request = wsloop::handshake::ClientRequest::new(WsUrl::parse(&url).unwrap());
    let mut client = patient().connect(&request).unwrap();
    assert_eq!(client.receive(), Ok(Some(Message::Text(""))));
    server.join();
}

/// A listener whose backlog is full lets nobody in and refuses nobody.
#[cfg(all(target_os = "linux", feature = "event-loop"))]
#[test]
fn a_server_that_lets_nobody_in_is_waited_for_until_the_time_is_up() {
    use socket2::{Domain, Socket, Type};

    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let mut full = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, 4 * SOON) {
        full.push(stream);
    }
    let request =
        wsloop::handshake::ClientRequest::new(WsUrl::parse(&format!("ws://{addr}/")).unwrap());
    let error = patient().connect_timeout(SOON).connect(&request).unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut(ConnectStep::Connect)), "{error:?}");
}
