//! Text in pieces is valid exactly if std finds it valid as a whole.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::protocol::utf8::{Valid, Validator};

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    assert_eq!(validate(&pieces), String::from_utf8(pieces.concat()).ok());
});

fn validate(pieces: &[Vec<u8>]) -> Option<String> {
    let mut validator = Validator::new();
    let mut text = String::new();
    for piece in pieces {
        let mut input = &piece[..];
        while !input.is_empty() {
            match validator.next(&mut input).ok()? {
                Valid::Str(valid) => text.push_str(valid),
                Valid::Char(valid) => text.push(valid),
            }
        }
    }
    validator.finish().ok()?;
    Some(text)
}
