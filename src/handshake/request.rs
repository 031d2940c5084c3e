//! A request head, parsed and judged as HTTP. Whether it is a WebSocket handshake is not asked
//! here.

use std::borrow::Cow;

use super::authority::Authority;
use super::head::HeadLimits;
use super::parameters;
use super::received_fields::{FieldsError, ReceivedFields, parse_length};
use super::refusal::Refusal;
use super::request_line::{Method, RequestLine, Target};
use super::syntax::elements;

/// A valid HTTP/1 request without content: a GET or a HEAD, borrowed from its head.
///
/// It need not ask for an upgrade. Everything in it came from the client, and proves nothing.
#[derive(Clone, Debug)]
pub struct Request<'h> {
    method: Method,
    target: Target<'h>,
    minor_version: u8,
    host: Option<&'h str>,
    fields: ReceivedFields<'h>,
    expects_continue: bool,
}

impl<'h> Request<'h> {
    /// Parses a head, from its request line to its blank line.
    ///
    /// The order of judgement: layout and limits, version of HTTP, method, target, `Host`, content,
    /// `Expect`. A request with content is refused, so that what follows the head can only be
    /// frames.
    ///
    /// # Errors
    ///
    /// Fails with what to answer if the head is not a GET or HEAD that RFC 9110 and RFC 9112 allow.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::handshake::{HeadLimits, Refusal, Request};
    ///
    /// let limits = HeadLimits::default();
    /// let head = b"GET /chat?room=1 HTTP/1.1\r\nHost: a.example\r\nX-Bytes: \xff\r\n\r\n";
    /// let request = Request::parse(head, &limits).unwrap();
    /// assert_eq!((request.path(), request.query()), ("/chat", Some("room=1")));
    /// // Values are octets, which need not be text.
    /// assert_eq!(request.field("x-bytes"), None);
    /// assert_eq!(request.fields().last(), Some(("X-Bytes", &b"\xff"[..])));
    ///
    /// let refusal = Request::parse(b"GET / HTTP/1.1\r\n\r\n", &limits).unwrap_err();
    /// assert_eq!((refusal, refusal.status()), (Refusal::Host, 400));
    /// ```
    pub fn parse(head: &'h [u8], limits: &HeadLimits) -> Result<Self, Refusal> {
        let (line, fields) = split(head, limits)?;
        let line = RequestLine::parse(line)?;
        let fields =
            ReceivedFields::parse(fields, limits.max_headers).map_err(|error| match error {
                FieldsError::TooMany => Refusal::TooManyFields,
                FieldsError::Malformed => Refusal::Field,
            })?;
        let minor_version = line.minor_version()?;
        let (method, target) = (line.method()?, line.target()?);
        let mut request =
            Self { method, target, minor_version, host: None, fields, expects_continue: false };
        request.host = request.effective_host()?;
        request.check_content()?;
        request.expects_continue = request.check_expectation()?;
        Ok(request)
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The target as it was sent: a path with an optional query, or a whole URI.
    pub fn target(&self) -> &'h str {
        self.target.text
    }

