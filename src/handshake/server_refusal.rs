//! A server's no, as it said it.

use core::{error::Error, fmt};

use super::RedirectError;
use super::response_head::ResponseHead;

/// An answer other than the one asked for: a server that does not upgrade, a proxy that does not
/// connect.
///
/// It is the last thing on its connection, which is to be closed and never used again. For a server
/// of this library, the body says why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerRefusal {
    head: ResponseHead,
    body: Vec<u8>,
}

impl ServerRefusal {
    pub(super) fn new(head: ResponseHead, body: Vec<u8>) -> Self {
        Self { head, body }
    }

    /// The status, such as 401 or 503.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The status line and header fields, such as `WWW-Authenticate` or `Retry-After`.
    pub fn head(&self) -> &ResponseHead {
        &self.head
    }

    /// The beginning of the body, up to the limit. Content codings are left as they are.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Where the server says to go instead.
    pub(super) fn location(&self) -> Result<&str, RedirectError> {
        if !matches!(self.status(), 301 | 302 | 303 | 307 | 308) {
            return Err(RedirectError::Status);
        }
        let fields = self.head.received_fields();
        let location = fields.single("Location", RedirectError::NoLocation)?;
        location.and_then(|it| str::from_utf8(it).ok()).ok_or(RedirectError::NoLocation)
    }
}

impl fmt::Display for ServerRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Escaped: this goes to logs and terminals, and the server chose the words.
        let (status, reason) = (self.status(), self.head.reason().escape_ascii());
        write!(f, "refused with status {status} {reason}")
    }
}

impl Error for ServerRefusal {}
