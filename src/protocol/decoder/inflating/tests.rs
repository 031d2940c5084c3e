use super::*;
use crate::protocol::{
    Compressor, CompressorOptions, Encoder, Event, Message,
    wire::{Received, binary, deliveries, fail, masked, ping, text, wire},
};

const NO_TAKEOVER: DeflateParameters = DeflateParameters {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

const LIMIT: u64 = 8 * 1024;

fn takeover() -> Decoder {
    Decoder::new(Role::Server).deflate(DeflateParameters::default()).max_message_size(LIMIT)
}

fn no_takeover() -> Decoder {
    Decoder::new(Role::Server).deflate(NO_TAKEOVER).max_message_size(LIMIT)
}

/// What is received of `parts`, where the decoder's memory stays within bounds.
fn run<'p>(mut decoder: Decoder, parts: impl IntoIterator<Item = &'p [u8]>) -> Vec<Received> {
    let mut received = Vec::new();
    for part in parts {
        let mut part = part.to_vec();
        let mut input = &mut part[..];
        loop {
            match decoder.next(&mut input) {
                Ok(Some(event)) => received.push(event.into()),
                Ok(None) => break,
                Err(violation) => {
                    received.push(fail(violation));
                    break;
                }
            }
        }
        let most = decoder.max_message_size as usize;
        let room = if decoder.in_pieces { PIECE + 1032 * SLICE } else { most };
        assert!(decoder.buffer.capacity() <= 2 * room.max(64), "no more is held than allowed");
    }
    received
}

/// Joins the pieces of each message, and drops those of a message that fails.
fn joined(received: Vec<Received>) -> Vec<Received> {
    let (mut events, mut data) = (Vec::new(), Vec::new());
    for event in received {
        match event {
            Received::Piece(is_text, piece, first, last) => {
                assert!(last || !piece.is_empty(), "only the last piece may be empty");
                if first {
                    data.clear();
                }
                data.extend(&piece);
                if last {
                    let text = |data| Received::Text(String::from_utf8(data).unwrap());
                    let data = mem::take(&mut data);
                    events.push(if is_text { text(data) } else { Received::Binary(data) });
                }
            }
            event => events.push(event),
        }
    }
    events
}

/// Checks what a server makes of frames, delivered in all ways, whole and in pieces.
#[track_caller]
fn check_with(decoder: fn() -> Decoder, frames: &[u8], expected: &[Received]) {
    let input = masked(frames);
    for parts in deliveries(&input) {
        let cut = parts[0].len();
        assert_eq!(run(decoder(), parts.clone()), expected, "cut at {cut}");
        let pieces = joined(run(decoder().in_pieces(), parts));
        assert_eq!(pieces, expected, "in pieces, cut at {cut}");
    }
}

#[track_caller]
fn check(transcript: &str, expected: &[Received]) {
    check_with(takeover, &wire(transcript), expected);
}

#[track_caller]
fn check_both(transcript: &str, expected: &[Received]) {
    check(transcript, expected);
    check_with(no_takeover, &wire(transcript), expected);
}

fn hello() -> Received {
    text("Hello")
}

fn corrupt() -> Received {
    fail(Violation::CorruptDeflate)
}

#[test]
fn examples_of_rfc_7692_section_7_2_3() {
    check_both("c1 07 f2 48 cd c9 c9 07 00", &[hello()]);
    check_both("41 03 f2 48 cd  80 04 c9 c9 07 00", &[hello()]);
    check("c1 07 f2 48 cd c9 c9 07 00  c1 05 f2 00 11 00 00", &[hello(), hello()]);
    check_both("c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00", &[hello()]);
    check_both("c1 08 f3 48 cd c9 c9 07 00 00", &[hello()]);
    check_both("c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00", &[hello()]);
    check_both("c1 01 00  c2 01 00", &[text(""), binary("")]);
}

/// §6.1: "[RSV1] MUST NOT be set on" any frame but the first of a data message.
#[test]
fn rsv1_is_for_the_first_frame_of_a_message() {
    let reserved = || fail(Violation::ReservedBits);
    for frame in ["c9 00", "ca 00", "c8 00", "c0 00", "40 00", "e1 00", "d1 00", "a1 00", "91 00"] {
        let after_message = format!("c1 07 f248cdc9c90700  {frame}");
        check_both(&after_message, &[hello(), reserved()]);
    }
    check_both("41 03 f248cd  c0 04 c9c90700", &[reserved()]);
    check_both("01 03 'Hel'  c0 02 'lo'", &[reserved()]);
    check_both("41 03 f248cd  c9 00", &[reserved()]);
    // What was not negotiated is not allowed.
    check_with(|| Decoder::new(Role::Server), &wire("c1 07 f248cdc9c90700"), &[reserved()]);
}

