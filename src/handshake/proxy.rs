//! Proxies on the way to a server, RFC 6455 §4.1: whom to ask, and how.

use core::{error::Error, fmt};

use self::socks5::Socks5;
use super::credentials::Credentials;
use super::response_error::ResponseError;
use super::response_head::ResponseLimits;
use super::response_reader::{Answer, RequestKind, ResponseReader};
use super::server_refusal::ServerRefusal;
use super::url::{AuthorityParts, UrlError, WsUrl, check_characters, split_scheme};

mod environment;
mod socks5;

/// A proxy that connects to servers for us.
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{Proxy, TunnelReply, WsUrl};
///
/// let proxy = Proxy::parse("http://name:password@proxy.example:3128")?;
/// let url = WsUrl::parse("wss://server.example/chat")?;
/// // Connect to `proxy.host()` and `proxy.port()`, then:
/// let mut output = Vec::new();
/// let mut tunnel = proxy.open(&url, &mut output);
/// assert_eq!(
///     String::from_utf8_lossy(&output),
///     "CONNECT server.example:443 HTTP/1.1\r\n\
///      Host: server.example:443\r\n\
///      Proxy-Authorization: Basic bmFtZTpwYXNzd29yZA==\r\n\
///      \r\n",
/// );
/// output.clear(); // once it is written
///
/// let mut input = &b"HTTP/1.1 200 Connection established\r\n\r\n"[..];
/// assert_eq!(tunnel.receive(&mut input, &mut output)?, Some(TunnelReply::Open));
/// // From here on it is as if this were the server: TLS first, then the opening handshake.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proxy {
    kind: Kind,
    host: Box<str>,
    port: u16,
    credentials: Option<Credentials>,
}

/// What a proxy speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// HTTP, RFC 9110 §9.3.6.
    Http,
    /// SOCKS version 5, RFC 1928.
    Socks5,
}

impl Proxy {
    /// Parses the URL of a proxy, such as `http://proxy.example:3128` or
    /// `socks5://name:password@[::1]`.
    ///
    /// Without a scheme it is `http`. The port is 80 by default, and 1080 for SOCKS. Names of
    /// servers are always left to the proxy to resolve: `socks5` and `socks5h` are the same.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with it, also if the scheme is another one, or if SOCKS cannot say
    /// the credentials (RFC 1929 §2: 1 to 255 bytes each).
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        check_characters(text)?;
        let (kind, rest) = match text.split_once("://") {
            None => (Kind::Http, text),
            Some(_) => {
                let (scheme, rest) = split_scheme(text).ok_or(UrlError::ProxyScheme)?;
                let kind = match scheme.to_ascii_lowercase().as_str() {
                    "http" => Kind::Http,
                    "socks5" | "socks5h" => Kind::Socks5,
                    _ => return Err(UrlError::ProxyScheme),
                };
                (kind, rest.strip_prefix("//").ok_or(UrlError::NoAuthority)?)
            }
        };
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let default_port = match kind {
            Kind::Http => 80,
            Kind::Socks5 => 1080,
        };
        let AuthorityParts { host, port, credentials } =
            AuthorityParts::parse(authority, default_port)?;
        if kind == Kind::Socks5 && !credentials.as_ref().is_none_or(socks5::can_say) {
            return Err(UrlError::Credentials);
        }
        Ok(Self { kind, host: host.into(), port, credentials })
    }

    /// Returns the proxy that the environment names for this URL, if any.
    ///
    /// `variable` is asked for variables by name; give it what `std::env::var` does, or anything
    /// else. For `ws` that is `http_proxy`, for `wss` it is `https_proxy` or `HTTPS_PROXY`, and for
    /// both then `all_proxy` or `ALL_PROXY`. The first that is set decides; if it is empty, there
    /// is no proxy. `HTTP_PROXY` is not asked for: behind a CGI server, it is a request's `Proxy`
    /// field, and anyone can send that.
    ///
    /// Nor is there one if `no_proxy` or `NO_PROXY` lists the host. It is a list with commas or
    /// spaces of names that stand for themselves and all below (`example.com`, with or without a
    /// dot before it), addresses (`192.0.2.1`, `::1`), networks (`10.0.0.0/8`), each with or
    /// without a port, and `*` for everything.
    ///
    /// # Errors
    ///
    /// Fails if the variable that decides holds no valid URL of a proxy. To connect without would
    /// be to go around it.
    pub fn from_environment(
        url: &WsUrl,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, UrlError> {
        match environment::proxy_for(url, variable) {
            Some(proxy) => Self::parse(&proxy).map(Some),
            None => Ok(None),
        }
    }

    /// The host to connect to, an IPv6 address within brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Begins to ask the proxy for a connection to the server of `url`: appends to `output` what to
    /// send first.
    ///
    /// Credentials of the proxy go to the proxy alone, and those of the server to the server.
    pub fn open(&self, url: &WsUrl, output: &mut Vec<u8>) -> Tunnel {
        let credentials = self.credentials.as_ref();
        let state = match self.kind {
            Kind::Http => {
                connect(url, credentials, output);
                let limits = ResponseLimits::default();
                State::Http(ResponseReader::new(RequestKind::Connect, limits))
            }
            Kind::Socks5 => State::Socks5(Socks5::start(url, credentials, output)),
        };
        Tunnel { state }
    }
}

