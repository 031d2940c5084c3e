//! Spare memory, so that peers hold none while idle and none is allocated while busy.

use super::write_queue::Pending;
use crate::random::MaskingKeys;

/// How much a block holds: enough for hundreds of small frames, or for a page of JSON.
///
/// Below about 16 KiB a copy is cheaper than another entry in a vectored write.
pub(super) const BLOCK_SIZE: usize = 16 * 1024;

/// How many blocks are kept for later: 4 MiB, twice what a turn's worth of peers write at the same
/// time.
const MAX_SPARE_BLOCKS: usize = 256;

/// How many larger buffers are kept for later.
const MAX_SPARE_OTHERS: usize = 64;

/// How much memory the larger buffers that are kept may take.
///
/// Without any, each message of more than [`BLOCK_SIZE`] is allocated, page by page, and freed: 64
/// KiB messages then cost a third more time.
const MAX_SPARE_BYTES: usize = 8 << 20;

/// Buffers for what is written that nobody uses at the moment.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    blocks: Vec<Vec<u8>>,
    /// Buffers of more than a block.
    larger: Vec<Vec<u8>>,
    /// What those take together.
    larger_bytes: usize,
    #[expect(clippy::vec_box, reason = "a queue is handed over as the box that a peer holds")]
    queues: Vec<Box<Pending>>,
    pub(super) ledger: Ledger,
    /// What frames to servers are masked with, once there is or was a client. Here for the same
    /// reason as the ledger.
    pub(super) keys: Option<MaskingKeys>,
}

/// How much is in write queues, and has left them: kept here because whoever changes a queue has
/// the pool at hand.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Bytes in all queues of the pool's.
    pub(super) queued: usize,
    /// Bytes that sockets have taken.
    pub(super) written: u64,
}

impl BufferPool {
    /// A key for the next frame to a server.
    pub(super) fn masking_key(&mut self) -> [u8; 4] {
        self.keys().next_key()
    }

    /// A key for an opening handshake.
    pub(super) fn nonce(&mut self) -> [u8; 16] {
        self.keys().nonce()
    }

    fn keys(&mut self) -> &mut MaskingKeys {
        self.keys.as_mut().expect("there is no client before there are keys")
    }

    /// Hands out an empty buffer with room for `len` bytes, and a block at least.
    pub(super) fn take(&mut self, len: usize) -> Vec<u8> {
        if len <= BLOCK_SIZE {
            return self.blocks.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_SIZE));
        }
        match self.larger.iter().position(|buffer| buffer.capacity() >= len) {
            Some(found) => {
                let buffer = self.larger.swap_remove(found);
                self.larger_bytes -= buffer.capacity();
                buffer
            }
            None => Vec::with_capacity(len),
        }
    }

    /// Takes back what [`take`](Self::take) handed out, and frees it if there is enough of its
    /// kind.
    pub(super) fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let bytes = self.larger_bytes + buffer.capacity();
        if buffer.capacity() <= BLOCK_SIZE {
            if self.blocks.len() < MAX_SPARE_BLOCKS {
                self.blocks.push(buffer);
            }
        } else if bytes <= MAX_SPARE_BYTES && self.larger.len() < MAX_SPARE_OTHERS {
            self.larger_bytes = bytes;
            self.larger.push(buffer);
        }
    }

    /// Hands out the inside of a write queue, empty.
    pub(super) fn take_queue(&mut self) -> Box<Pending> {
        self.queues.pop().unwrap_or_default()
    }

    /// Takes back the inside of a write queue in which nothing is left.
    pub(super) fn give_queue(&mut self, queue: Box<Pending>) {
        debug_assert!(queue.is_empty());
        if queue.is_small() && self.queues.len() < MAX_SPARE_BLOCKS {
            self.queues.push(queue);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_handed_out_again() {
        let mut pool = BufferPool::default();
        for len in [1, BLOCK_SIZE, BLOCK_SIZE + 1, 1 << 20] {
            let buffer = pool.take(len);
            assert!(buffer.capacity() >= len.max(BLOCK_SIZE));
            let address = buffer.as_ptr();
            pool.give(buffer);
            let again = pool.take(len);
            assert_eq!(again.as_ptr(), address);
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pool = BufferPool::default();
        let many: Vec<_> = (0..2 * MAX_SPARE_BLOCKS).map(|_| pool.take(1)).collect();
        let large: Vec<_> = (0..20).map(|_| pool.take(1 << 20)).collect();
        many.into_iter().chain(large).for_each(|buffer| pool.give(buffer));
        pool.give(Vec::with_capacity(MAX_SPARE_BYTES + 1));

        assert_eq!(pool.blocks.len(), MAX_SPARE_BLOCKS);
        assert_eq!(pool.larger_bytes, pool.larger.iter().map(Vec::capacity).sum::<usize>());
        assert!(pool.larger_bytes <= MAX_SPARE_BYTES);
    }
}
