//! One message for peers that agreed to different things.

use std::time::Duration;

use wsloop::protocol::{Decoder, Role};
use wsloop::{Compression, Config, EventLoop, Handler, Message, Peer, SharedMessage};

use super::{OFFER, TAKEOVER, inflate, inflate_alone, noise, open_with, read_frame, words};
use crate::common::{HANG, Script, Server, frame, masked};

/// To clients of all kinds, and to a server, from two loops at a time: everyone gets what it can read.
#[test]
fn a_message_reaches_everyone_in_the_way_that_was_agreed() {
    let text = words(60_000, 3);
    let message = SharedMessage::new(&text);
    let servers = [Compression::shared(), Compression::dedicated(), Compression::shared().level(1)]
        .map(|compression| Server::start(Config::new().compression(compression), Script::echo()));
    let offers = [
        "x-nothing",
        OFFER,
        "permessage-deflate; server_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
        OFFER,
    ];
    let mut clients = Vec::new();
    for server in &servers {
        clients.push(offers.map(|offer| open_with(server, offer)));
    }
    for _ in 0..2 {
        // From as many threads as there are loops.
        for server in &servers {
            server.remote.broadcast(message.clone()).unwrap();
        }
        let mut payloads = Vec::new();
        for (client, agreed) in clients.iter_mut().flatten() {
            let (first_byte, payload) = read_frame(client);
            match agreed.is_empty() {
                true => assert_eq!((first_byte, &*payload), (0x81, text.as_bytes())),
                false => {
                    assert_eq!((first_byte, &*inflate_alone(&payload)), (0xC1, text.as_bytes()))
                }
            }
            payloads.push(payload);
        }
        // What is agreed is what decides, not the policy; a level is another way.
        let [shared, dedicated, hasty] = [0, 5, 10];
        assert!(payloads[shared + 1] == payloads[shared + 4]);
        for i in 0..5 {
            assert!(payloads[shared + i] == payloads[dedicated + i]);
        }
        assert!(payloads[shared + 1] != payloads[shared + 2]);
        assert!(payloads[shared + 2] != payloads[shared + 3]);
        assert!(payloads[shared + 1] != payloads[hasty + 1]);
    }
}

#[test]
fn what_does_not_become_smaller_goes_to_all_as_it_is() {
    let server = Server::start(Config::new().compression(Compression::dedicated()), Script::echo());
    let (mut client, _) = open_with(&server, OFFER);
    let mut decoder = Decoder::new(Role::Client).deflate(TAKEOVER);
    let (noise, text) = (noise(2000, 1), words(2000, 2));
    let mut lens = Vec::new();
    for i in 0..3 {
        server.remote.broadcast(&noise).unwrap();
        client.expect_bytes(&frame(0x82, &noise));
        client.write(masked(&frame(0x81, text.as_bytes())));
        let (_, payload) = read_frame(&mut client);
        assert_eq!(inflate(&mut decoder, &payload), text.as_bytes(), "{i}");
        lens.push(payload.len());
        server.told.expect("text of 2000");
    }
    assert!(lens[1] < 40 && lens[2] < 40, "what went as it is takes no context away: {lens:?}");
}

/// Says what it has to say to everyone, and shuts down when all of it has come back.
struct Repeat {
    message: SharedMessage,
    text: String,
    missing: usize,
}

impl Handler for Repeat {
    fn on_open(&mut self, peer: &mut Peer<'_>) {
        if !peer.is_server() {
            return;
        }
        let (id, agreed) = (peer.id(), peer.deflate());
        assert!(agreed.is_some() && peer.peers().deflate(id) == agreed);
        // Each reaches both ends.
        for _ in 0..self.missing / 2 {
            peer.peers().broadcast(&self.message);
        }
    }

    fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
        assert!(message.as_text() == Some(&self.text));
        self.missing -= 1;
        if self.missing == 0 {
            peer.peers().shutdown(Duration::ZERO);
        }
    }
}

/// The loop's client sends it masked, and its server does not.
#[test]
fn to_a_server_it_is_sent_compressed_and_masked() {
    for compression in [Compression::shared(), Compression::dedicated()] {
        let text = words(5000, 8);
        let message = SharedMessage::new(&text);
        let mut repeat = Repeat { message, text, missing: 20 };
        let mut event_loop =
            EventLoop::with_config(Config::new().compression(compression)).unwrap();
        let addr = event_loop.listen("127.0.0.1:0").unwrap();
        event_loop.connect(&format!("ws://{addr}")).unwrap();
        while !event_loop.is_finished() {
            event_loop.turn(&mut repeat, Some(HANG)).unwrap();
        }
        assert_eq!(repeat.missing, 0);
        let bytes = event_loop.peers().stats().bytes;
        assert!(bytes.sent < 20 * 5000, "{} bytes", bytes.sent);
    }
}
