//! Messages to frames: RFC 6455 §6.1 from the sender's side.

use core::{error::Error, fmt};

#[cfg(feature = "deflate")]
use super::Compressor;
use super::{CloseBody, Header, Message, Opcode, Piece, mask};

/// Appends one frame to `output`: `header`, then `payload`, masked if the header has a key.
///
/// The length in the frame is that of `payload`, whatever [`Header::payload_len`] says.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::{Header, Opcode, encode_frame};
///
/// let mut output = Vec::new();
/// encode_frame(Header::new(Opcode::Text, 5), b"Hello", &mut output);
/// assert_eq!(output, b"\x81\x05Hello");
/// ```
pub fn encode_frame(header: Header, payload: &[u8], output: &mut Vec<u8>) {
    let header = Header { payload_len: payload.len() as u64, ..header };
    output.reserve(header.encoded_len() + payload.len());
    header.encode(output);
    match header.masking_key {
        Some(key) => mask::append(output, payload, key, 0),
        None => output.extend_from_slice(payload),
    }
}

/// Appends a Close to `output`, its reason cut at the last character that fits.
pub fn encode_close(
    body: Option<CloseBody<'_>>,
    masking_key: Option<[u8; 4]>,
    output: &mut Vec<u8>,
) {
    let payload_len = body.map_or(0, |body| body.encoded_len());
    let header = Header { masking_key, ..Header::new(Opcode::Close, payload_len as u64) };
    header.encode(output);
    let payload_start = output.len();
    if let Some(body) = body {
        body.encode(output);
    }
    if let Some(key) = masking_key {
        mask::apply(&mut output[payload_start..], key, 0);
    }
}

/// Why something cannot be sent. Nothing of it has been.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SendError {
    /// The closing handshake has begun: after a Close nothing is sent (RFC 6455 §5.5.1).
    Closing,
    /// A message is being sent in pieces: no other may begin before its last one (§5.4).
    UnfinishedMessage,
    /// No message is being sent in pieces, so there is none to go on with.
    NoMessage,
    /// The message being sent in pieces is of the other type.
    MessageType,
    /// The payload of a Ping or Pong exceeds 125 bytes (§5.5).
    ControlFrameTooLong,
    /// The status code 1010 is for clients only (§7.4.1).
    ClientCloseCode,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closing => "the closing handshake has begun",
            Self::UnfinishedMessage => "a message is still being sent in pieces",
            Self::NoMessage => "no message is being sent in pieces",
            Self::MessageType => "the message being sent in pieces is of the other type",
            Self::ControlFrameTooLong => "the payload of a control frame exceeds 125 bytes",
            Self::ClientCloseCode => "the status code 1010 is for clients only",
        })
    }
}

impl Error for SendError {}

/// Turns messages into frames, and keeps fragmented ones from being mixed up.
///
/// It remembers only whether a message is being sent in pieces, so it may be copied about.
/// Control frames may be sent at any time: they do not concern it.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::{Encoder, Message, Piece, SendError};
///
/// let (mut encoder, mut output) = (Encoder::new(), Vec::new());
/// let hel = Piece { message: Message::Text("Hel"), first: true, last: false };
/// let lo = Piece { message: Message::Text("lo"), first: false, last: true };
///
/// encoder.piece(hel, None, &mut output)?;
/// let other = encoder.message(Message::Text("wait"), None, &mut output);
/// assert_eq!(other, Err(SendError::UnfinishedMessage));
/// encoder.piece(lo, None, &mut output)?;
/// assert_eq!(output, b"\x01\x03Hel\x80\x02lo");
/// # Ok::<(), SendError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Encoder {
    /// The opcode of the message being sent in pieces.
    message: Option<Opcode>,
}

