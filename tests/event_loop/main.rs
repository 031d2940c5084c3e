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
mod closing;
mod common;
mod echo;
mod fairness;
mod freedom;
#[cfg(unix)]
mod last_words;
mod lifecycle;
mod listeners;
mod opening;
mod random_rehearsals;
mod rehearsal;
mod remote;
#[cfg(unix)]
mod signs_of_life;
mod timeouts;
mod timers;
mod topics;
