//! Messages that are sent as fragments, over as many turns as it takes.
//!
//! RFC 6455 §5.4: fragments of one message must not be mixed with those of another, but control
//! frames may come between them. So a peer's write queue goes on taking fragments and control
//! frames, and other messages wait in a queue of their own until the last fragment is there.

use std::fmt;
use std::time::Instant;

use super::buffers::BufferPool;
use super::entry::Entry;
use super::sending::queued;
use super::upkeep::find;
use super::write_queue::WriteQueue;
use super::{Peer, PeerId, Peers, SendStatus};
use crate::protocol::{Header, Message, MessageType, Opcode};

/// A message that is being sent in fragments.
#[derive(Debug)]
pub(super) struct Outgoing {
    message_type: MessageType,
    /// What the next fragment is sent as.
    opcode: Opcode,
    /// The messages that were sent meanwhile.
    waiting: WriteQueue,
    /// Somebody was told that the peer is congested because of them, or found no room.
    congested: bool,
}

/// What an application got out of step with, sending a message in fragments. Nothing was sent, and
/// the message that is in progress can go on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum StreamError {
    /// A message is being sent in fragments: no other may begin before it is finished (RFC 6455
    /// §5.4).
    UnfinishedMessage,
    /// No message is being sent in fragments, so there is none to go on with.
    NoMessage,
    /// The message being sent in fragments is of the other type.
    MessageType,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnfinishedMessage => "a message is still being sent in fragments",
            Self::NoMessage => "no message is being sent in fragments",
            Self::MessageType => "the message being sent in fragments is of the other type",
        })
    }
}

impl std::error::Error for StreamError {}

impl Peers {
    /// Begins a message that is sent as fragments (RFC 6455 §5.4), over as many turns as it takes:
    /// for messages too large to hold, or not complete yet.
    ///
    /// [`write`](Self::write) sends a fragment, and [`finish`](Self::finish) or
    /// [`write_last`](Self::write_last) ends the message. Each says what became of it, in the same
    /// words as [`send`](Self::send):
    ///
    /// * [`Congested`](SendStatus::Congested): it is queued, but more than
    ///   [`high_water_mark`](super::Config::high_water_mark) is. Go on when
    ///   [`on_drain`](super::Handler::on_drain) is called for the peer. Even a peer that reads as
    ///   fast as it is written to is reported so once in a turn, so that the others have theirs.
    /// * [`Dropped`](SendStatus::Dropped): there is no such peer, it is closing, or its queue is
    ///   full. If the peer stays although the queue is full ([`Overflow::DropMessage`]), so does
    ///   the message: the same piece can be written again after `on_drain`.
    ///
    /// Meanwhile:
    ///
    /// * **Other messages to the peer wait**, whoever sends them and in whatever way, and follow in
    ///   order once the message is finished. They count as queued for
    ///   [`queued_bytes`](Self::queued_bytes) and for the limits, behind the fragments, so that a
    ///   message which is never finished ends in [`Config::overflow`](super::Config::overflow).
    ///   Fragments are judged without them, as they do not wait for them: in all, a queue may hold
    ///   as much as [`write_queue_limit`](super::Config::write_queue_limit) says of each.
    /// * **Pings, Pongs and Close pass** between fragments. To [`close`](Self::close) the peer cuts
    ///   the message short: Close follows the fragments that were written, the peer never sees the
    ///   message's end, and what waits behind it is discarded. The same is true if the peer closes,
    ///   or breaks the protocol.
    ///
    /// # Errors
    ///
    /// Fails with [`StreamError::UnfinishedMessage`] if a message to the peer is in progress, which
    /// is not affected.
    ///
    /// # Examples
    ///
    /// Files of any size, at 64 KiB a time and no faster than the peer reads them:
    ///
    /// ```
    /// use std::fs::File;
    /// use std::io::Read;
    /// use wsloop::{Close, CloseCode, Handler, Message, MessageType, Peer, PeerMap, SendStatus};
    ///
    /// struct Files {
    ///     sending: PeerMap<File>,
    ///     buffer: Box<[u8]>,
    /// }
    ///
    /// impl Files {
    ///     fn go_on(&mut self, peer: &mut Peer<'_>) -> Result<(), Box<dyn std::error::Error>> {
    ///         let Some(file) = self.sending.get_mut(peer.id()) else { return Ok(()) };
    ///         loop {
    ///             let n = file.read(&mut self.buffer)?;
    ///             if n == 0 {
    ///                 self.sending.remove(peer.id());
    ///                 peer.finish()?;
    ///                 return Ok(());
    ///             }
    ///             if peer.write(&self.buffer[..n])? != SendStatus::Queued {
    ///                 // `on_drain` or `on_close` follows.
    ///                 return Ok(());
    ///             }
    ///         }
    ///     }
    /// }
    ///
    /// impl Handler for Files {
    ///     fn on_message(&mut self, peer: &mut Peer<'_>, _: Message<'_>) {
    ///         let Ok(file) = File::open("large.bin") else {
    ///             return peer.close(CloseCode::INTERNAL_ERROR, "there is no file");
    ///         };
    ///         match peer.begin_message(MessageType::Binary) {
    ///             // One file at a time.
    ///             Ok(SendStatus::Dropped) | Err(_) => return,
    ///             Ok(_) => self.sending.insert(peer.id(), file),
    ///         };
    ///         self.on_drain(peer);
    ///     }
    ///
    ///     fn on_drain(&mut self, peer: &mut Peer<'_>) {
    ///         if self.go_on(peer).is_err() {
    ///             // The peer is not to take half a file for a whole one.
    ///             peer.close(CloseCode::INTERNAL_ERROR, "the file cannot be read");
    ///         }
    ///     }
    ///
    ///     fn on_close(&mut self, peer: &mut Peer<'_>, _: Close<'_>) {
    ///         self.sending.remove(peer.id());
    ///     }
    /// }
    /// # let _ = Files { sending: PeerMap::new(), buffer: vec![0; 64 << 10].into() };
    /// ```
    ///
    /// [`Overflow::DropMessage`]: super::Overflow::DropMessage
    pub fn begin_message(
        &mut self,
        id: PeerId,
        message_type: MessageType,
    ) -> Result<SendStatus, StreamError> {
        match self.in_progress(id) {
            Err(_) => {}
            Ok(None) => return Ok(SendStatus::Dropped),
            Ok(Some(_)) => return Err(StreamError::UnfinishedMessage),
        }
        Ok(self.enqueue(id, 0, |entry, _, _| {
            entry.particulars().outgoing = Some(Outgoing::new(message_type));
        }))
    }

