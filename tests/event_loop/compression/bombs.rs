//! Little that inflates to a lot. How much memory it takes is counted in
//! `tests/compression_allocations.rs`.

use std::time::Duration;

use wsloop::protocol::Encoder;
use wsloop::testing::{ClientId, Received, Rehearsal};
use wsloop::{CloseCause, CloseCode, Compression, Config, Delivery, Violation};

use super::{Log, close_code, compressed, compressor, connect, rehearse};
use crate::common::{frame, masked, wire};

/// The frame in which so many zeros are sent.
fn zeros(len: usize) -> Vec<u8> {
    compressed((&vec![0; len]).into(), &mut compressor(false, 15))
}

/// Both policies, and both ways to deliver.
fn configs() -> impl Iterator<Item = Config> {
    [Compression::shared(), Compression::dedicated()].into_iter().flat_map(|compression| {
        [Delivery::Messages, Delivery::Pieces]
            .map(|delivery| Config::new().compression(compression).delivery(delivery))
    })
}

/// How much has been delivered of a message that has not come to its end.
fn pieces(play: &Rehearsal<Log>) -> usize {
    play.handler().pieces.iter().map(|(_, pieces)| pieces.len()).sum()
}

#[test]
fn a_bomb_fails_with_1009_whole_and_in_fragments() {
    let bomb = zeros(5_000_000);
    assert!(bomb.len() < 5000);
    let mut payload = Vec::new();
    let mut compressor = compressor(false, 15);
    let message = vec![0; 5_000_000];
    Encoder::new().compressed((&message).into(), &mut compressor, None, &mut payload).unwrap();
    let mut fragments = Vec::new();
    for (i, part) in payload[4..].chunks(50).enumerate() {
        fragments.extend(frame(if i == 0 { 0x42 } else { 0 }, part));
        fragments.extend(wire("89 00"));
    }
    for config in configs() {
        for limit in [8 << 10, 1 << 20] {
            for frames in [&bomb, &masked(&fragments)] {
                let (mut play, client) = rehearse(config.clone().max_message_size(limit));
                play.send_raw(client, frames);
                let close = std::iter::from_fn(|| match play.receive(client)? {
                    Received::Close(code, _) => Some(code),
                    _ => Some(0),
                });
                assert_eq!(close.max(), Some(1009));
                let too_big = CloseCause::Violation(Violation::MessageTooBig);
                assert_eq!(play.handler().closed, [too_big]);
                assert!(play.handler().messages.is_empty());
                assert!(pieces(&play) as u64 <= limit);
            }
        }
    }
}

/// RFC 7692 §7.2.3.4 allows for final blocks in the middle, each of which takes some time.
#[test]
fn a_message_has_no_more_than_512_final_blocks() {
    for config in configs() {
        let (mut play, client) = rehearse(config);
        let empty = |blocks: usize| masked(&frame(0xC1, &[0x03, 0x00].repeat(blocks)));
        play.send_raw(client, &empty(512).repeat(2));
        assert_eq!(play.handler().messages, [b"", b""]);
        play.send_raw(client, &empty(513));
        assert_eq!(close_code(&mut play, client), 1007);
    }
}

/// What one read has brought may take a thousand times as long to inflate as to read.
#[cfg(unix)]
#[test]
fn a_neighbour_is_served_while_others_inflate() {
    use crate::common::{Door, Script, turn_until};

    for compression in [Compression::shared(), Compression::dedicated()] {
        for (len, most) in [(60_000, 20), (0, 1100)] {
            let (mut script, told) = Script::echo();
            script.on_message = Box::new(|peer, message| {
                if message.len() == 2 {
                    peer.send(message);
                }
            });
            let (mut event_loop, door) = Door::new(Config::new().compression(compression));
            let mut neighbour = door.open(&mut event_loop, &mut script);
            let mut firehose = door.connect();
            firehose.write(super::request(super::OFFER));
            turn_until(&mut event_loop, &mut script, |_, _| firehose.has_input());
            firehose.read_head();
            told.so_far();

            let message = if len == 0 { masked(&wire("c2 01 00")) } else { zeros(len) };
            let messages = 60_000 / message.len();
            firehose.write(message.repeat(messages));
            let (mut heard, mut turns) = (0, 0);
            while heard < messages {
                neighbour.send("82 02 'hi'");
                event_loop.turn(&mut script, None).unwrap();
                assert!(neighbour.has_input(), "served in this turn");
                neighbour.expect("82 02 'hi'");
                let now = told.so_far().iter().filter(|told| *told != "binary hi").count();
                assert!(now <= most, "{now} messages in a turn");
                heard += now;
                turns += 1;
                assert!(turns < 1000, "the rest is forgotten");
            }
            assert!(turns >= 5, "{turns} turns for {messages} messages");
        }
    }
}

