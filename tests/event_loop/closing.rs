//! How connections end: by the closing handshake, for want of it, or broken off.

use wsloop::{CloseCode, Config, EventLoop, SendStatus};

use super::common::{
    Client, NEVER, REQUEST, Script, Server, Told, frame, masked, turn_until, wire,
};

const MEGABYTE: usize = 1 << 20;

#[test]
fn a_close_is_answered_with_its_status_code() {
    check("88 02 03E8", "88 02 03E8", "close 1000 clean Remote");
    check("88 05 03E9 'bye'", "88 02 03E9", "close 1001 clean Remote bye");
    check("88 02 0FA0", "88 02 0FA0", "close 4000 clean Remote");
    check("88 00", "88 00", "close 1005 clean Remote");
}

#[test]
fn a_violation_is_answered_with_its_status_code() {
    check("83 00", "88 02 03EA", "close 1006 unclean Violation(ReservedOpcode)");
    check("C1 00", "88 02 03EA", "close 1006 unclean Violation(ReservedBits)");
    check("80 00", "88 02 03EA", "close 1006 unclean Violation(UnexpectedContinuation)");
    check("88 01 03", "88 02 03EA", "close 1006 unclean Violation(TruncatedCloseCode)");
    check("88 02 03ED", "88 02 03EA", "close 1006 unclean Violation(InvalidCloseCode)");
    check("88 03 03E8 FF", "88 02 03EF", "close 1006 unclean Violation(InvalidCloseReason)");
    check("81 01 FF", "88 02 03EF", "close 1006 unclean Violation(InvalidUtf8)");
    // Fails before the message is complete, of which it announces more than is welcome.
    check("82 7F 0000000001000001", "88 02 03F1", "close 1006 unclean Violation(MessageTooBig)");
}

/// Checks how `sent` ends the connection, whatever follows it: nothing, frames, or a megabyte of anything.
#[track_caller]
fn check(sent: &str, answered: &str, told: &str) {
    let ignored = wire("81 05 'Hello'  89 00  88 02 03E8  83 00");
    let server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    for behind in
        [Vec::new(), masked(&ignored), masked(&frame(0x82, &[0; MEGABYTE])), vec![0x55; MEGABYTE]]
    {
        let mut client = server.open();
        client.write([masked(&wire(sent)), behind].concat());
        client.expect(answered);
        // The server ends its side first, for the client has not ended its own.
        client.expect_end();
        server.told.expect(told);
    }
    server.stop();
}

#[test]
fn an_unmasked_frame_is_a_violation() {
    let server = Server::echo();
    let mut client = server.open();
    client.write(wire("81 05 'Hello'"));
    client.expect("88 02 03EA");
    client.expect_end();
    server.told.expect("close 1006 unclean Violation(UnmaskedFrame)");
    server.stop();
}

#[test]
fn what_was_answered_before_the_violation_is_still_sent() {
    let server = Server::echo();
    let mut client = server.open();
    client.send("81 01 'a'  89 00  83 00");
    client.expect("81 01 'a'  8A 00  88 02 03EA");
    client.expect_end();
    server.told.expect("text a");
    server.told.expect("ping");
    server.told.expect("close 1006 unclean Violation(ReservedOpcode)");
    server.stop();
}

/// A handler that closes when it is told to, in so many words.
fn closing() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        let ask = message.as_bytes().to_owned();
        peer.send(message);
        match &*ask {
            b"close" => peer.close(CloseCode::NORMAL, "as you wish"),
            b"abort" => peer.abort(),
            _ => return,
        }
        // Nothing follows a Close.
        assert_eq!(peer.send("too late"), SendStatus::Dropped);
        assert_eq!(peer.ping(b"too late"), SendStatus::Dropped);
        peer.close(CloseCode::GOING_AWAY, "again");
    });
    (script, told)
}

const CLOSE: &str = "81 05 'close'  88 0D 03E8 'as you wish'";

