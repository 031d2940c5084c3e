//! Messages that are received in pieces.

use super::*;

/// Settings for pieces.
fn in_pieces() -> Config {
    patient().delivery(Delivery::Pieces)
}

/// Sends what it receives, piece by piece.
fn echo(peer: &mut Peer<'_>, piece: Piece<'_>) {
    if piece.first {
        peer.begin_message(piece.message.message_type()).unwrap();
    }
    let status = match piece.last {
        true => peer.write_last(piece.message),
        false => peer.write(piece.message),
    };
    assert_ne!(status, Ok(SendStatus::Dropped));
}

fn echo_in_pieces() -> (Script, Told) {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|_, _| unreachable!("messages come in pieces"));
    script.on_piece = Box::new(echo);
    (script, told)
}

#[test]
fn a_message_is_delivered_as_its_pieces_arrive() {
    let server = Server::start(in_pieces(), Script::echo());
    let mut client = server.open();
    // A frame in three reads.
    let hello = masked(&wire("81 05 'Hello'"));
    let (he, l, lo) = (&hello[..8], &hello[8..9], &hello[9..]);
    for (bytes, told) in [(he, "first text He"), (l, "next text l"), (lo, "last text lo")] {
        client.write(bytes);
        server.told.expect(told);
    }
    // Frames in one read.
    client.send("02 01 'a'  00 02 'bc'  80 00");
    server.told.expect("first binary a");
    server.told.expect("next binary bc");
    server.told.expect("last binary");
    client.send("81 05 'whole'  82 00");
    server.told.expect("whole text whole");
    server.told.expect("whole binary");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

#[test]
fn no_piece_of_text_ends_inside_a_character() {
    let server = Server::start(in_pieces(), Script::echo());
    let mut client = server.open();
    let euro = masked(&wire("81 05 'a' E282AC 'b'"));
    client.write(&euro[..8]);
    server.told.expect("first text a");
    client.write(&euro[8..]);
    server.told.expect("next text €");
    server.told.expect("last text b");
    client.send("01 02 E282  80 01 AC");
    server.told.expect("whole text €");
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// What the handler is told before cannot be taken back; that no last piece came says that it is void.
#[test]
fn text_is_checked_across_pieces() {
    for (bad, told) in [
        ("01 03 'a' E282  80 01 41", &["first text a"][..]),
        ("01 01 'a'  00 01 FF", &["first text a"]),
        ("01 01 'a'  80 01 E2", &["first text a"]),
        ("81 01 FF", &[]),
    ] {
        let server = Server::start(in_pieces(), Script::echo());
        let mut client = server.open();
        client.send(bad);
        client.expect("88 02 03EF");
        client.expect_end();
        for told in told {
            server.told.expect(told);
        }
        server.told.expect("close 1006 unclean Violation(InvalidUtf8)");
        server.stop();
    }
}

#[test]
fn the_limit_is_on_all_pieces_of_a_message_together() {
    let server = Server::start(in_pieces().max_message_size(5), Script::echo());
    let mut client = server.open();
    client.send("01 02 'He'  80 03 'llo'");
    server.told.expect("first text He");
    server.told.expect("last text llo");
    client.send("01 02 'He'  00 04");
    server.told.expect("first text He");
    client.expect("88 02 03F1");
    client.expect_end();
    server.told.expect("close 1006 unclean Violation(MessageTooBig)");
    server.stop();
}

#[test]
fn without_a_limit_a_message_may_announce_any_length() {
    let server = Server::start(in_pieces().max_message_size(u64::MAX), Script::echo());
    let mut client = server.open();
    client.write(wire("82 FF 7FFFFFFFFFFFFFFF 00000000 'endless'"));
    server.told.expect("first binary endless");
    client.end();
    server.told.expect("close 1006 unclean EndOfStream");
    server.stop();
}

#[test]
fn after_our_close_no_more_pieces_are_delivered() {
    let (mut script, told) = Script::echo();
    script.on_piece = Box::new(|peer, _| peer.close(CloseCode::NORMAL, ""));
    let server = Server::start(in_pieces(), (script, told));
    let mut client = server.open();
    client.send("01 01 'a'  00 01 'b'  80 01 'c'  88 02 03E8");
    client.expect("88 02 03E8");
    client.expect_end();
    server.told.expect("first text a");
    server.told.expect("close 1000 clean Local");
    server.stop();
}

#[cfg(unix)]
#[test]
fn a_handler_that_takes_no_pieces_says_so() {
    let mut closure = |_: &mut Peer<'_>, _: Message<'_>| unreachable!("messages come in pieces");
    let (mut event_loop, door) = Door::new(in_pieces());
    let mut client = door.open(&mut event_loop, &mut closure);
    client.send("81 05 'Hello'");
    turn_until(&mut event_loop, &mut closure, |_, _| client.has_input());
    client.expect("88 27 03F3 'messages are not taken in pieces here'");
}

/// Fragments with Pings between them come back as they went out.
#[test]
fn a_message_is_echoed_piece_by_piece() {
    let server = Server::start(in_pieces(), echo_in_pieces());
    let mut client = server.open();
    client.send("01 03 'Hel'  89 02 'hi'  00 00  00 02 'lo'  89 00  80 01 '!'  82 01 'x'");
    // An empty fragment is no piece.
    client.expect("01 03 'Hel'  8A 02 'hi'  00 02 'lo'  8A 00  80 01 '!'  82 01 'x'");
    let told = server.told.wait_for("whole binary x");
    assert_eq!(told, ["first text Hel", "ping hi", "next text lo", "ping", "last text !"]);
    client.close();
    server.told.expect("close 1000 clean Remote");
    server.stop();
}

/// A frame of eight mebibytes, of which the client reads nothing until the server reads no more either.
#[test]
fn what_follows_a_piece_is_held_while_the_peer_is_congested() {
    const MARK: usize = 32 << 10;
    const LEN: usize = 8 * MEGABYTE;
    let most = Arc::new(AtomicUsize::new(0));
    let (mut script, told) = echo_in_pieces();
    script.on_piece = {
        let most = Arc::clone(&most);
        Box::new(move |peer, piece| {
            echo(peer, piece);
            most.fetch_max(peer.queued_bytes(), SeqCst);
        })
    };
    let server = Server::start(in_pieces().high_water_mark(MARK), (script, told));
    let client = Client::open_small(server.addr);
    let payload: Vec<u8> = (0..LEN).map(|i| (i / 97) as u8).collect();
    // One huge frame, and small fragments of which many come at once.
    let mut sent = frame(0x02, &payload[..LEN / 2]);
    for chunk in payload[LEN / 2..].chunks(1000) {
        sent.extend(frame(0x00, chunk));
    }
    sent.extend(frame(0x80, b""));
    let sent = masked(&sent);
    let mut writer = client.another();
    let writer = std::thread::spawn(move || writer.write(&sent));
    let mut client = client;
    let mut received = Vec::new();
    let mut last = false;
    while !last {
        let header = client.read(2);
        last = header[0] & 0x80 != 0;
        assert_eq!(header[0] & 0x0F, if received.is_empty() { 2 } else { 0 });
        let len = match header[1] {
            126 => client.read(2).iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            127 => client.read(8).iter().fold(0, |len, &byte| len << 8 | usize::from(byte)),
            len => len.into(),
        };
        received.extend(client.read(len));
    }
    assert!(received == payload);
    writer.join().unwrap();
    // A read buffer, and a piece that found the queue at the mark.
    assert!(most.load(SeqCst) <= MARK + (68 << 10) + 10, "queued {}", most.load(SeqCst));
    client.close();
    server.told.wait_for("close 1000 clean Remote");
    server.stop();
}

/// A message may take for ever, as long as it goes on.
#[cfg(unix)]
#[test]
fn the_time_for_a_message_begins_anew_with_each_piece() {
    let timeout = Duration::from_millis(100);
    let (mut script, told) = Script::echo();
    let (mut event_loop, door) = Door::new(in_pieces().message_timeout(Some(timeout)));
    let mut client = door.open(&mut event_loop, &mut script);
    told.expect("open");
    client.send("02 01 'a'");
    turn_until(&mut event_loop, &mut script, |_, _| told.try_next().is_some());
    for _ in 0..4 {
        let_pass(timeout / 2);
        client.send("00 01 'b'");
        // What has arrived is read before anyone looks at the clock.
        event_loop.turn(&mut script, Some(Duration::ZERO)).unwrap();
        assert_eq!(told.so_far(), ["next binary b"]);
        assert!(!client.has_input());
    }
    // A Ping is no progress, nor is a header.
    client.send("89 00  00 01");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("8A 00");
    turn_until(&mut event_loop, &mut script, |_, _| client.has_input());
    client.expect("88 17 03F0 'message took too long'");
}
