//! Where a request comes from that proxies have passed on: `Forwarded` (RFC 7239), or
//! `X-Forwarded-For`.
//!
//! Anyone can send these fields. What they say is known as far as it was added by proxies that are
//! trusted: each adds, at the end, whom its request came from. So they are read from the end, one
//! hop after the other, for as long as whom they name is trusted to have told the truth about the
//! one before.

use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;
use core::{error::Error, fmt, mem};

use super::request::Request;
use super::syntax::{is_token, is_token_byte, trim};

/// The proxies that are trusted to say whose requests they pass on.
///
/// By default none: then a client's address is that of the connection, and fields that claim
/// something else are ignored.
///
/// A proxy must only be named here if it adds the field to each request itself, or replaces it, and
/// nobody but proxies can connect from its address.
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{ProxyField, TrustedProxies};
///
/// let proxies = TrustedProxies::new(ProxyField::XForwardedFor, ["127.0.0.1", "10.1.0.0/16"])?;
/// # let _ = proxies;
/// assert!(TrustedProxies::new(ProxyField::Forwarded, ["10.1.2.3/16"]).is_err());
/// # Ok::<(), wsloop::handshake::InvalidNetwork>(())
/// ```
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrustedProxies {
    field: ProxyField,
    networks: Vec<Network>,
    unix_sockets: bool,
}

/// The field in which proxies say whose requests they pass on.
///
/// It has to be chosen: whoever sends the other one gets it past proxies that do not know it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyField {
    /// `X-Forwarded-For`, with the host that was asked for in `X-Forwarded-Host`, as most proxies
    /// have it.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

/// Why something is no network or address: it is not written as `10.0.0.0/8`, `2001:db8::/32` or
/// `127.0.0.1`, or it has bits set behind its prefix, so that it is unclear what was meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct InvalidNetwork;

/// Where a request comes from, as far as is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Forwarded<'h> {
    /// The address of the client, or of the proxy behind which there is no telling. `None` if all
    /// that is known of it is a Unix socket.
    pub client: Option<IpAddr>,
    /// The host that the client asked for, with its port if there was one. Proxies may have asked
    /// for another.
    pub host: Option<&'h str>,
}

impl TrustedProxies {
    /// Trusts what these addresses and networks say in this field.
    ///
    /// # Errors
    ///
    /// Fails if one of them is neither.
    pub fn new<S: AsRef<str>>(
        field: ProxyField,
        networks: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidNetwork> {
        let networks = networks.into_iter().map(|network| network.as_ref().parse());
        Ok(Self { field, networks: networks.collect::<Result<_, _>>()?, unix_sockets: false })
    }

    /// Trusts whoever connects through a Unix socket as well.
    #[must_use]
    pub fn and_unix_sockets(mut self) -> Self {
        self.unix_sockets = true;
        self
    }

    /// Says where a request comes from that arrived from this address, or, if that is `None`,
    /// through a Unix socket.
    ///
    /// The client is the nearest one who is not trusted. Where a proxy does not say whom its
    /// request came from (`unknown`, a name of its own making, or nothing that can be read), that
    /// proxy is the answer. If all are trusted, it is the farthest.
    ///
    /// IPv4 addresses that are mapped to IPv6 ones are IPv4 addresses.
    #[must_use]
    pub fn locate<'h>(&self, request: &Request<'h>, from: Option<IpAddr>) -> Forwarded<'h> {
        let from = from.map(|addr| addr.to_canonical());
        let direct = Forwarded { client: from, host: request.host() };
        if !self.trusts(from) {
            return direct;
        }
        match self.field {
            ProxyField::XForwardedFor => {
                let lines: Vec<_> = request.values("X-Forwarded-For").collect();
                let hops = lines.iter().rev().flat_map(|line| line.rsplit(|&byte| byte == b','));
                let hops = hops.map(trim).filter(|hop| !hop.is_empty());
                let hops = hops.map(|node| Some(Hop { client: parse_node(node)?, host: None }));
                self.follow(hops, Forwarded { host: x_forwarded_host(request), ..direct })
            }
            ProxyField::Forwarded => {
                let lines: Vec<_> = request.values("Forwarded").collect();
                let hops = lines.iter().rev().flat_map(|line| FromTheEnd { rest: Some(line) });
                let hops = hops.map(trim).filter(|hop| !hop.is_empty());
                self.follow(hops.map(Hop::parse), direct)
            }
        }
    }

    /// Follows the hops back, as far as those that report them are trusted.
    fn follow<'h>(
        &self,
        hops: impl Iterator<Item = Option<Hop<'h>>>,
        mut found: Forwarded<'h>,
    ) -> Forwarded<'h> {
        // Without one, the field is not what it was taken for.
        for hop in hops.map_while(|hop| hop) {
            found.host = hop.host.or(found.host);
            let Some(client) = hop.client else { break };
            found.client = Some(client);
            if !self.trusts(found.client) {
                break;
            }
        }
        found
    }

    fn trusts(&self, from: Option<IpAddr>) -> bool {
        match from {
            Some(addr) => self.networks.iter().any(|network| network.contains(addr)),
            None => self.unix_sockets,
        }
    }
}

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Network {
    addr: IpAddr,
    prefix_len: u32,
}

