//! A TCP socket that is being connected.

#![expect(clippy::disallowed_types, reason = "it is not a transport yet")]

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Token};

use super::poller::Poller;
use super::transport::{Socket, Transport};

/// A socket on its way to an address.
#[derive(Debug)]
pub(super) struct Unfinished {
    socket: TcpStream,
    pub(super) address: SocketAddr,
}

/// How far it has come.
#[derive(Debug)]
pub(super) enum Progress {
    Connected(Transport),
    /// An event will tell more.
    Pending(Unfinished),
}

impl Unfinished {
    /// Begins to connect. Events will have the token of the peer, which its other attempts have as
    /// well: whoever is told of one looks at all of them, and the socket that makes it need not be
    /// registered again.
    pub(super) fn begin(address: SocketAddr, poller: &Poller, token: Token) -> io::Result<Self> {
        let registry = poller.registry()?;
        let mut socket = TcpStream::connect(address)?;
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { socket, address })
    }

    /// Finds out whether it is connected.
    ///
    /// # Errors
    ///
    /// Fails if it is not and will not be.
    pub(super) fn progress(self) -> io::Result<Progress> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(remote) => {
                // TCP connects a socket to itself if the system happens to choose for it the port
                // that it looks for, where nobody listens.
                if self.socket.local_addr().is_ok_and(|local| local == remote) {
                    return Err(io::ErrorKind::ConnectionRefused.into());
                }
                // Frames are written whole. That fails only if the connection is gone again, which
                // reading from it will tell.
                let _ = self.socket.set_nodelay(true);
                Ok(Progress::Connected(Transport::Socket(Socket::Tcp(self.socket), Some(remote))))
            }
            Err(error) if is_pending(&error) => Ok(Progress::Pending(self)),
            Err(error) => Err(error),
        }
    }
}

/// The ways in which systems say that a socket is not connected yet.
fn is_pending(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error() == Some(libc::EINPROGRESS) {
        return true;
    }
    error.kind() == io::ErrorKind::NotConnected
}

#[cfg(all(test, unix))]
mod tests {
    use socket2::{Domain, Socket as Socket2, Type};

    use super::*;

    #[test]
    fn a_socket_that_is_connected_to_itself_is_connected_to_nobody() {
        let socket = Socket2::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let itself = socket.local_addr().unwrap();
        socket.connect(&itself).unwrap();
        let address = itself.as_socket().unwrap();
        let unfinished = Unfinished { socket: TcpStream::from_std(socket.into()), address };
        let error = unfinished.progress().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
