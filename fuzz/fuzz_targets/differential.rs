//! What we make of frames is what tungstenite makes of them, but for what is listed here.
//!
//! * A length that is not in its shortest form (§5.2: "the minimal number of bytes MUST be used")
//!   fails the connection with us, at the latest: of a control frame, the first byte of it says that
//!   it is too long. tungstenite takes it.
//! * A status code that may not be sent fails the connection with us. tungstenite reports the Close
//!   with another code, and answers that the protocol was broken.
//! * 1014, which was registered after the RFC, is among those that may be sent to us, but not to
//!   tungstenite.
//!
//! Each ends a conversation, so that what comes before is compared all the same.

#![no_main]

use std::io::{self, Cursor, Read, Write};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tungstenite::protocol::{Role as TheirRole, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message as TheirMessage};
use wsloop::protocol::{Decoder, Event, Role, Violation, mask};

#[derive(Arbitrary, Debug)]
struct Frame {
    first: u8,
    unmasked: bool,
    long: Option<bool>,
    key: [u8; 4],
    payload: Vec<u8>,
}

const MAX_MESSAGE_SIZE: usize = 4096;

fuzz_target!(|case: (bool, Vec<Frame>)| {
    let (is_server, frames) = case;
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| encode(frame, is_server, &mut bytes));

    let (ours, violation) = decode(is_server, bytes.clone());
    let (theirs, failed) = read(is_server, bytes);
    match violation {
        Some(Violation::NonMinimalLength | Violation::InvalidCloseCode) => {
            assert_eq!(ours[..], theirs[..ours.len()]);
        }
        Some(Violation::ControlFrameTooLong) if frames.iter().any(|frame| frame.long.is_some()) => {
            assert_eq!(ours[..], theirs[..ours.len()]);
        }
        None if ours.last().is_some_and(|last| last.starts_with("close Some((1014,")) => {
            let before = ours.len() - 1;
            assert_eq!((&ours[..before], ours.len()), (&theirs[..before], theirs.len()));
        }
        _ => assert_eq!((ours, violation.is_some()), (theirs, failed), "{violation:?}"),
    }
});

/// Mostly as it should be: opcodes and bits are whatever they are, and now and then one is masked that
/// should not be, or its length is longer than it needs to be.
fn encode(frame: &Frame, is_server: bool, bytes: &mut Vec<u8>) {
    let masked = is_server != (frame.unmasked && frame.key[0] == 0);
    let mask_bit = if masked { 0x80 } else { 0 };
    // RSV bits are rare, or else nothing ever gets any further.
    let rsv = if frame.key[1] == 0 { 0x70 } else { 0 };
    bytes.push(frame.first & (0x8F | rsv));
    let len = frame.payload.len();
    match (len, frame.long) {
        (..126, None) => bytes.push(mask_bit | len as u8),
        (..65_536, None | Some(false)) => {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend_from_slice(&frame.key);
        mask::append(bytes, &frame.payload, frame.key, 0);
    } else {
        bytes.extend_from_slice(&frame.payload);
    }
}

/// What we report, and the violation that ends it.
fn decode(is_server: bool, mut bytes: Vec<u8>) -> (Vec<String>, Option<Violation>) {
    let role = if is_server { Role::Server } else { Role::Client };
    let mut decoder = Decoder::new(role).max_message_size(MAX_MESSAGE_SIZE as u64);
    let (mut input, mut events) = (&mut bytes[..], Vec::new());
    loop {
        match decoder.next(&mut input) {
            Ok(Some(Event::Message(message))) => events.push(match message.as_text() {
                Some(text) => format!("text {text}"),
                None => format!("binary {:?}", message.as_bytes()),
            }),
            Ok(Some(Event::Piece(_))) => unreachable!("nobody asked for pieces"),
            Ok(Some(Event::Ping(payload))) => events.push(format!("ping {payload:?}")),
            Ok(Some(Event::Pong(payload))) => events.push(format!("pong {payload:?}")),
            Ok(Some(Event::Close(body))) => {
                let body = body.map(|body| (u16::from(body.code), body.reason.to_owned()));
                events.push(format!("close {body:?}"));
                return (events, None);
            }
            Ok(None) => return (events, None),
            Err(violation) => return (events, Some(violation)),
        }
    }
}

/// What tungstenite reports, and whether it fails then.
fn read(is_server: bool, bytes: Vec<u8>) -> (Vec<String>, bool) {
    let role = if is_server { TheirRole::Server } else { TheirRole::Client };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE_SIZE))
        .max_frame_size(Some(MAX_MESSAGE_SIZE));
    let mut socket = WebSocket::from_raw_socket(Wire(Cursor::new(bytes)), role, Some(config));
    let mut events = Vec::new();
    loop {
        match socket.read() {
            Ok(TheirMessage::Text(text)) => events.push(format!("text {}", text.as_str())),
            Ok(TheirMessage::Binary(bytes)) => events.push(format!("binary {:?}", &bytes[..])),
            Ok(TheirMessage::Ping(payload)) => events.push(format!("ping {:?}", &payload[..])),
            Ok(TheirMessage::Pong(payload)) => events.push(format!("pong {:?}", &payload[..])),
            Ok(TheirMessage::Close(frame)) => {
                let body = frame.map(|it| (u16::from(it.code), it.reason.as_str().to_owned()));
                events.push(format!("close {body:?}"));
                return (events, false);
            }
            Ok(TheirMessage::Frame(_)) => unreachable!("frames are not read"),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (events, false);
            }
            Err(_) => return (events, true),
        }
    }
}

/// What is to be read, and then nothing more for now. What is written is gone.
struct Wire(Cursor<Vec<u8>>);

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 if !buffer.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
