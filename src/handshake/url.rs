//! `ws` and `wss` URLs, RFC 6455 §3.

use core::{error::Error, fmt, str::FromStr};

use super::authority::{Authority, AuthorityError};
use super::credentials::Credentials;
use super::syntax::is_target_byte;

/// Where a WebSocket server is: a `ws` or `wss` URL that has been found valid.
///
/// Nothing in it is rewritten but for what RFC 6455 §3 says: path and query go to the server byte
/// for byte. What is not ASCII must be encoded already, `%C3%A9` in a path and `xn--…` in a host.
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{UrlError, WsUrl};
///
/// let url: WsUrl = "WSS://Server.example:443/chat?room=1".parse()?;
/// assert!(url.is_secure());
/// assert_eq!((url.host(), url.port()), ("Server.example", 443));
/// assert_eq!(url.resource_name(), "/chat?room=1");
/// // The default port is not in `Host`.
/// assert_eq!(url.host_field(), "Server.example");
///
/// let error = WsUrl::parse("ws://server.example/a b").unwrap_err();
/// assert_eq!(error, UrlError::Space { at: 21 });
/// assert_eq!(error.to_string(), "a space, expected %20, at byte 21 of the URL");
/// # Ok::<(), UrlError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WsUrl {
    secure: bool,
    host: Box<str>,
    port: u16,
    resource_name: Box<str>,
    credentials: Option<Credentials>,
}

impl WsUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with it. User information is not part of these URLs and fails as
    /// well, see [`parse_with_credentials`](Self::parse_with_credentials).
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = Self::parse_with_credentials(text)?;
        if url.credentials.is_some() { Err(UrlError::UserInformation) } else { Ok(url) }
    }

    /// Parses a URL that may be of the form `wss://name:password@host/`.
    ///
    /// The grammar of RFC 6455 §3 has no such thing. A [`ClientRequest`](super::ClientRequest) made
    /// from it sends Basic authentication; neither `Host` nor [`Display`](fmt::Display) shows it.
    ///
    /// # Errors
    ///
    /// Fails with what is wrong with it.
    pub fn parse_with_credentials(text: &str) -> Result<Self, UrlError> {
        check_characters(text)?;
        let Some((scheme, rest)) = split_scheme(text) else { return Err(UrlError::Scheme) };
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            "http" | "https" => return Err(UrlError::Http),
            _ => return Err(UrlError::Scheme),
        };
        Self::parse_hierarchy(secure, rest)
    }

    /// Parses what follows the colon after the scheme.
    fn parse_hierarchy(secure: bool, text: &str) -> Result<Self, UrlError> {
        let text = text.strip_prefix("//").ok_or(UrlError::NoAuthority)?;
        let end = text.find(['/', '?']).unwrap_or(text.len());
        let (authority, resource) = text.split_at(end);
        let authority = AuthorityParts::parse(authority, if secure { 443 } else { 80 })?;
        Ok(Self {
            secure,
            host: authority.host.into(),
            port: authority.port,
            resource_name: resource_name(resource),
            credentials: authority.credentials,
        })
    }

    /// Resolves a `Location` against this URL, RFC 3986 §5.2.
    ///
    /// `http` and `https` URLs stand for `ws` and `wss` ones, as redirections name the former.
    pub(super) fn resolve(&self, reference: &str) -> Result<Self, UrlError> {
        check_characters(reference)?;
        let secure_url = |secure, rest| {
            let url = Self::parse_hierarchy(secure, rest)?;
            if url.credentials.is_some() { Err(UrlError::UserInformation) } else { Ok(url) }
        };
        if let Some((scheme, rest)) = split_scheme(reference) {
            return match scheme.to_ascii_lowercase().as_str() {
                "ws" | "http" => secure_url(false, rest),
                "wss" | "https" => secure_url(true, rest),
                _ => Err(UrlError::Scheme),
            };
        }
        if reference.starts_with("//") {
            return secure_url(self.secure, reference);
        }
        let resource_name = match reference.as_bytes() {
            [] => self.resource_name.clone(),
            [b'/', ..] => without_dot_segments(reference),
            [b'?', ..] => resource_name(&format!("{}{reference}", self.path())),
            _ => {
                // The last segment of the path gives way; all before it stays.
                let parent = self.path().rfind('/').map_or("/", |slash| &self.path()[..=slash]);
                without_dot_segments(&format!("{parent}{reference}"))
            }
        };
        Ok(Self { resource_name, ..self.clone() })
    }

    /// Whether the connection is within TLS: whether the scheme is `wss`.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host as it was written, an IPv6 address within brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host without brackets: whom a certificate must name, and a resolver is asked for.
    pub fn server_name(&self) -> &str {
        self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&self.host)
    }

    /// The port, by default 80 for `ws` and 443 for `wss`. It is never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, `/` if it was empty, and the query with its `?` unless that is empty.
    pub fn resource_name(&self) -> &str {
        &self.resource_name
    }

    /// The credentials, if the URL has any and was allowed to have them.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The value of `Host`: with the port, unless that is the default.
    pub fn host_field(&self) -> String {
        let default_port = if self.secure { 443 } else { 80 };
        if self.port == default_port {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Whether both have the same scheme, host and port.
    pub(super) fn is_same_server(&self, other: &Self) -> bool {
        self.secure == other.secure
            && self.host.eq_ignore_ascii_case(&other.host)
            && self.port == other.port
    }

    fn path(&self) -> &str {
        self.resource_name.split_once('?').map_or(&*self.resource_name, |(path, _)| path)
    }
}

impl FromStr for WsUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

/// Writes the URL without its credentials.
impl fmt::Display for WsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.host_field(), self.resource_name)
    }
}

