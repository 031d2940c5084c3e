use proptest::prelude::*;

use super::*;
use crate::protocol::{
    Role,
    wire::{deliveries, wire},
};

/// Inflates a payload that arrives in parts, at most `step` bytes at once.
fn inflate<'p>(
    decompressor: &mut Decompressor,
    parts: impl IntoIterator<Item = &'p [u8]>,
    step: usize,
) -> Result<Vec<u8>, Corrupt> {
    let mut message = Vec::new();
    for mut part in parts {
        loop {
            let inflated = decompressor.inflate(&mut part, step)?;
            assert!(inflated.len() <= step);
            if inflated.is_empty() {
                break;
            }
            message.extend_from_slice(inflated);
        }
        assert!(part.is_empty(), "nothing is lent once all is used up, not before");
    }
    decompressor.finish()?;
    Ok(message)
}

/// Checks what payloads inflate to, one after the other, delivered in all ways.
#[track_caller]
fn check(payloads: &[(&str, Result<&[u8], Corrupt>)]) {
    for step in [1, 2, 7, usize::MAX] {
        let mut deliveries = Vec::new();
        let payloads: Vec<_> =
            payloads.iter().map(|(hex, expected)| (wire(hex), expected)).collect();
        for (payload, _) in &payloads {
            deliveries.push(self::deliveries(payload));
        }
        for way in 0..deliveries.iter().map(Vec::len).max().unwrap() {
            let mut decompressor = Decompressor::new();
            for (i, (_, expected)) in payloads.iter().enumerate() {
                let parts = deliveries[i].get(way).unwrap_or(&deliveries[i][0]).clone();
                let inflated = inflate(&mut decompressor, parts, step);
                let expected = expected.map(<[u8]>::to_vec);
                assert_eq!(inflated, expected, "payload {i} in way {way}, by {step}");
            }
        }
    }
}

const HELLO: Result<&[u8], Corrupt> = Ok(b"Hello");

#[test]
fn examples_of_section_7_2_3() {
    // §7.2.3.1, a compressed block, and its two fragments.
    check(&[("f2 48 cd c9 c9 07 00", HELLO)]);
    // §7.2.3.2, sharing the window.
    check(&[("f2 48 cd c9 c9 07 00", HELLO), ("f2 00 11 00 00", HELLO)]);
    // §7.2.3.3, a block without compression.
    check(&[("00 05 00 fa ff 48 65 6c 6c 6f 00", HELLO)]);
    // §7.2.3.4, a final block.
    check(&[("f3 48 cd c9 c9 07 00 00", HELLO)]);
    // §7.2.3.5, two blocks.
    check(&[("f2 48 05 00 00 00 ff ff ca c9 c9 07 00", HELLO)]);
    // §7.2.3.6, an empty message.
    check(&[("00", Ok(b""))]);
}

/// Made by Python's zlib: `compressobj(wbits=-15)`, in other words by zlib's C code.
#[test]
fn payloads_of_zlib() {
    let json = br#"{"id":17,"name":"Ada","tags":["a","b"],"id":18,"name":"Bob","tags":["a","c"]}"#;
    // Z_FIXED.
    let fixed =
        "aa56ca4c51b23234d751ca4bcc4d55b252724c4954d2512a494c2f56b28a5602b19394627520aa2ce0aa
                 9cf293d054252bc5d60200";
    // Z_HUFFMAN_ONLY, dynamic codes.
    let huffman =
        "04c1310e80201045c1bbbc7a1b2bcd767a0d42f1114228c0023ae3dd9d796919df7663a8179c330b63
                   a94e3c208c44345ac6b7c318ea05e77a12c6529d78401837f1fb01";
    check(&[(fixed, Ok(json)), (huffman, Ok(json)), (fixed, Ok(json))]);
    // Z_RLE, and level 0.
    check(&[("4a1c0544030000", Ok(&[b'a'; 300])), ("000500faff48656c6c6f00", HELLO)]);
    // Level 9, dynamic codes.
    let letters = "148ec90d004008026b9543e8bf82754d4c7c0c2384d1364227995ad8b989326ab5523d018d8dec1ea3
                   84bb2898ed741c522365f7b3bc6857e966e70091f0009f94c1bda579ae6d71e92f86ffc30b0faf4cef
                   da8c4f6bc066ccb93ebc5e0b1d80b8b3f150cb133c00";
    let expected =
        b"cbebhhhgdbhaggahedbfaaaagdgadhhdfddheagbcebfgdeehgahdggcffbhbcgfhahaegccdaddgffhe\
        agcdgahfdghfgfafhadccbeabbahaedebcfebcceceehfhhbaegfgdebedgadagcachgdhdagfgaecdaebbeecgecaa\
        dhcagdfbdgdhbgehafgeacdfcfgd";
    check(&[(letters, Ok(expected))]);
}

