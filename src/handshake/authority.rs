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
        let host_len = match text.strip_prefix('[') {
            Some(rest) => {
                let address = &rest[..rest.find(']')?];
                // Refuses zone identifiers too: they mean something on one machine only.
                address.parse::<Ipv6Addr>().ok()?;
                address.len() + 2
            }
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, port) = text.split_at(host_len);
        let valid = host.starts_with('[') || is_registered_name(host);
        valid.then_some(Self { host, port: parse_port(port)? })
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
    !name.is_empty() && is_uri_text(name, allowed)
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