/// A read may hold a thousand short messages, each of which takes a hundred times as long to answer
/// as without compression, or long ones in little space.
#[cfg(unix)]
#[test]
fn a_neighbour_is_served_while_others_are_answered() {
    use crate::common::{Door, Script, turn_until};

    let short = (masked(&frame(0x82, &[b'a'; 65])), 900, 130);
    let long = (zeros(60_000), 40, 3);
    for compression in [Compression::shared(), Compression::dedicated()] {
        for (message, messages, most) in [&short, &long] {
            for to_all in [false, true] {
                let (mut script, told) = Script::echo();
                script.on_open = Box::new(|peer| _ = peer.subscribe("all"));
                script.on_message = Box::new(move |peer, message| match to_all {
                    true => peer.peers().publish("all", message),
                    false => _ = peer.send(message),
                });
                let (mut event_loop, door) = Door::new(Config::new().compression(compression));
                let mut firehose = door.connect();
                firehose.write(super::request(super::OFFER));
                turn_until(&mut event_loop, &mut script, |_, _| firehose.has_input());
                firehose.read_head();
                told.so_far();

                firehose.write(message.repeat(*messages));
                let (mut heard, mut turns) = (0, 0);
                while heard < *messages {
                    event_loop.turn(&mut script, None).unwrap();
                    let now = told.so_far().len();
                    assert!(now <= *most, "{now} messages in a turn");
                    heard += now;
                    turns += 1;
                    assert!(turns <= 50, "what earlier turns did does not count in later ones");
                }
            }
        }
    }
}

/// The beginning of a message, without its end, that comes to so many bytes.
fn unfinished(len: usize) -> Vec<u8> {
    let frame = zeros(len);
    frame[..frame.len() - 1].to_vec()
}

/// Has so many peers send the beginning of a message. Returns who goes over the limit.
fn begin(play: &mut Rehearsal<Log>, peers: usize) -> (Vec<ClientId>, Vec<ClientId>) {
    let mut clients = Vec::new();
    for _ in 0..peers {
        let client = connect(play);
        play.send_raw(client, &unfinished(100_000));
        clients.push(client);
    }
    clients.into_iter().partition(|client| play.is_open(*client))
}

/// In which ways a message in progress ends, or its peer.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    Corrupt,
    Reset,
    Fin,
    Abort,
    Close,
    Timeout,
}

#[test]
fn what_is_in_progress_is_limited_for_all_peers_together() {
    use End::*;

    // In pieces, little is held but the decompressor.
    for (config, most) in configs().zip([5, 12, 5, 12]) {
        let config = config.inflating_limit(1 << 20).max_message_size(200_000);
        let mut play = Rehearsal::new(config, Log::default());
        // However it ends, there is room for as many again.
        let mut room = None;
        for end in [Whole, Corrupt, Reset, Fin, Abort, Close, Timeout, Whole] {
            let plain = connect(&mut play);
            play.send_raw(plain, &masked(&wire("01 02 'ab'")));
            let (open, closed) = begin(&mut play, 20);
            assert!((3..=most).contains(&open.len()), "{} peers before {end:?}", open.len());
            assert_eq!(*room.get_or_insert(open.len()), open.len(), "before {end:?}");
            for client in closed {
                assert_eq!(close_code(&mut play, client), 1013);
            }
            assert_eq!(play.handler().closed.last(), Some(&CloseCause::InflatingLimit));
            play.send_raw(plain, &masked(&wire("80 02 'cd'")));
            assert!(open.iter().all(|client| play.is_open(*client)), "others are unharmed");
            open.iter().for_each(|client| put_an_end_to_it(&mut play, *client, end));
            // Of what is closed the rest is still to come, and the answer behind it.
            play.advance(Duration::from_secs(600));
            assert!(play.is_open(plain), "who inflates nothing is not concerned");
            let messages = std::mem::take(&mut play.handler_mut().messages);
            let whole = messages.iter().filter(|message| message.len() == 100_000).count();
            assert_eq!(whole, if matches!(end, Whole) { open.len() } else { 0 });
        }
        let inflating_limit = play.peers().stats().closed.inflating_limit;
        assert_eq!(inflating_limit as usize, 8 * (20 - room.unwrap()));
    }
}

