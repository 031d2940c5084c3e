//! The closing handshake, whoever begins it, and whoever does not finish it.

use std::io::{ErrorKind, Read};
use std::sync::mpsc;
use std::time::Duration;

use wsloop::CloseCode;
use wsloop::client::Error;
use wsloop::protocol::{Message, SendError};

use crate::common::{HANG, SOON, Server, let_pass, patient};

#[test]
fn the_server_closes_first() {
    for (close, answer, code, reason) in [
        ("88 05 03E9 'bye'", "88 02 03E9", 1001, "bye"),
        ("88 02 0FA0", "88 02 0FA0", 4000, ""),
        ("88 00", "88 00", 1005, ""),
    ] {
        let server = Server::run(move |mut peer| {
            peer.accept_and_send(&format!("81 01 'a'  {close}"));
            // The server is the one that ends the TCP connection (§7.1.1).
            peer.expect(answer);
            peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
            peer.expect_end();
        });
        let mut client = server.connect();
        assert_eq!(client.receive(), Ok(Some(Message::Text("a"))));
        assert_eq!(client.closed(), None);
        assert_eq!(client.receive(), Ok(None));
        let closed = client.closed().unwrap().clone();
        assert_eq!((closed.code, &*closed.reason), (code, reason));
        assert_eq!(client.receive(), Ok(None), "for good");
        assert_eq!(client.send("x"), Err(Error::Send(SendError::Closing)));
        assert_eq!(client.close(CloseCode::NORMAL, ""), Ok(closed));
        server.join();
    }
}

/// RFC 6455 §7.1.1: the server is the one to end the TCP connection.
#[test]
fn the_server_is_left_to_end_the_connection() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("88 02 03E8");
        peer.expect("88 02 03E8");
        peer.stream.set_read_timeout(Some(SOON)).unwrap();
        let waiting = peer.try_read_frame().unwrap_err();
        assert!(matches!(waiting.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{waiting}");
        // What it still sends is no reason for a reset.
        peer.write([b'x'; 100_000]);
        peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        peer.stream.set_read_timeout(Some(HANG)).unwrap();
        peer.expect_end();
    });
    assert_eq!(server.connect().receive(), Ok(None));
    server.join();
}

#[test]
fn the_client_closes_first() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("88 05 03E8 'bye'");
        // What was under way is discarded, and Pings are answered.
        peer.send("81 01 'a'  89 01 'b'");
        peer.expect("8A 01 'b'");
        peer.send("88 02 03E8");
    });
    let mut client = server.connect();
    let closed = client.close(CloseCode::NORMAL, "bye").unwrap();
    assert_eq!((closed.code, &*closed.reason), (1000, ""));
    assert_eq!(closed.to_string(), "closed with status code 1000");
    assert_eq!(client.closed(), Some(&closed));
    assert_eq!(client.receive(), Ok(None));
    server.join();
}

#[test]
fn both_close_at_once() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("88 03 03E9 'x'");
        peer.expect("88 02 03E8");
        peer.expect_end();
    });
    let mut client = server.connect_by(&patient().close_timeout(10 * SOON));
    // The server waits for the client to end TCP, which it need not; the client does, in time.
    let closed = client.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!((closed.code, &*closed.reason), (1001, "x"));
    server.join();
}

#[test]
fn a_server_that_does_not_answer_close_is_not_waited_for_long() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("81 01 'a'");
        peer.expect("88 02 03E8");
        peer.expect_end();
    });
    let mut client = server.connect_by(&patient().close_timeout(SOON));
    assert_eq!(client.close(CloseCode::NORMAL, ""), Err(Error::CloseTimeout));
    assert_eq!(client.receive(), Err(Error::CloseTimeout));
    assert_eq!(client.close(CloseCode::NORMAL, ""), Err(Error::CloseTimeout));
    server.join();
}

/// A server that never stops sending, and never reads.
#[test]
fn a_flood_does_not_stretch_the_closing_handshake() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.write_endlessly(b"\x89\x01x\x81\x01y");
    });
    let mut client = server.connect_by(&patient().close_timeout(10 * SOON));
    assert_eq!(client.close(CloseCode::NORMAL, ""), Err(Error::CloseTimeout));
    drop(client);
    server.join();
}

/// Nor one that takes what was sent before, steadily and slowly.
#[test]
fn what_is_left_over_does_not_stretch_the_closing_handshake() {
    const TOO_MUCH: usize = 64 << 20;
    let (read, reading) = mpsc::channel();
    let server = Server::run(move |mut peer| {
        peer.accept();
        reading.recv_timeout(HANG).unwrap();
        // To read all of it would take seconds.
        let (mut buffer, mut total) = (vec![0; 32 << 10], 0);
        while let Ok(len @ 1..) = peer.stream.read(&mut buffer) {
            total += len;
            let_pass(Duration::from_millis(1));
        }
        assert!(total < TOO_MUCH, "all was sent before the client gave up");
    });
    let connector = patient().write_timeout(Some(SOON)).close_timeout(2 * SOON);
    let mut client = server.connect_by(&connector);
    assert_eq!(client.send(&vec![0; TOO_MUCH]), Err(Error::Timeout));
    read.send(()).unwrap();
    assert_eq!(client.close(CloseCode::NORMAL, ""), Err(Error::CloseTimeout));
    server.join();
}

/// Nor does one that stays connected, or goes on sending, when both have said Close.
#[test]
fn a_server_that_does_not_end_the_connection_is_not_waited_for_long() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("88 00");
        peer.expect("88 00");
        peer.await_gone();
    });
    let mut client = server.connect_by(&patient().close_timeout(SOON));
    assert_eq!(client.receive(), Ok(None));
    drop(client);
    server.join();
    let server = Server::run(|mut peer| {
        peer.accept_and_send("88 00");
        peer.write_endlessly(&[b'x'; 4096]);
    });
    let mut client = server.connect_by(&patient().close_timeout(HANG));
    assert_eq!(client.receive(), Ok(None));
    drop(client);
    server.join();
}

/// The read timeout is for messages: the answer to Close goes out even if it is as good as over.
#[test]
fn a_short_read_timeout_does_not_spoil_the_closing_handshake() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("81 00");
        peer.send("88 02 03E8");
        peer.expect("88 02 03E8");
    });
    let mut client = server.connect();
    client.send("").unwrap();
    client.set_read_timeout(Some(Duration::ZERO));
    while client.receive() == Err(Error::Timeout) {}
    assert_eq!(client.receive(), Ok(None));
    server.join();
}

#[test]
fn whoever_drops_a_client_says_no_close() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect_end();
    });
    drop(server.connect());
    server.join();
}

#[test]
fn a_status_code_is_one_that_may_be_sent() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("88 02 03F2");
        peer.send("88 02 03F2");
    });
    // 1010 is for clients.
    assert_eq!(server.connect().close(CloseCode::MANDATORY_EXTENSION, "").unwrap().code, 1010);
    server.join();
}