#[test]
fn a_frame_without_payload_is_no_hindrance() {
    check_both("41 00  00 00  00 03 f248cd  00 00  00 04 c9c90700  80 00", &[hello()]);
}

#[test]
fn control_frames_come_between_compressed_ones() {
    check_both(
        "41 01 f2  89 02 'hi'  00 02 48cd  89 00  80 04 c9c90700  89 01 'x'",
        &[ping("'hi'"), ping(""), hello(), ping("'x'")],
    );
}

/// A message that is not compressed does not touch the window either.
#[test]
fn compressed_messages_and_others_may_alternate() {
    check(
        "81 02 'ab'  c1 07 f248cdc9c90700  01 01 'x'  80 01 'y'  c1 05 f200110000  82 01 00",
        &[text("ab"), hello(), text("xy"), hello(), binary("00")],
    );
}

#[test]
fn without_context_takeover_messages_refer_to_none_before() {
    let twice = wire("c1 07 f248cdc9c90700  c1 05 f200110000");
    check_with(no_takeover, &twice, &[hello(), corrupt()]);
}

#[test]
fn after_a_final_block_messages_go_on() {
    check_both("c1 08 f348cdc9c9070000  c1 07 f248cdc9c90700", &[hello(), hello()]);
    check("c1 08 f348cdc9c9070000  c1 05 f200110000", &[hello(), hello()]);
    check_both("c1 0e f348cdc9c90700f248cdc9c90700  81 00", &[text("HelloHello"), text("")]);
    check_both("c1 0b f348cdc9c90700deadbeef", &[corrupt()]);
}

#[test]
fn what_does_not_inflate_fails_with_1007() {
    for payload in ["", "f248cd", "ffffffff", "06", "0005 00fafe48656c6c6f00", "f200110000"] {
        let len = wire(payload).len();
        check_both(&format!("c1 {len:02x} {payload}"), &[corrupt()]);
        check_both(&format!("c2 {len:02x} {payload}"), &[corrupt()]);
        check_both(&format!("42 {len:02x} {payload}  80 00"), &[corrupt()]);
    }
}

#[test]
fn inflated_text_is_utf8_and_said_not_to_be_at_once() {
    // A block without compression: '€' cut between two frames, and between two messages.
    check_both("41 06 00 0300fcff e2  80 03 82ac 00", &[text("€")]);
    let invalid = || fail(Violation::InvalidUtf8);
    check_both("c1 07 00 0100feff e2 00  c1 07", &[invalid()]);
    // Before the message ends.
    check_both("41 06 00 0500faff ff", &[invalid()]);
    check_both("42 06 00 0100feff ff  80 01 00", &[binary("ff")]);
    // What is invalid comes before what is corrupt.
    check_both("c1 07 00 0100feff ff 06", &[invalid()]);
}

/// Returns the frame of a compressed binary message.
fn compressed(message: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(CompressorOptions::new(NO_TAKEOVER, Role::Server));
    let mut output = Vec::new();
    let message = Message::Binary(message);
    Encoder::new().compressed(message, &mut compressor, None, &mut output).unwrap();
    assert_eq!(output[0], 0xC2, "it is compressed");
    output
}

#[test]
fn the_limit_is_for_what_is_inflated() {
    let too_big = || fail(Violation::MessageTooBig);
    let zeros = |len: u64| vec![0; len as usize];
    check_with(no_takeover, &compressed(&zeros(LIMIT)), &[Received::Binary(zeros(LIMIT))]);
    check_with(no_takeover, &compressed(&zeros(LIMIT + 1)), &[too_big()]);
    check_with(takeover, &compressed(&zeros(LIMIT + 1)), &[too_big()]);
    // At the byte that is too many, whatever comes after it.
    check_with(
        || no_takeover().max_message_size(4),
        &wire("c2 0b 00 0500faff 48656c6c6f 06"),
        &[too_big()],
    );
    let text_first = wire("c1 0b 00 0500faff 48656c6cff 06");
    check_with(|| no_takeover().max_message_size(4), &text_first, &[too_big()]);
    // What does not become smaller may be longer than the limit on the wire, though not much.
    check_with(
        || no_takeover().max_message_size(5),
        &wire("c1 0b 00 0500faff 48656c6c6f 00"),
        &[hello()],
    );
    check_with(|| no_takeover().max_message_size(5), &wire("c2 7e 0500"), &[too_big()]);
}

