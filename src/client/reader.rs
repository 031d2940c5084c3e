//! The half of a client that receives.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::deadline::Deadline;
use super::error::{Closed, Error};
use super::outgoing::Outgoing;
use super::stream::{Stream, is_timeout};
use crate::protocol::{Decoder, Event, Message, Ready, Violation, keep_little};

/// The half of a [`Client`](super::Client) that receives.
///
/// It also answers Pings, and the server's Close, without ever waiting for what the
/// [`Writer`](super::Writer) is writing.
pub struct Reader {
    pub(super) outgoing: Arc<Outgoing>,
    pub(super) decoder: Decoder,
    pub(super) input: Input,
    pub(super) read_timeout: Option<Duration>,
    /// When to go on with output that the server did not take.
    retry: Option<Deadline>,
    /// When to have closed, if that has been asked for.
    close_by: Deadline,
    end: Option<Result<Closed, Error>>,
}

/// What has been read.
pub(super) struct Input {
    pub(super) buffer: Box<[u8]>,
    /// Where in the buffer it is that has not been decoded.
    pub(super) rest: Range<usize>,
    /// The timeout that the socket has.
    pub(super) timeout: Option<Duration>,
}

/// How long a call goes on reading.
struct Wait {
    deadline: Deadline,
    /// Whether it has read: every call does once, however short its time.
    begun: bool,
}

/// What has arrived, and where it is.
enum Found {
    /// In the read buffer.
    Text(Range<usize>),
    Binary(Range<usize>),
    Ping(Range<usize>),
    Pong(Range<usize>),
    /// In the decoder: it did not arrive in one piece.
    Kept(Ready<'static>),
    /// The last there is.
    Close(Closed),
}

/// How long output that the server does not take waits before it is tried again: ten times as long as
/// the attempt takes.
const RETRY: Duration = Duration::from_millis(100);

/// How much is read after the end, at most, in the hope of seeing the server close first.
const MAX_DISCARDED: usize = 16 << 20;

impl Reader {
    pub(super) fn new(
        outgoing: Arc<Outgoing>,
        decoder: Decoder,
        input: Input,
        read_timeout: Option<Duration>,
    ) -> Self {
        Self {
            outgoing,
            decoder,
            input,
            read_timeout,
            retry: None,
            close_by: Deadline::NEVER,
            end: None,
        }
    }

    /// Waits for a message. See [`Client::receive`](super::Client::receive).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn receive(&mut self) -> Result<Option<Message<'_>>, Error> {
        let mut wait = self.wait();
        let found = loop {
            match self.advance(&mut wait)? {
                None => return Ok(None),
                Some(Found::Ping(_) | Found::Pong(_)) => {}
                Some(Found::Kept(ready)) if !ready.is_data() => {}
                Some(found) => break found,
            }
        };
        Ok(match self.lend(found)? {
            Event::Message(message) => Some(message),
            Event::Piece(_) | Event::Ping(_) | Event::Pong(_) | Event::Close(_) => None,
        })
    }

