//! Decoders, which peers have only while they are in the middle of something.

use super::config::{Config, Delivery};
#[cfg(feature = "deflate")]
use super::inflating::{Inflating, Share};
use crate::protocol::{Decoder, Role};
#[cfg(feature = "deflate")]
use crate::protocol::{Decompressor, DeflateParameters};

/// How many decoders are kept for later.
const MAX_SPARE: usize = 64;

/// How much memory their buffers may take. Each larger message would otherwise be allocated, page by
/// page, and freed.
const MAX_SPARE_BYTES: usize = 8 << 20;

/// Decoders that are in the middle of nothing, and so any peer's.
#[derive(Debug, Default)]
pub(super) struct DecoderPool {
    of_servers: Vec<Spare>,
    of_clients: Vec<Spare>,
    bytes: usize,
    #[cfg(feature = "deflate")]
    pub(super) inflating: Inflating,
    /// What inflates messages that refer to nothing: one at a time.
    #[cfg(feature = "deflate")]
    decompressor: Option<Box<Decompressor>>,
    /// What messages are assembled in by decoders that are kept for their context.
    #[cfg(feature = "deflate")]
    buffer: Vec<u8>,
}

/// A decoder, and the capacity of its buffer.
type Spare = (Box<Assembler>, usize);

/// A decoder, with what its message in progress takes.
#[derive(Debug)]
pub(super) struct Assembler {
    pub(super) decoder: Decoder,
    #[cfg(feature = "deflate")]
    pub(super) share: Share,
}

impl DecoderPool {
    /// Hands out a decoder for the endpoint that has `role`. The settings are a loop's, and so the
    /// same for all of them.
    pub(super) fn take(&mut self, role: Role, config: &Config) -> Box<Assembler> {
        if let Some((assembler, capacity)) = self.spare(role).pop() {
            self.bytes -= capacity;
            return assembler;
        }
        let decoder = Decoder::new(role).max_message_size(config.limits.message_size);
        let decoder = match config.delivery {
            Delivery::Messages => decoder,
            Delivery::Pieces => decoder.in_pieces(),
        };
        Box::new(Assembler {
            decoder,
            #[cfg(feature = "deflate")]
            share: self.inflating.share(),
        })
    }

    /// Takes back a decoder that is between messages and may go on to decode others.
    pub(super) fn give(&mut self, role: Role, mut assembler: Box<Assembler>) {
        let decoder = &mut assembler.decoder;
        #[cfg(feature = "deflate")]
        if decoder.inflates() {
            if let Some(decompressor) = decoder.reclaim_decompressor() {
                self.decompressor = Some(decompressor);
            }
            decoder.set_deflate(None);
        }
        let buffer = decoder.reclaim_buffer().unwrap_or_default();
        let capacity = buffer.capacity();
        let fits = self.bytes + capacity <= MAX_SPARE_BYTES;
        if fits && self.spare(role).len() < MAX_SPARE {
            decoder.lend_buffer(buffer);
            self.spare(role).push((assembler, capacity));
            self.bytes += capacity;
        }
    }

    fn spare(&mut self, role: Role) -> &mut Vec<Spare> {
        match role {
            Role::Server => &mut self.of_servers,
            Role::Client => &mut self.of_clients,
        }
    }
}

#[cfg(feature = "deflate")]
impl DecoderPool {
    /// Lends a decoder what it may need to inflate, and to put together, what arrives.
    pub(super) fn lend(&mut self, assembler: &mut Assembler) {
        let decoder = &mut assembler.decoder;
        if decoder.lacks_decompressor()
            && let Some(decompressor) = self.decompressor.take()
        {
            decoder.lend_decompressor(decompressor);
        }
        if decoder.lacks_buffer() {
            decoder.lend_buffer(std::mem::take(&mut self.buffer));
        }
    }

    /// Takes back what a decoder does not need that is kept for its peer: in the middle of a header,
    /// or for its context. A large message, a byte of the next one and then nothing would otherwise
    /// be a cheap way to make us hold a lot of memory.
    pub(super) fn reclaim(&mut self, mut assembler: Box<Assembler>) -> Box<Assembler> {
        let decoder = &mut assembler.decoder;
        if !decoder.inflates() {
            return assembler;
        }
        if let Some(decompressor) = decoder.reclaim_decompressor() {
            self.decompressor = Some(decompressor);
        }
        match decoder.reclaim_buffer() {
            Some(buffer) if buffer.capacity() <= MAX_SPARE_BYTES => self.buffer = buffer,
            Some(_) => {}
            None => decoder.shrink_buffer(),
        }
        assembler
    }
}

#[cfg(feature = "deflate")]
impl Assembler {
    /// Has a decoder that was handed out inflate what was agreed on with its peer.
    pub(super) fn prepare(mut self: Box<Self>, agreed: DeflateParameters) -> Box<Self> {
        self.decoder.set_deflate(Some(agreed));
        self
    }

    /// Counts what the message in progress takes.
    pub(super) fn count(&mut self) {
        self.share.set(self.decoder.inflating_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_keep_their_buffers_within_bounds() {
        let mut pool = DecoderPool::default();
        let config = Config::new();
        for _ in 0..2 {
            let mut assemblers: Vec<_> =
                (0..20).map(|_| pool.take(Role::Server, &config)).collect();
            assemblers
                .iter_mut()
                .for_each(|assembler| assembler.decoder.lend_buffer(Vec::with_capacity(1 << 20)));
            assemblers.into_iter().for_each(|assembler| pool.give(Role::Server, assembler));
            assert_eq!(
                pool.bytes,
                pool.of_servers.iter().map(|(_, capacity)| capacity).sum::<usize>()
            );
            assert!(pool.bytes <= MAX_SPARE_BYTES && pool.of_servers.len() >= 8);
        }
    }
}
