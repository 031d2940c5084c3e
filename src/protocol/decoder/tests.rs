use super::*;
use crate::protocol::wire::{
    Received, binary, close, deliveries, fail, masked, ping, pong, text, wire,
};

mod properties;

const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// Delivers `parts` and returns what is received, and the violation again if there was one.
fn run<'a>(decoder: &mut Decoder, parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Received> {
    let mut received = Vec::new();
    for part in parts {
        let mut part = part.to_vec();
        let mut input = &mut part[..];
        loop {
            match decoder.next(&mut input) {
                Ok(Some(event)) => received.push(event.into()),
                Ok(None) => break,
                Err(violation) => received.push(fail(violation)),
            }
        }
        assert!(input.is_empty(), "None means that the input is used up");
    }
    received
}

/// Joins the pieces of each message. What comes of a message that is never finished is dropped.
fn joined(received: Vec<Received>) -> Vec<Received> {
    let (mut events, mut data, mut begun) = (Vec::new(), Vec::new(), false);
    for event in received {
        match event {
            Received::Piece(is_text, piece, first, last) => {
                assert_eq!(first, !begun, "a piece is the first one or continues a message");
                assert!(last || !piece.is_empty(), "only the last piece may be empty");
                begun = !last;
                data.extend(&piece);
                if is_text {
                    assert!(str::from_utf8(&piece).is_ok(), "no character is split");
                }
                if last {
                    let data = mem::take(&mut data);
                    let text = |data| Received::Text(String::from_utf8(data).unwrap());
                    events.push(if is_text { text(data) } else { Received::Binary(data) });
                }
            }
            Received::Text(_) | Received::Binary(_) => panic!("not in pieces: {event:?}"),
            event => events.push(event),
        }
    }
    events
}

/// Returns the frames of a server as the remote endpoint of `role` sends them.
fn as_sent_to(role: Role, frames: &[u8]) -> Vec<u8> {
    match role {
        Role::Server => masked(frames),
        Role::Client => frames.to_vec(),
    }
}

/// Checks what is received of frames, which are given as servers send them: in both roles, whole
/// and in pieces, in all deliveries.
#[track_caller]
fn check(frames: &str, expected: &[Received]) {
    for role in ROLES {
        let input = as_sent_to(role, &wire(frames));
        for parts in deliveries(&input) {
            let decoder = || Decoder::new(role).max_message_size(1000);
            let received = run(&mut decoder(), parts.iter().copied());
            assert_eq!(received, expected, "{role:?} gets {frames} as {parts:02X?}");
            let received = run(&mut decoder().in_pieces(), parts.iter().copied());
            assert_eq!(joined(received), expected, "{role:?} gets {frames} in pieces");
        }
    }
}

/// Checks that it is the last byte of `header` at which the frame fails, after `frames`.
///
/// Neither a masking key nor any payload is sent.
#[track_caller]
fn check_header(frames: &str, header: &str, violation: Violation) {
    for role in ROLES {
        let mut decoder = Decoder::new(role).max_message_size(1000);
        let received = run(&mut decoder, [&as_sent_to(role, &wire(frames))[..]]);
        assert!(!received.iter().any(|event| matches!(event, Received::Violation(_))));

        let mut header = wire(header);
        if let (Role::Server, Some(second)) = (role, header.get_mut(1)) {
            *second |= 0x80;
        }
        let (last, before) = header.split_last().unwrap();
        assert_eq!(run(&mut decoder, before.chunks(1)), [], "{role:?}, too early");
        assert_eq!(run(&mut decoder, [&[*last][..]]), [fail(violation)], "{role:?}");
        // And in one go: the same violation, not another one that is in there too.
        let input = [as_sent_to(role, &wire(frames)), header].concat();
        let mut decoder = Decoder::new(role).max_message_size(1000);
        assert_eq!(run(&mut decoder, [&input[..]]).last(), Some(&fail(violation)), "{role:?}");
    }
}

#[test]
fn whole_messages() {
    check("81 05 'Hello'", &[text("Hello")]);
    check("82 03 00FF80", &[binary("00FF80")]);
    check("81 00  82 00", &[text(""), binary("")]);
    check("81 03 E282AC  81 04 F09FA680", &[text("€"), text("🦀")]);
}

#[test]
fn lengths_in_16_bits() {
    for len in [126, 127, 1000] {
        let data = "x".repeat(len);
        check(&format!("81 7E {len:04X} '{data}'"), &[text(&data)]);
        check(&format!("02 7E {len:04X} '{data}'  80 00"), &[Received::Binary(data.into())]);
    }
}

