//! How to connect.

use std::sync::Arc;
use std::time::Duration;
use std::{env, io};

use super::Client;
use super::deadline::Deadline;
use super::dial::dial;
use super::outgoing::Outgoing;
use super::reader::{Input, Reader};
#[cfg(feature = "tls")]
use super::stream::tls::TlsStream;
use super::stream::{Stream, is_timeout};
use super::writer::Writer;
use super::{ConnectError, ConnectStep};
#[cfg(feature = "deflate")]
use crate::Compression;
use crate::handshake::{
    ClientHandshake, ClientRequest, Established, Proxy, RedirectError, Reply, ResponseLimits,
    ServerRefusal, TunnelReply, WsUrl,
};
use crate::protocol::{Connection, Decoder};
use crate::random::MaskingKeys;
#[cfg(feature = "tls")]
use crate::tls;

/// How to connect, how long to wait, and how much to accept.
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use wsloop::client::Connector;
/// use wsloop::handshake::{ClientRequest, WsUrl};
///
/// let request = ClientRequest::new(WsUrl::parse("ws://server.example/chat")?)
///     .subprotocol("chat.v1")?
///     .header("Authorization", "Bearer mF_9.B5f-4.1JqM")?;
/// let client = Connector::new()
///     .connect_timeout(Duration::from_secs(10))
///     .read_timeout(Some(Duration::from_secs(60)))
///     .proxy_from_environment()
///     .connect(&request)?;
/// assert_eq!(client.subprotocol(), Some("chat.v1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Connector {
    connect_timeout: Duration,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    close_timeout: Duration,
    max_message_size: u64,
    read_buffer_size: usize,
    response_limits: ResponseLimits,
    redirects: Redirects,
    proxy: ProxyChoice,
    /// Whom to trust, if it is not whom the system trusts.
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ClientConfig>>,
    #[cfg(feature = "deflate")]
    compression: Option<Compression>,
}

#[derive(Clone, Copy, Debug)]
enum Redirects {
    Report,
    Follow,
}

#[derive(Clone, Debug)]
enum ProxyChoice {
    None,
    Always(Proxy),
    FromEnvironment,
}

impl Default for Connector {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            read_timeout: None,
            write_timeout: Some(Duration::from_secs(30)),
            close_timeout: Duration::from_secs(5),
            max_message_size: Decoder::DEFAULT_MAX_MESSAGE_SIZE,
            read_buffer_size: 64 * 1024,
            response_limits: ResponseLimits::default(),
            redirects: Redirects::Report,
            proxy: ProxyChoice::None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "deflate")]
            compression: None,
        }
    }
}

