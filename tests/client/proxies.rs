//! Connections by way of proxies.

use std::io::Read;

use wsloop::client::{ConnectError, ConnectStep};
use wsloop::handshake::{ClientRequest, Proxy, ProxyError, WsUrl};
use wsloop::protocol::Message;

use crate::common::{Peer, SOON, Server, patient};

const URL: &str = "ws://server.example:9001/chat";

fn request() -> ClientRequest {
    ClientRequest::new(WsUrl::parse(URL).unwrap())
}

fn proxy(scheme: &str, server: &Server) -> Proxy {
    Proxy::parse(&format!("{scheme}{}", server.addr)).unwrap()
}

/// Behind the proxy, the server.
fn serve(peer: &mut Peer) {
    let request = peer.accept_and_send("81 00");
    assert!(
        request.starts_with("GET /chat HTTP/1.1\r\nHost: server.example:9001\r\n"),
        "{request}"
    );
    assert!(!request.contains("Authorization"), "{request}");
}

#[test]
fn http_with_credentials() {
    let server = Server::run(|mut peer| {
        assert_eq!(
            peer.read_head(),
            "CONNECT server.example:9001 HTTP/1.1\r\n\
             Host: server.example:9001\r\n\
             Proxy-Authorization: Basic bmFtZTpwYXNzd29yZA==\r\n\r\n"
        );
        peer.write("HTTP/1.1 200 Connection established\r\n\r\n");
        serve(&mut peer);
    });
    let proxy = proxy("http://name:password@", &server);
    let mut client = patient().proxy(proxy).connect(&request()).unwrap();
    assert_eq!(client.receive(), Ok(Some(Message::Text(""))));
    server.join();
}

/// Reads what SOCKS says, byte for byte.
#[track_caller]
fn expect_bytes(peer: &mut Peer, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    peer.stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

#[test]
fn socks_with_credentials() {
    let server = Server::run(|mut peer| {
        expect_bytes(&mut peer, b"\x05\x02\x00\x02");
        peer.write(b"\x05\x02");
        expect_bytes(&mut peer, b"\x01\x04name\x08password");
        peer.write(b"\x01\x00");
        // The proxy is told the name of the server, and resolves it.
        expect_bytes(&mut peer, b"\x05\x01\x00\x03\x0Eserver.example\x23\x29");
        peer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00");
        peer.write(b"\x00\x00");
        serve(&mut peer);
    });
    let proxy = proxy("socks5://name:password@", &server);
    let mut client = patient().proxy(proxy).connect(&request()).unwrap();
    assert_eq!(client.receive(), Ok(Some(Message::Text(""))));
    server.join();
}

#[test]
fn a_proxy_that_refuses_is_quoted() {
    let server = Server::run(|mut peer| {
        peer.read_head();
        peer.write("HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
    });
    let error = patient().proxy(proxy("http://", &server)).connect(&request()).unwrap_err();
    let ConnectError::ProxyRefused(refusal) = &error else { panic!("{error:?}") };
    assert_eq!(refusal.head().field("Proxy-Authenticate"), Some("Basic"));
    assert_eq!(error.to_string(), "the proxy does not connect: refused with status 407 Who?");
    server.join();

    let server = Server::run(|mut peer| {
        expect_bytes(&mut peer, b"\x05\x01\x00");
        peer.write(b"\x05\x00");
        expect_bytes(&mut peer, b"\x05\x01\x00\x03");
        peer.write(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00");
        peer.await_gone();
    });
    let error = patient().proxy(proxy("socks5://", &server)).connect(&request()).unwrap_err();
    assert!(matches!(error, ConnectError::Proxy(ProxyError::SocksReply(5))), "{error:?}");
    server.join();
}

#[test]
fn a_proxy_that_says_nothing_is_waited_for_until_the_time_is_up() {
    for scheme in ["http://", "socks5://"] {
        let server = Server::run(|mut peer| peer.await_gone());
        let connector = patient().connect_timeout(SOON).proxy(proxy(scheme, &server));
        let error = connector.connect(&request()).unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut(ConnectStep::Proxy)), "{scheme}: {error:?}");
        server.join();
    }
}

#[test]
fn a_proxy_that_ends_the_connection_is_an_error() {
    let server = Server::run(|mut peer| _ = peer.read_head());
    let error = patient().proxy(proxy("http://", &server)).connect(&request()).unwrap_err();
    assert!(matches!(error, ConnectError::Proxy(ProxyError::Response(_))), "{error:?}");
    server.join();
}

/// The environment belongs to the whole process, so there is one of its own for this.
#[cfg(unix)]
#[test]
fn the_environment_is_asked_only_on_request() {
    use std::process::Command;

    const MARK: &str = "WSLOOP_TEST_PROXY_OF";
    let test = "proxies::the_environment_is_asked_only_on_request";
    if let Ok(addr) = std::env::var(MARK) {
        let request = ClientRequest::new(WsUrl::parse(&format!("ws://{addr}/chat")).unwrap());
        let error = patient().proxy_from_environment().connect(&request).unwrap_err();
        assert!(matches!(error, ConnectError::ProxyRefused(_)), "{error:?}");
        let error = patient().connect(&request).unwrap_err();
        assert!(matches!(error, ConnectError::Refused(_)), "{error:?}");
        return;
    }
    let server = Server::run_times(2, |i, mut peer| {
        let request = peer.read_head();
        assert!(request.starts_with(["CONNECT ", "GET "][i]), "{request}");
        peer.write("HTTP/1.1 403 x\r\nContent-Length: 0\r\n\r\n");
    });
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(MARK, server.addr.to_string())
        .env("http_proxy", format!("http://{}", server.addr))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    server.join();
}
