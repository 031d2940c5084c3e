//! What a peer is still to be sent: the one place from which its socket is written.
//!
//! Frames are appended whole and leave in order. Small ones share a block from the loop's pool, so
//! that everything a peer is sent in one turn goes out in one write; large ones and those shared
//! with other peers have a segment of their own and go out in the same vectored write. An empty
//! queue holds no memory.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::sync::Arc;

use super::buffers::{BLOCK_SIZE, BufferPool};
use super::shared_message::Frame;
use crate::protocol::{CloseBody, Header, Opcode, encode_close, encode_frame};

/// How many segments one vectored write takes: 1 MiB of blocks, far more than a socket buffer has
/// room for.
const MAX_SLICES: usize = 64;

/// Encoded frames waiting for the socket, oldest first.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    /// Borrowed from the pool while there is anything to write.
    pending: Option<Box<Pending>>,
}

/// The inside of a queue that is not empty.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// None is empty, and frames are not cut: each begins with a frame's first byte and ends with a
    /// frame's last.
    segments: VecDeque<Segment>,
    /// How much of the first segment the socket has taken.
    written: usize,
    /// How much of all segments it has not.
    bytes: usize,
    /// The latest Pong that found the queue above its mark, encoded; it goes out once there is
    /// room.
    owed_pong: Vec<u8>,
    /// How much that is not in any segment the socket has not taken either: what was encrypted, and
    /// what TLS has to say of its own.
    #[cfg(feature = "tls")]
    unsent: usize,
}

/// Bytes that lie together in memory.
#[derive(Debug)]
enum Segment {
    /// Frames of this peer's alone, with room for more.
    Owned(Vec<u8>),
    /// One frame that other peers are sent as well.
    Shared(Arc<Frame>),
    /// What comes before the first frame, or instead of any.
    Opaque(Vec<u8>),
}

/// What is left after a flush.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flushed {
    /// Nothing: the queue is empty.
    All,
    /// The rest of what is queued: the socket takes no more for now.
    Blocked,
}