#[test]
fn lengths_in_64_bits() {
    for len in [65_536, 65_537] {
        let frame = [wire(&format!("82 7F {len:016X}")), vec![0xA5; len]].concat();
        for role in ROLES {
            let input = as_sent_to(role, &frame);
            for size in [usize::MAX, 65_536, 1000, 1] {
                let received = run(&mut Decoder::new(role), input.chunks(size.min(input.len())));
                assert_eq!(received, [Received::Binary(vec![0xA5; len])]);
            }
        }
    }
}

/// §5.6: binary data is arbitrary.
#[test]
fn all_byte_values_are_binary_data() {
    let bytes: Vec<u8> = (0..=255).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    check(&format!("82 7E 0100 {hex}"), &[Received::Binary(bytes.clone())]);
    check(&format!("02 01 00  80 7E 00FF {}", &hex[2..]), &[Received::Binary(bytes)]);
}

#[test]
fn fragmentation() {
    check("01 03 'Hel'  80 02 'lo'", &[text("Hello")]);
    check("02 01 80  00 01 81  80 01 82", &[binary("808182")]);
    // Fragments may be empty: all of them, the first, one between, the last.
    check("01 00  80 00", &[text("")]);
    check("01 00  80 01 'x'", &[text("x")]);
    check("01 01 'x'  00 00  80 01 'y'", &[text("xy")]);
    check("02 01 'x'  80 00", &[binary("'x'")]);
    // A frame may end inside a character, as long as the message does not.
    check("01 01 E2  80 02 82AC", &[text("€")]);
    check("01 01 F0  00 01 9F  00 00  00 01 A6  80 01 80", &[text("🦀")]);
    check("01 03 'aE2' 80 02 'xy'", &[text("aE2xy")]);
    // The next message begins afresh.
    check(
        "01 01 'x'  80 01 'y'  82 01 FF  02 01 'a'  80 00",
        &[text("xy"), binary("FF"), binary("'a'")],
    );
    let fragments = format!("01 00 {} 80 00", "00 01 'x' ".repeat(300));
    check(&fragments, &[text(&"x".repeat(300))]);
}

/// §5.4: "Control frames [...] MAY be injected in the middle of a fragmented message."
#[test]
fn control_frames_between_fragments() {
    check("01 02 'He'  89 01 'p'  80 03 'llo'", &[ping("'p'"), text("Hello")]);
    check(
        "01 01 F0  8A 00  00 01 9F  89 02 FF80  80 02 A680",
        &[pong(""), ping("FF80"), text("🦀")],
    );
    check("02 01 'x'  88 02 03E8", &[close(1000, "")]);
}

#[test]
fn ping_and_pong() {
    check("89 00  8A 00", &[ping(""), pong("")]);
    check("89 05 'Hello'  8A 02 00FF", &[ping("'Hello'"), pong("00FF")]);
    let longest = "x".repeat(125);
    check(&format!("89 7D '{longest}'"), &[ping(&format!("'{longest}'"))]);
    check(&format!("8A 7D '{longest}'"), &[pong(&format!("'{longest}'"))]);
}

#[test]
fn close_with_and_without_a_body() {
    check("88 00", &[Received::Close(None)]);
    check("88 02 03E8", &[close(1000, "")]);
    check("88 05 0BB8 'bye'", &[close(3000, "bye")]);
    let longest = "x".repeat(123);
    check(&format!("88 7D 1387 '{longest}'"), &[close(4999, &longest)]);

    check("88 01 03", &[fail(Violation::TruncatedCloseCode)]);
    check("88 02 03ED", &[fail(Violation::InvalidCloseCode)]);
    check("88 03 03E8 FF", &[fail(Violation::InvalidCloseReason)]);
    check("88 04 03E8 E282", &[fail(Violation::InvalidCloseReason)]);
}

/// All 65,536, against what IANA lists as sendable.
#[test]
fn close_codes() {
    for code in 0..=u16::MAX {
        let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected = [if valid { close(code, "") } else { fail(Violation::InvalidCloseCode) }];
        let frame = [&[0x88, 2][..], &code.to_be_bytes()].concat();
        assert_eq!(run(&mut Decoder::new(Role::Client), [&frame[..]]), expected);
        assert_eq!(run(&mut Decoder::new(Role::Server), masked(&frame).chunks(1)), expected);
    }
}

