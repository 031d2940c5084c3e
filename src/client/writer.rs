//! The half of a client that sends.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::deadline::Deadline;
use super::error::{Closed, Error};
use super::outgoing::Outgoing;
#[cfg(feature = "deflate")]
use crate::protocol::Compress;
use crate::protocol::{CloseCode, Message, Piece};

/// The half of a [`Client`](super::Client) that sends.
///
/// Threads may share it, as in an `Arc`. What one sends is never mixed up with what another does: each
/// waits for its turn.
pub struct Writer {
    pub(super) outgoing: Arc<Outgoing>,
}

impl Writer {
    /// Sends a message. See [`Client::send`](super::Client::send).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn send<'a>(&self, message: impl Into<Message<'a>>) -> Result<(), Error> {
        self.outgoing.send(|sender| sender.send(message))
    }

    /// Sends a message, and says whether it is to be compressed, if the server has agreed to that.
    ///
    /// # Errors
    ///
    /// See [`Client::send`](super::Client::send).
    #[cfg(feature = "deflate")]
    pub fn send_with<'a>(
        &self,
        message: impl Into<Message<'a>>,
        compress: Compress,
    ) -> Result<(), Error> {
        self.outgoing.send(|sender| sender.send_with(message, compress))
    }

    /// Sends a piece of a message, as one frame. See [`Client::send_piece`](super::Client::send_piece).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn send_piece(&self, piece: Piece<'_>) -> Result<(), Error> {
        self.outgoing.send(|sender| sender.send_piece(piece))
    }

    /// Sends a Ping. See [`Client::ping`](super::Client::ping).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn ping(&self, payload: &[u8]) -> Result<(), Error> {
        self.outgoing.send(|sender| sender.ping(payload))
    }

    /// Writes what an earlier call could not. See [`Client::flush`](super::Client::flush).
    ///
    /// # Errors
    ///
    /// See there.
    pub fn flush(&self) -> Result<(), Error> {
        self.outgoing.flush()
    }

    /// Sends Close, and waits until the [`Reader`](super::Reader) has received the server's.
    ///
    /// So another thread has to be [receiving](super::Reader::receive) meanwhile, whose call returns
    /// `None`. If there is no answer for as long as the
    /// [close timeout](super::Connector::close_timeout), or nobody to receive it, the connection is
    /// ended.
    ///
    /// # Errors
    ///
    /// Fails with how the connection ended, if that was not by a closing handshake.
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<Closed, Error> {
        let deadline = Deadline::after(self.outgoing.close_timeout);
        self.outgoing.begin_close(code, reason).map_err(Error::Send)?;
        // If it cannot be written, there may still be the server's Close to read.
        _ = self.outgoing.flush_until(deadline);
        self.outgoing.await_end(deadline)
    }

    /// Sets how long a write waits for the server to take anything, or that it waits for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.outgoing.lock().write_timeout = timeout;
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("stream", &self.outgoing.stream).finish_non_exhaustive()
    }
}
