//! The blocking client on real sockets, through the public API alone.
//!
//! The server is a script of what it writes and reads, on a thread of its own, or an event loop that
//! echoes. Nothing waits for time to pass, but where it is a timeout that is tested.

#![cfg(feature = "client")]

mod allocations;
mod closing;
mod common;
#[cfg(feature = "deflate")]
mod compression;
mod connecting;
#[cfg(feature = "event-loop")]
mod echo;
mod halves;
mod masking;
mod proxies;
mod receiving;
mod sending;
#[cfg(feature = "tls")]
mod tls;