/// §7.1.7 and §5.5.1: neither a reply nor an event, whatever comes.
#[test]
fn all_is_discarded_after_a_close_or_a_violation() {
    check("88 00  81 01 'x'", &[Received::Close(None)]);
    check("01 01 'x'  88 00  80 01 'y'  88 00", &[Received::Close(None)]);
    check("80 00  81 01 'x'  88 00", &[fail(Violation::UnexpectedContinuation)]);
    check("88 01 03  88 00", &[fail(Violation::TruncatedCloseCode)]);
    check("81 01 FF  81 01 'x'", &[fail(Violation::InvalidUtf8)]);

    let mut decoder = Decoder::new(Role::Client);
    assert_eq!(run(&mut decoder, [&wire("83")[..]]), [fail(Violation::ReservedOpcode)]);
    for _ in 0..10_000 {
        assert_eq!(run(&mut decoder, [&wire("81 01 'x'")[..]]), []);
    }
    assert!(decoder.is_between_messages());
}

/// §5.4 leaves room to deliver what came before the violation, in the same segment.
#[test]
fn events_before_a_violation_are_delivered() {
    check(
        "81 01 'x'  89 01 'y'  82 01 'z'  8B 00",
        &[text("x"), ping("'y'"), binary("'z'"), fail(Violation::ReservedOpcode)],
    );
}

/// §5.2: "MUST be 0 unless an extension is negotiated".
#[test]
fn reserved_bits_fail_at_the_first_byte() {
    for opcode in ["1", "2", "8", "9", "A"] {
        for bits in ["9", "A", "B", "C", "D", "E", "F"] {
            check_header("", &format!("{bits}{opcode}"), Violation::ReservedBits);
        }
        check_header("", &format!("4{opcode}"), Violation::ReservedBits);
    }
    check_header("01 01 'x'", "C0", Violation::ReservedBits);
    check_header("01 01 'x'", "C9", Violation::ReservedBits);
}

#[test]
fn reserved_opcodes_fail_at_the_first_byte() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for fin in [0x00, 0x80] {
            check_header("", &format!("{:02X}", fin | opcode), Violation::ReservedOpcode);
            // CVE-2026-19204: no payload is waited for, however long.
            for len in ["00", "05", "7E 007E", "7F 0000010000000000"] {
                let frame = format!("{:02X} {len}", fin | opcode);
                check(&frame, &[fail(Violation::ReservedOpcode)]);
            }
        }
    }
}

#[test]
fn fragmented_control_frames_fail_at_the_first_byte() {
    for first in ["08", "09", "0A"] {
        check_header("", first, Violation::FragmentedControlFrame);
        check_header("02 00", first, Violation::FragmentedControlFrame);
    }
}

#[test]
fn fragments_out_of_order_fail_at_the_first_byte() {
    for first in ["00", "80"] {
        check_header("", first, Violation::UnexpectedContinuation);
        check_header("81 01 'x'", first, Violation::UnexpectedContinuation);
        check_header("01 01 'x'  80 00", first, Violation::UnexpectedContinuation);
    }
    for first in ["01", "02", "81", "82"] {
        check_header("01 01 'x'", first, Violation::UnfinishedMessage);
        check_header("02 00", first, Violation::UnfinishedMessage);
        check_header("01 00  00 01 'x'  89 00", first, Violation::UnfinishedMessage);
    }
}

/// §5.1: a client masks all frames, a server none. It is judged at the second byte.
#[test]
fn masking_is_for_clients() {
    for first in ["81", "82", "01", "88", "89", "8A"] {
        for len in [0x00, 0x05, 0x7E, 0x7F] {
            let byte = wire(first)[0];
            let mut server = Decoder::new(Role::Server);
            assert_eq!(run(&mut server, [&[byte][..]]), []);
            assert_eq!(run(&mut server, [&[len][..]]), [fail(Violation::UnmaskedFrame)]);
            let mut client = Decoder::new(Role::Client);
            assert_eq!(run(&mut client, [&[byte][..]]), []);
            assert_eq!(run(&mut client, [&[0x80 | len][..]]), [fail(Violation::MaskedFrame)]);
        }
    }
    let hello = "81 85 37fa213d 7f9f4d5158";
    assert_eq!(run(&mut Decoder::new(Role::Server), [&wire(hello)[..]]), [text("Hello")]);
}