    /// The path of the target, never empty, neither decoded nor normalised.
    pub fn path(&self) -> &'h str {
        self.target.path
    }

    /// What follows the `?` of the target, not decoded.
    pub fn query(&self) -> Option<&'h str> {
        self.target.query
    }

    /// The value of the first parameter of that name in the query, decoded: what browsers put there
    /// with `URLSearchParams`.
    ///
    /// Returns `None` if there is none, or if it is malformed or not UTF-8. A parameter without `=`
    /// has an empty value.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::handshake::{HeadLimits, Request};
    ///
    /// let head = b"GET /chat?token=a%2Bb&room=tea+time HTTP/1.1\r\nHost: chat.example\r\n\r\n";
    /// let request = Request::parse(head, &HeadLimits::default())?;
    /// assert_eq!(request.query_value("room").as_deref(), Some("tea time"));
    /// assert_eq!(request.query_value("token").as_deref(), Some("a+b"));
    /// # Ok::<(), wsloop::Refusal>(())
    /// ```
    pub fn query_value(&self, name: &str) -> Option<Cow<'h, str>> {
        parameters::query_value(self.query()?, name)
    }

    /// The value of the first cookie of that name, as it was sent.
    ///
    /// Cookies come along whichever page connects: that they are there says who the user is, and
    /// not that the user meant to. What protects users is the
    /// [origin check](super::OriginPolicy).
    pub fn cookie(&self, name: &str) -> Option<&'h str> {
        let mut fields = self.values("Cookie").filter_map(|value| str::from_utf8(value).ok());
        fields.find_map(|field| parameters::cookie(field, name))
    }

    /// The minor version of HTTP: 0, or 1 for all above.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// The host, with its port if one was given, that the request is directed to.
    ///
    /// That is the target's if it is a URI (RFC 9112 §3.2.2), else `Host`. Only a request of
    /// HTTP/1.0 may have none.
    pub fn host(&self) -> Option<&'h str> {
        self.host
    }

    /// The `Origin`, which browsers send and scripts cannot forge. Anything else can.
    pub fn origin(&self) -> Option<&'h str> {
        self.field("Origin")
    }

    /// All header fields in order, the values without whitespace around them.
    pub fn fields(&self) -> impl Iterator<Item = (&'h str, &'h [u8])> {
        self.fields.iter()
    }

    /// The value of the first field of that name, if there is one and it is UTF-8.
    ///
    /// Names are compared without regard to case.
    pub fn field(&self, name: &str) -> Option<&'h str> {
        self.values(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// Whether `token` is in the comma-separated list that the fields of that name make up.
    ///
    /// Case does not matter, and neither does how the list is spread over lines.
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.fields.lists(name, token)
    }

    /// Whether the client waits for `100 Continue`. It gets one only before an upgrade.
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether this asks for an upgrade to WebSocket, RFC 6455 §4.2.1.
    ///
    /// It is then a GET of HTTP/1.1 with `websocket` in `Upgrade` and `upgrade` in `Connection`.
    /// RFC 9110 §7.8 has any other request answered as if it did not mention an upgrade.
    pub fn is_upgrade(&self) -> bool {
        self.method == Method::Get
            && self.minor_version >= 1
            && self.lists("Upgrade", "websocket")
            && self.lists("Connection", "Upgrade")
    }

    /// The values of all fields of that name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'h [u8]> {
        self.fields.values(name)
    }

    /// The value of a field that must not be repeated, or `refusal` if it is.
    pub(super) fn single(&self, name: &str, refusal: Refusal) -> Result<Option<&'h [u8]>, Refusal> {
        self.fields.single(name, refusal)
    }

    /// Checks `Host`, and returns whom the request is for.
    fn effective_host(&self) -> Result<Option<&'h str>, Refusal> {
        let host = match self.single("Host", Refusal::Host)? {
            Some(value) => {
                let host = str::from_utf8(value).map_err(|_| Refusal::Host)?;
                Authority::parse(host).ok_or(Refusal::Host)?;
                Some(host)
            }
            // RFC 9112 §3.2: HTTP/1.1 requires it, even beside a URI that says the same.
            None if self.minor_version >= 1 => return Err(Refusal::Host),
            None => None,
        };
        Ok(self.target.authority.or(host))
    }

    /// Checks that the request has no content, RFC 9112 §6.
    fn check_content(&self) -> Result<(), Refusal> {
        let length = self.single("Content-Length", Refusal::ContentLength)?;
        let codings = self.values("Transfer-Encoding").count();
        if codings > 0 {
            // §6.1: next to a length, or in HTTP/1.0, the framing is faulty whatever the coding.
            let faulty = length.is_some() || self.minor_version == 0;
            let mut known = self.values("Transfer-Encoding").flat_map(elements);
            let known = known.all(|coding| coding.eq_ignore_ascii_case(b"chunked"));
            return Err(if faulty || known {
                Refusal::TransferEncoding
            } else {
                Refusal::UnknownTransferCoding
            });
        }
        match length.map(parse_length) {
            // Some devices say so to be clear about it.
            None | Some(Some(0)) => Ok(()),
            Some(Some(_)) => Err(Refusal::Content),
            Some(None) => Err(Refusal::ContentLength),
        }
    }

    /// Checks `Expect`, and returns whether it asks for `100 Continue`.
    fn check_expectation(&self) -> Result<bool, Refusal> {
        let mut expected = self.values("Expect").flat_map(elements).peekable();
        let any = expected.peek().is_some();
        if !expected.all(|expectation| expectation.eq_ignore_ascii_case(b"100-continue")) {
            return Err(Refusal::Expectation);
        }
        // RFC 9110 §10.1.1: in HTTP/1.0 the expectation is ignored.
        Ok(any && self.minor_version >= 1)
    }
}

/// Splits a head into its request line, without the line end, and everything after.
fn split<'h>(head: &'h [u8], limits: &HeadLimits) -> Result<(&'h [u8], &'h [u8]), Refusal> {
    if head.len() > limits.max_head_size {
        return Err(Refusal::HeadTooLarge);
    }
    if !head.split_inclusive(|&byte| byte == b'\n').all(|line| line.ends_with(b"\r\n")) {
        return Err(Refusal::LineEnd);
    }
    let end = head.iter().position(|&byte| byte == b'\r').unwrap_or(head.len());
    if end > limits.max_request_line {
        return Err(Refusal::TargetTooLong);
    }
    match head[end..].strip_prefix(b"\r\n") {
        Some(fields) => Ok((&head[..end], fields)),
        None => Err(Refusal::LineEnd),
    }
}

#[cfg(test)]
mod tests;
