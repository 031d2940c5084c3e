//! The server's side of the opening handshake, RFC 6455 §4.2: which requests may be upgraded.

use super::accept_key::accept_key;
use super::authority::Authority;
use super::extensions::{Extensions, Malformed};
use super::offer::Offer;
use super::origin::OriginPolicy;
use super::refusal::Refusal;
use super::request::Request;
use super::subprotocol::Subprotocols;

/// Which upgrades a server welcomes.
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{OriginPolicy, Policy};
///
/// let mut policy = Policy::default();
/// policy.origins = OriginPolicy::any_of(["https://app.example", "http://localhost:8080"]);
/// policy.subprotocols = vec!["chat.v2".to_owned(), "chat.v1".to_owned()];
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Which web pages may connect. By default those from the same host: this is the only setting
    /// that protects users and still lets a page talk to the server it came from.
    pub origins: OriginPolicy,
    /// The hosts this server answers for, such as `localhost` or `[::1]`, without a port. By
    /// default any.
    ///
    /// A server that only this machine or this network should reach needs them: otherwise a page
    /// that makes its own name resolve to the server's address (DNS rebinding) is of the same host.
    pub allowed_hosts: Option<Vec<String>>,
    /// The subprotocols this server speaks, the preferred one first. By default none.
    ///
    /// Of those that a client offers, the first in this order is picked: it is the server that
    /// knows what it does best. The application may pick another one of the client's.
    pub subprotocols: Vec<String>,
}

impl Policy {
    /// Judges a request, and returns what the client offers if it asks for an upgrade.
    ///
    /// Returns `None` for a plain HTTP request. By RFC 9110 §7.8 that is also one of HTTP/1.0, one
    /// that does not name `Upgrade` in `Connection`, or one that asks for another protocol; answer
    /// it as the application likes, or with [`Refusal::UpgradeRequired`].
    ///
    /// # Errors
    ///
    /// Fails if the host is not served here; and if a request for an upgrade has the wrong version
    /// or an invalid key, malformed subprotocols or extensions, or an unwelcome origin, in this
    /// order.
    pub fn judge(&self, request: &Request<'_>) -> Result<Option<Offer>, Refusal> {
        self.judge_forwarded(request, request.host())
    }

    /// Judges a request that a proxy has passed on, as [`judge`](Self::judge) does, where the
    /// client asked for `host`.
    ///
    /// That is what the origin of [`SameHost`](OriginPolicy::SameHost) is compared with, as the
    /// page was loaded from there.
    ///
    /// # Errors
    ///
    /// As those of [`judge`](Self::judge).
    pub fn judge_forwarded(
        &self,
        request: &Request<'_>,
        host: Option<&str>,
    ) -> Result<Option<Offer>, Refusal> {
        if !self.is_host_allowed(request.host()) {
            return Err(Refusal::MisdirectedRequest);
        }
        if !request.is_upgrade() {
            return Ok(None);
        }
        check_version(request)?;
        let key = request.single("Sec-WebSocket-Key", Refusal::Key)?;
        let accept_key = key.and_then(accept_key).ok_or(Refusal::Key)?;
        let subprotocols = Subprotocols::parse(request.values("Sec-WebSocket-Protocol"))?;
        let extensions = Extensions::parse(request.values("Sec-WebSocket-Extensions"))
            .map_err(|Malformed| Refusal::Extensions)?;
        let origin = request.single("Origin", Refusal::RepeatedOrigin)?;
        if origin.is_some_and(|origin| !self.origins.allows(origin, host)) {
            return Err(Refusal::Origin);
        }
        let preferred = self.subprotocols.iter().find(|known| subprotocols.contain(known));
        Ok(Some(Offer {
            accept_key,
            preferred: preferred.map(|known| known.as_str().into()),
            subprotocols,
            extensions,
            continue_owed: request.expects_continue(),
        }))
    }

    fn is_host_allowed(&self, host: Option<&str>) -> bool {
        let Some(allowed) = &self.allowed_hosts else { return true };
        let host = host.and_then(Authority::parse);
        host.is_some_and(|host| allowed.iter().any(|name| host.is_host(name)))
    }
}

/// Checks that the client speaks version 13.
fn check_version(request: &Request<'_>) -> Result<(), Refusal> {
    match request.single("Sec-WebSocket-Version", Refusal::Version)? {
        Some(b"13") => Ok(()),
        Some(other) if is_version(other) => Err(Refusal::UnsupportedVersion),
        Some(_) | None => Err(Refusal::Version),
    }
}

/// Whether this could be a version, RFC 6455 §4.3: 0 to 255, without leading zeros.
fn is_version(value: &[u8]) -> bool {
    let canonical = matches!(value, [b'0'] | [b'1'..=b'9', ..]);
    canonical && str::from_utf8(value).is_ok_and(|digits| digits.parse::<u8>().is_ok())
}

#[cfg(test)]
mod tests;
