//! What arrives, in which pieces, and when not.

use std::time::Duration;

use wsloop::client::{Error, Socket};
use wsloop::protocol::{Event, Message, Violation};

use crate::common::{HANG, SOON, Server, let_pass, patient, wire};

#[test]
fn messages_are_received_whole_however_they_are_cut() {
    let frames = wire("01 03 'Hel'  89 02 'hi'  80 02 'lo'  82 01 FF  01 01 E2  80 02 82AC");
    for cut in 0..=frames.len() {
        let frames = frames.clone();
        let server = Server::run(move |mut peer| {
            peer.accept();
            peer.write(&frames[..cut]);
            peer.write(&frames[cut..]);
            peer.expect("8A 02 'hi'");
        });
        let mut client = server.connect();
        assert_eq!(client.receive(), Ok(Some(Message::Text("Hello"))), "cut at {cut}");
        assert_eq!(client.receive(), Ok(Some(Message::Binary(b"\xFF"))), "cut at {cut}");
        assert_eq!(client.receive(), Ok(Some(Message::Text("€"))), "cut at {cut}");
        server.join();
    }
}

#[test]
fn messages_are_received_byte_by_byte() {
    let server = Server::run(|mut peer| {
        peer.accept();
        for byte in wire("01 03 'Hel'  89 00  80 02 'lo'") {
            peer.write([byte]);
        }
        peer.expect("8A 00");
    });
    let mut client = server.connect();
    assert_eq!(client.receive(), Ok(Some(Message::Text("Hello"))));
    server.join();
}

#[test]
fn pings_and_pongs_are_seen_by_those_who_ask() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("89 02 '?!'");
        peer.send("8A 02 '?!'  89 01 'a'  81 00  89 7D");
        peer.write([b'x'; 100]);
        peer.expect("8A 01 'a'");
        peer.write([b'x'; 25]);
        let (first_byte, _, payload) = peer.read_frame();
        assert_eq!((first_byte, &payload[..]), (0x8A, &[b'x'; 125][..]));
        peer.send("88 00");
        peer.expect("88 00");
    });
    let mut client = server.connect();
    client.ping(b"?!").unwrap();
    assert_eq!(client.receive_event(), Ok(Some(Event::Pong(b"?!"))));
    assert_eq!(client.receive_event(), Ok(Some(Event::Ping(b"a"))));
    assert_eq!(client.receive_event(), Ok(Some(Event::Message(Message::Text("")))));
    assert_eq!(client.receive_event(), Ok(Some(Event::Ping(&[b'x'; 125]))));
    assert_eq!(client.receive_event(), Ok(None));
    server.join();
}

/// A Ping is answered although the application does not call again.
#[test]
fn pongs_do_not_wait_for_the_next_call() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("89 01 'a'  81 01 'b'  89 01 'c'  81 01 'd'");
        peer.expect("8A 01 'a'");
        peer.await_gone();
    });
    let mut client = server.connect();
    assert_eq!(client.receive(), Ok(Some(Message::Text("b"))));
    drop(client);
    server.join();
}

#[test]
fn a_timeout_leaves_the_client_as_it_was() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("01 02 'ab'  00 04 'c'");
        peer.expect("81 01 '1'");
        peer.send("'de'");
        peer.expect("81 01 '2'");
        peer.send("'f'  80 00");
        peer.await_gone();
    });
    let mut client = server.connect_by(&patient().read_timeout(Some(SOON)));
    assert_eq!(client.receive(), Err(Error::Timeout));
    client.send("1").unwrap();
    assert_eq!(client.receive(), Err(Error::Timeout));
    client.send("2").unwrap();
    client.set_read_timeout(Some(HANG));
    assert_eq!(client.receive(), Ok(Some(Message::Text("abcdef"))));
    drop(client);
    server.join();
}

/// The timeout is for the message, not for each byte of it.
#[test]
fn a_slow_message_does_not_stretch_the_time() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("82 7E FFFF");
        while std::io::Write::write(&mut peer.stream, b"x").is_ok() {
            let_pass(Duration::from_micros(100));
        }
    });
    let mut client = server.connect_by(&patient().read_timeout(Some(10 * SOON)));
    assert_eq!(client.receive(), Err(Error::Timeout));
    drop(client);
    server.join();
}

#[test]
fn a_wait_of_no_time_takes_what_is_there() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("81 01 'a'");
        peer.await_gone();
    });
    let mut client = server.connect();
    client.set_read_timeout(Some(Duration::ZERO));
    assert_eq!(client.receive(), Ok(Some(Message::Text("a"))));
    assert_eq!(client.receive(), Err(Error::Timeout));
    drop(client);
    server.join();
}

/// What the server does wrong, and the Close that tells it so.
#[track_caller]
fn check_violation(received: &'static str, violation: Violation, close: &'static str) {
    let server = Server::run(move |mut peer| {
        peer.accept_and_send(received);
        peer.expect(close);
    });
    let mut client = server.connect_by(&patient().max_message_size(3));
    assert_eq!(client.receive(), Ok(Some(Message::Text("a"))));
    assert_eq!(client.receive(), Err(Error::Violation(violation)));
    assert_eq!(client.receive(), Err(Error::Violation(violation)), "for good");
    assert_eq!(client.send("x"), Err(Error::Violation(violation)));
    assert_eq!(client.closed(), None);
    server.join();
}

#[test]
fn whoever_breaks_the_protocol_is_told_so() {
    check_violation("81 01 'a'  83 00", Violation::ReservedOpcode, "88 02 03EA");
    check_violation("81 01 'a'  81 80 00000000", Violation::MaskedFrame, "88 02 03EA");
    check_violation("81 01 'a'  81 01 FF", Violation::InvalidUtf8, "88 02 03EF");
    check_violation("81 01 'a'  81 04", Violation::MessageTooBig, "88 02 03F1");
    // A length of 2^63-1 costs nothing.
    check_violation("81 01 'a'  82 7F 7FFFFFFFFFFFFFFF", Violation::MessageTooBig, "88 02 03F1");
}

#[test]
fn a_stream_that_ends_without_a_close_is_an_error() {
    let server = Server::run(|mut peer| _ = peer.accept_and_send("81 01 'a'  81"));
    let mut client = server.connect();
    assert_eq!(client.receive(), Ok(Some(Message::Text("a"))));
    assert_eq!(client.receive(), Err(Error::EndOfStream));
    assert_eq!(client.receive(), Err(Error::EndOfStream), "for good");
    assert_eq!(client.send("x"), Err(Error::EndOfStream));
    assert_eq!(client.close(wsloop::CloseCode::NORMAL, ""), Err(Error::EndOfStream));
    server.join();
}

#[test]
fn what_has_been_read_is_handed_over_with_the_socket() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("81 01 'a'  01 01 'b'  80 01 'c'");
        peer.expect("81 01 'd'");
    });
    let mut client = server.connect();
    assert_eq!(client.receive(), Ok(Some(Message::Text("a"))));
    let mut parts = client.into_parts();
    let Socket::Tcp(mut stream) = parts.socket else { panic!("{:?}", parts.socket) };
    // Here, the rest of what came with the answer had been read with it, or comes yet.
    let mut received = parts.received;
    while received.len() < 6 {
        let mut byte = [0];
        std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
        received.extend(byte);
    }
    let event = parts.connection.receive(&mut &mut received[..]);
    assert_eq!(event, Ok(Some(Event::Message(Message::Text("bc")))));
    parts.connection.send("d").unwrap();
    std::io::Write::write_all(&mut stream, parts.connection.output()).unwrap();
    server.join();
}
