//! Messages that refer to those before them, and what must not come between.

use wsloop::handshake::DeflateOptions;
use wsloop::protocol::{Connection, Decoder, DeflateParameters, Event, Role};
use wsloop::{Acceptance, Compression, Config, Message, MessageType, Overflow, SendStatus};

use super::{OFFER, TAKEOVER, anything, compressed, compressor, inflate, open_with, read_frame};
use super::{inflate_alone, words};
use crate::common::{Client, Script, Server, frame, masked};

fn dedicated() -> Config {
    Config::new().compression(Compression::dedicated())
}

/// What the server sends a client next, compressed, after what it has sent it before.
#[track_caller]
fn next(client: &mut Client, decoder: &mut Decoder) -> (usize, Vec<u8>) {
    let (first_byte, payload) = read_frame(client);
    assert_eq!(first_byte & 0x40, 0x40, "it is compressed");
    (payload.len(), inflate(decoder, &payload))
}

fn decoder() -> Decoder {
    Decoder::new(Role::Client).deflate(TAKEOVER)
}

#[test]
fn messages_refer_to_those_before_them() {
    let server = Server::start(dedicated(), Script::echo());
    let (mut client, agreed) = open_with(&server, OFFER);
    assert_eq!(agreed, "permessage-deflate");
    let mut decoder = decoder();
    let mut compressor = compressor(true, 15);
    let text = words(1000, 1);
    let mut lens = Vec::new();
    for _ in 0..3 {
        let frame = compressed((&*text).into(), &mut compressor);
        client.write(&frame);
        let (len, received) = next(&mut client, &mut decoder);
        assert_eq!(received, text.as_bytes());
        lens.push((frame.len(), len));
        server.told.expect("text of 1000");
    }
    assert!(lens[0].0 > 150 && lens[1].0 < 40 && lens[2].0 < 40, "{lens:?}");
    assert!(lens[0].1 > 150 && lens[1].1 < 40 && lens[2].1 < 40, "{lens:?}");
}

/// Each direction by itself: what was agreed for one says nothing of the other.
#[test]
fn one_direction_may_have_context_takeover_and_the_other_none() {
    for (offer, options, server_has, client_has) in [
        ("permessage-deflate; server_no_context_takeover", anything(), false, true),
        ("permessage-deflate; client_no_context_takeover", anything(), true, false),
        (OFFER, DeflateOptions { server_no_context_takeover: true, ..anything() }, false, true),
        (OFFER, DeflateOptions { client_no_context_takeover: true, ..anything() }, true, false),
    ] {
        let (mut script, told) = Script::echo();
        script.on_request = Box::new(move |_, _| Acceptance::new().deflate(options).into());
        let server = Server::start(Config::new(), (script, told));
        let (mut client, agreed) = open_with(&server, offer);
        assert_eq!(agreed.contains("server_no_context_takeover"), !server_has);
        assert_eq!(agreed.contains("client_no_context_takeover"), !client_has);
        let mut compressor = compressor(client_has, 15);
        let mut decoder = decoder();
        let text = words(1000, 7);
        let mut lens = Vec::new();
        for _ in 0..3 {
            client.write(compressed((&*text).into(), &mut compressor));
            let (_, payload) = read_frame(&mut client);
            if !server_has {
                assert_eq!(inflate_alone(&payload), text.as_bytes());
            }
            assert_eq!(inflate(&mut decoder, &payload), text.as_bytes());
            lens.push(payload.len());
            server.told.expect("text of 1000");
        }
        assert_eq!(lens[1] < lens[0] / 4, server_has, "{lens:?}");
        // What refers to earlier ones is understood only where it may.
        client.write(masked(&frame(0xC1, &[0xF2, 0x00, 0x11, 0x00, 0x00])));
        match client_has {
            true => server.told.next(),
            false => server.told.wait_for("close 1006 unclean Violation(CorruptDeflate)").concat(),
        };
    }
}

