//! What holds for all input: the decoder agrees with a slow one that was written to be obvious,
//! and gives back what the encoder was given.

use proptest::prelude::*;

use super::{as_sent_to, joined, run};
use crate::protocol::{
    CloseBody, Decoder, Encoder, Header, Message, Opcode, Piece, Role, Violation, encode_frame,
    utf8,
    wire::{Received, fail, masked},
};

/// Looks at the whole frame again after every byte, and keeps every message whole.
struct Reference {
    role: Role,
    max_message_size: u128,
    frame: Vec<u8>,
    /// The opcode and the data of a fragmented message.
    message: Option<(u8, Vec<u8>)>,
    received: Vec<Received>,
}

impl Reference {
    fn run(role: Role, max_message_size: u128, input: &[u8]) -> Vec<Received> {
        let (frame, message, received) = (Vec::new(), None, Vec::new());
        let mut reference = Self { role, max_message_size, frame, message, received };
        for &byte in input {
            reference.frame.push(byte);
            if let Err(violation) = reference.look() {
                reference.received.push(fail(violation));
            }
            if let Some(Received::Close(_) | Received::Violation(_)) = reference.received.last() {
                break;
            }
        }
        reference.received
    }

    fn look(&mut self) -> Result<(), Violation> {
        let rule = |kept: bool, violation| if kept { Ok(()) } else { Err(violation) };
        let (fin, opcode) = (self.frame[0] >= 0x80, self.frame[0] % 16);
        let control = opcode >= 8;
        rule([0, 1, 2, 8, 9, 10].contains(&opcode), Violation::ReservedOpcode)?;
        rule(matches!(self.frame[0] / 16, 0 | 8), Violation::ReservedBits)?;
        rule(fin || !control, Violation::FragmentedControlFrame)?;
        rule(opcode != 0 || self.message.is_some(), Violation::UnexpectedContinuation)?;
        rule(opcode == 0 || control || self.message.is_none(), Violation::UnfinishedMessage)?;

        let Some(&second) = self.frame.get(1) else { return Ok(()) };
        let (is_masked, short_len) = (second >= 0x80, second % 128);
        rule(is_masked || self.role == Role::Client, Violation::UnmaskedFrame)?;
        rule(!is_masked || self.role == Role::Server, Violation::MaskedFrame)?;
        rule(!control || short_len <= 125, Violation::ControlFrameTooLong)?;

        let (len_at, least) = match short_len {
            126 => (2..4, 126),
            127 => (2..10, 65_536),
            _ => (1..2, 0),
        };
        let key_at = len_at.end;
        let Some(len) = self.frame.get(len_at) else { return Ok(()) };
        let len = len.iter().fold(0, |sum, &byte| sum * 256 + u128::from(byte));
        let len = if key_at == 2 { len % 128 } else { len };
        rule(len < 1 << 63, Violation::LengthOverflow)?;
        rule(len >= least, Violation::NonMinimalLength)?;
        let before = self.message.as_ref().map_or(0, |(_, data)| data.len() as u128);
        rule(control || before + len <= self.max_message_size, Violation::MessageTooBig)?;

        let payload_at = if is_masked { key_at + 4 } else { key_at };
        let Some(payload) = self.frame.get(payload_at..) else { return Ok(()) };
        let key = if is_masked { &self.frame[key_at..payload_at] } else { &[0; 4] };
        let payload: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(a, b)| a ^ b).collect();
        let complete = payload.len() as u128 == len;
        if control {
            return if complete { self.control_frame(opcode, &payload) } else { Ok(()) };
        }
        self.data_frame(opcode, &payload, complete, fin)
    }

    fn control_frame(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Violation> {
        self.received.push(match opcode {
            8 => Received::Close(
                CloseBody::parse(payload)?
                    .map(|CloseBody { code, reason }| (code.into(), reason.into())),
            ),
            9 => Received::Ping(payload.into()),
            _ => Received::Pong(payload.into()),
        });
        self.frame.clear();
        Ok(())
    }

    fn data_frame(
        &mut self,
        opcode: u8,
        payload: &[u8],
        complete: bool,
        fin: bool,
    ) -> Result<(), Violation> {
        let (kind, before) = self.message.clone().unwrap_or((opcode, Vec::new()));
        let data = [&before, payload].concat();
        let (valid_so_far, valid) = utf8::tests::naive(&data);
        if kind == 1 && !(if complete && fin { valid } else { valid_so_far }) {
            return Err(Violation::InvalidUtf8);
        }
        if complete {
            self.frame.clear();
            self.message = (!fin).then(|| (kind, data.clone()));
        }
        if complete && fin {
            self.received.push(match kind {
                1 => Received::Text(String::from_utf8(data).expect("valid, as was found out")),
                _ => Received::Binary(data),
            });
        }
        Ok(())
    }
}