    /// Sends a piece of the message that was [begun](Self::begin_message), as a fragment: whole or
    /// not at all.
    ///
    /// A piece of text is a `&str`: none ends inside a character.
    ///
    /// # Errors
    ///
    /// Fails if no message was begun, and on text for a binary message or bytes for one of text.
    /// Never because a peer is gone or closing: that is [`Dropped`](SendStatus::Dropped).
    pub fn write<'m>(
        &mut self,
        id: PeerId,
        piece: impl Into<Message<'m>>,
    ) -> Result<SendStatus, StreamError> {
        let piece = piece.into();
        let Some(outgoing) = self.in_progress(id)? else { return Ok(SendStatus::Dropped) };
        let header = Header { fin: false, ..outgoing.header(piece)? };
        Ok(self.enqueue(id, header.encoded_len() + piece.len(), |entry, buffers, masking_key| {
            let header = Header { masking_key, ..header };
            entry.queue.push_frame(header, piece.as_bytes(), buffers);
            if let Some(outgoing) = entry.outgoing() {
                outgoing.opcode = Opcode::Continuation;
            }
        }))
    }

    /// Sends the last piece of the message that was [begun](Self::begin_message), and with it what
    /// waited for that.
    ///
    /// If it is [`Dropped`](SendStatus::Dropped) and the peer stays, the message is not finished.
    ///
    /// # Errors
    ///
    /// Fails as [`write`](Self::write) does.
    pub fn write_last<'m>(
        &mut self,
        id: PeerId,
        piece: impl Into<Message<'m>>,
    ) -> Result<SendStatus, StreamError> {
        let piece = piece.into();
        let Some(outgoing) = self.in_progress(id)? else { return Ok(SendStatus::Dropped) };
        let header = outgoing.header(piece)?;
        let now = self.now;
        let frame_len = header.encoded_len() + piece.len();
        let status = self.enqueue(id, frame_len, |entry, buffers, masking_key| {
            let header = Header { masking_key, ..header };
            entry.queue.push_frame(header, piece.as_bytes(), buffers);
            entry.end_message(buffers, now);
        });
        Ok(self.count_sent(status))
    }

    /// Ends the message that was [begun](Self::begin_message), with an empty fragment, and sends
    /// what waited for that.
    ///
    /// A message to which nothing was written is sent as an empty one. However full the queue is,
    /// these two bytes have room: only a peer that is gone or closing is not sent them.
    ///
    /// # Errors
    ///
    /// Fails with [`StreamError::NoMessage`] if none was begun.
    pub fn finish(&mut self, id: PeerId) -> Result<SendStatus, StreamError> {
        let Some(outgoing) = self.in_progress(id)? else { return Ok(SendStatus::Dropped) };
        let opcode = outgoing.opcode;
        let Self { entries, buffers, config, to_do, now, .. } = self;
        let Some(entry) = find(entries, id) else { return Ok(SendStatus::Dropped) };
        let masking_key = entry.masking_key(buffers);
        entry.queue.push_frame(Header { masking_key, ..Header::new(opcode, 0) }, b"", buffers);
        entry.end_message(buffers, *now);
        let status = queued(entry, &config.limits, to_do, *now);
        Ok(self.count_sent(status))
    }

    /// The message that is being sent to a peer in fragments, or `None` if the peer can be sent
    /// nothing any more.
    fn in_progress(&mut self, id: PeerId) -> Result<Option<&mut Outgoing>, StreamError> {
        match self.entry_mut(id).filter(|entry| entry.is_open()) {
            Some(entry) => entry.outgoing().map(Some).ok_or(StreamError::NoMessage),
            None => Ok(None),
        }
    }

    /// Queues a message behind the one that is being sent in fragments.
    pub(super) fn enqueue_behind(
        &mut self,
        id: PeerId,
        frame_len: usize,
        push: impl FnOnce(&mut WriteQueue, &mut BufferPool, Option<[u8; 4]>),
    ) -> SendStatus {
        self.write_early(id, Entry::queued_bytes);
        let Self { entries, buffers, config, .. } = self;
        let Some(entry) = find(entries, id).filter(|entry| entry.is_open()) else {
            return SendStatus::Dropped;
        };
        let key = entry.masking_key(buffers);
        let frame_len = frame_len + key.map_or(0, |key| key.len());
        let (fragments, congested) = (entry.queue.len_but_pong(), entry.flags.congested);
        let Some(outgoing) = entry.outgoing() else { return SendStatus::Dropped };
        if config.limits.is_full(fragments + outgoing.waiting.len(), frame_len) {
            outgoing.congested = true;
            return self.refuse(id);
        }
        push(&mut outgoing.waiting, buffers, key);
        outgoing.congested |= fragments + outgoing.waiting.len() > config.limits.high_water_mark;
        if congested || outgoing.congested { SendStatus::Congested } else { SendStatus::Queued }
    }
}

