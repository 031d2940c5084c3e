//! Which peer's time is up next.
//!
//! Deadlines move later with every message and are almost never met. So a peer has one entry here,
//! which is not touched when its deadline moves: when the entry comes up, the loop looks at what
//! the peer's deadline is by now and enters it anew.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::PeerId;

/// Peers by when to look at them, soonest first.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    entries: BinaryHeap<Reverse<(Instant, PeerId)>>,
}

impl Deadlines {
    pub(super) fn next(&self) -> Option<Instant> {
        self.entries.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn arm(&mut self, at: Instant, id: PeerId) {
        self.entries.push(Reverse((at, id)));
    }

    /// Takes out the next peer whose time has come. It may be gone, or have been armed anew.
    pub(super) fn pop_expired(&mut self, now: Instant) -> Option<(Instant, PeerId)> {
        if self.next()? > now {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| entry)
    }

    /// Drops the entries that `is_current` denies, when they may be more than the others.
    pub(super) fn compact(&mut self, peers: usize, is_current: impl Fn(Instant, PeerId) -> bool) {
        if self.entries.len() > 2 * peers + 64 {
            self.entries.retain(|Reverse((at, id))| is_current(*at, *id));
            self.entries.shrink_to(4 * peers + 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn peers_come_up_in_the_order_of_their_deadlines() {
        let mut deadlines = Deadlines::default();
        let start = epoch();
        let at = |seconds| start + Duration::from_secs(seconds);
        let [early, late] = [PeerId::new(0, 1), PeerId::new(1, 2)];
        deadlines.arm(at(9), late);
        deadlines.arm(at(3), early);

        assert_eq!(deadlines.next(), Some(at(3)));
        assert_eq!(deadlines.pop_expired(at(2)), None);
        assert_eq!(deadlines.pop_expired(at(10)), Some((at(3), early)));
        assert_eq!(deadlines.pop_expired(at(10)), Some((at(9), late)));
        assert_eq!(deadlines.pop_expired(at(10)), None);
    }

    #[test]
    fn entries_of_peers_that_are_gone_do_not_pile_up() {
        let mut deadlines = Deadlines::default();
        let start = epoch();
        for generation in 0..10_000 {
            deadlines.arm(start, PeerId::new(0, generation));
            deadlines.compact(1, |_, id| id == PeerId::new(0, generation));
            assert!(deadlines.entries.len() <= 66);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn epoch() -> Instant {
        Instant::now()
    }
}