/// Bytes that are text, or nearly, or not at all.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let text = || "[a-z€🦀]{0,20}".prop_map(String::into_bytes);
    prop_oneof![
        4 => text(),
        1 => (text(), 0..4_usize).prop_map(|(mut text, cut)| {
            text.truncate(text.len().saturating_sub(cut));
            text
        }),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => (120..140_usize).prop_map(|len| vec![b'x'; len]),
        1 => (900..1100_u16, "[a-z]{0,5}")
            .prop_map(|(code, reason)| [&code.to_be_bytes(), reason.as_bytes()].concat()),
    ]
}

/// A frame, mostly as it should be, as servers send them.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        3 => prop::sample::select(vec![0x01, 0x02]),
        6 => Just(0x00),
        4 => prop::sample::select(vec![0x80, 0x81, 0x82]),
        2 => prop::sample::select(vec![0x89, 0x8A]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    (first, payload(), prop_oneof![20 => Just(0), 1 => 1..3]).prop_map(|(first, data, long)| {
        let len = data.len() as u64;
        let mut frame = Vec::new();
        match (long, len) {
            (0, _) => Header::new(Opcode::Text, len).encode(&mut frame),
            (1, _) => frame.extend([&[0, 126][..], &(len as u16).to_be_bytes()].concat()),
            _ => frame.extend([&[0, 127][..], &len.to_be_bytes()].concat()),
        }
        frame[0] = first;
        frame.extend(data);
        frame
    })
}

/// Frames, of which here and there one is damaged, and perhaps the last one cut off.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<u8>());
    let damages = prop::collection::vec(damage, 0..2);
    (prop::collection::vec(frame(), 1..8), damages, any::<prop::sample::Index>(), any::<bool>())
        .prop_map(|(frames, damages, end, cut)| {
            let mut stream = frames.concat();
            for (at, bits) in damages {
                let at = at.index(stream.len());
                stream[at] ^= bits;
            }
            if cut {
                stream.truncate(end.index(stream.len()));
            }
            stream
        })
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Server), Just(Role::Client)]
}

/// Cuts `input` into parts of these lengths, over and over.
fn parts<'a>(mut input: &'a [u8], lens: &[usize]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    for &len in lens.iter().cycle() {
        let (part, rest) = input.split_at(len.min(input.len()));
        parts.push(part);
        input = rest;
        if input.is_empty() {
            break;
        }
    }
    parts
}

/// The pieces of a message: its type, and where it is cut.
#[derive(Clone, Debug)]
struct Plan {
    message: Received,
    cuts: Vec<usize>,
    ping_after: Option<usize>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let message = prop_oneof![
        "[a-z€🦀]{0,80}".prop_map(Received::Text),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Received::Binary),
    ];
    (message, prop::collection::vec(0..300_usize, 0..6), prop::option::of(0..6_usize))
        .prop_map(|(message, cuts, ping_after)| Plan { message, cuts, ping_after })
}

