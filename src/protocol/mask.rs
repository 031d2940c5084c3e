//! RFC 6455 §5.3: masking, which is its own inverse.
//!
//! Byte *i* of the payload is XORed with byte *i* mod 4 of the key. The loops go eight bytes at a
//! time over exact chunks, which the compiler turns into vector instructions without `unsafe`.

/// Masks `payload`, or unmasks it, in place.
///
/// `offset` is where in its frame the payload begins, for one that arrives in parts; only its
/// remainder by four matters.
///
/// # Examples
///
/// ```
/// use wsloop::protocol::mask;
///
/// // The masked "Hello" of RFC 6455 §5.7, in two parts.
/// let mut payload = *b"\x7f\x9f\x4d\x51\x58";
/// mask::apply(&mut payload[..3], [0x37, 0xfa, 0x21, 0x3d], 0);
/// mask::apply(&mut payload[3..], [0x37, 0xfa, 0x21, 0x3d], 3);
/// assert_eq!(&payload, b"Hello");
/// ```
pub fn apply(payload: &mut [u8], key: [u8; 4], offset: usize) {
    let key = repeated(key, offset);
    let word = u64::from_ne_bytes(key);
    let (chunks, tail) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Appends `payload`, masked or unmasked, to `output`.
///
/// `offset` is as in [`apply`].
pub fn append(output: &mut Vec<u8>, payload: &[u8], key: [u8; 4], offset: usize) {
    // A block is masked while it is still in the first-level cache. As it is a multiple of four,
    // each block begins at the same byte of the key.
    const BLOCK: usize = 4096;

    output.reserve(payload.len());
    for block in payload.chunks(BLOCK) {
        let start = output.len();
        output.extend_from_slice(block);
        apply(&mut output[start..], key, offset);
    }
}

/// Repeats the key to eight bytes, beginning with the byte for `offset`.
fn repeated(mut key: [u8; 4], offset: usize) -> [u8; 8] {
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    [a, b, c, d, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    fn naive(payload: &[u8], key: [u8; 4], offset: usize) -> Vec<u8> {
        payload.iter().enumerate().map(|(i, byte)| byte ^ key[(offset + i) % 4]).collect()
    }

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * 31 + 7) as u8).collect()
    }

    #[test]
    fn agrees_with_the_definition_at_every_length_offset_and_alignment() {
        for alignment in 0..16 {
            let buffer = sample(alignment + 300);
            for len in 0..300 {
                let payload = &buffer[alignment..alignment + len];
                for offset in 0..8 {
                    let expected = naive(payload, KEY, offset);

                    let mut masked = buffer.clone();
                    apply(&mut masked[alignment..alignment + len], KEY, offset);
                    assert_eq!(masked[alignment..alignment + len], expected);
                    assert_eq!(masked[..alignment], buffer[..alignment], "written before");
                    assert_eq!(masked[alignment + len..], buffer[alignment + len..], "and after");

                    let mut appended = sample(alignment);
                    append(&mut appended, payload, KEY, offset);
                    assert_eq!(appended, [sample(alignment), expected].concat());
                }
            }
        }
    }

    #[test]
    fn blocks_join_seamlessly() {
        for len in [4095, 4096, 4097, 8191, 8192, 8193, 70_000] {
            let payload = sample(len);
            for offset in [0, 1, 2, 3, usize::MAX] {
                let expected = naive(&payload, KEY, offset % 4);
                let mut appended = Vec::new();
                append(&mut appended, &payload, KEY, offset);
                assert_eq!(appended, expected);
                apply(&mut appended, KEY, offset);
                assert_eq!(appended, payload, "masking twice changes nothing");
            }
        }
    }

    #[test]
    fn parts_of_a_payload_are_masked_as_the_whole() {
        let payload = sample(100);
        for cut in 0..=100 {
            let mut parts = payload.clone();
            apply(&mut parts[..cut], KEY, 0);
            apply(&mut parts[cut..], KEY, cut);
            assert_eq!(parts, naive(&payload, KEY, 0));
        }
    }
}