#[test]
fn long_control_frames_fail_at_the_second_byte() {
    for first in ["88", "89", "8A"] {
        for second in ["7E", "7F"] {
            check_header("", &format!("{first} {second}"), Violation::ControlFrameTooLong);
            check_header("01 00", &format!("{first} {second}"), Violation::ControlFrameTooLong);
        }
    }
}

/// §5.2: "the minimal number of bytes MUST be used". No masking key is waited for.
#[test]
fn lengths_in_a_longer_form_than_needed_fail_once_they_are_there() {
    for len in [0, 1, 5, 125] {
        check_header("", &format!("82 7E {len:04X}"), Violation::NonMinimalLength);
    }
    for len in [0, 125, 126, 65_535] {
        check_header("", &format!("81 7F {len:016X}"), Violation::NonMinimalLength);
    }
    check_header("01 01 'x'", "80 7E 0001", Violation::NonMinimalLength);
}

/// Malformed rather than too big: 1002, not 1009.
#[test]
fn a_length_with_its_most_significant_bit_set_fails() {
    for len in ["8000000000000000", "8000000000000001", "FFFFFFFFFFFFFFFF"] {
        check_header("", &format!("82 7F {len}"), Violation::LengthOverflow);
        check_header("01 01 'x'", &format!("80 7F {len}"), Violation::LengthOverflow);
    }
}

/// §10.4. The limit in these tests is 1000 bytes.
#[test]
fn a_message_over_the_limit_fails_from_the_header_that_crosses_it() {
    check_header("", "82 7E 03E9", Violation::MessageTooBig);
    check_header("", "01 7F 7FFFFFFFFFFFFFFF", Violation::MessageTooBig);

    let data = "x".repeat(600);
    let first = format!("01 7E 0258 '{data}'");
    check_header(&first, "00 7E 0191", Violation::MessageTooBig);
    check(&format!("{first} 80 7E 0190 '{}'", &data[..400]), &[text(&"x".repeat(1000))]);
    // Each message counts by itself, and control frames not at all.
    check(
        &format!("{first} 89 01 'p' 80 00  {first} 80 00"),
        &[ping("'p'"), text(&data), text(&data)],
    );
    // CVE-2020-27813: a running total that would wrap.
    check_header("01 01 'x'", "80 7F 7FFFFFFFFFFFFFFF", Violation::MessageTooBig);
}

#[test]
fn totals_do_not_wrap_without_a_limit() {
    let mut decoder = Decoder::new(Role::Client).max_message_size(u64::MAX).in_pieces();
    decoder.message = Some(InProgress {
        content: Content::Binary,
        size: u64::MAX - 1,
        begun: true,
        compressed: false,
    });
    assert_eq!(run(&mut decoder, [&wire("00 01 'x'  00 00")[..]]).len(), 1);
    let received = run(&mut decoder, [&wire("00 01")[..]]);
    assert_eq!(received, [fail(Violation::MessageTooBig)]);
}

#[test]
fn a_limit_of_nothing_lets_empty_messages_through() {
    let mut decoder = Decoder::new(Role::Client).max_message_size(0);
    let received = run(&mut decoder, [&wire("81 00  02 00  80 00  89 01 'p'  81 01")[..]]);
    let expected = [text(""), binary(""), ping("'p'"), fail(Violation::MessageTooBig)];
    assert_eq!(received, expected);
}

#[test]
fn text_is_utf8() {
    for invalid in [
        "FF",
        "80",
        "C080",
        "C1BF",
        "E08080",
        "EDA080",
        "EDBFBF",
        "F08080AF",
        "F4908080",
        "F5",
        "F888808080",
        "'a' E2 'b'",
        "E28228",
    ] {
        let payload = wire(invalid);
        let hex: Vec<String> = payload.iter().map(|byte| format!("{byte:02X}")).collect();
        check(
            &format!("81 {:02X} {}", payload.len(), hex.concat()),
            &[fail(Violation::InvalidUtf8)],
        );
        // In fragments of one byte each.
        let fragments = format!("01 00  00 01 {}  80 00", hex.join(" 00 01 "));
        check(&fragments, &[fail(Violation::InvalidUtf8)]);
    }
    for valid in ["\0", "\u{7F}", "\u{FEFF}", "\u{FFFE}", "\u{FFFF}", "\u{10FFFF}", "\u{D7FF}"] {
        check(&format!("81 {:02X} '{valid}'", valid.len()), &[text(valid)]);
    }
}

