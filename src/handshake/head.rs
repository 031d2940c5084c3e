//! The bytes of a request head, up to the blank line, however they arrive.
//!
//! What a field means is not known here.

use super::fields::Fields;
use super::lines::{FieldByte, Lines};
use super::refusal::Refusal;
use super::request_line::{Method, RequestLine};
use super::syntax::is_token_byte;

/// How much of a request head is accepted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeadLimits {
    /// The most bytes from the request line to the blank line, both included.
    ///
    /// The default is 16 KiB: browsers send less than 1 KiB, and large cookies are 4 KiB each. It
    /// bounds what a connection may hold before it is known to be one.
    pub max_head_size: usize,
    /// The most bytes in the request line, its end not included.
    ///
    /// The default is 8 KiB: RFC 9112 §3 recommends 8,000 bytes at least.
    pub max_request_line: usize,
    /// The most header fields.
    ///
    /// The default is 64: browsers send about 15, and proxies add a few.
    pub max_headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_head_size: 16 * 1024, max_request_line: 8 * 1024, max_headers: 64 }
    }
}

/// A request head as it is received.
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{HeadBuffer, HeadLimits};
///
/// let limits = HeadLimits::default();
/// let mut head = HeadBuffer::new();
/// assert_eq!(head.receive(&mut &b"GET / HTTP/1.1\r\nHost: a\r"[..], &limits), Ok(false));
///
/// // The head may end in the middle of what was read; what follows stays in the input.
/// let mut input = &b"\n\r\n\x81\x80"[..];
/// assert_eq!(head.receive(&mut input, &limits), Ok(true));
/// assert_eq!(head.head(), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
/// assert_eq!(input, b"\x81\x80");
/// ```
#[derive(Clone, Debug, Default)]
pub struct HeadBuffer {
    lines: Lines,
    stage: Stage,
}

/// How far a head has come.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Only empty lines came so far, this many of them.
    Before { empty_lines: u8 },
    /// The request line has begun.
    RequestLine,
    /// The request line is complete.
    Fields,
    /// The blank line is there.
    Complete,
    /// No head can come of this any more.
    Refused(Refusal),
}

impl Default for Stage {
    fn default() -> Self {
        Self::Before { empty_lines: 0 }
    }
}

/// RFC 9112 §2.2 wants at least one empty line ignored, which old clients sent after a body.
const MAX_EMPTY_LINES: u8 = 2;