#[test]
fn a_bomb_goes_off_within_the_limit() {
    let bomb = compressed(&vec![0; 10 << 20]);
    let input = masked(&bomb);
    let mut ways: Vec<Vec<&[u8]>> = [1, 7, 100, 1000].map(|cut| input.chunks(cut).collect()).into();
    ways.push(vec![&input]);
    // In fragments, with a Ping after each.
    let payload = &bomb[4..];
    let mut fragments = Vec::new();
    for (i, part) in payload.chunks(100).enumerate() {
        fragments.extend([if i == 0 { 0x42 } else { 0 }, part.len() as u8]);
        fragments.extend(part);
        fragments.extend([0x89, 0]);
    }
    let fragments = masked(&fragments);
    ways.push(vec![&fragments]);
    for parts in ways {
        for decoder in [no_takeover, takeover] {
            let received = run(decoder(), parts.clone());
            assert_eq!(received.last(), Some(&fail(Violation::MessageTooBig)));
            let received = run(decoder().in_pieces(), parts.clone());
            assert_eq!(received.last(), Some(&fail(Violation::MessageTooBig)));
        }
    }
    // Where so much is allowed, pieces of it are not much longer than what they are made of.
    let pieces = run(no_takeover().in_pieces().max_message_size(10 << 20), [&input[..]]);
    assert!(pieces.len() > 30);
    assert_eq!(joined(pieces), [Received::Binary(vec![0; 10 << 20])]);
}

#[test]
fn a_bomb_within_a_bomb_is_inflated_once() {
    let inner = compressed(&vec![0; 1 << 20]);
    let outer = compressed(&inner.repeat(3));
    check_with(no_takeover, &outer, &[Received::Binary(inner.repeat(3))]);
}

#[test]
fn a_decompressor_is_held_only_while_it_is_needed() {
    let mut decoder = no_takeover();
    let next = |decoder: &mut Decoder, frames: &str| {
        let mut input = masked(&wire(frames));
        decoder.next(&mut &mut input[..]).unwrap().map(Received::from)
    };
    assert!(decoder.reclaim_decompressor().is_none(), "none is made before there is a use for it");
    assert_eq!(next(&mut decoder, "81 01 'x'"), Some(text("x")));
    assert!(decoder.reclaim_decompressor().is_none());

    decoder.lend_decompressor(Box::default());
    assert_eq!(next(&mut decoder, "41 03 f248cd"), None);
    assert!(decoder.reclaim_decompressor().is_none(), "a message is in progress");
    assert_eq!(next(&mut decoder, "89 00"), Some(ping("")));
    assert!(decoder.reclaim_decompressor().is_none());
    assert_eq!(next(&mut decoder, "80 04 c9c90700"), Some(hello()));

    // Another decoder goes on with it, and knows nothing of what it did before.
    let spare = decoder.reclaim_decompressor().expect("the message is complete");
    let mut other = takeover();
    other.lend_decompressor(spare);
    assert_eq!(next(&mut other, "c1 07 f248cdc9c90700"), Some(hello()));
    assert!(other.reclaim_decompressor().is_none(), "the next message may refer to this one");
    assert_eq!(next(&mut other, "c1 05 f200110000"), Some(hello()));
    let mut rest = masked(&wire("88 00"));
    assert!(matches!(other.next(&mut &mut rest[..]), Ok(Some(Event::Close(None)))));
    let spare = other.reclaim_decompressor().expect("nothing follows");

    decoder.lend_decompressor(spare);
    let mut refers = masked(&wire("c1 05 f200110000"));
    assert_eq!(decoder.next(&mut &mut refers[..]), Err(Violation::CorruptDeflate));
    // Nor does what was corrupt.
    let spare = decoder.reclaim_decompressor().expect("nothing follows");
    let mut decoder = no_takeover();
    decoder.lend_decompressor(spare);
    assert_eq!(next(&mut decoder, "c1 07 f248cdc9c90700"), Some(hello()));
}

#[test]
fn clients_receive_compressed_messages_as_well() {
    let parameters =
        DeflateParameters { client_no_context_takeover: true, ..DeflateParameters::default() };
    let decoder = || Decoder::new(Role::Client).deflate(parameters);
    let input = wire("c1 07 f248cdc9c90700  c1 05 f200110000");
    for parts in deliveries(&input) {
        assert_eq!(run(decoder(), parts), [hello(), hello()]);
    }
}
