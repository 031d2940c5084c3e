//! Compressed messages, RFC 7692: what arrives, what is sent, and what is held meanwhile.

mod arriving;
mod bombs;
mod both_ends;
mod contexts;
mod releasing;
mod sent;
mod shared_messages;

use wsloop::handshake::DeflateOptions;
use wsloop::protocol::{
    Compressor, CompressorOptions, Decoder, DeflateParameters, Encoder, Event, Role,
};
use wsloop::testing::{ClientId, Opening, Received, Rehearsal};
use wsloop::{Close, CloseCause, Config, Handler, Message, Peer, PeerMap, Piece};

use super::common::{Client, REQUEST, Server, Socket, frame, masked};

/// Context takeover in both directions.
const TAKEOVER: DeflateParameters = DeflateParameters {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
};

/// Context takeover in neither.
const NO_TAKEOVER: DeflateParameters = DeflateParameters {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    ..TAKEOVER
};

const FIELD: &str = "Sec-WebSocket-Extensions";

/// What is offered by a client that lets the server decide.
const OFFER: &str = "permessage-deflate";

/// The request of a client that offers this.
fn request(offer: &str) -> String {
    REQUEST.replace("\r\n\r\n", &format!("\r\n{FIELD}: {offer}\r\n\r\n"))
}

/// Connects to a server, and offers this. Returns what it agrees to as well.
#[track_caller]
fn open_with(server: &Server, offer: &str) -> (Client, String) {
    let mut client = Client::connect(server.addr);
    client.write(request(offer));
    let response = client.read_head();
    server.told.expect("open");
    let mut lines = response.lines();
    let agreed = lines.find_map(|line| line.strip_prefix(&format!("{FIELD}: ")));
    (client, agreed.unwrap_or_default().to_owned())
}

/// Reads one frame: its first byte, and its payload.
#[track_caller]
fn read_frame(client: &mut Client<impl Socket>) -> (u8, Vec<u8>) {
    let header = client.read(2);
    let extended = match header[1] {
        ..126 => return (header[0], client.read(header[1].into())),
        126 => client.read(2),
        _ => client.read(8),
    };
    let len = extended.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
    (header[0], client.read(len))
}

/// Inflates what a server compressed, after what it has inflated before.
#[track_caller]
fn inflate(decoder: &mut Decoder, payload: &[u8]) -> Vec<u8> {
    match decoder.next(&mut &mut frame(0xC2, payload)[..]) {
        Ok(Some(Event::Message(message))) => message.as_bytes().to_vec(),
        event => panic!("{event:?}"),
    }
}

/// Inflates a payload that refers to nothing before it.
#[track_caller]
fn inflate_alone(payload: &[u8]) -> Vec<u8> {
    inflate(&mut Decoder::new(Role::Client).deflate(NO_TAKEOVER), payload)
}

/// What a client compresses with.
fn compressor(context_takeover: bool, window_bits: u8) -> Compressor {
    let options = CompressorOptions::new(TAKEOVER, Role::Client);
    Compressor::new(CompressorOptions { context_takeover, window_bits, ..options })
}

/// The frame of a client's message, compressed, and masked.
fn compressed(message: Message<'_>, compressor: &mut Compressor) -> Vec<u8> {
    let mut output = Vec::new();
    Encoder::new().compressed(message, compressor, None, &mut output).unwrap();
    assert!(output[0] & 0x40 != 0, "it is compressed");
    masked(&output)
}

/// Bytes that nothing compresses, the same ones for the same seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = super::common::Random::new(seed);
    (0..len).map(|_| random.below(256) as u8).collect()
}

/// Text that compresses as text does.
fn words(len: usize, seed: u64) -> String {
    let mut random = super::common::Random::new(seed);
    let mut text = String::new();
    while text.len() < len {
        text += ["price", "of", "the", "{\"id\":", "1848", ",", "€", " "][random.below(8)];
    }
    while text.len() > len {
        text.pop();
    }
    text
}

/// Keeps what it is told, and answers nothing.
#[derive(Default)]
struct Log {
    messages: Vec<Vec<u8>>,
    /// What has arrived of messages in pieces.
    pieces: PeerMap<Vec<u8>>,
    closed: Vec<CloseCause>,
}

impl Handler for Log {
    fn on_message(&mut self, _: &mut Peer<'_>, message: Message<'_>) {
        self.messages.push(message.as_bytes().to_vec());
    }

    fn on_piece(&mut self, peer: &mut Peer<'_>, piece: Piece<'_>) {
        let before = self.pieces.remove(peer.id());
        assert_eq!(piece.first, before.is_none());
        let message = [&before.unwrap_or_default(), piece.message.as_bytes()].concat();
        match piece.last {
            true => self.messages.push(message),
            false => _ = self.pieces.insert(peer.id(), message),
        }
    }

    fn on_close(&mut self, _: &mut Peer<'_>, close: Close<'_>) {
        self.closed.push(close.cause);
    }
}

/// A client that may send compressed messages, to a handler that sends none.
fn rehearse(config: Config) -> (Rehearsal<Log>, ClientId) {
    let mut play = Rehearsal::new(config, Log::default());
    let client = connect(&mut play);
    (play, client)
}

fn connect<H: Handler>(play: &mut Rehearsal<H>) -> ClientId {
    let client = play.connect(Opening::new("/").field(FIELD, OFFER));
    assert!(play.response(client).unwrap().field(FIELD).is_some(), "it is agreed to");
    client
}

/// The status code of the Close that a client is sent, before which there is nothing.
#[track_caller]
fn close_code<H: Handler>(play: &mut Rehearsal<H>, client: ClientId) -> u16 {
    match play.receive(client) {
        Some(Received::Close(code, _)) => code,
        received => panic!("{received:?}"),
    }
}

/// What an application allows that leaves all to the other side.
fn anything() -> DeflateOptions {
    DeflateOptions {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        ..DeflateOptions::default()
    }
}
