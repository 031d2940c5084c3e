//! A host with an optional port: what `Host` holds, and what absolute targets and origins contain.

use core::net::Ipv6Addr;

use super::syntax::{is_subcomponent_delimiter, is_unreserved, is_uri_text};

/// A host and the port that follows it, if any, RFC 3986 §3.2.
///
/// User information is not accepted: RFC 9110 §4.2.4 calls it an error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses `host[:port]`, or returns `None` if it is no valid one.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        Self::examine(text).ok()
    }

    /// Parses `host[:port]`, or says what is wrong with it.
    pub(super) fn examine(text: &'a str) -> Result<Self, AuthorityError> {
        let host_len = match text.strip_prefix('[') {
            Some(rest) => {
                let address = &rest[..rest.find(']').ok_or(AuthorityError::Ipv6)?];
                // Zone identifiers are refused as well: they mean something on one machine only.
                if address.contains('%') {
                    return Err(AuthorityError::Zone);
                }
                address.parse::<Ipv6Addr>().map_err(|_| AuthorityError::Ipv6)?;
                address.len() + 2
            }
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_len);
        if host.is_empty() {
            return Err(AuthorityError::NoHost);
        }
        if !host.starts_with('[') && !is_registered_name(host) {
            return Err(AuthorityError::Host);
        }
        let port = parse_port(port).ok_or(AuthorityError::Port)?;
        Ok(Self { host, port })
    }

    /// The host, an IPv6 address in its brackets.
    pub(super) fn host(&self) -> &'a str {
        self.host
    }

    /// The port, if there is one.
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether `name` is this host, whatever the port.
    pub(super) fn is_host(&self, name: &str) -> bool {
        self.host.eq_ignore_ascii_case(name)
    }

    /// Whether both name the same host and port, where `default_port` is what no port stands for.
    pub(super) fn is_same(&self, other: &Self, default_port: Option<u16>) -> bool {
        self.is_host(other.host) && self.port.or(default_port) == other.port.or(default_port)
    }
}

/// What is wrong with an authority.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AuthorityError {
    /// There is no host.
    NoHost,
    /// The host has characters that no name or address has.
    Host,
    /// What begins with a bracket is no IPv6 address in brackets.
    Ipv6,
    /// An IPv6 address with a zone identifier.
    Zone,
    /// What follows the host is no port.
    Port,
}

/// Parses the port with its colon. Without digits it is absent, RFC 3986 §3.2.3.
fn parse_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    match text.strip_prefix(':')? {
        "" => Some(None),
        // Integers parse with a sign as well, which a port cannot have.
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

/// Whether `name` is a name or an IPv4 address, RFC 3986 §3.2.2.
///
/// A comma is refused although the grammar has it: it shows that someone joined two fields.
fn is_registered_name(name: &str) -> bool {
    let allowed = |byte| is_unreserved(byte) || byte != b',' && is_subcomponent_delimiter(byte);
    is_uri_text(name, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_an_optional_port() {
        for text in ["a", "a.example", "A_b-c~1", "1.2.3.4:80", "h:", "h:65535", "[::1]", "[::1]:9"]
        {
            assert!(Authority::parse(text).is_some(), "{text}");
        }
        for text in [
            "",
            ":80",
            "a/b",
            "u@h",
            "u:p@h",
            "a b",
            "a,b",
            "h:x",
            "h:+80",
            "h:-1",
            "h:65536",
            "h:1:2",
            "::1",
            "[::1",
            "[::1]x",
            "[::1%25eth0]",
            "[v1.a]",
            "[]",
            "é",
            "a%",
            "a\\b",
            "a?",
            "a#b",
            "<h>",
        ] {
            assert!(Authority::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn no_port_stands_for_the_default_port() {
        let same = |left, right, default| {
            let [left, right] = [left, right].map(|text| Authority::parse(text).unwrap());
            left.is_same(&right, default)
        };
        assert!(same("a.example", "A.Example", None));
        assert!(same("a:443", "a", Some(443)));
        assert!(same("a:", "a:80", Some(80)));
        assert!(!same("a:80", "a", Some(443)));
        assert!(!same("a:80", "a", None));
        assert!(!same("a", "a.evil", Some(80)));
    }
}