impl HeadBuffer {
    /// Creates an empty buffer, which holds no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a complete head from one that another HTTP server has already parsed.
    ///
    /// It is put together again as HTTP/1.1, so that whatever parsed it, one path judges it: hand
    /// [`head`](Self::head) to [`Request::parse`](super::Request::parse).
    ///
    /// # Errors
    ///
    /// Fails if a part could not have come from one head: a method that is not a token, a target
    /// with spaces, a name that is not a token, a value with control characters.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::handshake::{HeadBuffer, Refusal};
    ///
    /// let head = HeadBuffer::from_parts("GET", "/chat", [("Host", &b"a"[..])]).unwrap();
    /// assert_eq!(head.head(), b"GET /chat HTTP/1.1\r\nHost: a\r\n\r\n");
    ///
    /// let smuggled = HeadBuffer::from_parts("GET", "/", [("Host", &b"a\r\nOrigin: b"[..])]);
    /// assert_eq!(smuggled.unwrap_err(), Refusal::Field);
    /// ```
    pub fn from_parts<'p>(
        method: &str,
        target: &str,
        fields: impl IntoIterator<Item = (&'p str, &'p [u8])>,
    ) -> Result<Self, Refusal> {
        let mut bytes = format!("{method} {target} HTTP/1.1").into_bytes();
        RequestLine::parse(&bytes)?;
        let mut field_lines = Fields::default();
        for (name, value) in fields {
            field_lines.push(name, value).map_err(|_| Refusal::Field)?;
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(field_lines.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        Ok(Self { lines: Lines::complete(bytes), stage: Stage::Complete })
    }

    /// Takes bytes from the front of `input` up to the end of the head.
    ///
    /// Returns whether the head is complete. Bytes after its blank line stay in `input`. Empty
    /// lines before the request line are dropped, two at most.
    ///
    /// # Errors
    ///
    /// Fails as soon as it is clear that no acceptable head can follow: at the first byte if that
    /// is no HTTP, and before more is held than the limits allow. It then keeps failing.
    pub fn receive(&mut self, input: &mut &[u8], limits: &HeadLimits) -> Result<bool, Refusal> {
        self.lines.reserve(input, limits.max_head_size);
        loop {
            match self.stage {
                Stage::Complete => return Ok(true),
                Stage::Refused(refusal) => return Err(refusal),
                Stage::Before { .. } | Stage::RequestLine | Stage::Fields => {}
            }
            if matches!(self.stage, Stage::Fields) {
                self.lines.take_plain(input, limits.max_head_size);
            }
            let Some((&byte, rest)) = input.split_first() else { return Ok(false) };
            *input = rest;
            self.stage = self.push(byte, limits).unwrap_or_else(Stage::Refused);
        }
    }

    /// The head, once it is complete; until then, what has arrived of it.
    pub fn head(&self) -> &[u8] {
        self.lines.as_bytes()
    }

    /// Whether nothing has arrived yet. Such a connection is closed without a response on timeout.
    pub fn is_empty(&self) -> bool {
        matches!(self.stage, Stage::Before { empty_lines: 0 }) && self.head().is_empty()
    }

    /// The method whose rules a response follows, also if the head is refused or incomplete.
    ///
    /// That is HEAD, whose response has no content, if the request line begins with it; and GET
    /// for everything else.
    pub fn method(&self) -> Method {
        if self.head().starts_with(b"HEAD ") { Method::Head } else { Method::Get }
    }

    /// Takes one byte and returns what stage the head is in after it.
    fn push(&mut self, byte: u8, limits: &HeadLimits) -> Result<Stage, Refusal> {
        if !self.lines.may_follow(byte) {
            return Err(Refusal::LineEnd);
        }
        let stage = match self.stage {
            Stage::Before { empty_lines } if byte == b'\n' => {
                self.lines.clear();
                if empty_lines == MAX_EMPTY_LINES {
                    return Err(Refusal::EmptyLines);
                }
                return Ok(Stage::Before { empty_lines: empty_lines + 1 });
            }
            Stage::Before { .. } => self.begin(byte)?,
            Stage::RequestLine => self.push_request_line(byte, limits)?,
            Stage::Fields => match self.lines.field_byte(byte) {
                FieldByte::More => Stage::Fields,
                FieldByte::End => Stage::Complete,
                FieldByte::Invalid => return Err(Refusal::Field),
            },
            stage @ (Stage::Complete | Stage::Refused(_)) => return Ok(stage),
        };
        if !self.lines.push(byte, limits.max_head_size) {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(stage)
    }

    /// Judges the first byte of a line before which there was none.
    fn begin(&self, byte: u8) -> Result<Stage, Refusal> {
        /// The content type of a TLS handshake record, RFC 8446 §5.1.
        const TLS_HANDSHAKE: u8 = 0x16;
        match byte {
            b'\r' => Ok(self.stage),
            TLS_HANDSHAKE => Err(Refusal::Tls),
            byte if is_token_byte(byte) => Ok(Stage::RequestLine),
            _ => Err(Refusal::RequestLine),
        }
    }

    /// Judges a byte of the request line. At its end the whole line must make sense.
    fn push_request_line(&self, byte: u8, limits: &HeadLimits) -> Result<Stage, Refusal> {
        let line = self.head();
        match byte {
            b'\r' => Ok(Stage::RequestLine),
            b'\n' => {
                RequestLine::parse(&line[..line.len() - 1])?;
                Ok(Stage::Fields)
            }
            b' '..=b'~' if line.len() < limits.max_request_line.min(limits.max_head_size) => {
                Ok(Stage::RequestLine)
            }
            // RFC 9112 §3: a method longer than any known deserves 501, a long target 414.
            b' '..=b'~' if line.contains(&b' ') => Err(Refusal::TargetTooLong),
            b' '..=b'~' => Err(Refusal::UnknownMethod),
            _ => Err(Refusal::RequestLine),
        }
    }
}

#[cfg(test)]
mod tests;