#[test]
fn a_message_to_many_in_between_spoils_nothing() {
    let (mut script, told) = Script::echo();
    script.on_message = Box::new(|peer, message| {
        let text = message.as_text().unwrap();
        peer.send(text);
        peer.peers().broadcast(text);
        peer.send(text);
        peer.send(text);
        // Nor one that goes as it is, or in fragments, with others behind it.
        peer.send("short");
        peer.begin_message(MessageType::Text).unwrap();
        peer.send(text);
        peer.write(text).unwrap();
        peer.peers().broadcast(text);
        peer.send(text);
        peer.finish().unwrap();
        peer.send(text);
    });
    let server = Server::start(dedicated(), (script, told));
    let (mut client, _) = open_with(&server, OFFER);
    let (mut other, _) = open_with(&server, OFFER);
    let text = words(1000, 4);
    client.write(masked(&frame(0x81, text.as_bytes())));
    let [mut decoder, mut others] = [decoder(), decoder()];
    let compressed = |client: &mut Client, decoder: &mut Decoder| {
        let (len, received) = next(client, decoder);
        assert_eq!(received, text.as_bytes());
        len
    };
    let lens: Vec<_> = (0..4).map(|_| compressed(&mut client, &mut decoder)).collect();
    // The broadcast refers to nothing, nor does what follows refer to what was before.
    assert!(lens[0] == lens[1] && lens[1] == lens[2] && lens[3] < 40, "{lens:?}");
    client.expect("81 05 'short'");
    client.expect_bytes(&frame(0x01, text.as_bytes()));
    client.expect("80 00");
    let lens: Vec<_> = (0..4).map(|_| compressed(&mut client, &mut decoder)).collect();
    assert!(lens[0] < 40 && lens[1] > 150 && lens[2] > 150 && lens[3] < 40, "{lens:?}");
    for _ in 0..2 {
        compressed(&mut other, &mut others);
    }
    server.told.expect("text of 1000");
}

/// Full queues lose messages, and with them what the next might have referred to.
#[test]
fn a_message_that_is_dropped_spoils_nothing() {
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    script.on_message = Box::new(move |peer, _| {
        let mut sent = 0_u64;
        // Each a little like those before it, until some are dropped.
        let mut dropped = 0;
        while dropped < 3 {
            let message = format!("{sent} {}", words(20_000, sent));
            let status = match (sent % 5, peer.id()) {
                (4, id) => peer.peers().send_shared(id, &(&message).into()),
                _ => peer.send(&message),
            };
            dropped += u32::from(status == SendStatus::Dropped);
            teller.tell(&format!("{status:?}"));
            sent += 1;
        }
        teller.tell("enough");
    });
    script.on_drain = Box::new(|peer| {
        peer.send(&words(20_000, 1));
        peer.send("the end, which is long enough to be compressed, of what I have to say to you");
    });
    let config = dedicated().overflow(Overflow::DropMessage);
    let config = config.high_water_mark(32 << 10).write_queue_limit(64 << 10);
    let server = Server::start(config.write_timeout(None), (script, told));
    let mut client = Client::connect_small(server.addr);
    client.write(super::request(OFFER));
    client.read_head();
    server.told.expect("open");
    client.send("81 02 'go'");
    server.told.expect("text go");
    let statuses = server.told.wait_for("enough");
    let mut decoder = decoder();
    for (number, status) in statuses.iter().enumerate() {
        if status != "Dropped" {
            let expected = format!("{number} {}", words(20_000, number as u64));
            assert!(next(&mut client, &mut decoder).1 == expected.as_bytes(), "{number}");
        }
    }
    assert!(statuses.len() > 10 && statuses.iter().any(|status| status == "Congested"));
    assert!(next(&mut client, &mut decoder).1 == words(20_000, 1).as_bytes());
    assert!(next(&mut client, &mut decoder).1.starts_with(b"the end"));
    server.told.expect("drain");
}

#[test]
fn thousands_of_messages_refer_to_each_other_in_both_directions() {
    // Without optimisation they take long.
    const MESSAGES: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
    let (mut script, told) = Script::echo();
    let teller = script.teller();
    let mut received = 0;
    script.on_message = Box::new(move |peer, message| {
        peer.send(message);
        received += 1;
        if received == MESSAGES {
            teller.tell("all");
        }
    });
    let server = Server::start(dedicated(), (script, told));
    let (mut client, _) = open_with(&server, OFFER);
    let parameters = DeflateParameters::default();
    let mut connection = Connection::client(|| [1, 2, 3, 4]).deflate(parameters);
    let text = |number: usize| {
        let unit = "{\"id\":17,\"price\":1848,\"at\":\"2026\"},";
        format!("{number} {}", &unit.repeat(4)[..64 + number * 31 % 70])
    };
    let (mut sent, mut echoed) = (0, 0);
    while echoed < MESSAGES {
        let first = sent;
        while sent < MESSAGES && sent < first + 50 {
            connection.send(&text(sent)).unwrap();
            sent += 1;
        }
        let output = connection.output().to_vec();
        connection.consume_output(output.len());
        client.write(output);
        while echoed < sent {
            let (first_byte, payload) = read_frame(&mut client);
            let mut frame = frame(first_byte, &payload);
            let event = connection.receive(&mut &mut frame[..]).unwrap();
            assert_eq!(event, Some(Event::Message(Message::Text(&text(echoed)))));
            echoed += 1;
        }
    }
    server.told.wait_for("all");
}
