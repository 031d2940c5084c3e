//! The socket under a connection: the one place below which bytes come from and go to.
//!
//! What is above knows no kinds of it, and of TLS only where that has more to say than bytes.

#![expect(clippy::disallowed_types, reason = "this is where sockets belong")]

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Token};

use super::memory::MemoryStream;
use super::poller::Poller;
#[cfg(feature = "tls")]
use super::tls_stream::TlsStream;

/// A connected, non-blocking byte stream, and where it comes from.
///
/// The address is kept here because memory keeps it elsewhere: so the pointer to that lies where
/// an address would be, and takes no room of its own in every entry.
#[derive(Debug)]
pub(super) enum Transport {
    Socket(Socket, Option<SocketAddr>),
    Memory(Box<(MemoryStream, Option<SocketAddr>)>),
    /// Within TLS.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
    /// None yet: it is to be connected.
    Unconnected,
}

/// A stream of the system's.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Calls the same method on whichever socket it is.
macro_rules! on_socket {
    ($either:expr, $socket:ident => $call:expr) => {
        match $either {
            Socket::Tcp($socket) => $call,
            #[cfg(unix)]
            Socket::Unix($socket) => $call,
        }
    };
}

impl Transport {
    /// Takes over a connection that was made elsewhere.
    pub(super) fn adopt(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let remote_addr = stream.peer_addr()?;
        Ok(Self::Socket(Socket::Tcp(TcpStream::from_std(stream)), Some(remote_addr)))
    }

    /// Registers for both directions, once and for all: events are edges, so that being writable
    /// costs nothing while there is nothing to write.
    ///
    /// # Errors
    ///
    /// Fails if the system has no room for it, and for a socket in a loop that is in memory or the
    /// other way round.
    pub(super) fn register(&mut self, poller: &Poller, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match (self, poller) {
            (Self::Socket(either, _), Poller::System { poll, .. }) => {
                on_socket!(either, socket => poll.registry().register(socket, token, both))
            }
            #[cfg(feature = "tls")]
            (Self::Tls(tls), Poller::System { poll, .. }) => {
                on_socket!(&mut tls.socket, socket => poll.registry().register(socket, token, both))
            }
            #[cfg(feature = "tls")]
            (Self::Tls(_), Poller::Memory { .. }) => Err(io::ErrorKind::Unsupported.into()),
            (Self::Memory(memory), Poller::Memory { readiness, .. }) => {
                memory.0.register(readiness, token);
                Ok(())
            }
            (Self::Unconnected, _)
            | (Self::Socket(..), Poller::Memory { .. })
            | (Self::Memory(_), Poller::System { .. }) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Where the connection comes from, if it comes from anywhere.
    pub(super) fn remote_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(_, remote_addr) => *remote_addr,
            Self::Memory(memory) => memory.1,
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.remote_addr,
            Self::Unconnected => None,
        }
    }

    /// The address that the connection was made to, if it was made to any. Asks the system.
    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(socket, _) => socket.local_addr(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.socket.local_addr(),
            Self::Memory(_) | Self::Unconnected => None,
        }
    }

    /// Whether this is the other end of a connection in memory.
    pub(super) fn is_other_end_of(&self, client: &MemoryStream) -> bool {
        matches!(self, Self::Memory(memory) if memory.0.is_connected_to(client))
    }

    /// Whether this is within TLS.
    #[cfg(feature = "tls")]
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Whether it is still to be agreed on how to speak TLS.
    #[cfg(feature = "tls")]
    pub(super) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.is_handshaking())
    }

    /// Whether a TLS handshake was begun, and is not done.
    #[cfg(feature = "tls")]
    pub(super) fn has_begun_tls(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.has_begun())
    }

    /// Whether this was to be TLS, and is something else.
    #[cfg(feature = "tls")]
    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.is_broken())
    }

    /// The connection, if it is within TLS.
    #[cfg(feature = "tls")]
    pub(super) fn tls(&mut self) -> Option<&mut TlsStream> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::Socket(..) | Self::Memory(_) | Self::Unconnected => None,
        }
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket, _) => socket.read(buffer),
            Self::Memory(memory) => in_memory(|| memory.0.read(buffer)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => within_tls(|| tls.read(buffer)),
            Self::Unconnected => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Says that nothing more will be written: TCP's FIN, behind all that was.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(socket, _) => socket.shutdown_write(),
            Self::Memory(memory) => memory.0.shutdown_write(),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => tls.shutdown_write(),
            Self::Unconnected => Ok(()),
        }
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket, _) => socket.write(bytes),
            Self::Memory(memory) => in_memory(|| memory.0.write(bytes)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => within_tls(|| tls.write(&[IoSlice::new(bytes)])),
            Self::Unconnected => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Socket(socket, _) => socket.write_vectored(slices),
            Self::Memory(memory) => in_memory(|| memory.0.write_vectored(slices)),
            #[cfg(feature = "tls")]
            Self::Tls(tls) => within_tls(|| tls.write(slices)),
            Self::Unconnected => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket {
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        on_socket!(self, socket => socket.shutdown(Shutdown::Write))
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            #[cfg(unix)]
            Self::Unix(_) => None,
        }
    }
}

// Inlined, as TLS calls them as well: otherwise, everything without it would pay for the calls.

impl Read for Socket {
    #[inline(always)]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry_interrupted(|| on_socket!(self, socket => socket.read(buffer)))
    }
}

impl Write for Socket {
    #[inline(always)]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry_interrupted(|| on_socket!(self, socket => socket.write(bytes)))
    }

    #[inline(always)]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        retry_interrupted(|| on_socket!(self, socket => send_vectored(socket, slices)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does what takes TLS, out of the way of what does not.
#[cfg(feature = "tls")]
#[cold]
fn within_tls(call: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    call()
}

/// Does with memory what is done with sockets, out of their way: with both in one place, a socket's
/// share took ten instructions more.
#[cold]
fn in_memory(call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    retry_interrupted(call)
}

#[inline(always)]
fn retry_interrupted(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Writes several slices at once. Not with `writev`: on a connection that the other side has reset,
/// that raises SIGPIPE, which kills programs that do not ignore it as Rust's own do.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn send_vectored<'s, S>(socket: &'s S, slices: &[IoSlice<'_>]) -> io::Result<usize>
where
    socket2::SockRef<'s>: From<&'s S>,
{
    socket2::SockRef::from(socket).send_vectored_with_flags(slices, libc::MSG_NOSIGNAL)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn send_vectored<S: Write>(socket: &mut S, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.write_vectored(slices)
}
