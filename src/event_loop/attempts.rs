//! Which of a server's addresses to try when: RFC 8305, "Happy Eyeballs".
//!
//! Time is handed in, and sockets are somebody else's.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long an attempt has before another one is begun beside it. RFC 8305 §8 recommends 250 ms.
const DELAY: Duration = Duration::from_millis(250);

/// How many addresses are tried. At one in 250 ms no more have their turn in eight seconds; names
/// that stand for more are those of services where one address is as good as another.
const MAX_ADDRESSES: usize = 32;

/// The addresses that have not been tried yet.
#[derive(Debug)]
pub(super) struct Attempts {
    waiting: VecDeque<SocketAddr>,
    /// When the next is to be tried, even if another attempt is under way.
    next: Option<Instant>,
}

impl Attempts {
    /// Puts addresses into the order of RFC 8305 §4: as the system's resolver sorted them (RFC
    /// 6724), but with the two families in turns, beginning with that of the first.
    pub(super) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut seen = HashSet::new();
        let addresses: Vec<_> = addresses.into_iter().filter(|it| seen.insert(*it)).collect();
        let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
        let (first, second): (Vec<SocketAddr>, Vec<_>) =
            addresses.into_iter().partition(|address| address.is_ipv6() == first_is_ipv6);
        let (mut first, mut second) = (first.into_iter(), second.into_iter());
        let mut waiting = VecDeque::new();
        while first.len() + second.len() > 0 && waiting.len() < MAX_ADDRESSES {
            waiting.extend(first.next().into_iter().chain(second.next()));
        }
        waiting.truncate(MAX_ADDRESSES);
        Self { waiting, next: None }
    }

    /// The address that is to be tried now, when so many attempts are under way.
    pub(super) fn due(&self, under_way: usize, now: Instant) -> Option<SocketAddr> {
        let is_time = under_way == 0 || self.next.is_some_and(|next| next <= now);
        self.waiting.front().copied().filter(|_| is_time)
    }

    /// Notes that this address is tried from now on.
    pub(super) fn begin(&mut self, now: Instant) {
        self.waiting.pop_front();
        self.next = now.checked_add(DELAY);
    }

    /// Puts off what is due.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.next = now.checked_add(DELAY);
    }

    /// When there will be an address to try, if nothing happens before.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next.filter(|_| !self.waiting.is_empty())
    }

    /// Whether all have been tried.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_take_turns_beginning_with_the_first() {
        check(
            &["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::3]:1", "2.2.2.2:1"],
            &["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"],
        );
        check(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]);
        check(&["1.1.1.1:1", "2.2.2.2:1"], &["1.1.1.1:1", "2.2.2.2:1"]);
        check(&[], &[]);
    }

    #[test]
    fn an_address_is_tried_once() {
        check(&["1.1.1.1:1", "[::1]:1", "1.1.1.1:1", "[::1]:1"], &["1.1.1.1:1", "[::1]:1"]);
    }

    #[test]
    fn there_are_no_more_than_can_have_their_turn() {
        let many = (0..1000).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(Attempts::new(many).waiting.len(), MAX_ADDRESSES);
    }

    #[track_caller]
    fn check(addresses: &[&str], expected: &[&str]) {
        let parse = |text: &&str| text.parse::<SocketAddr>().unwrap();
        let attempts = Attempts::new(addresses.iter().map(parse));
        assert_eq!(attempts.waiting, expected.iter().map(parse).collect::<Vec<_>>());
    }

    #[test]
    fn the_next_begins_after_a_quarter_of_a_second_or_when_all_before_have_failed() {
        let (start, [a, b, c]) = (now(), [1, 2, 3].map(|n| SocketAddr::from(([n; 4], 80))));
        let at = |ms| start + Duration::from_millis(ms);
        let mut attempts = Attempts::new([a, b, c]);
        assert_eq!((attempts.due(0, start), attempts.next()), (Some(a), None));
        attempts.begin(start);
        assert_eq!((attempts.due(1, at(249)), attempts.next()), (None, Some(at(250))));
        assert_eq!(attempts.due(1, at(250)), Some(b));
        attempts.begin(at(250));
        assert_eq!((attempts.due(2, at(300)), attempts.due(1, at(300))), (None, None));
        assert_eq!(attempts.due(0, at(300)), Some(c), "both have failed");
        attempts.begin(at(300));
        assert!(attempts.is_empty());
        assert_eq!((attempts.due(0, at(9999)), attempts.next()), (None, None));
    }

    #[expect(clippy::disallowed_methods, reason = "an arbitrary point to count from")]
    fn now() -> Instant {
        Instant::now()
    }
}
