//! RFC 6455 §5.2: how a frame is laid out.
//!
//! ```text
//!  byte 1                byte 2             then
//! ┌───┬────┬──────────┐ ┌──────┬──────────┐ ┌──────────────────┬─────────────┬──────────────┐
//! │FIN│RSV │  opcode  │ │ MASK │  length  │ │ extended length  │ masking key │ payload data │
//! │   │1 to│          │ │      │          │ │ 126: 2 bytes     │ if MASK:    │              │
//! │   │3   │          │ │      │          │ │ 127: 8 bytes     │ 4 bytes     │              │
//! └───┴────┴──────────┘ └──────┴──────────┘ └──────────────────┴─────────────┴──────────────┘
//!   1   3       4           1       7
//! ```
//!
//! This file knows the layout. Whether a frame is welcome is for the decoder to say.

use super::Violation;

/// What a frame is (RFC 6455 §5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation,
    /// A text message, or the first fragment of one.
    Text,
    /// A binary message, or the first fragment of one.
    Binary,
    /// The first or the second half of the closing handshake.
    Close,
    /// A question whether the remote endpoint is there.
    Ping,
    /// The answer to a Ping, or a sign of life that nobody asked for.
    Pong,
}

impl Opcode {
    /// Returns the opcode with this number, unless it is a reserved one.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Returns the opcode's number, the lower four bits of a frame's first byte.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Returns whether frames of this kind are control frames (§5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// What comes before the payload of a frame.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// The bits RSV1 (0x40), RSV2 (0x20) and RSV3 (0x10), where they are in the first byte.
    pub rsv: u8,
    /// What the frame is.
    pub opcode: Opcode,
    /// How many bytes of payload follow.
    pub payload_len: u64,
    /// What the payload is masked with, if it is.
    pub masking_key: Option<[u8; 4]>,
}

impl Header {
    /// The RSV bit that marks the first frame of a compressed message (RFC 7692 §6).
    pub const RSV1: u8 = 0x40;

    /// The length in bytes of the longest header: 64-bit length and masking key.
    pub const MAX_LEN: usize = 14;

    /// Makes the header of an unmasked frame that stands for itself: FIN set, no RSV bit.
    #[must_use]
    pub const fn new(opcode: Opcode, payload_len: u64) -> Self {
        Self { fin: true, rsv: 0, opcode, payload_len, masking_key: None }
    }

    /// Parses a header from the front of `input` and advances past it.
    ///
    /// Returns `None`, and leaves `input` alone, until the whole header is there. Only the layout
    /// is judged: RSV bits, fragmentation, masking and size are the decoder's business.
    ///
    /// # Errors
    ///
    /// Fails on a reserved opcode, on a length that is not in its shortest form, and on one with
    /// its most significant bit set.
    pub fn parse(input: &mut &[u8]) -> Result<Option<Self>, Violation> {
        let [first, second, ..] = **input else { return Ok(None) };
        let opcode = Opcode::from_bits(first & 0x0F).ok_or(Violation::ReservedOpcode)?;
        let Some(payload_len) = parse_payload_len(input)? else { return Ok(None) };

        let masked = second & 0x80 != 0;
        let header_len = 2 + extended_len(payload_len) + if masked { 4 } else { 0 };
        let Some((header, rest)) = input.split_at_checked(header_len) else { return Ok(None) };
        let masking_key = if masked { header.last_chunk().copied() } else { None };

        *input = rest;
        let (fin, rsv) = (first & 0x80 != 0, first & 0x70);
        Ok(Some(Self { fin, rsv, opcode, payload_len, masking_key }))
    }

    /// Returns how many bytes [`encode`](Self::encode) appends: from 2 to 14.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        2 + extended_len(self.payload_len) + if self.masking_key.is_some() { 4 } else { 0 }
    }

    /// Appends the header to `output`, its length in the shortest form.
    pub fn encode(&self, output: &mut Vec<u8>) {
        output.reserve(self.encoded_len());
        output.push(if self.fin { 0x80 } else { 0 } | self.rsv & 0x70 | self.opcode.bits());

        let mask = if self.masking_key.is_some() { 0x80 } else { 0 };
        match self.payload_len {
            len @ 0..=125 => output.push(mask | len as u8),
            len @ 126..=0xFFFF => {
                output.push(mask | 126);
                output.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                output.push(mask | 127);
                output.extend_from_slice(&len.to_be_bytes());
            }
        }
        if let Some(key) = self.masking_key {
            output.extend_from_slice(&key);
        }
    }
}

