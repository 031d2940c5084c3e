//! How the endpoints of this crate compress, RFC 7692.

use std::time::Duration;

use crate::handshake::DeflateOptions;
#[cfg(feature = "client")]
use crate::protocol::Connection;
#[cfg(feature = "event-loop")]
use crate::protocol::{CompressorOptions, Role};
use crate::protocol::{DEFAULT_LEVEL, DEFAULT_MEMORY_LEVEL, DeflateParameters};

/// How messages are compressed, with those who agree to it: permessage-deflate, RFC 7692.
///
/// There are two policies, which differ in what an endpoint keeps from one message to the next:
///
/// * [`shared`](Self::shared): nothing. Each message is compressed by itself, so that one
///   compressor and one decompressor serve all connections of an event loop, and a connection takes
///   no more memory than without compression.
/// * [`dedicated`](Self::dedicated): context takeover. Messages refer to those before them, which
///   makes short ones that resemble each other a good deal smaller. A connection then has a
///   compressor of its own once it is sent a message, which allocates 380 KB, and a decompressor
///   once it has sent one, which allocates 80 KB. As not all of that is touched at once, it comes to
///   370 KB after 1 KiB each way. With 10 [window bits](Self::window_bits) and a
///   [memory level](Self::memory_level) of 1 it is 190 KB.
///
/// What is received is measured inflated, and inflated no further than the limit for messages
/// allows. Messages that are sent in fragments are not compressed, nor are control frames (RFC 7692
/// §6.1).
///
/// Do not compress a secret together with what an attacker may choose: see
/// [`Compress::Never`](crate::protocol::Compress::Never).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Compression {
    context_takeover: bool,
    window_bits: u8,
    level: u8,
    memory_level: u8,
    threshold: usize,
    release_after: Option<Duration>,
}

impl Compression {
    /// Compresses each message by itself, and asks the remote endpoint to do the same.
    ///
    /// A server that does not do so when this endpoint's client asks for it does not agree to
    /// compress.
    #[must_use]
    pub const fn shared() -> Self {
        Self {
            context_takeover: false,
            window_bits: 15,
            level: DEFAULT_LEVEL,
            memory_level: DEFAULT_MEMORY_LEVEL,
            threshold: crate::protocol::DEFAULT_THRESHOLD,
            release_after: None,
        }
    }

    /// Compresses messages with reference to those before them, and lets the remote endpoint do the
    /// same. Either may still be asked by the other not to.
    ///
    /// A message that is shared, as all broadcasts are, is compressed once for all, and so by
    /// itself. Those behind it do not refer to what was before it: peers that are mostly sent
    /// broadcasts have little from a context.
    ///
    /// Every peer of an event loop that offers it may take 460 KB, which nothing limits but
    /// `Config::max_connections`.
    #[must_use]
    pub const fn dedicated() -> Self {
        Self { context_takeover: true, ..Self::shared() }
    }

    /// Sets how far back messages refer, in both directions, as the base-2 logarithm of a number of
    /// bytes: 9 to 15. Default: 15, which is 32 KiB.
    ///
    /// Less saves some of a dedicated compressor's memory, 65 KB with 14 and 130 KB with 9, and
    /// compresses less. A decompressor always takes the same.
    /// Messages shorter than the window are not affected where each is compressed by itself. A
    /// client that does not know of this parameter sends with 15 all the same.
    ///
    /// # Panics
    ///
    /// Panics if it is not 9 to 15. RFC 7692 knows 8 as well, which zlib and its kin cannot do.
    #[must_use]
    pub const fn window_bits(mut self, bits: u8) -> Self {
        assert!(9 <= bits && bits <= 15, "window bits are 9 to 15");
        self.window_bits = bits;
        self
    }

    /// Sets how hard to try, 1 to 9. Default: 4.
    ///
    /// On text, JSON and binary data, 6, which is zlib's default, takes up to half as long again and
    /// makes messages 4 % smaller at most. 1 takes less than half as long as 4, and makes messages a
    /// quarter to a half larger.
    ///
    /// # Panics
    ///
    /// Panics if it is not 1 to 9.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        assert!(1 <= level && level <= 9, "levels are 1 to 9");
        self.level = level;
        self
    }

    /// Sets how much memory to use beside the window, 1 to 9. Default: 8, as zlib does.
    ///
    /// That is 115 KB, and 1 KB with 1: each level takes twice what the one before it does.
    /// What is less than 8 makes long messages larger, and takes longer for them.
    ///
    /// # Panics
    ///
    /// Panics if it is not 1 to 9.
    #[must_use]
    pub const fn memory_level(mut self, level: u8) -> Self {
        assert!(1 <= level && level <= 9, "levels are 1 to 9");
        self.memory_level = level;
        self
    }

    /// Sets how long a message must be to be compressed, in bytes. Default: 64.
    ///
    /// Shorter ones hardly ever become any shorter by themselves. A message goes compressed
    /// whatever its length, or never, if it is [sent](crate::protocol::Compress) so.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Sets after how long a time without a compressed message an event loop gives up what a
    /// connection has of its own, or `None` for never, which is the default.
    ///
    /// The compressor is freed, and begins anew. Of the decompressor, what messages to come may
    /// still refer to is kept: no more than the client's window, which is 32 KiB at most. How much of
    /// that the process gives back to the system is for the allocator to say.
    #[must_use]
    pub const fn release_after(mut self, time: Option<Duration>) -> Self {
        self.release_after = time;
        self
    }

    /// What to offer or to accept.
    pub(crate) const fn options(self) -> DeflateOptions {
        DeflateOptions {
            server_no_context_takeover: !self.context_takeover,
            client_no_context_takeover: !self.context_takeover,
            server_max_window_bits: self.window_bits,
            client_max_window_bits: self.window_bits,
        }
    }

    /// How the endpoint of `role` compresses where this was agreed on.
    #[cfg(feature = "event-loop")]
    pub(crate) const fn compressor(
        self,
        agreed: DeflateParameters,
        role: Role,
    ) -> CompressorOptions {
        let agreed = CompressorOptions::new(agreed, role);
        let window_bits = match agreed.window_bits < self.window_bits {
            true => agreed.window_bits,
            false => self.window_bits,
        };
        CompressorOptions {
            window_bits,
            level: self.level,
            memory_level: self.memory_level,
            ..agreed
        }
    }

    /// Has a connection compress so.
    #[cfg(feature = "client")]
    pub(crate) fn apply(self, connection: Connection, agreed: DeflateParameters) -> Connection {
        connection
            .deflate(agreed)
            .compression_level(self.level, self.memory_level)
            .compression_threshold(self.threshold)
    }

    /// The length of the shortest message that is compressed.
    #[cfg(feature = "event-loop")]
    pub(crate) const fn shortest(self) -> usize {
        self.threshold
    }

    /// When to give up what an idle connection has of its own.
    #[cfg(feature = "event-loop")]
    pub(crate) const fn release(self) -> Option<Duration> {
        self.release_after
    }
}

impl Default for Compression {
    /// The same as [`shared`](Self::shared).
    fn default() -> Self {
        Self::shared()
    }
}
