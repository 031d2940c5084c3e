//! The socket, and TLS on it or not.

#[cfg(feature = "tls")]
pub(super) mod tls;

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

#[cfg(feature = "tls")]
use self::tls::TlsStream;
use super::Socket;

/// What the bytes pass through. It can be read by one thread and written by another.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Reads what there is, and waits for it for as long as the timeout says.
    ///
    /// # Errors
    ///
    /// Fails with `WouldBlock` or `TimedOut` if there was nothing in time, and with `Interrupted` if
    /// there was nothing yet for the caller, who is to look at the clock and try again.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(buffer),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    /// Writes as much as is taken, and waits until it is any.
    ///
    /// After a failure that is not the end, what is written next has to begin with the same bytes.
    ///
    /// # Errors
    ///
    /// Fails with `WouldBlock` or `TimedOut` if nothing was taken in time, and with `Interrupted` if
    /// something was, but the caller is to try again.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write(bytes),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    /// Sets how long [`read`](Self::read) waits.
    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_read_timeout(timeout)
    }

    /// Sets how long [`write`](Self::write) waits.
    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.socket().set_write_timeout(timeout)
    }

    /// Ends both directions, which wakes whoever waits for one of them.
    pub(super) fn shut_down(&self) {
        #[cfg(feature = "tls")]
        if let Self::Tls(stream) = self {
            stream.send_close_notify();
        }
        // It fails only if the connection is gone already.
        _ = self.socket().shutdown(Shutdown::Both);
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    pub(super) fn remote_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// Returns what this is for those who go on without this, and how many bytes for which
    /// [`write`](Self::write) has failed will be written by them nevertheless.
    pub(super) fn into_socket(self) -> (Socket, usize) {
        match self {
            Self::Tcp(stream) => (Socket::Tcp(stream), 0),
            #[cfg(feature = "tls")]
            Self::Tls(stream) => {
                let (parts, sealed_len) = stream.into_parts();
                (Socket::Tls(Box::new(parts)), sealed_len)
            }
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.socket(),
        }
    }
}

/// Whether a wait has come to nothing. Systems differ in how they say so.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
