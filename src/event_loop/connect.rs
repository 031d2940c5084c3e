//! Connections to servers, as an application asks for them.

use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "tls")]
use rustls::ClientConfig;

use super::ConnectError;
#[cfg(feature = "deflate")]
use super::config::Config;
use super::entry::{Flags, Stage};
use super::lines::Host;
use super::reconnect::{Link, Reconnect};
#[cfg(feature = "tls")]
use super::tls_stream::TlsStream;
use super::transport::Transport;
use super::{EventLoop, PeerId, Peers};
use crate::handshake::{ClientRequest, Proxy, RedirectError, ServerRefusal, UrlError, WsUrl};
use crate::random::MaskingKeys;
#[cfg(feature = "tls")]
use crate::tls::{begin, system_config};

/// What to ask which server for, and by which way.
///
/// Made from a [`ClientRequest`], which is enough where there is nothing to be said about the way.
///
/// # Examples
///
/// ```no_run
/// use wsloop::handshake::{ClientRequest, WsUrl};
/// use wsloop::{Connect, EventLoop};
///
/// let url = WsUrl::parse("ws://feed.example/prices")?;
/// let request = ClientRequest::new(url).subprotocol("prices.v2")?;
/// let connect = Connect::new(request).follow_redirects().proxy_from_environment();
///
/// let mut event_loop = EventLoop::new()?;
/// let feed = event_loop.peers().connect_with(connect)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is connected before it is handed to `connect_with`"]
pub struct Connect {
    request: ClientRequest,
    follows_redirects: bool,
    via: Via,
    pub(super) reconnect: Option<Reconnect>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<ClientConfig>>,
}

/// Whether there is a proxy in between.
#[derive(Clone, Debug)]
enum Via {
    Nothing,
    Proxy(Proxy),
    Environment,
}

impl Connect {
    /// Asks for this, straight from the server that its URL names.
    pub fn new(request: ClientRequest) -> Self {
        Self {
            request,
            follows_redirects: false,
            via: Via::Nothing,
            reconnect: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Follows redirections: see [`ClientRequest::redirected`] for what that means and how far it
    /// goes.
    pub fn follow_redirects(mut self) -> Self {
        self.follows_redirects = true;
        self
    }

    /// Connects through a proxy.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.via = Via::Proxy(proxy);
        self
    }

    /// Connects through the proxy that the environment names for the URL, if it does: see
    /// [`Proxy::from_environment`]. It is asked each time, and for the target of a redirection
    /// again.
    pub fn proxy_from_environment(mut self) -> Self {
        self.via = Via::Environment;
        self
    }

    /// Speaks TLS, if the URL begins with `wss`, as a configuration of rustls's says: whom to trust,
    /// and what to show.
    ///
    /// By default, it is [the one that trusts whom the system trusts](crate::tls::system_config).
    /// For other roots, [`client_config`](crate::tls::client_config) makes one. It should offer the
    /// protocol `http/1.1`, or none.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Offers to compress as the configuration says, unless the request is explicit about that.
    #[cfg(feature = "deflate")]
    fn compressing_as(mut self, config: &Config) -> Self {
        self.request = self.request.deflate_by_default(config.deflate_options());
        self
    }

    /// Finds out by which way to go.
    fn route(self) -> Result<Route, ConnectError> {
        let Self { request, via, .. } = &self;
        #[cfg(not(feature = "tls"))]
        if request.url().is_secure() {
            return Err(ConnectError::TlsUnavailable);
        }
        #[cfg(feature = "tls")]
        let tls = match &self.tls {
            _ if !request.url().is_secure() => None,
            Some(config) => Some(Arc::clone(config)),
            None => Some(system_config().map_err(ConnectError::NoRoots)?),
        };
        let proxy = match via {
            Via::Nothing => None,
            Via::Proxy(proxy) => Some(proxy.clone()),
            Via::Environment => from_environment(request.url()).map_err(ConnectError::ProxyUrl)?,
        };
        Ok(Route {
            connect: self,
            proxy,
            #[cfg(feature = "tls")]
            tls,
        })
    }
}

impl From<ClientRequest> for Connect {
    fn from(request: ClientRequest) -> Self {
        Self::new(request)
    }
}

fn from_environment(url: &WsUrl) -> Result<Option<Proxy>, UrlError> {
    Proxy::from_environment(url, |name| std::env::var(name).ok())
}

/// A way to a server that has been found out.
#[derive(Clone, Debug)]
pub(super) struct Route {
    connect: Connect,
    pub(super) proxy: Option<Proxy>,
    /// How to speak TLS with the server, if it is to be spoken.
    #[cfg(feature = "tls")]
    tls: Option<Arc<ClientConfig>>,
}

impl Route {
    /// Begins TLS with the server, if it is to be spoken, on a connection that leads there.
    ///
    /// # Errors
    ///
    /// Fails if no certificate could be for such a name.
    pub(super) fn secure(&self, transport: Transport) -> Result<Transport, ConnectError> {
        #[cfg(feature = "tls")]
        let transport = match (&self.tls, transport) {
            (Some(config), Transport::Socket(socket, remote_addr)) => {
                let session = begin(config, self.request().url().server_name())?;
                Transport::Tls(TlsStream::client(socket, remote_addr, session))
            }
            (_, transport) => transport,
        };
        Ok(transport)
    }