    /// Waits for a message, a Ping or a Pong. See
    /// [`Client::receive_event`](super::Client::receive_event).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn receive_event(&mut self) -> Result<Option<Event<'_>>, Error> {
        match self.advance(&mut self.wait())? {
            Some(found) => self.lend(found).map(Some),
            None => Ok(None),
        }
    }

    /// Returns how the server closed, once [`receive`](Self::receive) has returned `None`.
    #[must_use]
    pub fn closed(&self) -> Option<&Closed> {
        self.end.as_ref()?.as_ref().ok()
    }

    /// Sets how long a call waits for something to be complete, or that it waits for ever.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    fn wait(&self) -> Wait {
        let deadline = self.read_timeout.map_or(Deadline::NEVER, Deadline::after);
        Wait { deadline, begun: false }
    }

    /// Waits for the end, after our Close is queued.
    pub(super) fn await_end(&mut self, deadline: Deadline) -> Result<Closed, Error> {
        self.close_by = deadline;
        let mut wait = Wait { deadline, begun: false };
        loop {
            match (self.advance(&mut wait), &self.end) {
                (_, Some(end)) => return end.clone(),
                (Ok(_), None) => {}
                (Err(_), None) => return self.finish(Err(Error::CloseTimeout)),
            }
        }
    }

    /// Waits for something to arrive. Returns `None` once the connection is closed.
    fn advance(&mut self, wait: &mut Wait) -> Result<Option<Found>, Error> {
        if let Some(end) = &self.end {
            return end.as_ref().map(|_| None).map_err(|&error| error);
        }
        loop {
            let end = match self.decode() {
                Ok(Some(Found::Close(closed))) => Ok(closed),
                Ok(Some(found)) => {
                    // A Pong may be due, and who knows when the next call is.
                    self.flush_briefly();
                    return Ok(Some(found));
                }
                Ok(None) => match self.fill(wait) {
                    Ok(()) => continue,
                    Err(Error::Timeout) => return Err(Error::Timeout),
                    Err(error) => Err(error),
                },
                Err(violation) => {
                    self.outgoing.lock().sender.fail(violation.code());
                    Err(Error::Violation(violation))
                }
            };
            return self.finish(end).map(|_| None);
        }
    }

    /// Decodes what has been read, up to the next event, and answers that.
    fn decode(&mut self) -> Result<Option<Found>, Violation> {
        let Input { buffer, rest, .. } = &mut self.input;
        loop {
            let mut input = &mut buffer[rest.clone()];
            let ready = self.decoder.advance(&mut input)?;
            rest.start = rest.end - input.len();
            let Some(ready) = ready else {
                keep_little(&mut self.decoder);
                return Ok(None);
            };
            let event = match ready {
                Ready::Lent(event) => event,
                kept => self.decoder.event(kept)?,
            };
            let sender = &mut self.outgoing.lock().sender;
            // Whoever has said Close does not wait for messages any more.
            if ready.is_data() && !sender.is_open() {
                continue;
            }
            sender.answer(event);
            return Ok(Some(Found::new(ready, event, rest.start)));
        }
    }

    /// Reads, and waits until there is something.
    fn fill(&mut self, wait: &mut Wait) -> Result<(), Error> {
        // Here, and not only when a read has timed out: of a flood, something is always there.
        while !(wait.begun && wait.deadline.is_over()) {
            wait.begun = true;
            self.flush_briefly();
            let deadline = wait.deadline.or(self.retry.unwrap_or(Deadline::NEVER));
            match self.input.read(&self.outgoing.stream, deadline) {
                Ok(0) => return Err(Error::EndOfStream),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(Error::of_reading(&error)),
            }
        }
        Err(Error::Timeout)
    }

    /// Writes what is due, such as a Pong, unless the server has just taken none of it.
    fn flush_briefly(&mut self) {
        if self.retry.is_none_or(Deadline::is_over) {
            self.retry = self.outgoing.flush_briefly().then(|| Deadline::after(RETRY));
        }
    }

    /// Lends what has been found from where it is.
    fn lend(&mut self, found: Found) -> Result<Event<'_>, Error> {
        let buffer = &self.input.buffer;
        Ok(match found {
            // That it is text has been checked, but the borrow that said so could not be kept while
            // there was more to read. For what arrives in one piece that is cheap.
            Found::Text(range) => match str::from_utf8(&buffer[range]) {
                Ok(text) => Event::Message(Message::Text(text)),
                Err(_) => unreachable!("it was text when it was decoded"),
            },
            Found::Binary(range) => Event::Message(Message::Binary(&buffer[range])),
            Found::Ping(range) => Event::Ping(&buffer[range]),
            Found::Pong(range) => Event::Pong(&buffer[range]),
            Found::Kept(ready) => self.decoder.event(ready).map_err(Error::Violation)?,
            Found::Close(_) => unreachable!("the end is noted, not lent"),
        })
    }

    /// Notes the end, and then sees to it that the server hears what was sent last.
    fn finish(&mut self, end: Result<Closed, Error>) -> Result<Closed, Error> {
        let deadline = self.close_by.or(Deadline::after(self.outgoing.close_timeout));
        let end = self.outgoing.end(end);
        self.end = Some(end.clone());
        let in_order = match end {
            Ok(_) | Err(Error::Violation(_)) => true,
            Err(_) => false,
        };
        // RFC 6455 §7.1.1: the server closes first. And to close a socket with unread input would be
        // to send a reset, which may overtake our Close.
        if in_order && self.outgoing.flush_until(deadline).is_ok() {
            self.discard(deadline);
        }
        self.outgoing.stream.shut_down();
        end
    }

    /// Reads to the end of the stream.
    fn discard(&mut self, deadline: Deadline) {
        let mut discarded = 0;
        while discarded < MAX_DISCARDED && !deadline.is_over() {
            match self.input.read(&self.outgoing.stream, deadline) {
                Ok(0) => return,
                Ok(len) => discarded += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl Found {
    /// Notes where an event is; in the buffer, that is right before `end`.
    fn new(ready: Ready<'_>, event: Event<'_>, end: usize) -> Self {
        let before_end = |payload: &[u8]| end - payload.len()..end;
        match (ready, event) {
            (_, Event::Close(body)) => Self::Close(Closed {
                // §7.1.5: 1005 stands for a Close without a status code.
                code: body.map_or(1005, |body| body.code.into()),
                reason: body.map_or("", |body| body.reason).into(),
            }),
            (Ready::Assembled, _) => Self::Kept(Ready::Assembled),
            (Ready::Control(content), _) => Self::Kept(Ready::Control(content)),
            (Ready::Lent(_), Event::Message(Message::Text(text))) => {
                Self::Text(before_end(text.as_bytes()))
            }
            (Ready::Lent(_), Event::Message(Message::Binary(bytes))) => {
                Self::Binary(before_end(bytes))
            }
            (Ready::Lent(_), Event::Ping(payload)) => Self::Ping(before_end(payload)),
            (Ready::Lent(_), Event::Pong(payload)) => Self::Pong(before_end(payload)),
            #[cfg(feature = "deflate")]
            (Ready::Inflated { .. }, _) => unreachable!("messages are received whole"),
            (Ready::Lent(_), Event::Piece(_)) | (Ready::Character { .. }, _) => {
                unreachable!("messages are received whole")
            }
        }
    }
}

impl Input {
    /// What has not been decoded.
    pub(super) fn rest(&self) -> &[u8] {
        &self.buffer[self.rest.clone()]
    }

    /// Reads into the buffer, which has been decoded, and waits until there is something.
    pub(super) fn read(&mut self, stream: &Stream, deadline: Deadline) -> io::Result<usize> {
        let left = deadline.left();
        // To set it for each read is a system call. A little longer than it should be does no harm.
        let good_enough = match (self.timeout, left) {
            (Some(timeout), Some(left)) => timeout >= left && timeout - left <= left / 16,
            (timeout, left) => timeout == left,
        };
        if !good_enough {
            stream.set_read_timeout(left)?;
            self.timeout = left;
        }
        self.rest = 0..0;
        self.rest.end = stream.read(&mut self.buffer)?;
        Ok(self.rest.end)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("stream", &self.outgoing.stream).finish_non_exhaustive()
    }
}