/// §7.2.3.4: after a final block others follow, in this message and in the next one.
#[test]
fn what_follows_a_final_block_is_read() {
    check(&[("f3 48 cd c9 c9 07 00 00", HELLO), ("f2 48 cd c9 c9 07 00", HELLO)]);
    // Two streams in a message.
    let twice = Ok(&b"HelloHello"[..]);
    check(&[("f348cdc9c90700 f248cdc9c90700", twice), ("f248cdc9c90700", HELLO)]);
    check(&[("f348cdc9c90700 f348cdc9c90700 00", twice), ("f248cdc9c90700", HELLO)]);
    // The window survives: what follows refers to what was inflated before.
    check(&[("f3 48 cd c9 c9 07 00 00", HELLO), ("f2 00 11 00 00", HELLO)]);
    check(&[("f348cdc9c90700 f200110000", twice)]);
    // Some leave out the empty block. All has been said without it.
    check(&[("f348cdc9c90700", HELLO), ("f200110000", HELLO)]);
    // What is no block is corrupt even there.
    check(&[("f348cdc9c90700 deadbeef", Err(Corrupt))]);
}

#[test]
fn a_tail_that_was_left_in_place_says_nothing() {
    check(&[("f248cdc9c90700 0000ffff", HELLO), ("f200110000", HELLO), ("f200110000", HELLO)]);
    check(&[("f248cdc9c90700 0000ffff 00", HELLO), ("f200110000", HELLO)]);
}

#[test]
fn what_was_cut_short_is_corrupt() {
    // With the lengths at which what is there happens to be a payload by itself.
    for (whole, payloads) in [
        ("f248cdc9c90700", &[][..]),
        ("000500faff48656c6c6f00", &[1]),
        ("f24805000000ffffcac9c90700", &[4, 8]),
        // Dynamic codes: within their lengths as well.
        (
            "04c1310e80201045c1bbbc7a1b2bcd767a0d42f1114228c0023ae3dd9d796919df7663a8179c330b63a94e3c\
         208c44345ac6b7c318ea05e77a12c6529d78401837f1fb01",
            &[],
        ),
    ] {
        let whole = wire(whole);
        for len in 0..whole.len() {
            let mut decompressor = Decompressor::new();
            let cut = inflate(&mut decompressor, [&whole[..len]], usize::MAX);
            assert_eq!(cut.is_ok(), payloads.contains(&len), "{len} of {whole:02x?}: {cut:?}");
        }
    }
    // What looks like a tail that was left in place is data, of which a byte is missing.
    check(&[("000a00f5ff 48656c6c6f 0000ffff", Err(Corrupt))]);
    // An empty payload as well, be it the first or not.
    check(&[("", Err(Corrupt))]);
    check(&[("f248cdc9c90700", HELLO), ("", Err(Corrupt))]);
}

#[test]
fn what_does_not_inflate_is_corrupt() {
    for payload in [
        "ffffffff",
        "06",
        "07 00",
        // LEN and NLEN.
        "00 05 00 fa fe 48 65 6c 6c 6f 00",
        // Too far back: before the first byte.
        "f2 00 11 00 00",
        // Lengths of codes that are over-subscribed.
        "fc ff ff ff ff ff ff",
        "deadbeef",
    ] {
        check(&[(payload, Err(Corrupt))]);
    }
}

#[test]
fn nothing_before_a_reset_can_be_referred_to() {
    let mut decompressor = Decompressor::new();
    let hello = wire("f3 48 cd c9 c9 07 00 00");
    assert_eq!(inflate(&mut decompressor, [&hello[..]], 9), Ok(b"Hello".to_vec()));
    decompressor.reset();
    assert_eq!(inflate(&mut decompressor, [&wire("f200110000")[..]], 9), Err(Corrupt));
    // Nor does an error outlive one.
    decompressor.reset();
    assert_eq!(inflate(&mut decompressor, [&hello[..]], 9), Ok(b"Hello".to_vec()));
}

