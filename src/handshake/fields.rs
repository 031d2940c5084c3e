//! Header fields on their way out. What passes here cannot start another line.

use core::{error::Error, fmt};

use super::syntax::{is_token, trim};

/// Why a header field of the application's is not sent.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidField {
    /// The name is not a token, RFC 9110 §5.1.
    Name,
    /// The value contains CR, LF, NUL or another control character, RFC 9110 §5.5.
    Value,
    /// The field is for this library to send: `Connection`, `Content-Length`, `Date`,
    /// `Transfer-Encoding`, `Upgrade`, and all that begin with `Sec-WebSocket-`; in a request also
    /// `Host` and what frames a request or is a proxy's, such as `Expect` and
    /// `Proxy-Authorization`.
    Reserved,
    /// The field is there already, and must not be twice: `Authorization`, `Origin`, `User-Agent`.
    Repeated,
}

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "a field name must be a token, such as X-Request-Id",
            Self::Value => "a field value must not contain control characters",
            Self::Reserved => "this field belongs to the handshake and cannot be set",
            Self::Repeated => "this field is set already and must not be repeated",
        })
    }
}

impl Error for InvalidField {}

/// Header fields, encoded.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Fields {
    lines: Vec<u8>,
}

impl Fields {
    /// Appends a field that the application chose.
    pub(super) fn push_custom(&mut self, name: &str, value: &[u8]) -> Result<(), InvalidField> {
        if is_reserved(name) {
            return Err(InvalidField::Reserved);
        }
        self.push(name, value)
    }

    /// Appends a field that the application chose to send in a request.
    pub(super) fn push_request(&mut self, name: &str, value: &[u8]) -> Result<(), InvalidField> {
        const RESERVED: [&str; 7] = [
            "Host",
            "Expect",
            "TE",
            "Trailer",
            "Keep-Alive",
            "Proxy-Connection",
            "Proxy-Authorization",
        ];
        const SINGLE: [&str; 3] = ["Authorization", "Origin", "User-Agent"];
        let is_one_of = |names: &[&str]| names.iter().any(|it| it.eq_ignore_ascii_case(name));
        if is_one_of(&RESERVED) {
            return Err(InvalidField::Reserved);
        }
        if is_one_of(&SINGLE) && self.contain(name) {
            return Err(InvalidField::Repeated);
        }
        self.push_custom(name, value)
    }

    /// Appends a field, without the whitespace around its value.
    pub(super) fn push(&mut self, name: &str, value: &[u8]) -> Result<(), InvalidField> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidField::Name);
        }
        if value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(InvalidField::Value);
        }
        self.lines.extend_from_slice(name.as_bytes());
        self.lines.extend_from_slice(b": ");
        self.lines.extend_from_slice(trim(value));
        self.lines.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Whether there is a field of that name.
    pub(super) fn contain(&self, name: &str) -> bool {
        self.lines.split(|&byte| byte == b'\n').any(|line| {
            let (start, rest) = line.split_at(name.len().min(line.len()));
            start.eq_ignore_ascii_case(name.as_bytes()) && rest.first() == Some(&b':')
        })
    }

    /// The fields as they are sent, each with its line end.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.lines
    }
}

/// Whether a field frames the message or is part of the handshake.
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 5] =
        ["Connection", "Content-Length", "Date", "Transfer-Encoding", "Upgrade"];
    const PREFIX: &str = "Sec-WebSocket-";
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
        || name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_in_order() {
        let mut fields = Fields::default();
        fields.push_custom("Set-Cookie", b"a=1").unwrap();
        fields.push_custom("Set-Cookie", b" b=\xff\t2 ").unwrap();
        fields.push_custom("X", b"").unwrap();
        assert_eq!(fields.as_bytes(), b"Set-Cookie: a=1\r\nSet-Cookie: b=\xff\t2\r\nX: \r\n");
        assert!(fields.contain("set-cookie") && fields.contain("x"));
        assert!(!fields.contain("Set") && !fields.contain("a") && !fields.contain("Set-Cookie: a"));
    }

    #[test]
    fn nothing_starts_another_line() {
        let mut fields = Fields::default();
        for value in ["a\r\nX: y", "a\rb", "a\nb", "\0", "\u{1}", "\u{7f}", "\u{b}", "a\r\n"] {
            assert_eq!(fields.push("X", value.as_bytes()), Err(InvalidField::Value), "{value:?}");
        }
        for name in ["", "X ", "X:", "X\r\n", "X\nY", "é", "X\0", "(X)"] {
            assert_eq!(fields.push(name, b""), Err(InvalidField::Name), "{name:?}");
        }
        assert_eq!(fields.as_bytes(), b"");
    }

    #[test]
    fn the_handshakes_own_fields_are_reserved() {
        let mut fields = Fields::default();
        for name in [
            "connection",
            "CONTENT-LENGTH",
            "Date",
            "transfer-encoding",
            "Upgrade",
            "Sec-WebSocket-Accept",
            "sec-websocket-",
            "sEc-WebSocket-Whatever",
        ] {
            assert_eq!(fields.push_custom(name, b"x"), Err(InvalidField::Reserved), "{name}");
        }
        for name in ["Connection2", "Sec-WebSocket", "X-Date"] {
            assert_eq!(fields.push_custom(name, b"x"), Ok(()), "{name}");
        }
    }

    #[test]
    fn a_request_has_more_of_its_own() {
        let mut fields = Fields::default();
        for name in ["hOst", "Expect", "te", "Trailer", "keep-alive", "Proxy-Connection"] {
            assert_eq!(fields.push_request(name, b"x"), Err(InvalidField::Reserved), "{name}");
        }
        for name in ["proxy-authorization", "Upgrade", "Sec-WebSocket-Key", "content-length"] {
            assert_eq!(fields.push_request(name, b"x"), Err(InvalidField::Reserved), "{name}");
        }
        for name in ["Origin", "Authorization", "User-Agent", "X"] {
            assert_eq!(fields.push_request(name, b"x"), Ok(()), "{name}");
        }
        for name in ["ORIGIN", "authorization", "user-agent"] {
            assert_eq!(fields.push_request(name, b"x"), Err(InvalidField::Repeated), "{name}");
        }
        assert_eq!(fields.push_request("X", b"y"), Ok(()));
    }
}
