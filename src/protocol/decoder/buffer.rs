//! Where a message is put together that does not arrive in one piece.

use core::mem;

use crate::protocol::{
    Message, Violation,
    utf8::{Valid, Validator},
};

/// The data of a message so far. Text is kept as a `String`, so as to be checked only once.
#[derive(Debug)]
pub(super) enum Buffer {
    Text(String),
    Binary(Vec<u8>),
}

/// How much may stay allocated without being in use, in bytes.
#[cfg(all(feature = "deflate", feature = "event-loop"))]
const KEPT_CAPACITY: usize = 64 * 1024;

impl Buffer {
    /// Forgets what is in it, but keeps the allocation for a message of this type.
    pub(super) fn begin(&mut self, text: bool) {
        *self = Self::within(self.take(), text);
    }

    /// Appends payload that is unmasked already.
    ///
    /// `total` is how long the message gets, where that is known. Memory follows what has
    /// arrived, doubling as it grows, and `total` only keeps the last doubling from being more
    /// than can ever be needed.
    pub(super) fn append(
        &mut self,
        mut payload: &[u8],
        utf8: &mut Validator,
        total: Option<u64>,
    ) -> Result<(), Violation> {
        self.make_room(payload.len(), total);
        match self {
            Self::Binary(bytes) => bytes.extend_from_slice(payload),
            Self::Text(text) => {
                while !payload.is_empty() {
                    match utf8.next(&mut payload)? {
                        Valid::Str(valid) => text.push_str(valid),
                        Valid::Char(valid) => text.push(valid),
                    }
                }
            }
        }
        Ok(())
    }

    /// Lends what has been put together.
    pub(super) fn message(&self) -> Message<'_> {
        match self {
            Self::Text(text) => Message::Text(text),
            Self::Binary(bytes) => Message::Binary(bytes),
        }
    }

    /// Takes an allocation to use, unless there is one.
    pub(super) fn lend(&mut self, mut spare: Vec<u8>) {
        if self.capacity() == 0 {
            spare.clear();
            *self = Self::within(spare, matches!(self, Self::Text(_)));
        }
    }

    /// Gives up the allocation, cleared.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = match self {
            Self::Text(text) => mem::take(text).into_bytes(),
            Self::Binary(bytes) => mem::take(bytes),
        };
        bytes.clear();
        bytes
    }

    /// Returns how long it is, in bytes.
    #[cfg(feature = "deflate")]
    pub(super) fn len(&self) -> usize {
        self.message().len()
    }

    /// Frees most of the allocation if hardly any of it is in use.
    #[cfg(all(feature = "deflate", feature = "event-loop"))]
    pub(super) fn shrink(&mut self) {
        let kept = (2 * self.len()).max(KEPT_CAPACITY);
        if self.capacity() < 2 * kept {
            return;
        }
        match self {
            Self::Text(text) => text.shrink_to(kept),
            Self::Binary(bytes) => bytes.shrink_to(kept),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(bytes) => bytes.capacity(),
        }
    }

    fn make_room(&mut self, more: usize, total: Option<u64>) {
        let (len, capacity) = (self.message().len(), self.capacity());
        let Some(total) = total.and_then(|total| usize::try_from(total).ok()) else { return };
        if capacity - len >= more {
            return;
        }
        let additional = more.max(capacity.saturating_mul(2).min(total).saturating_sub(len));
        match self {
            Self::Text(text) => text.reserve_exact(additional),
            Self::Binary(bytes) => bytes.reserve_exact(additional),
        }
    }

    /// Makes a buffer of an allocation that is cleared.
    fn within(spare: Vec<u8>, text: bool) -> Self {
        if text {
            // Without content there is nothing to check: this only keeps the allocation.
            Self::Text(String::from_utf8(spare).unwrap_or_default())
        } else {
            Self::Binary(spare)
        }
    }
}
