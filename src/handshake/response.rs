//! Responses other than 101, each the last on its connection.

use core::fmt;
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fields::{Fields, InvalidField};
use super::request_line::Method;

/// What an application answers to a plain HTTP request, or to an upgrade it refuses.
///
/// After it the connection is closed, which the response says. A status needs the fields that
/// RFC 9110 requires with it: of these, only `Upgrade` with 426 comes by itself.
///
/// # Examples
///
/// ```
/// use std::time::UNIX_EPOCH;
/// use wsloop::handshake::{InvalidField, Method, Response};
///
/// let response = Response::text(401, "who are you?").header("WWW-Authenticate", "Basic")?;
/// let mut output = Vec::new();
/// response.encode(Method::Get, UNIX_EPOCH, &mut output);
/// assert_eq!(
///     String::from_utf8_lossy(&output),
///     "HTTP/1.1 401 Unauthorized\r\n\
///      Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
///      Connection: close\r\n\
///      Content-Type: text/plain; charset=utf-8\r\n\
///      X-Content-Type-Options: nosniff\r\n\
///      Content-Length: 12\r\n\
///      WWW-Authenticate: Basic\r\n\
///      \r\n\
///      who are you?",
/// );
/// // Nobody can smuggle another field, or another response, into this one.
/// let location = "/\r\nSet-Cookie: session=evil";
/// assert_eq!(Response::new(303).header("Location", location), Err(InvalidField::Value));
/// # Ok::<(), InvalidField>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Response {
    status: u16,
    content_type: &'static str,
    fields: Fields,
    body: Cow<'static, [u8]>,
}

impl Response {
    /// Creates a response without a body.
    ///
    /// A `status` outside 200 to 599 is none that could end a request. As the mistake is the
    /// server's, the response then says so: its status is 500.
    pub fn new(status: u16) -> Self {
        let status = if (200..=599).contains(&status) { status } else { 500 };
        let content_type = "text/plain; charset=utf-8";
        Self { status, content_type, fields: Fields::default(), body: Cow::Borrowed(b"") }
    }

    /// Creates a response of plain text in UTF-8.
    pub fn text(status: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status).body(into_bytes(text.into()))
    }

    /// Creates a response with a page of HTML in UTF-8, and status 200.
    pub fn html(page: impl Into<Cow<'static, str>>) -> Self {
        let response = Self::new(200).body(into_bytes(page.into()));
        Self { content_type: "text/html; charset=utf-8", ..response }
    }

    /// Adds a header field, without the whitespace around its value.
    ///
    /// `Content-Type` replaces the default, which is plain text in UTF-8 unless made by
    /// [`html`](Self::html).
    ///
    /// # Errors
    ///
    /// Fails if the name is not a token, if the value contains control characters, and for fields
    /// that frame the response or belong to the handshake.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        self.fields.push_custom(name, value.as_ref())?;
        Ok(self)
    }

    /// Sets the body. Responses with status 204, 205 and 304 are sent without.
    pub fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Self {
        self.body = body.into();
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Appends the response to `output`: for HEAD as it would be for GET, but without its body.
    ///
    /// `Date` is left out if `now` is before 1970 or after 9999, as by a server without a clock
    /// (RFC 9110 §6.6.1).
    pub fn encode(&self, method: Method, now: SystemTime, output: &mut Vec<u8>) {
        let mut write = |text: &str| output.extend_from_slice(text.as_bytes());
        write(&format!("HTTP/1.1 {} {}\r\n", self.status, reason_phrase(self.status)));
        if let Some(date) = date(now) {
            write(&format!("Date: {date}\r\n"));
        }
        write(match self.status {
            // RFC 9110 §15.5.22 requires Upgrade, and §7.8 that Connection lists it.
            426 => "Upgrade: websocket\r\nConnection: Upgrade, close\r\n",
            _ => "Connection: close\r\n",
        });
        let body = if matches!(self.status, 204 | 205 | 304) { &[] } else { &*self.body };
        if !body.is_empty() && !self.fields.contain("Content-Type") {
            write(&format!("Content-Type: {}\r\n", self.content_type));
        }
        if !body.is_empty() && !self.fields.contain("X-Content-Type-Options") {
            // What an application serves is what it says, and never a script by a browser's guess.
            write("X-Content-Type-Options: nosniff\r\n");
        }
        // RFC 9110 §8.6: a response with status 204 must not have a length. One with 304 would
        // give that of the page which it does not send.
        if !matches!(self.status, 204 | 304) {
            write(&format!("Content-Length: {}\r\n", body.len()));
        }
        output.extend_from_slice(self.fields.as_bytes());
        output.extend_from_slice(b"\r\n");
        match method {
            Method::Get => output.extend_from_slice(body),
            Method::Head => {}
        }
    }

    /// Adds a field of the library's own.
    pub(super) fn own_field(mut self, name: &'static str, value: &'static str) -> Self {
        let pushed = self.fields.push(name, value.as_bytes());
        debug_assert_eq!(pushed, Ok(()), "our own fields are valid");
        self
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("fields", &String::from_utf8_lossy(self.fields.as_bytes()))
            .field("body", &String::from_utf8_lossy(&self.body))
            .finish_non_exhaustive()
    }
}

fn into_bytes(text: Cow<'static, str>) -> Cow<'static, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The date in the one format there is, RFC 9110 §5.6.7, unless its year has no four digits.
fn date(now: SystemTime) -> Option<httpdate::HttpDate> {
    const YEAR_10000: Duration = Duration::from_secs(253_402_300_800);
    let since_epoch = now.duration_since(UNIX_EPOCH).ok()?;
    (since_epoch < YEAR_10000).then(|| now.into())
}

/// The phrase that goes with a status, RFC 9110 §15. It may be empty, and nobody reads it.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
