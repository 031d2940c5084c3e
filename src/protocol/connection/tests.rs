use proptest::prelude::*;

use super::*;
use crate::protocol::{
    Header, Opcode, encode_frame,
    wire::{Received, binary, close, deliveries, fail, masked, ping, pong, text, wire},
};

/// The key of RFC 6455 §5.7.
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// Delivers `parts` and returns what is received, and written in return.
fn run(mut connection: Connection, parts: &[&[u8]]) -> (Vec<Received>, Vec<u8>) {
    let (mut received, mut written) = (Vec::new(), Vec::new());
    for part in parts {
        let mut part = part.to_vec();
        let mut input = &mut part[..];
        loop {
            match connection.receive(&mut input) {
                Ok(Some(event)) => received.push(event.into()),
                Ok(None) => break,
                Err(violation) => received.push(fail(violation)),
            }
        }
        assert!(input.is_empty(), "None means that the input is used up");
        written.extend_from_slice(connection.output());
        connection.consume_output(connection.output().len());
    }
    (received, written)
}

/// Checks what a server makes of bytes as they come from a client.
#[track_caller]
fn check_server(received: &str, events: &[Received], written: &str) {
    let input = wire(received);
    for parts in deliveries(&input) {
        let expected = (events.to_vec(), wire(written));
        assert_eq!(run(Connection::server(), &parts), expected, "{received} in {}", parts.len());
    }
}

/// Checks a conversation in both roles. Given are the bytes as servers send them.
#[track_caller]
fn check(received: &str, events: &[Received], written: &str) {
    let input = wire(received);
    let expected = (events.to_vec(), masked(&wire(written)));
    for parts in deliveries(&input) {
        assert_eq!(run(Connection::client(|| KEY), &parts), expected, "as client: {received}");
    }
    let input = masked(&input);
    let expected = (events.to_vec(), wire(written));
    for parts in deliveries(&input) {
        assert_eq!(run(Connection::server(), &parts), expected, "as server: {received}");
    }
}

#[test]
fn masked_frames_from_a_client() {
    check_server("818537fa213d7f9f4d5158", &[text("Hello")], "");
    check_server("018337fa213d7f9f4d  808237fa213d5b95", &[text("Hello")], "");
    check_server("818037fa213d  828037fa213d", &[text(""), binary("")], "");
    check_server("018137fa213dd5  008137fa213db5  808137fa213d9b", &[text("€")], "");
}

#[test]
fn ping_is_answered_and_pong_is_not() {
    check_server("898537fa213d7f9f4d5158", &[ping("'Hello'")], "8a0548656c6c6f");
    check_server("8a8137fa213d4f", &[pong("'x'")], "");
    check_server(
        "018237fa213d7f9f  898137fa213d47  808337fa213d5b964e",
        &[ping("'p'"), text("Hello")],
        "8a0170",
    );
    let longest = "x".repeat(125);
    let event = ping(&format!("'{longest}'"));
    check(&format!("89 7D '{longest}'"), &[event], &format!("8A 7D '{longest}'"));
}

/// §5.5.1: the status code is echoed, the reason is not.
#[test]
fn close_is_answered_with_the_same_code() {
    check_server("888037fa213d", &[Received::Close(None)], "8800");
    check_server("888237fa213d3412", &[close(1000, "")], "880203e8");
    check_server("888537fa213d3412434452", &[close(1000, "bye")], "880203e8");
    check_server("888237fa213d340c", &[close(1014, "")], "880203f6");
    check("88 05 0F9F 'bye'", &[close(3999, "bye")], "88 02 0F9F");
}