fn options(context_takeover: bool, window_bits: u8) -> CompressorOptions {
    CompressorOptions { context_takeover, window_bits, level: 6, memory_level: 8 }
}

#[test]
fn messages_are_compressed_as_in_section_7_2_3() {
    let mut compressor = Compressor::new(options(true, 15));
    assert_eq!(compressor.compress(b"Hello").unwrap(), wire("f2 48 cd c9 c9 07 00"));
    assert_eq!(compressor.compress(b"").unwrap(), wire("00"));
    assert_eq!(compressor.compress(b"").unwrap(), wire("00"));
    assert_eq!(compressor.compress(b"Hello").unwrap(), wire("f2 00 11 00 00"));
}

#[test]
fn without_context_takeover_what_is_not_smaller_is_not_compressed() {
    let mut compressor = Compressor::new(options(false, 15));
    for message in [&b""[..], b"H", b"Hello", &noise(100), &noise(100_000)] {
        assert_eq!(compressor.compress(message), None);
    }
    let message = "Hello".repeat(3);
    let payload = compressor.compress(message.as_bytes()).unwrap().to_vec();
    assert!(payload.len() < message.len());
    assert_eq!(compressor.compress(message.as_bytes()), Some(&payload[..]), "as if it were first");
    // One byte less is less.
    for len in 1..100 {
        let message = vec![b'a'; len];
        if let Some(payload) = compressor.compress(&message) {
            assert!(payload.len() < len);
        } else {
            assert!(len < 8, "{len}");
        }
    }
}

/// What is reset before all of it was written makes zlib-rs 0.6 panic later, with little memory
/// soon: a payload that will not be sent is written to its end.
#[test]
fn what_is_not_worth_compressing_leaves_nothing_behind() {
    for level in 1..=9 {
        let options = CompressorOptions { level, memory_level: 1, ..options(false, 9) };
        let mut compressor = Compressor::new(options);
        for len in (1..3000).step_by(43) {
            assert_eq!(compressor.compress(&noise(len)), None);
        }
    }
}

#[test]
fn with_context_takeover_what_does_not_compress_grows_by_next_to_nothing() {
    let mut compressor = Compressor::new(options(true, 15));
    for len in [1, 100, 1000, 100_000] {
        let payload = compressor.compress(&noise(len)).unwrap();
        assert!(
            payload.len() <= len + 6 + 5 * len.div_ceil(16 * 1024),
            "{} of {len}",
            payload.len()
        );
    }
}

/// Bytes that do not compress, the same every time.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Text that compresses as JSON does.
fn words(len: usize) -> Vec<u8> {
    let words = noise(len).into_iter().map(|byte| format!("{{\"id\":{byte},\"name\":\"Ada\"}}"));
    words.collect::<String>().into_bytes()[..len].to_vec()
}

#[test]
fn ten_thousand_messages_refer_to_each_other() {
    let (mut compressor, mut decompressor) =
        (Compressor::new(options(true, 15)), Decompressor::new());
    let text = words(70_000);
    for i in 0..10_000 {
        let start = i * 7919 % 69_000;
        let message = &text[start..start + i * 31 % 1000];
        let payload = compressor.compress(message).unwrap();
        let inflated = inflate(&mut decompressor, [payload], usize::MAX);
        assert!(inflated.as_deref() == Ok(message), "message {i}");
    }
}

/// A ring that is full, a final block, and what is as far back as can be.
#[test]
fn the_window_survives_a_final_block_wherever_it_begins() {
    let text = noise(100_000);
    for before in [32_767, 32_768, 32_769, 50_000, 65_536, 99_000] {
        let (mut compressor, mut decompressor) =
            (Compressor::new(options(true, 15)), Decompressor::new());
        let payload = compressor.compress(&text[..before]).unwrap();
        inflate(&mut decompressor, [payload], usize::MAX).unwrap();
        // An empty message in a final block, which the compressor knows nothing of.
        let empty = wire("03 00");
        assert_eq!(inflate(&mut decompressor, [&empty[..]], usize::MAX), Ok(Vec::new()));
        // A compressor refers to no more than 262 bytes less than the window.
        let message = &text[before.saturating_sub(32_768 - 262)..][..1000];
        let payload = compressor.compress(message).unwrap();
        assert!(payload.len() < 100, "it refers to what was sent");
        assert!(inflate(&mut decompressor, [payload], usize::MAX).as_deref() == Ok(message));
    }
}

