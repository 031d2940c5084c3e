//! Which headers are welcome, by RFC 6455 §5.
//!
//! Each rule is judged as soon as the byte is there that decides it, and in one order however the
//! bytes are cut. So what is announced is never waited for only to be refused.

use super::{Decoder, take};
use crate::protocol::{Header, Opcode, Role, Violation, frame::parse_payload_len, mask};

/// A header whose rest has not arrived, or none of its payload.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CutHeader {
    bytes: [u8; Header::MAX_LEN],
    pub(super) len: u8,
}

/// A frame whose header was accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) content: Content,
    pub(super) fin: bool,
    /// How much of the payload has not arrived.
    pub(super) remaining: u64,
    /// The masking key, rotated so that it begins with the byte for the next byte of payload.
    masking_key: Option<[u8; 4]>,
}

/// What a frame carries: its opcode, where a continuation is what it continues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Content {
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Decoder {
    /// Reads the header at the front of `bytes`, if it is complete, and judges what is there.
    pub(super) fn read_header(&self, bytes: &[u8]) -> Result<Option<(usize, Frame)>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let content = self.judge_first_byte(first)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        self.judge_second_byte(second, content)?;
        let Some(payload_len) = parse_payload_len(bytes)? else { return Ok(None) };
        self.judge_payload_len(payload_len, content)?;

        let mut rest = bytes;
        let Some(header) = Header::parse(&mut rest)? else { return Ok(None) };
        let Header { fin, masking_key, .. } = header;
        let frame = Frame { content, fin, remaining: payload_len, masking_key };
        Ok(Some((bytes.len() - rest.len(), frame)))
    }

    fn judge_first_byte(&self, byte: u8) -> Result<Content, Violation> {
        let (fin, rsv) = (byte & 0x80 != 0, byte & 0x70);
        let opcode = Opcode::from_bits(byte & 0x0F).ok_or(Violation::ReservedOpcode)?;
        // Extensions may give RSV bits a meaning (§5.2), and the only one there is gives it to
        // the first frame of a data message alone (RFC 7692 §6).
        let allowed = match opcode {
            Opcode::Text | Opcode::Binary => self.allowed_rsv,
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => 0,
        };
        if rsv & !allowed != 0 {
            return Err(Violation::ReservedBits);
        }
        // §5.5: control frames "MUST NOT be fragmented".
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControlFrame);
        }
        // §5.4: one message after the other, though control frames may come between fragments.
        match (opcode, self.message) {
            (Opcode::Continuation, Some(message)) => Ok(message.content),
            (Opcode::Continuation, None) => Err(Violation::UnexpectedContinuation),
            (Opcode::Text | Opcode::Binary, Some(_)) => Err(Violation::UnfinishedMessage),
            (Opcode::Text, None) => Ok(Content::Text),
            (Opcode::Binary, None) => Ok(Content::Binary),
            (Opcode::Close, _) => Ok(Content::Close),
            (Opcode::Ping, _) => Ok(Content::Ping),
            (Opcode::Pong, _) => Ok(Content::Pong),
        }
    }

    fn judge_second_byte(&self, byte: u8, content: Content) -> Result<(), Violation> {
        // §5.1: a client masks all of its frames, a server none.
        match (self.role, byte & 0x80 != 0) {
            (Role::Server, true) | (Role::Client, false) => {}
            (Role::Server, false) => return Err(Violation::UnmaskedFrame),
            (Role::Client, true) => return Err(Violation::MaskedFrame),
        }
        // §5.5: 125 is also the most that a length without extension can say.
        if content.is_control() && byte & 0x7F > 125 {
            return Err(Violation::ControlFrameTooLong);
        }
        Ok(())
    }

    fn judge_payload_len(&self, payload_len: u64, content: Content) -> Result<(), Violation> {
        if content.is_control() {
            return Ok(());
        }
        let before = self.message.map_or(0, |message| message.size);
        match before.checked_add(payload_len) {
            Some(size) if size <= self.max_message_size => Ok(()),
            _ => Err(Violation::MessageTooBig),
        }
    }
}

impl CutHeader {
    /// What there is where a frame may begin.
    pub(super) const NONE: Self = Self { bytes: [0; Header::MAX_LEN], len: 0 };

    /// Adds what there is in `input`, up to the length of the longest header, and returns it all.
    pub(super) fn extend(&mut self, input: &[u8]) -> &[u8] {
        let len = usize::from(self.len);
        let taken = input.len().min(Header::MAX_LEN - len);
        self.bytes[len..len + taken].copy_from_slice(&input[..taken]);
        self.len += taken as u8;
        &self.bytes[..len + taken]
    }
}

impl Frame {
    /// Takes payload from the front of `input`, at most `most` bytes, and unmasks it.
    pub(super) fn receive<'i>(&mut self, input: &mut &'i mut [u8], most: usize) -> &'i mut [u8] {
        let most = usize::try_from(self.remaining).unwrap_or(usize::MAX).min(most);
        let payload = take(input, most);
        self.remaining -= payload.len() as u64;
        if let Some(key) = &mut self.masking_key {
            mask::apply(payload, *key, 0);
            key.rotate_left(payload.len() % 4);
        }
        payload
    }
}

impl Content {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}
