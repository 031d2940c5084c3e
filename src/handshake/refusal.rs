//! Why a request is not granted, and what to answer.

use core::{error::Error, fmt};

use super::Response;

/// Why a client's request gets no upgrade: what it did wrong, or what the server cannot do.
///
/// Each knows its HTTP status and the [response](Self::response) that tells the client.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// A line did not end with CRLF, or CR stood within one (RFC 9112 §2.2).
    LineEnd,
    /// More than two empty lines before the request line (RFC 9112 §2.2).
    EmptyLines,
    /// A TLS handshake where plain HTTP is spoken: most likely the client meant another port.
    Tls,
    /// A request in plain text where TLS is spoken: most likely the client meant another scheme.
    PlainText,
    /// The request line is not `method target HTTP/1.1` (RFC 9112 §3).
    RequestLine,
    /// A header field line is malformed (RFC 9112 §5).
    Field,
    /// The request line is longer than the limit (RFC 9110 §15.5.15).
    TargetTooLong,
    /// The head is larger than the limit (RFC 6585 §5).
    HeadTooLarge,
    /// There are more header fields than the limit (RFC 6585 §5).
    TooManyFields,
    /// A major version of HTTP other than 1 (RFC 9110 §15.6.6).
    HttpVersion,
    /// A method nobody has defined (RFC 9110 §15.6.2).
    UnknownMethod,
    /// A method other than GET and HEAD (RFC 9110 §15.5.6).
    Method,
    /// The target is neither a path nor an `http` or `https` URI, or is not a valid one (RFC 9112
    /// §3.2).
    Target,
    /// There is no `Host`, more than one, or an invalid one (RFC 9112 §3.2).
    Host,
    /// `Content-Length` is repeated or not a number (RFC 9112 §6.3).
    ContentLength,
    /// `Transfer-Encoding` in a request that can have no content (RFC 9112 §6.1).
    TransferEncoding,
    /// A transfer coding nobody here knows (RFC 9112 §6.1).
    UnknownTransferCoding,
    /// The request has content (RFC 9110 §15.5.14).
    Content,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// The host is none of those served here (RFC 9110 §15.5.20).
    MisdirectedRequest,
    /// `Sec-WebSocket-Version` is missing, repeated or malformed (RFC 6455 §4.2.1).
    Version,
    /// A version of the WebSocket protocol other than 13 (RFC 6455 §4.4).
    UnsupportedVersion,
    /// `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes in base64 (RFC 6455 §4.2.1).
    Key,
    /// `Sec-WebSocket-Protocol` is not a list of distinct tokens (RFC 6455 §4.1).
    Subprotocols,
    /// `Sec-WebSocket-Extensions` is malformed (RFC 6455 §9.1).
    Extensions,
    /// More than one `Origin` (RFC 6454 §7.3).
    RepeatedOrigin,
    /// The origin is not one this server trusts (RFC 6455 §10.2).
    Origin,
    /// There is nothing at this path (RFC 6455 §4.2.2).
    NotFound,
    /// A request that does not ask for an upgrade, where nothing else is served (RFC 9110
    /// §15.5.22).
    UpgradeRequired,
    /// The stream ended before the head did (RFC 9112 §8).
    Incomplete,
    /// The head was not complete in time (RFC 9110 §15.5.9).
    Timeout,
    /// There is no room for another connection right now (RFC 9110 §15.6.4).
    Overloaded,
    /// The application put off its decision, and did not make it in time (RFC 9110 §15.6.4).
    Undecided,
    /// The server is shutting down (RFC 9110 §15.6.4).
    ShuttingDown,
    /// The application failed to answer the request (RFC 9110 §15.6.1).
    HandlerFailed,
    /// The application put off its decision, and then forgot it (RFC 9110 §15.6.1).
    Abandoned,
}

