//! What a network does to connections in memory: anything that it may, chosen by a seed.

use std::io;

/// What a network does to the connections of a [`Rehearsal`](super::testing::Rehearsal), besides
/// moving their bytes. Chosen by a seed: with the same one, the same happens every time.
///
/// Reads and writes take any number of bytes at a time, are interrupted or find nothing although
/// there will be something soon, and what happens to different connections is told in any order.
/// All of that is the network's right, and the loop's affair: no handler should notice.
///
/// What handlers do notice is that connections [break](Self::breaks).
///
/// # Examples
///
/// ```
/// use wsloop::testing::{Faults, Received, Rehearsal};
/// use wsloop::{Config, Handler, Message, Peer};
///
/// struct Echo;
///
/// impl Handler for Echo {
///     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
///         peer.send(message);
///     }
/// }
///
/// for seed in 0..100 {
///     let mut echo = Rehearsal::new(Config::new(), Echo);
///     echo.faults(Faults::new(seed));
///     let client = echo.connect("/");
///     echo.send(client, "hello");
///     assert_eq!(echo.receive(client), Some(Received::Text("hello")), "seed {seed}");
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is faulty before a rehearsal is told of it"]
pub struct Faults {
    chance: Chance,
    breaks: bool,
}

/// Chance that can be repeated: SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

/// What is in store for one end of a connection.
#[derive(Debug)]
pub(super) struct Trouble {
    chance: Chance,
    /// How many bytes pass at once, at most.
    most: usize,
    /// How many pass before the connection breaks, and how it does.
    fate: Option<(usize, Break)>,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Break {
    /// It is reset.
    Reset,
    /// The other side's stream ends, and whatever it has written beyond that is lost.
    End,
}

/// How many bytes pass at once at most, on the worst of connections and on the best.
const MOST: [usize; 4] = [3, 40, 1000, usize::MAX];

/// Before how many bytes connections break that do: in the middle of a head, of a frame, or later.
const BREAKS_WITHIN: [usize; 3] = [300, 1000, 10_000];

impl Faults {
    /// Makes connections on which nothing is lost, but everything is as inconvenient as can be.
    pub fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), breaks: false }
    }

    /// Has one connection in three break as well, anywhere within its first 10,000 bytes: with a
    /// reset, or with the end of what the other side has sent.
    pub fn breaks(mut self) -> Self {
        self.breaks = true;
        self
    }

    /// What is in store for the next connection.
    pub(super) fn trouble(&mut self) -> Trouble {
        let chance = &mut self.chance;
        let most = MOST[chance.below(MOST.len())];
        let within = BREAKS_WITHIN[chance.below(BREAKS_WITHIN.len())];
        let fate = (chance.below(within), [Break::Reset, Break::End][chance.below(2)]);
        let fate = Some(fate).filter(|_| chance.below(3) == 0 && self.breaks);
        Trouble { chance: chance.fork(), most, fate }
    }

    /// The order in which things are told.
    pub(super) fn order(&mut self) -> Chance {
        self.chance.fork()
    }
}

impl Trouble {
    /// How many of `n` bytes pass now. Of none, none do.
    ///
    /// # Errors
    ///
    /// Fails as the system does if it is interrupted, or if nothing passes for the moment.
    pub(super) fn pass(&mut self, n: usize) -> io::Result<usize> {
        match self.chance.below(8) {
            0 => return Err(io::ErrorKind::Interrupted.into()),
            1 if n > 0 => return Err(io::ErrorKind::WouldBlock.into()),
            2..5 => return Ok(n.min(self.most).min(self.left())),
            _ => {}
        }
        Ok(n.min(1 + self.chance.below(self.most)).min(self.left()))
    }

    /// Notes that so many bytes have passed. Returns whether that was too much for the connection.
    pub(super) fn passed(&mut self, n: usize) -> Option<Break> {
        let (left, end) = self.fate.as_mut()?;
        *left = left.saturating_sub(n);
        let broken = (*left == 0).then_some(*end);
        if broken.is_some() {
            self.fate = None;
        }
        broken
    }

    fn left(&self) -> usize {
        self.fate.map_or(usize::MAX, |(left, _)| left.max(1))
    }
}

impl Chance {
    /// A number below `limit`, each as likely as any other.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