#[test]
fn text_that_ends_inside_a_character_fails_at_its_end() {
    for cut in ["E2", "E282", "F09FA6", "'x' C3"] {
        let len = wire(cut).len();
        check(&format!("81 {len:02X} {cut}"), &[fail(Violation::InvalidUtf8)]);
        check(&format!("01 {len:02X} {cut}  80 00"), &[fail(Violation::InvalidUtf8)]);
        check(&format!("01 {len:02X} {cut}  80 01 'x'"), &[fail(Violation::InvalidUtf8)]);
    }
}

/// §8.1, and Autobahn 6.4: not at the end of the message, nor of the frame.
#[test]
fn invalid_text_fails_at_the_first_impossible_byte() {
    for role in ROLES {
        // Of a frame of 100 bytes only 13 come.
        for tail in ["FF", "C0", "E2 28", "ED A0", "F4 90"] {
            let tail = wire(tail);
            let frame = [&wire("01 64 'twelve bytes'")[..], &tail].concat();
            let input = as_sent_to(role, &frame);
            for size in [1, 5, input.len()] {
                let mut decoder = Decoder::new(role);
                let (last, before) = input.split_last().unwrap();
                assert_eq!(run(&mut decoder, before.chunks(size)), []);
                assert_eq!(run(&mut decoder, [&[*last][..]]), [fail(Violation::InvalidUtf8)]);
            }
        }
    }
}

#[test]
fn pieces_come_as_they_arrive() {
    let piece = |data: &str, first, last| Received::Piece(true, wire(data), first, last);
    let mut decoder = Decoder::new(Role::Client).in_pieces();
    let mut receive = |input: &str| run(&mut decoder, [&wire(input)[..]]);

    assert_eq!(receive("81 03 'abc'"), [piece("'abc'", true, true)]);
    assert_eq!(receive("81 00"), [piece("", true, true)]);
    assert_eq!(receive("01 0B 'abc'"), [piece("'abc'", true, false)]);
    assert_eq!(receive("'de'"), [piece("'de'", false, false)]);
    // A character that is cut comes when it is complete, by itself.
    assert_eq!(receive("'f' F09F"), [piece("'f'", false, false)]);
    assert_eq!(receive("A6"), []);
    assert_eq!(receive("80 'g'  00 00"), [piece("'🦀'", false, false), piece("'g'", false, false)]);
    // Control frames come between pieces, and a piece at the end may be empty.
    assert_eq!(receive("89 00  80 00"), [ping(""), piece("", false, true)]);
    // The completed character ends the message.
    assert_eq!(receive("81 03 E2"), []);
    assert_eq!(receive("82AC"), [piece("'€'", true, true)]);
    assert_eq!(receive("81 01 E2"), [fail(Violation::InvalidUtf8)]);
}

/// Frames that are whole in the input cost neither a copy nor an allocation.
#[test]
fn whole_frames_are_lent_from_the_input() {
    for frame in ["81 05 'Hello'", "82 05 'Hello'", "89 05 'Hello'", "8A 05 'Hello'"] {
        // The header may have come before.
        for header_cut in 0..=6 {
            let mut input = masked(&wire(frame));
            let (start, end) = input.split_at_mut(header_cut);
            let mut decoder = Decoder::new(Role::Server);
            assert_eq!(decoder.next(&mut &mut *start), Ok(None));
            let place = end[6 - header_cut..].as_ptr();
            let data = match decoder.next(&mut &mut *end) {
                Ok(Some(Event::Message(message))) => message.as_bytes(),
                Ok(Some(Event::Ping(payload) | Event::Pong(payload))) => payload,
                other => panic!("{other:?}"),
            };
            assert_eq!((data, data.as_ptr()), (&b"Hello"[..], place));
            assert_eq!((decoder.buffer.capacity(), decoder.control.capacity()), (0, 0));
        }
    }
}

/// CVE-2022-35922: memory follows what arrived, not what is announced.
#[test]
fn memory_follows_bytes_received() {
    for opcode in ["01", "81", "82"] {
        let mut decoder = Decoder::new(Role::Client).max_message_size(u64::MAX);
        run(&mut decoder, [&wire(&format!("{opcode} 7F 7FFFFFFFFFFFFFFF"))[..]]);
        assert_eq!(decoder.buffer.capacity(), 0);
        for received in 1..10_000 {
            run(&mut decoder, [&b"x"[..]]);
            let capacity = decoder.buffer.capacity();
            assert!(capacity <= 2 * received + 16, "{capacity} for {received}");
        }
    }
}