/// `[name:password@]host[:port]`, as URLs that are dialled have it.
pub(super) struct AuthorityParts<'a> {
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) credentials: Option<Credentials>,
}

impl<'a> AuthorityParts<'a> {
    /// Parses an authority whose characters have been checked.
    pub(super) fn parse(text: &'a str, default_port: u16) -> Result<Self, UrlError> {
        let (user_information, text) = match text.split_once('@') {
            Some((user_information, text)) => (Some(user_information), text),
            None => (None, text),
        };
        let authority = Authority::examine(text).map_err(|error| match error {
            AuthorityError::NoHost => UrlError::NoHost,
            AuthorityError::Host => UrlError::Host,
            AuthorityError::Ipv6 => UrlError::Ipv6Address,
            AuthorityError::Zone => UrlError::ZoneIdentifier,
            AuthorityError::Port => UrlError::Port,
        })?;
        // An encoded host is valid, but names nothing that can be resolved; nor does one longer
        // than the system of domain names allows, RFC 1035 §2.3.4.
        if authority.host().contains('%') || authority.host().len() > 255 {
            return Err(UrlError::Host);
        }
        let port = authority.port().unwrap_or(default_port);
        if port == 0 {
            return Err(UrlError::Port);
        }
        let credentials = user_information.map(Credentials::from_user_information).transpose();
        let credentials = credentials.map_err(|_| UrlError::Credentials)?;
        Ok(Self { host: authority.host(), port, credentials })
    }
}

/// Why a URL is not one that can be connected to.
///
/// Where it helps, it says at which byte, counted from 0.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UrlError {
    /// The scheme is not `ws` or `wss` (RFC 6455 §3).
    Scheme,
    /// The scheme is `http` or `https`.
    Http,
    /// A proxy's scheme is not one that is spoken here.
    ProxyScheme,
    /// The scheme is not followed by `//` (RFC 6455 §3).
    NoAuthority,
    /// There is no host (RFC 6455 §3).
    NoHost,
    /// The host is neither a name nor an address (RFC 3986 §3.2.2).
    Host,
    /// Not an IPv6 address within brackets (RFC 3986 §3.2.2).
    Ipv6Address,
    /// An IPv6 address with a zone, which means something on one machine only (RFC 6874 §1).
    ZoneIdentifier,
    /// The port is not a number from 1 to 65535.
    Port,
    /// There is a name or password, and none was allowed (RFC 6455 §3).
    UserInformation,
    /// The name or the password cannot be sent (RFC 7617 §2).
    Credentials,
    /// There is a fragment identifier (RFC 6455 §3).
    Fragment {
        /// Where the `#` is.
        at: usize,
    },
    /// There is a space.
    Space {
        /// Where the first one is.
        at: usize,
    },
    /// There is a control character, such as a line end or NUL.
    Control {
        /// Where the first one is.
        at: usize,
    },
    /// There is a character outside ASCII.
    NotAscii {
        /// Where the first one begins.
        at: usize,
    },
    /// There is a character that no URL contains (RFC 3986 §2).
    Character {
        /// Where the first one is.
        at: usize,
    },
    /// A `%` is not followed by two hexadecimal digits, or encodes NUL (RFC 3986 §2.1).
    PercentEncoding {
        /// Where the `%` is.
        at: usize,
    },
}