impl Network {
    fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr) {
            (IpAddr::V4(own), IpAddr::V4(addr)) => {
                let differing = (own.to_bits() ^ addr.to_bits()).checked_shr(32 - self.prefix_len);
                differing.unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(addr)) => {
                let differing = (own.to_bits() ^ addr.to_bits()).checked_shr(128 - self.prefix_len);
                differing.unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (addr, prefix_len) = match text.split_once('/') {
            Some((addr, prefix_len)) => (addr, Some(prefix_len)),
            None => (text, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| InvalidNetwork)?;
        let bits = if addr.is_ipv4() { 32 } else { 128 };
        let prefix_len = match prefix_len {
            // Integers parse with a sign as well, which a length cannot have.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
            None => bits,
        };
        let behind = match addr {
            IpAddr::V4(addr) => addr.to_bits().checked_shl(prefix_len).unwrap_or(0).into(),
            IpAddr::V6(addr) => addr.to_bits().checked_shl(prefix_len).unwrap_or(0),
        };
        if prefix_len > bits || behind != 0 {
            return Err(InvalidNetwork);
        }
        Ok(match addr.to_canonical() {
            // Mapped addresses are compared as what they stand for.
            canonical if canonical != addr && prefix_len >= 96 => {
                Self { addr: canonical, prefix_len: prefix_len - 96 }
            }
            _ => Self { addr, prefix_len },
        })
    }
}

/// What a proxy says about a request that it passes on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Hop<'h> {
    /// Whom it came from. `None` if the proxy does not say.
    client: Option<IpAddr>,
    /// The host that was asked for.
    host: Option<&'h str>,
}

impl<'h> Hop<'h> {
    /// Parses an element of `Forwarded`, RFC 7239 §4.
    fn parse(element: &'h [u8]) -> Option<Self> {
        let mut hop = Self::default();
        let mut seen = [false; 2];
        let mut rest = Some(element);
        while let Some(pairs) = rest {
            let pair;
            (pair, rest) = Pair::split_off(pairs)?;
            let seen = match pair.name {
                name if name.eq_ignore_ascii_case(b"for") => {
                    hop.client = parse_node(pair.value)?;
                    &mut seen[0]
                }
                name if name.eq_ignore_ascii_case(b"host") => {
                    hop.host = str::from_utf8(pair.value).ok();
                    &mut seen[1]
                }
                _ => continue,
            };
            // §4: "Each parameter MUST NOT occur more than once".
            if mem::replace(seen, true) {
                return None;
            }
        }
        Some(hop)
    }
}

/// A parameter of an element, RFC 7239 §4.
#[derive(Clone, Copy, Debug)]
struct Pair<'h> {
    name: &'h [u8],
    /// Without its quotes. Nothing that is of use here takes a backslash to write, so that what has
    /// one keeps it, and is no address.
    value: &'h [u8],
}