impl Connector {
    /// Makes a connector with the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long connecting may take, all in all: 30 seconds by default.
    ///
    /// That is for the name to be resolved, its addresses to be tried, the proxy and the server to
    /// answer, TLS to be agreed on, and for redirections. A server cannot stretch it by answering slowly.
    #[must_use]
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        Self { connect_timeout: timeout, ..self }
    }

    /// Sets how long a call waits for something to be received whole: for ever by default.
    ///
    /// A connection that is lost without a sign is waited for just as long. To find out, set this,
    /// and [ping](Client::ping) when it expires.
    #[must_use]
    pub fn read_timeout(self, timeout: Option<Duration>) -> Self {
        Self { read_timeout: timeout, ..self }
    }

    /// Sets how long a write waits for the server to take anything: 30 seconds by default.
    ///
    /// A long message on a slow line may take longer than that.
    #[must_use]
    pub fn write_timeout(self, timeout: Option<Duration>) -> Self {
        Self { write_timeout: timeout, ..self }
    }

    /// Sets how messages are compressed (RFC 7692), if the server agrees to it: not at all by default.
    ///
    /// A client has a compressor and a decompressor of its own, whichever policy this is.
    /// [`ClientRequest::deflate`] and [`ClientRequest::no_deflate`] make exceptions.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use wsloop::Compression;
    /// use wsloop::client::Connector;
    /// use wsloop::handshake::{ClientRequest, WsUrl};
    ///
    /// let request = ClientRequest::new(WsUrl::parse("ws://feed.example/prices")?);
    /// let client = Connector::new().compression(Compression::dedicated()).connect(&request)?;
    /// println!("compressed: {}", client.established().deflate().is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn compression(self, compression: impl Into<Option<Compression>>) -> Self {
        Self { compression: compression.into(), ..self }
    }

    /// Sets how long the closing handshake may take: 5 seconds by default.
    #[must_use]
    pub fn close_timeout(self, timeout: Duration) -> Self {
        Self { close_timeout: timeout, ..self }
    }

    /// Sets how long a received message may be, in bytes: 16 MiB by default.
    ///
    /// A longer one fails the connection with status code 1009. Memory grows with what arrives, not
    /// with what is announced.
    #[must_use]
    pub fn max_message_size(self, bytes: u64) -> Self {
        Self { max_message_size: bytes, ..self }
    }

    /// Sets how much is read at once, in bytes: 64 KiB by default.
    ///
    /// Less makes a client smaller, and costs long messages more system calls.
    #[must_use]
    pub fn read_buffer_size(self, bytes: usize) -> Self {
        Self { read_buffer_size: bytes, ..self }
    }

    /// Sets how much of a server's answer is accepted.
    #[must_use]
    pub fn response_limits(self, limits: ResponseLimits) -> Self {
        Self { response_limits: limits, ..self }
    }

    /// Follows redirections, five at most: see [`ClientRequest::redirected`] for what goes along.
    ///
    /// By default a redirection is [`ConnectError::Refused`].
    #[must_use]
    pub fn follow_redirects(self) -> Self {
        Self { redirects: Redirects::Follow, ..self }
    }

    /// Connects through this proxy.
    #[must_use]
    pub fn proxy(self, proxy: Proxy) -> Self {
        Self { proxy: ProxyChoice::Always(proxy), ..self }
    }

    /// Connects through the proxy that the environment names, if it does: see
    /// [`Proxy::from_environment`] for the variables.
    #[must_use]
    pub fn proxy_from_environment(self) -> Self {
        Self { proxy: ProxyChoice::FromEnvironment, ..self }
    }

    /// Sets whom to trust when URLs begin with `wss`, and all else about TLS.
    ///
    /// By default, whom the system trusts: see [`tls::system_config`]. A configuration that offers
    /// protocols by ALPN has to offer `http/1.1`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(self, config: Arc<rustls::ClientConfig>) -> Self {
        Self { tls: Some(config), ..self }
    }

    /// Connects, and waits until the connection is open.
    ///
    /// # Errors
    ///
    /// Fails with the reason, and no later than the [timeout](Self::connect_timeout) says. What has
    /// been opened by then is closed.
    pub fn connect(&self, request: &ClientRequest) -> Result<Client, ConnectError> {
        let deadline = Deadline::after(self.connect_timeout);
        let mut keys = MaskingKeys::new().map_err(ConnectError::NoRandomness)?;
        let mut request = self.prepared(request);
        loop {
            let mut opening = self.dial(request.url(), deadline)?;
            match opening.shake_hands(&request, keys.nonce(), self.response_limits)? {
                Reply::Established(established) => {
                    return Ok(self.client(opening, established, keys));
                }
                Reply::Refused(refusal) => {
                    request = self.redirected(&request, refusal)?;
                }
            }
        }
    }

    /// The request, with what these settings add to it.
    fn prepared(&self, request: &ClientRequest) -> ClientRequest {
        let request = request.clone();
        #[cfg(feature = "deflate")]
        let request = request.deflate_by_default(self.compression.map(Compression::options));
        request
    }

    /// Connects to a server, or to it through a proxy.
    fn dial(&self, url: &WsUrl, deadline: Deadline) -> Result<Opening, ConnectError> {
        #[cfg(not(feature = "tls"))]
        if url.is_secure() {
            return Err(ConnectError::TlsUnavailable);
        }
        #[cfg(feature = "tls")]
        let tls = url.is_secure().then(|| self.tls_config()).transpose()?;
        // What is no Unicode is no URL of a proxy either, and is to fail as such.
        let variable = |name: &str| Some(env::var_os(name)?.to_string_lossy().into_owned());
        let proxy = match &self.proxy {
            ProxyChoice::None => None,
            ProxyChoice::Always(proxy) => Some(proxy.clone()),
            ProxyChoice::FromEnvironment => {
                Proxy::from_environment(url, variable).map_err(ConnectError::ProxyUrl)?
            }
        };
        let stream = match &proxy {
            None => dial(url.server_name(), url.port(), deadline)?,
            Some(proxy) => dial(proxy.host().trim_matches(['[', ']']), proxy.port(), deadline)?,
        };
        // A buffer of nothing would read nothing, which is how streams end.
        let buffer = vec![0; self.read_buffer_size.max(1)].into();
        let input = Input { buffer, rest: 0..0, timeout: None };
        let mut opening = Opening { stream: Stream::Tcp(stream), input, deadline };
        if let Some(proxy) = proxy {
            opening.open_tunnel(&proxy, url)?;
        }
        #[cfg(feature = "tls")]
        if let Some(config) = tls {
            return opening.secure(&config, url.server_name());
        }
        Ok(opening)
    }

    #[cfg(feature = "tls")]
    fn tls_config(&self) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
        match &self.tls {
            Some(config) => Ok(Arc::clone(config)),
            None => tls::system_config().map_err(ConnectError::NoRoots),
        }
    }

    /// Returns the request that is to be made after a refusal.
    fn redirected(
        &self,
        request: &ClientRequest,
        refusal: ServerRefusal,
    ) -> Result<ClientRequest, ConnectError> {
        let refused = |refusal| ConnectError::Refused(Box::new(refusal));
        match self.redirects {
            Redirects::Report => Err(refused(refusal)),
            Redirects::Follow => match request.redirected(&refusal) {
                Ok(request) => Ok(request),
                Err(RedirectError::Status) => Err(refused(refusal)),
                Err(error) => Err(ConnectError::Redirect(error)),
            },
        }
    }

    /// Makes a client of what has been opened.
    fn client(&self, opening: Opening, established: Established, mut keys: MaskingKeys) -> Client {
        let connection = Connection::client(move || keys.next_key());
        #[cfg(feature = "deflate")]
        let connection = match established.deflate() {
            Some(agreed) => self.compression.unwrap_or_default().apply(connection, agreed),
            None => connection,
        };
        let (decoder, sender) = connection.max_message_size(self.max_message_size).into_halves();
        let Opening { stream, input, .. } = opening;
        let outgoing = Outgoing::new(stream, sender, self.write_timeout, self.close_timeout);
        let outgoing = Arc::new(outgoing);
        let writer = Writer { outgoing: Arc::clone(&outgoing) };
        let reader = Reader::new(outgoing, decoder, input, self.read_timeout);
        Client { reader, writer, established }
    }
}

