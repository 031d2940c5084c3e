//! The whole protocol after the opening handshake, for those who bring their own transport.

#[cfg(feature = "deflate")]
mod deflating;
mod output;
mod sender;

#[cfg(all(feature = "deflate", any(feature = "client", feature = "event-loop")))]
pub(crate) use self::deflating::DEFAULT_THRESHOLD;
pub use self::sender::Sender;
use super::{CloseCode, Decoder, Event, Message, Piece, Role, SendError, Violation};

/// An open WebSocket connection, without the transport underneath.
///
/// What the transport received is put into [`receive`](Self::receive), and what is in
/// [`output`](Self::output) afterwards goes to the transport. Pings are answered and the closing
/// handshake is completed on the way. Time is the caller's: how long to wait for the remote
/// endpoint, and when to send a Ping, is not known here.
///
/// # Examples
///
/// An echo server:
///
/// ```
/// use wsloop::protocol::{CloseCode, Connection, Event, Violation};
///
/// let mut server = Connection::server();
/// // The masked "Hello" of RFC 6455 §5.7, a Ping in the same read, and half of a Close.
/// let mut received = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\
///     \x89\x80\x37\xfa\x21\x3d\x88\x82\x37\xfa";
/// let mut input = &mut received[..];
///
/// while let Some((event, sender)) = server.exchange(&mut input)? {
///     if let Event::Message(message) = event {
///         let _ = sender.send(message);
///     }
/// }
/// assert_eq!(server.output(), b"\x81\x05Hello\x8A\x00");
/// server.consume_output(9);
///
/// let mut received = *b"\x21\x3d\x34\x12";
/// let close = server.receive(&mut &mut received[..])?;
/// assert!(matches!(close, Some(Event::Close(Some(body))) if body.code == CloseCode::NORMAL));
/// assert_eq!(server.output(), b"\x88\x02\x03\xE8");
/// assert!(server.is_closed());
/// # Ok::<(), Violation>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    decoder: Decoder,
    sender: Sender,
}

impl Connection {
    /// Makes the server's end of a connection.
    #[must_use]
    pub fn server() -> Self {
        Self { decoder: Decoder::new(Role::Server), sender: Sender::server() }
    }

    /// Makes the client's end of a connection, which takes a masking key for each frame it sends.
    ///
    /// RFC 6455 §10.3 wants keys that nobody can predict, "derived from a strong source of
    /// entropy": the operating system's, or a generator fit for cryptography that was seeded
    /// from it. With a fixed key, output is the same every time, which is good for tests only.
    #[must_use]
    pub fn client(keys: impl FnMut() -> [u8; 4] + Send + 'static) -> Self {
        Self { decoder: Decoder::new(Role::Client), sender: Sender::client(Box::new(keys)) }
    }

    /// Sets how long a received message may be, in bytes: 16 MiB by default.
    ///
    /// See [`Decoder::max_message_size`].
    #[must_use]
    pub fn max_message_size(self, bytes: u64) -> Self {
        Self { decoder: self.decoder.max_message_size(bytes), ..self }
    }

    /// Makes the connection hand out messages as they arrive, as [`Event::Piece`].
    ///
    /// See [`Decoder::in_pieces`].
    #[must_use]
    pub fn in_pieces(self) -> Self {
        Self { decoder: self.decoder.in_pieces(), ..self }
    }

