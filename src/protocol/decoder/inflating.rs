//! Compressed messages, RFC 7692 §6.2: inflated as they arrive, and no further than is allowed.

use core::mem;

use super::{
    Decoder, Ready, State,
    header::{Content, Frame},
};
use crate::protocol::{Decompressor, DeflateParameters, Header, Role, Violation, deflate::Corrupt};

/// In pieces, how much of a payload is inflated at once. It comes to 1032 times as much at most,
/// which bounds how much a piece can be longer than [`PIECE`].
const SLICE: usize = 256;

/// How long a piece is before another is begun.
const PIECE: usize = 16 * 1024;

/// What messages to come may refer to, while there is no decompressor that knows it.
#[derive(Debug)]
pub(super) struct Window(Box<[u8]>);

/// What a decompressor takes, about.
const DECOMPRESSOR_SIZE: usize = 80 << 10;

impl Decoder {
    /// Makes the decoder accept compressed messages, by what the opening handshake agreed on.
    ///
    /// Only the first frame of a message can have RSV1 (RFC 7692 §6). What does not inflate fails
    /// with [`Violation::CorruptDeflate`], and [`max_message_size`](Self::max_message_size) bounds
    /// the inflated size.
    ///
    /// A decompressor is made when the first compressed message begins, unless one was
    /// [lent](Self::lend_decompressor).
    #[must_use]
    pub const fn deflate(mut self, parameters: DeflateParameters) -> Self {
        self.set_deflate(Some(parameters));
        self
    }

    /// Makes the decoder accept compressed messages, or none.
    pub(crate) const fn set_deflate(&mut self, parameters: Option<DeflateParameters>) {
        let sender = match self.role {
            Role::Server => Role::Client,
            Role::Client => Role::Server,
        };
        let Some(parameters) = parameters else {
            (self.allowed_rsv, self.context) = (0, None);
            return;
        };
        self.allowed_rsv = Header::RSV1;
        self.context = match parameters.has_context_takeover(sender) {
            true => Some(parameters.max_window_bits(sender)),
            false => None,
        };
    }

    /// Offers a decompressor, so that one can serve many decoders in turn.
    ///
    /// What was inflated with it is forgotten. It is dropped if the decoder has one already.
    pub fn lend_decompressor(&mut self, mut spare: Box<Decompressor>) {
        if self.decompressor.is_none() && self.remembered.is_none() {
            // Without context takeover, each message does so as it begins.
            if self.context.is_some() {
                spare.reset();
            }
            self.decompressor = Some(spare);
        }
    }

    /// Gives back the decompressor.
    ///
    /// Returns `None` while a compressed message is in progress, where messages refer to those
    /// before them (context takeover), and if there is none to give. Until reclaimed it is kept.
    pub fn reclaim_decompressor(&mut self) -> Option<Box<Decompressor>> {
        let ended = matches!(self.state, State::Ended);
        let in_message = self.message.is_some_and(|message| message.compressed);
        if ended || !in_message && self.context.is_none() { self.decompressor.take() } else { None }
    }

    /// Returns whether compressed messages may refer to those before them (context takeover), so that
    /// a decompressor cannot be shared.
    #[must_use]
    pub const fn expects_context(&self) -> bool {
        self.context.is_some()
    }

    /// Returns whether compressed messages are accepted.
    #[cfg(feature = "event-loop")]
    pub(crate) const fn inflates(&self) -> bool {
        self.allowed_rsv != 0
    }

    /// Returns whether a decompressor that is [lent](Self::lend_decompressor) may be of use.
    #[cfg(feature = "event-loop")]
    pub(crate) const fn lacks_decompressor(&self) -> bool {
        self.inflates() && self.context.is_none() && self.decompressor.is_none()
    }

    /// Returns whether a buffer that is [lent](Self::lend_buffer) may be of use.
    #[cfg(feature = "event-loop")]
    pub(crate) fn lacks_buffer(&self) -> bool {
        self.inflates() && self.message.is_none() && self.buffer.capacity() == 0
    }

    /// Gives back most of what the buffer has beyond the message that is in progress, if that is not
    /// compressed: one before it was, and took far more memory than has arrived.
    #[cfg(feature = "event-loop")]
    pub(crate) fn shrink_buffer(&mut self) {
        if self.message.is_some_and(|message| !message.compressed) {
            self.buffer.shrink();
        }
    }

