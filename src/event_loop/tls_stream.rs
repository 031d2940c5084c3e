//! TLS over a socket of the system's: [`rustls`] does the work, this moves its bytes.
//!
//! Bytes in are decrypted as they are read, and bytes out wait in rustls when the socket takes no
//! more. Reading never writes: what rustls has to say in return waits for the peer to be settled,
//! as everything does that a peer is sent.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConnection, Connection, ServerConfig, ServerConnection};

use super::transport::Socket;
use crate::tls::{TlsSession, check_protocol};

/// A TLS connection, in whichever state.
#[derive(Debug)]
pub(super) struct TlsStream {
    pub(super) socket: Socket,
    pub(super) remote_addr: Option<SocketAddr>,
    session: Connection,
    state: State,
    /// The first byte that was received.
    first: Option<u8>,
    /// Whether the socket may have more to read, as far as can be known without asking.
    unread: bool,
    /// An event has told of an end, or of an error, behind what is read next. No other will: the
    /// socket is to be asked until it says that there is nothing.
    pub(super) hung_up: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Nothing was received yet.
    New,
    /// It is agreed on how to speak TLS.
    Handshaking,
    /// TLS is spoken.
    Alive,
    /// Our side ends with what is left to be sent.
    Ending,
    /// Our side is ended.
    Ended,
    /// This is not, or no longer, TLS. What arrives is of no interest.
    Failed,
    /// It is an HTTP request instead: whoever sent it is answered in plain text.
    Plain,
}

/// How often one call reads from the socket. Each read brings 4 KiB at most, so that these bring a
/// whole record, however long: a call that has something to read returns something, unless it is
/// spent on what is for TLS alone. Of that, a read may bring ever more, at up to 3 µs for 27 bytes.
const MAX_READS: usize = 5;

/// How much may wait, encrypted, for the socket to take it: more than one write does take. What is
/// behind that waits in the write queue, as it is, and may be dropped from there.
const MAX_UNSENT: usize = 64 << 10;

impl TlsStream {
    /// Makes the server's side of a connection that was accepted.
    pub(super) fn server(
        socket: Socket,
        remote_addr: SocketAddr,
        config: Arc<ServerConfig>,
    ) -> io::Result<Box<Self>> {
        let session = ServerConnection::new(config).map_err(invalid_data)?;
        Ok(Self::new(socket, Some(remote_addr), Connection::Server(session)))
    }

    /// Makes the client's side of a connection that was made.
    pub(super) fn client(
        socket: Socket,
        remote_addr: Option<SocketAddr>,
        session: ClientConnection,
    ) -> Box<Self> {
        Self::new(socket, remote_addr, Connection::Client(session))
    }

    fn new(socket: Socket, remote_addr: Option<SocketAddr>, mut session: Connection) -> Box<Self> {
        session.set_buffer_limit(Some(MAX_UNSENT));
        Box::new(Self {
            socket,
            remote_addr,
            session,
            state: State::New,
            first: None,
            unread: true,
            hung_up: false,
        })
    }

    /// Whether the next read may take long, as cryptography with keys that are not agreed on yet
    /// does.
    pub(super) fn is_handshaking(&self) -> bool {
        self.session.is_handshaking() && !self.is_broken()
    }

    /// Whether the other side has begun a handshake, which is not done.
    pub(super) fn has_begun(&self) -> bool {
        self.state == State::Handshaking
    }

    /// Whether there may be more to read, of which no event will tell.
    pub(super) fn has_more(&self) -> bool {
        self.unread
    }

    /// Whether there is something to write, even if nothing is queued.
    pub(super) fn has_unsent(&self) -> bool {
        self.session.wants_write() && !self.is_broken()
    }

