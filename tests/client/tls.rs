//! TLS, with servers that speak it by way of rustls.

mod breaking;
mod common;
mod halves;
mod openssl;
mod trust;
mod ways;

use std::io::Write;
use std::sync::{Arc, mpsc};

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};
use wsloop::CloseCode;
use wsloop::client::{Client, Error, Socket, TlsParts};
use wsloop::protocol::Message;

use self::common::{Authority, TlsPeer, request, secure};
use crate::common::{HANG, SOON, Server, patient};

#[test]
fn either_version_carries_messages() {
    for (version, expected) in
        [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)]
    {
        let authority = Authority::new();
        let config = authority.server(["localhost", "127.0.0.1"]).config(&[version]);
        let server = Server::run_times(2, move |i, peer| {
            let mut peer = secure(peer, &config);
            peer.accept();
            // RFC 6066 §3: an address is not a name to ask for.
            assert_eq!(peer.stream.conn.server_name(), [Some("localhost"), None][i]);
            assert_eq!(peer.stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(peer.stream.conn.protocol_version(), Some(expected));
            peer.send("81 05 'Hello'");
            peer.expect("81 05 'World'");
            peer.expect("88 02 03E8");
            peer.send("88 02 03E8");
            peer.close();
            // That the client says so too, and does not just go away.
            peer.expect_end();
        });
        let connector = patient().tls(authority.trusted());
        for host in ["localhost", "127.0.0.1"] {
            let mut client = connector.connect(&request(host, server.addr)).unwrap();
            assert_eq!(client.receive(), Ok(Some(Message::Text("Hello"))));
            client.send("World").unwrap();
            assert_eq!(client.close(CloseCode::NORMAL, "").unwrap().code, 1000);
        }
        server.join();
    }
}

#[test]
fn sessions_are_resumed() {
    for version in [&TLS12, &TLS13] {
        let authority = Authority::new();
        let config = authority.server(["127.0.0.1"]).config(&[version]);
        let server = Server::run_times(2, move |i, peer| {
            let mut peer = secure(peer, &config);
            peer.accept_and_send("88 02 03E8");
            let kinds = [HandshakeKind::Full, HandshakeKind::Resumed];
            assert_eq!(peer.stream.conn.handshake_kind(), Some(kinds[i]));
            peer.close();
        });
        let connector = patient().tls(authority.trusted());
        for _ in 0..2 {
            let mut client = connector.connect(&request("127.0.0.1", server.addr)).unwrap();
            assert_eq!(client.receive(), Ok(None));
        }
        server.join();
    }
}

/// Records may be cut anywhere, as messages may be within them.
#[test]
fn records_arrive_in_any_pieces() {
    for read_buffer_size in [1, 100, 64 * 1024] {
        let authority = Authority::new();
        let mut config = Arc::unwrap_or_clone(authority.server(["127.0.0.1"]).config(&[&TLS13]));
        // The least that rustls allows.
        config.max_fragment_size = Some(32);
        let server = Server::run(move |peer| {
            let mut peer = secure(peer, &Arc::new(config));
            peer.accept();
            peer.drip("81 05 'Hello'  81 26 '12345678901234567890123456789012345678'  82 00");
            peer.send("88 00");
            peer.close();
        });
        let connector = patient().tls(authority.trusted()).read_buffer_size(read_buffer_size);
        let mut client = connector.connect(&request("127.0.0.1", server.addr)).unwrap();
        assert_eq!(client.receive(), Ok(Some(Message::Text("Hello"))));
        let expected = "12345678901234567890123456789012345678";
        assert_eq!(client.receive(), Ok(Some(Message::Text(expected))));
        assert_eq!(client.receive(), Ok(Some(Message::Binary(b""))));
        assert_eq!(client.receive(), Ok(None));
        server.join();
    }
}

/// Whatever fits into a read, and whatever rustls has left over of it.
#[test]
fn long_messages_pass_through_buffers_of_any_size() {
    let message: Vec<u8> = (0..70_000).map(|i: u32| (i % 251) as u8).collect();
    for read_buffer_size in [1, 1000, 5000, 16_406, 20_000, 64 * 1024, 1 << 20] {
        let authority = Authority::new();
        let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
        let sent = [b"\x82\x7F\0\0\0\0\0\x01\x11\x70", &message[..]].concat();
        let server = Server::run(move |peer| {
            let mut peer = secure(peer, &config);
            peer.accept();
            peer.write(&sent);
            assert_eq!(peer.read_frame().2.len(), sent.len() - 10);
        });
        let connector = patient().tls(authority.trusted()).read_buffer_size(read_buffer_size);
        let mut client = connector.connect(&request("127.0.0.1", server.addr)).unwrap();
        let (received, writer) = client.exchange().unwrap().unwrap();
        assert!(received == Message::Binary(&message), "{read_buffer_size}");
        writer.send(received).unwrap();
        server.join();
    }
}

/// RFC 8446 §4.6.3: the answer to a KeyUpdate comes before whatever is sent next.
#[test]
fn keys_are_renewed_on_the_way() {
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let server = Server::run(move |peer| {
        let mut peer = secure(peer, &config);
        peer.accept();
        for _ in 0..100 {
            peer.stream.conn.refresh_traffic_keys().unwrap();
            peer.send("81 01 'x'");
            peer.expect("81 01 'y'");
        }
    });
    let connector = patient().tls(authority.trusted());
    let mut client = connector.connect(&request("127.0.0.1", server.addr)).unwrap();
    for _ in 0..100 {
        assert_eq!(client.receive(), Ok(Some(Message::Text("x"))));
        client.send("y").unwrap();
    }
    server.join();
}

#[test]
fn parts_go_on_where_the_client_was() {
    let (go, gone) = mpsc::channel::<()>();
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let server = Server::run(move |peer| {
        let mut peer = secure(peer, &config);
        peer.accept();
        gone.recv_timeout(HANG).unwrap();
        let (_, _, long) = peer.read_frame();
        assert!(long.len() == 32 << 20 && long.iter().all(|&byte| byte == 7));
        peer.expect("81 01 'd'");
    });
    let connector = patient().tls(authority.trusted()).write_timeout(Some(SOON));
    let mut client = connector.connect(&request("127.0.0.1", server.addr)).unwrap();
    assert_eq!(client.send(&vec![7; 32 << 20]), Err(Error::Timeout));
    go.send(()).unwrap();

    let mut parts = client.into_parts();
    let Socket::Tls(tls) = parts.socket else { panic!("{:?}", parts.socket) };
    let TlsParts { stream, connection, records, .. } = *tls;
    stream.set_write_timeout(None).unwrap();
    (&stream).write_all(&records).unwrap();
    parts.connection.send("d").unwrap();
    let mut stream = rustls::StreamOwned::new(connection, stream);
    stream.write_all(parts.connection.output()).unwrap();
    server.join();
}

/// Nothing that is public keeps a client from going to another thread.
#[test]
fn a_client_can_be_sent_to_a_thread() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Client>();
    is_send::<TlsPeer>();
}
