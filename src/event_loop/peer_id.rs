//! Which peer, among all there are and ever were.

use std::fmt;

use mio::Token;

/// Identifies a connection of one [`EventLoop`](super::EventLoop), from its opening handshake to
/// its end.
///
/// Ids are not reused: once a peer is gone its id finds nothing, even when another connection took
/// its place in memory. (The place may repeat together with the generation after 2³² further
/// connections.)
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PeerId {
    index: u32,
    generation: u32,
}

impl PeerId {
    /// Tokens below this one are the loop's own: the waker and the listeners.
    pub(super) const FIRST_TOKEN: u32 = 1024;
    /// The most connections that one loop can tell apart.
    pub(super) const MAX_PEERS: usize = (u32::MAX - Self::FIRST_TOKEN) as usize;

    pub(super) fn new(index: usize, generation: u32) -> Self {
        let index = u32::try_from(index).expect("the loop accepts no more than MAX_PEERS");
        Self { index, generation }
    }

    /// Where the peer is in the loop's tables.
    pub(super) fn index(self) -> usize {
        self.index as usize
    }

    /// Whether `other` came later, unless it did so more than 2³¹ connections later.
    pub(super) fn is_older_than(self, other: Self) -> bool {
        other.generation.wrapping_sub(self.generation).cast_signed() > 0
    }

    /// The token to register the peer's socket with: place and generation, so that an event which
    /// was reported for an earlier connection at the same place finds nothing.
    ///
    /// Where `usize` has 32 bits there is no room for the generation. Such a stale event is then
    /// taken for one of the new connection, which is harmless: it reads, and would block.
    pub(super) fn token(self) -> Token {
        let place = u64::from(self.index) + u64::from(Self::FIRST_TOKEN);
        Token((u64::from(self.generation) << 32 | place) as usize)
    }

    /// The place that `token` speaks of, or `None` if it is one of the loop's own.
    pub(super) fn place(token: Token) -> Option<usize> {
        let low_half = token.0 & u32::MAX as usize;
        low_half.checked_sub(Self::FIRST_TOKEN as usize)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({}.{})", self.index, self.generation)
    }
}

impl fmt::Display for PeerId {
    /// Writes place and generation, such as `7.1093`: enough to tell peers apart in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}