impl Encoder {
    /// Makes an encoder that has sent nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { message: None }
    }

    /// Returns whether a message is being sent in pieces.
    #[must_use]
    pub const fn is_in_message(&self) -> bool {
        self.message.is_some()
    }

    /// Appends a whole message to `output`, as one frame.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::UnfinishedMessage`] while a message is being sent in pieces.
    pub fn message(
        &mut self,
        message: Message<'_>,
        masking_key: Option<[u8; 4]>,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        self.piece(message.into(), masking_key, output)
    }

    /// Appends a whole message to `output`, as one frame, compressed (RFC 7692 §6.1).
    ///
    /// Only do so where it was agreed on. Where the compressor says that compressing is of no use,
    /// the message goes as it is: see [`Compressor::compress`].
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::UnfinishedMessage`] while a message is being sent in pieces.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::protocol::{
    ///     Compressor, CompressorOptions, DeflateParameters, Encoder, Message, Role, SendError,
    /// };
    ///
    /// let options = CompressorOptions::new(DeflateParameters::default(), Role::Server);
    /// let (mut compressor, mut output) = (Compressor::new(options), Vec::new());
    /// Encoder::new().compressed(Message::Text("Hello"), &mut compressor, None, &mut output)?;
    /// // RSV1 is set; the payload is that of RFC 7692 §7.2.3.1.
    /// assert_eq!(output, b"\xC1\x07\xF2\x48\xCD\xC9\xC9\x07\x00");
    /// # Ok::<(), SendError>(())
    /// ```
    #[cfg(feature = "deflate")]
    pub fn compressed(
        &mut self,
        message: Message<'_>,
        compressor: &mut Compressor,
        masking_key: Option<[u8; 4]>,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        if self.message.is_some() {
            return Err(SendError::UnfinishedMessage);
        }
        let (rsv, payload) = match compressor.compress(message.as_bytes()) {
            Some(payload) => (Header::RSV1, payload),
            None => (0, message.as_bytes()),
        };
        let header = Header::new(message.opcode(), payload.len() as u64);
        encode_frame(Header { rsv, masking_key, ..header }, payload, output);
        compressor.forget_payload();
        Ok(())
    }

    /// Appends a piece of a message to `output`, as one frame.
    ///
    /// # Errors
    ///
    /// Fails, and changes nothing, on a first piece before the last one of another message, on
    /// any other piece without a first one, and on a piece of another type than the first.
    pub fn piece(
        &mut self,
        piece: Piece<'_>,
        masking_key: Option<[u8; 4]>,
        output: &mut Vec<u8>,
    ) -> Result<(), SendError> {
        let opcode = match (self.message, piece.first) {
            (None, true) => piece.message.opcode(),
            (None, false) => return Err(SendError::NoMessage),
            (Some(_), true) => return Err(SendError::UnfinishedMessage),
            (Some(begun), false) if begun != piece.message.opcode() => {
                return Err(SendError::MessageType);
            }
            (Some(_), false) => Opcode::Continuation,
        };
        let payload = piece.message.as_bytes();
        let header = Header::new(opcode, payload.len() as u64);
        encode_frame(Header { fin: piece.last, masking_key, ..header }, payload, output);
        self.message = (!piece.last).then(|| piece.message.opcode());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{CloseCode, wire::wire};

    const KEY: Option<[u8; 4]> = Some([0x37, 0xFA, 0x21, 0x3D]);

    #[test]
    fn lengths_take_the_shortest_form() {
        for (len, header) in [
            (0, "82 00"),
            (1, "82 01"),
            (125, "82 7D"),
            (126, "82 7E 007E"),
            (127, "82 7E 007F"),
            (65_535, "82 7E FFFF"),
            (65_536, "82 7F 0000000000010000"),
            (65_537, "82 7F 0000000000010001"),
        ] {
            let payload = vec![7; len];
            let mut output = Vec::new();
            Encoder::new().message(Message::from(&payload), None, &mut output).unwrap();
            assert_eq!(output, [wire(header), payload].concat());
        }
    }

    #[test]
    fn examples_of_section_5_7() {
        let check = |header: Header, payload: &str, expected: &str| {
            let mut output = Vec::new();
            encode_frame(header, &wire(payload), &mut output);
            assert_eq!(output, wire(expected));
        };
        let header = |opcode| Header::new(opcode, 0);
        let text = header(Opcode::Text);
        check(text, "'Hello'", "81 05 48656c6c6f");
        check(Header { masking_key: KEY, ..text }, "'Hello'", "81 85 37fa213d 7f9f4d5158");
        check(Header { fin: false, ..text }, "'Hel'", "01 03 48656c");
        check(header(Opcode::Continuation), "'lo'", "80 02 6c6f");
        check(header(Opcode::Ping), "'Hello'", "89 05 48656c6c6f");
        check(header(Opcode::Pong), "'Hello'", "8a 05 48656c6c6f");
        // An empty payload still has a key.
        check(Header { masking_key: KEY, ..text }, "", "81 80 37fa213d");
    }

    #[test]
    fn close() {
        #[track_caller]
        fn check(body: Option<CloseBody<'_>>, key: Option<[u8; 4]>, expected: &str) {
            let mut output = wire("81 00");
            encode_close(body, key, &mut output);
            assert_eq!(output, [wire("81 00"), wire(expected)].concat());
        }
        let bye = CloseBody { code: CloseCode::NORMAL, reason: "bye" };
        check(None, None, "88 00");
        check(None, KEY, "88 80 37fa213d");
        check(Some(bye), None, "88 05 03E8 'bye'");
        check(Some(bye), KEY, "88 85 37fa213d 3412434452");
        let long = "x".repeat(200);
        let expected = format!("88 7D 03E8 '{}'", &long[..123]);
        check(Some(CloseBody { code: CloseCode::NORMAL, reason: &long }), None, &expected);
    }

    /// §5.4: "the fragments of one message MUST NOT be interleaved between the fragments of
    /// another message".
    #[test]
    fn pieces_of_messages_are_not_mixed_up() {
        let piece = |message, first, last| Piece { message, first, last };
        let (text, binary) = (Message::Text("x"), Message::Binary(b"y"));
        let (mut encoder, mut output) = (Encoder::new(), Vec::new());
        let mut send = |piece| {
            output.clear();
            let result = encoder.piece(piece, None, &mut output);
            assert_eq!(output.is_empty(), result.is_err());
            result.map(|()| output.clone())
        };

        assert_eq!(send(piece(text, false, false)), Err(SendError::NoMessage));
        assert_eq!(send(piece(text, false, true)), Err(SendError::NoMessage));
        assert_eq!(send(piece(text, true, false)), Ok(wire("01 01 'x'")));
        assert_eq!(send(piece(text, true, false)), Err(SendError::UnfinishedMessage));
        assert_eq!(send(piece(binary, true, true)), Err(SendError::UnfinishedMessage));
        assert_eq!(send(piece(binary, false, true)), Err(SendError::MessageType));
        assert_eq!(send(piece(text, false, false)), Ok(wire("00 01 'x'")));
        assert_eq!(send(piece(text, false, true)), Ok(wire("80 01 'x'")));
        assert_eq!(send(piece(binary, false, true)), Err(SendError::NoMessage));
        assert_eq!(send(piece(binary, true, true)), Ok(wire("82 01 'y'")));
        assert_eq!(send(piece(binary, true, false)), Ok(wire("02 01 'y'")));
        assert_eq!(send(piece(binary, false, true)), Ok(wire("80 01 'y'")));
    }
}
