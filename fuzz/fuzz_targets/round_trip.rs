//! Whatever is encoded in one role, the other decodes: the same messages, in the same order,
//! compressed or not, however they are cut.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wsloop::protocol::{
    Compressor, CompressorOptions, Decoder, DeflateParameters, Encoder, Event, Header, Message,
    Opcode, Piece, Role, encode_frame,
};

#[derive(Arbitrary, Debug)]
struct Case {
    is_client: bool,
    key: [u8; 4],
    no_context_takeover: bool,
    window_bits: u8,
    steps: Vec<Step>,
    cuts: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Text(String),
    Binary(Vec<u8>),
    Compressed(Vec<u8>, u8),
    Pieces(Vec<String>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fuzz_target!(|case: Case| {
    let (role, other) =
        if case.is_client { (Role::Client, Role::Server) } else { (Role::Server, Role::Client) };
    let bits = 9 + case.window_bits % 7;
    let parameters = DeflateParameters {
        server_no_context_takeover: case.no_context_takeover,
        client_no_context_takeover: case.no_context_takeover,
        server_max_window_bits: bits,
        client_max_window_bits: bits,
    };
    let mut compressor = Compressor::new(CompressorOptions::new(parameters, role));
    let mut sender = Sender { key: case.is_client.then_some(case.key), ..Sender::default() };
    case.steps.iter().for_each(|step| sender.step(step, &mut compressor));

    let mut decoder = Decoder::new(other).deflate(parameters).max_message_size(u64::MAX);
    let (mut received, mut rest) = (Vec::new(), &mut sender.output[..]);
    let mut cuts = case.cuts.iter().map(|cut| usize::from(*cut));
    while !rest.is_empty() {
        let cut = cuts.next().unwrap_or(usize::MAX).clamp(1, rest.len());
        let (mut part, behind) = rest.split_at_mut(cut);
        rest = behind;
        while let Some(event) = decoder.next(&mut part).expect("what we encode is valid") {
            received.push(describe(event));
        }
    }
    assert_eq!(received, sender.sent);
    assert!(decoder.is_between_messages());
});

#[derive(Default)]
struct Sender {
    key: Option<[u8; 4]>,
    encoder: Encoder,
    output: Vec<u8>,
    sent: Vec<String>,
}

impl Sender {
    fn step(&mut self, step: &Step, compressor: &mut Compressor) {
        match step {
            Step::Text(text) => self.message(Message::Text(text)),
            Step::Binary(bytes) => self.message(Message::Binary(bytes)),
            Step::Compressed(bytes, times) => {
                let bytes = bytes.repeat(1 + usize::from(*times));
                let message = Message::Binary(&bytes);
                self.sent.push(describe(Event::Message(message)));
                let Self { encoder, output, key, .. } = self;
                encoder.compressed(message, compressor, *key, output).expect("between messages");
            }
            Step::Pieces(pieces) => self.pieces(pieces),
            Step::Ping(payload) => self.control(Opcode::Ping, payload, |it| Event::Ping(it)),
            Step::Pong(payload) => self.control(Opcode::Pong, payload, |it| Event::Pong(it)),
        }
    }

    fn message(&mut self, message: Message<'_>) {
        self.sent.push(describe(Event::Message(message)));
        self.encoder.message(message, self.key, &mut self.output).expect("between messages");
    }

    /// Sends a message in pieces, with Pings between them.
    fn pieces(&mut self, pieces: &[String]) {
        for (place, piece) in pieces.iter().enumerate() {
            let (first, last) = (place == 0, place + 1 == pieces.len());
            let piece = Piece { message: Message::Text(piece), first, last };
            self.encoder.piece(piece, self.key, &mut self.output).expect("they are in order");
            if !last {
                self.control(Opcode::Ping, b"between", |it| Event::Ping(it));
            }
        }
        if !pieces.is_empty() {
            self.sent.push(describe(Event::Message(Message::Text(&pieces.concat()))));
        }
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8], event: impl Fn(&[u8]) -> Event<'_>) {
        let payload = &payload[..payload.len().min(125)];
        self.sent.push(describe(event(payload)));
        let header = Header::new(opcode, payload.len() as u64);
        encode_frame(Header { masking_key: self.key, ..header }, payload, &mut self.output);
    }
}

fn describe(event: Event<'_>) -> String {
    format!("{event:?}")
}
