//! A header is read as RFC 6455 §5.2 draws it, and written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::protocol::{Header, Violation};

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    let parsed = Header::parse(&mut rest);
    match parsed {
        Ok(Some(header)) => {
            let (read, mut written) = (&bytes[..bytes.len() - rest.len()], Vec::new());
            header.encode(&mut written);
            assert_eq!((written.len(), &*written), (header.encoded_len(), read));
        }
        Ok(None) | Err(_) => assert_eq!(rest, bytes, "input is left alone"),
    }
    assert_eq!(parsed.map(|header| header.map(|header| header.payload_len)), naive(bytes));

    // What comes later changes nothing that was said before.
    for len in 0..bytes.len().min(Header::MAX_LEN) {
        match Header::parse(&mut &bytes[..len]) {
            Ok(None) => {}
            earlier => assert_eq!(earlier, parsed),
        }
    }
});

/// The payload length, if the header is complete.
fn naive(bytes: &[u8]) -> Result<Option<u64>, Violation> {
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    if !matches!(first & 0x0F, 0 | 1 | 2 | 8 | 9 | 10) {
        return Err(Violation::ReservedOpcode);
    }
    let (extended, least) = match second & 0x7F {
        126 => (2, 126),
        127 => (8, 65_536),
        _ => (0, 0),
    };
    let mut len = u64::from(second & 0x7F);
    if extended > 0 {
        let Some(bytes) = bytes.get(2..2 + extended) else { return Ok(None) };
        len = bytes.iter().fold(0, |len, byte| len * 256 + u64::from(*byte));
        if len >> 63 == 1 {
            return Err(Violation::LengthOverflow);
        }
        if len < least {
            return Err(Violation::NonMinimalLength);
        }
    }
    let header_len = 2 + extended + if second & 0x80 == 0 { 0 } else { 4 };
    Ok(Some(len).filter(|_| bytes.len() >= header_len))
}
