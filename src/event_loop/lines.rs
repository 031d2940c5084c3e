//! One at a time: who may connect to an address, and who waits for that.
//!
//! RFC 6455 §4.1: "There MUST be no more than one connection in a CONNECTING state." to a remote
//! host: so that a page, or a program with an error in it, cannot flood a server with handshakes.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::PeerId;

/// A remote host, as far as it is known.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) enum Host {
    Address(SocketAddr),
    /// Behind a proxy, which resolves it: "the client MUST assume [...] that each host name refers
    /// to a distinct remote host".
    Named(Box<str>, u16),
}

/// The hosts that somebody connects to.
#[derive(Debug)]
pub(super) struct Lines {
    lines: HashMap<Host, Line>,
    /// How many may connect to a host at a time.
    most: usize,
}

#[derive(Debug, Default)]
struct Line {
    connecting: usize,
    waiting: VecDeque<PeerId>,
}

impl Lines {
    pub(super) fn new(most: usize) -> Self {
        Self { lines: HashMap::new(), most }
    }

    /// Whether a peer could connect to a host without waiting.
    pub(super) fn has_room(&self, host: &Host) -> bool {
        self.lines.get(host).is_none_or(|line| line.connecting < self.most)
    }

    /// Lets a peer connect to a host, or has it wait in line.
    pub(super) fn enter(&mut self, host: &Host, id: PeerId) -> bool {
        let line = self.lines.entry(host.clone()).or_default();
        if line.connecting >= self.most {
            line.waiting.push_back(id);
            return false;
        }
        line.connecting += 1;
        true
    }

    /// Notes that a peer connects to a host no longer, and returns whose turn it is. If that one
    /// does not want it any more, it is to leave as well.
    pub(super) fn leave(&mut self, host: &Host) -> Option<PeerId> {
        let line = self.lines.get_mut(host)?;
        let next = line.waiting.pop_front();
        if next.is_none() {
            line.connecting -= 1;
            if line.connecting == 0 {
                self.lines.remove(host);
            }
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connects_and_the_others_follow_in_order() {
        let (mut lines, host) = (Lines::new(1), Host::Named("server".into(), 80));
        let [a, b, c] = [1, 2, 3].map(|n| PeerId::new(n, 1));
        assert_eq!([a, b, c].map(|id| lines.enter(&host, id)), [true, false, false]);
        assert!(lines.enter(&Host::Named("other".into(), 80), c), "is another host");
        assert_eq!(lines.leave(&host), Some(b));
        assert!(!lines.enter(&host, a), "b has taken the place");
        assert_eq!([(); 3].map(|()| lines.leave(&host)), [Some(c), Some(a), None]);
        assert_eq!(lines.lines.len(), 1, "nothing is kept of a host that nobody connects to");
    }

    #[test]
    fn as_many_connect_as_may() {
        let (mut lines, host) = (Lines::new(2), Host::Address(([127, 0, 0, 1], 80).into()));
        let [a, b, c] = [1, 2, 3].map(|n| PeerId::new(n, 1));
        assert_eq!([a, b, c].map(|id| lines.enter(&host, id)), [true, true, false]);
        assert_eq!([(); 3].map(|()| lines.leave(&host)), [Some(c), None, None]);
        assert!(lines.lines.is_empty());
    }
}
