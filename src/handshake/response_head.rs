//! The head of a response, as a client receives it, RFC 9112 §4.

use core::{fmt, ops::Range};

use super::lines::{FieldByte, Lines};
use super::received_fields::{FieldsError, ReceivedFields};
use super::response_error::ResponseError;

/// How much of a response is accepted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ResponseLimits {
    /// The most bytes from the status line to the blank line, both included, of each response.
    ///
    /// The default is 32 KiB: servers set several cookies of 4 KiB each when they say no.
    pub max_head_size: usize,
    /// The most header fields.
    ///
    /// The default is 128: the pages that refuse us come with all that protects browsers.
    pub max_headers: usize,
    /// How much of the body is kept if the answer is a refusal.
    ///
    /// The default is 4 KiB, enough to say why. Nothing beyond is read.
    pub max_body_size: usize,
}

impl Default for ResponseLimits {
    fn default() -> Self {
        Self { max_head_size: 32 * 1024, max_headers: 128, max_body_size: 4 * 1024 }
    }
}

/// The status line and the header fields of a server's answer, valid as HTTP/1.
#[derive(Clone, Eq, PartialEq)]
pub struct ResponseHead {
    bytes: Box<[u8]>,
    line: StatusLine,
    /// Where the field lines start.
    fields_start: usize,
}

impl ResponseHead {
    /// The status, 100 to 999.
    pub fn status(&self) -> u16 {
        self.line.status
    }

    /// The reason phrase, which means nothing and may be empty. It has no control characters, but
    /// need not be text otherwise.
    pub fn reason(&self) -> &[u8] {
        &self.bytes[self.line.reason.clone()]
    }

    /// All header fields in order, such as every `Set-Cookie`, the values without whitespace around
    /// them.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.received_fields().into_iter()
    }

    /// The value of the first field of that name, if there is one and it is UTF-8.
    ///
    /// Names are compared without regard to case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.received_fields().values(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// The minor version of HTTP: 0, or 1 for all above.
    pub(super) fn minor_version(&self) -> u8 {
        self.line.minor_version
    }

    pub(super) fn received_fields(&self) -> ReceivedFields<'_> {
        // They have been parsed once, or this would not be here.
        ReceivedFields::parse(&self.bytes[self.fields_start..], usize::MAX).unwrap_or_default()
    }

    fn parse(bytes: Vec<u8>, limits: &ResponseLimits) -> Result<Self, ResponseError> {
        let end = bytes.iter().position(|&byte| byte == b'\r').unwrap_or(bytes.len());
        let line = StatusLine::parse(&bytes[..end])?;
        let fields_start = bytes.len().min(end + b"\r\n".len());
        ReceivedFields::parse(&bytes[fields_start..], limits.max_headers).map_err(|error| {
            match error {
                FieldsError::TooMany => ResponseError::TooManyFields,
                FieldsError::Malformed => ResponseError::Field,
            }
        })?;
        Ok(Self { bytes: bytes.into(), line, fields_start })
    }
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseHead(\"{}\")", self.bytes.escape_ascii())
    }
}

/// The first line of a response.
#[derive(Clone, Debug, Eq, PartialEq)]
struct StatusLine {
    minor_version: u8,
    status: u16,
    /// Where the reason phrase is.
    reason: Range<usize>,
}

