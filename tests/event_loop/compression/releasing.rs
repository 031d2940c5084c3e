//! What is given up after a while, and not missed afterwards. How much memory that is, is counted in
//! `tests/compression_allocations.rs`.

use std::time::Duration;

use wsloop::testing::{Opening, Rehearsal};
use wsloop::{Compression, Config, Delivery};

use super::{FIELD, Log, compressed, compressor, noise, rehearse, words};
use crate::common::{masked, wire};

const AFTER: Duration = Duration::from_secs(10);

fn releasing() -> Config {
    let compression = Compression::dedicated().release_after(Some(AFTER));
    Config::new().compression(compression).ping_interval(None).idle_timeout(None)
}

#[test]
fn messages_may_refer_to_what_was_before_however_far_the_window_goes() {
    for bits in 9..=15 {
        for delivery in [Delivery::Messages, Delivery::Pieces] {
            let compression = Compression::dedicated().window_bits(bits).release_after(Some(AFTER));
            let config = Config::new().compression(compression).delivery(delivery);
            let mut play = Rehearsal::new(config, Log::default());
            let offer = "permessage-deflate; client_max_window_bits";
            let client = play.connect(Opening::new("/").field(FIELD, offer));
            let mut compressor = compressor(true, bits);
            // zlib goes 262 bytes less far than the window, and what is further back is no loss.
            let far = noise((1 << bits) - 262, u64::from(bits));
            let mut lens = Vec::new();
            for before in [0, 3, 70_000, 0] {
                let old = noise(before, 99);
                if before > 0 {
                    play.send_raw(client, &compressed((&old).into(), &mut compressor));
                    play.send_raw(client, &compressed((&far).into(), &mut compressor));
                }
                play.advance(AFTER);
                let frame = compressed((&far).into(), &mut compressor);
                lens.push(frame.len());
                play.handler_mut().messages.clear();
                play.send_raw(client, &frame);
                assert!(play.handler().messages == [&far[..]], "{bits} bits, {before} before");
                // What was released once is released again.
                play.advance(AFTER * 3);
            }
            assert!(lens[1..].iter().all(|len| *len < lens[0] / 2), "it is far back: {lens:?}");
        }
    }
}

#[test]
fn a_message_in_progress_goes_on() {
    let config = releasing().message_timeout(Some(AFTER * 10));
    for delivery in [Delivery::Messages, Delivery::Pieces] {
        let (mut play, client) = rehearse(config.clone().delivery(delivery));
        let mut compressor = compressor(true, 15);
        let texts = [words(5000, 1), words(5000, 2), words(5000, 3)];
        for text in &texts {
            let frame = compressed((&**text).into(), &mut compressor);
            for part in frame.chunks(frame.len() / 3 + 1) {
                play.send_raw(client, part);
                play.advance(AFTER * 2);
            }
        }
        let received = &play.handler().messages;
        assert!(
            texts.iter().map(|text| text.as_bytes()).eq(received.iter().map(|bytes| &bytes[..]))
        );
    }
}

#[test]
fn neither_is_a_header_or_a_plain_message_in_progress_disturbed() {
    let (mut play, client) = rehearse(releasing().message_timeout(Some(AFTER * 10)));
    let frames = masked(&wire(
        "c1 07 f248cdc9c90700  c1 05 f200110000  01 02 'ab'  80 02 'cd'  c1 05 f200110000",
    ));
    for byte in frames {
        play.send_raw(client, &[byte]);
        play.advance(AFTER);
    }
    assert_eq!(play.handler().messages, [&b"Hello"[..], b"Hello", b"abcd", b"Hello"]);
}

/// A peer that comes in the place of another has nothing of it.
#[test]
fn whoever_is_gone_is_forgotten() {
    let (mut play, client) = rehearse(releasing());
    play.send_raw(client, &masked(&wire("c1 07 f248cdc9c90700")));
    play.advance(AFTER / 2);
    play.reset(client);
    let successor = super::connect(&mut play);
    play.send_raw(successor, &masked(&wire("c1 07 f248cdc9c90700")));
    play.advance(AFTER / 2 + AFTER / 4);
    play.send_raw(successor, &masked(&wire("c1 05 f200110000")));
    play.advance(AFTER * 10);
    play.send_raw(successor, &masked(&wire("c1 05 f200110000")));
    assert_eq!(play.handler().messages, [b"Hello"; 4]);
}
