//! The way in for connections: listeners, and who is let in when not everyone can be.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use mio::Token;

use super::PeerId;
use super::listener::{Accepted, Listener};
use super::poller::Poller;

/// The token of the waker; listeners have those that follow.
pub(super) const WAKER: Token = Token(0);

/// How many connections are accepted in a turn, those included that fail, so that a storm of them
/// does not keep peers waiting.
pub(super) const MAX_ACCEPTED: usize = 64;

/// How often in a row a listener may fail before it is left alone for a while.
const MAX_FAILURES: u32 = 16;

/// How long to wait before trying again, if no descriptor is freed before: short enough to go
/// unnoticed, long enough to cost nothing.
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
    pub(super) fn add(&mut self, mut listener: Listener, poller: &Poller) -> io::Result<()> {
        let token = Token(WAKER.0 + 1 + self.listeners.len());
        if token.0 >= PeerId::FIRST_TOKEN as usize {
            return Err(io::Error::other("a loop has at most 1023 listeners"));
        }
        listener.register(poller, token)?;
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
        let wakings = self.listeners.iter().filter_map(|listener| match listener.pending {
            true => Some(now),
            false => listener.retry,
        });
        let soonest = wakings.min()?;
        Some(self.retry.map_or(soonest, |retry| soonest.max(retry)))
    }

    /// Tries to accept a connection, if there is `room` for one more. Listeners take turns.
    ///
    /// Returns `None` when there is nothing to do until the next event, or until
    /// [`next`](Self::next).
    pub(super) fn accept(&mut self, now: Instant, room: bool) -> Option<Accepted> {
        if self.retry.is_some_and(|at| now < at) {
            return None;
        }
        self.retry = None;
        for _ in 0..self.listeners.len() {
            self.turn = (self.turn + 1) % self.listeners.len();
            let listener = &mut self.listeners[self.turn];
            if listener.retry.is_some_and(|at| at <= now) {
                (listener.pending, listener.retry) = (true, None);
            }
            if !listener.pending {
                continue;
            }
            match if room { listener.accept() } else { Accepted::Exhausted } {
                Accepted::None => listener.pending = false,
                Accepted::Exhausted => {
                    self.retry = Some(now + RETRY);
                    return None;
                }
                Accepted::Failed => {
                    listener.failures += 1;
                    // What fails so often is not the connections. Others are not to suffer for it.
                    if listener.failures.is_multiple_of(MAX_FAILURES) {
                        (listener.pending, listener.retry) = (false, Some(now + RETRY));
                    }
                    return Some(Accepted::Failed);
                }
                accepted => {
                    listener.failures = 0;
                    return Some(accepted);
                }
            }
        }
        None
    }

    /// Notes that a connection has arrived, so that now as many are `waiting` to send their
    /// request. If that is more than at `most` may, returns the one that has been for longest,
    /// which is to give way.
    pub(super) fn admit(
        &mut self,
        id: PeerId,
        waiting: usize,
        most: usize,
        is_waiting: impl Fn(PeerId) -> bool,
    ) -> Option<PeerId> {
        self.arrivals.push_back(id);
        if self.arrivals.len() > 2 * waiting + 64 {
            self.arrivals.retain(|&id| is_waiting(id));
        }
        if waiting <= most {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn acceptor(pending: bool) -> (Acceptor, Instant) {
        let mut listener =
            Listener::tcp(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
        listener.pending = pending;
        (Acceptor { listeners: vec![listener], ..Acceptor::default() }, Instant::now())
    }

    #[test]
    fn there_is_nothing_to_do_before_an_event() {
        let (acceptor, now) = acceptor(false);
        assert_eq!(acceptor.next(now), None);
    }

    #[test]
    fn without_room_a_pending_connection_waits_for_the_retry() {
        let (mut acceptor, now) = acceptor(true);
        assert_eq!(acceptor.next(now), Some(now));
        assert!(acceptor.accept(now, false).is_none());
        assert_eq!(acceptor.next(now), Some(now + RETRY));
        // A listener whose own time has come cannot accept any sooner, and must not make the loop
        // spin.
        acceptor.listeners[0].pending = false;
        acceptor.listeners[0].retry = Some(now);
        assert_eq!(acceptor.next(now), Some(now + RETRY));

        acceptor.descriptor_freed(now);
        assert_eq!(acceptor.next(now), Some(now));
        assert!(acceptor.accept(now, true).is_none());
        assert_eq!(acceptor.next(now), None);
    }

    #[test]
    fn of_those_waiting_the_one_that_came_first_gives_way() {
        let mut acceptor = Acceptor::default();
        let ids: Vec<_> = (0..5).map(|n| PeerId::new(n, 1)).collect();
        let gone = ids[0];
        for (n, &id) in ids[..3].iter().enumerate() {
            assert_eq!(acceptor.admit(id, n + 1, 3, |_| true), None);
        }
        assert_eq!(acceptor.admit(ids[3], 4, 3, |id| id != gone), Some(ids[1]));
        assert_eq!(acceptor.admit(ids[4], 3, 3, |id| id != gone), None);
    }

    #[test]
    fn arrivals_that_are_no_longer_waiting_do_not_pile_up() {
        let mut acceptor = Acceptor::default();
        for n in 0..10_000 {
            let newest = PeerId::new(n, 1);
            assert_eq!(acceptor.admit(newest, 1, 3, |id| id == newest), None);
            assert!(acceptor.arrivals.len() <= 66);
        }
    }
}
