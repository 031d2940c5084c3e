//! Where connections come from.

#![expect(clippy::disallowed_types, reason = "this is where listening sockets belong")]

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mio::net::TcpListener;
#[cfg(unix)]
use mio::net::UnixListener;
use mio::{Interest, Token};
use socket2::{Domain, Socket as Socket2, Type};

use super::in_memory::{Backlog, Door};
use super::poller::Poller;
#[cfg(feature = "tls")]
use super::tls_stream::TlsStream;
use super::transport::{self, Transport};
#[cfg(feature = "tls")]
use crate::tls::TlsServer;

/// A listening socket, and whether there may be connections to accept.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    /// Events are edges: once one told of connections, this stays set until `accept` would block.
    pub(super) pending: bool,
    /// How often in a row accepting has failed.
    pub(super) failures: u32,
    /// When to try again after too many failures.
    pub(super) retry: Option<Instant>,
    /// What connections are within.
    #[cfg(feature = "tls")]
    tls: Option<TlsServer>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
    Memory(Arc<Mutex<Backlog>>),
}

/// What came of an attempt to accept.
#[derive(Debug)]
pub(super) enum Accepted {
    Connection(Transport),
    /// There is none waiting.
    None,
    /// This one failed before it was ours; there may be others.
    Failed,
    /// No descriptor or no memory is left. The connection waits in the backlog, and no event
    /// will tell of it again.
    Exhausted,
}

impl Listener {
    pub(super) fn tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::new(Socket::Tcp(TcpListener::from_std(listener))))
    }

    #[cfg(unix)]
    pub(super) fn unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self::new(Socket::Unix(UnixListener::from_std(listener))))
    }

    /// Makes a listener in memory, and the way to it.
    pub(super) fn memory() -> (Self, Door) {
        let (backlog, door) = Door::new();
        (Self::new(Socket::Memory(backlog)), door)
    }

    fn new(socket: Socket) -> Self {
        Self {
            socket,
            pending: false,
            failures: 0,
            retry: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Has its connections speak TLS.
    #[cfg(feature = "tls")]
    pub(super) fn within(self, tls: TlsServer) -> Self {
        Self { tls: Some(tls), ..self }
    }

    pub(super) fn register(&mut self, poller: &Poller, token: Token) -> io::Result<()> {
        match &mut self.socket {
            Socket::Tcp(socket) => poller.registry()?.register(socket, token, Interest::READABLE),
            #[cfg(unix)]
            Socket::Unix(socket) => poller.registry()?.register(socket, token, Interest::READABLE),
            Socket::Memory(backlog) => lock(backlog).register(poller, token),
        }
    }

    pub(super) fn accept(&self) -> Accepted {
        match self.accept_once() {
            Ok(transport) => Accepted::Connection(transport),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Accepted::None,
            Err(error) if is_exhaustion(&error) => Accepted::Exhausted,
            // ECONNABORTED, EPROTO, EINTR and the network errors that Linux passes on from the new
            // socket say nothing about the listener. Those that do come again, however often one
            // tries.
            Err(_) => Accepted::Failed,
        }
    }

    fn accept_once(&self) -> io::Result<Transport> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, addr) = socket.accept()?;
                // Frames are written whole, so that waiting for more could only delay them. That
                // fails only if the connection is gone again, which reading from it will tell.
                let _ = stream.set_nodelay(true);
                let socket = transport::Socket::Tcp(stream);
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    return Ok(Transport::Tls(TlsStream::server(socket, addr, tls.config())?));
                }
                Ok(Transport::Socket(socket, Some(addr)))
            }
            #[cfg(unix)]
            Socket::Unix(socket) => {
                Ok(Transport::Socket(transport::Socket::Unix(socket.accept()?.0), None))
            }
            Socket::Memory(backlog) => lock(backlog).accept(),
        }
    }
}

fn lock(backlog: &Mutex<Backlog>) -> MutexGuard<'_, Backlog> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections may wait to be accepted. The system caps it, on Linux at 4096.
const BACKLOG: i32 = 4096;

/// Binds the first of the addresses that can be bound.
pub(super) fn bind(addrs: impl ToSocketAddrs) -> io::Result<std::net::TcpListener> {
    let mut result =
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the name stands for no address"));
    for addr in addrs.to_socket_addrs()? {
        result = bind_one(addr);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn bind_one(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket2::new(Domain::for_address(addr), Type::STREAM, None)?;
    // On Windows the option would let others take the address over.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// EMFILE, ENFILE, ENOBUFS or ENOMEM (WSAEMFILE or WSAENOBUFS on Windows).
fn is_exhaustion(error: &io::Error) -> bool {
    let codes: &[i32] = if cfg!(windows) {
        &[10024, 10055]
    } else if cfg!(any(target_os = "linux", target_os = "android")) {
        &[24, 23, 105, 12]
    } else {
        &[24, 23, 55, 12]
    };
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
