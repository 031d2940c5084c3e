//! Which web pages may connect, RFC 6455 §10.2.

use super::authority::Authority;

/// Which origins may connect.
///
/// Browsers let any page of any site open a WebSocket to any server, with the user's cookies, and
/// say in `Origin` which site it was. To not look is to let every page act for its visitors.
/// A request without `Origin` does not come from a browser and is always allowed.
///
/// Origins are compared whole: scheme, host and port, without regard to case.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum OriginPolicy {
    /// The page must come from the host and port it connects to. The default.
    ///
    /// The scheme may differ: behind a proxy that ends TLS, the server does not know its own. So a
    /// page that was loaded from the same host by `http`, and which somebody on the way may have
    /// written, is let in too: where that matters, list the `https` origins.
    #[default]
    SameHost,
    /// The origin must be one of these, such as `https://a.example` or `http://localhost:8080`.
    ///
    /// What is not an origin matches none; mind that an origin does not end with a slash. Sandboxed
    /// pages and local files are the origin `null`, which must be listed to be allowed.
    AnyOf(Vec<String>),
    /// Any page of any site may connect.
    ///
    /// Only for what is public anyway, or where something else than cookies proves who is there.
    Any,
}

impl OriginPolicy {
    /// Allows these origins, see [`AnyOf`](Self::AnyOf).
    pub fn any_of(origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::AnyOf(origins.into_iter().map(Into::into).collect())
    }

    /// Whether a page of this origin may connect to this host.
    pub(super) fn allows(&self, origin: &[u8], host: Option<&str>) -> bool {
        if *self == Self::Any {
            return true;
        }
        let Some(origin) = str::from_utf8(origin).ok().and_then(Origin::parse) else {
            return false;
        };
        match self {
            Self::Any => true,
            Self::SameHost => host.is_some_and(|host| origin.is_on(host)),
            Self::AnyOf(allowed) => allowed
                .iter()
                .filter_map(|allowed| Origin::parse(allowed))
                .any(|allowed| allowed.is_same(&origin)),
        }
    }
}

/// An origin as browsers write it, RFC 6454 §6.2.
#[derive(Clone, Copy, Debug)]
enum Origin<'a> {
    /// `null`: a page that is to have nothing in common with any other.
    Opaque,
    /// The scheme of a page, its host and port.
    Tuple(&'a str, Authority<'a>),
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        if text == "null" {
            return Some(Self::Opaque);
        }
        let (scheme, authority) = text.split_once("://")?;
        let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        valid.then_some(Self::Tuple(scheme, Authority::parse(authority)?))
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Opaque, Self::Opaque) => true,
            (Self::Tuple(scheme, authority), Self::Tuple(other_scheme, other)) => {
                scheme.eq_ignore_ascii_case(other_scheme)
                    && authority.is_same(other, default_port(scheme))
            }
            (Self::Opaque, Self::Tuple(..)) | (Self::Tuple(..), Self::Opaque) => false,
        }
    }

    /// Whether the page came from `host` by HTTP. Whether that was within TLS is not known.
    ///
    /// An application that shows pages of its own, as `capacitor://localhost`, is not the server's
    /// page.
    fn is_on(&self, host: &str) -> bool {
        let Self::Tuple(scheme, authority) = self else { return false };
        default_port(scheme).is_some_and(|port| {
            Authority::parse(host).is_some_and(|host| authority.is_same(&host, Some(port)))
        })
    }
}

/// The port that no port stands for.
fn default_port(scheme: &str) -> Option<u16> {
    if ["http", "ws"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        Some(80)
    } else if ["https", "wss"].iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        Some(443)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same_host(origin: &str, host: &str) -> bool {
        OriginPolicy::SameHost.allows(origin.as_bytes(), Some(host))
    }

    #[test]
    fn a_page_may_connect_to_the_host_and_port_it_came_from() {
        for (origin, host) in [
            ("http://a.example", "a.example"),
            ("http://a.example", "a.example:80"),
            ("http://a.example:80", "a.example"),
            ("https://a.example", "a.example"),
            ("https://a.example", "a.example:443"),
            ("HTTPS://A.Example", "a.eXAMPLE"),
            ("http://localhost:8080", "localhost:8080"),
            ("http://[::1]:9", "[::1]:9"),
        ] {
            assert!(same_host(origin, host), "{origin} to {host}");
        }
    }

    #[test]
    fn no_other_page_may_unless_it_is_listed() {
        for (origin, host) in [
            ("http://a.example", "a.example:443"),
            ("https://a.example", "a.example:80"),
            ("https://a.example:444", "a.example"),
            ("https://a.example.evil", "a.example"),
            ("https://evil-a.example", "a.example"),
            ("https://evil", "a.example"),
            ("https://a.example/", "a.example"),
            ("https://u@a.example", "a.example"),
            ("a.example", "a.example"),
            ("https://a.example https://a.example", "a.example"),
            ("null", "null"),
            ("file://", "a.example"),
            ("", "a.example"),
        ] {
            assert!(!same_host(origin, host), "{origin} to {host}");
        }
        assert!(!OriginPolicy::SameHost.allows(b"https://\xff", Some("a")));
        assert!(!OriginPolicy::SameHost.allows(b"https://a", None));
    }

    #[test]
    fn a_list_is_compared_whole() {
        let policy = OriginPolicy::any_of(["https://a.example", "http://localhost:8080", "x://y"]);
        for allowed in
            ["https://a.example", "https://A.EXAMPLE:443", "http://localhost:8080", "X://y"]
        {
            assert!(policy.allows(allowed.as_bytes(), Some("b")), "{allowed}");
        }
        for refused in [
            "https://a.example.evil",
            "http://a.example",
            "https://a.example:444",
            "https://sub.a.example",
            "http://localhost",
            "x://y:80",
            "null",
            "https://b",
            "",
        ] {
            assert!(!policy.allows(refused.as_bytes(), Some("b")), "{refused}");
        }
    }

    #[test]
    fn the_opaque_origin_and_all_others_are_allowed_on_request() {
        assert!(OriginPolicy::any_of(["null"]).allows(b"null", Some("a")));
        assert!(!OriginPolicy::any_of(["null"]).allows(b"https://a", Some("a")));
        // An entry that is no origin matches nothing, itself included.
        assert!(!OriginPolicy::any_of(["https://a/", ""]).allows(b"https://a/", Some("a")));
        for origin in [&b"null"[..], b"https://evil", b"", b"\xff"] {
            assert!(OriginPolicy::Any.allows(origin, None));
        }
    }
}
