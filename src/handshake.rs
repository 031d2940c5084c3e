//! RFC 6455 §4: the opening handshake, and the little HTTP/1.1 it takes, as values.
//!
//! This layer knows bytes, not sockets: request heads come in, in whatever pieces they arrive, and
//! response heads go out into a buffer. It reads no clock (the time for a `Date` field is handed
//! in), draws no randomness, waits for nothing, and knows nothing of frames or of an event loop.
//!
//! A server's side of a handshake passes through four hands:
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
//! * [`Refusal`] is why any of them says no, and knows the [`Response`] that tells the client.
//!
//! Nothing but a 101 keeps the connection: every other response says `Connection: close`, and what
//! a client sends after a refused request is never read as frames, nor as another request.
//!
//! # Examples
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

mod accept_key;
mod authority;
mod client;
mod credentials;
mod extensions;
mod fields;
mod head;
mod lines;
mod offer;
mod origin;
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
pub use extensions::{Extension, Parameter};
pub use fields::InvalidField;
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