/// Parses the payload length of the header that `header` starts with.
///
/// Returns `None` until the length is there; the masking key is not waited for.
pub(super) fn parse_payload_len(header: &[u8]) -> Result<Option<u64>, Violation> {
    let [_, second, extended @ ..] = header else { return Ok(None) };
    let (len, minimum) = match second & 0x7F {
        126 => (extended.first_chunk().map(|len| u16::from_be_bytes(*len).into()), 126),
        127 => (extended.first_chunk().map(|len| u64::from_be_bytes(*len)), 0x1_0000),
        len => return Ok(Some(len.into())),
    };
    match len {
        None => Ok(None),
        // §5.2: of 64 bits, "the most significant bit MUST be 0".
        Some(len) if len >> 63 != 0 => Err(Violation::LengthOverflow),
        // §5.2: "the minimal number of bytes MUST be used to encode the length".
        Some(len) if len < minimum => Err(Violation::NonMinimalLength),
        Some(len) => Ok(Some(len)),
    }
}

/// Returns how many bytes the extended length takes, in the shortest form.
const fn extended_len(payload_len: u64) -> usize {
    match payload_len {
        0..=125 => 0,
        126..=0xFFFF => 2,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire::wire;

    const KEY: Option<[u8; 4]> = Some([0x37, 0xFA, 0x21, 0x3D]);

    /// Checks that the header is laid out like this, and that no part of it is taken for it.
    #[track_caller]
    fn check(header: Header, layout: &str) {
        let bytes = wire(layout);
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        assert_eq!((encoded.len(), &encoded), (header.encoded_len(), &bytes));

        let with_payload = [&bytes[..], b"payload"].concat();
        let mut input = &with_payload[..];
        assert_eq!(Header::parse(&mut input), Ok(Some(header)));
        assert_eq!(input, b"payload");
        for len in 0..bytes.len() {
            let mut input = &bytes[..len];
            assert_eq!(Header::parse(&mut input), Ok(None));
            assert_eq!(input, &bytes[..len], "left alone");
        }
    }

    #[test]
    fn layout() {
        let header = |payload_len| Header::new(Opcode::Binary, payload_len);
        check(header(0), "82 00");
        check(header(125), "82 7D");
        check(header(126), "82 7E 007E");
        check(header(65_535), "82 7E FFFF");
        check(header(65_536), "82 7F 0000000000010000");
        check(header(i64::MAX as u64), "82 7F 7FFFFFFFFFFFFFFF");
        check(Header { fin: false, ..header(1) }, "02 01");
        check(Header { rsv: 0x40, ..header(1) }, "C2 01");
        check(Header { rsv: 0x70, ..header(1) }, "F2 01");
        check(Header { masking_key: KEY, ..header(0) }, "82 80 37fa213d");
        check(Header { masking_key: KEY, ..header(126) }, "82 FE 007E 37fa213d");
        check(Header { masking_key: KEY, ..header(65_536) }, "82 FF 0000000000010000 37fa213d");
    }

    #[test]
    fn opcodes_are_six_and_the_others_are_reserved() {
        for bits in 0..=0xFF {
            match Opcode::from_bits(bits) {
                Some(opcode) => {
                    assert_eq!(opcode.bits(), bits);
                    assert_eq!(opcode.is_control(), bits & 8 != 0);
                    check(Header::new(opcode, 5), &format!("8{bits:X} 05"));
                }
                None => assert!(![0, 1, 2, 8, 9, 10].contains(&bits)),
            }
        }
        for reserved in [0x03, 0x87, 0x8B, 0x0F] {
            assert_eq!(Header::parse(&mut &[reserved, 0][..]), Err(Violation::ReservedOpcode));
        }
    }

    /// All lengths that a longer form could carry, by the byte that completes them.
    #[test]
    fn lengths_are_in_their_shortest_form() {
        let parse = |bytes: &[u8]| Header::parse(&mut &bytes[..]);
        for len in 0..126_u16 {
            let [high, low] = len.to_be_bytes();
            assert_eq!(parse(&[0x82, 0xFE, high]), Ok(None));
            assert_eq!(parse(&[0x82, 0xFE, high, low]), Err(Violation::NonMinimalLength));
        }
        for len in 0..=0xFFFF_u64 {
            let bytes = [&[0x82, 0xFF][..], &len.to_be_bytes()].concat();
            assert_eq!(parse(&bytes), Err(Violation::NonMinimalLength));
        }
        for len in [1 << 63, u64::MAX] {
            let bytes = [&[0x82, 0xFF][..], &len.to_be_bytes()].concat();
            assert_eq!(parse(&bytes), Err(Violation::LengthOverflow));
        }
    }

    #[test]
    fn only_rsv_bits_of_rsv_are_encoded() {
        let mut encoded = Vec::new();
        Header { rsv: 0xFF, fin: false, ..Header::new(Opcode::Text, 0) }.encode(&mut encoded);
        assert_eq!(encoded, [0x71, 0x00]);
    }
}
