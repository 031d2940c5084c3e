//! Bytes on the wire, written legibly, for tests.

/// Reads hex digits, in any grouping, and text in single quotes: `81 05 'Hello'`.
#[track_caller]
pub(crate) fn wire(transcript: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Every other part of a transcript is in quotes.
    for (i, part) in transcript.split('\'').enumerate() {
        if i % 2 == 1 {
            bytes.extend_from_slice(part.as_bytes());
            continue;
        }
        let digits: Vec<u8> = part
            .chars()
            .filter(|c| !c.is_whitespace())
            .map(|c| c.to_digit(16).expect("a hex digit or a quote") as u8)
            .collect();
        let (pairs, odd) = digits.as_chunks::<2>();
        assert!(odd.is_empty(), "half a byte in {part:?}");
        bytes.extend(pairs.iter().map(|[high, low]| high << 4 | low));
    }
    bytes
}

/// Masks the frames of a server as a client would send them, with the key of RFC 6455 §5.7.
///
/// The last frame may be cut anywhere, and whatever else is wrong with them stays wrong.
pub(crate) fn masked(mut frames: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut output = Vec::new();
    while let [first, second, rest @ ..] = frames {
        output.extend([*first, second | 0x80]);
        let extended = match second & 0x7F {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((len, rest)) = rest.split_at_checked(extended) else {
            output.extend(rest);
            return output;
        };
        output.extend(len.iter().chain(&KEY));
        let len = match len {
            [] => u64::from(second & 0x7F),
            len => len.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        };
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
        output.extend(rest[..len].iter().enumerate().map(|(i, byte)| byte ^ KEY[i % 4]));
        frames = &rest[len..];
    }
    output.extend(frames);
    output
}

#[test]
fn transcripts_are_read_as_they_look() {
    assert_eq!(wire("81 05 'Hello'  8900"), b"\x81\x05Hello\x89\x00");
    assert_eq!(wire("' a' 20"), b" a ");
    // The masked "Hello" of RFC 6455 §5.7.
    assert_eq!(masked(&wire("81 05 'Hello'")), wire("81 85 37fa213d 7f9f4d5158"));
    assert_eq!(masked(&wire("82 7E 0100 'ab'")), wire("82 FE 0100 37fa213d 5698"));
    assert_eq!(masked(&wire("89 00  82 7F 00")), wire("89 80 37fa213d  82 FF 00"));
}
