//! What a client asks a server, RFC 6455 §4.1.

use core::{error::Error, fmt};
use std::borrow::Cow;

use crate::handshake::accept_key::written_key;
use crate::handshake::credentials::Credentials;
#[cfg(feature = "deflate")]
use crate::handshake::deflate::{Asked, DeflateOptions};
use crate::handshake::extensions::Extensions;
use crate::handshake::fields::{Fields, InvalidField};
use crate::handshake::subprotocol::Subprotocols;
use crate::handshake::syntax::{is_token, trim};
use crate::handshake::url::{UrlError, WsUrl};

use super::ServerRefusal;

/// A client's opening handshake: where it goes, and what it offers.
///
/// It can be sent any number of times, over a new connection and with a new key each time.
///
/// # Examples
///
/// ```
/// use wsloop::handshake::{ClientRequest, WsUrl};
///
/// let request = ClientRequest::new(WsUrl::parse("ws://server.example:9001/chat")?)
///     .subprotocol("chat.v2")?
///     .subprotocol("chat.v1")?
///     .header("Authorization", "Bearer mF_9.B5f-4.1JqM")?;
/// let mut output = Vec::new();
/// request.encode(*b"the sample nonce", &mut output);
/// assert_eq!(
///     String::from_utf8_lossy(&output),
///     "GET /chat HTTP/1.1\r\n\
///      Host: server.example:9001\r\n\
///      Upgrade: websocket\r\n\
///      Connection: Upgrade\r\n\
///      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///      Sec-WebSocket-Version: 13\r\n\
///      Sec-WebSocket-Protocol: chat.v2, chat.v1\r\n\
///      Authorization: Bearer mF_9.B5f-4.1JqM\r\n\
///      \r\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClientRequest {
    url: WsUrl,
    pub(super) subprotocols: Subprotocols,
    pub(super) requires_subprotocol: bool,
    pub(super) extensions: Extensions,
    #[cfg(feature = "deflate")]
    deflate: Asked,
    fields: Fields,
    /// The value of `Cookie`, of which there is never more than one (RFC 6265 §5.4).
    cookies: Vec<u8>,
    credentials: Option<Credentials>,
    /// How many redirections have led here.
    redirects: u8,
}

/// What most browsers allow is 20, and what any server needs is 2: to `wss`, and to another path.
const MAX_REDIRECTS: u8 = 5;

impl ClientRequest {
    /// Creates a request that offers nothing and says nothing but what it must.
    ///
    /// If the URL has credentials, they are sent as Basic authentication.
    pub fn new(url: WsUrl) -> Self {
        Self {
            credentials: url.credentials().cloned(),
            url,
            subprotocols: Subprotocols::default(),
            requires_subprotocol: false,
            extensions: Extensions::default(),
            #[cfg(feature = "deflate")]
            deflate: Asked::ForNothing,
            fields: Fields::default(),
            cookies: Vec::new(),
            redirects: 0,
        }
    }

