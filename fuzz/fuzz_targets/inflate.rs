//! However compressed messages are cut, the decoder makes the same of them, within its limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::protocol::{
    Decoder, DeflateParameters, Event, Header, Opcode, Role, Violation, encode_frame,
};

fuzz_target!(|case: (bool, u16, Vec<Vec<u8>>)| {
    let (client_no_context_takeover, limit, payloads) = case;
    let parameters = DeflateParameters { client_no_context_takeover, ..Default::default() };
    let decoder = || Decoder::new(Role::Server).deflate(parameters).max_message_size(limit.into());

    let mut frames = Vec::new();
    for payload in payloads {
        let header = Header::new(Opcode::Binary, 0);
        let header = Header { rsv: Header::RSV1, masking_key: Some([0; 4]), ..header };
        encode_frame(header, &payload, &mut frames);
    }
    let whole = decode(decoder(), &frames, usize::MAX);
    assert!(whole.0.iter().all(|message| message.len() <= limit.into()));
    assert_eq!(whole, decode(decoder(), &frames, 1));
    assert_eq!(whole, decode(decoder(), &frames, 7));
});

/// The messages that arrive in parts of this length, and the violation that ends them.
fn decode(mut decoder: Decoder, frames: &[u8], len: usize) -> (Vec<Vec<u8>>, Option<Violation>) {
    let mut messages = Vec::new();
    for part in frames.chunks(len) {
        let mut part = part.to_vec();
        let mut input = &mut part[..];
        loop {
            match decoder.next(&mut input) {
                Ok(Some(Event::Message(message))) => messages.push(message.as_bytes().to_vec()),
                Ok(Some(other)) => panic!("nobody sent {other:?}"),
                Ok(None) => break,
                Err(violation) => return (messages, Some(violation)),
            }
        }
    }
    (messages, None)
}