impl Outgoing {
    fn new(message_type: MessageType) -> Self {
        let (opcode, waiting) = (message_type.opcode(), WriteQueue::default());
        Self { message_type, opcode, waiting, congested: false }
    }

    /// How many bytes wait for the message to be finished.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// The header that a piece is sent with, if it is the last.
    fn header(&self, piece: Message<'_>) -> Result<Header, StreamError> {
        if piece.message_type() != self.message_type {
            return Err(StreamError::MessageType);
        }
        Ok(Header::new(self.opcode, piece.len() as u64))
    }
}

impl Entry {
    /// Whether a message is being sent in fragments.
    pub(super) fn is_in_message(&self) -> bool {
        self.particulars.as_ref().is_some_and(|particulars| particulars.outgoing.is_some())
    }

    /// How many bytes are to be written, now or when the message in progress is finished.
    pub(super) fn queued_bytes(&self) -> usize {
        let outgoing = self.particulars.as_ref().and_then(|few| few.outgoing.as_ref());
        self.queue.len() + outgoing.map_or(0, Outgoing::waiting_bytes)
    }

    /// Forgets the message that is being sent in fragments, and what waits for its end.
    pub(super) fn cut_message(&mut self, buffers: &mut BufferPool) {
        if let Some(mut outgoing) = self.take_outgoing() {
            outgoing.waiting.clear(buffers);
        }
    }

    /// Queues what waited for the end of the message in progress.
    fn end_message(&mut self, buffers: &mut BufferPool, now: Instant) {
        let Some(mut outgoing) = self.take_outgoing() else { return };
        self.queue.append(&mut outgoing.waiting, buffers);
        if outgoing.congested {
            // Whoever was told so is owed the end of it.
            self.congest(now);
        }
    }

    fn outgoing(&mut self) -> Option<&mut Outgoing> {
        self.particulars.as_mut()?.outgoing.as_mut()
    }

    fn take_outgoing(&mut self) -> Option<Outgoing> {
        self.particulars.as_mut()?.outgoing.take()
    }
}

impl Peer<'_> {
    /// Begins a message that is sent as fragments: see [`Peers::begin_message`].
    ///
    /// # Errors
    ///
    /// Fails if one is in progress.
    pub fn begin_message(&mut self, message_type: MessageType) -> Result<SendStatus, StreamError> {
        let id = self.id();
        self.peers().begin_message(id, message_type)
    }

    /// Sends a piece of the message that was begun: see [`Peers::write`].
    ///
    /// # Errors
    ///
    /// Fails if no message was begun, and on a piece of the other type.
    pub fn write<'m>(&mut self, piece: impl Into<Message<'m>>) -> Result<SendStatus, StreamError> {
        let id = self.id();
        self.peers().write(id, piece)
    }

    /// Sends the last piece of the message that was begun: see [`Peers::write_last`].
    ///
    /// # Errors
    ///
    /// Fails if no message was begun, and on a piece of the other type.
    pub fn write_last<'m>(
        &mut self,
        piece: impl Into<Message<'m>>,
    ) -> Result<SendStatus, StreamError> {
        let id = self.id();
        self.peers().write_last(id, piece)
    }

    /// Ends the message that was begun: see [`Peers::finish`].
    ///
    /// # Errors
    ///
    /// Fails if no message was begun.
    pub fn finish(&mut self) -> Result<SendStatus, StreamError> {
        let id = self.id();
        self.peers().finish(id)
    }
}