impl Plan {
    /// Sends the message as planned, and notes what is to be received of it.
    fn send(&self, key: Option<[u8; 4]>, output: &mut Vec<u8>, expected: &mut Vec<Received>) {
        let message = match &self.message {
            Received::Text(text) => Message::Text(text),
            Received::Binary(bytes) => Message::Binary(bytes),
            other => unreachable!("no message is {other:?}"),
        };
        let slice = |from, to| match message {
            Message::Text(text) => Message::Text(&text[from..to]),
            Message::Binary(bytes) => Message::Binary(&bytes[from..to]),
        };
        let is_boundary = |&cut: &usize| match message {
            Message::Text(text) => text.is_char_boundary(cut),
            Message::Binary(bytes) => cut <= bytes.len(),
        };
        let mut cuts: Vec<usize> = self.cuts.iter().copied().filter(is_boundary).collect();
        cuts.sort_unstable();
        cuts.push(message.len());

        let (mut encoder, mut from) = (Encoder::new(), 0);
        for (i, &to) in cuts.iter().enumerate() {
            let (first, last) = (i == 0, i + 1 == cuts.len());
            let piece = Piece { message: slice(from, to), first, last };
            encoder.piece(piece, key, output).unwrap();
            if self.ping_after == Some(i) && !last {
                let header = Header { masking_key: key, ..Header::new(Opcode::Ping, 0) };
                encode_frame(header, b"ping", output);
                expected.push(Received::Ping(b"ping".into()));
            }
            from = to;
        }
        expected.push(self.message.clone());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_reference_however_cut(
        stream in stream(),
        role in role(),
        limit in prop_oneof![Just(1000), 0..50_u64, 150..300_u64],
        lens in prop::collection::vec(1..40_usize, 1..6),
    ) {
        let stream = as_sent_to(role, &stream);
        let expected = Reference::run(role, limit.into(), &stream);
        let decoder = || Decoder::new(role).max_message_size(limit);

        prop_assert_eq!(&run(&mut decoder(), [&stream[..]]), &expected, "whole");
        prop_assert_eq!(&run(&mut decoder(), parts(&stream, &lens)), &expected);
        let pieces = run(&mut decoder().in_pieces(), parts(&stream, &lens));
        prop_assert_eq!(&joined(pieces), &expected, "in pieces");
    }

    #[test]
    fn agrees_with_the_reference_on_noise(
        stream in prop::collection::vec(any::<u8>(), 0..60),
        role in role(),
        len in 1..10_usize,
    ) {
        let expected = Reference::run(role, 1000, &stream);
        let mut decoder = Decoder::new(role).max_message_size(1000);
        prop_assert_eq!(run(&mut decoder, stream.chunks(len)), expected);
    }

    #[test]
    fn what_is_sent_is_received_whatever_the_fragments(
        plans in prop::collection::vec(plan(), 1..4),
        key in prop::option::of(any::<[u8; 4]>()),
        lens in prop::collection::vec(1..100_usize, 1..6),
    ) {
        let (mut output, mut expected) = (Vec::new(), Vec::new());
        for plan in &plans {
            plan.send(key, &mut output, &mut expected);
        }
        let role = if key.is_some() { Role::Server } else { Role::Client };
        prop_assert_eq!(&run(&mut Decoder::new(role), [&output[..]]), &expected);
        prop_assert_eq!(&run(&mut Decoder::new(role), parts(&output, &lens)), &expected);
        let pieces = run(&mut Decoder::new(role).in_pieces(), parts(&output, &lens));
        prop_assert_eq!(&joined(pieces), &expected);
    }
}

/// The reference is judged too, lest it and the decoder be wrong in the same way.
#[test]
fn the_reference_knows_the_examples_of_section_5_7() {
    let hello = masked(b"\x01\x03Hel\x80\x02lo\x89\x05Hello");
    let expected = [Received::Text("Hello".into()), Received::Ping(b"Hello".into())];
    assert_eq!(Reference::run(Role::Server, 5, &hello), expected);
    assert_eq!(Reference::run(Role::Server, 4, &hello), [fail(Violation::MessageTooBig)]);
    assert_eq!(Reference::run(Role::Client, 5, &hello), [fail(Violation::MaskedFrame)]);
}
