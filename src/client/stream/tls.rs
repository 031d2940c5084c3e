//! TLS on a socket that one thread reads and another writes.
//!
//! rustls wants its connection to itself for either direction, so a mutex guards it. The mutex is
//! held to open what has been read and to seal what is to be written, and never while the socket is
//! waited for: neither direction holds up the other.
//!
//! Records are numbered, and must reach the socket in the order in which they were sealed. So what has
//! been sealed is a value that whoever writes takes out, and puts back once the socket has taken what
//! it takes. A thread that reads writes nothing. What TLS itself has to reply, such as to a
//! `KeyUpdate`, is sealed with whatever is written next, which is when it is due (RFC 8446 §4.6.3).

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection};

use super::is_timeout;
use crate::client::deadline::Deadline;
use crate::client::{ConnectError, ConnectStep};
use crate::tls;

/// A socket that speaks TLS, after the TLS handshake.
#[derive(Debug)]
pub(in crate::client) struct TlsStream {
    socket: TcpStream,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connection: ClientConnection,
    /// What is being written. A thread that writes has taken it out, and so has whoever has ended the
    /// connection.
    sealed: Option<Sealed>,
    /// Why nothing more can be opened, once all before that has been read.
    failure: Option<rustls::Error>,
}

/// Records on their way to the socket.
#[derive(Debug, Default)]
struct Sealed {
    records: Vec<u8>,
    /// How much of them the socket has taken.
    written: usize,
    /// How many bytes of the caller's are in them.
    content_len: usize,
}

/// What TLS on a socket consists of.
#[non_exhaustive]
#[derive(Debug)]
pub struct TlsParts {
    /// The socket.
    pub stream: TcpStream,
    /// TLS. It may have opened more than has been read: read it before anything else.
    pub connection: ClientConnection,
    /// What a write timeout has left over of what was sealed: write it to the socket before anything
    /// that the connection seals.
    pub records: Vec<u8>,
}

/// The most that is sealed at once. Four records.
const SEAL_LEN: usize = 64 * 1024;

/// How long the last there is to say may take to be written: it fits unless the server reads nothing.
const BRIEFLY: Duration = Duration::from_millis(10);

impl TlsStream {
    /// Has the TLS handshake with a server on a socket. `host` has no brackets.
    ///
    /// # Errors
    ///
    /// Fails if the server is not who it should be, and if there is no agreement by then.
    pub(in crate::client) fn connect(
        socket: TcpStream,
        config: &Arc<ClientConfig>,
        host: &str,
        deadline: Deadline,
    ) -> Result<Self, ConnectError> {
        let mut connection = tls::begin(config, host)?;
        shake_hands(&socket, &mut connection, deadline)?;
        tls::check_protocol(&connection)?;
        let sealed = Some(Sealed::default());
        let state = State { connection, sealed, failure: None };
        Ok(Self { socket, state: Mutex::new(state) })
    }

