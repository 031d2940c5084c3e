//! However a request is cut, the same becomes of it; and a response is HTTP that says what it
//! should.

#![no_main]

use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use wsloop::handshake::{Acceptance, HeadBuffer, HeadLimits, Policy, Refusal, Request};

fuzz_target!(|case: (Vec<u8>, u8)| {
    let (bytes, cut) = case;
    let cut = usize::from(cut).min(bytes.len());
    let whole = answer([&bytes[..]]);
    assert_eq!(whole, answer([&bytes[..cut], &bytes[cut..]]));
    assert_eq!(whole, answer(bytes.chunks(1)));
});

/// The response, and how many bytes follow the head. `None` if that is not complete.
fn answer<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<(Vec<u8>, usize)> {
    let limits = HeadLimits::default();
    let mut head = HeadBuffer::new();
    let mut rest = 0;
    let mut complete = Ok(false);
    for mut piece in pieces {
        if complete == Ok(false) {
            complete = head.receive(&mut piece, &limits);
        }
        rest += piece.len();
    }
    let response = match complete {
        Ok(false) => return None,
        Ok(true) => upgrade(head.head(), &limits),
        // How much is left over then is of no interest: nobody will read it.
        Err(refusal) => {
            rest = 0;
            Err(refusal)
        }
    };
    let bytes = response.unwrap_or_else(|refusal| {
        let mut bytes = Vec::new();
        refusal.response().encode(head.method(), SystemTime::UNIX_EPOCH, &mut bytes);
        bytes
    });
    assert!(bytes.starts_with(b"HTTP/1.1 ") && bytes.windows(4).any(|end| end == b"\r\n\r\n"));
    Some((bytes, rest))
}

fn upgrade(head: &[u8], limits: &HeadLimits) -> Result<Vec<u8>, Refusal> {
    let request = Request::parse(head, limits)?;
    let offer = Policy::default().judge(&request)?.ok_or(Refusal::UpgradeRequired)?;
    let mut output = Vec::new();
    offer.accept(&Acceptance::new(), &mut output).map_err(|_| Refusal::HandlerFailed)?;
    Ok(output)
}