impl Refusal {
    /// The HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::LineEnd
            | Self::EmptyLines
            | Self::Tls
            | Self::PlainText
            | Self::RequestLine
            | Self::Field
            | Self::Target
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::Version
            | Self::Key
            | Self::Subprotocols
            | Self::Extensions
            | Self::RepeatedOrigin
            | Self::Incomplete => 400,
            Self::Origin => 403,
            Self::NotFound => 404,
            Self::Method => 405,
            Self::Timeout => 408,
            Self::Content => 413,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::MisdirectedRequest => 421,
            Self::UnsupportedVersion | Self::UpgradeRequired => 426,
            Self::HeadTooLarge | Self::TooManyFields => 431,
            Self::HandlerFailed | Self::Abandoned => 500,
            Self::UnknownMethod | Self::UnknownTransferCoding => 501,
            Self::Overloaded | Self::Undecided | Self::ShuttingDown => 503,
            Self::HttpVersion => 505,
        }
    }

    /// The whole response: the status, the header fields that must come with it, and why.
    ///
    /// Nothing of the request is in it. With a status of 426 go `Upgrade: websocket` and
    /// `Connection: Upgrade, close`.
    pub fn response(self) -> Response {
        let response = Response::text(self.status(), format!("{self}\n"));
        match self {
            Self::Method => response.own_field("Allow", "GET, HEAD"),
            // RFC 6455 §4.4: the response "MUST" name the versions the server can speak.
            Self::Version | Self::UnsupportedVersion => {
                response.own_field("Sec-WebSocket-Version", "13")
            }
            // Connections come in bursts, and a burst is over in seconds; so is a restart.
            Self::Overloaded | Self::Undecided | Self::ShuttingDown => {
                response.own_field("Retry-After", "5")
            }
            _ => response,
        }
    }

    /// What was wrong, and what would have been right.
    fn reason(self) -> &'static str {
        match self {
            Self::LineEnd => "every line of a request head must end with CRLF",
            Self::EmptyLines => "expected a request line, got empty lines",
            Self::Tls => "expected HTTP, got a TLS handshake: is this the right port?",
            Self::PlainText => "expected a TLS handshake, got plain text: is it wss or https?",
            Self::RequestLine => "expected a request line: method, target and HTTP/1.1",
            Self::Field => "malformed header field, expected `name: value`",
            Self::TargetTooLong => "the request line is too long",
            Self::HeadTooLarge => "the request head is too large",
            Self::TooManyFields => "the request has too many header fields",
            Self::HttpVersion => "unsupported version of HTTP, expected HTTP/1.1",
            Self::UnknownMethod => "unknown method, expected GET",
            Self::Method => "method not allowed, expected GET",
            Self::Target => "invalid request target, expected a path such as /chat",
            Self::Host => "expected exactly one Host: a name or an address, and maybe a port",
            Self::ContentLength => "invalid Content-Length, expected one number",
            Self::TransferEncoding => {
                "unexpected Transfer-Encoding: the request can have no content"
            }
            Self::UnknownTransferCoding => "unknown transfer coding, expected none",
            Self::Content => "unexpected content: the request must not have any",
            Self::Expectation => "unknown expectation, expected 100-continue or none",
            Self::MisdirectedRequest => "this host is not served here",
            Self::Version => "invalid Sec-WebSocket-Version, expected exactly one: 13",
            Self::UnsupportedVersion => "unsupported Sec-WebSocket-Version, expected 13",
            Self::Key => "expected exactly one Sec-WebSocket-Key: 16 bytes in base64",
            Self::Subprotocols => "invalid Sec-WebSocket-Protocol, expected distinct tokens",
            Self::Extensions => "malformed Sec-WebSocket-Extensions",
            Self::RepeatedOrigin => "expected at most one Origin",
            Self::Origin => "this origin is not allowed to connect",
            Self::NotFound => "there is nothing here",
            Self::UpgradeRequired => {
                "expected a WebSocket handshake: a GET with Upgrade: websocket"
            }
            Self::Incomplete => "the request ended before the empty line that ends its head",
            Self::Timeout => "the request did not arrive in time",
            Self::Overloaded => "too many connections, try again later",
            Self::Undecided => "the request was not decided about in time, try again later",
            Self::ShuttingDown => "the server is shutting down, try again later",
            Self::HandlerFailed => "the server failed to answer this request",
            Self::Abandoned => "the server did not decide about this request",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::handshake::Method;

    /// The response without its status line and `Date`, which are the same for all.
    fn fields(refusal: Refusal) -> String {
        let mut output = Vec::new();
        refusal.response().encode(Method::Head, UNIX_EPOCH, &mut output);
        let output = String::from_utf8(output).unwrap();
        output.lines().skip(2).flat_map(|line| [line, "\n"]).collect()
    }

    #[test]
    fn each_comes_with_the_fields_its_status_requires() {
        let close = "Connection: close\n";
        let upgrade = "Upgrade: websocket\nConnection: Upgrade, close\n";
        for (refusal, connection, more) in [
            (Refusal::Host, close, ""),
            (Refusal::Method, close, "Allow: GET, HEAD\n"),
            (Refusal::Version, close, "Sec-WebSocket-Version: 13\n"),
            (Refusal::UnsupportedVersion, upgrade, "Sec-WebSocket-Version: 13\n"),
            (Refusal::UpgradeRequired, upgrade, ""),
            (Refusal::Overloaded, close, "Retry-After: 5\n"),
        ] {
            let length = refusal.to_string().len() + 1;
            let expected = format!(
                "{connection}Content-Type: text/plain; charset=utf-8\n\
                 X-Content-Type-Options: nosniff\nContent-Length: {length}\n{more}\n"
            );
            assert_eq!(fields(refusal), expected, "{refusal:?}");
        }
    }

    #[test]
    fn the_body_says_why_and_nothing_else() {
        let mut output = Vec::new();
        Refusal::Key.response().encode(Method::Get, UNIX_EPOCH, &mut output);
        let output = String::from_utf8(output).unwrap();
        let (head, body) = output.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "expected exactly one Sec-WebSocket-Key: 16 bytes in base64\n");
        assert_eq!(body, format!("{}\n", Refusal::Key));
        assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
    }
}
