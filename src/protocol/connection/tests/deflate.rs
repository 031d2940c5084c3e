use super::*;
use crate::protocol::DeflateParameters;

const TAKEOVER: DeflateParameters = DeflateParameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const NO_TAKEOVER: DeflateParameters = DeflateParameters {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    ..TAKEOVER
};

/// Checks a conversation with a server, as the vectors have it: masked, and answered.
#[track_caller]
fn check(received: &str, events: &[Received], written: &str) {
    let input = wire(received);
    for parts in deliveries(&input) {
        let server = Connection::server().deflate(TAKEOVER);
        let expected = (events.to_vec(), wire(written));
        assert_eq!(run(server, &parts), expected, "{received} in {}", parts.len());
    }
}

#[test]
fn compressed_messages_of_a_client() {
    let hello = || text("Hello");
    check("c18737fa213dc5b2ecf4fefd21", &[hello()], "");
    check("418337fa213dc5b2ec 808437fa213dfe33263d", &[hello()], "");
    check("c18737fa213dc5b2ecf4fefd21 c18537fa213dc5fa303d37", &[hello(), hello()], "");
    check("c18b37fa213d37ff21c7c8b244515b9521", &[hello()], "");
    check("c18d37fa213dc5b2243d37fadec2fd33e83a37", &[hello()], "");
    check("c18837fa213dc4b2ecf4fefd213d c18737fa213dc5b2ecf4fefd21", &[hello(), hello()], "");
    check("c18e37fa213dc4b2ecf4fefd21cf7f37e8f430fa", &[text("HelloHello")], "");
    check("c18837fa213dc4b2ecf4fefd213d c18537fa213dc5fa303d37", &[hello(), hello()], "");
    check("c18137fa213d37", &[text("")], "");
}

/// RFC 6455 §7.1.7: the connection is failed with the status code that says why.
#[test]
fn violations_are_answered_with_their_code() {
    let corrupt = || [fail(Violation::CorruptDeflate)];
    check("c18337fa213dc5b2ec", &corrupt(), "880203ef");
    check("c18037fa213d", &corrupt(), "880203ef");
    check("c28437fa213dc805dec2", &corrupt(), "880203ef");
    let reserved = || [fail(Violation::ReservedBits)];
    check("418337fa213dc5b2ec c08437fa213dfe33263d", &reserved(), "880203ea");
    check("c98137fa213d56", &reserved(), "880203ea");
    let server = Connection::server().deflate(TAKEOVER).max_message_size(4);
    let (received, written) = run(server, &[&wire("c18737fa213dc5b2ecf4fefd21")]);
    assert_eq!((received, written), (vec![fail(Violation::MessageTooBig)], wire("880203f1")));
}

/// Sends what `sender` has to send, and returns it, and what `receiver` makes of it.
fn pass(sender: &mut Connection, receiver: &mut Connection) -> (Vec<u8>, Vec<Received>) {
    let sent = sender.output().to_vec();
    sender.consume_output(sent.len());
    let (mut copy, mut received) = (sent.clone(), Vec::new());
    let mut input = &mut copy[..];
    while let Some(event) = receiver.receive(&mut input).unwrap() {
        received.push(event.into());
    }
    (sent, received)
}

#[test]
fn what_is_short_is_not_compressed() {
    for parameters in [TAKEOVER, NO_TAKEOVER] {
        for (threshold, first_byte) in [(65, 0x81), (64, 0xC1), (0, 0xC1), (usize::MAX, 0x81)] {
            let mut server =
                Connection::server().deflate(parameters).compression_threshold(threshold);
            let mut client = Connection::client(|| KEY).deflate(parameters);
            let message = "a".repeat(64);
            server.send(&*message).unwrap();
            let (sent, received) = pass(&mut server, &mut client);
            assert_eq!((sent[0], received), (first_byte, vec![text(&message)]), "{threshold}");
        }
    }
}

#[test]
fn pieces_and_control_frames_are_not_compressed() {
    let mut server = Connection::server().deflate(TAKEOVER).compression_threshold(0);
    let piece = |first, last| Piece { message: Message::Text("x"), first, last };
    server.send_piece(piece(true, false)).unwrap();
    assert_eq!(server.send("y"), Err(SendError::UnfinishedMessage));
    server.ping(&[b'a'; 3]).unwrap();
    server.send_piece(piece(false, true)).unwrap();
    server.send("Hello").unwrap();
    server.close(CloseCode::NORMAL, "").unwrap();
    assert_eq!(server.send("Hello"), Err(SendError::Closing));
    let expected = "01 01 'x'  89 03 'aaa'  80 01 'x'  c1 07 f248cdc9c90700  88 02 03e8";
    assert_eq!(server.output(), wire(expected));
}

#[test]
fn ten_thousand_messages_both_ways_stay_what_they_are() {
    for parameters in [TAKEOVER, NO_TAKEOVER] {
        let mut server = Connection::server().deflate(parameters);
        let mut client = Connection::client(|| KEY).deflate(parameters);
        let (mut plain, mut compressed) = (0, 0);
        for i in 0..10_000_usize {
            let message = format!("{{\"id\":{i},\"name\":\"Ada {}\"}}", i * i).repeat(i % 7);
            let (from, to) =
                if i % 3 == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
            from.send(&*message).unwrap();
            let (sent, received) = pass(from, to);
            assert_eq!(received, [text(&message)], "message {i}");
            (plain, compressed) = (plain + message.len(), compressed + sent.len());
        }
        assert!(compressed * 2 < plain, "{compressed} of {plain}");
    }
}

#[test]
fn each_direction_has_its_own_context_takeover_and_window() {
    let parameters = DeflateParameters {
        server_no_context_takeover: true,
        client_max_window_bits: 9,
        ..TAKEOVER
    };
    let mut server = Connection::server().deflate(parameters).compression_threshold(0);
    let mut client = Connection::client(|| KEY).deflate(parameters).compression_threshold(0);
    let message = "Hello, Ada. Hello, Bob.";
    let mut exchange = || {
        server.send(message).unwrap();
        client.send(message).unwrap();
        let (sent, received) = pass(&mut server, &mut client);
        let of_server = sent.len();
        assert_eq!(received, [text(message)]);
        let (sent, received) = pass(&mut client, &mut server);
        assert_eq!(received, [text(message)]);
        (of_server, sent.len())
    };
    let (first, second) = (exchange(), exchange());
    assert_eq!(first.0, second.0, "the server begins anew");
    assert!(first.1 > second.1, "the client refers to what it sent");
}
