//! The body of a Close is read as it is written, and only what may be sent is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::protocol::{CloseBody, CloseCode};

fuzz_target!(|case: (u16, &str, &[u8])| {
    let (code, reason, payload) = case;
    read(payload);
    if let Some(code) = CloseCode::new(code) {
        write(code, reason);
    }
});

fn read(payload: &[u8]) {
    match CloseBody::parse(payload) {
        Ok(None) => assert!(payload.is_empty()),
        Ok(Some(body)) => {
            assert_eq!(u16::from(body.code).to_be_bytes(), payload[..2]);
            assert_eq!(body.reason.as_bytes(), &payload[2..]);
        }
        Err(_) => {
            let allowed = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
            let is_valid = payload.split_first_chunk().is_some_and(|(code, reason)| {
                allowed(u16::from_be_bytes(*code)) && std::str::from_utf8(reason).is_ok()
            });
            assert!(!is_valid && !payload.is_empty());
        }
    }
}

fn write(code: CloseCode, reason: &str) {
    let (body, mut payload) = (CloseBody { code, reason }, Vec::new());
    body.encode(&mut payload);
    assert!(payload.len() == body.encoded_len() && payload.len() <= 125);
    let read = CloseBody::parse(&payload).expect("it is ours").expect("it is not empty");
    assert_eq!(read.code, code);
    let rest = reason.strip_prefix(read.reason).expect("it is cut at the end, if anywhere");
    let next = rest.chars().next().map_or(0, char::len_utf8);
    assert!(rest.is_empty() || payload.len() + next > 125, "there was room for more");
}
