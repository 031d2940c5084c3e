//! The socket: the seam for TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// What the bytes pass through. It can be read by one thread and written by another.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
}

impl Stream {
    /// Reads what there is, and waits for it for as long as `timeout` says.
    ///
    /// # Errors
    ///
    /// Fails with `WouldBlock` or `TimedOut` if there was nothing in time.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).read(buffer),
        }
    }

    /// Writes as much as is taken, and waits until it is any.
    ///
    /// # Errors
    ///
    /// Fails with `WouldBlock` or `TimedOut` if nothing was taken in time.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&mut &*stream).write(bytes),
        }
    }

    /// Sets how long [`read`](Self::read) waits.
    pub(super) fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(timeout),
        }
    }

    /// Sets how long [`write`](Self::write) waits.
    pub(super) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_write_timeout(timeout),
        }
    }

    /// Ends both directions, which wakes whoever waits for one of them.
    pub(super) fn shut_down(&self) {
        match self {
            // It fails only if the connection is gone already.
            Self::Tcp(stream) => _ = stream.shutdown(Shutdown::Both),
        }
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr(),
        }
    }

    pub(super) fn remote_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr(),
        }
    }
}

/// Whether a wait has come to nothing. Systems differ in how they say so.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
