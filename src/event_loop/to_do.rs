//! What is to be done when no handler is being called.

use std::collections::VecDeque;
use std::time::Duration;

use super::PeerId;
use super::connect::Route;
use super::entry::Entry;

/// What is to be done when no handler is being called.
#[derive(Debug, Default)]
pub(super) struct ToDo {
    /// Peers to flush, close or arm a deadline for.
    pub(super) dirty: VecDeque<PeerId>,
    /// Peers from which more can be read, although no event will say so.
    pub(super) ready: VecDeque<PeerId>,
    /// To shut down, and how long that may take.
    pub(super) shutdown: Option<Duration>,
    /// Whether the loop was ever told to. No connection is begun from then on.
    pub(super) shut_down: bool,
    /// Connections to begin, and after what time.
    pub(super) connects: Vec<(PeerId, Box<Route>, Duration)>,
    /// Clients whose opening handshake is done, to make way for those that wait for the address.
    pub(super) connected: Vec<PeerId>,
    /// How many more steps of TLS handshakes may be taken in this turn.
    #[cfg(feature = "tls")]
    tls_steps: usize,
}

/// How many steps of TLS handshakes are taken in a turn. Most of a step is a signature or the
/// verification of one: 0.1 ms or, with a key of RSA's, 1 ms. A turn is worth nothing to those that
/// wait for the next, and to all others it should be short.
#[cfg(feature = "tls")]
const TLS_STEPS: usize = 2;

impl ToDo {
    /// Has the loop look at the peer before it waits again.
    pub(super) fn settle(&mut self, entry: &mut Entry) {
        if !std::mem::replace(&mut entry.flags.dirty, true) {
            self.dirty.push_back(entry.id);
        }
    }

    /// Has the loop read from the peer without waiting for an event.
    pub(super) fn read(&mut self, entry: &mut Entry) {
        if !std::mem::replace(&mut entry.flags.ready, true) {
            self.ready.push_back(entry.id);
        }
    }

    /// Allows a turn's share of TLS handshakes.
    #[cfg(feature = "tls")]
    pub(super) fn allow_handshakes(&mut self) {
        self.tls_steps = TLS_STEPS;
    }

    /// Whether a step of a TLS handshake may be taken in this turn. It is counted as taken.
    #[cfg(feature = "tls")]
    pub(super) fn take_tls_step(&mut self) -> bool {
        let allowed = self.tls_steps > 0;
        self.tls_steps -= usize::from(allowed);
        allowed
    }
}