impl<'h> Pair<'h> {
    /// Splits the first pair off from those that semicolons are between. Returns what is behind the
    /// semicolon, if there is one.
    fn split_off(pairs: &'h [u8]) -> Option<(Self, Option<&'h [u8]>)> {
        let equals = pairs.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (trim(&pairs[..equals]), &pairs[equals + 1..]);
        if !is_token(name) {
            return None;
        }
        let (value, behind) = match value {
            [b'"', quoted @ ..] => {
                let is_end = |&at: &usize| quoted[at] == b'"' && !ends_with_escape(&quoted[..at]);
                let end = (0..quoted.len()).find(is_end)?;
                (&quoted[..end], &quoted[end + 1..])
            }
            value => {
                // Colons and brackets should be in quotes, but not everyone knows.
                let is_value = |byte| is_token_byte(byte) || b":[]".contains(&byte);
                let end = value.iter().position(|&byte| !is_value(byte)).unwrap_or(value.len());
                value.split_at(end)
            }
        };
        match trim(behind) {
            [] => Some((Self { name, value }, None)),
            [b';', rest @ ..] => Some((Self { name, value }, Some(rest))),
            _ => None,
        }
    }
}

/// The elements of a list, the last one first.
///
/// Quotes are paired from the end as well. The beginning of a line may be the work of anyone, and a
/// quote that is opened there and never closed must not swallow what a proxy has added.
struct FromTheEnd<'h> {
    rest: Option<&'h [u8]>,
}

impl<'h> Iterator for FromTheEnd<'h> {
    type Item = &'h [u8];

    fn next(&mut self) -> Option<&'h [u8]> {
        let list = self.rest.take()?;
        let mut quoted = false;
        for (at, &byte) in list.iter().enumerate().rev() {
            match byte {
                b'"' if quoted && ends_with_escape(&list[..at]) => {}
                b'"' => quoted = !quoted,
                b',' if !quoted => {
                    self.rest = Some(&list[..at]);
                    return Some(&list[at + 1..]);
                }
                _ => {}
            }
        }
        Some(list)
    }
}

/// Whether what follows is escaped, RFC 9110 §5.6.4.
fn ends_with_escape(text: &[u8]) -> bool {
    text.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// Parses whom a request came from, RFC 7239 §6: an address with an optional port, or a word that
/// stands for one, which is `Some(None)`.
///
/// IPv6 addresses may be without brackets if they are without a port.
fn parse_node(node: &[u8]) -> Option<Option<IpAddr>> {
    let text = str::from_utf8(node).ok()?;
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Some(Some(addr.to_canonical()));
    }
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((addr, port)) => {
            let addr: Ipv6Addr = addr.parse().ok()?;
            (Some(IpAddr::V6(addr).to_canonical()), port)
        }
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            match name.parse() {
                Ok(addr) => (Some(IpAddr::V4(addr)), port),
                Err(_) if name.eq_ignore_ascii_case("unknown") || is_obfuscated(name) => {
                    (None, port)
                }
                Err(_) => return None,
            }
        }
    };
    is_port(port).then_some(name)
}

/// Whether this is nothing, or a colon and a port, which may be obfuscated, RFC 7239 §6.2.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(port) => {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            digits && (1..=5).contains(&port.len()) || is_obfuscated(port)
        }
        None => text.is_empty(),
    }
}

/// RFC 7239 §6.3: an underscore, and what a proxy likes to call whom it does not name.
fn is_obfuscated(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.strip_prefix('_').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(allowed))
}

/// The host in `X-Forwarded-Host`, if that is one; else the request's own. Of several, nobody can
/// tell which of the proxies was asked for which.
fn x_forwarded_host<'h>(request: &Request<'h>) -> Option<&'h str> {
    let mut values = request.values("X-Forwarded-Host");
    match (values.next(), values.next()) {
        (Some(value), None) if !value.contains(&b',') => str::from_utf8(value).ok(),
        _ => request.host(),
    }
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither an address nor a network such as 10.0.0.0/8")
    }
}

impl Error for InvalidNetwork {}

#[cfg(test)]
mod tests;
