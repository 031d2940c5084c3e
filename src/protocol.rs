//! RFC 6455 framing, as values: bytes in, events out, bytes out.
//!
//! This layer owns no socket, reads no clock and draws no randomness: whoever uses it moves the
//! bytes, keeps the deadlines and hands in masking keys. It therefore works over any transport,
//! can be fuzzed directly, and does the same thing every time for the same bytes, however they
//! are cut. It knows nothing of the opening handshake: it starts at the first byte after it.
//!
//! * [`Connection`] is the whole protocol for those who bring their own transport: it answers
//!   Pings, answers Close, and says why when the remote endpoint breaks the protocol.
//! * [`Decoder`] turns received bytes into [`Event`]s, and lends [`Message`]s out of the very
//!   buffer they arrived in where it can.
//! * [`Encoder`] and [`encode_frame`] turn messages into frames.
//! * [`frame`], [`mask`] and [`utf8`] are what these are made of.

mod close;
pub(crate) mod closing;
mod connection;
mod decoder;
#[cfg(feature = "deflate")]
mod deflate;
mod encoder;
pub mod frame;
#[cfg(feature = "json")]
mod json;
pub mod mask;
mod message;
pub mod utf8;
mod violation;
#[cfg(test)]
mod wire;

#[cfg(feature = "client")]
pub(crate) use self::{connection::keep_little, decoder::Ready};

#[cfg(feature = "deflate")]
pub use self::deflate::{Compress, Compressor, CompressorOptions, Decompressor, DeflateParameters};
pub use self::{
    close::{CloseBody, CloseCode, InvalidCloseCode},
    connection::{Connection, Sender},
    decoder::{Decoder, Event},
    encoder::{Encoder, SendError, encode_close, encode_frame},
    frame::{Header, Opcode},
    message::{Message, MessageType, Piece},
    violation::Violation,
};
#[cfg(all(feature = "deflate", any(feature = "client", feature = "event-loop")))]
pub(crate) use self::{
    connection::DEFAULT_THRESHOLD,
    deflate::{DEFAULT_LEVEL, DEFAULT_MEMORY_LEVEL},
};

/// Which of the two endpoints this one is.
///
/// RFC 6455 §5.1 treats them differently in one respect: a client masks every frame it sends,
/// a server masks none, and each fails the connection if the other does not do its part.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// The endpoint that accepted the connection.
    Server,
    /// The endpoint that opened the connection.
    Client,
}
