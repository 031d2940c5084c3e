//! The proof that a server understood the handshake, RFC 6455 §4.2.2.
//!
//! The key is no secret and SHA-1 protects nothing here (§10.8): neither collisions nor the time a
//! comparison takes are of use to anyone.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

use super::syntax;

/// What §1.3 appends to every key, so that no server can answer rightly by accident.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Computes the value of `Sec-WebSocket-Accept` for a value of `Sec-WebSocket-Key`.
///
/// Returns `None` unless the key is 16 bytes in base64. What is hashed are the characters of the
/// key, never the bytes they stand for.
pub(super) fn accept_key(key: &[u8]) -> Option<[u8; 28]> {
    let key = syntax::trim(key);
    is_key(key).then(|| accept_written_key(key))
}

/// Writes the value of `Sec-WebSocket-Key` for 16 random bytes, RFC 6455 §4.1.
pub(super) fn written_key(key: [u8; 16]) -> [u8; 24] {
    let mut written = [0; 24];
    let length = STANDARD.encode_slice(key, &mut written);
    debug_assert_eq!(length, Ok(written.len()), "16 bytes make 24 characters");
    written
}

/// Computes the value of `Sec-WebSocket-Accept` for a key that is known to be one.
pub(super) fn accept_written_key(key: &[u8]) -> [u8; 28] {
    let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut accept = [0; 28];
    let length = STANDARD.encode_slice(hash, &mut accept);
    debug_assert_eq!(length, Ok(accept.len()), "20 bytes make 28 characters");
    accept
}

/// Whether `key` is 16 bytes in base64: 22 characters of six bits each, then two of padding.
///
/// The four bits left over may have any value: those of the example in §4.1,
/// `AQIDBAUGBwgJCgsMDQ4PEC==`, are not zero (erratum 3150).
fn is_key(key: &[u8]) -> bool {
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(in_alphabet)
}

#[cfg(test)]
mod tests {
    use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
    use proptest::prelude::*;

    use super::*;

    fn accept(key: &str) -> Option<String> {
        accept_key(key.as_bytes()).map(|accept| String::from_utf8_lossy(&accept).into_owned())
    }

    #[test]
    fn the_key_is_hashed_as_it_is_written() {
        let example = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some(example));
        assert_eq!(accept(" \tdGhlIHNhbXBsZSBub25jZQ==\t").as_deref(), Some(example));
        // The same 16 bytes with other padding bits are another key.
        let pad_bits_set = accept("dGhlIHNhbXBsZSBub25jZR==");
        assert!(pad_bits_set.is_some());
        assert_ne!(pad_bits_set.as_deref(), Some(example));
        // The example of §4.1, computed with an independent implementation.
        let example = accept("AQIDBAUGBwgJCgsMDQ4PEC==");
        assert_eq!(example.as_deref(), Some("OfS0wDaT5NoxF2gqm7Zj2YtetzM="));
    }

    #[test]
    fn anything_but_16_bytes_in_base64_is_no_key() {
        for key in [
            "",
            "==",
            "dGhlIHNhbXBsZSBub25=",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZWRkZGQ=",
            "dGhlIHNhbXBsZSBub25jZWQ=",
            "dGhlIHNhbXBsZSBub25jZQ=Q",
            "dGhlIHNhbXB=ZSBub25jZQ==",
            "!!..!!..!!..!!..!!..!!==",
            "dGhlIHNh-XBsZSBub25jZQ==",
            "dGhlIHNh_XBsZSBub25jZQ==",
            "dGhlIHNh XBsZSBub25jZQ==",
            "éGhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert_eq!(accept(key), None, "{key}");
        }
    }

    proptest! {
        /// §4.1, and erratum 3150: four bits of the last character are padding, and zero.
        #[test]
        fn a_written_key_is_canonical_base64_of_16_bytes(key: [u8; 16]) {
            let written = written_key(key);
            prop_assert_eq!(STANDARD.decode(written), Ok(key.to_vec()));
            prop_assert!(is_key(&written) && b"AQgw".contains(&written[21]));
        }

        /// The check by hand agrees with a decoder that ignores the padding bits.
        #[test]
        fn a_key_is_what_decodes_to_16_bytes(key in "[A-Za-z0-9+/=_ -]{20,26}|[A-Za-z0-9+/]{22}==") {
            let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
            let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, config);
            let decoded = engine.decode(&key).is_ok_and(|bytes| bytes.len() == 16);
            prop_assert_eq!(is_key(key.as_bytes()), decoded);
        }
    }
}
