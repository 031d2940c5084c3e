//! How a connection within TLS ends, and what that says.

use std::io::{Read, Write};

use super::TlsEcho;
use crate::common::{Client, REQUEST};

#[test]
fn the_end_that_the_other_side_announces_is_an_end() {
    let echo = TlsEcho::new();
    let mut client = echo.open();
    client.send("81 02 'hi'");
    client.say_goodbye();
    client.expect("81 02 'hi'");
    // Ours is announced as well: without, this would be an error.
    client.expect_end();
    echo.server.told.expect("text hi");
    echo.server.told.expect("close 1006 unclean EndOfStream");
    echo.server.stop();
}

/// RFC 8446 §6.1: without `close_notify`, what was sent may have been cut off by anybody.
#[test]
fn a_stream_that_is_cut_is_no_end() {
    let echo = TlsEcho::new();
    let client = echo.open();
    client.end();
    echo.server.told.expect("close 1006 unclean Lost(UnexpectedEof)");
    echo.server.stop();
}

#[test]
fn after_the_closing_handshake_nobody_minds_how_tcp_ends() {
    let echo = TlsEcho::new();
    let mut client = echo.open();
    client.send("88 02 03E8");
    client.end();
    client.expect("88 02 03E8");
    echo.server.told.expect("close 1000 clean Remote");
    echo.server.stop();
}

#[test]
fn what_was_tampered_with_ends_the_connection() {
    let echo = TlsEcho::new();
    let mut client = echo.open();
    // A record of application data that nobody has encrypted.
    client
        .socket()
        .tcp()
        .write_all(b"\x17\x03\x03\x00\x20abcdefghijklmnopqrstuvwxyz012345")
        .unwrap();
    let error = client.socket().read(&mut [0]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    echo.server.told.expect("close 1006 unclean Lost(InvalidData)");
    echo.server.stop();
}

#[test]
fn a_request_that_is_cut_is_none() {
    let echo = TlsEcho::new();
    let mut client = echo.connect();
    client.write(&REQUEST[..30]);
    client.end();
    client.expect_end_of_tcp();
    let mut client = echo.connect();
    client.write(&REQUEST[..30]);
    client.say_goodbye();
    client.expect_response(400);
    echo.server.stop();
}

impl Client<super::TlsSocket> {
    fn expect_end_of_tcp(&mut self) {
        let mut rest = Vec::new();
        let _ = self.socket().tcp().read_to_end(&mut rest);
    }
}

#[test]
fn a_shutdown_is_announced() {
    let echo = TlsEcho::new();
    let mut client = echo.open();
    echo.server.remote.shutdown(crate::common::NEVER);
    client.expect("88 02 03E9");
    client.send("88 02 03E9");
    client.expect_end();
    echo.server.told.expect("close 1001 clean Shutdown");
    echo.server.stop();
}
