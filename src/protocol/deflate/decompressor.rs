//! Payloads to messages, RFC 7692 §7.2.2.

use core::{fmt, mem};

use zlib_rs::{Inflate, InflateFlush, Status};

use super::TAIL;

/// Turns the payloads of compressed messages into what was compressed (RFC 7692 §7.2.2).
///
/// A decoder makes one when it needs one, which takes some 80 KB. Where the remote endpoint has no
/// context takeover it is only needed while a compressed message is in progress, and can serve any
/// number of decoders in turn: see [`Decoder::lend_decompressor`].
///
/// [`Decoder::lend_decompressor`]: super::super::Decoder::lend_decompressor
pub struct Decompressor {
    inflate: Inflate,
    /// What was inflated last, in a ring: it is lent from here, and what comes after a final block
    /// may refer to it.
    window: Box<[u8]>,
    /// Where in the ring the next byte goes.
    next: usize,
    /// Whether the ring is full, so that it begins where the next byte goes.
    full: bool,
    place: Place,
    /// Whether there may be more to come without more payload.
    pending: bool,
    /// How much has been inflated of this payload.
    inflated: u64,
    /// The last four bytes of the payload so far.
    latest: [u8; 4],
    /// How many final blocks there were in it.
    final_blocks: u32,
    /// What has been done since somebody asked, in bytes inflated or worth as much.
    work: u64,
}

/// Where among the blocks of a payload its end so far is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Nothing of the payload has arrived.
    Start,
    /// Somewhere in or between blocks.
    Blocks,
    /// Behind a final block.
    Final,
    /// Behind what does not inflate.
    Corrupt,
}

/// How far back anything can refer. We hold as much whatever was agreed: zlib does as well.
const WINDOW: usize = 1 << 15;

/// How many final blocks a payload may have. Hardly any has more than one; to go on after each takes as
/// long as to inflate a whole window, and this many take about as long as the largest message.
const MAX_FINAL_BLOCKS: u32 = 512;

/// What it takes to begin with a message, and to go on after a final block, in bytes inflated in
/// the same time.
const MESSAGE_WORK: u64 = 1 << 10;
const FINAL_BLOCK_WORK: u64 = WINDOW as u64;

/// The payload does not inflate, or not wholly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Corrupt;

