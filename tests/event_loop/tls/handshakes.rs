//! How a connection within TLS begins, or does not.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use wsloop::tls::rustls::{self, HandshakeKind};
use wsloop::{Config, TlsServer};

use super::peer::{TlsSocket, connection, flight};
use super::{Authority, TlsEcho, VERSIONS, listen};
use crate::common::{Client, REQUEST, Script, Server, frame};

#[test]
fn messages_of_any_size_come_back_in_each_version() {
    for version in VERSIONS {
        let echo = TlsEcho::new();
        let mut client = echo.connect_with(echo.authority.clients_of(&[version], None));
        client.shake_hands();
        echo.server.told.expect("open");
        for len in [0, 1, 125, 126, 16_384, 16_385, 65_536, 1 << 20] {
            let payload = vec![b'x'; len];
            client.write(masked_frame(&payload));
            client.expect_bytes(&frame(0x82, &payload));
        }
        client.close();
        echo.server.told.wait_for("close 1000 clean Remote");
        echo.server.stop();
    }
}

fn masked_frame(payload: &[u8]) -> Vec<u8> {
    crate::common::masked(&frame(0x82, payload))
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    for version in VERSIONS {
        let echo = TlsEcho::new();
        let config = Arc::new(echo.authority.clients_of(&[version], None));
        let mut session = connection("localhost", config);
        let mut client = Client::connect(echo.addr());
        while session.is_handshaking() || session.wants_write() {
            for byte in flight(&mut session).chunks(1) {
                client.write(byte);
            }
            if session.is_handshaking() {
                session.read_tls(client.socket()).unwrap();
                session.process_new_packets().unwrap();
            }
        }
        session.writer().write_all(REQUEST.as_bytes()).unwrap();
        client.write(flight(&mut session));
        echo.server.told.expect("open");
        drop(client);
        assert!(echo.server.told.next().starts_with("close 1006 unclean"));
        echo.server.stop();
    }
}

#[test]
fn of_application_protocols_http_1_1_is_spoken() {
    let echo = TlsEcho::new();
    let mut config = echo.authority.clients();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = echo.connect_with(config);
    assert_eq!(client.socket().session().alpn_protocol(), Some(&b"http/1.1"[..]));
    client.shake_hands();
    echo.server.told.expect("open");
    client.close();
    echo.server.told.expect("close 1000 clean Remote");

    let mut config = echo.authority.clients();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let error = TlsSocket::connect(echo.addr(), "localhost", Arc::new(config)).err().unwrap();
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
    assert_eq!(error.downcast::<rustls::Error>().unwrap(), alert);
    echo.server.stop();
}

#[test]
fn sessions_are_resumed() {
    for version in VERSIONS {
        let echo = TlsEcho::new();
        let config = echo.authority.clients_of(&[version], None);
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = echo.connect_with(config.clone());
            assert_eq!(client.socket().session().handshake_kind(), Some(expected));
            client.shake_hands();
            echo.server.told.expect("open");
            client.close();
            echo.server.told.expect("close 1000 clean Remote");
        }
        echo.server.stop();
    }
}

#[test]
fn garbage_is_answered_with_an_alert_and_is_of_no_consequence() {
    let echo = TlsEcho::new();
    for garbage in [
        &b"\x00\x01\x02\x03\x04\x05"[..],
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        &[0xFF; 100_000],
    ] {
        let mut client = Client::connect(echo.addr());
        let _ = client.try_write(garbage);
        client.end();
        let answer = client.read_to_end();
        assert_eq!(answer[0], 21, "an alert, RFC 8446 §5.1: {answer:?}");
    }
    let client = echo.open();
    client.close();
    echo.server.told.expect("close 1000 clean Remote");
    assert_eq!(stats(&echo.server).refused.tls, 3);
    echo.server.stop();
}

/// What the loop has counted.
fn stats(server: &Server) -> wsloop::Stats {
    let (sender, receiver) = std::sync::mpsc::channel();
    server.remote.run(move |peers| sender.send(peers.stats()).unwrap()).unwrap();
    receiver.recv_timeout(crate::common::HANG).unwrap()
}

#[test]
fn a_request_in_plain_text_is_answered_in_plain_text() {
    let echo = TlsEcho::new();
    for len in [1, REQUEST.len()] {
        let mut client = Client::connect(echo.addr());
        // Five bytes are the header of a record: then it is known that this is none.
        for part in REQUEST.as_bytes()[..5].chunks(len) {
            client.write(part);
        }
        let _ = client.try_write(&REQUEST[5..]);
        let response = client.expect_response(400);
        assert!(response.ends_with("is it wss or https?\n"), "{response}");
    }
    echo.server.stop();
}

#[test]
fn tls_where_plain_text_is_spoken_is_answered_in_plain_text() {
    let server = Server::echo();
    let config = Arc::new(Authority::new().clients());
    let mut client = Client::connect(server.addr);
    client.write(flight(&mut connection("localhost", config)));
    let response = client.expect_response(400);
    assert!(response.ends_with("is this the right port?\n"), "{response}");
    server.stop();
}

#[test]
fn a_handshake_that_stops_anywhere_is_given_up() {
    for version in VERSIONS {
        let config = Config::new().handshake_timeout(Duration::from_millis(30));
        let echo = TlsEcho::start(config, Script::echo());
        let clients = Arc::new(echo.authority.clients_of(&[version], None));
        let hello = flight(&mut connection("localhost", Arc::clone(&clients)));

        Client::connect(echo.addr()).expect_gone();
        for len in [1, 5, hello.len() / 2, hello.len() - 1] {
            let mut client = Client::connect(echo.addr());
            client.write(&hello[..len]);
            client.expect_gone();
        }
        // It has had its answer, and says no more.
        let mut client = Client::connect(echo.addr());
        client.write(&hello);
        assert_eq!(client.read(1), [22], "a handshake, RFC 8446 §5.1");
        client.read_until_gone();
        // TLS is done, but not HTTP.
        let mut client = TlsSocket::connect(echo.addr(), "localhost", clients).unwrap();
        client.write_all(&REQUEST.as_bytes()[..20]).unwrap();
        let response = Client::over(client).expect_response(408);
        assert!(response.contains("in time"), "{response}");
        let refused = stats(&echo.server).refused;
        assert_eq!((refused.silent, refused.tls, refused.timed_out), (1, 5, 1));
        echo.server.stop();
    }
}

impl Client {
    fn read_until_gone(&mut self) {
        use std::io::Read;
        let _ = self.socket().read_to_end(&mut Vec::new());
    }
}

#[test]
fn a_configuration_of_ones_own_is_used_as_it_is() {
    let authority = Authority::new();
    let pair = authority.pair("localhost");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_protocol_versions(&[&rustls::version::TLS13])
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![pair.der()], pair.private_key())
    .unwrap();
    let server = listen(Config::new(), Script::echo(), TlsServer::from(Arc::new(config)));
    let mut client = super::connect(server.addr, "localhost", authority.clients());
    client.shake_hands();
    server.told.expect("open");
    client.close();
    server.told.expect("close 1000 clean Remote");

    let older = Arc::new(authority.clients_of(&[&rustls::version::TLS12], None));
    assert!(TlsSocket::connect(server.addr, "localhost", older).is_err());
    server.stop();
}
