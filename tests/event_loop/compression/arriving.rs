//! What arrives compressed, whole or in whatever parts, and what is wrong with it.

use wsloop::testing::{Received, Rehearsal};
use wsloop::{CloseCause, Compression, Config, Delivery, Excess, Rate, RateLimit, Violation};

use super::{Log, close_code, compressed, compressor, connect, rehearse, words};
use crate::common::{masked, wire};

/// Both ways in which messages are delivered.
fn deliveries(compression: impl Into<Option<Compression>> + Copy) -> [Config; 2] {
    [Delivery::Messages, Delivery::Pieces]
        .map(|delivery| Config::new().compression(compression).delivery(delivery))
}

/// Checks what messages a client's frames are, wherever they are cut, and by both policies.
#[track_caller]
fn check(frames: &str, messages: &[&str]) {
    check_with(Compression::dedicated(), frames, messages);
    check_with(Compression::shared(), frames, messages);
}

#[track_caller]
fn check_with(compression: Compression, frames: &str, messages: &[&str]) {
    let frames = masked(&wire(frames));
    for config in deliveries(compression) {
        let mut play = Rehearsal::new(config, Log::default());
        for cut in 0..frames.len() {
            let client = connect(&mut play);
            play.send_raw(client, &frames[..cut]);
            play.send_raw(client, &frames[cut..]);
            let received = std::mem::take(&mut play.handler_mut().messages);
            assert_eq!(received, messages.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
            assert!(play.is_open(client), "cut at {cut}");
        }
        let client = connect(&mut play);
        frames.iter().for_each(|byte| play.send_raw(client, &[*byte]));
        assert_eq!(play.handler().messages.len(), messages.len(), "byte by byte");
        assert!(play.is_open(client));
    }
}

#[test]
fn the_examples_of_rfc_7692_section_7_2_3_are_understood() {
    // §7.2.3.1: one block, whole and in two frames.
    check("c1 07 f248cdc9c90700", &["Hello"]);
    check("41 03 f248cd  80 04 c9c90700", &["Hello"]);
    // §7.2.3.2: the second message refers to the first.
    check_with(
        Compression::dedicated(),
        "c1 07 f248cdc9c90700  c1 05 f200110000",
        &["Hello", "Hello"],
    );
    // §7.2.3.3 and 4: a block without compression, and one that says it is the last.
    check("c1 0b 000500faff 'Hello' 00", &["Hello"]);
    check("c1 08 f348cdc9c9070000", &["Hello"]);
    // §7.2.3.5: two blocks in a message.
    check("c1 0d f248050000 00ffff cac9c90700", &["Hello"]);
    // §7.2.3.6: an empty message.
    check("c1 01 00", &[""]);
}

#[test]
fn others_may_come_between_compressed_messages_and_pings_between_their_fragments() {
    check("41 03 f248cd  89 02 'hi'  80 04 c9c90700  81 02 'no'", &["Hello", "no"]);
    check("01 01 'a'  80 01 'b'  c1 07 f248cdc9c90700  8A 00  81 00", &["ab", "Hello", ""]);
    let (mut play, client) = rehearse(Config::new().compression(Compression::shared()));
    play.send_raw(client, &masked(&wire("41 03 f248cd  89 02 'hi'")));
    assert_eq!(play.receive(client), Some(Received::Pong(b"hi")), "in the middle of the message");
}

/// Checks how a connection fails, wherever its frames are cut.
#[track_caller]
fn check_violation(
    compression: Option<Compression>,
    frames: &str,
    (code, violation): (u16, Violation),
) {
    let frames = masked(&wire(frames));
    for config in deliveries(compression) {
        for cut in 0..frames.len() {
            let mut play = Rehearsal::new(config.clone(), Log::default());
            let offer = wsloop::testing::Opening::new("/").field(super::FIELD, super::OFFER);
            let client = play.connect(offer);
            play.send_raw(client, &frames[..cut]);
            play.send_raw(client, &frames[cut..]);
            assert_eq!(close_code(&mut play, client), code, "cut at {cut}");
            assert_eq!(play.handler().closed, [CloseCause::Violation(violation)]);
            assert!(play.handler().messages.is_empty());
        }
    }
}

#[test]
fn rsv1_is_for_the_first_frame_of_a_message_where_it_was_agreed_on() {
    let reserved = (1002, Violation::ReservedBits);
    for agreed in [Compression::shared(), Compression::dedicated()] {
        check_violation(Some(agreed), "41 03 f248cd  c0 04 c9c90700", reserved);
        check_violation(Some(agreed), "01 03 'Hel'  c0 04 c9c90700", reserved);
        check_violation(Some(agreed), "c9 00", reserved);
        check_violation(Some(agreed), "ca 00", reserved);
        check_violation(Some(agreed), "c8 00", reserved);
        check_violation(Some(agreed), "a1 07 f248cdc9c90700", reserved);
        check_violation(Some(agreed), "d1 07 f248cdc9c90700", reserved);
    }
    check_violation(None, "c1 07 f248cdc9c90700", reserved);
}

#[test]
fn what_does_not_inflate_or_is_no_text_fails_with_1007() {
    let corrupt = (1007, Violation::CorruptDeflate);
    for agreed in [Compression::shared(), Compression::dedicated()].map(Some) {
        check_violation(agreed, "c1 01 ff", corrupt);
        check_violation(agreed, "c1 00", corrupt);
        check_violation(agreed, "c1 06 f248cdc9c907", corrupt);
        // A reference to what was before the first message.
        check_violation(agreed, "c1 05 f200110000", corrupt);
        // Text that is none, and that ends inside a character.
        check_violation(agreed, "c1 07 000100feff FF 00", (1007, Violation::InvalidUtf8));
        check_violation(agreed, "c1 08 000200fdff E282 00", (1007, Violation::InvalidUtf8));
        // At once, although neither frame nor message is at its end.
        check_violation(agreed, "41 7d 000100feff FF", (1007, Violation::InvalidUtf8));
    }
}

/// What refers to an earlier message is corrupt where none may be referred to.
#[test]
fn without_context_takeover_nothing_before_a_message_is_known() {
    let (mut play, client) = rehearse(Config::new().compression(Compression::shared()));
    play.send_raw(client, &masked(&wire("c1 07 f248cdc9c90700  c1 05 f200110000")));
    assert_eq!(close_code(&mut play, client), 1007);
    assert_eq!(play.handler().messages, [b"Hello"]);
    // Not even what another peer sent, with the same decompressor.
    let other = connect(&mut play);
    play.send_raw(other, &masked(&wire("c1 05 f200110000")));
    assert_eq!(close_code(&mut play, other), 1007);
}

#[test]
fn many_peers_in_the_middle_of_messages_do_not_mix_them_up() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let (mut play, first) = rehearse(Config::new().compression(compression));
        let mut clients = vec![first];
        clients.extend((1..8).map(|_| connect(&mut play)));
        let (mut frames, mut expected) = (Vec::new(), Vec::new());
        for i in 0..clients.len() as u64 {
            let texts = [1, 2, 3].map(|part| words(500 + i as usize * 211, i * 3 + part));
            let mut compressor = compressor(compression == Compression::dedicated(), 15);
            let all = texts.each_ref().map(|text| compressed((&**text).into(), &mut compressor));
            frames.push(all.concat());
            expected.extend(texts.map(String::into_bytes));
        }
        for at in 0..frames.iter().map(Vec::len).max().unwrap().div_ceil(97) {
            for (client, frames) in clients.iter().zip(&frames) {
                play.send_raw(*client, frames.chunks(97).nth(at).unwrap_or_default());
            }
        }
        let mut received = std::mem::take(&mut play.handler_mut().messages);
        received.sort();
        expected.sort();
        assert!(received == expected);
    }
}

