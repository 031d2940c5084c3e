//! Which messages are sent compressed, and how far back they refer.

use wsloop::handshake::DeflateOptions;
use wsloop::protocol::{Decoder, Role};
use wsloop::{Acceptance, Compress, Compression, Config, Message, SharedMessage};

use super::{NO_TAKEOVER, OFFER, TAKEOVER, anything, inflate, inflate_alone, noise, open_with};
use super::{read_frame, words};
use crate::common::{Script, Server, frame, masked};

/// An echo server, and what it says to this offer.
fn echo(compression: Compression) -> Server {
    Server::start(Config::new().compression(compression), Script::echo())
}

#[test]
fn what_is_compressed_by_itself_is_the_same_whatever_was_sent_before() {
    let server = echo(Compression::shared());
    let (mut client, agreed) = open_with(&server, OFFER);
    assert!(agreed.contains("server_no_context_takeover"), "{agreed}");
    let (text, other) = (words(3000, 1), words(3000, 2));
    let mut received = Vec::new();
    for text in [&text, &other, &text] {
        client.write(masked(&frame(0x81, text.as_bytes())));
        let (first_byte, payload) = read_frame(&mut client);
        assert_eq!((first_byte, &*inflate_alone(&payload)), (0xC1, text.as_bytes()));
        assert!(payload.len() < text.len() / 2);
        server.told.expect("text of 3000");
        received.push(payload);
    }
    assert_eq!(received[0], received[2]);
    // To another peer just the same, with the same compressor.
    let (mut another, _) = open_with(&server, OFFER);
    another.write(masked(&frame(0x81, text.as_bytes())));
    assert_eq!(read_frame(&mut another).1, received[0]);
    server.told.expect("text of 3000");
}

#[test]
fn what_is_short_or_does_not_become_smaller_is_sent_as_it_is() {
    for (compression, offer) in [
        (Compression::shared(), OFFER),
        (Compression::shared().threshold(100), OFFER),
        // Nobody compresses with whom it was not agreed on.
        (Compression::shared(), "x-unheard-of"),
    ] {
        let server = echo(compression);
        let (mut client, agreed) = open_with(&server, offer);
        let threshold = if compression == Compression::shared() { 64 } else { 100 };
        for (payload, first_byte) in [
            ("x".repeat(threshold).into_bytes(), if agreed.is_empty() { 0x82 } else { 0xC2 }),
            ("x".repeat(threshold - 1).into_bytes(), 0x82),
            (Vec::new(), 0x82),
            (noise(5000, 3), 0x82),
        ] {
            client.write(masked(&frame(0x82, &payload)));
            let (received, sent) = read_frame(&mut client);
            assert_eq!(received, first_byte, "{} bytes", payload.len());
            let inflated = if received == 0xC2 { inflate_alone(&sent) } else { sent };
            assert_eq!(inflated, payload);
            server.told.next();
        }
    }
}

/// Sends in all ways there are, and checks which of the frames are compressed.
#[test]
fn an_application_may_decide_for_each_message() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let (mut script, told) = Script::echo();
        script.on_message = Box::new(|peer, message| {
            let long = "long ".repeat(100);
            let short = "sssssssssssssss";
            for text in [&*long, short] {
                for compress in [Compress::Auto, Compress::Always, Compress::Never] {
                    peer.send_with(text, compress);
                }
                for compress in [Compress::Auto, Compress::Always, Compress::Never] {
                    let shared = SharedMessage::new(text).compress(compress);
                    assert_eq!(shared.message(), Message::Text(text));
                    let id = peer.id();
                    peer.peers().send_shared(id, &shared);
                }
            }
            peer.send_with("", Compress::Always);
            peer.send(message);
        });
        let server = Server::start(Config::new().compression(compression), (script, told));
        let (mut client, _) = open_with(&server, OFFER);
        client.send("81 03 'end'");
        let mut first_bytes = Vec::new();
        let mut decoder = Decoder::new(Role::Client).deflate(TAKEOVER);
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != b"end") {
            let (first_byte, payload) = read_frame(&mut client);
            first_bytes.push(first_byte);
            texts.push(match first_byte {
                0xC1 => inflate(&mut decoder, &payload),
                _ => payload,
            });
        }
        let (c, p) = (0xC1, 0x81);
        // With context takeover there is always something to be compressed for.
        let empty = if compression == Compression::shared() { p } else { c };
        assert_eq!(first_bytes, [c, c, p, c, c, p, p, c, p, p, c, p, empty, p]);
        let (long, short) = ("long ".repeat(100).into_bytes(), b"sssssssssssssss");
        assert!(texts[..6].iter().all(|text| *text == long));
        assert!(texts[6..12].iter().all(|text| text == short));
        assert_eq!(texts[12], b"");
        server.told.expect("text end");
    }
}