    /// Returns whether messages to come may refer to some that have been inflated, so that this
    /// decoder has to be kept.
    #[must_use]
    pub const fn has_context(&self) -> bool {
        self.context.is_some()
            && (self.decompressor.is_some() || self.remembered.is_some())
            && !matches!(self.state, State::Ended)
    }

    /// Gives up the decompressor, and keeps what messages to come may refer to: no more than the
    /// window that was agreed on, 32 KiB at most. A new one is made of it when the next compressed
    /// message begins.
    ///
    /// Does nothing while a compressed message is in progress, or without context takeover.
    pub fn condense(&mut self) {
        let in_message = self.message.is_some_and(|message| message.compressed);
        if let Some(bits) = self.context
            && !in_message
            && let Some(decompressor) = self.decompressor.take()
        {
            let window = decompressor.window(1 << bits).into();
            self.remembered = Some(Box::new(Window(window)));
        }
    }

    /// Returns how much was inflated since this was called last, in bytes or what takes as long.
    ///
    /// Input may come to a thousand times its size: who serves many in turn wants to know when one
    /// has had its share.
    #[must_use]
    pub fn take_work(&mut self) -> u64 {
        self.decompressor.as_mut().map_or(0, |decompressor| decompressor.take_work())
    }

    /// Returns how many bytes of memory are held for a compressed message that is in progress, the
    /// decompressor included.
    #[must_use]
    pub fn inflating_bytes(&self) -> usize {
        let in_message = self.message.is_some_and(|message| message.compressed);
        if in_message { self.buffer.capacity() + DECOMPRESSOR_SIZE } else { 0 }
    }

    /// Takes what there is of a compressed frame's payload.
    pub(super) fn receive_compressed<'i>(
        &mut self,
        mut frame: Frame,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Ready<'i>>, Violation> {
        if self.in_pieces {
            self.buffer.begin(frame.content == Content::Text);
        }
        loop {
            let most = if self.in_pieces { SLICE } else { usize::MAX };
            self.inflate(frame.receive(input, most))?;
            let full = self.in_pieces && self.buffer.len() >= PIECE;
            if full || frame.remaining == 0 || input.is_empty() {
                break;
            }
        }
        let done = frame.remaining == 0;
        if done {
            self.end_frame(frame.content);
        } else {
            self.state = State::Payload(frame);
        }
        let last = frame.fin && done;
        if last {
            self.finish_inflating()?;
        }
        if !self.in_pieces {
            self.message = self.message.filter(|_| !last);
            return Ok(last.then_some(Ready::Assembled));
        }
        if self.buffer.len() == 0 && !last {
            return Ok(None);
        }
        let first =
            self.message.as_mut().is_none_or(|message| !mem::replace(&mut message.begun, true));
        self.message = self.message.filter(|_| !last);
        Ok(Some(Ready::Inflated { first, last }))
    }

    /// Inflates into the buffer, as far as a message may go.
    fn inflate(&mut self, mut payload: &[u8]) -> Result<(), Violation> {
        let Some(decompressor) = &mut self.decompressor else { return Ok(()) };
        loop {
            let room = self.max_message_size - decompressor.inflated();
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let inflated = decompressor.inflate(&mut payload, room.saturating_add(1))?;
            if inflated.is_empty() {
                return Ok(());
            }
            // However the payload is cut, the first fault is the one that is found.
            let allowed = &inflated[..inflated.len().min(room)];
            self.buffer.append(allowed, &mut self.utf8, Some(self.max_message_size))?;
            if allowed.len() < inflated.len() {
                return Err(Violation::MessageTooBig);
            }
        }
    }

    /// Begins a compressed message.
    pub(super) fn begin_inflating(&mut self) {
        if let Some(window) = self.remembered.take() {
            self.decompressor = Some(Box::new(Decompressor::resume(&window.0)));
        }
        let decompressor = self.decompressor.get_or_insert_default();
        if self.context.is_none() {
            decompressor.reset();
        }
    }

    fn finish_inflating(&mut self) -> Result<(), Violation> {
        if let Some(decompressor) = &mut self.decompressor {
            decompressor.finish()?;
        }
        self.utf8.finish()
    }
}

impl From<Corrupt> for Violation {
    fn from(Corrupt: Corrupt) -> Self {
        Self::CorruptDeflate
    }
}

#[cfg(test)]
mod tests;