impl StatusLine {
    /// Parses a line, given without its end.
    ///
    /// The space before the reason phrase may be missing with it: RFC 9112 §4 has servers send it,
    /// but so many do not that nobody insists.
    fn parse(line: &[u8]) -> Result<Self, ResponseError> {
        let Some((version, rest)) = line.split_at_checked(b"HTTP/1.1".len()) else {
            return Err(ResponseError::StatusLine);
        };
        let [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] =
            *version
        else {
            return Err(ResponseError::StatusLine);
        };
        if major != b'1' {
            return Err(ResponseError::HttpVersion);
        }
        let [b' ', digits @ ..] = rest else { return Err(ResponseError::StatusLine) };
        let Some((digits, rest)) = digits.split_at_checked(3) else {
            return Err(ResponseError::StatusLine);
        };
        let valid = matches!(digits, [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'])
            && matches!(rest, [] | [b' ', ..])
            && !rest.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t');
        if !valid {
            return Err(ResponseError::StatusLine);
        }
        let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        let reason = line.len() - rest.len().saturating_sub(1)..line.len();
        Ok(Self { minor_version: (minor - b'0').min(1), status, reason })
    }
}

/// The head of a response as it is received.
#[derive(Clone, Debug, Default)]
pub(super) struct ResponseHeadBuffer {
    lines: Lines,
    /// Whether the status line is complete.
    in_fields: bool,
}

impl ResponseHeadBuffer {
    /// Whether nothing has arrived yet.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.as_bytes().is_empty()
    }

    /// Takes bytes from the front of `input` up to the end of the head, and returns it then.
    ///
    /// Fails as soon as it is clear that no acceptable head can follow.
    pub(super) fn receive(
        &mut self,
        input: &mut &[u8],
        limits: &ResponseLimits,
    ) -> Result<Option<ResponseHead>, ResponseError> {
        self.lines.reserve(input, limits.max_head_size);
        loop {
            if self.in_fields {
                self.lines.take_plain(input, limits.max_head_size);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
            *input = rest;
            if self.push(byte, limits)? {
                let lines = core::mem::take(&mut self.lines);
                return ResponseHead::parse(lines.into_bytes(), limits).map(Some);
            }
        }
    }

    /// Takes one byte, and returns whether it is the last of the head.
    fn push(&mut self, byte: u8, limits: &ResponseLimits) -> Result<bool, ResponseError> {
        let mut complete = false;
        if self.in_fields {
            if !self.lines.may_follow(byte) {
                return Err(ResponseError::LineEnd);
            }
            match self.lines.field_byte(byte) {
                FieldByte::More => {}
                FieldByte::End => complete = true,
                FieldByte::Invalid => return Err(ResponseError::Field),
            }
        } else {
            self.judge_status_line(byte)?;
        }
        if !self.lines.push(byte, limits.max_head_size) {
            return Err(ResponseError::HeadTooLarge);
        }
        self.in_fields |= byte == b'\n';
        Ok(complete)
    }

    /// Judges a byte of the status line. At its end the whole line must make sense.
    fn judge_status_line(&self, byte: u8) -> Result<(), ResponseError> {
        /// The content types of TLS records that a server may begin with, RFC 8446 §5.1.
        const TLS: [u8; 2] = [0x15, 0x16];
        const START: &[u8] = b"HTTP/";
        let line = self.lines.as_bytes();
        if let Some(expected) = START.get(line.len()) {
            return match byte {
                byte if byte == *expected => Ok(()),
                byte if line.is_empty() && TLS.contains(&byte) => Err(ResponseError::Tls),
                _ => Err(ResponseError::NotHttp),
            };
        }
        if !self.lines.may_follow(byte) {
            return Err(ResponseError::LineEnd);
        }
        match byte {
            b'\n' => StatusLine::parse(&line[..line.len() - 1]).map(|_| ()),
            b'\r' | b'\t' => Ok(()),
            byte if byte.is_ascii_control() => Err(ResponseError::StatusLine),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(u16, u8, String), ResponseError> {
        let line = line.as_bytes();
        StatusLine::parse(line).map(|it| {
            let reason = String::from_utf8_lossy(&line[it.reason]).into_owned();
            (it.status, it.minor_version, reason)
        })
    }

    #[test]
    fn a_status_line_is_a_version_a_status_and_any_reason() {
        assert_eq!(parse("HTTP/1.1 101 Switching Protocols").unwrap().2, "Switching Protocols");
        for (line, expected) in [
            ("HTTP/1.1 101 ", (101, 1, "")),
            ("HTTP/1.1 101", (101, 1, "")),
            ("HTTP/1.0 404 Not\tFound é", (404, 0, "Not\tFound é")),
            ("HTTP/1.9 999  two", (999, 1, " two")),
        ] {
            let (status, minor_version, reason) = expected;
            assert_eq!(parse(line), Ok((status, minor_version, reason.to_owned())), "{line}");
        }
    }

    #[test]
    fn anything_else_is_no_status_line() {
        for line in [
            "",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 10",
            "HTTP/1.1 1010 x",
            "HTTP/1.1 101x",
            "HTTP/1.1  101 x",
            "HTTP/1.1\t101 x",
            "HTTP/1.1 +10 x",
            "HTTP/1.1 1 1 x",
            "HTTP/1.1 099 x",
            "HTTP/1.1 000",
            "HTTP/1.1 101\tx",
            "HTTP/1.1 101 \0",
            "HTTP/1.1 101 \u{1b}[31m",
            "HTTP/1.1 101 \u{7f}",
            "HTTP/11 101 x",
            "HTTP/1 101 x",
            "http/1.1 101 x",
            "HTTP/x.1 101 x",
            "ICY 200 OK",
            " HTTP/1.1 101 x",
        ] {
            assert_eq!(parse(line), Err(ResponseError::StatusLine), "{line:?}");
        }
        for line in ["HTTP/2.0 101 x", "HTTP/0.9 101 x", "HTTP/3.0 200"] {
            assert_eq!(parse(line), Err(ResponseError::HttpVersion), "{line:?}");
        }
    }
}
