//! The body of a refusal: as much as is worth reading, RFC 9112 §6.

use super::received_fields::{ReceivedFields, parse_length};
use super::syntax::elements;

/// The body of a response that is the last one on its connection.
#[derive(Clone, Debug)]
pub(super) struct Body {
    bytes: Vec<u8>,
    max_size: usize,
    framing: Framing,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug)]
enum Framing {
    /// This many bytes are missing.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Where the stream ends.
    UntilClose,
    /// It has been found.
    Over,
}

/// Where in a chunk we are, RFC 9112 §7.1.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    /// In the line with its size.
    Size { size: u64, line_len: u8 },
    /// In what follows the size on that line, which means nothing to us.
    Extension { size: u64, line_len: u8 },
    /// In its data, of which this much is missing.
    Data(u64),
    /// Before the line end after the data.
    DataEnd,
    /// Within it, after CR. More of these would be a line end without an end.
    DataEndLf,
}

const CHUNK_START: Framing = Framing::Chunked(Chunk::Size { size: 0, line_len: 0 });

/// Sizes have 16 digits at most; what extensions there are, are signatures of some 80 characters.
const MAX_CHUNK_LINE: u8 = 200;

impl Body {
    /// Expects the body that follows these fields.
    ///
    /// A body whose framing is faulty is left out (RFC 9112 §6.3): where it ends, nobody knows.
    pub(super) fn new(status: u16, fields: &ReceivedFields<'_>, max_size: usize) -> Self {
        let length = fields.single("Content-Length", ()).map(|length| length.map(parse_length));
        let codings: Vec<_> = fields.values("Transfer-Encoding").flat_map(elements).collect();
        let framing = match (length, &codings[..]) {
            _ if status < 200 || matches!(status, 204 | 304) => Framing::Over,
            (Ok(None), [coding]) if coding.eq_ignore_ascii_case(b"chunked") => CHUNK_START,
            (Ok(None), []) => Framing::UntilClose,
            (Ok(Some(Some(length))), []) => Framing::Length(length),
            _ => Framing::Over,
        };
        Self { bytes: Vec::new(), max_size, framing }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Takes bytes of the body, and returns whether that was all that is wanted of it.
    pub(super) fn receive(&mut self, input: &mut &[u8]) -> bool {
        loop {
            if self.bytes.len() >= self.max_size {
                return true;
            }
            match self.framing {
                Framing::Over | Framing::Length(0) => return true,
                _ if input.is_empty() => return false,
                Framing::UntilClose => _ = self.keep(input, u64::MAX),
                Framing::Length(missing) => {
                    self.framing = Framing::Length(self.keep(input, missing));
                }
                Framing::Chunked(Chunk::Data(missing)) => {
                    let chunk = match self.keep(input, missing) {
                        0 => Chunk::DataEnd,
                        missing => Chunk::Data(missing),
                    };
                    self.framing = Framing::Chunked(chunk);
                }
                Framing::Chunked(chunk) => {
                    let Some((&byte, rest)) = input.split_first() else { return false };
                    *input = rest;
                    self.framing = chunk.next(byte);
                }
            }
        }
    }

    /// Takes `missing` bytes, or as many as there are and as there is room for. Returns how many
    /// are missing then.
    fn keep(&mut self, input: &mut &[u8], missing: u64) -> u64 {
        let room = (self.max_size - self.bytes.len()).min(input.len());
        let taken = usize::try_from(missing).unwrap_or(usize::MAX).min(room);
        let (kept, rest) = input.split_at(taken);
        self.bytes.extend_from_slice(kept);
        *input = rest;
        missing - taken as u64
    }
}

impl Chunk {
    /// What follows a byte that is not data. Chunks that are malformed are over.
    fn next(self, byte: u8) -> Framing {
        let next = match self {
            Self::Size { line_len: MAX_CHUNK_LINE, .. }
            | Self::Extension { line_len: MAX_CHUNK_LINE, .. } => return Framing::Over,
            Self::Size { size, line_len } => {
                let line_len = line_len + 1;
                match char::from(byte).to_digit(16) {
                    Some(digit) if line_len <= 16 => {
                        Self::Size { size: size << 4 | u64::from(digit), line_len }
                    }
                    None if line_len > 1 && b"\r; \t".contains(&byte) => {
                        Self::Extension { size, line_len }
                    }
                    Some(_) | None => return Framing::Over,
                }
            }
            // The chunk of size 0 is the last. What trailers follow is of no interest.
            Self::Extension { size: 0, .. } if byte == b'\n' => return Framing::Over,
            Self::Extension { size, .. } if byte == b'\n' => Self::Data(size),
            Self::Extension { size, line_len } => Self::Extension { size, line_len: line_len + 1 },
            Self::Data(_) => self,
            Self::DataEnd => match byte {
                b'\r' => Self::DataEndLf,
                b'\n' => return CHUNK_START,
                _ => return Framing::Over,
            },
            Self::DataEndLf if byte == b'\n' => return CHUNK_START,
            Self::DataEndLf => return Framing::Over,
        };
        Framing::Chunked(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is kept of a body, whether that is all, and how much input is left.
    fn body(status: u16, fields: &str, body: &str) -> (String, bool, usize) {
        let lines = format!("{fields}\r\n");
        let fields = ReceivedFields::parse(lines.as_bytes(), 9).unwrap();
        let run = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut it = Body::new(status, &fields, 20);
            let mut complete = it.receive(&mut &b""[..]);
            let mut rest = 0;
            for mut piece in pieces {
                complete = complete || it.receive(&mut piece);
                rest += piece.len();
            }
            (String::from_utf8(it.into_bytes()).unwrap(), complete, rest)
        };
        let whole = run(&mut [body.as_bytes()].into_iter());
        assert_eq!(run(&mut body.as_bytes().chunks(1)), whole, "byte by byte");
        for middle in 0..body.len() {
            let (first, second) = body.as_bytes().split_at(middle);
            assert_eq!(run(&mut [first, second].into_iter()), whole, "cut at {middle}");
        }
        whole
    }

    #[track_caller]
    fn check(fields: &str, received: &str, expected: &str, complete: bool, rest: usize) {
        assert_eq!(body(400, fields, received), (expected.to_owned(), complete, rest));
    }

    #[test]
    fn a_body_ends_by_its_length_or_with_the_stream() {
        check("Content-Length: 2\r\n", "abc", "ab", true, 1);
        check("Content-Length: 2\r\n", "a", "a", false, 0);
        check("Content-Length: 0\r\n", "a", "", true, 1);
        check("", "abc", "abc", false, 0);
        for status in [101, 204, 304] {
            let nothing = (String::new(), true, 3);
            assert_eq!(body(status, "Content-Length: 2\r\n", "abc"), nothing, "{status}");
        }
    }

    #[test]
    fn a_body_ends_with_its_last_chunk() {
        let chunked = "Transfer-Encoding: Chunked\r\n";
        check(chunked, "2\r\nab\r\n3;x=\"y\"\r\ncde\r\n0\r\n\r\n", "abcde", true, 2);
        check(chunked, "00000000000000a \r\n0123456789\r\n0;z\r\n", "0123456789", true, 0);
        check(chunked, "2\r\nab\r\n", "ab", false, 0);
        check(chunked, "ffffffffffffffff\r\nab", "ab", false, 0);
    }

    #[test]
    fn malformed_chunks_end_a_body() {
        let chunked = "Transfer-Encoding: chunked\r\n";
        check(chunked, "x", "", true, 0);
        check(chunked, "\r\n", "", true, 1);
        check(chunked, "-1\r\n", "", true, 3);
        check(chunked, "2\r\nabc", "ab", true, 0);
        check(chunked, "00000000000000001\r\na", "", true, 3);
        check(chunked, &format!("1;{}\r\na", "x".repeat(200)), "", true, 4);
        check(chunked, "1\r\na\r\r\n", "a", true, 1);
        check(chunked, "1\r\na\r\r\r\r", "a", true, 2);
    }

    #[test]
    fn no_more_is_kept_than_allowed() {
        let many = "0123456789".repeat(3);
        let kept = &many[..20];
        check("", &many, kept, true, 10);
        check("Content-Length: 18446744073709551615\r\n", &many, kept, true, 10);
        check("Transfer-Encoding: chunked\r\n", &format!("1e\r\n{many}"), kept, true, 10);
    }

    #[test]
    fn faulty_framing_leaves_no_body() {
        for fields in [
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "Content-Length: +2\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: identity\r\n",
        ] {
            check(fields, "2\r\nab", "", true, 5);
        }
    }
}
