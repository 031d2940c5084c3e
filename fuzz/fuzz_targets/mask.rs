//! Masking in words is masking byte by byte, wherever the payload begins and is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::protocol::mask;

fuzz_target!(|case: ([u8; 4], u8, u16, &[u8])| {
    let (key, offset, cut, payload) = case;
    let offset = usize::from(offset);
    let naive: Vec<_> =
        (offset..).zip(payload).map(|(at, byte)| byte ^ key[at % key.len()]).collect();

    let cut = usize::from(cut).min(payload.len());
    let mut masked = payload.to_vec();
    let (front, back) = masked.split_at_mut(cut);
    mask::apply(front, key, offset);
    mask::apply(back, key, offset + cut);
    assert_eq!(masked, naive);

    let mut appended = vec![0; cut % 8];
    mask::append(&mut appended, payload, key, offset);
    assert_eq!(appended[cut % 8..], naive);
});
