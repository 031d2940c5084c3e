//! A valid request for an upgrade, the application's answer, and the 101 (RFC 6455 §4.2.2).

use core::{error::Error, fmt};

#[cfg(feature = "deflate")]
use super::deflate::{Asked, DeflateOptions};
use super::extensions::{Extension, Extensions};
use super::fields::{Fields, InvalidField};
use super::subprotocol::Subprotocols;
#[cfg(feature = "deflate")]
use crate::protocol::DeflateParameters;

/// A client's offer to speak WebSocket: all that is needed to accept it, now or later.
///
/// It is made by [`Policy::judge`](super::Policy::judge) and borrows nothing. To refuse it, send a
/// [`Response`](super::Response) instead, and close.
#[derive(Clone, Debug)]
pub struct Offer {
    pub(super) accept_key: [u8; 28],
    pub(super) subprotocols: Subprotocols,
    /// The subprotocol that the policy picks.
    pub(super) preferred: Option<Box<str>>,
    pub(super) extensions: Extensions,
    /// Whether the client waits for `100 Continue`.
    pub(super) continue_owed: bool,
}

impl Offer {
    /// The subprotocols the client offers, the one it prefers first.
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        self.subprotocols.iter()
    }

    /// The subprotocol that is used unless the [`Acceptance`] names another: of those that the
    /// policy lists, the first that the client offers.
    pub fn subprotocol(&self) -> Option<&str> {
        self.preferred.as_deref()
    }

    /// The extensions the client offers, the one it prefers first. One name may come repeatedly,
    /// with other parameters.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'_>> {
        self.extensions.iter()
    }

    /// Appends the response that completes the handshake to `output`, and returns what is agreed.
    ///
    /// The connection is then open: frames may follow at once in the same write, and what the
    /// client sent after its head are frames. `100 Continue` goes first if the client waits for it.
    ///
    /// # Errors
    ///
    /// Fails, and appends nothing, if the application chose a subprotocol that the client did not
    /// offer; the client would have to fail the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # use wsloop::handshake::*;
    /// # fn accept(offer: &Offer) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    /// let mut output = Vec::new();
    /// let acceptance = Acceptance::new().header("Set-Cookie", "session=1")?;
    /// let agreement = offer.accept(&acceptance, &mut output)?;
    /// println!("we speak {}", agreement.subprotocol().unwrap_or("no subprotocol"));
    /// # Ok(output)
    /// # }
    /// ```
    pub fn accept(
        &self,
        acceptance: &Acceptance,
        output: &mut Vec<u8>,
    ) -> Result<Agreement, UnofferedSubprotocol> {
        let subprotocol = match &acceptance.subprotocol {
            Choice::Preferred => self.preferred.clone(),
            Choice::None => None,
            Choice::Named(name) if self.subprotocols.contain(name) => Some(name.clone()),
            Choice::Named(_) => return Err(UnofferedSubprotocol),
        };
        if self.continue_owed {
            // RFC 9110 §7.8: the client is told to continue before it is told to switch.
            output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        output.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\n\
              Upgrade: websocket\r\n\
              Connection: Upgrade\r\n\
              Sec-WebSocket-Accept: ",
        );
        output.extend_from_slice(&self.accept_key);
        if let Some(name) = &subprotocol {
            output.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
            output.extend_from_slice(name.as_bytes());
        }
        output.extend_from_slice(b"\r\n");
        #[cfg(feature = "deflate")]
        let deflate = self.accept_deflate(acceptance, output);
        output.extend_from_slice(acceptance.fields.as_bytes());
        output.extend_from_slice(b"\r\n");
        Ok(Agreement {
            subprotocol,
            #[cfg(feature = "deflate")]
            deflate,
        })
    }

    /// Appends the line that accepts compression, if it is offered in a way that we accept.
    #[cfg(feature = "deflate")]
    fn accept_deflate(
        &self,
        acceptance: &Acceptance,
        output: &mut Vec<u8>,
    ) -> Option<DeflateParameters> {
        let (agreed, answer) = acceptance.deflate.options()?.accept(self.extensions())?;
        output.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        output.extend_from_slice(answer.as_bytes());
        output.extend_from_slice(b"\r\n");
        Some(agreed)
    }
}

