//! The socket under a connection: the one place below which bytes come from and go to.
//!
//! Nothing above knows what kind it is, so that TLS, or sockets that a test makes up, are another
//! variant here and nothing elsewhere.

#![expect(clippy::disallowed_types, reason = "this is where sockets belong")]

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

/// A connected, non-blocking byte stream.
#[derive(Debug)]
pub(super) enum Transport {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

/// Calls the same method on whichever socket it is.
macro_rules! on_socket {
    ($transport:expr, $socket:ident => $call:expr) => {
        match $transport {
            Transport::Tcp($socket) => $call,
            #[cfg(unix)]
            Transport::Unix($socket) => $call,
        }
    };
}

impl Transport {
    /// Takes over a connection that was made elsewhere.
    pub(super) fn adopt(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(TcpStream::from_std(stream)))
    }

    /// Registers for both directions, once and for all: events are edges, so that being writable
    /// costs nothing while there is nothing to write.
    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        on_socket!(self, socket => registry.register(socket, token, both))
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        retry_interrupted(|| on_socket!(self, socket => socket.read(buffer)))
    }

    /// Says that nothing more will be written: TCP's FIN, behind all that was.
    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        on_socket!(self, socket => socket.shutdown(Shutdown::Write))
    }
}

impl Write for Transport {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        retry_interrupted(|| on_socket!(self, socket => socket.write(bytes)))
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        retry_interrupted(|| on_socket!(self, socket => send_vectored(socket, slices)))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

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