fn put_an_end_to_it(play: &mut Rehearsal<Log>, client: ClientId, end: End) {
    let id = play.peer_id(client).unwrap();
    let frame = zeros(100_000);
    match end {
        End::Whole => {
            play.send_raw(client, &frame[frame.len() - 1..]);
            assert!(play.is_open(client), "it is unharmed");
        }
        End::Corrupt => play.send_raw(client, &[!frame[frame.len() - 1]]),
        End::Reset => play.reset(client),
        End::Fin => play.end_stream(client),
        End::Abort => play.peers().abort(id),
        End::Close => play.peers().close(id, CloseCode::NORMAL, ""),
        End::Timeout => {}
    }
    play.run();
}

/// Whoever has thousands of peers begin a message, and never end it, would otherwise keep all others
/// out for as long as a message may take.
#[test]
fn those_that_have_been_in_progress_for_longest_make_room() {
    for config in configs() {
        let mut play = Rehearsal::new(config.inflating_limit(1 << 20), Log::default());
        let held: Vec<_> = (0..100)
            .map(|_| {
                let client = connect(&mut play);
                play.send_raw(client, &masked(&wire("42 01 02")));
                client
            })
            .collect();
        let open =
            |play: &mut Rehearsal<Log>| held.iter().filter(|client| play.is_open(**client)).count();
        assert_eq!(open(&mut play), (1 << 20) / (80 << 10));
        assert!(!play.is_open(held[0]) && play.is_open(held[99]));
        assert_eq!(close_code(&mut play, held[0]), 1013);

        let neighbour = connect(&mut play);
        for half in [&wire("42 07 f248cdc9c90700")[..], &wire("80 00")] {
            play.send_raw(neighbour, &masked(half));
        }
        assert!(play.is_open(neighbour));
        assert_eq!(play.handler().messages, [b"Hello"]);
        // What takes far more than the others is not let in at their expense.
        let open_before = open(&mut play);
        let bomb = connect(&mut play);
        play.send_raw(bomb, &unfinished(1_500_000));
        // In pieces, it is as small as they are.
        if pieces(&play) == 0 {
            assert_eq!(close_code(&mut play, bomb), 1013);
            assert_eq!(open(&mut play), open_before);
        }
    }
}

/// 10 MB of blocks that inflate to 10 GB, of which nobody ever sees the end.
#[test]
fn ten_gigabytes_are_not_inflated() {
    let mut block = Vec::new();
    let mut compressor = compressor(false, 15);
    let message = vec![0; 1 << 20];
    Encoder::new().compressed((&message).into(), &mut compressor, None, &mut block).unwrap();
    // What a payload is without is the empty block between one of these and the next.
    let block = [&block[4..], &wire("0000ffff")].concat();
    let blocks = (10 << 30) / message.len();
    assert!(block.len() * blocks < 12 << 20);
    for config in configs() {
        let (mut play, client) = rehearse(config);
        let len = (block.len() * blocks) as u64;
        // Without a key to speak of, so that what is masked is what is sent.
        let header = [&[0xC2, 0xFF], &len.to_be_bytes()[..], &[0; 4]].concat();
        play.send_raw(client, &header);
        for _ in 0..blocks {
            play.send_raw(client, &block);
        }
        assert_eq!(close_code(&mut play, client), 1009);
        assert!(play.handler().messages.is_empty() && pieces(&play) <= 16 << 20);
    }
}
