//! The first line of a request, RFC 9112 §3: its layout, its method and its target.

use core::fmt;

use super::authority::Authority;
use super::refusal::Refusal;
use super::syntax::{is_target_byte, is_token, is_uri_text};

/// A request method that can be answered.
///
/// All others are refused before a [`Request`](super::Request) comes about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Asks for a response with its content, or for an upgrade.
    Get,
    /// Asks for the head of the response to GET alone.
    Head,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        })
    }
}

/// The parts of a request line. Whether they are welcome is judged afterwards, one by one.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'h> {
    method: &'h str,
    target: &'h str,
    major_version: u8,
    minor_version: u8,
}

impl<'h> RequestLine<'h> {
    /// Parses a line, given without its end. There is exactly one space between its parts.
    pub(super) fn parse(line: &'h [u8]) -> Result<Self, Refusal> {
        let line = str::from_utf8(line).map_err(|_| Refusal::RequestLine)?;
        let mut parts = line.split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        let visible = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
        // RFC 9112 §2.3: the name of the protocol is case-sensitive, the numbers have one digit.
        let [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] =
            *version.as_bytes()
        else {
            return Err(Refusal::RequestLine);
        };
        if !visible || !is_token(method.as_bytes()) {
            return Err(Refusal::RequestLine);
        }
        Ok(Self { method, target, major_version: major - b'0', minor_version: minor - b'0' })
    }

    /// The minor version of HTTP, where a recipient of version 1 takes anything above 1.1 for 1.1.
    pub(super) fn minor_version(&self) -> Result<u8, Refusal> {
        if self.major_version != 1 {
            return Err(Refusal::HttpVersion);
        }
        Ok(self.minor_version.min(1))
    }

    /// The method, which is case-sensitive.
    pub(super) fn method(&self) -> Result<Method, Refusal> {
        match self.method {
            "GET" => Ok(Method::Get),
            "HEAD" => Ok(Method::Head),
            "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH" => {
                Err(Refusal::Method)
            }
            _ => Err(Refusal::UnknownMethod),
        }
    }

    /// The target, taken apart.
    pub(super) fn target(&self) -> Result<Target<'h>, Refusal> {
        Target::parse(self.target).ok_or(Refusal::Target)
    }
}

/// Where a request is directed to: a path, or an `http` or `https` URI (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'h> {
    /// All of it, as it was sent.
    pub(super) text: &'h str,
    /// The host and port of a URI.
    pub(super) authority: Option<&'h str>,
    pub(super) path: &'h str,
    pub(super) query: Option<&'h str>,
}

impl<'h> Target<'h> {
    fn parse(text: &'h str) -> Option<Self> {
        let (authority, rest) = if text.starts_with('/') {
            (None, text)
        } else {
            let (scheme, rest) = text.split_once("://")?;
            if !["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
                return None;
            }
            let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            Authority::parse(authority)?;
            (Some(authority), rest)
        };
        // A fragment never leaves a browser, and means a confused client.
        if !is_uri_text(rest, is_target_byte) {
            return None;
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        Some(Self { text, authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_or_an_http_uri() {
        let parts = |text| Target::parse(text).map(|t| (t.authority, t.path, t.query));
        assert_eq!(parts("/"), Some((None, "/", None)));
        assert_eq!(parts("/chat?a=1?b"), Some((None, "/chat", Some("a=1?b"))));
        assert_eq!(parts("/a?"), Some((None, "/a", Some(""))));
        assert_eq!(parts("//a/../b"), Some((None, "//a/../b", None)));
        assert_eq!(parts("/%C3%a9;v=1"), Some((None, "/%C3%a9;v=1", None)));
        assert_eq!(parts("/?list[]=1"), Some((None, "/", Some("list[]=1"))));
        assert_eq!(parts("http://h"), Some((Some("h"), "/", None)));
        assert_eq!(parts("HTTPS://h:8/c?d"), Some((Some("h:8"), "/c", Some("d"))));
        assert_eq!(parts("http://[::1]?q"), Some((Some("[::1]"), "/", Some("q"))));
    }

    #[test]
    fn nothing_else_is_a_target() {
        for text in [
            "*",
            "h:80",
            "chat",
            "?q",
            "ws://h/",
            "ftp://h/",
            "http:/h",
            "http:h",
            "http://",
            "http:///a",
            "http://u@h/",
            "http://u:p@h/",
            "http://h:x/",
            "://h/",
            "http://h#f",
            "/a#b",
            "/#",
            "/é",
            "/\\",
            "/<x>",
            "/\"",
            "/^",
            "/`",
            "/{}",
            "/|",
            "/%zz",
            "/%4",
            "/%",
            "/%00",
            "/a?%",
        ] {
            assert!(Target::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_request_line_has_three_parts_with_one_space_between() {
        assert!(RequestLine::parse(b"GET / HTTP/1.1").is_ok());
        for line in [
            "",
            "GET",
            "GET /",
            "GET / ",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET / HTTP/1.1 ",
            " GET / HTTP/1.1",
            " / HTTP/1.1",
            "GET  HTTP/1.1",
            "GET\t/ HTTP/1.1",
            "GET /a b HTTP/1.1",
            "GET /\tHTTP/1.1",
            "G(T / HTTP/1.1",
            "GET / http/1.1",
            "GET / HTTP/1",
            "GET / HTTP/1.",
            "GET / HTTP/1.10",
            "GET / HTTP/01.1",
            "GET / HTTP/1,1",
            "GET / HTTPS/1.1",
            "GET / HTTP/x.1",
            "GET /é HTTP/1.1",
            "GET /\u{1} HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "GET / HTTP/1.1\r",
        ] {
            let refusal = RequestLine::parse(line.as_bytes()).err();
            assert_eq!(refusal, Some(Refusal::RequestLine), "{line:?}");
        }
        assert!(RequestLine::parse(b"GET /\xff HTTP/1.1").is_err());
    }
}
