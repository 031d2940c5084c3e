//! How much the compressed messages take that are arriving.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::PeerId;

/// What all peers' messages in progress take, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Inflating {
    total: Arc<Total>,
    /// Peers in the order in which their messages began. Some have ended since.
    order: VecDeque<(Place, PeerId)>,
    next: Place,
}

/// A place in the order in which messages began. There is only one of each.
type Place = u64;

#[derive(Debug, Default)]
struct Total {
    bytes: AtomicUsize,
    messages: AtomicUsize,
}

/// What one of them takes. It counts for as long as this is kept.
#[derive(Debug, Default)]
pub(super) struct Share {
    of: Arc<Total>,
    bytes: usize,
    place: Place,
}

impl Inflating {
    /// A share, of nothing so far.
    pub(super) fn share(&self) -> Share {
        Share { of: Arc::clone(&self.total), bytes: 0, place: 0 }
    }

    /// Notes that a peer's message in progress has begun.
    pub(super) fn begin(&mut self, id: PeerId, share: &mut Share) {
        self.next += 1;
        share.place = self.next;
        self.order.push_back((share.place, id));
    }

    /// Returns how much all of them take.
    pub(super) fn bytes(&self) -> usize {
        self.total.bytes.load(Ordering::Relaxed)
    }

    /// Takes out the peer whose message began first, of those for whom `place` tells the same place
    /// still.
    pub(super) fn pop_oldest(&mut self, place: impl Fn(PeerId) -> Option<Place>) -> Option<PeerId> {
        loop {
            let (at, id) = self.order.pop_front()?;
            if place(id) == Some(at) {
                return Some(id);
            }
        }
    }

    /// Drops those that have ended, when they may be more than the others.
    pub(super) fn compact(&mut self, place: impl Fn(PeerId) -> Option<Place>) {
        let messages = self.total.messages.load(Ordering::Relaxed);
        if self.order.len() > 2 * messages + 64 {
            self.order.retain(|&(at, id)| place(id) == Some(at));
            self.order.shrink_to(4 * messages + 64);
        }
    }
}

impl Share {
    /// Counts so many bytes in place of those before.
    pub(super) fn set(&mut self, bytes: usize) {
        // One thread counts, and no other memory is guarded by it.
        let Total { bytes: total, messages } = &*self.of;
        total.fetch_add(bytes, Ordering::Relaxed);
        total.fetch_sub(self.bytes, Ordering::Relaxed);
        messages.fetch_add(usize::from(bytes > 0), Ordering::Relaxed);
        messages.fetch_sub(usize::from(self.bytes > 0), Ordering::Relaxed);
        self.bytes = bytes;
    }

    /// Where in the order its message is, if one is in progress.
    pub(super) fn place(&self) -> Option<Place> {
        (self.bytes > 0).then_some(self.place)
    }

    /// Whether it is more than twice what each may have if all have the same of `limit`.
    pub(super) fn is_large(&self, limit: usize) -> bool {
        let messages = self.of.messages.load(Ordering::Relaxed);
        self.bytes / 2 > limit / messages.max(1)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_does_not_count() {
        let inflating = Inflating::default();
        let [mut one, mut other] = [inflating.share(), inflating.share()];
        one.set(10);
        other.set(5);
        assert_eq!(inflating.bytes(), 15);
        one.set(3);
        assert_eq!(inflating.bytes(), 8);
        drop(one);
        assert_eq!(inflating.bytes(), 5);
    }

    #[test]
    fn the_oldest_comes_first_and_those_that_ended_do_not_pile_up() {
        let mut inflating = Inflating::default();
        let [steady, busy] = [PeerId::new(0, 1), PeerId::new(1, 2)];
        let [mut one, mut other] = [inflating.share(), inflating.share()];
        one.set(10);
        inflating.begin(steady, &mut one);
        for _ in 0..10_000 {
            other.set(0);
            other.set(5);
            inflating.begin(busy, &mut other);
            inflating.compact(|id| if id == steady { one.place() } else { other.place() });
            assert!(inflating.order.len() <= 68);
        }
        let place = |id| if id == steady { one.place() } else { other.place() };
        assert_eq!(inflating.pop_oldest(place), Some(steady));
        assert_eq!(inflating.pop_oldest(place), Some(busy));
        assert_eq!(inflating.pop_oldest(place), None);
    }

    #[test]
    fn what_is_large_depends_on_how_many_there_are() {
        let inflating = Inflating::default();
        let mut shares: Vec<_> = (0..10).map(|_| inflating.share()).collect();
        shares.iter_mut().for_each(|share| share.set(10));
        assert!(!shares[0].is_large(95), "all are alike");
        shares[0].set(22);
        assert!(shares[0].is_large(95));
        drop(shares.split_off(1));
        assert!(!shares[0].is_large(21), "there is no other");
    }
}
