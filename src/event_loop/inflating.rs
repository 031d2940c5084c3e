//! How much the compressed messages take that are arriving.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all peers' messages in progress take, in bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Inflating(Arc<AtomicUsize>);

/// What one of them takes. It counts for as long as this is kept.
#[derive(Debug, Default)]
pub(super) struct Share {
    of: Inflating,
    bytes: usize,
}

impl Inflating {
    /// A share, of nothing so far.
    pub(super) fn share(&self) -> Share {
        Share { of: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Counts so many bytes in place of those before. Returns how many there are now of all.
    pub(super) fn set(&mut self, bytes: usize) -> usize {
        // One thread counts, and no other memory is guarded by it.
        let total = &self.of.0;
        total.fetch_add(bytes, Ordering::Relaxed);
        total.fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = bytes;
        total.load(Ordering::Relaxed)
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
        assert_eq!(one.set(10), 10);
        assert_eq!(other.set(5), 15);
        assert_eq!(one.set(3), 8);
        drop(one);
        assert_eq!(other.set(5), 5);
    }
}
