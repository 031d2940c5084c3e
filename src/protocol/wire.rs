//! What is on the wire, what is received of it and how it is delivered, written legibly for tests.

use super::{CloseBody, Event, Message, Piece, Violation};

/// Reads hex digits, in any grouping, and text in single quotes: `81 05 'Hello'`.
#[track_caller]
pub(crate) fn wire(transcript: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Every other part of a transcript is in quotes.
    for (i, part) in transcript.split('\'').enumerate() {
        if i % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16).expect("a hex digit or a quote") as u8)
            .collect();
        let (pairs, odd) = digits.as_chunks::<2>();
        assert!(odd.is_empty(), "half a byte in {part:?}");
        bytes.extend(pairs.iter().map(|[high, low]| high << 4 | low));
    }
    bytes
}

/// Masks the frames of a server as a client would send them, with the key of RFC 6455 §5.7.
///
/// The last frame may be cut anywhere, and whatever else is wrong with them stays wrong.
pub(crate) fn masked(mut frames: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut output = Vec::new();
    while let [first, second, rest @ ..] = frames {
        output.extend([*first, second | 0x80]);
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((len, rest)) = rest.split_at_checked(extended) else {
            output.extend(rest);
            return output;
        };
        output.extend(len.iter().chain(&KEY));
        let len = match len {
            [] => u64::from(second & 0x7F),
            len => len.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
        output.extend(rest[..len].iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]));
        frames = &rest[len..];
    }
    output.extend(frames);
    output
}

#[test]
fn transcripts_are_read_as_they_look() {
    assert_eq!(wire("81 05 'Hello'  8900"), b"\x81\x05Hello\x89\x00");
    assert_eq!(wire("' a' 20"), b" a ");
    // The masked "Hello" of RFC 6455 §5.7.
    assert_eq!(masked(&wire("81 05 'Hello'")), wire("81 85 37fa213d 7f9f4d5158"));
    assert_eq!(masked(&wire("82 7E 0100 'ab'")), wire("82 FE 0100 37fa213d 5698"));
    assert_eq!(masked(&wire("89 00  82 7F 00")), wire("89 80 37fa213d  82 FF 00"));
}

/// What was received, in a form that outlives the buffer it was lent from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    /// A piece of text or not, of this data, and whether it is the first and the last.
    Piece(bool, Vec<u8>, bool, bool),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<(u16, String)>),
    Violation(Violation),
}

impl From<Event<'_>> for Received {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message(Message::Text(text)) => Self::Text(text.into()),
            Event::Message(Message::Binary(bytes)) => Self::Binary(bytes.into()),
            Event::Piece(Piece { message, first, last }) => {
                Self::Piece(message.is_text(), message.as_bytes().into(), first, last)
            }
            Event::Ping(payload) => Self::Ping(payload.into()),
            Event::Pong(payload) => Self::Pong(payload.into()),
            Event::Close(body) => {
                Self::Close(body.map(|CloseBody { code, reason }| (code.into(), reason.into())))
            }
        }
    }
}

pub(crate) fn text(text: &str) -> Received {
    Received::Text(text.into())
}

pub(crate) fn binary(transcript: &str) -> Received {
    Received::Binary(wire(transcript))
}

pub(crate) fn ping(transcript: &str) -> Received {
    Received::Ping(wire(transcript))
}

pub(crate) fn pong(transcript: &str) -> Received {
    Received::Pong(wire(transcript))
}

pub(crate) fn close(code: u16, reason: &str) -> Received {
    Received::Close(Some((code, reason.into())))
}

pub(crate) fn fail(violation: Violation) -> Received {
    Received::Violation(violation)
}

/// Returns all the ways to deliver `input` in which bytes have gone wrong before: whole, byte by
/// byte, and cut in two at every place.
pub(crate) fn deliveries(input: &[u8]) -> Vec<Vec<&[u8]>> {
    let whole = vec![input];
    let byte_by_byte = input.chunks(1).collect();
    let cut = |middle| <[_; 2]>::from(input.split_at(middle)).to_vec();
    [whole, byte_by_byte].into_iter().chain((1..input.len()).map(cut)).collect()
}