#[cfg(feature = "json")]
#[test]
fn whatever_is_sent_in_whatever_way_is_compressed() {
    for (compression, parameters) in
        [(Compression::shared(), NO_TAKEOVER), (Compression::dedicated(), TAKEOVER)]
    {
        let (mut script, told) = Script::echo();
        script.on_open = Box::new(|peer| assert!(peer.subscribe("topic")));
        let server = Server::start(Config::new().compression(compression), (script, told));
        let (mut client, _) = open_with(&server, OFFER);
        let (id_sender, id) = std::sync::mpsc::channel();
        server
            .remote
            .run(move |peers| id_sender.send(peers.ids().next().unwrap()).unwrap())
            .unwrap();
        let id = id.recv().unwrap();
        let text = words(1000, 9);
        server.remote.send(id, &text).unwrap();
        server.remote.broadcast(&text).unwrap();
        server.remote.publish("topic", &text).unwrap();
        let sent = text.clone();
        let task = move |peers: &mut wsloop::Peers| {
            peers.send(id, &sent);
            peers.broadcast(&sent);
            peers.publish("topic", &sent);
            peers.send_json(id, &sent).unwrap();
            peers.broadcast_json(&sent).unwrap();
            peers.publish_json("topic", &sent).unwrap();
        };
        server.remote.run(task).unwrap();
        let mut decoder = Decoder::new(Role::Client).deflate(parameters);
        for i in 0..9 {
            let (first_byte, payload) = read_frame(&mut client);
            assert!(first_byte == 0xC1 && payload.len() < text.len() / 2, "message {i}");
            let json = format!("\"{}\"", text.replace('"', "\\\""));
            let expected = if i < 6 { &text } else { &json };
            assert_eq!(inflate(&mut decoder, &payload), expected.as_bytes(), "message {i}");
        }
    }
}

/// RFC 7692 §7.1.2.1: noise that is repeated further back than the window allows is not referred to.
#[test]
fn a_window_that_is_asked_for_is_kept_to() {
    for (compression, offered, bits) in [
        (Compression::shared(), "permessage-deflate; server_max_window_bits=10", 10),
        (Compression::dedicated(), "permessage-deflate; server_max_window_bits=9", 9),
        (Compression::dedicated().window_bits(11), OFFER, 11),
        (
            Compression::dedicated().window_bits(11),
            "permessage-deflate; server_max_window_bits=12",
            11,
        ),
        (Compression::shared(), OFFER, 15),
        (Compression::dedicated(), OFFER, 15),
    ] {
        let server = echo(compression);
        let (mut client, agreed) = open_with(&server, offered);
        let named = format!("server_max_window_bits={bits}");
        assert_eq!(agreed.contains(&named), bits < 15, "{agreed}");
        let window = 1 << bits;
        for (distance, near) in [(window / 4, true), (window + 64, false)] {
            // What is far apart is in a message of its own, or the same, as the policy goes.
            let part = noise(distance, bits);
            let message = [&part[..], &part].concat();
            client.write(masked(&frame(0x82, &message)));
            let (first_byte, payload) = read_frame(&mut client);
            let smaller = payload.len() < message.len() * 3 / 4;
            assert_eq!(smaller, near, "{bits}: {} of {}", payload.len(), message.len());
            assert!(!smaller || first_byte == 0xC2);
            server.told.next();
        }
    }
}

/// What was agreed for one peer alone holds for it alone.
#[test]
fn an_acceptance_decides_for_its_peer() {
    let (mut script, told) = Script::echo();
    script.on_request = Box::new(|_, request| match request.path() {
        "/chat" => {
            let options = DeflateOptions { server_max_window_bits: 9, ..anything() };
            Acceptance::new().deflate(options).into()
        }
        _ => request.upgrade(),
    });
    // Nothing is said of compression here.
    let server = Server::start(Config::new(), (script, told));
    let (mut client, agreed) = open_with(&server, OFFER);
    assert_eq!(agreed, "permessage-deflate; server_max_window_bits=9");
    let mut decoder = Decoder::new(Role::Client).deflate(TAKEOVER);
    let text = words(200, 5);
    let mut lens = Vec::new();
    for _ in 0..2 {
        client.write(masked(&frame(0x81, text.as_bytes())));
        let (first_byte, payload) = read_frame(&mut client);
        assert_eq!(first_byte, 0xC1);
        assert_eq!(inflate(&mut decoder, &payload), text.as_bytes());
        lens.push(payload.len());
        server.told.expect("text of 200");
    }
    assert!(lens[1] < 20 && lens[1] < lens[0] / 2, "it refers to the first: {lens:?}");
}
