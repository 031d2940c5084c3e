//! What the loop waits for: the system, or connections in memory.
//!
//! Events are edges, wherever they come from: one tells that something has become possible which
//! was not before, and nothing repeats it.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::{Events, Registry, Token};

use super::faults::Chance;
use super::in_memory::Door;

/// Where events come from.
#[derive(Debug)]
pub(super) enum Poller {
    /// The system, which tells of sockets.
    System { poll: Poll, events: Events },
    /// Other code of this process, which tells of connections in memory. Nothing is waited for.
    Memory {
        readiness: Arc<Readiness>,
        edges: Vec<Edge>,
        /// Where connections that the application begins lead to, if anywhere.
        door: Option<Door>,
    },
}

#[expect(clippy::disallowed_types, reason = "this is where polling belongs")]
type Poll = mio::Poll;

/// How many events are taken at once.
///
/// All peers of a turn hold a block until it ends. With 1024, blocks leave the processor's caches
/// before they are written: a small echo among 1,000 busy connections then took a sixth more time.
pub(super) const EVENTS: usize = 128;

/// What has become possible for whoever registered with this token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Edge {
    pub(super) token: Token,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The other side has ended its stream, or an error is to be fetched. This comes once, too.
    pub(super) hung_up: bool,
}

impl Poller {
    pub(super) fn system() -> io::Result<Self> {
        Ok(Self::System { poll: Poll::new()?, events: Events::with_capacity(EVENTS) })
    }

    pub(super) fn memory() -> Self {
        Self::Memory { readiness: Arc::default(), edges: Vec::new(), door: None }
    }

    /// Makes what other threads wake the loop with.
    pub(super) fn waker(&self, token: Token) -> io::Result<Waker> {
        match self {
            Self::System { poll, .. } => {
                Ok(Waker::System(mio::Waker::new(poll.registry(), token)?))
            }
            Self::Memory { readiness, .. } => Ok(Waker::Memory(Arc::clone(readiness), token)),
        }
    }

    /// Where sockets are registered.
    pub(super) fn registry(&self) -> io::Result<&Registry> {
        match self {
            Self::System { poll, .. } => Ok(poll.registry()),
            Self::Memory { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Takes the events that there are, and waits for some if there are none: for `timeout`, or as
    /// long as it takes. In memory, nothing is waited for.
    #[inline]
    pub(super) fn poll(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::System { poll, events } => match poll.poll(events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    events.clear();
                    Ok(())
                }
                result => result,
            },
            Self::Memory { readiness, edges, .. } => {
                edges.clear();
                readiness.take(edges);
                Ok(())
            }
        }
    }

    /// Has events of memory told in any order, some of them later than others.
    pub(super) fn reorder(&self, chance: Chance) {
        if let Self::Memory { readiness, .. } = self {
            readiness.lock().chance = Some(chance);
        }
    }

    /// Whether there are events to take, which only memory can tell without taking them.
    pub(super) fn has_events(&self) -> bool {
        match self {
            Self::System { .. } => false,
            Self::Memory { readiness, .. } => !readiness.lock().order.is_empty(),
        }
    }
}

/// Wakes the loop, from whatever thread.
#[derive(Debug)]
pub(super) enum Waker {
    System(mio::Waker),
    Memory(Arc<Readiness>, Token),
}

impl Waker {
    pub(super) fn wake(&self) {
        match self {
            // It fails only if the loop's end of the eventfd or pipe is gone, and the loop with it.
            Self::System(waker) => drop(waker.wake()),
            Self::Memory(readiness, token) => readiness.report(Edge::readable(*token)),
        }
    }
}

/// The edges of connections in memory that the loop has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    pending: Mutex<Pending>,
}

/// As the system does, it reports everyone in turn, and what has happened to one as one event.
#[derive(Debug, Default)]
struct Pending {
    order: VecDeque<Token>,
    edges: HashMap<Token, Edge>,
    /// What decides about the order instead.
    chance: Option<Chance>,
}

impl Readiness {
    pub(super) fn report(&self, edge: Edge) {
        let mut pending = self.lock();
        let Pending { order, edges, .. } = &mut *pending;
        let merged = edges.entry(edge.token).or_insert_with(|| {
            order.push_back(edge.token);
            edge
        });
        merged.readable |= edge.readable;
        merged.writable |= edge.writable;
        merged.hung_up |= edge.hung_up;
    }

    #[cold]
    fn take(&self, taken: &mut Vec<Edge>) {
        let mut pending = self.lock();
        let Pending { order, edges, chance } = &mut *pending;
        let mut count = order.len().min(EVENTS);
        if let Some(chance) = chance
            && count > 0
        {
            count = 1 + chance.below(count);
            for place in 0..count {
                order.swap(place, place + chance.below(order.len() - place));
            }
        }
        taken.extend(order.drain(..count).filter_map(|token| edges.remove(&token)));
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&mio::event::Event> for Edge {
    fn from(event: &mio::event::Event) -> Self {
        Self {
            token: event.token(),
            readable: event.is_readable(),
            writable: event.is_writable(),
            hung_up: event.is_read_closed() || event.is_error(),
        }
    }
}

impl Edge {
    const fn nothing(token: Token) -> Self {
        Self { token, readable: false, writable: false, hung_up: false }
    }

    pub(super) const fn readable(token: Token) -> Self {
        Self { readable: true, ..Self::nothing(token) }
    }

    pub(super) const fn writable(token: Token) -> Self {
        Self { writable: true, ..Self::nothing(token) }
    }

    /// The other side has ended its stream.
    pub(super) const fn ended(token: Token) -> Self {
        Self { hung_up: true, ..Self::readable(token) }
    }

    /// The connection is broken.
    pub(super) const fn broken(token: Token) -> Self {
        Self { writable: true, ..Self::ended(token) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_to_one_is_one_event_and_everyone_has_their_turn() {
        let readiness = Readiness::default();
        for token in (0..=EVENTS).map(Token) {
            readiness.report(Edge::readable(token));
        }
        readiness.report(Edge::ended(Token(0)));
        readiness.report(Edge::writable(Token(0)));

        let mut taken = Vec::new();
        readiness.take(&mut taken);
        assert_eq!(taken[0], Edge::broken(Token(0)));
        assert_eq!((taken.len(), taken[EVENTS - 1]), (EVENTS, Edge::readable(Token(EVENTS - 1))));
        // What comes while others are being handled is behind those who wait.
        readiness.report(Edge::writable(Token(0)));
        taken.clear();
        readiness.take(&mut taken);
        assert_eq!(taken, [Edge::readable(Token(EVENTS)), Edge::writable(Token(0))]);
    }
}