impl WriteQueue {
    /// How many bytes the socket has not yet taken.
    pub(super) fn len(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.len())
    }

    /// The same, but for the Pong that is owed.
    pub(super) fn len_but_pong(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.len() - pending.owed_pong.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_none()
    }

    /// Appends a frame, copying its payload.
    pub(super) fn push_frame(&mut self, header: Header, payload: &[u8], pool: &mut BufferPool) {
        let frame_len = header.encoded_len() + payload.len();
        let pending = self.pending(pool);
        encode_frame(header, payload, pending.room(frame_len, pool));
        pending.add(frame_len, pool);
    }

    /// Appends a Close.
    pub(super) fn push_close(
        &mut self,
        body: Option<CloseBody<'_>>,
        masking_key: Option<[u8; 4]>,
        pool: &mut BufferPool,
    ) {
        let payload_len = body.map_or(0, |body| body.encoded_len());
        let header = Header { masking_key, ..Header::new(Opcode::Close, payload_len as u64) };
        let frame_len = header.encoded_len() + payload_len;
        let pending = self.pending(pool);
        encode_close(body, masking_key, pending.room(frame_len, pool));
        pending.add(frame_len, pool);
    }

    /// Appends a frame that is shared with other queues, masked as this one's alone.
    pub(super) fn push_masked(&mut self, frame: &Frame, key: [u8; 4], pool: &mut BufferPool) {
        let (header, payload) = frame.parts();
        self.push_frame(Header { masking_key: Some(key), ..header }, payload, pool);
    }

    /// Appends bytes that are no frame: an HTTP request or response.
    pub(super) fn push_opaque(&mut self, bytes: Vec<u8>, pool: &mut BufferPool) {
        let pending = self.pending(pool);
        pending.add(bytes.len(), pool);
        pending.segments.push_back(Segment::Opaque(bytes));
    }

    /// Appends a frame that is shared with other queues: by reference, unless it is small and would
    /// only make a vectored write longer, which costs more than the copy.
    pub(super) fn push_shared(&mut self, frame: &Arc<Frame>, pool: &mut BufferPool) {
        let pending = self.pending(pool);
        let bytes = frame.bytes();
        pending.add(bytes.len(), pool);
        if bytes.len() <= BLOCK_SIZE && !pending.segments.is_empty() {
            pending.room(bytes.len(), pool).extend_from_slice(bytes);
        } else {
            pending.segments.push_back(Segment::Shared(Arc::clone(frame)));
        }
    }

    /// Appends all that is in another queue, without copying it.
    pub(super) fn append(&mut self, other: &mut Self, pool: &mut BufferPool) {
        let Some(mut behind) = other.pending.take() else { return };
        debug_assert!(behind.written == 0 && behind.owed_pong.is_empty(), "it was never flushed");
        let Some(pending) = &mut self.pending else {
            self.pending = Some(behind);
            return;
        };
        pending.bytes += std::mem::take(&mut behind.bytes);
        pending.segments.append(&mut behind.segments);
        pool.give_queue(behind);
    }

    /// Remembers a Pong until the queue has drained, in place of any that was remembered before.
    ///
    /// RFC 6455 §5.5.3 allows to answer only the most recent Ping. So a peer that pings without
    /// reading is owed one Pong, however many it asked for.
    pub(super) fn owe_pong(&mut self, header: Header, payload: &[u8], pool: &mut BufferPool) {
        let pending = self.pending(pool);
        pool.ledger.queued -= pending.owed_pong.len();
        pending.owed_pong.clear();
        encode_frame(header, payload, &mut pending.owed_pong);
        pool.ledger.queued += pending.owed_pong.len();
    }

    /// Appends the Pong that is owed, if one is.
    pub(super) fn pay_pong(&mut self, pool: &mut BufferPool) {
        if let Some(pending) = &mut self.pending {
            pending.pay_pong(pool);
        }
    }

    /// Drops every data frame of which the socket has not taken a byte. Control frames stay, and so
    /// does what is no frame.
    pub(super) fn discard_data(&mut self, pool: &mut BufferPool) {
        let Some(mut pending) = self.pending.take() else { return };
        pool.ledger.queued -= pending.len();
        let mut written = std::mem::take(&mut pending.written);
        pending.bytes = 0;
        let mut control_frames = Vec::new();
        for segment in std::mem::take(&mut pending.segments) {
            let keep = match &segment {
                Segment::Opaque(bytes) => bytes.len(),
                Segment::Owned(_) | Segment::Shared(_) => {
                    let keep = end_of_begun_frame(segment.bytes(), written);
                    control_frames.extend_from_slice(&control_frames_of(&segment.bytes()[keep..]));
                    keep
                }
            };
            pending.keep(segment, written, keep, pool);
            written = 0;
        }
        if !control_frames.is_empty() {
            pending.room(control_frames.len(), pool).extend_from_slice(&control_frames);
            pending.bytes += control_frames.len();
        }
        pool.ledger.queued += pending.len();
        self.put_back(pending, pool);
    }

    /// Writes until nothing is left or the socket would block.
    ///
    /// # Errors
    ///
    /// Whatever the socket says, and `WriteZero` if it takes nothing without a reason.
    pub(super) fn flush(
        &mut self,
        socket: &mut impl Write,
        pool: &mut BufferPool,
    ) -> io::Result<Flushed> {
        let Some(mut pending) = self.pending.take() else { return Ok(Flushed::All) };
        let result = pending.write_all(socket, pool);
        self.put_back(pending, pool);
        match result {
            Ok(()) if self.is_empty() => Ok(Flushed::All),
            Ok(()) => Ok(Flushed::Blocked),
            Err(error) => Err(error),
        }
    }

    /// Notes how much is between the queue and the socket, and counts it as queued.
    #[cfg(feature = "tls")]
    pub(super) fn note_unsent(&mut self, unsent: usize, pool: &mut BufferPool) -> Flushed {
        if unsent == 0 && self.is_empty() {
            return Flushed::All;
        }
        let mut pending = self.pending.take().unwrap_or_else(|| pool.take_queue());
        pool.ledger.queued = pool.ledger.queued - pending.unsent + unsent;
        pending.unsent = unsent;
        self.put_back(pending, pool);
        if self.is_empty() { Flushed::All } else { Flushed::Blocked }
    }

    /// Gives everything back to the pool.
    pub(super) fn clear(&mut self, pool: &mut BufferPool) {
        if let Some(mut pending) = self.pending.take() {
            pool.ledger.queued -= pending.len();
            while let Some(segment) = pending.segments.pop_front() {
                if let Segment::Owned(block) = segment {
                    pool.give(block);
                }
            }
            (pending.written, pending.bytes) = (0, 0);
            pending.owed_pong.clear();
            #[cfg(feature = "tls")]
            {
                pending.unsent = 0;
            }
            pool.give_queue(pending);
        }
    }

    fn pending(&mut self, pool: &mut BufferPool) -> &mut Pending {
        self.pending.get_or_insert_with(|| pool.take_queue())
    }

    fn put_back(&mut self, pending: Box<Pending>, pool: &mut BufferPool) {
        if pending.is_empty() {
            pool.give_queue(pending);
        } else {
            self.pending = Some(pending);
        }
    }
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether it has not grown beyond what is worth keeping.
    pub(super) fn is_small(&self) -> bool {
        self.segments.capacity() <= MAX_SLICES
    }

    #[cfg(not(feature = "tls"))]
    fn len(&self) -> usize {
        self.bytes + self.owed_pong.len()
    }

    #[cfg(feature = "tls")]
    fn len(&self) -> usize {
        self.bytes + self.owed_pong.len() + self.unsent
    }

    /// Notes that there are so many bytes more.
    fn add(&mut self, n: usize, pool: &mut BufferPool) {
        self.bytes += n;
        pool.ledger.queued += n;
    }

    fn pay_pong(&mut self, pool: &mut BufferPool) {
        let mut pong = std::mem::take(&mut self.owed_pong);
        if !pong.is_empty() {
            self.room(pong.len(), pool).extend_from_slice(&pong);
            self.bytes += pong.len();
            pong.clear();
        }
        self.owed_pong = pong;
    }

    /// The segment to append a frame of `len` bytes to.
    fn room(&mut self, len: usize, pool: &mut BufferPool) -> &mut Vec<u8> {
        let fits = matches!(self.segments.back(),
            Some(Segment::Owned(last)) if len <= last.capacity() - last.len());
        if !fits {
            self.segments.push_back(Segment::Owned(pool.take(len)));
        }
        match self.segments.back_mut() {
            Some(Segment::Owned(last)) => last,
            _ => unreachable!("an owned segment is last: it was found or pushed above"),
        }
    }

    fn write_all(&mut self, socket: &mut impl Write, pool: &mut BufferPool) -> io::Result<()> {
        // Events are edges: to stop any sooner would be to wait for one that never comes.
        loop {
            if self.bytes == 0 {
                self.pay_pong(pool);
            }
            if self.bytes == 0 {
                return Ok(());
            }
            match self.write_once(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.advance(n, pool),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn write_once(&self, socket: &mut impl Write) -> io::Result<usize> {
        let mut segments = self.segments.iter().map(Segment::bytes);
        let first = &segments.next().expect("there are bytes to write")[self.written..];
        if self.segments.len() == 1 {
            return socket.write(first);
        }
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        slices[0] = IoSlice::new(first);
        let mut used = 1;
        for (slice, segment) in slices[1..].iter_mut().zip(segments) {
            *slice = IoSlice::new(segment);
            used += 1;
        }
        socket.write_vectored(&slices[..used])
    }

    /// Keeps the first `keep` bytes of a segment of which `written` are gone, if that leaves any.
    fn keep(&mut self, mut segment: Segment, written: usize, keep: usize, pool: &mut BufferPool) {
        if keep > written {
            if let Segment::Owned(bytes) = &mut segment {
                bytes.truncate(keep);
            }
            (self.written, self.bytes) = (self.written + written, self.bytes + keep - written);
            self.segments.push_back(segment);
        } else if let Segment::Owned(block) = segment {
            pool.give(block);
        }
    }

    /// Notes that the socket took `n` more bytes.
    fn advance(&mut self, n: usize, pool: &mut BufferPool) {
        self.bytes -= n;
        self.written += n;
        pool.ledger.queued -= n;
        pool.ledger.written += n as u64;
        while let Some(segment) = self.segments.front()
            && self.written >= segment.bytes().len()
        {
            self.written -= segment.bytes().len();
            if let Some(Segment::Owned(block)) = self.segments.pop_front() {
                pool.give(block);
            }
        }
    }
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) | Self::Opaque(bytes) => bytes,
            Self::Shared(frame) => frame.bytes(),
        }
    }
}

/// Where the frame ends that contains byte `written` of `frames`, or `written` if that is between
/// two.
fn end_of_begun_frame(frames: &[u8], written: usize) -> usize {
    let mut end = 0;
    while end < written {
        end += frame_len(&frames[end..]);
    }
    end
}

fn control_frames_of(mut frames: &[u8]) -> Vec<u8> {
    let mut control_frames = Vec::new();
    while !frames.is_empty() {
        let (frame, rest) = frames.split_at(frame_len(frames));
        // §5.5: opcodes of control frames have their most significant bit set.
        if frame[0] & 0x08 != 0 {
            control_frames.extend_from_slice(frame);
        }
        frames = rest;
    }
    control_frames
}

/// The length of the frame that `frames`, which we encoded ourselves, begins with.
fn frame_len(frames: &[u8]) -> usize {
    let mut rest = frames;
    match Header::parse(&mut rest) {
        Ok(Some(header)) => {
            let payload_len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
            (frames.len() - rest.len()).saturating_add(payload_len).min(frames.len())
        }
        Ok(None) | Err(_) => unreachable!("segments consist of whole frames"),
    }
}

#[cfg(test)]
mod tests;
