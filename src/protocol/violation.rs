//! What the remote endpoint can do wrong, and the status code that tells it so.

use core::{error::Error, fmt};

use super::CloseCode;

/// A rule of RFC 6455 that the remote endpoint broke.
///
/// The connection is then to be failed (§7.1.7): a Close with [`code`](Self::code) is sent and
/// nothing that arrives later is looked at.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Violation {
    /// An RSV bit is set that no negotiated extension gives a meaning to (§5.2).
    ReservedBits,
    /// An opcode from 3 to 7 or from 11 to 15, which are reserved (§5.2).
    ReservedOpcode,
    /// A Close, Ping or Pong without FIN (§5.5).
    FragmentedControlFrame,
    /// A Close, Ping or Pong whose payload is longer than 125 bytes (§5.5).
    ControlFrameTooLong,
    /// A continuation frame while no message is in progress (§5.4).
    UnexpectedContinuation,
    /// A text or binary frame while a fragmented message is still in progress (§5.4).
    UnfinishedMessage,
    /// A client's frame that is not masked (§5.1).
    UnmaskedFrame,
    /// A server's frame that is masked (§5.1).
    MaskedFrame,
    /// A payload length in a longer form than it needs (§5.2).
    NonMinimalLength,
    /// A 64-bit payload length with its most significant bit set (§5.2).
    LengthOverflow,
    /// A message that would exceed the limit this endpoint set (§10.4).
    MessageTooBig,
    /// A compressed message that does not inflate, or not wholly (RFC 7692 §7.2.2).
    CorruptDeflate,
    /// A text message that is not valid UTF-8 (§8.1).
    InvalidUtf8,
    /// A Close with a body of one byte, too short for a status code (§5.5.1).
    TruncatedCloseCode,
    /// A Close with a status code that must not appear on the wire (§7.4).
    InvalidCloseCode,
    /// A Close whose reason is not valid UTF-8 (§5.5.1).
    InvalidCloseReason,
}

impl Violation {
    /// Returns the status code to fail the connection with (RFC 6455 §7.4.1).
    ///
    /// It is 1007 for invalid UTF-8 and what does not inflate, 1009 for a message over the limit and 1002 otherwise.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::CorruptDeflate | Self::InvalidUtf8 | Self::InvalidCloseReason => {
                CloseCode::INVALID_PAYLOAD
            }
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::FragmentedControlFrame
            | Self::ControlFrameTooLong
            | Self::UnexpectedContinuation
            | Self::UnfinishedMessage
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::NonMinimalLength
            | Self::LengthOverflow
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode => CloseCode::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => "an RSV bit is set without an extension that defines it",
            Self::ReservedOpcode => "the opcode is reserved",
            Self::FragmentedControlFrame => "a control frame is fragmented",
            Self::ControlFrameTooLong => "the payload of a control frame exceeds 125 bytes",
            Self::UnexpectedContinuation => "a continuation frame has no message to continue",
            Self::UnfinishedMessage => "a message begins before the previous one has ended",
            Self::UnmaskedFrame => "a frame from a client is not masked",
            Self::MaskedFrame => "a frame from a server is masked",
            Self::NonMinimalLength => "a payload length is not in its shortest form",
            Self::LengthOverflow => "a payload length has its most significant bit set",
            Self::MessageTooBig => "a message exceeds the size limit",
            Self::CorruptDeflate => "a compressed message does not inflate",
            Self::InvalidUtf8 => "a text message is not valid UTF-8",
            Self::TruncatedCloseCode => "the body of a Close is a single byte",
            Self::InvalidCloseCode => "the status code of a Close is not valid on the wire",
            Self::InvalidCloseReason => "the reason of a Close is not valid UTF-8",
        })
    }
}

impl Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_violation_has_the_status_code_of_section_7_4_1() {
        let code = |violation: Violation| u16::from(violation.code());
        assert_eq!(code(Violation::ReservedBits), 1002);
        assert_eq!(code(Violation::LengthOverflow), 1002, "malformed rather than too big");
        assert_eq!(code(Violation::InvalidCloseCode), 1002);
        assert_eq!(code(Violation::CorruptDeflate), 1007);
        assert_eq!(code(Violation::InvalidUtf8), 1007);
        assert_eq!(code(Violation::InvalidCloseReason), 1007);
        assert_eq!(code(Violation::MessageTooBig), 1009);
    }
}