#[test]
fn our_close_follows_what_was_sent_before_and_is_answered() {
    let server = Server::start(Config::new().close_timeout(NEVER), closing());
    let mut client = server.open();
    client.send("81 05 'close'");
    client.expect(CLOSE);
    client.send("88 02 03E8");
    client.expect_end();
    server.told.expect("text close");
    server.told.expect("close 1000 clean Local");

    // §7.1.5: the status code is the one received, which may be another.
    let mut client = server.open();
    client.send("81 05 'close'");
    client.expect(CLOSE);
    client.send("88 06 0FA1 'okay'");
    client.expect_end();
    server.told.expect("text close");
    server.told.expect("close 4001 clean Local okay");
    server.stop();
}

#[test]
fn both_may_close_at_the_same_time() {
    let server = Server::start(Config::new().close_timeout(NEVER), closing());
    let mut client = server.open();
    // One segment: the handler closes before it is known that the client has closed as well.
    client.send("81 05 'close'  88 02 03E9");
    client.expect(CLOSE);
    client.expect_end();
    server.told.expect("text close");
    server.told.expect("close 1001 clean Local");
    server.stop();
}

#[test]
fn after_our_close_messages_are_not_delivered_but_pings_are_answered() {
    let server = Server::start(Config::new().close_timeout(NEVER), closing());
    let late = "81 01 'x'  8A 00  89 02 'hi'  01 01 'y'  80 00";

    // In the same segment as what made us close,
    let mut client = server.open();
    client.send(&format!("81 05 'close'  {late}"));
    client.expect(CLOSE);
    client.expect("8A 02 'hi'");
    client.send("88 02 03E8");
    client.expect_end();
    server.told.expect("text close");
    server.told.expect("close 1000 clean Local");

    // or by a client that has read our Close.
    let mut client = server.open();
    client.send("81 05 'close'");
    client.expect(CLOSE);
    client.send(late);
    client.expect("8A 02 'hi'");
    client.send("88 02 03E8");
    client.expect_end();
    server.told.expect("text close");
    server.told.expect("close 1000 clean Local");
    server.stop();
}

#[test]
fn a_violation_after_our_close_is_not_answered_by_another() {
    let server = Server::start(Config::new().close_timeout(NEVER), closing());
    let mut client = server.open();
    client.send("81 05 'close'  83 00");
    client.expect(CLOSE);
    client.expect_end();
    server.told.expect("text close");
    server.told.expect("close 1006 unclean Local");
    server.stop();
}

#[test]
fn a_reason_is_cut_where_a_character_ends() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, _| peer.close(CloseCode::NORMAL, &"€".repeat(99)));
    let server = Server::start(Config::new(), (script, told));
    let mut client = server.open();
    client.send("81 00");
    client.expect_bytes(&frame(0x88, &[&[0x03, 0xE8], "€".repeat(41).as_bytes()].concat()));
    client.send("88 00");
    client.expect_end();
    server.told.expect("text");
    server.told.expect("close 1005 clean Local");
    server.stop();
}

/// §7.4.1: 1010 "indicates that an endpoint (client) is terminating the connection".
#[test]
fn a_server_does_not_miss_an_extension() {
    let (mut script, told) = Script::echo();
    script.on_open = Box::new(|peer| peer.close(CloseCode::MANDATORY_EXTENSION, "why"));
    let server = Server::start(Config::new().close_timeout(NEVER), (script, told));
    let mut client = server.open();
    client.expect("88 05 03F3 'why'");
    client.send("88 02 03F3");
    client.expect_end();
    server.told.expect("close 1011 clean Local");
    server.stop();
}

#[test]
fn an_abort_is_without_a_word() {
    let server = Server::start(Config::new(), closing());
    let mut client = server.open();
    client.send("81 05 'abort'");
    client.expect_gone();
    server.told.expect("text abort");
    server.told.expect("close 1006 unclean Aborted");
    server.stop();
}

#[test]
fn a_stream_that_ends_without_a_close_still_gets_its_answers() {
    let server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    let mut client = server.open();
    client.send("81 01 'a'  82 01 'b'  01 01 'c'");
    client.end();
    client.expect("81 01 'a'  82 01 'b'");
    client.expect_end();
    server.told.expect("text a");
    server.told.expect("binary b");
    server.told.expect("close 1006 unclean EndOfStream");
    server.stop();
}

