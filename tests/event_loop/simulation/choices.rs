//! What happens next, and whoever decides that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Where choices come from. Its clones draw from the same source.
#[derive(Clone)]
pub(crate) struct Choices(Rc<RefCell<Source>>);

enum Source {
    /// SplitMix64: the same numbers everywhere, from the same seed.
    Seed(u64),
    /// A fuzzer's bytes, two for each choice. Once they are used up, the first is always chosen.
    Bytes(VecDeque<u8>),
}

impl Choices {
    pub(crate) fn seed(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(Source::Seed(seed))))
    }

    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self(Rc::new(RefCell::new(Source::Bytes(bytes.to_vec().into()))))
    }

    /// A number below `limit`.
    pub(crate) fn below(&self, limit: usize) -> usize {
        self.number() as usize % limit
    }

    /// Whether something happens that does once in `n` times.
    pub(crate) fn once_in(&self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    pub(crate) fn one_of<T: Copy, const N: usize>(&self, of: [T; N]) -> T {
        of[self.below(N)]
    }

    /// Whether there is nothing left to choose from.
    pub(crate) fn are_used_up(&self) -> bool {
        match &*self.0.borrow() {
            Source::Seed(_) => false,
            Source::Bytes(bytes) => bytes.is_empty(),
        }
    }

    pub(crate) fn number(&self) -> u64 {
        match &mut *self.0.borrow_mut() {
            Source::Seed(state) => {
                *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let mut mixed = *state;
                mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                mixed ^ (mixed >> 31)
            }
            Source::Bytes(bytes) => {
                let mut next = || u64::from(bytes.pop_front().unwrap_or_default());
                next() << 8 | next()
            }
        }
    }
}
