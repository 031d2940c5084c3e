//! The other side of a TLS connection, over a socket that blocks.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use wsloop::tls::rustls::pki_types::ServerName;
use wsloop::tls::rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::common::{Client, HANG, Socket};

pub(super) struct TlsSocket {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl TlsSocket {
    /// Connects, and does the TLS handshake as far as a client can tell.
    pub(super) fn connect(
        addr: SocketAddr,
        name: &str,
        config: Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let socket = TcpStream::connect(addr)?;
        socket.set_nodelay(true)?;
        socket.limit(HANG);
        let session = connection(name, config);
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream })
    }

    pub(super) fn session(&mut self) -> &mut ClientConnection {
        &mut self.stream.conn
    }

    /// What is below TLS.
    pub(super) fn tcp(&mut self) -> &mut TcpStream {
        &mut self.stream.sock
    }
}

/// A client that has not said anything.
pub(super) fn connection(name: &str, config: Arc<ClientConfig>) -> ClientConnection {
    ClientConnection::new(config, ServerName::try_from(name).unwrap().to_owned()).unwrap()
}

/// What a client says first, or next.
pub(super) fn flight(session: &mut ClientConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.wants_write() {
        session.write_tls(&mut bytes).unwrap();
    }
    bytes
}

impl Client<TlsSocket> {
    /// Ends the client's side in good order: `close_notify`, and nothing below it.
    pub(super) fn say_goodbye(&mut self) {
        let stream = &mut self.socket().stream;
        stream.conn.send_close_notify();
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
}

impl Read for TlsSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for TlsSocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Socket for TlsSocket {
    fn limit(&self, time: Duration) {
        self.stream.sock.limit(time);
    }

    fn block(&self, blocking: bool) {
        self.stream.sock.block(blocking);
    }

    /// Cuts the client's side off: TCP ends, and TLS does not.
    fn end(&self) {
        self.stream.sock.shutdown(Shutdown::Write).unwrap();
    }
}