    pub(in crate::client) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Reads what there is: see [`Stream::read`](super::Stream::read).
    pub(in crate::client) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(len) = self.lock().take_content(buffer)? {
            return Ok(len);
        }
        let len = (&mut &self.socket).read(buffer)?;
        self.lock().open(buffer, len)
    }

    /// Writes all or nothing of what it can seal at once: see [`Stream::write`](super::Stream::write).
    ///
    /// What has been sealed cannot be taken back. If the socket takes less of it, this fails, but the
    /// rest is kept, and goes first when the caller comes again.
    pub(in crate::client) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sealed = self.lock().seal(bytes)?;
        let result = sealed.write(&self.socket);
        self.lock().sealed = Some(sealed);
        result
    }

    /// Says that nothing more will follow, or why this side gives up, if that can be said at once.
    ///
    /// While another thread is writing, it cannot: the server then learns, as it should, that what it
    /// got last is cut off. After this, the socket is to be shut down.
    pub(in crate::client) fn send_close_notify(&self) {
        let mut state = self.lock();
        let Some(mut sealed) = state.sealed.take() else { return };
        state.connection.send_close_notify();
        sealed.take_records(&mut state.connection);
        drop(state);
        if self.socket.set_write_timeout(Some(BRIEFLY)).is_ok() {
            // Whoever is gone does not miss it.
            _ = sealed.write(&self.socket);
        }
    }

    /// Returns what this consists of, and how many of the bytes for which [`write`](Self::write) has
    /// failed are in the records.
    pub(in crate::client) fn into_parts(self) -> (TlsParts, usize) {
        let Self { socket: stream, state } = self;
        let State { connection, sealed, .. } =
            state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let sealed = sealed.unwrap_or_default();
        let records = sealed.rest().to_vec();
        let sealed_len = if records.is_empty() { 0 } else { sealed.content_len };
        (TlsParts { stream, connection, records }, sealed_len)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked did so in an allocator. If a record was lost by it, the server notices, as
        // records are numbered.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Opens the first `len` bytes of the buffer, which were read, and puts in there what is in them.
    fn open(&mut self, buffer: &mut [u8], len: usize) -> io::Result<usize> {
        let (mut fed, mut opened) = (0, 0);
        // rustls takes a few KB at a time. The end of the stream is to be told as well.
        loop {
            let taken = self.connection.read_tls(&mut &buffer[fed..len])?;
            fed += taken;
            if let Err(error) = self.connection.process_new_packets() {
                self.failure = Some(error);
                break;
            }
            // What is in a record is shorter than the record, and rustls keeps the one that is left
            // over for a lack of room. It never keeps so much that it would take no more.
            opened += self.connection.reader().read(&mut buffer[opened..fed]).unwrap_or(0);
            if taken == 0 || fed == len {
                break;
            }
        }
        opened += match self.take_content(&mut buffer[opened..]) {
            Ok(Some(more)) => more,
            Ok(None) if opened == 0 => return Err(io::ErrorKind::Interrupted.into()),
            Err(error) if opened == 0 => return Err(error),
            // The next call fails, or waits.
            Ok(None) | Err(_) => 0,
        };
        Ok(opened)
    }

    /// Takes out what has been opened. Returns `None` if that is nothing, and there may be more.
    fn take_content(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.connection.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => match self.failure.clone() {
                Some(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                None => Ok(None),
            },
            result => result.map(Some),
        }
    }

    /// Takes out what is to be written: what is left of the last time, or else some of `bytes`.
    fn seal(&mut self, bytes: &[u8]) -> io::Result<Sealed> {
        let mut sealed = self.sealed.take().ok_or(io::ErrorKind::BrokenPipe)?;
        if sealed.rest().is_empty() {
            let bytes = &bytes[..bytes.len().min(SEAL_LEN)];
            let content_len = self.connection.writer().write(bytes)?;
            sealed.records.clear();
            (sealed.written, sealed.content_len) = (0, content_len);
            sealed.take_records(&mut self.connection);
        }
        Ok(sealed)
    }
}

impl Sealed {
    fn rest(&self) -> &[u8] {
        &self.records[self.written..]
    }

    /// Appends what rustls has sealed.
    fn take_records(&mut self, connection: &mut ClientConnection) {
        while connection.wants_write() {
            let Ok(_) = connection.write_tls(&mut self.records) else {
                unreachable!("a vector takes everything")
            };
        }
    }

    /// Writes once. Returns how many bytes of the caller's that completes.
    fn write(&mut self, mut socket: &TcpStream) -> io::Result<usize> {
        match socket.write(self.rest())? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            len => self.written += len,
        }
        if self.rest().is_empty() {
            Ok(self.content_len)
        } else {
            Err(io::ErrorKind::Interrupted.into())
        }
    }
}

/// Sends and receives until both sides agree, and everything is written.
fn shake_hands(
    mut socket: &TcpStream,
    connection: &mut ClientConnection,
    deadline: Deadline,
) -> Result<(), ConnectError> {
    let timed_out = ConnectError::TimedOut(ConnectStep::Tls);
    loop {
        if deadline.is_over() {
            return Err(timed_out);
        }
        let result = if connection.wants_write() {
            socket
                .set_write_timeout(deadline.left())
                .and_then(|()| connection.write_tls(&mut socket))
        } else if connection.is_handshaking() {
            socket.set_read_timeout(deadline.left()).and_then(|()| receive(socket, connection))
        } else {
            return Ok(());
        };
        match result {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if is_timeout(&error) => return Err(timed_out),
            Err(error) => return Err(ConnectError::lost(error)),
        }
        if let Err(error) = connection.process_new_packets() {
            // The alert, for the server's log.
            _ = socket.set_write_timeout(Some(BRIEFLY));
            _ = connection.write_tls(&mut socket);
            return Err(error.into());
        }
    }
}

fn receive(mut socket: &TcpStream, connection: &mut ClientConnection) -> io::Result<usize> {
    match connection.read_tls(&mut socket)? {
        0 => {
            let message = "the server ended it during the TLS handshake";
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, message))
        }
        len => Ok(len),
    }
}
