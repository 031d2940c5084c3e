//! How a client introduces itself, and what it is answered.

use std::net::SocketAddr;

use crate::handshake::HeadBuffer;

/// How a client of a [`Rehearsal`](super::Rehearsal) connects: the request, and what the server
/// knows of the connection.
///
/// # Examples
///
/// ```
/// use wsloop::testing::{Opening, Rehearsal};
/// use wsloop::{Acceptance, Config, Handler, IncomingRequest, Message, Peer, Peers, Response};
/// # use wsloop::Answer;
///
/// struct Members;
///
/// impl Handler for Members {
///     fn on_request(&mut self, _: &mut Peers, request: &IncomingRequest<'_>) -> Answer {
///         match request.field("Authorization") {
///             Some("Bearer of good news") => Acceptance::new().into(),
///             _ => Response::text(401, "who are you?").into(),
///         }
///     }
///
///     fn on_message(&mut self, _: &mut Peer<'_>, _: Message<'_>) {}
/// }
///
/// let mut members = Rehearsal::new(Config::new(), Members);
/// members.connect(Opening::new("/").field("Authorization", "Bearer of good news"));
///
/// let stranger = members.request("/");
/// let response = members.response(stranger).unwrap();
/// assert_eq!((response.status(), response.body()), (401, &b"who are you?"[..]));
/// ```
#[derive(Clone, Debug)]
#[must_use = "nobody has connected yet"]
pub struct Opening {
    target: String,
    fields: Vec<(String, String)>,
    pub(super) remote_addr: Option<SocketAddr>,
    pub(super) buffer: usize,
}

/// What a browser's request has in any case. Each may be there only once.
const UPGRADE: [(&str, &str); 5] = [
    ("Host", "localhost"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

/// About what a socket holds before anyone has read from it.
const BUFFER: usize = 64 * 1024;

impl Opening {
    /// The opening handshake of a client that asks for `target`, such as `/chat?room=42`.
    pub fn new(target: &str) -> Self {
        Self::with_fields(target, &UPGRADE)
    }

    /// The request for a page, which asks for no upgrade.
    pub fn page(target: &str) -> Self {
        Self::with_fields(target, &UPGRADE[..1])
    }

    fn with_fields(target: &str, fields: &[(&str, &str)]) -> Self {
        Self {
            target: target.to_owned(),
            fields: fields
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            remote_addr: None,
            buffer: BUFFER,
        }
    }

    /// Adds a header field, or replaces one of those that every such request has: `Host`,
    /// `Upgrade`, `Connection`, `Sec-WebSocket-Key` and `Sec-WebSocket-Version`.
    ///
    /// A page's client is one that sends `Origin`; one that offers subprotocols sends
    /// `Sec-WebSocket-Protocol`. One that offers to compress, by `Sec-WebSocket-Extensions`, is for
    /// what it sends itself: it does not inflate, and panics over a compressed message.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if UPGRADE.iter().any(|(once, _)| once.eq_ignore_ascii_case(name)) {
            self.fields.retain(|(once, _)| !once.eq_ignore_ascii_case(name));
        }
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets where the connection comes from, which otherwise nobody knows.
    pub fn remote_addr(mut self, addr: SocketAddr) -> Self {
        self.remote_addr = Some(addr);
        self
    }

    /// Sets how many bytes the connection holds, each way, that were written and not yet read.
    /// Default: 64 KiB.
    ///
    /// With few, everything arrives in many small pieces, and a client that does not read is
    /// noticed soon.
    ///
    /// # Panics
    ///
    /// Panics if that is none.
    pub fn buffer(mut self, bytes: usize) -> Self {
        assert!(bytes > 0, "nothing passes through a connection that holds nothing");
        self.buffer = bytes;
        self
    }

    pub(super) fn head(&self) -> Vec<u8> {
        let fields = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        match HeadBuffer::from_parts("GET", &self.target, fields) {
            Ok(head) => head.head().to_vec(),
            Err(refusal) => panic!("this is no request, so send it raw: {refusal}"),
        }
    }
}

impl From<&str> for Opening {
    /// The opening handshake of a client that asks for this target.
    fn from(target: &str) -> Self {
        Self::new(target)
    }
}

/// What a client's request was answered with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpResponse {
    status: u16,
    fields: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// More fields than any response has.
const MAX_FIELDS: usize = 256;

impl HttpResponse {
    /// Takes a response head from the front of `input`, or nothing if it is not all there.
    pub(super) fn parse(input: &mut Vec<u8>) -> Option<Self> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(input).expect("the server's answer is HTTP");
        let httparse::Status::Complete(len) = parsed else { return None };
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let fields = response.headers.iter();
        let response = Self {
            status: response.code.expect("a complete head has a status"),
            fields: fields.map(|field| (field.name.to_owned(), text(field.value))).collect(),
            body: Vec::new(),
        };
        input.drain(..len);
        Some(response)
    }

    /// The status: 101 if the client was let in.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The first field with this name, in whatever case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        fields.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What follows the head. Empty if the client was let in.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}
