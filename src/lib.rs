//! WebSockets without a framework underneath.

pub mod handshake;
pub mod protocol;