impl UrlError {
    /// At which byte it is, if that is known.
    fn at(self) -> Option<usize> {
        match self {
            Self::Fragment { at }
            | Self::Space { at }
            | Self::Control { at }
            | Self::NotAscii { at }
            | Self::Character { at }
            | Self::PercentEncoding { at } => Some(at),
            Self::Scheme
            | Self::Http
            | Self::ProxyScheme
            | Self::NoAuthority
            | Self::NoHost
            | Self::Host
            | Self::Ipv6Address
            | Self::ZoneIdentifier
            | Self::Port
            | Self::UserInformation
            | Self::Credentials => None,
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "unknown scheme, expected ws:// or wss://",
            Self::Http => "an http:// or https:// URL, expected ws:// or wss://",
            Self::ProxyScheme => "unknown scheme of a proxy, expected http:// or socks5://",
            Self::NoAuthority => "expected // after the scheme, as in ws://server.example/",
            Self::NoHost => "the URL has no host, expected a name or an address",
            Self::Host => "invalid host, expected a name or an address",
            Self::Ipv6Address => "invalid IPv6 address, expected one such as [::1]",
            Self::ZoneIdentifier => "the IPv6 address has a zone identifier, expected none",
            Self::Port => "invalid port, expected a number from 1 to 65535",
            Self::UserInformation => "a name or a password in the URL, which was not allowed",
            Self::Credentials => "the name or the password in the URL cannot be sent",
            Self::Fragment { .. } => "a fragment, expected none, or %23",
            Self::Space { .. } => "a space, expected %20",
            Self::Control { .. } => "a control character, expected none",
            Self::NotAscii { .. } => "not ASCII, expected percent-encoding, or xn-- in a host",
            Self::Character { .. } => "a character that must be percent-encoded",
            Self::PercentEncoding { .. } => "expected two hexadecimal digits other than 00 after %",
        })?;
        self.at().map_or(Ok(()), |at| write!(f, ", at byte {at} of the URL"))
    }
}

impl Error for UrlError {}

/// Checks that there is nothing in the whole text that no part of such a URL may contain.
pub(super) fn check_characters(text: &str) -> Result<(), UrlError> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'%' => match text.as_bytes()[at + 1..] {
                [b'0', b'0', ..] => return Err(UrlError::PercentEncoding { at }),
                [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
                _ => return Err(UrlError::PercentEncoding { at }),
            },
            b'#' => return Err(UrlError::Fragment { at }),
            b' ' => return Err(UrlError::Space { at }),
            _ if is_target_byte(byte) => {}
            _ if byte.is_ascii_control() => return Err(UrlError::Control { at }),
            _ if !byte.is_ascii() => return Err(UrlError::NotAscii { at }),
            _ => return Err(UrlError::Character { at }),
        }
    }
    Ok(())
}

/// Splits off the scheme and its colon, RFC 3986 §3.1.
pub(super) fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    valid.then_some((scheme, rest))
}

/// The resource name of §3: a path that is not empty, and the query unless it is.
fn resource_name(path_and_query: &str) -> Box<str> {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let path = if path.is_empty() { "/" } else { path };
    if query.is_empty() { path.into() } else { format!("{path}?{query}").into() }
}

/// The resource name after `.` and `..` have taken effect, RFC 3986 §5.2.4.
fn without_dot_segments(path_and_query: &str) -> Box<str> {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." => {}
            ".." => _ = kept.pop(),
            segment => {
                kept.push(segment);
                continue;
            }
        }
        // `/a/.` is a directory, as `/a/` is.
        if is_last {
            kept.push("");
        }
    }
    resource_name(&format!("/{}?{query}", kept.join("/")))
}

#[cfg(test)]
mod tests;
