//! What a client says that nobody can foretell: masking keys and the key of its opening handshake.

use std::{fmt, io};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};

/// Where masking keys come from, RFC 6455 §5.3: "derived from a strong source of entropy", and no
/// one tells anything about the next.
///
/// A cryptographically secure generator, seeded by the system. It makes many bytes at a time, so that
/// a key takes a fraction of what masking a small message does, and asks the system for a new seed
/// once in [`RESEED_AFTER`] bytes.
///
/// A process that forks has it twice: both would make the same keys up to the next seed. Nothing is
/// done against that, as what holds it, a loop or a client, is no good to both processes either.
pub(crate) struct MaskingKeys {
    rng: StdRng,
    /// How many bytes it may still be asked for before it gets a new seed.
    left: usize,
}

/// As much as the crate's own `ThreadRng` gives out with one seed. ChaCha would be secure for far
/// longer; what is bounded is how much can be told by whoever comes to read the state from memory.
const RESEED_AFTER: usize = 64 << 10;

impl MaskingKeys {
    /// Seeds a generator.
    ///
    /// # Errors
    ///
    /// Fails if the system has no randomness to give.
    pub(crate) fn new() -> io::Result<Self> {
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(io::Error::other)?;
        Ok(Self { rng, left: RESEED_AFTER })
    }

    /// A generator that is the same every time, for loops in memory.
    #[cfg(feature = "event-loop")]
    pub(crate) fn predictable() -> Self {
        Self { rng: StdRng::from_seed([0; 32]), left: usize::MAX }
    }

    /// A key for one frame.
    pub(crate) fn next_key(&mut self) -> [u8; 4] {
        self.draw(4);
        self.rng.next_u32().to_ne_bytes()
    }

    /// A key for one opening handshake, RFC 6455 §4.1: "a nonce consisting of a randomly selected
    /// 16-byte value".
    pub(crate) fn nonce(&mut self) -> [u8; 16] {
        self.draw(16);
        let mut nonce = [0; 16];
        self.rng.fill_bytes(&mut nonce);
        nonce
    }

    /// Notes that so many bytes are taken.
    fn draw(&mut self, bytes: usize) {
        if self.left < bytes {
            self.reseed();
        }
        self.left -= bytes;
    }

    /// Replaces the generator. Should the system fail to give a seed, which it did before, the old
    /// generator is as unpredictable as it was, and goes on.
    #[cold]
    fn reseed(&mut self) {
        if let Ok(keys) = Self::new() {
            self.rng = keys.rng;
        }
        self.left = RESEED_AFTER;
    }
}

impl fmt::Debug for MaskingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever can predict keys can choose what is on the wire (§10.3).
        f.write_str("MaskingKeys")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Of 100,000 keys with 32 bits, a fair source repeats 1.2 on average; more than 12 come up
    /// once in 10⁹ runs.
    #[test]
    fn keys_are_equal_no_more_often_than_by_chance() {
        let mut keys = MaskingKeys::new().unwrap();
        let different: HashSet<_> = (0..100_000).map(|_| keys.next_key()).collect();
        assert!(different.len() >= 100_000 - 12, "{}", different.len());
    }

    #[test]
    fn a_new_seed_comes_after_64_kib_and_is_another_one() {
        // Both go on alike as long as they have the same seed.
        let mut keys = MaskingKeys::new().unwrap();
        let mut same = StdRng::from_seed([7; 32]);
        keys.rng = StdRng::from_seed([7; 32]);
        for _ in 0..RESEED_AFTER / 4 {
            assert_eq!(keys.next_key(), same.next_u32().to_ne_bytes());
        }
        let mut is_same = |_| keys.next_key() == same.next_u32().to_ne_bytes();
        assert!((0..100).filter(|n| is_same(*n)).count() < 10);
    }

    #[test]
    fn nonces_count_as_well() {
        let mut keys = MaskingKeys::new().unwrap();
        let nonces: HashSet<_> = (0..RESEED_AFTER / 16).map(|_| keys.nonce()).collect();
        assert_eq!((nonces.len(), keys.left), (RESEED_AFTER / 16, 0));
        keys.next_key();
        assert_eq!(keys.left, RESEED_AFTER - 4);
    }

    #[test]
    fn the_state_is_not_shown() {
        assert_eq!(format!("{:?}", MaskingKeys::new().unwrap()), "MaskingKeys");
    }
}