/// CVE-2026-48779: fragments without data leave no trace, one byte each costs one byte.
#[test]
fn tiny_fragments_do_not_amplify() {
    let mut decoder = Decoder::new(Role::Client);
    assert_eq!(run(&mut decoder, [&wire("02 00")[..]]), []);
    let empty = wire("00 00").repeat(100_000);
    assert_eq!(run(&mut decoder, [&empty[..]]), []);
    assert_eq!(decoder.buffer.capacity(), 0);
    let tiny = wire("00 01 'x'").repeat(100_000);
    assert_eq!(run(&mut decoder, [&tiny[..]]), []);
    assert!(decoder.buffer.capacity() <= 200_000);
    let received = run(&mut decoder, [&wire("80 00")[..]]);
    assert_eq!(received, [Received::Binary(vec![b'x'; 100_000])]);
}

#[test]
fn a_cut_message_takes_no_more_memory_than_it_has_data() {
    for (first_byte, fill) in [(0x81, b'x'), (0x82, 0xFF)] {
        let len = 1_000_001;
        let frame = [wire(&format!("{first_byte:02X} 7F {len:016X}")), vec![fill; len]].concat();
        let mut decoder = Decoder::new(Role::Client);
        assert_eq!(run(&mut decoder, frame.chunks(65_536)).len(), 1);
        assert_eq!(decoder.buffer.capacity(), len);
    }
}

#[test]
fn a_buffer_can_be_lent_and_reclaimed() {
    let mut decoder = Decoder::new(Role::Client);
    assert_eq!(decoder.reclaim_buffer(), None, "there is none");

    let mut spare = Vec::with_capacity(100);
    spare.extend_from_slice(b"forget me");
    let place = spare.as_ptr();
    decoder.lend_buffer(spare);
    for (frames, message) in [("01 01 'x'  80 01 'y'", text("xy")), ("02 00  80 00", binary(""))] {
        assert_eq!(run(&mut decoder, [&wire(frames)[..]]), [message]);
    }
    decoder.lend_buffer(Vec::with_capacity(1000));
    let reclaimed = decoder.reclaim_buffer().unwrap();
    assert_eq!((reclaimed.as_ptr(), reclaimed.len(), reclaimed.capacity()), (place, 0, 100));
    assert_eq!(decoder.reclaim_buffer(), None, "it is given back once");
}

#[test]
fn a_buffer_in_use_is_not_given_back() {
    let mut decoder = Decoder::new(Role::Client);
    run(&mut decoder, [&wire("01 02 E282")[..]]);
    decoder.lend_buffer(Vec::with_capacity(100));
    assert_eq!(decoder.reclaim_buffer(), None);
    assert_eq!(run(&mut decoder, [&wire("80 01 AC")[..]]), [text("€")]);
    assert!(decoder.reclaim_buffer().is_some());

    // What is no longer needed is, though.
    for end in ["88 00", "FF"] {
        let mut decoder = Decoder::new(Role::Client);
        run(&mut decoder, [&wire("02 01 'x'")[..], &wire(end)]);
        assert!(decoder.reclaim_buffer().is_some());
    }
}

/// A message may be lent a buffer after it has begun, before any of its data is there.
#[test]
fn a_buffer_comes_in_time_for_the_first_byte() {
    let mut decoder = Decoder::new(Role::Client);
    run(&mut decoder, [&wire("01 00")[..]]);
    decoder.lend_buffer(Vec::with_capacity(100));
    assert_eq!(run(&mut decoder, [&wire("80 01 'x'")[..]]), [text("x")]);
    assert_eq!(decoder.reclaim_buffer().map(|buffer| buffer.capacity()), Some(100));
}

#[test]
fn between_messages_nothing_is_pending() {
    let mut decoder = Decoder::new(Role::Client);
    assert!(decoder.is_between_messages());
    for pending in ["81", "02", "'x'", "", "89", "01", "'p'", "00 00", "80"] {
        // The first of these completes the header of an empty text message.
        if pending == "02" {
            run(&mut decoder, [&wire("00")[..]]);
            assert!(decoder.is_between_messages());
            run(&mut decoder, [&wire("02 01")[..]]);
        } else {
            run(&mut decoder, [&wire(pending)[..]]);
        }
        assert!(!decoder.is_between_messages(), "after {pending}");
    }
    assert_eq!(run(&mut decoder, [&wire("00")[..]]), [binary("'x'")]);
    assert!(decoder.is_between_messages());
}

/// An idle connection holds one of these.
#[test]
fn a_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 128, "{}", size_of::<Decoder>());
}
