//! How permessage-deflate is negotiated, RFC 7692 §5 and §7.1.
//!
//! A server declines what it cannot do or does not understand, and the connection goes on without.
//! A client fails the connection over an answer that does not fit its offer: the server is going to
//! do as it said.

use core::mem::replace;

use super::extensions::Extension;
use super::response_error::ResponseError;
use crate::protocol::DeflateParameters;

/// How messages are to be compressed, as far as the other endpoint agrees.
///
/// By default neither endpoint has context takeover: each message is compressed by itself, so that
/// nothing is held for a connection on which nothing is happening. With it, short messages that
/// resemble each other become a good deal smaller, at up to half a megabyte for each connection.
///
/// Data that an attacker can see the length of should not be compressed together with data that an
/// attacker can choose, even if it is encrypted afterwards (RFC 7692 §8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeflateOptions {
    /// Whether the server is to compress each message by itself. A client that asks for this gets
    /// it, or no compression.
    pub server_no_context_takeover: bool,
    /// Whether the client is to compress each message by itself. A server that asks for this gets
    /// it, or no connection.
    pub client_no_context_takeover: bool,
    /// How far back the server may refer, as the base-2 logarithm of a number of bytes.
    ///
    /// It is 9 to 15, and 15 by default. What is less or more counts as the nearest of these: 8 is
    /// valid by RFC 7692, but zlib and its kin cannot compress so.
    pub server_max_window_bits: u8,
    /// How far back the client may refer. A server can only restrict clients that offer this.
    pub client_max_window_bits: u8,
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: MAX_BITS,
            client_max_window_bits: MAX_BITS,
        }
    }
}

/// What an application has said about compressing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Asked {
    /// Nothing: others may say something.
    #[default]
    ForNothing,
    /// Not to.
    ForNone,
    For(DeflateOptions),
}

impl Asked {
    pub(super) fn options(self) -> Option<DeflateOptions> {
        match self {
            Self::ForNothing | Self::ForNone => None,
            Self::For(options) => Some(options),
        }
    }

    /// What is said, where nothing was.
    #[cfg(any(feature = "client", feature = "event-loop"))]
    pub(super) fn or(self, options: Option<DeflateOptions>) -> Self {
        match (self, options) {
            (Self::ForNothing, Some(options)) => Self::For(options),
            _ => self,
        }
    }
}

/// The name that the extension is registered under.
pub(super) const NAME: &str = "permessage-deflate";

/// The least that our compressor can do.
const MIN_BITS: u8 = 9;
/// The most there is, and what goes without saying.
const MAX_BITS: u8 = 15;

impl DeflateOptions {
    /// What a client offers.
    pub(super) fn offer(self) -> String {
        let (server_bits, client_bits) = self.window_bits();
        let named = Named {
            server_no_context_takeover: self.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover,
            server_max_window_bits: Some(server_bits).filter(|&bits| bits < MAX_BITS),
            // Without a value it still lets the server restrict us, §7.1.2.2.
            client_max_window_bits: Some(Some(client_bits).filter(|&bits| bits < MAX_BITS)),
        };
        named.encode()
    }

