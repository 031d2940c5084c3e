//! Bytes on the wire, written legibly.

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

/// A frame as a server sends it: FIN and opcode, then the length in its shortest form.
pub(crate) fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first_byte];
    match payload.len() {
        len @ ..126 => frame.push(len as u8),
        len @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// Masks the frames of a server as a client would send them, with the key of RFC 6455 §5.7.
///
/// The last frame may be cut anywhere, and whatever else is wrong with them stays wrong.
pub(crate) fn masked(frames: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
    let mut output = Vec::with_capacity(frames.len() + 14);
    let mut rest = frames;
    while let Some((header, payload, behind)) = split(rest) {
        output.extend([header[0], header[1] | 0x80]);
        output.extend(header[2..].iter().chain(&KEY));
        output.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
        rest = behind;
    }
    output.extend(rest);
    output
}

/// The frames that `bytes`, sent by a server, consist of: their first bytes and payloads.
#[track_caller]
pub(crate) fn frames(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while let Some((header, payload, behind)) = split(rest) {
        frames.push((header[0], payload));
        rest = behind;
    }
    assert!(rest.is_empty(), "ends in the middle of a header");
    frames
}

/// Splits the first frame off: its header, its payload as far as it is there, and what is behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let header_len = match bytes.get(1)? & 0x7F {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    let (header, rest) = bytes.split_at_checked(header_len)?;
    let len = match &header[2..] {
        [] => u64::from(header[1] & 0x7F),
        len => len.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
    };
    let (payload, behind) = rest.split_at(rest.len().min(usize::try_from(len).unwrap()));
    Some((header, payload, behind))
}

#[test]
fn transcripts_are_read_as_they_look() {
    assert_eq!(wire("81 05 'Hello'  8900"), b"\x81\x05Hello\x89\x00");
    // The masked "Hello" of RFC 6455 §5.7.
    assert_eq!(
        masked(&wire("81 05 'Hello'  89 00")),
        wire("81 85 37fa213d 7f9f4d5158  89 80 37fa213d")
    );
    assert_eq!(frame(0x82, &[7; 126]), [&wire("82 7E 007E")[..], &[7; 126]].concat());
    assert_eq!(frames(&wire("81 02 'ab'  88 00")), [(0x81, &b"ab"[..]), (0x88, b"")]);
}