    /// Whether something else than TLS was received.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.state, State::Failed | State::Plain)
    }

    /// Whether what failed as TLS is an HTTP request, which can be answered.
    pub(super) fn is_plain(&self) -> bool {
        self.state == State::Plain
    }

    /// What is known of the client.
    pub(super) fn session(&self) -> Option<TlsSession> {
        match &self.session {
            Connection::Server(session) => Some(TlsSession::of(session)),
            Connection::Client(_) => None,
        }
    }

    /// Reads what was sent. `Ok(0)` is its end, as the other side has said itself: without that,
    /// the end of the stream is an error, as it may be anybody's doing (RFC 8446 §6.1).
    ///
    /// # Errors
    ///
    /// Besides what sockets say, `UnexpectedEof` at the end of a stream that was cut, and
    /// `InvalidData`, with what rustls says, if this is not TLS.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_broken() {
            self.unread = false;
            return self.socket.read(buffer);
        }
        // One step of a handshake may take as long as a thousand messages.
        let reads = if self.session.is_handshaking() { 1 } else { MAX_READS };
        for _ in 0..reads {
            match self.session.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(n) => {
                    self.unread |= n == buffer.len();
                    return Ok(n);
                }
                Err(error) => return Err(error),
            }
            self.read_socket()?;
            if !self.unread {
                break;
            }
        }
        let result = self.session.reader().read(buffer);
        self.unread |= result.as_ref().is_ok_and(|&n| n == buffer.len());
        result
    }

    /// Reads from the socket once, and decrypts what that completes.
    fn read_socket(&mut self) -> io::Result<()> {
        self.unread = false;
        let Self { socket, first, .. } = self;
        let mut incoming = Incoming { socket, first, filled: false };
        self.session.read_tls(&mut incoming)?;
        self.unread = incoming.filled || self.hung_up;
        self.process()?;
        self.give_back_room();
        Ok(())
    }

    /// Decrypts what is complete of what was received, and answers what is TLS's own affair.
    fn process(&mut self) -> io::Result<()> {
        let processed = self.session.process_new_packets().and_then(|state| {
            // That it has ended is to be read as well, behind what it has said.
            self.unread |= state.peer_has_closed();
            self.advance()
        });
        let Err(error) = processed else { return Ok(()) };
        // RFC 8446 §5.1: the first byte of a record is between 20 and 24.
        if self.first.is_some_and(|byte| byte.is_ascii_uppercase()) {
            self.state = State::Plain;
        } else {
            // An alert, which says why. If there is no room for it, it is not worth waiting.
            let _ = self.send();
            self.state = State::Failed;
        }
        // What is behind that, no event will tell of.
        self.unread = true;
        Err(invalid_data(error))
    }

    /// Notes how far the handshake has come.
    fn advance(&mut self) -> Result<(), rustls::Error> {
        match (self.state, self.session.is_handshaking()) {
            (State::New, true) => self.state = State::Handshaking,
            (State::New | State::Handshaking, false) => {
                self.state = State::Alive;
                if let Connection::Client(session) = &self.session {
                    return check_protocol(session);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Has rustls give back what it has taken to read a long record, when it is about to read again,
    /// which may be in a year.
    fn give_back_room(&mut self) {
        if !self.unread && !self.session.is_handshaking() {
            let _ = self.session.read_tls(&mut Nothing);
        }
    }

    /// Sends what waits in rustls, and then the end of our side if that is due. Returns how much
    /// the socket has not taken.
    pub(super) fn send_rest(&mut self) -> io::Result<usize> {
        if self.is_broken() || self.send()? {
            if self.state == State::Ending {
                self.state = State::Ended;
                self.socket.shutdown_write()?;
            }
            return Ok(0);
        }
        let state = self.session.process_new_packets().map_err(invalid_data)?;
        Ok(state.tls_bytes_to_write())
    }

    /// Says that nothing more will be written (`close_notify`), behind all that was, and ends our
    /// side of the stream behind that.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        match self.state {
            State::New | State::Handshaking | State::Alive => {
                self.session.send_close_notify();
                self.state = State::Ending;
                self.send_rest().map(drop)
            }
            State::Ending | State::Ended => Ok(()),
            State::Failed | State::Plain => self.socket.shutdown_write(),
        }
    }

    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.state == State::Plain {
            return self.socket.write_vectored(slices);
        }
        if !self.send()? || self.session.is_handshaking() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.session.writer().write_vectored(slices)?;
        // What the socket does not take now is left for `send_rest`.
        self.send()?;
        Ok(taken)
    }

    /// Sends what waits in rustls. Returns whether that is all gone.
    fn send(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Reads from a socket, and notes what there was.
struct Incoming<'a> {
    socket: &'a mut Socket,
    first: &'a mut Option<u8>,
    /// Whether there may be more: see [`SHORT_READ_IS_LAST`](super::intake::SHORT_READ_IS_LAST).
    filled: bool,
}

impl Read for Incoming<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.socket.read(buffer)?;
        *self.first = self.first.or(buffer[..n].first().copied());
        self.filled = n == buffer.len() || n == 0 || !super::intake::SHORT_READ_IS_LAST;
        Ok(n)
    }
}

/// Has nothing to be read.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

fn invalid_data(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
