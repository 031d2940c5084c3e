//! However an answer is cut, a client makes the same of it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wsloop::handshake::{ClientHandshake, ClientRequest, Reply, ResponseError, WsUrl};

// The bytes come last, as they are: so answers that servers gave can be the corpus.
fuzz_target!(|case: (u8, &[u8])| {
    let (cut, bytes) = case;
    let whole = judge([bytes]);
    let (first, second) = bytes.split_at(bytes.len().min(cut.into()));
    assert_eq!(whole, judge([first, second]));
    assert_eq!(whole, judge(bytes.chunks(1)));
});

/// The reply, and how many bytes of the answer it took.
fn judge<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Result<Option<Reply>, ResponseError>, usize) {
    let request = ClientRequest::new(WsUrl::parse("wss://a.example/b/c?d").expect("valid"));
    let request = request.subprotocol("chat").and_then(|it| it.extension("x")).expect("valid");
    let mut handshake = ClientHandshake::start(&request, *b"the sample nonce", &mut Vec::new());
    let mut taken = 0;
    for mut piece in pieces {
        let length = piece.len();
        let reply = handshake.receive(&mut piece);
        taken += length - piece.len();
        if reply != Ok(None) {
            return (reply, taken);
        }
    }
    let reply = handshake.end();
    if let Ok(Some(Reply::Refused(refusal))) = &reply {
        _ = request.redirected(refusal);
    }
    (reply, taken)
}