    /// Offers a subprotocol. Those offered first are preferred.
    ///
    /// # Errors
    ///
    /// Fails if the name is not a token, or has been offered already.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidOffer> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidOffer::Subprotocol);
        }
        if self.subprotocols.push(name) { Ok(self) } else { Err(InvalidOffer::Repeated) }
    }

    /// Fails the handshake if the server picks none of the offered subprotocols, as browsers do.
    ///
    /// RFC 6455 §4.1 leaves the connection open in this case, and so does this library by default.
    #[must_use]
    pub fn require_subprotocol(mut self) -> Self {
        self.requires_subprotocol = true;
        self
    }

    /// Offers an extension, with its parameters as in `x-lines; size=10`.
    ///
    /// What the server agrees to is in [`Established::extensions`](super::Established::extensions).
    /// It is then for whoever reads and writes the frames to do as agreed; of all extensions,
    /// [`protocol`](crate::protocol) knows permessage-deflate alone, with the feature `deflate`.
    ///
    /// # Errors
    ///
    /// Fails if this is not one extension at least, by the grammar of RFC 6455 §9.1.
    pub fn extension(mut self, offer: &str) -> Result<Self, InvalidOffer> {
        let mut offered = Extensions::default();
        let malformed = offered.push(offer).is_err() || offered.iter().next().is_none();
        if malformed || self.extensions.push(offer).is_err() {
            return Err(InvalidOffer::Extension);
        }
        Ok(self)
    }

    /// Offers to compress messages (RFC 7692), after the extensions offered before.
    ///
    /// What the server agrees to is in [`Established::deflate`](super::Established::deflate). An
    /// answer that does not fit these options fails the handshake. Only the options of the last
    /// call are offered.
    ///
    /// For the clients of this crate these options take the place of those that their settings have.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, options: DeflateOptions) -> Self {
        self.deflate = Asked::For(options);
        self
    }

    /// Does not offer to compress messages, whatever the settings of a client say.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn no_deflate(mut self) -> Self {
        self.deflate = Asked::ForNone;
        self
    }

    /// Offers to compress messages by these options, unless the application has said anything about
    /// that.
    #[cfg(all(feature = "deflate", any(feature = "client", feature = "event-loop")))]
    pub(crate) fn deflate_by_default(mut self, options: Option<DeflateOptions>) -> Self {
        self.deflate = self.deflate.or(options);
        self
    }

    /// How messages are offered to be compressed.
    #[cfg(feature = "deflate")]
    pub(super) fn offered_deflate(&self) -> Option<DeflateOptions> {
        self.deflate.options()
    }

    /// Adds a header field, without the whitespace around its value.
    ///
    /// Fields are for the server that the URL names: a redirection carries none of them to another
    /// one. Several of `Cookie` are joined to one.
    ///
    /// # Errors
    ///
    /// Fails if the name is not a token, if the value contains control characters, and for fields
    /// that frame the request, belong to the handshake, or must not be repeated.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        let value = value.as_ref();
        if !name.eq_ignore_ascii_case("Cookie") {
            self.fields.push_request(name, value)?;
            return Ok(self);
        }
        Fields::default().push(name, value)?;
        if !self.cookies.is_empty() {
            self.cookies.extend_from_slice(b"; ");
        }
        self.cookies.extend_from_slice(trim(value));
        Ok(self)
    }

    /// Adds a cookie.
    ///
    /// # Errors
    ///
    /// Fails unless the name is a token, and the value is what RFC 6265 §4.1.1 allows: visible
    /// ASCII without quotation marks, commas, semicolons and backslashes.
    pub fn cookie(self, name: &str, value: &str) -> Result<Self, InvalidField> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidField::Name);
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)) {
            return Err(InvalidField::Value);
        }
        self.header("Cookie", format!("{name}={value}"))
    }

    /// Says which site's page is connecting, as only browsers must.
    ///
    /// # Errors
    ///
    /// Fails if it contains control characters, or if there is one already.
    pub fn origin(self, origin: &str) -> Result<Self, InvalidField> {
        self.header("Origin", origin)
    }

    /// Sends these credentials as Basic authentication instead of those of the URL.
    ///
    /// They are readable on the way unless the URL is `wss`. An `Authorization` field that is set
    /// goes instead of them.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Where the request goes.
    pub fn url(&self) -> &WsUrl {
        &self.url
    }

    /// Appends the request to `output`.
    ///
    /// `key` is 16 bytes nobody can foretell, other ones for every connection (RFC 6455 §4.1). The
    /// server's answer is to be judged by a [`ClientHandshake`](super::ClientHandshake) of the same
    /// request and key; it [encodes](super::ClientHandshake::start) the request itself.
    pub fn encode(&self, key: [u8; 16], output: &mut Vec<u8>) {
        let mut write = |parts: &[&[u8]]| parts.iter().for_each(|it| output.extend_from_slice(it));
        write(&[b"GET ", self.url.resource_name().as_bytes(), b" HTTP/1.1\r\n"]);
        write(&[b"Host: ", self.url.host_field().as_bytes(), b"\r\n"]);
        write(&[b"Upgrade: websocket\r\nConnection: Upgrade\r\n"]);
        write(&[b"Sec-WebSocket-Key: ", &written_key(key), b"\r\n"]);
        write(&[b"Sec-WebSocket-Version: 13\r\n"]);
        let subprotocols: Vec<_> = self.subprotocols.iter().collect();
        if !subprotocols.is_empty() {
            write(&[b"Sec-WebSocket-Protocol: ", subprotocols.join(", ").as_bytes(), b"\r\n"]);
        }
        if let Some(extensions) = self.offered_extensions().line() {
            write(&[b"Sec-WebSocket-Extensions: ", extensions.as_bytes(), b"\r\n"]);
        }
        if let Some(credentials) = &self.credentials
            && !self.fields.contain("Authorization")
        {
            write(&[b"Authorization: ", credentials.basic().as_bytes(), b"\r\n"]);
        }
        if !self.cookies.is_empty() {
            write(&[b"Cookie: ", &self.cookies, b"\r\n"]);
        }
        write(&[self.fields.as_bytes(), b"\r\n"]);
    }

    /// All extensions that are offered, the preferred one first.
    pub(super) fn offered_extensions(&self) -> Cow<'_, Extensions> {
        #[cfg(feature = "deflate")]
        if let Some(deflate) = self.offered_deflate() {
            return Cow::Owned(self.extensions.with(&deflate.offer()));
        }
        Cow::Borrowed(&self.extensions)
    }

    /// Follows a redirection: the request that `refusal` asks for instead of this one.
    ///
    /// Nothing follows one unasked: whoever calls this trusts the server to say where to go next.
    /// If that is another scheme, host or port, the request loses its header fields, cookies and
    /// credentials, which were for this server alone. Subprotocols and extensions stay.
    ///
    /// # Errors
    ///
    /// Fails if this is no redirection, if the `Location` is missing or cannot be connected to, if
    /// it leads out of TLS, and from the sixth redirection on, so that a circle has an end.
    pub fn redirected(&self, refusal: &ServerRefusal) -> Result<Self, RedirectError> {
        let location = refusal.location()?;
        if self.redirects >= MAX_REDIRECTS {
            return Err(RedirectError::TooMany);
        }
        let url = self.url.resolve(location).map_err(RedirectError::Location)?;
        if self.url.is_secure() && !url.is_secure() {
            return Err(RedirectError::Downgrade);
        }
        let mut request = Self { redirects: self.redirects + 1, ..self.clone() };
        if !url.is_same_server(&self.url) {
            request.fields = Fields::default();
            request.cookies = Vec::new();
            request.credentials = None;
        }
        request.url = url;
        Ok(request)
    }
}

