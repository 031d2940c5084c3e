//! Ways to a server: proxies and redirections.

use rustls::version::TLS13;
use wsloop::client::ConnectError;
use wsloop::handshake::{ClientRequest, Proxy, ProxyError, RedirectError, WsUrl};
use wsloop::protocol::Message;
use wsloop::tls::{CertificateError, TlsError};

use super::common::{Authority, request, secure};
use crate::common::{Peer, Server, patient};

fn server_example() -> ClientRequest {
    ClientRequest::new(WsUrl::parse("wss://server.example/chat").unwrap())
}

/// It is the server that has to have a certificate, and the proxy sees nothing of what is within TLS.
#[test]
fn tls_goes_through_proxies() {
    for scheme in ["http", "socks5h"] {
        let authority = Authority::new();
        let config = authority.server(["server.example"]).config(&[&TLS13]);
        let server = Server::run(move |mut peer| {
            if scheme == "http" {
                let head = peer.read_head();
                assert!(head.starts_with("CONNECT server.example:443 HTTP/1.1\r\n"), "{head}");
                peer.write("HTTP/1.1 200 Connection established\r\n\r\n");
            } else {
                open_by_socks(&mut peer);
            }
            let mut peer = secure(peer, &config);
            let request = peer.accept_and_send("81 00");
            assert!(
                request.starts_with("GET /chat HTTP/1.1\r\nHost: server.example\r\n"),
                "{request}"
            );
        });
        let proxy = Proxy::parse(&format!("{scheme}://{}", server.addr)).unwrap();
        let connector = patient().tls(authority.trusted()).proxy(proxy);
        let mut client = connector.connect(&server_example()).unwrap();
        assert_eq!(client.receive(), Ok(Some(Message::Text(""))), "{scheme}");
        server.join();
    }
}

/// Lets the client ask for `server.example`, without credentials.
fn open_by_socks(peer: &mut Peer) {
    let mut bytes = [0; 3];
    std::io::Read::read_exact(&mut peer.stream, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\x05\x01\x00");
    peer.write(b"\x05\x00");
    let mut bytes = [0; 21];
    std::io::Read::read_exact(&mut peer.stream, &mut bytes).unwrap();
    assert_eq!(&bytes, b"\x05\x01\x00\x03\x0Eserver.example\x01\xBB");
    peer.write(b"\x05\x00\x00\x01\0\0\0\0\0\0");
}

#[test]
fn a_proxy_does_not_pass_for_the_server() {
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let server = Server::run(move |mut peer| {
        peer.read_head();
        peer.write("HTTP/1.1 200 x\r\n\r\n");
        secure(peer, &config).await_gone();
    });
    let proxy = Proxy::parse(&format!("http://{}", server.addr)).unwrap();
    let connector = patient().tls(authority.trusted()).proxy(proxy);
    let error = connector.connect(&server_example()).unwrap_err();
    let ConnectError::Tls { error, .. } = error else { panic!("{error:?}") };
    assert_eq!(error, TlsError::Certificate(CertificateError::WrongHost));
    server.join();
}

#[test]
fn nothing_that_a_proxy_says_is_taken_for_the_servers() {
    let server = Server::run(|mut peer: Peer| {
        peer.read_head();
        peer.write("HTTP/1.1 200 x\r\n\r\n\x16\x03\x03");
        peer.await_gone();
    });
    let proxy = Proxy::parse(&format!("http://{}", server.addr)).unwrap();
    let connector = patient().tls(Authority::new().trusted()).proxy(proxy);
    let error = connector.connect(&server_example()).unwrap_err();
    assert!(matches!(error, ConnectError::Proxy(ProxyError::EarlyBytes)), "{error:?}");
    server.join();
}

#[test]
fn redirections_lead_into_tls_but_not_out_of_it() {
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let location = |scheme: &str, addr: &dyn std::fmt::Display| {
        format!("HTTP/1.1 307 x\r\nLocation: {scheme}://{addr}/\r\nContent-Length: 0\r\n\r\n")
    };
    let server = Server::run_times(4, move |i, mut peer| {
        let addr = peer.stream.local_addr().unwrap();
        match i {
            0 => {
                peer.read_head();
                peer.write(location("wss", &addr));
            }
            1 | 2 => {
                let mut peer = secure(peer, &config);
                peer.read_head();
                peer.write(location(["https", "ws"][i - 1], &addr));
            }
            _ => _ = secure(peer, &config).accept(),
        }
    });
    let connector = patient().tls(authority.trusted()).follow_redirects();
    let error = connector.connect(&server.request()).unwrap_err();
    assert!(matches!(error, ConnectError::Redirect(RedirectError::Downgrade)), "{error:?}");
    connector.connect(&request("127.0.0.1", server.addr)).unwrap();
    server.join();
}
