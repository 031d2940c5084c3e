//! A loop without a system underneath: its connections are in memory, and its time is set by hand.
//!
//! Everything above the poller, the transport, the listener and the clock is the loop that serves
//! sockets. So what is tested in memory is what will run.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use mio::Token;

use super::clock::Clock;
use super::faults::Faults;
use super::listener::Listener;
use super::memory::{MemoryStream, pair};
use super::poller::{Edge, Poller, Readiness};
use super::transport::Transport;
use super::{Config, EventLoop, PeerId};
use crate::random::MaskingKeys;

impl EventLoop {
    /// Makes a loop in memory, and the way in. It opens no descriptor and never waits.
    pub(super) fn in_memory(config: Config) -> (Self, Door) {
        let (listener, door) = Listener::memory();
        let event_loop = Self::over(Poller::memory(), Clock::manual(), config)
            .and_then(|mut event_loop| {
                event_loop.acceptor.add(listener, &event_loop.poller)?;
                Ok(event_loop)
            })
            .expect("in memory, nothing is asked of the system");
        (event_loop, door)
    }

    /// Whether a turn would do something, although no more time passes.
    pub(super) fn has_work(&self) -> bool {
        self.poller.has_events() || self.next_timeout() == Some(Duration::ZERO)
    }

    /// Lets time pass, of which the next turn takes note.
    pub(super) fn advance(&mut self, time: Duration) {
        self.peers.clock.advance(time);
    }

    /// Has connections that the application begins lead to this door, whatever they are to.
    pub(super) fn connect_to(&mut self, to: &Door) {
        if let Poller::Memory { door, .. } = &mut self.poller {
            *door = Some(to.clone());
        }
        // Whoever predicts these can only mislead a test, which is the same every time.
        self.peers.buffers.keys = Some(MaskingKeys::predictable());
    }

    /// Has what is told come in any order.
    pub(super) fn reorder(&self, faults: &mut Faults) {
        self.poller.reorder(faults.order());
    }

    /// The connection whose other end this is, if it was accepted and is still there.
    pub(super) fn connection_of(&self, client: &MemoryStream) -> Option<PeerId> {
        let mut entries = self.peers.entries.iter().map(|(_, entry)| entry);
        entries.find(|entry| entry.transport.is_other_end_of(client)).map(|entry| entry.id)
    }
}

/// Where clients of a loop in memory connect.
#[derive(Clone, Debug)]
pub(super) struct Door(Weak<Mutex<Backlog>>);

/// The loop's side of a [`Door`]: connections that are to be accepted.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    waiting: VecDeque<Transport>,
    registration: Option<(Token, Arc<Readiness>)>,
    /// What connections are to suffer.
    faults: Option<Faults>,
}

/// What a connection holds that the application begins, each way.
const CAPACITY: usize = 4096;

impl Door {
    pub(super) fn new() -> (Arc<Mutex<Backlog>>, Self) {
        let backlog = Arc::default();
        let door = Self(Arc::downgrade(&backlog));
        (backlog, door)
    }

    /// Connects. If the loop does not listen any more, the stream has ended already.
    pub(super) fn connect(&self, capacity: usize, remote_addr: Option<SocketAddr>) -> MemoryStream {
        let (client, server) = pair(capacity);
        if let Some(backlog) = self.0.upgrade() {
            let mut backlog = backlog.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(faults) = &mut backlog.faults {
                server.suffer(faults.trouble());
            }
            backlog.waiting.push_back(Transport::Memory(Box::new((server, remote_addr))));
            if let Some((token, readiness)) = &backlog.registration {
                readiness.report(Edge::readable(*token));
            }
        }
        client
    }

    /// Connects from within the loop itself.
    pub(super) fn call(&self) -> Transport {
        let client = self.connect(CAPACITY, None);
        if let Some(backlog) = self.0.upgrade() {
            let mut backlog = backlog.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(faults) = &mut backlog.faults {
                client.suffer(faults.trouble());
            }
        }
        Transport::Memory(Box::new((client, None)))
    }

    /// Has all connections suffer that are made from here on.
    pub(super) fn suffer(&self, faults: Faults) {
        if let Some(backlog) = self.0.upgrade() {
            backlog.lock().unwrap_or_else(PoisonError::into_inner).faults = Some(faults);
        }
    }
}

impl Backlog {
    pub(super) fn register(&mut self, poller: &Poller, token: Token) -> io::Result<()> {
        let Poller::Memory { readiness, .. } = poller else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        self.registration = Some((token, Arc::clone(readiness)));
        Ok(())
    }

    pub(super) fn accept(&mut self) -> io::Result<Transport> {
        self.waiting.pop_front().ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}