#[test]
fn violations_are_answered_with_the_code_that_says_why() {
    let check_server = |received, violation, written| {
        check_server(received, &[fail(violation)], written);
    };
    check_server("888137fa213d34", Violation::TruncatedCloseCode, "880203ea");
    check_server("888237fa213d3417", Violation::InvalidCloseCode, "880203ea");
    check_server("888237fa213d3c4d", Violation::InvalidCloseCode, "880203ea");
    check_server("888237fa213d2472", Violation::InvalidCloseCode, "880203ea");
    check_server("888337fa213d3412de", Violation::InvalidCloseReason, "880203ef");
    check_server("810548656c6c6f", Violation::UnmaskedFrame, "880203ea");
    check_server("81fe000537fa213d7f9f4d5158", Violation::NonMinimalLength, "880203ea");
    let in_64_bits = "81ff000000000000000537fa213d7f9f4d5158";
    check_server(in_64_bits, Violation::NonMinimalLength, "880203ea");
    check_server("82ff800000000000000037fa213d", Violation::LengthOverflow, "880203ea");
    check_server("82ff7fffffffffffffff37fa213d", Violation::MessageTooBig, "880203f1");
    check_server("c18137fa213d56", Violation::ReservedBits, "880203ea");
    check_server("a18137fa213d56", Violation::ReservedBits, "880203ea");
    check_server("918137fa213d56", Violation::ReservedBits, "880203ea");
    check_server("838037fa213d", Violation::ReservedOpcode, "880203ea");
    check_server("8b8037fa213d", Violation::ReservedOpcode, "880203ea");
    check_server("098137fa213d56", Violation::FragmentedControlFrame, "880203ea");
    check_server("89fe007e37fa213d", Violation::ControlFrameTooLong, "880203ea");
    check_server("808137fa213d4f", Violation::UnexpectedContinuation, "880203ea");
    check_server("018137fa213d56  818137fa213d55", Violation::UnfinishedMessage, "880203ea");
    check_server("818137fa213dc8", Violation::InvalidUtf8, "880203ef");
    check_server("818237fa213dd578", Violation::InvalidUtf8, "880203ef");
    check_server("818337fa213dda5aa1", Violation::InvalidUtf8, "880203ef");
}

/// Without permessage-deflate, which sets RSV1, nothing is decompressed.
#[test]
fn compressed_messages_fail_where_compression_was_not_negotiated() {
    for compressed in ["c18737fa213dc5b2ecf4fefd21", "c18137fa213d37", "418337fa213dc5b2ec"] {
        check_server(compressed, &[fail(Violation::ReservedBits)], "880203ea");
    }
}

#[cfg(feature = "deflate")]
mod deflate;

/// §5.1: "A client MUST close a connection if it detects a masked frame."
#[test]
fn a_client_fails_on_a_masked_frame() {
    let input = wire("818537fa213d7f9f4d5158");
    for parts in deliveries(&input) {
        let expected = (vec![fail(Violation::MaskedFrame)], wire("8882 37fa213d 3410"));
        assert_eq!(run(Connection::client(|| KEY), &parts), expected);
    }
}

#[test]
fn nothing_is_processed_after_a_close_or_a_violation() {
    let close_then_text = "888237fa213d3412818437fa213d5b9b5558";
    check_server(close_then_text, &[close(1000, "")], "880203e8");
    check("88 00  81 01 'x'  89 00  FFFF", &[Received::Close(None)], "88 00");
    let stray = fail(Violation::UnexpectedContinuation);
    check("80 00  81 01 'x'  89 00  88 00", &[stray], "88 02 03EA");
    // §5.4 allows for valid frames before the invalid one to have been delivered.
    check(
        "81 01 'x'  89 00  F1 00",
        &[text("x"), ping(""), fail(Violation::ReservedBits)],
        "8A 00  88 02 03EA",
    );
}

#[test]
fn our_close_is_sent_once_and_ends_sending() {
    let mut server = Connection::server();
    server.close(CloseCode::GOING_AWAY, "bye").unwrap();
    assert!(!server.is_open() && !server.is_closed());
    assert_eq!(server.close(CloseCode::NORMAL, ""), Err(SendError::Closing));
    assert_eq!(server.send("x"), Err(SendError::Closing));
    assert_eq!(server.ping(b""), Err(SendError::Closing));
    assert_eq!(server.output(), wire("88 05 03E9 'bye'"));
    server.consume_output(7);

    // Messages are not delivered any more, Pings still answered (§5.5.2).
    let parts = masked(&wire("81 01 'x'  01 01 'y'  89 01 'z'  80 00  88 02 03E9"));
    let expected = (vec![ping("'z'"), close(1001, "")], wire("8A 01 'z'"));
    assert_eq!(run(server, &[&parts]), expected, "the Close is not answered a second time");
}

#[test]
fn a_violation_while_closing_sends_no_second_close() {
    let mut server = Connection::server();
    server.close(CloseCode::NORMAL, "").unwrap();
    server.consume_output(4);
    let mut input = masked(&wire("80 00"));
    assert!(server.receive(&mut &mut input[..]).is_err());
    assert!(server.is_closed());
    assert_eq!(server.output(), b"");
}

