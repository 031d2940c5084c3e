//! What is sent, and what becomes of it when nobody takes it.

use std::sync::mpsc;

use wsloop::MessageType;
use wsloop::client::Error;
use wsloop::protocol::{Message, Piece, SendError};

use crate::common::{HANG, SOON, Server, patient};

#[test]
fn messages_pieces_and_pings() {
    let server = Server::run(|mut peer| {
        peer.accept();
        peer.expect("81 05 'Hello'  82 01 FF  01 03 'Hel'  89 01 '?'  80 02 'lo'  81 00");
    });
    let mut client = server.connect();
    client.send("Hello").unwrap();
    client.send(b"\xFF").unwrap();
    let piece = |text, first, last| Piece { message: Message::Text(text), first, last };
    client.send_piece(piece("Hel", true, false)).unwrap();
    assert_eq!(client.send("x"), Err(Error::Send(SendError::UnfinishedMessage)));
    client.ping(b"?").unwrap();
    client.send_piece(piece("lo", false, true)).unwrap();
    assert_eq!(client.ping(&[0; 126]), Err(Error::Send(SendError::ControlFrameTooLong)));
    client.send("").unwrap();
    server.join();
}

/// More than fits between a client and a server that does not read.
const TOO_MUCH: usize = 64 << 20;

#[test]
fn what_nobody_takes_is_finished_later_and_nothing_is_queued_behind_it() {
    let (read, reading) = mpsc::channel();
    let server = Server::run(move |mut peer| {
        peer.accept();
        reading.recv_timeout(HANG).unwrap();
        let (first_byte, _, payload) = peer.read_frame();
        assert_eq!((first_byte, payload.len()), (0x82, TOO_MUCH));
        assert!(payload.iter().all(|&byte| byte == 7));
        peer.expect("81 03 'end'");
    });
    let mut client = server.connect_by(&patient().write_timeout(Some(SOON)));
    assert_eq!(client.send(&vec![7; TOO_MUCH]), Err(Error::Timeout));
    assert_eq!(client.send("lost"), Err(Error::Unsent));
    assert_eq!(client.flush(), Err(Error::Timeout));
    read.send(()).unwrap();
    client.set_write_timeout(Some(HANG));
    client.flush().unwrap();
    client.send("end").unwrap();
    server.join();
}

/// A call that receives writes what is left over, and does not wait for it.
#[test]
fn what_is_left_over_goes_out_while_receiving() {
    let server = Server::run(|mut peer| {
        peer.accept();
        // The server does not read before it has been read from, and the Ping is answered behind
        // what it has not read.
        for _ in 0..1000 {
            peer.write([&b"\x82\x7E\xFF\xFF"[..], &[0; 0xFFFF]].concat());
        }
        peer.send("89 01 '?'");
        let (first_byte, _, payload) = peer.read_frame();
        assert_eq!((first_byte, payload.len()), (0x82, TOO_MUCH));
        peer.expect("8A 01 '?'");
        peer.send("81 00");
    });
    let mut client = server.connect_by(&patient().write_timeout(Some(SOON)));
    assert_eq!(client.send(&vec![0; TOO_MUCH]), Err(Error::Timeout));
    for _ in 0..1000 {
        let message = client.receive().unwrap().unwrap();
        assert_eq!((message.message_type(), message.len()), (MessageType::Binary, 0xFFFF));
    }
    assert_eq!(client.receive(), Ok(Some(Message::Text(""))));
    server.join();
}

/// What a broken connection has to say is still read.
#[test]
fn a_close_is_received_although_sending_fails() {
    let server = Server::run(|mut peer| {
        peer.accept_and_send("88 05 03F0 'bad'");
        peer.expect("81 01 'x'");
    });
    let mut client = server.connect();
    client.send("x").unwrap();
    server.join();
    // Everything but the Close has gone, and writing says so sooner or later.
    while client.send("x").is_ok() {}
    let end = client.receive().map(|message| message.is_some());
    match end {
        Ok(is_message) => {
            assert!(!is_message);
            assert_eq!(client.closed().unwrap().code, 1008);
        }
        // A reset may have taken the Close along.
        Err(error) => assert!(matches!(error, Error::Lost(_)), "{error:?}"),
    }
}