/// Shows where the request goes, and nothing of its fields, cookies and credentials.
impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why a client's offer is not made.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidOffer {
    /// The subprotocol is not a token (RFC 6455 §4.1).
    Subprotocol,
    /// The subprotocol has been offered already (RFC 6455 §4.1).
    Repeated,
    /// The extension does not follow the grammar (RFC 6455 §9.1).
    Extension,
}

impl fmt::Display for InvalidOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subprotocol => "a subprotocol must be a token, such as chat.v1",
            Self::Repeated => "this subprotocol has been offered already",
            Self::Extension => "malformed extension, expected one such as `name; parameter=value`",
        })
    }
}

impl Error for InvalidOffer {}

/// Why a redirection is not followed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RedirectError {
    /// The status is not 301, 302, 303, 307 or 308 (RFC 9110 §15.4).
    Status,
    /// There is not exactly one `Location`, in ASCII (RFC 9110 §10.2.2).
    NoLocation,
    /// The `Location` is nowhere to connect to.
    Location(UrlError),
    /// From within TLS, it leads out of it.
    Downgrade,
    /// More redirections than are followed.
    TooMany,
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Status => "no redirection, expected status 301, 302, 303, 307 or 308",
            Self::NoLocation => "a redirection must have exactly one Location",
            Self::Location(error) => return write!(f, "invalid Location: {error}"),
            Self::Downgrade => "the redirection leads from wss to ws",
            Self::TooMany => "too many redirections, expected 5 at most",
        })
    }
}

impl Error for RedirectError {}