    /// Returns what a server agrees to of these extensions, and how it says so.
    ///
    /// It takes the first offer that it can accept: they come in the client's order of preference.
    pub(super) fn accept<'a>(
        self,
        offers: impl Iterator<Item = Extension<'a>>,
    ) -> Option<(DeflateParameters, String)> {
        let mut offers = offers.filter(|offer| offer.name() == NAME);
        offers.find_map(|offer| self.answer(Named::parse(&offer)?))
    }

    /// Answers an offer, or declines it.
    fn answer(self, offer: Named) -> Option<(DeflateParameters, String)> {
        let (server_bits, client_bits) = self.window_bits();
        let server_max_window_bits =
            offer.server_max_window_bits.map_or(server_bits, |most| most.min(server_bits));
        if server_max_window_bits < MIN_BITS {
            return None;
        }
        // A client is only restricted if it offers to be, and need not be told what goes without
        // saying. One that offers 8 bits keeps to them by itself: we never name so few.
        let client_max_window_bits = match offer.client_max_window_bits {
            Some(most) => most.map_or(client_bits, |most| most.min(client_bits)),
            None => MAX_BITS,
        };
        let client_max_window_bits = match client_max_window_bits {
            MIN_BITS..MAX_BITS => client_max_window_bits,
            _ => MAX_BITS,
        };
        let agreed = DeflateParameters {
            server_no_context_takeover: self.server_no_context_takeover
                || offer.server_no_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover
                || offer.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits,
        };
        let answer = Named {
            server_no_context_takeover: agreed.server_no_context_takeover,
            client_no_context_takeover: agreed.client_no_context_takeover,
            // §7.1.2.1: an offer that names it is accepted by naming it as well.
            server_max_window_bits: Some(server_max_window_bits)
                .filter(|&bits| bits < MAX_BITS || offer.server_max_window_bits.is_some()),
            client_max_window_bits: Some(
                Some(client_max_window_bits).filter(|&bits| bits < MAX_BITS),
            )
            .filter(Option::is_some),
        };
        Some((agreed, answer.encode()))
    }

    /// Judges a server's answer to what [`offer`](Self::offer) says.
    pub(super) fn judge(self, answer: &Extension<'_>) -> Result<DeflateParameters, ResponseError> {
        let (server_bits, client_bits) = self.window_bits();
        let answer = Named::parse(answer).ok_or(ResponseError::Deflate)?;
        let server_max_window_bits = answer.server_max_window_bits.unwrap_or(MAX_BITS);
        let client_max_window_bits = match answer.client_max_window_bits {
            // §7.1.2.2: in an answer it has a value.
            Some(value) => value.ok_or(ResponseError::Deflate)?,
            None => MAX_BITS,
        };
        let answered = server_max_window_bits <= server_bits
            && (answer.server_no_context_takeover || !self.server_no_context_takeover);
        let restricted = answer.client_max_window_bits.is_some();
        let possible = !restricted || (MIN_BITS..=client_bits).contains(&client_max_window_bits);
        if !(answered && possible) {
            return Err(ResponseError::Deflate);
        }
        Ok(DeflateParameters {
            server_no_context_takeover: answer.server_no_context_takeover,
            // What we said we would do holds whether or not the server repeats it, §7.1.1.2.
            client_no_context_takeover: answer.client_no_context_takeover
                || self.client_no_context_takeover,
            server_max_window_bits,
            client_max_window_bits: client_max_window_bits.min(client_bits),
        })
    }

    /// The window bits of server and client, those that there can be.
    fn window_bits(self) -> (u8, u8) {
        let possible = |bits: u8| bits.clamp(MIN_BITS, MAX_BITS);
        (possible(self.server_max_window_bits), possible(self.client_max_window_bits))
    }
}

/// The parameters that an offer or an answer names.
#[derive(Clone, Copy, Debug, Default)]
struct Named {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// An offer may name it without a value.
    client_max_window_bits: Option<Option<u8>>,
}

impl Named {
    const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
    const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
    const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
    const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

    /// Returns `None` if a parameter is unknown, repeated, or has a value it cannot have (§7.1).
    fn parse(extension: &Extension<'_>) -> Option<Self> {
        let mut named = Self::default();
        for parameter in extension.parameters() {
            let value = parameter.value.as_deref();
            let new = match parameter.name {
                Self::SERVER_NO_CONTEXT_TAKEOVER => {
                    value.is_none() && !replace(&mut named.server_no_context_takeover, true)
                }
                Self::CLIENT_NO_CONTEXT_TAKEOVER => {
                    value.is_none() && !replace(&mut named.client_no_context_takeover, true)
                }
                Self::SERVER_MAX_WINDOW_BITS => {
                    named.server_max_window_bits.replace(window_bits(value?)?).is_none()
                }
                Self::CLIENT_MAX_WINDOW_BITS => {
                    let value = match value {
                        Some(value) => Some(window_bits(value)?),
                        None => None,
                    };
                    named.client_max_window_bits.replace(value).is_none()
                }
                _ => false,
            };
            if !new {
                return None;
            }
        }
        Some(named)
    }

    fn encode(self) -> String {
        let mut text = NAME.to_owned();
        let mut push = |name, value: Option<u8>| {
            text.push_str("; ");
            text.push_str(name);
            if let Some(value) = value {
                text.push('=');
                text.push_str(&value.to_string());
            }
        };
        if self.server_no_context_takeover {
            push(Self::SERVER_NO_CONTEXT_TAKEOVER, None);
        }
        if self.client_no_context_takeover {
            push(Self::CLIENT_NO_CONTEXT_TAKEOVER, None);
        }
        if let Some(bits) = self.server_max_window_bits {
            push(Self::SERVER_MAX_WINDOW_BITS, Some(bits));
        }
        if let Some(bits) = self.client_max_window_bits {
            push(Self::CLIENT_MAX_WINDOW_BITS, bits);
        }
        text
    }
}

/// Reads the value of a parameter: 8 to 15, "without leading zeroes" (§7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    (8..=MAX_BITS).find(|bits| bits.to_string() == value)
}

#[cfg(test)]
mod tests;
