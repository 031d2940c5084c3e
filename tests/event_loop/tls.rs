//! Connections within TLS. The other side is rustls as well, used as one would with a blocking
//! socket, or a tool of another make.

mod authority;
mod backpressure;
mod budget;
mod certificates;
mod clients;
mod edges;
mod endings;
mod handshakes;
mod openssl;
mod peer;

use std::net::SocketAddr;
use std::sync::Arc;

use wsloop::tls::rustls::{self, ClientConfig};
use wsloop::{Config, EventLoop, TlsServer};

use self::authority::Authority;
use self::peer::TlsSocket;
use super::common::{Client, Script, Server, Told};

/// A server within TLS, and whom its clients are to trust.
struct TlsEcho {
    server: Server,
    authority: Authority,
}

impl TlsEcho {
    /// An echo server by the name `localhost`.
    fn new() -> Self {
        Self::start(Config::new(), Script::echo())
    }

    fn start(config: Config, script: (Script, Told)) -> Self {
        let authority = Authority::new();
        let tls = TlsServer::new(authority.identity("localhost"));
        Self { server: listen(config, script, tls), authority }
    }

    fn addr(&self) -> SocketAddr {
        self.server.addr
    }

    /// Connects within TLS.
    #[track_caller]
    fn connect(&self) -> Client<TlsSocket> {
        self.connect_with(self.authority.clients())
    }

    #[track_caller]
    fn connect_with(&self, config: ClientConfig) -> Client<TlsSocket> {
        connect(self.addr(), "localhost", config)
    }

    /// Connects, and shakes hands, of which the handler is told.
    #[track_caller]
    fn open(&self) -> Client<TlsSocket> {
        let mut client = self.connect();
        client.shake_hands();
        self.server.told.expect("open");
        client
    }
}

/// Runs a server within TLS.
fn listen(config: Config, script: (Script, Told), tls: impl Into<TlsServer>) -> Server {
    let mut event_loop = EventLoop::with_config(config).unwrap();
    let addr = event_loop.listen_tls("127.0.0.1:0", tls).unwrap();
    Server::run(event_loop, addr, script)
}

#[track_caller]
fn connect(addr: SocketAddr, name: &str, config: ClientConfig) -> Client<TlsSocket> {
    Client::over(TlsSocket::connect(addr, name, Arc::new(config)).unwrap())
}

/// Each version of TLS that there is.
const VERSIONS: [&rustls::SupportedProtocolVersion; 2] =
    [&rustls::version::TLS12, &rustls::version::TLS13];
