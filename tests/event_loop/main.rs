//! The event loop on real sockets, and in memory, through the public API alone.
//!
//! Tests are transcripts of a conversation: what a [client](common::Client) writes and reads, as hex with
//! text in quotes, and what the [handler](common::Script) is told meanwhile. They wait for effects, never
//! for time to pass, so that they hold on a machine of any speed; the only use of a clock is to fail a
//! test that hangs.

#![cfg(feature = "event-loop")]

#[cfg(unix)]
mod admission;
mod backpressure;
mod client_peers;
mod closing;
mod comings_and_goings;
mod common;
#[cfg(feature = "deflate")]
mod compression;
mod connecting;
mod echo;
mod fairness;
mod freedom;
#[cfg(feature = "json")]
mod json;
#[cfg(unix)]
mod last_words;
mod lifecycle;
mod listeners;
#[cfg(unix)]
mod many_peers;
mod mixture;
mod nesting;
mod opening;
mod proxies;
mod random_rehearsals;
#[cfg(unix)]
mod rate_limits;
mod reconnecting;
mod rehearsal;
mod remote;
#[cfg(unix)]
mod signs_of_life;
#[cfg(feature = "deflate")]
mod simulation;
#[cfg(feature = "deflate")]
mod simulations;
#[cfg(unix)]
mod stats;
#[cfg(unix)]
mod storm;
mod streaming;
mod timeouts;
mod timers;
#[cfg(feature = "tls")]
mod tls;
mod topics;
