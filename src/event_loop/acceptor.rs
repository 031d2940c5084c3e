//! The way in for connections: listeners, and who is let in when not everyone can be.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::{Registry, Token};

use super::listener::{Accepted, Listener};
use super::{PeerId, Peers};

/// The token of the waker; listeners have those that follow.
pub(super) const WAKER: Token = Token(0);

/// How many connections are accepted in a turn, those included that fail, so that a storm of them does not keep peers waiting.
pub(super) const MAX_ACCEPTED: usize = 64;

/// How long to wait before trying again, if no descriptor is freed before: short enough to go unnoticed,
/// long enough to cost nothing.
const RETRY: Duration = Duration::from_millis(100);

/// Listeners, and the connections that have not said yet what they want.
#[derive(Debug, Default)]
pub(super) struct Acceptor {
    listeners: Vec<Listener>,
    /// Which of them accepted last.
    turn: usize,
    /// Set while no connection can be accepted for want of descriptors, memory or room.
    retry: Option<Instant>,
    /// Connections in the order of their arrival, to find the oldest opening handshake.
    arrivals: VecDeque<PeerId>,
}

impl Acceptor {
    pub(super) fn add(&mut self, mut listener: Listener, registry: &Registry) -> io::Result<()> {
        let token = Token(WAKER.0 + 1 + self.listeners.len());
        if token.0 >= PeerId::FIRST_TOKEN as usize {
            return Err(io::Error::other("a loop has at most 1023 listeners"));
        }
        listener.register(registry, token)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Stops listening.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
        self.retry = None;
    }

    /// Notes an event for the listener with this token.
    pub(super) fn note(&mut self, token: Token) {
        if let Some(listener) = self.listeners.get_mut(token.0 - WAKER.0 - 1) {
            listener.pending = true;
        }
    }

    /// When there will be something to do here without an event.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        let pending = self.listeners.iter().any(|listener| listener.pending);
        pending.then(|| self.retry.unwrap_or(now))
    }

    /// Tries to accept a connection, if there is `room` for one more. Listeners take turns.
    ///
    /// Returns `None` when there is nothing to do until the next event, or until [`next`](Self::next).
    pub(super) fn accept(&mut self, now: Instant, room: bool) -> Option<Accepted> {
        if self.retry.is_some_and(|at| now < at) {
            return None;
        }
        self.retry = None;
        for _ in 0..self.listeners.len() {
            self.turn = (self.turn + 1) % self.listeners.len();
            let listener = &mut self.listeners[self.turn];
            if !listener.pending {
                continue;
            }
            match if room { listener.accept() } else { Accepted::Exhausted } {
                Accepted::None | Accepted::Broken => listener.pending = false,
                Accepted::Exhausted => {
                    self.retry = Some(now + RETRY);
                    return None;
                }
                accepted => return Some(accepted),
            }
        }
        None
    }

    /// Notes that a connection has arrived. If too many are in the middle of their opening handshake, returns the
    /// one that has been for longest, which is to give way.
    pub(super) fn admit(
        &mut self,
        id: PeerId,
        peers: &Peers,
        is_waiting: impl Fn(PeerId) -> bool,
    ) -> Option<PeerId> {
        self.arrivals.push_back(id);
        if self.arrivals.len() > 2 * peers.opening() + 64 {
            self.arrivals.retain(|&id| is_waiting(id));
        }
        if peers.opening() <= peers.config.limits.handshakes {
            return None;
        }
        std::iter::from_fn(|| self.arrivals.pop_front()).find(|&id| is_waiting(id))
    }

    /// Notes that a descriptor was freed: whoever is waiting outside can come in.
    pub(super) fn descriptor_freed(&mut self, now: Instant) {
        if self.retry.is_some() {
            self.retry = Some(now);
        }
    }
}
