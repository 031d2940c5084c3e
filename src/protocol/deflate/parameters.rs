//! What two endpoints have agreed on, RFC 7692 §7.1.

use crate::protocol::Role;

/// The parameters of permessage-deflate that are in force on a connection (RFC 7692 §7.1).
///
/// The default is what both endpoints get that name none: context takeover in both directions, and
/// windows of 32 KiB.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeflateParameters {
    /// Whether the server compresses each message by itself, without reference to earlier ones
    /// (§7.1.1.1).
    pub server_no_context_takeover: bool,
    /// Whether the client does (§7.1.1.2).
    pub client_no_context_takeover: bool,
    /// How far back the server refers, as the base-2 logarithm of a number of bytes: 8 to 15
    /// (§7.1.2.1).
    pub server_max_window_bits: u8,
    /// How far back the client refers (§7.1.2.2).
    pub client_max_window_bits: u8,
}

impl DeflateParameters {
    /// Returns whether what the endpoint of `role` sends may refer to what it sent before.
    #[must_use]
    pub const fn has_context_takeover(self, role: Role) -> bool {
        !match role {
            Role::Server => self.server_no_context_takeover,
            Role::Client => self.client_no_context_takeover,
        }
    }

    /// Returns how far back the endpoint of `role` may refer, as a base-2 logarithm.
    #[must_use]
    pub const fn max_window_bits(self, role: Role) -> u8 {
        match role {
            Role::Server => self.server_max_window_bits,
            Role::Client => self.client_max_window_bits,
        }
    }
}

impl Default for DeflateParameters {
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}