#[test]
fn close_refuses_what_only_clients_send() {
    let code = CloseCode::MANDATORY_EXTENSION;
    assert_eq!(Connection::server().close(code, ""), Err(SendError::ClientCloseCode));
    let mut client = Connection::client(|| [0; 4]);
    assert_eq!(client.close(code, ""), Ok(()));
    assert_eq!(client.output(), wire("88 82 00000000 03F2"));
}

/// §5.3: a new key for every frame, empty ones and control frames included.
#[test]
fn a_client_masks_every_frame_with_a_key_of_its_own() {
    let mut next = 0;
    let mut client = Connection::client(move || {
        next += 1;
        [next, 0, 0, 0]
    });
    client.send("").unwrap();
    client.send(b"\0\0").unwrap();
    client.ping(b"").unwrap();
    let mut input = wire("89 01 00");
    client.receive(&mut &mut input[..]).unwrap();
    client.close(CloseCode::NORMAL, "").unwrap();
    let frames = "81 80 01000000  82 82 02000000 0200  89 80 03000000  8A 81 04000000 04  \
                  88 82 05000000 06E8";
    assert_eq!(client.output(), wire(frames));
}

#[test]
fn a_message_is_sent_in_pieces_and_control_frames_come_between() {
    let piece = |text, first, last| Piece { message: Message::Text(text), first, last };
    let mut server = Connection::server();
    server.send_piece(piece("He", true, false)).unwrap();
    server.ping(b"p").unwrap();
    assert_eq!(server.send("other"), Err(SendError::UnfinishedMessage));
    server.send_piece(piece("llo", false, true)).unwrap();
    server.send("other").unwrap();
    assert_eq!(server.output(), wire("01 02 'He'  89 01 'p'  80 03 'llo'  81 05 'other'"));
}

#[test]
fn a_ping_holds_at_most_125_bytes() {
    let mut server = Connection::server();
    assert_eq!(server.ping(&[0; 126]), Err(SendError::ControlFrameTooLong));
    assert_eq!(server.output(), b"");
    assert_eq!(server.ping(&[0; 125]), Ok(()));
}

/// §5.5.3: of several Pings, the most recent may be the only one answered.
#[test]
fn a_flood_of_pings_is_answered_within_bounds() {
    let mut server = Connection::server();
    for i in 0..100_000_u32 {
        let ping = [&[0x89, 4][..], &i.to_be_bytes()].concat();
        server.receive(&mut &mut masked(&ping)[..]).unwrap();
    }
    let pending = server.output().len();
    assert!((64 * 1024..65 * 1024).contains(&pending), "{pending}");

    server.consume_output(pending);
    assert_eq!(server.output(), [&[0x8A, 4][..], &99_999_u32.to_be_bytes()].concat());
    server.consume_output(6);
    assert_eq!(server.output(), b"");
}

/// §5.5.2: a Pong is owed "unless it already received a Close frame".
#[test]
fn no_pong_is_owed_after_a_close_or_a_violation() {
    for end in ["88 00", "83 00"] {
        let mut server = Connection::server();
        server.send(&vec![0; 64 * 1024]).unwrap();
        let mut input = masked(&[wire("89 00"), wire(end)].concat());
        let mut input = &mut input[..];
        while let Ok(Some(_)) = server.receive(&mut input) {}
        server.consume_output(10 + 64 * 1024);
        assert_eq!(server.output()[0], 0x88);
        server.consume_output(server.output().len());
        assert_eq!(server.output(), b"");
    }
}

#[test]
fn limits_and_pieces_are_those_of_the_decoder() {
    let mut server = Connection::server().max_message_size(2).in_pieces();
    let mut input = masked(&wire("01 02 'ab'  80 01 'c'"));
    let mut input = &mut input[..];
    let ab = Piece { message: Message::Text("ab"), first: true, last: false };
    assert_eq!(server.receive(&mut input), Ok(Some(Event::Piece(ab))));
    assert_eq!(server.receive(&mut input), Err(Violation::MessageTooBig));
}

#[test]
fn a_message_is_echoed_from_where_it_is() {
    let mut server = Connection::server();
    let mut input = masked(&wire("81 02 'hi'  82 01 00"));
    let mut input = &mut input[..];
    while let Some((event, sender)) = server.exchange(&mut input).unwrap() {
        if let Event::Message(message) = event {
            sender.send(message).unwrap();
        }
    }
    assert_eq!(server.output(), wire("81 02 'hi'  82 01 00"));
}