#[test]
fn the_limit_for_messages_is_for_what_is_inflated() {
    const LIMIT: usize = 1000;
    for compression in [Compression::shared(), Compression::dedicated()] {
        for config in deliveries(compression) {
            let (mut play, client) = rehearse(config.max_message_size(LIMIT as u64));
            let mut compressor = compressor(false, 15);
            let most = "x".repeat(LIMIT);
            play.send_raw(client, &compressed((&*most).into(), &mut compressor));
            assert_eq!(play.handler().messages, [most.as_bytes()]);
            let frame = compressed((&*(most + "x")).into(), &mut compressor);
            assert!(frame.len() < 30);
            play.send_raw(client, &frame);
            assert_eq!(close_code(&mut play, client), 1009);
            let too_big = CloseCause::Violation(Violation::MessageTooBig);
            assert_eq!(play.handler().closed, [too_big]);
        }
    }
}

/// What is limited is what is sent: bytes as they are on the wire, and messages whatever they inflate to.
#[test]
fn rates_are_those_of_what_is_sent() {
    let rate = |rate: RateLimit| {
        Config::new().compression(Compression::shared()).rate_limit(rate.excess(Excess::Close))
    };
    let frame = compressed((&*"x".repeat(100_000)).into(), &mut compressor(false, 15));
    assert!(frame.len() < 300);
    let second = |most| Rate::per_second(1).burst(most);
    let once = second(frame.len() as u64 + 20);
    let (mut play, client) = rehearse(rate(RateLimit::new().bytes(once)));
    play.send_raw(client, &frame);
    assert!(play.is_open(client) && play.handler().messages.len() == 1);
    play.send_raw(client, &frame);
    assert_eq!(close_code(&mut play, client), 1008);

    let (mut play, client) = rehearse(rate(RateLimit::new().messages(second(2))));
    play.send_raw(client, &frame.repeat(2));
    assert!(play.is_open(client) && play.handler().messages.len() == 2);
    play.send_raw(client, &frame);
    assert_eq!(close_code(&mut play, client), 1008);
    let stats = play.peers().stats();
    assert_eq!((stats.messages.received, stats.closed.rate_limit), (2, 1));
    assert!(stats.bytes.received < 2000, "as they are on the wire");
}