    pub(super) fn request(&self) -> &ClientRequest {
        &self.connect.request
    }

    /// The host to connect to, without brackets, and its port.
    pub(super) fn endpoint(&self) -> (&str, u16) {
        match &self.proxy {
            Some(proxy) => {
                let host = proxy.host();
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                (bare.unwrap_or(host), proxy.port())
            }
            None => (self.request().url().server_name(), self.request().url().port()),
        }
    }

    /// The remote host, to which others of this loop may be connecting, if it is at this address.
    pub(super) fn host_at(&self, address: SocketAddr) -> Host {
        let url = self.request().url();
        match self.proxy {
            None => Host::Address(address),
            Some(_) => Host::Named(url.host().to_ascii_lowercase().into(), url.port()),
        }
    }

    /// Where a refusal leads, or what it comes to if that is nowhere.
    pub(super) fn redirected(&self, refusal: ServerRefusal) -> Result<Self, ConnectError> {
        if !self.connect.follows_redirects {
            return Err(ConnectError::Refused(Box::new(refusal)));
        }
        match self.request().redirected(&refusal) {
            Ok(request) => Connect { request, ..self.connect.clone() }.route(),
            Err(RedirectError::Status) => Err(ConnectError::Refused(Box::new(refusal))),
            Err(error) => Err(ConnectError::Redirect(error)),
        }
    }
}

/// Connections to servers. The loop is their client, and they are peers like all others: see
/// [`Peers::is_server`].
impl Peers {
    /// Connects to the server that a URL names, such as `ws://localhost:9001/chat`.
    ///
    /// Returns the id that the peer is going to have. This neither waits nor writes: names are
    /// resolved by threads of their own, and the loop does the rest as it turns. In the end either
    /// [`on_open`](super::Handler::on_open) is called for the peer, or
    /// [`on_connect_error`](super::Handler::on_connect_error) for its id. Until then it is not
    /// counted among the peers, but among the
    /// [`max_connections`](super::Config::max_connections); [`abort`](Self::abort) gives it up.
    ///
    /// If the name stands for several addresses, they are tried in the order of RFC 8305 (Happy
    /// Eyeballs): the next one begins when all before it have failed, or after a quarter of a
    /// second.
    ///
    /// # Errors
    ///
    /// Fails if the URL is not valid, if there are too many connections already, if the loop is
    /// shutting down, and if the system has no randomness to give. So it does if the URL begins with
    /// `wss` and the system has no root certificates, or this library is built without the feature
    /// `tls`. Then there is no id, and the handler is not told.
    ///
    /// # Examples
    ///
    /// A relay: what the upstream server says goes to all clients, and what they say to it.
    ///
    /// ```no_run
    /// use wsloop::{ConnectError, EventLoop, Handler, Message, Peer, PeerId, Peers};
    ///
    /// struct Relay {
    ///     upstream: PeerId,
    /// }
    ///
    /// impl Handler for Relay {
    ///     fn on_message(&mut self, peer: &mut Peer<'_>, message: Message<'_>) {
    ///         if peer.id() == self.upstream {
    ///             peer.broadcast(message);
    ///         } else {
    ///             peer.peers().send(self.upstream, message);
    ///         }
    ///     }
    ///
    ///     fn on_connect_error(&mut self, _: &mut Peers, _: PeerId, error: ConnectError) {
    ///         eprintln!("no upstream: {error}");
    ///     }
    /// }
    ///
    /// let mut event_loop = EventLoop::new()?;
    /// event_loop.listen("127.0.0.1:9001")?;
    /// let upstream = event_loop.connect("ws://upstream.example/feed")?;
    /// event_loop.run(&mut Relay { upstream })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&mut self, url: &str) -> Result<PeerId, ConnectError> {
        let url = WsUrl::parse(url).map_err(ConnectError::Url)?;
        self.connect_with(ClientRequest::new(url))
    }

