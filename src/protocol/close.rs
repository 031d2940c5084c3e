//! RFC 6455 §7.4: status codes, and the body of a Close frame that carries one.

use core::{error::Error, fmt, str};

use super::Violation;

/// A status code that may appear in a Close frame.
///
/// These are 1000–1003 and 1007–1014, which RFC 6455 §7.4.1 and the IANA registry define, and
/// 3000–4999, which are for libraries and applications (§7.4.2). Codes that only report what
/// happened and must never be sent, such as 1005 and 1006, cannot be represented.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::CloseCode;
///
/// assert_eq!(CloseCode::new(1000), Some(CloseCode::NORMAL));
/// assert_eq!(CloseCode::new(1006), None);
/// assert_eq!(CloseCode::GOING_AWAY.to_string(), "1001 going away");
///
/// const KICKED: CloseCode = CloseCode::new(4001).unwrap();
/// assert_eq!(u16::from(KICKED), 4001);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the endpoint goes away, as a server that shuts down does.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the remote endpoint broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a message of a type the endpoint cannot accept, such as binary where text is expected.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: a message whose data does not fit its type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a message that violates the endpoint's policy, where no other code is more suitable.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs. Only clients send it.
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition keeps the endpoint from going on.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts (IANA registry).
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; try again later (IANA registry).
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got an invalid answer from behind it (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// Returns the status code with this number, if that may appear on the wire.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Returns what the code stands for, in words.
    const fn meaning(self) -> &'static str {
        match self {
            Self::NORMAL => "normal closure",
            Self::GOING_AWAY => "going away",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::UNSUPPORTED_DATA => "unsupported data",
            Self::INVALID_PAYLOAD => "invalid payload data",
            Self::POLICY_VIOLATION => "policy violation",
            Self::MESSAGE_TOO_BIG => "message too big",
            Self::MANDATORY_EXTENSION => "mandatory extension",
            Self::INTERNAL_ERROR => "internal error",
            Self::SERVICE_RESTART => "service restart",
            Self::TRY_AGAIN_LATER => "try again later",
            Self::BAD_GATEWAY => "bad gateway",
            // §7.4.2: 3000-3999 are registered by libraries and frameworks, 4000-4999 private.
            Self(..4000) => "registered",
            Self(_) => "private use",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.meaning())
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl TryFrom<u16> for CloseCode {
    type Error = InvalidCloseCode;

    fn try_from(code: u16) -> Result<Self, InvalidCloseCode> {
        Self::new(code).ok_or(InvalidCloseCode(code))
    }
}

/// A number that is not a [`CloseCode`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCloseCode(u16);

impl fmt::Display for InvalidCloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a status code that a Close frame may carry", self.0)
    }
}

impl Error for InvalidCloseCode {}

/// The body of a Close frame: why the connection is closed (RFC 6455 §5.5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CloseBody<'a> {
    /// The status code.
    pub code: CloseCode,
    /// Words for a log rather than for people, and not to be trusted when received.
    ///
    /// When sent, it is cut at the last character that ends within
    /// [`MAX_REASON_LEN`](Self::MAX_REASON_LEN).
    pub reason: &'a str,
}

impl<'a> CloseBody<'a> {
    /// How long a reason can be, in bytes: a control frame carries 125, the status code takes two.
    pub const MAX_REASON_LEN: usize = 123;

    /// Parses the payload of a Close frame, which may be empty.
    ///
    /// # Errors
    ///
    /// Fails on a single byte, on a status code that may not be sent, and on a reason that is not
    /// valid UTF-8.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, Violation> {
        if payload.is_empty() {
            return Ok(None);
        }
        let (code, reason) = payload.split_first_chunk().ok_or(Violation::TruncatedCloseCode)?;
        let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Violation::InvalidCloseCode)?;
        let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidCloseReason)?;
        Ok(Some(Self { code, reason }))
    }

    /// Returns how many bytes [`encode`](Self::encode) appends: from 2 to 125.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        size_of::<u16>() + self.reason_that_fits().len()
    }

    /// Appends the body to `output`, its reason cut at the last character that fits.
    pub fn encode(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.code.0.to_be_bytes());
        output.extend_from_slice(self.reason_that_fits().as_bytes());
    }

    fn reason_that_fits(&self) -> &'a str {
        let mut len = self.reason.len().min(Self::MAX_REASON_LEN);
        while !self.reason.is_char_boundary(len) {
            len -= 1;
        }
        &self.reason[..len]
    }
}

