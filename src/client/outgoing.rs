//! What is sent, by whichever half of a client, and how the connection ends.
//!
//! One mutex guards what is to be sent, and is held only to encode it: never while the socket is
//! waited for. The right to write to the socket is a value, the pen, which whoever writes has taken
//! out. It is put back in the same critical section in which nothing more was found to write. So
//! frames are written whole and in order, and the reading half can leave a Pong behind what another
//! thread is busy writing, and go on reading.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::deadline::{Deadline, MOMENT};
use super::error::{Closed, Error};
use super::stream::{Stream, is_timeout};
use crate::protocol::{CloseCode, SendError, Sender};

pub(super) struct Outgoing {
    pub(super) stream: Stream,
    pub(super) close_timeout: Duration,
    state: Mutex<State>,
    /// The pen is back, or the connection has ended.
    changed: Condvar,
}

pub(super) struct State {
    pub(super) sender: Sender,
    pub(super) write_timeout: Option<Duration>,
    pen: Option<Pen>,
    /// Why nothing can be written any more. There may still be something to read.
    broken: Option<io::ErrorKind>,
    end: Option<Result<Closed, Error>>,
    /// How many threads wait for a change.
    waiting: usize,
}

/// What the socket is written with.
#[derive(Default)]
struct Pen {
    /// A copy of the front of the output, so that more can be appended to it meanwhile.
    bytes: Vec<u8>,
    /// The timeout that the socket has.
    timeout: Option<Duration>,
}

/// How long to wait for the server to take something.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// For each write, of which each that returns has got somewhere.
    PerWrite(Option<Duration>),
    Until(Deadline),
}

/// The most that is written at once: as much as a socket commonly takes.
const WRITE_LEN: usize = 64 * 1024;

/// How long the reading half waits for room for a Pong, rather than read what the server may be stuck
/// with.
const BRIEFLY: Duration = Duration::from_millis(10);

impl Outgoing {
    pub(super) fn new(
        stream: Stream,
        sender: Sender,
        write_timeout: Option<Duration>,
        close_timeout: Duration,
    ) -> Self {
        let pen = Some(Pen::default());
        let state = State { sender, write_timeout, pen, broken: None, end: None, waiting: 0 };
        Self { stream, close_timeout, state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(super) fn into_inner(self) -> (Stream, Sender) {
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.stream, state.sender)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked did so in a source of keys or an allocator, and left everything as it was.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes something, once all before it is written, and writes it.
    pub(super) fn send(
        &self,
        encode: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(Err(error)) = state.end {
            return Err(error);
        }
        let patience = Patience::PerWrite(state.write_timeout);
        // What is queued behind something that nobody takes would only be more memory.
        state = self.write(state, patience).map_err(|error| match error {
            Error::Timeout => Error::Unsent,
            error => error,
        })?;
        encode(&mut state.sender).map_err(Error::Send)?;
        self.write(state, patience).map(drop)
    }

    /// Writes what there is.
    pub(super) fn flush(&self) -> Result<(), Error> {
        let state = self.lock();
        let patience = Patience::PerWrite(state.write_timeout);
        self.write(state, patience).map(drop)
    }

    /// Writes what there is until then, or leaves it to whoever is writing already.
    pub(super) fn flush_until(&self, deadline: Deadline) -> Result<(), Error> {
        self.write(self.lock(), Patience::Until(deadline)).map(drop)
    }

    /// Writes what the socket takes without much ado, unless somebody is writing already.
    ///
    /// However much there is and however steadily it is taken, this does not keep the reading half
    /// from its own deadline. Returns whether anything is left that nobody is writing.
    pub(super) fn flush_briefly(&self) -> bool {
        let left = |state: &State| {
            state.pen.is_some() && state.broken.is_none() && !state.sender.output().is_empty()
        };
        let state = self.lock();
        if !left(&state) {
            return false;
        }
        match self.write(state, Patience::Until(Deadline::after(BRIEFLY))) {
            Ok(_) => false,
            // Why nothing can be written is for those to hear who send.
            Err(_) => left(&self.lock()),
        }
    }

    /// Queues a Close, unless there has been one.
    pub(super) fn begin_close(&self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        match self.lock().sender.close(code, reason) {
            Ok(()) | Err(SendError::Closing) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Notes how the connection has ended, unless it has before, and returns how.
    pub(super) fn end(&self, end: Result<Closed, Error>) -> Result<Closed, Error> {
        let mut state = self.lock();
        let end = state.end.get_or_insert(end).clone();
        self.changed.notify_all();
        end
    }

    /// Waits until the connection has ended, and ends it if that takes too long.
    pub(super) fn await_end(&self, deadline: Deadline) -> Result<Closed, Error> {
        let mut state = self.lock();
        loop {
            if let Some(end) = &state.end {
                return end.clone();
            }
            if deadline.is_over() {
                break;
            }
            state = self.wait(state, deadline.left());
        }
        drop(state);
        let end = self.end(Err(Error::CloseTimeout));
        self.stream.shut_down();
        end
    }

    /// Writes all output, once it is this thread's turn.
    fn write<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        patience: Patience,
    ) -> Result<MutexGuard<'a, State>, Error> {
        let mut pen = loop {
            if let Some(kind) = state.broken {
                return Err(Error::Lost(kind));
            }
            if let Some(pen) = state.pen.take() {
                break pen;
            }
            let left = match patience {
                // Whoever has the pen gets somewhere, or gives up.
                Patience::PerWrite(_) => None,
                Patience::Until(deadline) if deadline.is_over() => return Err(Error::Timeout),
                Patience::Until(deadline) => deadline.left(),
            };
            state = self.wait(state, left);
        };
        let result = loop {
            if !pen.copy(state.sender.output()) {
                break Ok(());
            }
            drop(state);
            let result = pen.write(&self.stream, patience);
            state = self.lock();
            match result {
                Ok(len) => state.sender.consume_output(len),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => break Err(Error::Timeout),
                Err(error) => {
                    state.broken = Some(error.kind());
                    break Err(Error::Lost(error.kind()));
                }
            }
            // Only now: every call tries once, however short its time.
            if patience.is_over() && !state.sender.output().is_empty() {
                break Err(Error::Timeout);
            }
        };
        state.pen = Some(pen);
        if state.waiting > 0 {
            self.changed.notify_all();
        }
        result.map(|()| state)
    }

    /// Waits for a change, though not for longer than `left`.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, State> {
        state.waiting += 1;
        let mut state = match left {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(left) => {
                let waited = self.changed.wait_timeout(state, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.waiting -= 1;
        state
    }
}

impl Patience {
    fn is_over(self) -> bool {
        match self {
            Self::PerWrite(_) => false,
            Self::Until(deadline) => deadline.is_over(),
        }
    }
}

impl Pen {
    /// Copies the front of the output. Returns whether there is any.
    fn copy(&mut self, output: &[u8]) -> bool {
        self.bytes.clear();
        self.bytes.extend_from_slice(&output[..output.len().min(WRITE_LEN)]);
        !self.bytes.is_empty()
    }

    fn write(&mut self, stream: &Stream, patience: Patience) -> io::Result<usize> {
        let timeout = match patience {
            Patience::PerWrite(timeout) => timeout.map(|timeout| timeout.max(MOMENT)),
            Patience::Until(deadline) => deadline.left(),
        };
        if timeout != self.timeout {
            stream.set_write_timeout(timeout)?;
            self.timeout = timeout;
        }
        match stream.write(&self.bytes)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            len => Ok(len),
        }
    }
}
