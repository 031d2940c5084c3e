//! Messages to payloads, RFC 7692 §7.2.1.

use core::{fmt, mem};

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status};

use super::{DeflateParameters, TAIL};
use crate::protocol::Role;

/// How a [`Compressor`] works. All of it is this endpoint's own affair, but for the window bits and
/// the context takeover, of which there is no more than was agreed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CompressorOptions {
    /// Whether messages refer to those before them.
    pub context_takeover: bool,
    /// How far back they refer, as the base-2 logarithm of a number of bytes: 9 to 15.
    pub window_bits: u8,
    /// How hard to try, 1 to 9. By default 4.
    pub level: u8,
    /// How much memory to use beside the window, 1 to 9. By default 8, as zlib does.
    pub memory_level: u8,
}

impl CompressorOptions {
    /// What the endpoint of `role` may do by what was agreed.
    #[must_use]
    pub const fn new(parameters: DeflateParameters, role: Role) -> Self {
        Self {
            context_takeover: parameters.has_context_takeover(role),
            window_bits: parameters.max_window_bits(role),
            level: DEFAULT_LEVEL,
            memory_level: DEFAULT_MEMORY_LEVEL,
        }
    }

    /// Panics unless there can be such a compressor.
    pub(crate) fn check(self) {
        let levels = [self.level, self.memory_level];
        assert!((9..=15).contains(&self.window_bits), "window bits are 9 to 15");
        assert!(levels.iter().all(|level| (1..=9).contains(level)), "levels are 1 to 9");
    }
}

/// Turns messages into the payloads of compressed ones (RFC 7692 §7.2.1).
///
/// Without context takeover one of these can serve any number of connections that agreed to the
/// same window bits or more. With it each needs its own, and the remote endpoint must receive all
/// that was compressed, in order.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::{Compressor, CompressorOptions, DeflateParameters, Role};
///
/// let options = CompressorOptions::new(DeflateParameters::default(), Role::Server);
/// let mut compressor = Compressor::new(options);
/// let first = compressor.compress(b"Hello").unwrap().len();
/// // The second refers to the first.
/// assert!(compressor.compress(b"Hello").unwrap().len() < first);
/// ```
pub struct Compressor {
    deflate: Deflate,
    options: CompressorOptions,
    payload: Vec<u8>,
    /// Whether the next message is to refer to nothing before it.
    restarts: bool,
}

/// For long messages two thirds to three quarters of the time that zlib's 6 takes, and little less
/// for short ones; sizes are within 4 % of its: docs/measurements.md.
pub(crate) const DEFAULT_LEVEL: u8 = 4;

/// As zlib does.
pub(crate) const DEFAULT_MEMORY_LEVEL: u8 = 8;

/// The most that stays allocated for payloads, in bytes.
const KEPT_CAPACITY: usize = 64 * 1024;

/// How much room there is at least when zlib is called. With less than six bytes left it may write
/// the end of a flush twice.
const MIN_ROOM: usize = 64;

/// How much is given at most.
const MAX_ROOM: usize = 16 * 1024;

impl Compressor {
    /// Makes a compressor, which allocates 380 KB by default: less with fewer window bits and a
    /// lower memory level, but always 135 KB.
    ///
    /// # Panics
    ///
    /// Panics unless the window bits are 9 to 15 and the levels 1 to 9.
    #[must_use]
    pub fn new(options: CompressorOptions) -> Self {
        options.check();
        let CompressorOptions { window_bits, level, memory_level, .. } = options;
        let config = DeflateConfig {
            level: level.into(),
            // zlib's way to say that there is to be no header.
            window_bits: -i32::from(window_bits),
            mem_level: memory_level.into(),
            ..DeflateConfig::default()
        };
        Self {
            deflate: Deflate::new_with_config(config),
            options,
            payload: Vec::new(),
            restarts: false,
        }
    }

    /// Returns how this compressor works.
    #[must_use]
    pub const fn options(&self) -> CompressorOptions {
        self.options
    }

    /// Compresses a message, and lends the payload, until the next one is compressed.
    ///
    /// Returns `None` if that is not smaller than `message`, which is then to be sent as it is.
    /// With context takeover there is always a payload, at worst a few bytes longer, and it must
    /// be sent: later messages refer to this one.
    pub fn compress(&mut self, message: &[u8]) -> Option<&[u8]> {
        self.forget_payload();
        if message.is_empty() {
            // §7.2.3.6: after a flush another one without input says nothing, so this is written
            // by hand. It is the header of an empty block.
            self.payload.push(0x00);
            return self.options.context_takeover.then_some(&self.payload);
        }
        if !self.options.context_takeover || mem::take(&mut self.restarts) {
            self.deflate.reset();
        }
        self.deflate_all(message);
        self.payload.truncate(self.payload.len() - TAIL.len());
        let smaller = self.payload.len() < message.len();
        (smaller || self.options.context_takeover).then_some(&self.payload)
    }

    /// Has the next message refer to nothing before it, whatever was agreed on.
    ///
    /// With context takeover, that is for when the remote endpoint has not been sent the latest
    /// payload, or has been sent others in between.
    pub fn restart(&mut self) {
        self.restarts = true;
    }

    /// Gives up the latest payload, and what it took unless that is little. Whoever has sent one
    /// calls this: the next message may be a long time coming, and the last one was long, perhaps.
    pub(crate) fn forget_payload(&mut self) {
        self.payload.clear();
        self.payload.shrink_to(KEPT_CAPACITY);
    }

    /// Offers an allocation for payloads, so that one can serve many compressors in turn.
    #[cfg(feature = "event-loop")]
    pub(crate) fn lend_buffer(&mut self, spare: Vec<u8>) {
        self.payload = spare;
    }

    /// Gives that back, empty.
    #[cfg(feature = "event-loop")]
    pub(crate) fn reclaim_buffer(&mut self) -> Vec<u8> {
        self.forget_payload();
        mem::take(&mut self.payload)
    }

    /// Appends `message` to the payload, flushed.
    ///
    /// It goes on to the end even when there is nothing to be won any more: zlib-rs does not forget
    /// all that it has not yet written when it is reset, and panics later.
    fn deflate_all(&mut self, mut message: &[u8]) {
        loop {
            let start = self.payload.len();
            let room = (message.len() / 2).clamp(MIN_ROOM, MAX_ROOM);
            self.payload.resize(start + room, 0);
            let (total_in, total_out) = (self.deflate.total_in(), self.deflate.total_out());
            let output = &mut self.payload[start..];
            let status = self.deflate.compress(message, output, DeflateFlush::SyncFlush);
            // Neither parameters nor memory are wrong, and the stream is never finished.
            assert!(matches!(status, Ok(Status::Ok | Status::BufError)), "zlib fails: {status:?}");
            message = &message[(self.deflate.total_in() - total_in) as usize..];
            let written = (self.deflate.total_out() - total_out) as usize;
            self.payload.truncate(start + written);
            if written < room {
                return;
            }
        }
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("options", &self.options).finish_non_exhaustive()
    }
}
