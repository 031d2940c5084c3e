//! How connections end within TLS, and what timeouts leave.

use std::io::Write;
use std::sync::mpsc;

use rustls::AlertDescription;
use rustls::version::TLS13;
use wsloop::CloseCode;
use wsloop::client::{Client, ConnectError, Connector, Error};
use wsloop::protocol::Message;
use wsloop::tls::TlsError;

use super::common::{Authority, TlsPeer, request, secure};
use crate::common::{HANG, SOON, Server, let_pass, patient};

/// Runs a test with a client of a server that accepts it and then follows a script.
fn with_client(
    connector: &Connector,
    script: impl FnOnce(TlsPeer) + Send + 'static,
    test: impl FnOnce(Client),
) {
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let server = Server::run(move |peer| {
        let mut peer = secure(peer, &config);
        peer.accept();
        script(peer);
    });
    let connector = connector.clone().tls(authority.trusted());
    test(connector.connect(&request("127.0.0.1", server.addr)).unwrap());
    server.join();
}

#[test]
fn the_end_is_believed_if_it_is_announced() {
    let announced = |mut peer: TlsPeer| {
        peer.send("81 01 'x'");
        peer.close();
    };
    with_client(&patient(), announced, |mut client| {
        assert_eq!(client.receive(), Ok(Some(Message::Text("x"))));
        assert_eq!(client.receive(), Err(Error::EndOfStream));
    });
    let cut = |mut peer: TlsPeer| {
        peer.send("81 01 'x'");
        peer.cut();
    };
    with_client(&patient(), cut, |mut client| {
        assert_eq!(client.receive(), Ok(Some(Message::Text("x"))));
        assert_eq!(client.receive(), Err(Error::Tls(TlsError::Truncated)));
        assert_eq!(client.receive(), Err(Error::Tls(TlsError::Truncated)), "for good");
        assert_eq!(client.send("y"), Err(Error::Tls(TlsError::Truncated)));
    });
}

/// After the closing handshake, nothing is left that could have been cut off.
#[test]
fn after_close_the_end_need_not_be_announced() {
    let script = |mut peer: TlsPeer| {
        peer.expect("88 02 03E8");
        peer.send("88 02 03E8");
        peer.cut();
        peer.expect_end();
    };
    with_client(&patient(), script, |mut client| {
        assert_eq!(client.close(CloseCode::NORMAL, "").unwrap().code, 1000);
    });
}

/// Some wait for the client to go first, against RFC 6455 §7.1.1.
#[test]
fn a_server_that_does_not_end_tls_is_told_so_by_the_client() {
    let script = |mut peer: TlsPeer| {
        peer.send("88 02 03E8");
        peer.expect("88 02 03E8");
        peer.expect_end();
    };
    with_client(&patient().close_timeout(SOON), script, |mut client| {
        assert_eq!(client.receive(), Ok(None));
    });
}

/// What came before it is received, and the server gets the alert that says so.
#[test]
fn a_record_that_was_changed_on_the_way_is_the_end() {
    let script = |mut peer: TlsPeer| {
        let mut records = peer.seal("81 01 'x'");
        records.extend(b"\x17\x03\x03\x00\x20abcdefghijklmnopqrstuvwxyz012345");
        peer.stream.sock.write_all(&records).unwrap();
        let error = std::io::Read::read(&mut peer.stream, &mut [0]).unwrap_err();
        let error = error.downcast::<rustls::Error>().unwrap();
        assert_eq!(error, rustls::Error::AlertReceived(AlertDescription::BadRecordMac));
    };
    with_client(&patient(), script, |mut client| {
        assert_eq!(client.receive(), Ok(Some(Message::Text("x"))));
        assert_eq!(client.receive(), Err(Error::Tls(TlsError::Violation)));
    });
}

#[test]
fn a_refusal_is_heard_even_if_it_is_cut_off() {
    let authority = Authority::new();
    let config = authority.server(["127.0.0.1"]).config(&[&TLS13]);
    let server = Server::run(move |peer| {
        let mut peer = secure(peer, &config);
        peer.read_head();
        peer.write("HTTP/1.1 403 Forbidden\r\n\r\nno");
        peer.cut();
    });
    let connector = patient().tls(authority.trusted());
    let error = connector.connect(&request("127.0.0.1", server.addr)).unwrap_err();
    let ConnectError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.status(), 403);
    server.join();
}

#[test]
fn a_read_that_times_out_goes_on_later() {
    let (go, gone) = mpsc::channel::<()>();
    let script = move |mut peer: TlsPeer| {
        gone.recv_timeout(HANG).unwrap();
        peer.drip("81 01 'x'");
    };
    with_client(&patient().read_timeout(Some(SOON)), script, |mut client| {
        assert_eq!(client.receive(), Err(Error::Timeout));
        go.send(()).unwrap();
        client.set_read_timeout(Some(HANG));
        assert_eq!(client.receive(), Ok(Some(Message::Text("x"))));
    });
}

/// A server that sends a byte at a time, never a record, does not stretch the timeout.
#[test]
fn bytes_that_make_no_record_do_not_count() {
    let script = |mut peer: TlsPeer| {
        // The header of a record of 16 KiB, and never all of that.
        peer.stream.sock.write_all(b"\x17\x03\x03\x40\x00").unwrap();
        while peer.stream.sock.write_all(b"x").is_ok() {
            let_pass(SOON / 10);
        }
    };
    with_client(&patient().read_timeout(Some(SOON)), script, |mut client| {
        assert_eq!(client.receive(), Err(Error::Timeout));
    });
}

/// What was sealed and not written is neither lost nor sealed again.
#[test]
fn a_write_that_times_out_goes_on_later() {
    const LEN: usize = 32 << 20;
    let (go, gone) = mpsc::channel::<()>();
    let script = move |mut peer: TlsPeer| {
        gone.recv_timeout(HANG).unwrap();
        let (first_byte, _, payload) = peer.read_frame();
        assert!(first_byte == 0x82 && payload.len() == LEN);
        assert!(payload.iter().enumerate().all(|(i, &byte)| byte == (i % 251) as u8));
        peer.expect("81 03 'end'  88 02 03E8");
        peer.send("88 02 03E8");
        peer.close();
    };
    with_client(&patient().write_timeout(Some(SOON)), script, |mut client| {
        let message: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
        assert_eq!(client.send(&message), Err(Error::Timeout));
        assert_eq!(client.send("x"), Err(Error::Unsent));
        assert_eq!(client.flush(), Err(Error::Timeout));
        go.send(()).unwrap();
        client.set_write_timeout(Some(HANG));
        client.flush().unwrap();
        client.send("end").unwrap();
        assert_eq!(client.close(CloseCode::NORMAL, "").unwrap().code, 1000);
    });
}