/// How an application accepts an [`Offer`].
///
/// By default it leaves the choice of the subprotocol to the policy and adds no header fields.
#[derive(Clone, Debug, Default)]
pub struct Acceptance {
    subprotocol: Choice,
    #[cfg(feature = "deflate")]
    deflate: Asked,
    fields: Fields,
}

/// Who chooses the subprotocol.
#[derive(Clone, Debug, Default)]
enum Choice {
    /// The policy does.
    #[default]
    Preferred,
    /// The application does not want any.
    None,
    /// The application chose this one.
    Named(Box<str>),
}

impl Acceptance {
    /// Accepts as the policy would.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol, which must be one that the client offers.
    #[must_use]
    pub fn subprotocol(mut self, name: &str) -> Self {
        self.subprotocol = Choice::Named(name.into());
        self
    }

    /// Chooses to use none of the offered subprotocols. Some clients then close the connection.
    #[must_use]
    pub fn no_subprotocol(mut self) -> Self {
        self.subprotocol = Choice::None;
        self
    }

    /// Accepts an offer to compress messages, the first that these options allow.
    ///
    /// If there is none, the connection goes on without compression: see [`Agreement::deflate`].
    ///
    /// In an event loop these options take the place of those that its configuration has. How hard to
    /// try, and from what length on, is still for the configuration to say.
    ///
    /// # Examples
    ///
    /// ```
    /// use wsloop::handshake::{Acceptance, DeflateOptions};
    /// # use wsloop::handshake::{Offer, UnofferedSubprotocol};
    /// use wsloop::protocol::Connection;
    ///
    /// # fn accept(offer: &Offer, output: &mut Vec<u8>) -> Result<Connection, UnofferedSubprotocol> {
    /// let acceptance = Acceptance::new().deflate(DeflateOptions::default());
    /// let agreement = offer.accept(&acceptance, output)?;
    /// let connection = match agreement.deflate() {
    ///     Some(parameters) => Connection::server().deflate(parameters),
    ///     None => Connection::server(),
    /// };
    /// # Ok(connection)
    /// # }
    /// ```
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(mut self, options: DeflateOptions) -> Self {
        self.deflate = Asked::For(options);
        self
    }

    /// Declines all offers to compress messages, whatever the configuration of an event loop says.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn no_deflate(mut self) -> Self {
        self.deflate = Asked::ForNone;
        self
    }

    /// Accepts offers to compress as these options allow, unless the application has said anything
    /// about that.
    #[cfg(all(feature = "deflate", feature = "event-loop"))]
    pub(crate) fn deflate_by_default(mut self, options: Option<DeflateOptions>) -> Self {
        self.deflate = self.deflate.or(options);
        self
    }

    /// Adds a header field to the response, without the whitespace around its value.
    ///
    /// # Errors
    ///
    /// Fails if the name is not a token, if the value contains control characters, and for fields
    /// that frame the response or belong to the handshake.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        self.fields.push_custom(name, value.as_ref())?;
        Ok(self)
    }
}

/// What both endpoints have agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agreement {
    subprotocol: Option<Box<str>>,
    #[cfg(feature = "deflate")]
    deflate: Option<DeflateParameters>,
}

impl Agreement {
    /// The subprotocol in use.
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// How messages may be compressed, if that is agreed on.
    #[cfg(feature = "deflate")]
    pub fn deflate(&self) -> Option<DeflateParameters> {
        self.deflate
    }

    /// The subprotocol in use, to keep.
    pub fn into_subprotocol(self) -> Option<Box<str>> {
        self.subprotocol
    }
}

/// The application chose a subprotocol that the client did not offer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnofferedSubprotocol;

impl fmt::Display for UnofferedSubprotocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the chosen subprotocol is none of those that the client offers")
    }
}

impl Error for UnofferedSubprotocol {}