impl Decompressor {
    /// Makes a decompressor, which allocates some 80 KB.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inflate: Inflate::new(false, 15),
            window: vec![0; WINDOW].into(),
            next: 0,
            full: false,
            place: Place::Start,
            pending: false,
            inflated: 0,
            latest: [0; 4],
            final_blocks: 0,
            work: 0,
        }
    }

    /// Makes one that goes on where another was, of which this is the [window](Self::window).
    pub(crate) fn resume(window: &[u8]) -> Self {
        let mut new = Self::new();
        let window = &window[window.len().saturating_sub(WINDOW)..];
        new.window[..window.len()].copy_from_slice(window);
        (new.next, new.full) = (window.len() % WINDOW, window.len() == WINDOW);
        new.place = new.begin_again(window.len());
        if new.place == Place::Final {
            new.place = Place::Start;
        }
        new.final_blocks = 0;
        new
    }

    /// Returns what was inflated last, at most `len` bytes: what following messages may refer to.
    pub(crate) fn window(&self, len: usize) -> Vec<u8> {
        let older = if self.full { &self.window[self.next..] } else { &[] };
        let mut window = [older, &self.window[..self.next]].concat();
        window.drain(..window.len().saturating_sub(len));
        window
    }

    /// Returns how much has been done since this was called last, in bytes inflated or worth as
    /// much.
    pub(crate) fn take_work(&mut self) -> u64 {
        mem::take(&mut self.work)
    }

    /// Forgets everything: what comes next refers to nothing before it.
    pub(crate) fn reset(&mut self) {
        self.inflate.reset(false);
        (self.next, self.full, self.place, self.pending) = (0, false, Place::Start, false);
        (self.inflated, self.latest, self.final_blocks) = (0, [0; 4], 0);
    }

    /// Returns how many bytes have been inflated of the present payload.
    pub(crate) fn inflated(&self) -> u64 {
        self.inflated
    }

    /// Inflates from the front of `payload`, and lends at most `most` bytes, which is not 0.
    ///
    /// It lends nothing once `payload` is used up and all of it inflated, not before.
    pub(crate) fn inflate(&mut self, payload: &mut &[u8], most: usize) -> Result<&[u8], Corrupt> {
        let start = self.next;
        let end = WINDOW.min(start.saturating_add(most));
        let mut at = start;
        while at < end && (self.pending || !payload.is_empty()) {
            if self.place == Place::Corrupt {
                // What came before is lent first, wherever the payload is cut.
                if at == start {
                    return Err(Corrupt);
                }
                break;
            }
            at += self.step(payload, at, end);
        }
        self.next = at % WINDOW;
        self.full |= at == WINDOW;
        self.inflated += (at - start) as u64;
        self.work += (at - start) as u64;
        Ok(&self.window[start..at])
    }

    /// Inflates into the ring from `at` to `end`, and returns how much that came to.
    fn step(&mut self, payload: &mut &[u8], at: usize, end: usize) -> usize {
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let output = &mut self.window[at..end];
        let status = self.inflate.decompress(payload, output, InflateFlush::NoFlush);
        let (taken, rest) = payload.split_at((self.inflate.total_in() - total_in) as usize);
        let written = (self.inflate.total_out() - total_out) as usize;
        *payload = rest;
        for &byte in &taken[taken.len().saturating_sub(4)..] {
            self.latest = [self.latest[1], self.latest[2], self.latest[3], byte];
        }
        self.pending = at + written == end;
        self.place = match status {
            Ok(Status::Ok | Status::BufError) => Place::Blocks,
            Ok(Status::StreamEnd) => self.begin_again(at + written),
            Err(_) => Place::Corrupt,
        };
        // Where neither payload nor room is lacking, there is progress; we rely on it to end.
        let stuck = taken.is_empty() && written == 0 && !payload.is_empty();
        if stuck && self.place == Place::Blocks {
            self.place = Place::Corrupt;
        }
        self.pending |= self.place == Place::Corrupt;
        self.pending &= self.place != Place::Final;
        written
    }

    /// Begins another stream after a final block (§7.2.3.4): what was inflated, up to `at` in the
    /// ring, may still be referred to.
    fn begin_again(&mut self, at: usize) -> Place {
        self.final_blocks += 1;
        self.work += FINAL_BLOCK_WORK;
        if self.final_blocks > MAX_FINAL_BLOCKS {
            return Place::Corrupt;
        }
        self.inflate.reset(false);
        let older = if self.full { &self.window[at..] } else { &[] };
        for part in [older, &self.window[..at]] {
            if self.inflate.set_dictionary(part).is_err() {
                return Place::Corrupt;
            }
        }
        Place::Final
    }

    /// Ends a payload, all of which was inflated, and makes ready for the next one.
    ///
    /// An empty payload is none: that of an empty message is a single byte (§7.2.3.6).
    pub(crate) fn finish(&mut self) -> Result<(), Corrupt> {
        let whole = match self.place {
            Place::Start | Place::Corrupt => false,
            // There is nothing that the tail could complete.
            Place::Final => true,
            // Some leave the tail where it is, which does not change what the payload says.
            Place::Blocks => {
                (self.latest == TAIL || self.ends_block(&TAIL)) && self.ends_block(&EMPTY_BLOCK)
            }
        };
        self.place = if whole { Place::Start } else { Place::Corrupt };
        (self.inflated, self.latest, self.final_blocks) = (0, [0; 4], 0);
        self.work += MESSAGE_WORK;
        if whole { Ok(()) } else { Err(Corrupt) }
    }

    /// Whether `bytes` come to the end of a block, at their end and without saying anything.
    ///
    /// A payload that was cut short would swallow them: as codes, as lengths of codes, or as data.
    fn ends_block(&mut self, bytes: &[u8]) -> bool {
        // zlib stops at the end of a block when it is asked to. To be told so there must be
        // something that it leaves.
        let mut input = [0; EMPTY_BLOCK.len() + 1];
        input[..bytes.len()].copy_from_slice(bytes);
        let (total_in, total_out) = (self.inflate.total_in(), self.inflate.total_out());
        let input = &input[..bytes.len() + 1];
        let status = self.inflate.decompress(input, &mut [0], InflateFlush::Block);
        status == Ok(Status::Ok)
            && self.inflate.total_in() - total_in == bytes.len() as u64
            && self.inflate.total_out() == total_out
    }
}

/// An empty block that is not compressed. Any bits that were left over before it, and those of
/// [`TAIL`] are ones, would make something else of it.
const EMPTY_BLOCK: [u8; 5] = [0x00, 0x00, 0x00, 0xFF, 0xFF];

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decompressor").field("place", &self.place).finish_non_exhaustive()
    }
}