/// §7.1.2: what is farther back than agreed is not referred to.
#[test]
fn no_more_than_the_window_is_referred_to() {
    for bits in 9..=15 {
        let window = 1 << bits;
        let unit = noise(window + 1);
        let mut compressor = Compressor::new(options(true, bits));
        // The same comes again just beyond the window: nothing can be made of it.
        for _ in 0..3 {
            assert!(compressor.compress(&unit).unwrap().len() > window, "{bits} bits");
        }
        // Within it, it can.
        let mut compressor = Compressor::new(options(true, bits));
        let near = noise(window / 4);
        compressor.compress(&near).unwrap();
        assert!(compressor.compress(&near).unwrap().len() < window / 8, "{bits} bits");
    }
}

#[test]
#[should_panic = "window bits are 9 to 15"]
fn eight_window_bits_cannot_be_had() {
    let _ = Compressor::new(options(true, 8));
}

/// However much is in a payload, it is inflated as it is asked for.
#[test]
fn a_bomb_is_inflated_no_further_than_asked() {
    let zeros = vec![0; 10 << 20];
    let mut compressor = Compressor::new(options(false, 15));
    let payload = compressor.compress(&zeros).unwrap().to_vec();
    assert!(payload.len() < 11 << 10);
    let (mut decompressor, mut rest) = (Decompressor::new(), &payload[..]);
    let inflated = decompressor.inflate(&mut rest, 8 * 1024 + 1).unwrap();
    assert_eq!(inflated.len(), 8 * 1024 + 1);
    assert!(rest.len() > payload.len() / 2, "what was not inflated was not read either");
    decompressor.reset();
    assert!(inflate(&mut decompressor, [&payload[..]], 1000).as_deref() == Ok(&zeros));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_compressed_is_inflated(
        messages in prop::collection::vec((0..70_000_usize, 0..3000_usize, any::<bool>()), 1..8),
        cut in 1..200_usize,
        step in prop::sample::select(vec![1, 5, 1000, 40_000]),
        options in (any::<bool>(), 9..=15_u8, 1..=9_u8, 1..=9_u8),
    ) {
        let (context_takeover, window_bits, level, memory_level) = options;
        let options = CompressorOptions { context_takeover, window_bits, level, memory_level };
        let (mut compressor, mut decompressor) = (Compressor::new(options), Decompressor::new());
        let sources = [words(73_000), noise(73_000)];
        for (start, len, compressible) in messages {
            let message = &sources[usize::from(!compressible)][start..start + len];
            let Some(payload) = compressor.compress(message) else {
                prop_assert!(!context_takeover);
                continue;
            };
            if !context_takeover {
                decompressor.reset();
            }
            let inflated = inflate(&mut decompressor, payload.chunks(cut), step);
            prop_assert!(inflated.as_deref() == Ok(message));
        }
    }

    #[test]
    fn whatever_arrives_is_inflated_alike_however_it_is_cut(payload: Vec<u8>, cut in 1..9_usize) {
        let mut decompressors = [Decompressor::new(), Decompressor::new()];
        let [whole, parts] = &mut decompressors;
        let whole = inflate(whole, [&payload[..]], usize::MAX);
        let parts = inflate(parts, payload.chunks(cut), 3);
        prop_assert_eq!(whole, parts);
    }
}

#[test]
fn each_role_does_what_was_agreed_for_it() {
    let parameters = DeflateParameters {
        server_no_context_takeover: true,
        client_max_window_bits: 10,
        ..DeflateParameters::default()
    };
    let server = CompressorOptions::new(parameters, Role::Server);
    let client = CompressorOptions::new(parameters, Role::Client);
    assert_eq!((server.context_takeover, server.window_bits), (false, 15));
    assert_eq!((client.context_takeover, client.window_bits), (true, 10));
}
