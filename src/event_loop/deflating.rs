//! Messages that are compressed on their way out, where that was agreed on.

use std::sync::Arc;
use std::{fmt, mem};

use super::agreed::Agreed;
use super::config::Config;
use super::deadlines::Deadlines;
use super::entry::Entry;
use super::shared_message::Frame;
use super::upkeep::find;
use super::{Peer, PeerId, Peers, SendStatus, SharedMessage};
use crate::Compression;
use crate::handshake::DeflateOptions;
use crate::protocol::{
    Compress, Compressor, CompressorOptions, DeflateParameters, Header, Message,
};

/// What a loop needs for compressing.
#[derive(Default)]
pub(super) struct Deflating {
    /// The compressors that have no context, and so are everyone's: one for each size of window.
    #[expect(clippy::vec_box, reason = "they are taken out, and put back")]
    shared: Vec<Box<Compressor>>,
    /// What payloads are written into, lent to whichever compressor is in use: a peer's own would
    /// keep what its latest message took, for as long as it has nothing to be sent.
    payload: Vec<u8>,
    /// Whether any peer ever agreed to compress. Where none did, nothing else is asked.
    pub(super) agreed_on: bool,
    /// When to look at peers that have a context of their own.
    pub(super) releases: Deadlines,
    /// What has been done since somebody asked, in bytes inflated in the same time.
    work: u64,
}

/// What it takes to begin with a message: zlib's tables are cleared, or at least flushed. And what
/// it takes for each byte of it. Both in bytes inflated in the same time.
const MESSAGE_WORK: u64 = 8 << 10;
const BYTE_WORK: u64 = 8;

impl Deflating {
    fn take(&mut self, options: CompressorOptions) -> Box<Compressor> {
        match self.shared.iter().position(|shared| shared.options() == options) {
            Some(found) => self.shared.swap_remove(found),
            None => Box::new(Compressor::new(options)),
        }
    }

    /// Makes a frame of a payload that refers to nothing, unless it would be no smaller.
    fn compress_alone(
        &mut self,
        payload: &[u8],
        header: Header,
        options: CompressorOptions,
    ) -> Option<Frame> {
        self.count(payload.len());
        let mut compressor = self.take(options);
        compressor.lend_buffer(mem::take(&mut self.payload));
        let frame = compressor.compress(payload).map(|payload| Frame::new(header, payload));
        self.payload = compressor.reclaim_buffer();
        self.shared.push(compressor);
        frame
    }

    /// Notes that a message of so many bytes is compressed.
    fn count(&mut self, len: usize) {
        self.work += MESSAGE_WORK + BYTE_WORK * len as u64;
    }

    /// Begins to count anew what is compressed.
    pub(super) fn forget_work(&mut self) {
        self.work = 0;
    }

    /// Returns how much was compressed, in bytes inflated in the same time.
    pub(super) fn work(&self) -> u64 {
        self.work
    }
}

impl fmt::Debug for Deflating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflating").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Config {
    /// What to offer and to accept where an application says nothing else.
    pub(super) fn deflate_options(&self) -> Option<DeflateOptions> {
        self.compression.map(Compression::options)
    }

    /// How messages are compressed with peers that agreed to it, even if nothing was said here and
    /// it was a request that asked for it.
    pub(super) fn compressing(&self) -> Compression {
        self.compression.unwrap_or_default()
    }
}

