//! Bytes to events: RFC 6455 §5 and §6.2 from the receiver's side.
//!
//! Here is what becomes of payload: where it is lent from, or put together. Headers are judged in
//! `header`, before any of it.

mod buffer;
mod header;
#[cfg(feature = "deflate")]
mod inflating;

use core::mem;

use self::{
    buffer::Buffer,
    header::{Content, CutHeader, Frame},
};
#[cfg(feature = "deflate")]
use super::Decompressor;
use super::{
    CloseBody, Message, Piece, Role, Violation,
    utf8::{self, Valid, Validator},
};

/// What the remote endpoint sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event<'a> {
    /// A whole message.
    Message(Message<'a>),
    /// Part of a message, which only a decoder made with [`Decoder::in_pieces`] reports.
    Piece(Piece<'a>),
    /// A Ping. RFC 6455 §5.5.2 wants a Pong with the same payload.
    Ping(&'a [u8]),
    /// A Pong, asked for or not.
    Pong(&'a [u8]),
    /// A Close, the last event there is. Without a body it counts as status code 1005 (§7.1.5).
    Close(Option<CloseBody<'a>>),
}

/// Turns received bytes into events.
///
/// A frame that is whole in the input is unmasked where it is and lent: that costs no copy and no
/// allocation. Only what is cut, frames and fragmented messages, is put together in a buffer of
/// the decoder's own. That grows with what arrived, never with what a header announces.
///
/// Text is checked as it arrives, so that a byte which cannot be valid fails at once and text in
/// an event is a `&str`.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::{Decoder, Event, Message, Role};
///
/// let mut decoder = Decoder::new(Role::Server).max_message_size(64 * 1024);
/// // The masked "Hello" of RFC 6455 §5.7, and the first half of the same again.
/// let mut received = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x81\x85\x37\xfa\x21";
/// let mut input = &mut received[..];
///
/// let hello = Event::Message(Message::Text("Hello"));
/// assert_eq!(decoder.next(&mut input), Ok(Some(hello)));
/// // The other frame is used up too, but is not an event yet.
/// assert_eq!(decoder.next(&mut input), Ok(None));
/// assert!(input.is_empty() && !decoder.is_between_messages());
///
/// let mut received = *b"\x3d\x7f\x9f\x4d\x51\x58";
/// assert_eq!(decoder.next(&mut &mut received[..]), Ok(Some(hello)));
/// ```
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    in_pieces: bool,
    /// The RSV bits to which negotiated extensions give a meaning.
    allowed_rsv: u8,
    max_message_size: u64,
    state: State,
    /// The message in progress, between its first frame's header and its last frame's end.
    message: Option<InProgress>,
    buffer: Buffer,
    utf8: Validator,
    /// Where a character is lent from that was cut, in pieces.
    character: [u8; 4],
    /// The payload of a cut control frame, kept apart since it may be amid a message.
    control: Vec<u8>,
    /// How far back compressed messages may refer to those before them, as a base-2 logarithm, if
    /// they may.
    #[cfg(feature = "deflate")]
    context: Option<u8>,
    #[cfg(feature = "deflate")]
    decompressor: Option<Box<Decompressor>>,
    /// What they may refer to, while there is no decompressor that knows it.
    #[cfg(feature = "deflate")]
    remembered: Option<Box<inflating::Window>>,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug)]
enum State {
    /// A header.
    Header(CutHeader),
    /// A frame's payload.
    Payload(Frame),
    /// Nothing: a Close has come, or the protocol was broken. All that follows is discarded.
    Ended,
}

/// A message of which at least one header has arrived.
#[derive(Clone, Copy, Debug)]
struct InProgress {
    content: Content,
    /// The payload lengths of its frames so far, the present one included.
    size: u64,
    /// Whether a piece of it has been handed out.
    begun: bool,
    compressed: bool,
}

/// An event that is complete, and where its data is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ready<'i> {
    /// In the input.
    Lent(Event<'i>),
    /// A message, in the buffer.
    Assembled,
    /// A piece, which was inflated into the buffer.
    #[cfg(feature = "deflate")]
    Inflated { first: bool, last: bool },
    /// A piece that is a character of which an earlier part of the input had the beginning.
    Character { character: char, first: bool, last: bool },
    /// A control frame, kept apart.
    Control(Content),
}

impl Decoder {
    /// The default of [`max_message_size`](Self::max_message_size).
    ///
    /// Generous for what people send as one message, and still little enough that a thousand
    /// connections at their limit fit into a machine's memory.
    pub const DEFAULT_MAX_MESSAGE_SIZE: u64 = 16 * 1024 * 1024;

    /// Makes a decoder for the endpoint that has `role`, which receives what the other one sends.
    #[must_use]
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            in_pieces: false,
            allowed_rsv: 0,
            max_message_size: Self::DEFAULT_MAX_MESSAGE_SIZE,
            state: State::Header(CutHeader::NONE),
            message: None,
            buffer: Buffer::Binary(Vec::new()),
            utf8: Validator::new(),
            character: [0; 4],
            control: Vec::new(),
            #[cfg(feature = "deflate")]
            context: None,
            #[cfg(feature = "deflate")]
            decompressor: None,
            #[cfg(feature = "deflate")]
            remembered: None,
        }
    }

    /// Sets how long a message may be, in bytes: 16 MiB by default.
    ///
    /// A message of just this size is accepted. The frame that takes a message over it fails from
    /// its header alone, with [`Violation::MessageTooBig`]. A compressed message is measured
    /// inflated, and fails at the first byte too many, of which no more is inflated.
    #[must_use]
    pub const fn max_message_size(mut self, bytes: u64) -> Self {
        self.max_message_size = bytes;
        self
    }

    /// Makes the decoder hand out data as it arrives, as [`Event::Piece`], and assemble nothing.
    ///
    /// Pieces are as long as the input happens to hold, and never end inside a character. The
    /// limit for messages still applies to their sum.
    #[must_use]
    pub const fn in_pieces(mut self) -> Self {
        self.in_pieces = true;
        self
    }

    /// Takes bytes from the front of `input` until they complete an event.
    ///
    /// Returns `None` once `input` is used up; what it ended in the middle of is remembered.
    /// Frames are unmasked where they are, so what is used up must not be shown again.
    ///
    /// After [`Event::Close`] all further input is discarded (RFC 6455 §5.5.1).
    ///
    /// # Errors
    ///
    /// Returns a [`Violation`] if the remote endpoint broke the protocol, as soon as that can be
    /// told; events before it have been returned before. All further input is discarded (§7.1.7).
    pub fn next<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Event<'e>>, Violation> {
        match self.advance(input)? {
            Some(ready) => self.event(ready).map(Some),
            None => Ok(None),
        }
    }

    /// Returns whether nothing of a frame or of a fragmented message is pending.
    ///
    /// The last event's data is not pending, nor is anything after a Close or a violation.
    #[must_use]
    pub const fn is_between_messages(&self) -> bool {
        match self.state {
            State::Header(cut) => cut.len == 0 && self.message.is_none(),
            State::Payload(_) => false,
            State::Ended => true,
        }
    }

    /// Returns whether the header of a data frame has arrived whose message is not complete.
    #[must_use]
    pub const fn is_in_message(&self) -> bool {
        self.message.is_some()
    }

    /// Offers an allocation to assemble messages in, so that a pool can serve many decoders.
    ///
    /// What is in it is forgotten. It is dropped if the decoder has one already.
    pub fn lend_buffer(&mut self, spare: Vec<u8>) {
        self.buffer.lend(spare);
    }

    /// Gives back the allocation that messages were assembled in, cleared.
    ///
    /// Returns `None` while a message is in progress, and if there is none to give. Until
    /// reclaimed it is kept for the next message.
    pub fn reclaim_buffer(&mut self) -> Option<Vec<u8>> {
        let idle = self.message.is_none() && self.buffer.capacity() > 0;
        idle.then(|| self.buffer.take())
    }

    /// Does all that [`next`](Self::next) does, short of lending the data.
    pub(crate) fn advance<'i>(
        &mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Ready<'i>>, Violation> {
        let ready = self.receive(input);
        if ready.is_err() {
            self.end();
        }
        ready
    }

    fn receive<'i>(&mut self, input: &mut &'i mut [u8]) -> Result<Option<Ready<'i>>, Violation> {
        loop {
            let ready = match self.state {
                State::Header(cut) => match self.receive_header(cut, input)? {
                    Some(frame) => self.begin(frame, input)?,
                    None => return Ok(None),
                },
                State::Payload(frame) if frame.remaining > 0 && input.is_empty() => {
                    return Ok(None);
                }
                State::Payload(frame) => self.receive_payload(frame, input)?,
                State::Ended => {
                    *input = &mut [];
                    return Ok(None);
                }
            };
            if ready.is_some() {
                return Ok(ready);
            }
        }
    }

    /// Lends the data of an event from where it is.
    pub(crate) fn event<'e, 'i: 'e>(
        &'e mut self,
        ready: Ready<'i>,
    ) -> Result<Event<'e>, Violation> {
        Ok(match ready {
            Ready::Lent(event) => event,
            Ready::Assembled => Event::Message(self.buffer.message()),
            #[cfg(feature = "deflate")]
            Ready::Inflated { first, last } => {
                Event::Piece(Piece { message: self.buffer.message(), first, last })
            }
            Ready::Character { character, first, last } => {
                let message = Message::Text(character.encode_utf8(&mut self.character));
                Event::Piece(Piece { message, first, last })
            }
            Ready::Control(content) => Event::whole(content, &self.control)?,
        })
    }

    /// Discards what is pending, and all that is to come.
    fn end(&mut self) {
        self.state = State::Ended;
        self.message = None;
    }

    /// Notes that all of a frame has arrived.
    fn end_frame(&mut self, content: Content) {
        match content {
            Content::Close => self.end(),
            Content::Text | Content::Binary | Content::Ping | Content::Pong => {
                self.state = State::Header(CutHeader::NONE);
            }
        }
    }

    /// Takes a header from the front of `input`, or what is there of one.
    fn receive_header(
        &mut self,
        mut cut: CutHeader,
        input: &mut &mut [u8],
    ) -> Result<Option<Frame>, Violation> {
        let earlier = usize::from(cut.len);
        let header = if earlier == 0 { &**input } else { cut.extend(input) };
        // A header that comes alone is kept as a cut one is, and read again: the payload may yet
        // come whole, to be lent.
        if let Some((header_len, frame)) = self.read_header(header)?
            && (frame.remaining == 0 || input.len() > header_len - earlier)
        {
            take(input, header_len - earlier);
            return Ok(Some(frame));
        }
        if earlier == 0 {
            cut.extend(input);
        }
        *input = &mut [];
        self.state = State::Header(cut);
        Ok(None)
    }

    /// Begins with a frame: lends it at once if it is whole and stands for itself.
    fn begin<'i>(
        &mut self,
        mut frame: Frame,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Ready<'i>>, Violation> {
        let Frame { content, fin, compressed, remaining, .. } = frame;
        let whole = fin && self.message.is_none() && !self.in_pieces && !compressed;
        let alone = content.is_control() || whole;
        if alone && remaining <= input.len() as u64 {
            self.end_frame(content);
            let payload = frame.receive(input, usize::MAX);
            return Event::whole(content, payload).map(Ready::Lent).map(Some);
        }

        if content.is_control() {
            self.control.clear();
        } else {
            if self.message.is_none() {
                self.buffer.begin(content == Content::Text);
                #[cfg(feature = "deflate")]
                if compressed {
                    self.begin_inflating();
                }
            }
            let new = InProgress { content, size: 0, begun: false, compressed };
            self.message.get_or_insert(new).size += remaining;
        }
        self.state = State::Payload(frame);
        Ok(None)
    }

    /// Takes what there is of a frame's payload.
    fn receive_payload<'i>(
        &mut self,
        mut frame: Frame,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Ready<'i>>, Violation> {
        #[cfg(feature = "deflate")]
        if frame.compressed {
            return self.receive_compressed(frame, input);
        }
        // In pieces, a character that was cut is one by itself, and is completed first.
        let most = match self.utf8.missing() {
            missing @ 1.. if self.in_pieces && frame.content == Content::Text => missing,
            _ => usize::MAX,
        };
        let payload = &*frame.receive(input, most);
        let done = frame.remaining == 0;
        if done {
            self.end_frame(frame.content);
        } else {
            self.state = State::Payload(frame);
        }
        if frame.content.is_control() {
            self.control.extend_from_slice(payload);
            return Ok(done.then_some(Ready::Control(frame.content)));
        }
        let last = frame.fin && done;
        if self.in_pieces {
            return self.piece(frame.content, payload, last);
        }
        let total = self.message.filter(|_| frame.fin).map(|message| message.size);
        self.buffer.append(payload, &mut self.utf8, total)?;
        if last {
            self.utf8.finish()?;
            self.message = None;
        }
        Ok(last.then_some(Ready::Assembled))
    }

    /// Makes a piece of what has arrived of a message, unless that is nothing.
    fn piece<'i>(
        &mut self,
        content: Content,
        mut payload: &'i [u8],
        last: bool,
    ) -> Result<Option<Ready<'i>>, Violation> {
        let (message, character) = match content {
            Content::Text => match self.utf8.next(&mut payload)? {
                Valid::Str(text) => (Message::Text(text), None),
                Valid::Char(character) => (Message::Text(""), Some(character)),
            },
            Content::Binary | Content::Close | Content::Ping | Content::Pong => {
                (Message::Binary(payload), None)
            }
        };
        if message.is_empty() && character.is_none() && !last {
            return Ok(None);
        }

        let first =
            self.message.as_mut().is_none_or(|message| !mem::replace(&mut message.begun, true));
        if last {
            self.utf8.finish()?;
            self.message = None;
        }
        Ok(Some(match character {
            Some(character) => Ready::Character { character, first, last },
            None => Ready::Lent(Event::Piece(Piece { message, first, last })),
        }))
    }
}

