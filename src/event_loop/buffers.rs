//! Spare memory, so that peers hold none while idle and none is allocated while busy.

use super::write_queue::Pending;

/// How much a block holds: enough for hundreds of small frames, or for a page of JSON.
///
/// Below about 16 KiB a copy is cheaper than another entry in a vectored write.
pub(super) const BLOCK_SIZE: usize = 16 * 1024;

/// How many blocks are kept for later: 4 MiB, what 256 peers write at the same time.
const MAX_SPARE_BLOCKS: usize = 256;

/// Assembly buffers larger than this are given back to the allocator.
const MAX_SPARE_ASSEMBLY: usize = 256 * 1024;

/// Spare assembly buffers kept: those of peers whose message was cut by the end of the read buffer.
const MAX_SPARE_ASSEMBLIES: usize = 64;

/// Buffers that nobody uses at the moment.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    blocks: Vec<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "a queue is handed over as the box that a peer holds")]
    queues: Vec<Box<Pending>>,
    assemblies: Vec<Vec<u8>>,
}

impl BufferPool {
    /// Hands out an empty buffer with room for [`BLOCK_SIZE`] bytes.
    pub(super) fn take_block(&mut self) -> Vec<u8> {
        self.blocks.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK_SIZE))
    }

    /// Takes back what [`take_block`](Self::take_block) handed out. Anything larger is freed.
    pub(super) fn give_block(&mut self, mut block: Vec<u8>) {
        if block.capacity() == BLOCK_SIZE && self.blocks.len() < MAX_SPARE_BLOCKS {
            block.clear();
            self.blocks.push(block);
        }
    }

    /// Hands out the inside of a write queue, empty.
    pub(super) fn take_queue(&mut self) -> Box<Pending> {
        self.queues.pop().unwrap_or_default()
    }

    /// Takes back the inside of a write queue in which nothing is left.
    pub(super) fn give_queue(&mut self, queue: Box<Pending>) {
        debug_assert!(queue.is_empty());
        if self.queues.len() < MAX_SPARE_BLOCKS {
            self.queues.push(queue);
        }
    }

    /// Hands out an empty buffer for a decoder to assemble a message in, if there is a spare one.
    pub(super) fn take_assembly(&mut self) -> Option<Vec<u8>> {
        self.assemblies.pop()
    }

    /// Takes back a decoder's buffer. One that has grown large is freed.
    pub(super) fn give_assembly(&mut self, buffer: Vec<u8>) {
        debug_assert!(buffer.is_empty());
        if buffer.capacity() <= MAX_SPARE_ASSEMBLY && self.assemblies.len() < MAX_SPARE_ASSEMBLIES {
            self.assemblies.push(buffer);
        }
    }
}