/// A connection on which nobody has sent frames yet.
struct Opening {
    stream: Stream,
    input: Input,
    deadline: Deadline,
}

impl Opening {
    /// Has the proxy connect to the server.
    fn open_tunnel(&mut self, proxy: &Proxy, url: &WsUrl) -> Result<(), ConnectError> {
        let mut output = Vec::new();
        let mut tunnel = proxy.open(url, &mut output);
        loop {
            self.write(&output, ConnectStep::Proxy)?;
            output.clear();
            let reply = match self.read(ConnectStep::Proxy) {
                Ok(0) => tunnel.end(),
                Ok(_) => tunnel.receive(&mut self.input.rest(), &mut output),
                Err(timeout @ ConnectError::TimedOut(_)) => match tunnel.end() {
                    Ok(Some(reply)) => Ok(Some(reply)),
                    Ok(None) | Err(_) => return Err(timeout),
                },
                Err(error) => return Err(error),
            };
            match reply.map_err(ConnectError::Proxy)? {
                None => {}
                Some(TunnelReply::Open) => return Ok(()),
                Some(TunnelReply::Refused(refusal)) => {
                    return Err(ConnectError::ProxyRefused(Box::new(refusal)));
                }
            }
        }
    }

    /// Puts TLS on the connection, of which the other end is this server.
    #[cfg(feature = "tls")]
    fn secure(
        self,
        config: &Arc<rustls::ClientConfig>,
        server_name: &str,
    ) -> Result<Self, ConnectError> {
        let Stream::Tcp(socket) = self.stream else { unreachable!("there is TLS on it already") };
        let stream = TlsStream::connect(socket, config, server_name, self.deadline)?;
        // The timeouts that the socket has now are others.
        let input = Input { timeout: None, ..self.input };
        Ok(Self { stream: Stream::Tls(Box::new(stream)), input, ..self })
    }

    /// Sends a request, and waits for the answer. What follows that stays in the input.
    fn shake_hands(
        &mut self,
        request: &ClientRequest,
        key: [u8; 16],
        limits: ResponseLimits,
    ) -> Result<Reply, ConnectError> {
        let mut output = Vec::new();
        let mut handshake = ClientHandshake::start(request, key, &mut output).limits(limits);
        self.write(&output, ConnectStep::Handshake)?;
        loop {
            let reply = match self.read(ConnectStep::Handshake) {
                Ok(0) => handshake.end(),
                Ok(_) => {
                    let mut rest = self.input.rest();
                    let reply = handshake.receive(&mut rest);
                    self.input.rest.start = self.input.rest.end - rest.len();
                    reply
                }
                // A server that has said no, if not in full, has said no.
                Err(error @ (ConnectError::TimedOut(_) | ConnectError::Lost(_))) => {
                    match handshake.end() {
                        Ok(Some(reply)) => Ok(Some(reply)),
                        Ok(None) | Err(_) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            };
            if let Some(reply) = reply.map_err(ConnectError::Response)? {
                return Ok(reply);
            }
        }
    }

    fn read(&mut self, step: ConnectStep) -> Result<usize, ConnectError> {
        while !self.deadline.is_over() {
            match self.input.read(&self.stream, self.deadline) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| failure(error, step)),
            }
        }
        Err(ConnectError::TimedOut(step))
    }

    fn write(&self, mut bytes: &[u8], step: ConnectStep) -> Result<(), ConnectError> {
        while !bytes.is_empty() {
            if self.deadline.is_over() {
                return Err(ConnectError::TimedOut(step));
            }
            match self.write_some(bytes) {
                Ok(len) => bytes = &bytes[len..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failure(error, step)),
            }
        }
        Ok(())
    }

    fn write_some(&self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.deadline.left())?;
        match self.stream.write(bytes)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            len => Ok(len),
        }
    }
}

fn failure(error: io::Error, step: ConnectStep) -> ConnectError {
    if is_timeout(&error) { ConnectError::TimedOut(step) } else { ConnectError::lost(error) }
}