impl Peers {
    /// Sends a message, and says whether it is to be compressed.
    ///
    /// To a peer that has not agreed to compress, it is sent as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::{Compress, Peer};
    ///
    /// fn send_picture(peer: &mut Peer<'_>, jpeg: &[u8]) {
    ///     peer.send_with(jpeg, Compress::Never);
    /// }
    /// ```
    pub fn send_with<'m>(
        &mut self,
        id: PeerId,
        message: impl Into<Message<'m>>,
        compress: Compress,
    ) -> SendStatus {
        let message = message.into();
        self.send_compressed(id, message, compress).unwrap_or_else(|| self.send_plain(id, message))
    }

    /// Notes what was agreed with a peer.
    pub(super) fn agree_on(&mut self, id: PeerId, agreed: Option<DeflateParameters>) {
        if let Some(entry) = find(&mut self.entries, id) {
            // Of a window of 8 bits, no handshake of ours says yes.
            entry.deflate = agreed.and_then(Agreed::new);
            debug_assert_eq!(entry.deflate(), agreed);
            self.deflating.agreed_on |= agreed.is_some();
        }
    }

    /// How messages with the peer are compressed, if it was agreed that they may be.
    pub fn deflate(&self, id: PeerId) -> Option<DeflateParameters> {
        self.entry(id)?.deflate()
    }

    /// Sends a message compressed, if that is to be and makes it smaller.
    #[inline]
    pub(super) fn send_compressed(
        &mut self,
        id: PeerId,
        message: Message<'_>,
        compress: Compress,
    ) -> Option<SendStatus> {
        if !self.deflating.agreed_on {
            return None;
        }
        let options = self.compressor_options(id, message.len(), compress)?;
        self.compress_and_send(id, message, options)
    }

    /// How a message to a peer is compressed, if it is.
    #[inline]
    fn compressor_options(
        &self,
        id: PeerId,
        len: usize,
        compress: Compress,
    ) -> Option<CompressorOptions> {
        let entry = self.entry(id)?;
        let agreed = entry.deflate().filter(|_| entry.is_open())?;
        let compression = self.config.compressing();
        let applies = compress.applies(len, compression.shortest());
        applies.then(|| compression.compressor(agreed, entry.role()))
    }

    #[inline(never)]
    fn compress_and_send(
        &mut self,
        id: PeerId,
        message: Message<'_>,
        options: CompressorOptions,
    ) -> Option<SendStatus> {
        self.deflating.count(message.len());
        let mut compressor = match options.context_takeover {
            true => self.take_own_compressor(id, options)?,
            false => self.deflating.take(options),
        };
        compressor.lend_buffer(mem::take(&mut self.deflating.payload));
        let status = compressor.compress(message.as_bytes()).map(|payload| {
            let header = Header::new(message.opcode(), payload.len() as u64);
            let frame_len = header.encoded_len() + payload.len();
            self.enqueue_message(id, frame_len, |queue, buffers, masking_key| {
                let header = Header { rsv: Header::RSV1, masking_key, ..header };
                queue.push_frame(header, payload, buffers);
            })
        });
        self.deflating.payload = compressor.reclaim_buffer();
        if status == Some(SendStatus::Dropped) {
            // The peer will not have what the next message would refer to.
            compressor.restart();
        }
        match options.context_takeover {
            true => self.put_own_compressor(id, compressor),
            false => self.deflating.shared.push(compressor),
        }
        status
    }

    /// The frame in which a peer is sent a message that others are sent too, if it is compressed.
    ///
    /// A payload that is the same for all cannot refer to what one of them was sent before. So where
    /// there is context takeover, the context begins anew behind it.
    pub(super) fn compressed_frame<'m>(
        &mut self,
        id: PeerId,
        message: &'m SharedMessage,
    ) -> Option<&'m Arc<Frame>> {
        if !self.deflating.agreed_on {
            return None;
        }
        let options = self.compressor_options(id, message.payload().len(), message.compress)?;
        let alone = CompressorOptions { context_takeover: false, ..options };
        let frame = message.compressed(alone, |payload, header| {
            self.deflating.compress_alone(payload, header, alone)
        })?;
        if options.context_takeover
            && let Some(compressor) = self.own_compressor(id)
        {
            compressor.restart();
        }
        Some(frame)
    }

    /// Sends a message that nobody else is sent: with the peer's own context, if it has one.
    pub(super) fn send_alone(&mut self, id: PeerId, message: &SharedMessage) -> SendStatus {
        let has_context = self.entry(id).is_some_and(|entry| {
            entry.deflate().is_some_and(|agreed| agreed.has_context_takeover(entry.role()))
        });
        match has_context {
            true => self.send_with(id, message.message(), message.compress),
            false => self.send_shared(id, message),
        }
    }

    /// The peer's own compressor, to be put back. It is made now if there is none.
    fn take_own_compressor(
        &mut self,
        id: PeerId,
        options: CompressorOptions,
    ) -> Option<Box<Compressor>> {
        let compressor = self.use_contexts(id)?.compressor.take();
        Some(compressor.unwrap_or_else(|| Box::new(Compressor::new(options))))
    }

    fn put_own_compressor(&mut self, id: PeerId, compressor: Box<Compressor>) {
        if let Some(contexts) = find(&mut self.entries, id).and_then(Entry::contexts) {
            contexts.compressor = Some(compressor);
        }
    }

    fn own_compressor(&mut self, id: PeerId) -> Option<&mut Compressor> {
        find(&mut self.entries, id)?.contexts()?.compressor.as_deref_mut()
    }
}

impl Peer<'_> {
    /// Sends a message, and says whether it is to be compressed: see [`Peers::send_with`].
    pub fn send_with<'m>(
        &mut self,
        message: impl Into<Message<'m>>,
        compress: Compress,
    ) -> SendStatus {
        let id = self.id();
        self.peers().send_with(id, message, compress)
    }
}