impl Ready<'_> {
    /// Returns whether the event is a message or a piece of one.
    pub(crate) const fn is_data(&self) -> bool {
        match self {
            Self::Lent(Event::Message(_) | Event::Piece(_))
            | Self::Assembled
            | Self::Character { .. } => true,
            #[cfg(feature = "deflate")]
            Self::Inflated { .. } => true,
            Self::Lent(Event::Ping(_) | Event::Pong(_) | Event::Close(_)) | Self::Control(_) => {
                false
            }
        }
    }
}

impl<'a> Event<'a> {
    /// Makes an event of all the data it has.
    fn whole(content: Content, data: &'a [u8]) -> Result<Self, Violation> {
        Ok(match content {
            Content::Text => Self::Message(Message::Text(utf8::validate(data)?)),
            Content::Binary => Self::Message(Message::Binary(data)),
            Content::Close => Self::Close(CloseBody::parse(data)?),
            Content::Ping => Self::Ping(data),
            Content::Pong => Self::Pong(data),
        })
    }
}

/// Takes at most `most` bytes from the front of `input`.
fn take<'i>(input: &mut &'i mut [u8], most: usize) -> &'i mut [u8] {
    let most = input.len().min(most);
    let (front, rest) = mem::take(input).split_at_mut(most);
    *input = rest;
    front
}

#[cfg(test)]
mod tests;