impl From<CloseCode> for CloseBody<'_> {
    /// Makes a body without a reason.
    fn from(code: CloseCode) -> Self {
        Self { code, reason: "" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wire::wire;

    /// Of all 65,536, exactly those that IANA lists as sendable, and the two private ranges.
    #[test]
    fn close_codes_are_those_valid_on_the_wire() {
        for code in 0..=u16::MAX {
            let valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014]
                .contains(&code)
                || (3000..5000).contains(&code);
            assert_eq!(CloseCode::new(code).map(u16::from), valid.then_some(code));
            assert_eq!(CloseCode::try_from(code).is_ok(), valid);

            let body = CloseBody::parse(&code.to_be_bytes()).map(|body| body.unwrap().code);
            assert_eq!(body, CloseCode::new(code).ok_or(Violation::InvalidCloseCode));
        }
    }

    #[test]
    fn names_are_numbers_and_words() {
        assert_eq!(CloseCode::NORMAL.to_string(), "1000 normal closure");
        assert_eq!(CloseCode::BAD_GATEWAY.to_string(), "1014 bad gateway");
        assert_eq!(CloseCode::new(3999).unwrap().to_string(), "3999 registered");
        assert_eq!(CloseCode::new(4000).unwrap().to_string(), "4000 private use");
        let error = CloseCode::try_from(1005).unwrap_err().to_string();
        assert_eq!(error, "1005 is not a status code that a Close frame may carry");
    }

    #[test]
    fn body() {
        #[track_caller]
        fn check(payload: &str, expected: Result<Option<&str>, Violation>) {
            let payload = wire(payload);
            let parsed = CloseBody::parse(&payload);
            assert!(parsed.iter().flatten().all(|body| body.code == CloseCode::NORMAL));
            assert_eq!(parsed.map(|body| body.map(|body| body.reason)), expected);
        }

        check("", Ok(None));
        check("03E8", Ok(Some("")));
        check("03E8 'bye'", Ok(Some("bye")));
        check("03E8 E282AC", Ok(Some("€")));

        // §5.5.1: if there is a body, the first two bytes MUST be a status code.
        check("03", Err(Violation::TruncatedCloseCode));
        // §8.1: an invalid byte, a truncated character, a surrogate.
        check("03E8 FF", Err(Violation::InvalidCloseReason));
        check("03E8 E282", Err(Violation::InvalidCloseReason));
        check("03E8 EDA080", Err(Violation::InvalidCloseReason));
        // Both are wrong: the code comes first.
        check("03ED FF", Err(Violation::InvalidCloseCode));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        for padding in 0..4 {
            let reason = format!("{}{}", "x".repeat(padding), "€🦀".repeat(40));
            let body = CloseBody { code: CloseCode::GOING_AWAY, reason: &reason };
            let mut payload = Vec::new();
            body.encode(&mut payload);

            assert_eq!(payload.len(), body.encoded_len());
            let cut = CloseBody::parse(&payload).unwrap().unwrap();
            assert!(reason.starts_with(cut.reason));
            // The next character is of at most four bytes.
            assert!((120..=123).contains(&cut.reason.len()));
        }
    }

    #[test]
    fn a_reason_of_123_bytes_fits() {
        let reason = "x".repeat(CloseBody::MAX_REASON_LEN);
        let mut payload = Vec::new();
        CloseBody { code: CloseCode::NORMAL, reason: &reason }.encode(&mut payload);
        assert_eq!(payload.len(), 125);
        assert_eq!(CloseBody::parse(&payload).unwrap().unwrap().reason, reason);
    }
}
