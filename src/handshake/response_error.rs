//! Why a server's answer to an opening handshake is none.

use core::{error::Error, fmt};

/// What a server's answer broke, so that the client fails the connection (RFC 6455 §4.1).
///
/// Nothing is sent on such a connection any more, not even a Close: close its transport. An answer
/// that is valid HTTP, but a refusal, is no error but a [`ServerRefusal`](super::ServerRefusal).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseError {
    /// The stream ended before there was any answer.
    NoResponse,
    /// The stream ended within the head of the answer (RFC 9112 §8).
    Incomplete,
    /// A TLS record where plain HTTP was expected: most likely the URL should be `wss`.
    Tls,
    /// The answer does not begin with `HTTP/`.
    NotHttp,
    /// The status line is not `HTTP/1.1 status reason` (RFC 9112 §4).
    StatusLine,
    /// A line did not end with CRLF, or CR stood within one (RFC 9112 §2.2).
    LineEnd,
    /// A header field line is malformed, or goes on in the next line (RFC 9112 §5).
    Field,
    /// The head is larger than the limit.
    HeadTooLarge,
    /// There are more header fields than the limit.
    TooManyFields,
    /// More interim responses than anyone needs (RFC 9110 §15.2).
    TooManyInterim,
    /// A major version of HTTP other than 1, or a 101 of HTTP/1.0 (RFC 6455 §4.1).
    HttpVersion,
    /// `Upgrade` is not `websocket` and nothing else (RFC 6455 §4.1).
    Upgrade,
    /// `Connection` does not list `Upgrade` (RFC 6455 §4.1).
    Connection,
    /// There is no `Sec-WebSocket-Accept` (RFC 6455 §4.1).
    NoAcceptKey,
    /// `Sec-WebSocket-Accept` is repeated (RFC 6455 §11.3.3).
    RepeatedAcceptKey,
    /// `Sec-WebSocket-Accept` does not answer our key (RFC 6455 §4.1).
    AcceptKey,
    /// The 101 announces content, which it cannot have (RFC 9110 §8.6, RFC 9112 §6.1).
    Content,
    /// `Sec-WebSocket-Extensions` is malformed (RFC 6455 §9.1).
    Extensions,
    /// An extension that was not offered (RFC 6455 §4.1).
    UnofferedExtension,
    /// An extension is agreed to twice (RFC 6455 §9.1).
    RepeatedExtension,
    /// permessage-deflate, with parameters that do not answer our offer (RFC 7692 §7.1).
    Deflate,
    /// A subprotocol that was not offered, or a list of several (RFC 6455 §4.1).
    UnofferedSubprotocol,
    /// `Sec-WebSocket-Protocol` is repeated (RFC 6455 §11.3.4).
    RepeatedSubprotocol,
    /// None of the offered subprotocols is picked, and the client requires one.
    NoSubprotocol,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoResponse => "the connection was closed without an answer",
            Self::Incomplete => "the connection was closed within the head of the answer",
            Self::Tls => "expected HTTP, got TLS: should the URL begin with wss://?",
            Self::NotHttp => "expected HTTP, got something else",
            Self::StatusLine => "malformed status line, expected `HTTP/1.1 status reason`",
            Self::LineEnd => "every line of a response head must end with CRLF",
            Self::Field => "malformed header field, expected `name: value` on one line",
            Self::HeadTooLarge => "the response head is too large",
            Self::TooManyFields => "the response has too many header fields",
            Self::TooManyInterim => "too many interim responses, expected a final one",
            Self::HttpVersion => "unsupported version of HTTP, expected HTTP/1.1",
            Self::Upgrade => "expected exactly one Upgrade: websocket",
            Self::Connection => "expected Connection: Upgrade",
            Self::NoAcceptKey => "a 101 without Sec-WebSocket-Accept, expected the hash of our key",
            Self::RepeatedAcceptKey => "expected exactly one Sec-WebSocket-Accept",
            Self::AcceptKey => "wrong Sec-WebSocket-Accept, expected the hash of our key",
            Self::Content => "a 101 that announces content, expected frames",
            Self::Extensions => "malformed Sec-WebSocket-Extensions",
            Self::UnofferedExtension => "an extension that we did not offer",
            Self::RepeatedExtension => "the same extension twice, expected it once",
            Self::Deflate => "permessage-deflate with parameters that do not answer our offer",
            Self::UnofferedSubprotocol => "expected one of the subprotocols that we offered",
            Self::RepeatedSubprotocol => "expected at most one Sec-WebSocket-Protocol",
            Self::NoSubprotocol => "no subprotocol, expected one of those that we offered",
        })
    }
}

impl Error for ResponseError {}