#[test]
fn more_than_the_sockets_hold_is_still_answered_after_the_end_of_the_stream() {
    let config = Config::new().close_timeout(NEVER).write_timeout(None);
    let server = Server::start(config.high_water_mark(16 << 20), Script::echo());
    let mut client = Client::open_small(server.addr);
    let message: Vec<u8> = (0..15 * MEGABYTE).map(|i| (i % 251) as u8).collect();
    client.write(masked(&frame(0x82, &message)));
    client.end();
    for expected in ["open", "binary of 15728640", "close 1006 unclean EndOfStream"] {
        server.told.expect(expected);
    }
    client.expect_bytes(&frame(0x82, &message));
    client.expect_end();
    server.stop();
}

#[test]
fn a_connection_that_breaks_is_lost() {
    let server = Server::echo();
    server.open().reset();
    server.told.expect("close 1006 unclean Lost(ConnectionReset)");

    // Before it is a peer, nobody needs to know.
    Client::connect(server.addr).reset();
    let mut client = Client::connect(server.addr);
    client.write(&REQUEST[..20]);
    client.reset();
    server.stop();
}

#[test]
fn a_connection_that_breaks_after_our_close_was_closed_by_us() {
    let server = Server::start(Config::new(), closing());
    let mut client = server.open();
    client.send("81 05 'close'");
    client.expect(CLOSE);
    client.reset();
    server.told.expect("text close");
    server.told.expect("close 1006 unclean Local");
    server.stop();
}

/// All that a client has to say arrives before the loop takes a look: data and FIN are one edge.
#[test]
fn everything_at_once_is_handled_in_order_and_leaves_nothing_behind() {
    for (sent, received, told) in [
        ("", "", &["open", "close 1006 unclean EndOfStream"][..]),
        ("81 01 'a'", "81 01 'a'", &["open", "text a", "close 1006 unclean EndOfStream"]),
        ("81 01 'a'  88 00", "81 01 'a'  88 00", &["open", "text a", "close 1005 clean Remote"]),
        ("83 00", "88 02 03EA", &["open", "close 1006 unclean Violation(ReservedOpcode)"]),
        ("81 05 'close'", CLOSE, &["open", "text close", "close 1006 unclean Local"]),
    ] {
        let config = Config::new().close_timeout(NEVER).handshake_timeout(NEVER);
        let mut event_loop = EventLoop::with_config(config).unwrap();
        let addr = event_loop.listen("127.0.0.1:0").unwrap();
        let (mut script, teller) = closing();
        let mut client = Client::connect(addr);
        client.write([REQUEST.as_bytes(), &masked(&wire(sent))].concat());
        client.end();

        let mut seen = Vec::new();
        turn_until(&mut event_loop, &mut script, |_, _| {
            seen.extend(teller.so_far());
            seen.len() == told.len()
        });
        assert_eq!(seen, told);
        client.expect_opened();
        client.expect(received);
        client.expect_end();
        event_loop.peers().shutdown(NEVER);
        turn_until(&mut event_loop, &mut script, |event_loop, _| event_loop.is_finished());
        assert_eq!(teller.so_far(), [""; 0]);
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_of_its_handshake_leaves_nothing_behind() {
    for sent in ["", "GET", REQUEST.trim_end()] {
        let config = Config::new().handshake_timeout(NEVER).close_timeout(NEVER);
        let server = Server::start(config.max_connections(1), Script::echo());
        let mut client = Client::connect(server.addr);
        client.write(sent);
        client.end();
        // Who has said nothing is told nothing; a part of a request is a bad one.
        if !sent.is_empty() {
            client.expect_response(400);
        }
        client.expect_end();
        // There is room for another only if the first is gone.
        server.open().close();
        server.told.expect("close 1000 clean Remote");
        server.stop();
    }
}

#[test]
fn whoever_sends_without_end_after_the_end_is_cut_off() {
    let server = Server::start(Config::new().close_timeout(NEVER), Script::echo());
    let mut client = server.open();
    client.send("88 00");
    // It is read for a while, so that the Close that answers can be.
    let mut writes = (0..4096).map(|_| client.try_write([0x55; 1 << 16]));
    let error = writes.find_map(Result::err).expect("an end before 256 MiB");
    let kind = error.kind();
    assert!(
        matches!(kind, std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe),
        "{error}"
    );
    server.told.expect("close 1005 clean Remote");
    server.stop();
}
