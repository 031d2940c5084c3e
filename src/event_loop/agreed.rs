//! What was agreed on with a peer, in a byte: every peer has it, most have agreed on nothing, and an
//! entry has just so much room before it takes eight bytes more.

use std::num::NonZeroU8;

use crate::protocol::DeflateParameters;

/// How messages with a peer are compressed.
///
/// ```text
///  7 6   server_no_context_takeover, client_no_context_takeover
///  5-3   server_max_window_bits - 8
///  2-0   client_max_window_bits - 8: never 0, as we do not agree to 8
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Agreed(NonZeroU8);

impl Agreed {
    /// Returns `None` for parameters that no opening handshake of ours agrees to.
    pub(super) fn new(parameters: DeflateParameters) -> Option<Self> {
        let DeflateParameters { server_max_window_bits, client_max_window_bits, .. } = parameters;
        let possible = 8..=15;
        if !possible.contains(&server_max_window_bits)
            || !possible.contains(&client_max_window_bits)
        {
            return None;
        }
        let takeover = u8::from(parameters.server_no_context_takeover) << 1
            | u8::from(parameters.client_no_context_takeover);
        let bits = (server_max_window_bits - 8) << 3 | (client_max_window_bits - 8);
        NonZeroU8::new(takeover << 6 | bits).filter(|_| client_max_window_bits > 8).map(Self)
    }

    pub(super) fn parameters(self) -> DeflateParameters {
        let byte = self.0.get();
        DeflateParameters {
            server_no_context_takeover: byte & 0x80 != 0,
            client_no_context_takeover: byte & 0x40 != 0,
            server_max_window_bits: (byte >> 3 & 7) + 8,
            client_max_window_bits: (byte & 7) + 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_can_be_agreed_on_fits() {
        for choice in 0..4 * 8 * 7_u8 {
            let parameters = DeflateParameters {
                server_no_context_takeover: choice & 1 != 0,
                client_no_context_takeover: choice & 2 != 0,
                server_max_window_bits: choice / 4 % 8 + 8,
                client_max_window_bits: choice / 32 + 9,
            };
            assert_eq!(Agreed::new(parameters).map(Agreed::parameters), Some(parameters));
        }
        assert_eq!(size_of::<Option<Agreed>>(), 1);
    }

    #[test]
    fn what_is_never_agreed_on_does_not() {
        let with = |server_max_window_bits, client_max_window_bits| {
            let default = DeflateParameters::default();
            Agreed::new(DeflateParameters {
                server_max_window_bits,
                client_max_window_bits,
                ..default
            })
        };
        for (server, client) in [(15, 8), (7, 15), (16, 15), (15, 16), (0, 0)] {
            assert_eq!(with(server, client), None);
        }
    }
}
