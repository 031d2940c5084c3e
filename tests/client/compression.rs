//! Compressed messages of the blocking client, RFC 7692.

use wsloop::Compression;
use wsloop::client::{Client, Error};
use wsloop::protocol::{
    Compress, Compressor, CompressorOptions, Decoder, DeflateParameters, Encoder, Event, Message,
    Role, Violation,
};

use crate::common::{Peer, Server, frame, patient, response_to, wire};

const TAKEOVER: &str = "permessage-deflate";
const NO_TAKEOVER: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// Does a server's part of the opening handshake, and agrees to compress.
fn accept(peer: &mut Peer, agreed: &str) {
    let response = String::from_utf8(response_to(&peer.read_head())).unwrap();
    let field = format!("\r\nSec-WebSocket-Extensions: {agreed}\r\n\r\n");
    peer.write(response.replace("\r\n\r\n", &field));
}

/// Connects to a server that agrees to this, and follows a script.
fn connect(
    compression: Compression,
    agreed: &'static str,
    script: impl FnOnce(&mut Peer) + Send + 'static,
) -> (Server, Client) {
    let server = Server::run(move |mut peer| {
        accept(&mut peer, agreed);
        script(&mut peer);
    });
    let connector = patient().compression(compression).max_message_size(1 << 20);
    let client = server.connect_by(&connector);
    assert!(client.established().deflate().is_some());
    (server, client)
}

const HELLO: Result<Option<Message<'_>>, Error> = Ok(Some(Message::Text("Hello")));

#[test]
fn the_examples_of_rfc_7692_section_7_2_3_are_understood_wherever_they_are_cut() {
    let frames = wire(
        "c1 07 f248cdc9c90700  41 03 f248cd  89 02 'hi'  80 04 c9c90700  c1 05 f200110000  \
         c1 0b 000500faff 'Hello' 00  c1 08 f348cdc9c9070000  c1 0d f248050000 00ffff cac9c90700  \
         81 05 'Hello'",
    );
    for cut in 0..frames.len() {
        let frames = frames.clone();
        let (server, mut client) = connect(Compression::dedicated(), TAKEOVER, move |peer| {
            peer.write(&frames[..cut]);
            peer.write(&frames[cut..]);
            peer.expect("8A 02 'hi'");
            peer.await_gone();
        });
        for _ in 0..7 {
            assert_eq!(client.receive(), HELLO, "cut at {cut}");
        }
        drop(client);
        server.join();
    }
}

#[test]
fn what_is_wrong_with_compressed_messages_is_told() {
    for (compression, agreed) in
        [(Compression::shared(), NO_TAKEOVER), (Compression::dedicated(), TAKEOVER)]
    {
        for (received, violation, close) in [
            ("41 03 f248cd  c0 04 c9c90700", Violation::ReservedBits, "88 02 03EA"),
            ("c9 00", Violation::ReservedBits, "88 02 03EA"),
            ("c1 01 ff", Violation::CorruptDeflate, "88 02 03EF"),
            ("c1 05 f200110000", Violation::CorruptDeflate, "88 02 03EF"),
            ("41 7d 000100feff FF", Violation::InvalidUtf8, "88 02 03EF"),
        ] {
            let (server, mut client) = connect(compression, agreed, move |peer| {
                peer.send(received);
                peer.expect(close);
            });
            assert_eq!(client.receive(), Err(Error::Violation(violation)), "{received}");
            assert_eq!(client.send("x"), Err(Error::Violation(violation)));
            server.join();
        }
    }
    let server = Server::run(|mut peer| {
        peer.accept_and_send("c1 07 f248cdc9c90700");
        peer.expect("88 02 03EA");
    });
    assert_eq!(server.connect().receive(), Err(Error::Violation(Violation::ReservedBits)));
    server.join();
}

/// The frame of a server's message, compressed by itself.
fn compressed(message: &[u8]) -> Vec<u8> {
    let options = CompressorOptions::new(DeflateParameters::default(), Role::Server);
    let mut compressor = Compressor::new(CompressorOptions { context_takeover: false, ..options });
    let mut output = Vec::new();
    Encoder::new().compressed(message.into(), &mut compressor, None, &mut output).unwrap();
    output
}

#[test]
fn the_limit_for_messages_is_for_what_is_inflated() {
    let [most, bomb] = [1 << 20, (1 << 20) + 1].map(|len| compressed(&vec![0; len]));
    let (server, mut client) = connect(Compression::shared(), NO_TAKEOVER, move |peer| {
        peer.write(most);
        peer.write(bomb);
        peer.expect("88 02 03F1");
    });
    assert_eq!(client.receive(), Ok(Some(Message::Binary(&vec![0; 1 << 20]))));
    assert_eq!(client.receive(), Err(Error::Violation(Violation::MessageTooBig)));
    server.join();
}

/// Sends the same text several times, and returns the lengths of what is on the wire.
fn lens(compression: Compression, agreed: &'static str) -> Vec<usize> {
    let text = "a text that is sent more than once, and long enough to be compressed; ".repeat(2);
    let (sender, lens) = std::sync::mpsc::channel();
    let expected = text.clone();
    let (server, mut client) = connect(compression, agreed, move |peer| {
        let mut decoder = Decoder::new(Role::Client).deflate(DeflateParameters::default());
        for _ in 0..4 {
            let (first_byte, _, payload) = peer.read_frame();
            sender.send(payload.len()).unwrap();
            let event = Event::Message(Message::Text(&expected));
            let mut frame = frame(first_byte, &payload);
            assert_eq!(decoder.next(&mut &mut frame[..]), Ok(Some(event)));
        }
        peer.expect("81 05 'short'");
    });
    client.send(&text).unwrap();
    client.send(&text).unwrap();
    client.send_with(&text, Compress::Never).unwrap();
    client.send_with(&text, Compress::Always).unwrap();
    client.send("short").unwrap();
    server.join();
    lens.try_iter().collect()
}

#[test]
fn what_is_sent_refers_to_what_was_sent_before_where_that_was_agreed_on() {
    let lens_of_shared = lens(Compression::shared(), NO_TAKEOVER);
    let [first, second, plain, last] = lens_of_shared[..] else { panic!() };
    assert!(first < 100 && second == first && last == first && plain == 140, "{lens_of_shared:?}");
    let dedicated = lens(Compression::dedicated(), TAKEOVER);
    let [first, second, plain, last] = dedicated[..] else { panic!() };
    assert!(first < 100 && second < 15 && last < 15 && plain == 140, "{dedicated:?}");
    // The server may ask for less.
    let asked = lens(Compression::dedicated(), "permessage-deflate; client_no_context_takeover");
    assert_eq!(asked, lens_of_shared);
}
