//! WebSockets without a framework underneath: a single-threaded event loop, and the protocol as
//! values.
//!
//! # A server
//!
#![cfg_attr(feature = "event-loop", doc = "```no_run")]
#![cfg_attr(not(feature = "event-loop"), doc = "```ignore")]
//! use wsloop::{EventLoop, Handler, Message, Peer};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
//!         peer.send(message);
//!     }
//! }
//!
//! fn main() -> std::io::Result<()> {
//!     let mut event_loop = EventLoop::new()?;
//!     event_loop.listen("127.0.0.1:9001")?;
//!     event_loop.run(&mut Echo)
//! }
//! ```
//!
//! A `Handler` is told of everything that happens to all peers, on one thread, and needs no locks.
//! What it sends is queued, and written once per peer and turn of the loop. `Peers::connect` makes
//! the loop a client as well, of any number of servers, which are peers like all others. `Config`
//! holds the limits, `Remote` is the handle for other threads, and `Peers` is everyone else who is
//! connected.
//!
//! # The layers
//!
//! * `event_loop`: sockets and time. The paved path; everything most servers need of it is also at
//!   the root of the crate.
//! * `client`: a client that blocks, over the sockets of the standard library. It stands beside the
//!   event loop, and neither needs the other.
//! * [`handshake`]: the opening handshake (RFC 6455 §4) and the HTTP around it, as values, of
//!   servers and of clients.
//! * [`protocol`]: frames and messages (RFC 6455 §5 to §7), as values: bytes in, events out, bytes
//!   out.
//!
//! Handlers are tested with `testing`, a part of the first: the loop, without sockets and with a
//! clock that the test moves.
//!
//! Each knows only those below. The last two own no socket and read no clock: they work over any
//! transport and are easy to fuzz.
//!
//! # Features
//!
//! * `event-loop` (default): the `event_loop` module, with mio.
//! * `client` (default): the `client` module, with nothing but the standard library and random
//!   numbers. Without this and the event loop, the crate is the two lower layers alone.
//! * `deflate` (default): permessage-deflate (RFC 7692) in all layers, by way of `zlib-rs`. Nothing is
//!   compressed before a server or a client asks for it, with `Compression`.
//! * `tls`: TLS for listeners of the event loop and `wss` URLs for clients, by way of `rustls`: see
//!   the `tls` module.
//! * `json`: `Message::json` parses messages, and `send_json`, `broadcast_json` and `publish_json`
//!   on peers send values, by way of `serde`. Without the loop, there is the parsing alone.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
pub mod client;
#[cfg(all(feature = "deflate", any(feature = "client", feature = "event-loop")))]
mod compression;
#[cfg(any(feature = "client", feature = "event-loop"))]
mod connect_error;
#[cfg(feature = "event-loop")]
pub mod event_loop;
pub mod handshake;
pub mod protocol;
#[cfg(any(feature = "client", feature = "event-loop"))]
mod random;
#[cfg(feature = "tls")]
pub mod tls;

#[cfg(all(feature = "deflate", any(feature = "client", feature = "event-loop")))]
pub use compression::Compression;
#[cfg(any(feature = "client", feature = "event-loop"))]
pub use connect_error::{ConnectError, ConnectStep};
#[cfg(feature = "event-loop")]
#[doc(inline)]
pub use event_loop::testing;
#[cfg(feature = "event-loop")]
#[doc(no_inline)]
pub use event_loop::{
    Answer, Close, CloseCause, Config, Connect, Deferred, Delivery, EventLoop, Excess, Handler,
    IncomingRequest, Overflow, Peer, PeerId, PeerMap, Peers, Rate, RateLimit, Reconnect, Remote,
    RemoteError, Retry, SendStatus, SharedMessage, Stats, StreamError, TimerId,
};
#[doc(no_inline)]
pub use handshake::{
    Acceptance, HeadLimits, OriginPolicy, ProxyField, Refusal, Response, TrustedProxies,
};
#[cfg(feature = "deflate")]
#[doc(no_inline)]
pub use protocol::Compress;
#[doc(no_inline)]
pub use protocol::{CloseCode, Message, MessageType, Piece, Violation};
#[cfg(all(feature = "event-loop", feature = "tls"))]
#[doc(no_inline)]
pub use tls::{TlsIdentity, TlsServer};

/// The README's examples are compiled and run with the others. They use all features.
#[cfg(all(doctest, feature = "client", feature = "event-loop", feature = "json", feature = "tls"))]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those for users of gorilla/websocket.
#[cfg(all(doctest, feature = "client", feature = "event-loop", feature = "json"))]
#[doc = include_str!("../docs/from-gorilla.md")]
struct FromGorilla;

/// And those for users of nginx.
#[cfg(all(doctest, feature = "event-loop"))]
#[doc = include_str!("../docs/behind-nginx.md")]
struct BehindNginx;