/// Appends the request for a tunnel, RFC 9110 §9.3.6.
fn connect(url: &WsUrl, credentials: Option<&Credentials>, output: &mut Vec<u8>) {
    let authority = format!("{}:{}", url.host(), url.port());
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(credentials) = credentials {
        request += &format!("Proxy-Authorization: {}\r\n", credentials.basic());
    }
    request += "\r\n";
    output.extend_from_slice(request.as_bytes());
}

/// A tunnel through a proxy that is being opened.
///
/// Until it is open, send nothing but what this says: the proxy would read it (RFC 6455 §4.1).
#[derive(Clone, Debug)]
pub struct Tunnel {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Http(ResponseReader),
    Socks5(Socks5),
    Failed(ProxyError),
    /// The reply has been returned.
    Finished,
}

/// What a proxy answers in the end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TunnelReply {
    /// The proxy has connected to the server: what is sent from now on goes there.
    Open,
    /// The proxy does not connect, such as with 407 because it wants to know who asks. Close the
    /// connection.
    Refused(ServerRefusal),
}

impl Tunnel {
    /// Takes bytes from the proxy, and appends to `output` what to send in return.
    ///
    /// Returns `None` if there must be more to come, and the reply once it is there; after that,
    /// this takes nothing and returns `None`.
    ///
    /// # Errors
    ///
    /// Fails if the proxy breaks the rules, or if it refuses by way of SOCKS. It then keeps
    /// failing. It also fails if `input` goes on after the tunnel has opened: no server speaks
    /// first, neither in TLS nor without, so this came from the proxy.
    pub fn receive(
        &mut self,
        input: &mut &[u8],
        output: &mut Vec<u8>,
    ) -> Result<Option<TunnelReply>, ProxyError> {
        let reply = match &mut self.state {
            State::Http(reader) => {
                reader.receive(input).map(reply_to_connect).map_err(ProxyError::Response)
            }
            State::Socks5(socks5) => {
                socks5.receive(input, output).map(|open| open.then_some(TunnelReply::Open))
            }
            State::Failed(error) => return Err(*error),
            State::Finished => return Ok(None),
        };
        let early = matches!(reply, Ok(Some(TunnelReply::Open))) && !input.is_empty();
        self.note(if early { Err(ProxyError::EarlyBytes) } else { reply })
    }

    /// Takes the end of the stream, or of the caller's patience.
    ///
    /// # Errors
    ///
    /// Fails if the reply is not complete. Of a refusal, the body need not be.
    pub fn end(&mut self) -> Result<Option<TunnelReply>, ProxyError> {
        let reply = match &mut self.state {
            State::Http(reader) => reader.end().map(reply_to_connect).map_err(ProxyError::Response),
            State::Socks5(_) => Err(ProxyError::Incomplete),
            State::Failed(error) => return Err(*error),
            State::Finished => return Ok(None),
        };
        self.note(reply)
    }

    /// Remembers what has been decided.
    fn note(
        &mut self,
        reply: Result<Option<TunnelReply>, ProxyError>,
    ) -> Result<Option<TunnelReply>, ProxyError> {
        match &reply {
            Ok(None) => {}
            Ok(Some(_)) => self.state = State::Finished,
            Err(error) => self.state = State::Failed(*error),
        }
        reply
    }
}

fn reply_to_connect(answer: Option<Answer>) -> Option<TunnelReply> {
    // RFC 9110 §9.3.6: a length or a coding in a successful response to CONNECT means nothing.
    answer.map(|answer| match answer {
        Answer::Switched(_) => TunnelReply::Open,
        Answer::Refused(refusal) => TunnelReply::Refused(refusal),
    })
}

/// What a proxy did wrong, or why it cannot connect.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProxyError {
    /// The answer to CONNECT is none.
    Response(ResponseError),
    /// There were bytes after the reply that opened the tunnel.
    EarlyBytes,
    /// The stream ended before the reply was complete.
    Incomplete,
    /// A version of SOCKS other than 5, or no SOCKS at all (RFC 1928 §3).
    SocksVersion,
    /// None of the ways to authenticate that we offered is acceptable (RFC 1928 §3).
    SocksMethods,
    /// A way to authenticate that we did not offer (RFC 1928 §3).
    SocksUnofferedMethod,
    /// The name or the password is wrong (RFC 1929 §2).
    SocksCredentials,
    /// The proxy could not connect, or would not (RFC 1928 §6).
    SocksReply(u8),
    /// An unknown type of address in a reply (RFC 1928 §5).
    SocksAddress,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Response(error) => return write!(f, "from the proxy: {error}"),
            Self::EarlyBytes => "the proxy sent bytes before the server could have sent any",
            Self::Incomplete => "the proxy closed the connection before its reply was complete",
            Self::SocksVersion => "expected SOCKS version 5 from the proxy",
            Self::SocksMethods => "the proxy accepts none of the ways to authenticate we offered",
            Self::SocksUnofferedMethod => {
                "the proxy wants a way to authenticate that we did not offer"
            }
            Self::SocksCredentials => "the proxy does not accept the name and the password",
            Self::SocksReply(reply) => {
                let reason = match reply {
                    1 => "general failure",
                    2 => "not allowed by its rules",
                    3 => "network unreachable",
                    4 => "host unreachable",
                    5 => "connection refused",
                    6 => "time to live expired",
                    7 => "command not supported",
                    8 => "address type not supported",
                    _ => "unknown reply",
                };
                return write!(f, "the proxy could not connect: {reason} ({reply})");
            }
            Self::SocksAddress => "unknown type of address in the reply of the proxy",
        })
    }
}

impl Error for ProxyError {}

#[cfg(test)]
mod tests;
