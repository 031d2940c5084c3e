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
    /// The scheme may differ: behind a proxy that ends TLS, the server does not know its own.
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

    /// Whether the page came from `host`, of which the scheme is not known.
    fn is_on(&self, host: &str) -> bool {
        let Self::Tuple(scheme, authority) = self else { return false };
        Authority::parse(host).is_some_and(|host| authority.is_same(&host, default_port(scheme)))
    }
}

/// The port that no port stands for.
fn default_port(scheme: &str) -> Option<u16> {
    let is = |other| scheme.eq_ignore_ascii_case(other);
    match () {
        () if is("http") || is("ws") => Some(80),
        () if is("https") || is("wss") => Some(443),
        () => None,
    }
}
