//! RFC 6455 §4: the opening handshake, and the little HTTP/1.1 it takes, as values.
//!
//! This layer knows bytes, not sockets: heads come in, in whatever pieces they arrive, and heads go
//! out into a buffer. It reads no clock (the time for a `Date` field is handed in), draws no
//! randomness (a client's key is handed in), waits for nothing, and knows nothing of frames or of an
//! event loop.
//!
//! # A server's side
//!
//! A handshake passes through four hands:
//!
//! ```text
//!  bytes ─▶ HeadBuffer ─▶ Request ─▶ Policy ─┬─▶ Offer ── accept ──▶ 101, frames follow
//!               │            │          │    └─▶ a plain HTTP request, the application's to answer
//!               └────────────┴──────────┴─▶ Refusal ── response ──▶ 4xx or 5xx, close
//! ```
//!
//! * [`HeadBuffer`] collects bytes up to the blank line, within [`HeadLimits`].
//! * [`Request`] is the head, once it is known to be a valid GET or HEAD without a body.
//! * [`Policy`] says which upgrades are welcome, and turns a request into an [`Offer`].
//! * [`TrustedProxies`] say where a request comes from that was passed on.
//! * [`Refusal`] is why any of them says no, and knows the [`Response`] that tells the client.
//!
//! Nothing but a 101 keeps the connection: every other response says `Connection: close`, and what
//! a client sends after a refused request is never read as frames, nor as another request.
//!
//! ```
//! use wsloop::handshake::{Acceptance, HeadBuffer, HeadLimits, Policy, Refusal, Request};
//!
//! /// Takes what a client sent, and returns what to answer and whether frames may follow.
//! fn answer(mut input: &[u8]) -> Result<Vec<u8>, Refusal> {
//!     let limits = HeadLimits::default();
//!     let mut head = HeadBuffer::new();
//!     assert!(head.receive(&mut input, &limits)?, "the head is whole");
//!     // Whatever follows the head already is frames.
//!     assert_eq!(input, b"\x81\x85");
//!
//!     let request = Request::parse(head.head(), &limits)?;
//!     let offer = Policy::default().judge(&request)?.ok_or(Refusal::UpgradeRequired)?;
//!     let mut output = Vec::new();
//!     offer.accept(&Acceptance::new(), &mut output).map_err(|_| Refusal::HandlerFailed)?;
//!     Ok(output)
//! }
//!
//! let output = answer(
//!     b"GET /chat HTTP/1.1\r\n\
//!       Host: server.example.com\r\n\
//!       Upgrade: websocket\r\n\
//!       Connection: Upgrade\r\n\
//!       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
//!       Sec-WebSocket-Version: 13\r\n\
//!       \r\n\x81\x85",
//! );
//! assert_eq!(
//!     String::from_utf8_lossy(&output.unwrap()),
//!     "HTTP/1.1 101 Switching Protocols\r\n\
//!      Upgrade: websocket\r\n\
//!      Connection: Upgrade\r\n\
//!      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
//!      \r\n",
//! );
//! ```
//!
//! # A client's side
//!
//! ```text
//!  WsUrl ─▶ ClientRequest ─▶ ClientHandshake ─▶ Reply ─┬─▶ Established, frames follow
//!               ▲                  ▲                   └─▶ ServerRefusal, close
//!               └── redirected ────│─────────────────────────────┘
//!                                bytes
//! ```
//!
//! * [`WsUrl`] is where to go, checked to the last byte.
//! * [`ClientRequest`] is what to ask there: subprotocols, header fields, credentials.
//! * [`ClientHandshake`] sends it, and judges the answer by all the rules of §4.1.
//! * [`ResponseError`] is why an answer is none; [`ServerRefusal`] is a valid answer that says no,
//!   with its status, fields and the beginning of its body.
//!
//! A [`Proxy`] comes before all that: its [`Tunnel`] leads to the server, as if it were there. That
//! there is "no more than one connection in a CONNECTING state" to an address (§4.1) is for whoever
//! connects to see to.
//!
//! ```
//! use std::io::{Read, Write};
//! use wsloop::handshake::{ClientHandshake, ClientRequest, Reply, WsUrl};
//! use wsloop::protocol::{Connection, Event, Message};
//!
//! /// Opens a connection over a transport, and returns the frames that came with the answer.
//! fn open(
//!     transport: &mut (impl Read + Write),
//!     url: &str,
//!     key: [u8; 16],
//! ) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//!     let mut output = Vec::new();
//!     let request = ClientRequest::new(WsUrl::parse(url)?);
//!     let mut handshake = ClientHandshake::start(&request, key, &mut output);
//!     transport.write_all(&output)?;
//!     let mut buffer = [0; 4096];
//!     loop {
//!         let len = transport.read(&mut buffer)?;
//!         let mut input = &buffer[..len];
//!         let reply = if len == 0 { handshake.end()? } else { handshake.receive(&mut input)? };
//!         match reply {
//!             None => {}
//!             Some(Reply::Established(_)) => return Ok(input.to_vec()),
//!             Some(Reply::Refused(refusal)) => return Err(refusal.into()),
//!         }
//!     }
//! }
//!
//! # struct Transport(&'static [u8], Vec<u8>);
//! # impl Read for Transport {
//! #     fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> { self.0.read(buffer) }
//! # }
//! # impl Write for Transport {
//! #     fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> { self.1.write(bytes) }
//! #     fn flush(&mut self) -> std::io::Result<()> { Ok(()) }
//! # }
//! # let mut transport = Transport(b"HTTP/1.1 101 Switching Protocols\r\n\
//! #     Upgrade: websocket\r\nConnection: Upgrade\r\n\
//! #     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello", Vec::new());
//! # let random_key = || *b"the sample nonce";
//! # let random_masking_key = || [1, 2, 3, 4];
//! // Both keys come from a source that nobody can foretell (§10.3).
//! let mut frames = open(&mut transport, "ws://server.example/chat", random_key())?;
//! let mut connection = Connection::client(random_masking_key);
//!
//! let hello = connection.receive(&mut &mut frames[..])?;
//! assert_eq!(hello, Some(Event::Message(Message::Text("Hello"))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accept_key;
mod authority;
mod client;
mod credentials;
#[cfg(feature = "deflate")]
mod deflate;
mod extensions;
mod fields;
mod forwarded;
mod head;
mod lines;
mod offer;
mod origin;
mod parameters;
mod proxy;
mod received_fields;
mod refusal;
mod request;
mod request_line;
mod response;
mod response_body;
mod response_error;
mod response_head;
mod response_reader;
mod server;
mod server_refusal;
mod subprotocol;
mod syntax;
#[cfg(test)]
mod testing;
mod url;

pub use client::{ClientHandshake, ClientRequest, Established, InvalidOffer, RedirectError, Reply};
pub use credentials::{Credentials, InvalidCredentials};
#[cfg(feature = "deflate")]
pub use deflate::DeflateOptions;
pub use extensions::{Extension, Parameter};
pub use fields::InvalidField;
pub use forwarded::{Forwarded, InvalidNetwork, ProxyField, TrustedProxies};
pub use head::{HeadBuffer, HeadLimits};
pub use offer::{Acceptance, Agreement, Offer, UnofferedSubprotocol};
pub use origin::OriginPolicy;
pub use proxy::{Proxy, ProxyError, Tunnel, TunnelReply};
pub use refusal::Refusal;
pub use request::Request;
pub use request_line::Method;
pub use response::Response;
pub use response_error::ResponseError;
pub use response_head::{ResponseHead, ResponseLimits};
pub use server::Policy;
pub use server_refusal::ServerRefusal;
pub use url::{UrlError, WsUrl};
