//! However bytes are cut, the decoder makes the same of them, in either role.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::protocol::{Decoder, Event, Role, Violation};

fuzz_target!(|case: (bool, u16, Vec<Vec<u8>>)| {
    let (server, limit, pieces) = case;
    let role = if server { Role::Server } else { Role::Client };
    let decoder = || Decoder::new(role).max_message_size(limit.into());

    let whole = decode(decoder(), [pieces.concat()]);
    assert_eq!(whole, decode(decoder(), pieces.clone()));
    assert_eq!(whole, decode(decoder(), pieces.concat().chunks(1).map(<[u8]>::to_vec)));
});

/// What was reported, as text; the events before a violation count as well.
fn decode(
    mut decoder: Decoder,
    pieces: impl IntoIterator<Item = Vec<u8>>,
) -> (Vec<String>, Option<Violation>) {
    let mut events = Vec::new();
    for mut piece in pieces {
        let mut input = &mut piece[..];
        loop {
            match decoder.next(&mut input) {
                Ok(Some(event)) => {
                    assert!(!matches!(event, Event::Piece(_)), "nobody asked for pieces");
                    events.push(format!("{event:?}"));
                }
                Ok(None) => break,
                Err(violation) => return (events, Some(violation)),
            }
        }
        assert!(input.is_empty(), "input is used up before more is asked for");
    }
    (events, None)
}
