//! WebSockets without a framework underneath.

#[cfg(feature = "event-loop")]
pub mod event_loop;
pub mod handshake;
pub mod protocol;

#[cfg(feature = "event-loop")]
pub use event_loop::{
    Answer, Close, CloseCause, Config, Deferred, EventLoop, Handler, IncomingRequest, Overflow,
    Peer, PeerId, Peers, Remote, SendStatus, SharedMessage,
};
pub use handshake::{Acceptance, OriginPolicy, Response};
pub use protocol::{CloseCode, Message};