#[test]
fn connections_can_move_between_threads() {
    fn check<T: Send>() {}
    check::<Connection>();
}

#[test]
fn a_long_message_does_not_stay_allocated() {
    let mut client = Connection::client(|| KEY);
    for (len, kept) in [(1 << 20, false), (1 << 10, true)] {
        let mut frame = Vec::new();
        encode_frame(Header::new(Opcode::Binary, 0), &vec![0; len], &mut frame);
        let (start, end) = frame.split_at_mut(len);
        assert_eq!(client.receive(&mut &mut *start), Ok(None));
        let mut input = end;
        assert!(matches!(client.receive(&mut input), Ok(Some(Event::Message(_)))));
        assert_eq!(client.receive(&mut input), Ok(None));
        assert_eq!(client.decoder.reclaim_buffer().is_some(), kept);
    }
}

/// What an application or the remote endpoint may do, in any order.
#[derive(Clone, Debug)]
enum Step {
    Send(String),
    SendPiece(bool, bool, bool),
    Ping(usize),
    Close(String),
    Receive(Vec<u8>),
    Write(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let frame = prop::sample::select(vec![
        "81 02 'hi'",
        "01 01 'x'",
        "80 01 'y'",
        "89 01 'p'",
        "8A 00",
        "88 02 03E8",
        "88 00",
        "83 00",
    ]);
    prop_oneof![
        4 => "[a-z€]{0,60}".prop_map(Step::Send),
        4 => any::<(bool, bool, bool)>()
            .prop_map(|(text, first, last)| Step::SendPiece(text, first, last)),
        2 => (0..128_usize).prop_map(Step::Ping),
        1 => "[a-z€]{0,60}".prop_map(Step::Close),
        4 => frame.prop_map(|frame| Step::Receive(wire(frame))),
        4 => (0..100_usize).prop_map(Step::Write),
    ]
}

/// Does the step, and returns what it wrote to the transport. That it may fail is expected.
fn take_step(connection: &mut Connection, is_server: bool, step: &Step) -> Vec<u8> {
    match step {
        Step::Send(text) => _ = connection.send(text),
        Step::SendPiece(true, first, last) => {
            let message = Message::Text("text");
            _ = connection.send_piece(Piece { message, first: *first, last: *last });
        }
        Step::SendPiece(false, first, last) => {
            let message = Message::Binary(b"\xFF");
            _ = connection.send_piece(Piece { message, first: *first, last: *last });
        }
        Step::Ping(len) => _ = connection.ping(&vec![7; *len]),
        Step::Close(reason) => _ = connection.close(CloseCode::NORMAL, reason),
        Step::Receive(frame) => {
            let mut bytes = if is_server { masked(frame) } else { frame.clone() };
            let mut input = &mut bytes[..];
            while let Ok(Some(_)) = connection.receive(&mut input) {}
        }
        Step::Write(len) => {
            let len = *len.min(&connection.output().len());
            let written = connection.output()[..len].to_vec();
            connection.consume_output(len);
            return written;
        }
    }
    Vec::new()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// §5.5.1 and §6.1: frames, then at most one Close, then nothing but Pongs.
    #[test]
    fn output_is_well_formed_whatever_is_called(
        steps in prop::collection::vec(step(), 0..40),
        is_server: bool,
    ) {
        let mut connection = if is_server { Connection::server() } else { Connection::client(|| KEY) };
        let mut written = Vec::new();
        for step in &steps {
            written.extend(take_step(&mut connection, is_server, step));
        }
        written.extend_from_slice(connection.output());

        let mut rest = &written[..];
        let mut closed = false;
        while let Some(header) = Header::parse(&mut rest).unwrap() {
            prop_assert_eq!(header.masking_key.is_some(), !is_server);
            prop_assert!(!closed || header.opcode == Opcode::Pong);
            closed |= header.opcode == Opcode::Close;
            rest = &rest[usize::try_from(header.payload_len).unwrap()..];
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(closed, !connection.is_open());

        let remote = if is_server { Role::Client } else { Role::Server };
        let (mut decoder, mut input) = (Decoder::new(remote), &mut written[..]);
        while decoder.next(&mut input).unwrap().is_some() {}
    }
}