    /// Takes bytes from the front of `input` until they complete an event.
    ///
    /// Returns `None` once `input` is used up; what it ended in the middle of is remembered. A
    /// Ping or a Close is answered before its event is returned, so take
    /// [`output`](Self::output) after every call and write it to the transport.
    ///
    /// Once this endpoint has sent a Close, messages are read but not returned: what remains to
    /// be waited for is [`Event::Close`], after which all input is discarded.
    ///
    /// # Errors
    ///
    /// Returns a [`Violation`] if the remote endpoint broke the protocol. The connection is then
    /// failed (RFC 6455 §7.1.7): a Close with its status code is in the output, unless one was sent
    /// before, and further input is discarded.
    pub fn receive<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Event<'e>>, Violation> {
        Ok(self.exchange(input)?.map(|(event, _)| event))
    }

    /// Does what [`receive`](Self::receive) does, and also lends what replies are sent with.
    ///
    /// The event borrows the connection for as long as it is looked at. The [`Sender`] does not
    /// come under that borrow, so that a message can be answered from its own data.
    ///
    /// # Errors
    ///
    /// See [`receive`](Self::receive).
    pub fn exchange<'e, 'i: 'e>(
        &'e mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<(Event<'e>, &'e mut Sender)>, Violation> {
        let Self { decoder, sender } = self;
        let ready = loop {
            match decoder.advance(input) {
                Ok(Some(ready)) if ready.is_data() && !sender.is_open() => {}
                Ok(Some(ready)) => break ready,
                Ok(None) => {
                    keep_little(decoder);
                    return Ok(None);
                }
                Err(violation) => {
                    sender.fail(violation.code());
                    return Err(violation);
                }
            }
        };
        match decoder.event(ready) {
            Ok(event) => {
                sender.answer(event);
                Ok(Some((event, sender)))
            }
            Err(violation) => {
                sender.fail(violation.code());
                Err(violation)
            }
        }
    }

    /// Takes the two directions apart, for those who receive and send on different threads.
    #[cfg(feature = "client")]
    pub(crate) fn into_halves(self) -> (Decoder, Sender) {
        (self.decoder, self.sender)
    }

    /// Puts them together again.
    #[cfg(feature = "client")]
    pub(crate) fn from_halves(decoder: Decoder, sender: Sender) -> Self {
        Self { decoder, sender }
    }

    /// Sends a message, as one frame.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Closing`] once a Close was sent or received, and with
    /// [`SendError::UnfinishedMessage`] while a message is being sent in pieces.
    pub fn send<'a>(&mut self, message: impl Into<Message<'a>>) -> Result<(), SendError> {
        self.sender.send(message)
    }

    /// Sends a piece of a message, as one frame (RFC 6455 §5.4).
    ///
    /// # Errors
    ///
    /// Fails, and sends nothing, if the piece does not continue what was sent before: see
    /// [`Encoder::piece`](super::Encoder::piece). Also fails with [`SendError::Closing`] once a
    /// Close was sent or received.
    pub fn send_piece(&mut self, piece: Piece<'_>) -> Result<(), SendError> {
        self.sender.send_piece(piece)
    }

    /// Sends a Ping with up to 125 bytes of payload, which the Pong repeats (RFC 6455 §5.5.2).
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::ControlFrameTooLong`], and with [`SendError::Closing`] once a
    /// Close was sent or received.
    pub fn ping(&mut self, payload: &[u8]) -> Result<(), SendError> {
        self.sender.ping(payload)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2) by sending a Close.
    ///
    /// A reason longer than 123 bytes is cut between two characters. Nothing can be sent
    /// afterwards, and [`Event::Close`] is to be waited for, though not for ever.
    ///
    /// # Errors
    ///
    /// Fails with [`SendError::Closing`] once a Close was sent or received, and with
    /// [`SendError::ClientCloseCode`] on a server that would send the status code 1010.
    pub fn close(&mut self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        self.sender.close(code, reason)
    }

    /// Returns the bytes that are to be written to the transport.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.sender.output()
    }

    /// Notes that the first `len` bytes of [`output`](Self::output) are written.
    ///
    /// # Panics
    ///
    /// Panics if there are fewer.
    pub fn consume_output(&mut self, len: usize) {
        self.sender.consume_output(len);
    }

    /// Returns whether messages can be sent: no Close was sent or received, and nothing failed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.sender.is_open()
    }

    /// Returns whether the closing handshake is complete, or the connection failed.
    ///
    /// What is left is to write the [`output`](Self::output) and to close the transport, which
    /// RFC 6455 §7.1.1 wants the server to do first: a server at once, a client when the server
    /// has, or when that takes too long. A transport that ends before this is true was not
    /// closed cleanly, which counts as the status code 1006 (§7.1.5).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The most that stays allocated, in bytes, between messages that do not arrive in one piece.
const KEPT_CAPACITY: usize = 64 * 1024;

/// Frees what a long message was assembled in, lest a connection holds it while it is idle.
pub(crate) fn keep_little(decoder: &mut Decoder) {
    if let Some(buffer) = decoder.reclaim_buffer()
        && buffer.capacity() <= KEPT_CAPACITY
    {
        decoder.lend_buffer(buffer);
    }
}

#[cfg(test)]
mod tests;
