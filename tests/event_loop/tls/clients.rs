//! Servers within TLS that a loop has connected to.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use rcgen::CertificateParams;
use wsloop::handshake::{ClientRequest, Proxy, WsUrl};
use wsloop::tls::rustls;
use wsloop::tls::{CertificateError, TlsError, client_config};
use wsloop::{Config, Connect, ConnectError, ConnectStep, EventLoop, TlsIdentity};

use super::authority::Authority;
use super::{TlsEcho, listen};
use crate::common::{NEVER, Script, ScriptedServer, Server, turn_until};

fn wss(authority: &Authority, host: &str, port: u16) -> Connect {
    let url = WsUrl::parse(&format!("wss://{host}:{port}/chat")).unwrap();
    Connect::new(ClientRequest::new(url)).tls(client_config(authority.roots()))
}

/// Connects, says something, and closes when that has come back.
#[track_caller]
fn talk(connect: Connect, server: &Server) {
    let mut event_loop = EventLoop::new().unwrap();
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| {
        peer.send("x".repeat(100_000).as_str());
    });
    script.on_message = Box::new(|peer, message| {
        assert_eq!(message.len(), 100_000);
        peer.close(wsloop::CloseCode::NORMAL, "");
    });
    event_loop.connect_with(connect).unwrap();
    turn_until(&mut event_loop, &mut script, |event_loop, _| {
        let stats = event_loop.peers().stats();
        stats.connections.failed == 1 || stats.closed.total() == 1 && stats.connections.ending == 0
    });
    told.expect("open");
    told.next();
    told.expect("close 1000 clean Local");
    server.told.expect("open");
    server.told.next();
    server.told.expect("close 1000 clean Remote");
}

#[test]
fn a_client_within_tls_is_a_peer_like_others() {
    let echo = TlsEcho::new();
    talk(wss(&echo.authority, "localhost", echo.addr().port()), &echo.server);
    echo.server.stop();
}

/// RFC 6455 §4.1 wants the server's name to be sent (SNI). Whoever is not asked for by name
/// shows the first certificate, which is for somebody else.
#[test]
fn the_name_of_the_server_is_said_within_tls() {
    let authority = Authority::new();
    let identity = authority.identity("other.example").or(authority.identity("localhost"));
    let server = listen(Config::new(), Script::echo(), identity);
    talk(wss(&authority, "localhost", server.addr.port()), &server);
    server.stop();
}

#[test]
fn a_proxy_leads_to_a_server_within_tls() {
    let authority = Authority::new();
    let server = listen(Config::new(), Script::echo(), authority.identity("server.example"));
    let addr = server.addr;
    let proxy = ScriptedServer::once(move |client| {
        let head = client.read_head();
        assert!(head.starts_with("CONNECT server.example:443 HTTP/1.1\r\n"), "{head}");
        client.write("HTTP/1.1 200 OK\r\n\r\n");
        relay(client.socket(), &TcpStream::connect(addr).unwrap());
    });
    let via = Proxy::parse(&format!("http://{}", proxy.addr)).unwrap();
    talk(wss(&authority, "server.example", 443).proxy(via), &server);
    proxy.join();
    server.stop();
}

/// Passes on what either says, until both have ended.
fn relay(client: &TcpStream, server: &TcpStream) {
    let pass = |mut from: &TcpStream, mut to: &TcpStream| {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| pass(server, client));
        pass(client, server);
    });
}

/// Connects, and returns why that does not work.
#[track_caller]
fn error(connect: Connect, config: Config) -> ConnectError {
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let (mut script, _told) = Script::echo();
    let error = Arc::new(Mutex::new(None));
    let place = Arc::clone(&error);
    script.on_connect_error = Box::new(move |_, _, error| *place.lock().unwrap() = Some(error));
    event_loop.connect_with(connect).unwrap();
    turn_until(&mut event_loop, &mut script, |_, _| error.lock().unwrap().is_some());
    error.lock().unwrap().take().unwrap()
}

/// Connects to `localhost`, where a server shows this, and checks why it is not trusted.
#[track_caller]
fn check(identity: TlsIdentity, authority: &Authority, expected: CertificateError) {
    let server = listen(Config::new(), Script::echo(), identity);
    let error = error(wss(authority, "localhost", server.addr.port()), Config::new());
    let ConnectError::Tls { error, .. } = error else { panic!("{error}") };
    assert_eq!(error, TlsError::Certificate(expected));
    server.stop();
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let authority = Authority::new();
    check(authority.identity("other.example"), &authority, CertificateError::WrongHost);
    check(Authority::new().identity("localhost"), &authority, CertificateError::UnknownIssuer);
    let mut old = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (old.not_before, old.not_after) =
        (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1));
    check(authority.sign(old).identity(), &authority, CertificateError::Expired);
}

/// RFC 7301 §3.2: a server chooses from what it is offered. What an application offers is its own
/// affair, what is spoken is not.
#[test]
fn a_server_that_chooses_another_protocol_is_not_asked() {
    let authority = Authority::new();
    let pair = authority.pair("localhost");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![pair.der()], pair.private_key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let server = listen(Config::new(), Script::echo(), Arc::new(config));
    let mut config = authority.clients();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connect = wss(&authority, "localhost", server.addr.port()).tls(Arc::new(config));
    let error = error(connect, Config::new());
    let ConnectError::Tls { error, .. } = error else { panic!("{error}") };
    assert_eq!(error, TlsError::ApplicationProtocol);
    server.stop();
}

#[test]
fn a_server_that_speaks_no_tls_says_so() {
    let server = Server::echo();
    let connect = wss(&Authority::new(), "localhost", server.addr.port());
    let error = error(connect, Config::new());
    assert!(matches!(error, ConnectError::Tls { error: TlsError::NotTls, .. }), "{error:?}");
    server.stop();
}

#[test]
fn a_server_that_says_nothing_is_waited_for_only_so_long() {
    let server = ScriptedServer::once(|client| {
        client.read(1);
        client.read_to_end();
    });
    let connect = wss(&Authority::new(), "127.0.0.1", server.addr.port());
    let config = Config::new().handshake_timeout(std::time::Duration::from_millis(30));
    let error = error(connect, config.idle_timeout(Some(NEVER)));
    assert!(matches!(error, ConnectError::TimedOut(ConnectStep::Tls)), "{error:?}");
    server.join();
}