    /// Connects as [`connect`](Self::connect) does, and says more about how: a [`Connect`], or a
    /// [`ClientRequest`].
    ///
    /// # Errors
    ///
    /// Fails as [`connect`](Self::connect) does, and if the environment was to be asked for a proxy
    /// and names one that cannot be.
    pub fn connect_with(&mut self, connect: impl Into<Connect>) -> Result<PeerId, ConnectError> {
        if self.to_do.shut_down {
            return Err(ConnectError::ShuttingDown);
        }
        if self.entries.len() >= self.config.limits.connections {
            return Err(ConnectError::TooManyConnections);
        }
        let connect = connect.into();
        #[cfg(feature = "deflate")]
        let connect = connect.compressing_as(&self.config);
        let link = Link::of(&connect);
        let route = connect.route()?;
        if self.buffers.keys.is_none() {
            self.buffers.keys = Some(MaskingKeys::new().map_err(ConnectError::NoRandomness)?);
        }
        let id = self.insert_client(route, Duration::ZERO);
        if link.is_some() {
            self.entries[id.index()].particulars().link = link;
        }
        Ok(id)
    }

    /// Connects once more, after a while. It takes the place of a connection that is gone, so that
    /// there are not too many.
    pub(super) fn connect_later(&mut self, connect: &Connect, after: Duration) -> Option<PeerId> {
        if self.to_do.shut_down {
            return None;
        }
        let route = connect.clone().route().ok()?;
        Some(self.insert_client(route, after))
    }

    fn insert_client(&mut self, route: Route, after: Duration) -> PeerId {
        let id = self.insert_at(Stage::Connecting, Transport::Unconnected);
        self.entries[id.index()].flags.client = true;
        self.to_do.connects.push((id, Box::new(route), after));
        self.connecting += 1;
        self.stats.connections.begun += 1;
        id
    }

    /// Whether the peer is a server that this loop has [connected](Self::connect) to. All others
    /// are clients, which have connected to this loop.
    pub fn is_server(&self, id: PeerId) -> bool {
        self.entry(id).is_some_and(|entry| entry.flags.client)
    }

    /// Begins anew with another server, for the sake of a redirection.
    pub(super) fn connect_elsewhere(&mut self, id: PeerId, route: Route) {
        let Self { entries, buffers, to_do, .. } = self;
        let entry = &mut entries[id.index()];
        entry.queue.clear(buffers);
        (entry.transport, entry.stage) = (Transport::Unconnected, Stage::Connecting);
        let Flags { dirty, ready, client, .. } = entry.flags;
        entry.flags = Flags { dirty, ready, client, ..Flags::default() };
        to_do.connects.push((id, Box::new(route), Duration::ZERO));
        to_do.settle(entry);
    }
}

impl EventLoop {
    /// Connects to a server: see [`Peers::connect`].
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn connect(&mut self, url: &str) -> Result<PeerId, ConnectError> {
        self.peers().connect(url)
    }

    /// Connects to a server: see [`Peers::connect_with`].
    ///
    /// # Errors
    ///
    /// Fails as that does.
    pub fn connect_with(&mut self, connect: impl Into<Connect>) -> Result<PeerId, ConnectError> {
        self.peers().connect_with(connect)
    }
}
