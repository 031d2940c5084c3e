//! Extensions are understood as they are written, and both sides of an opening handshake understand
//! the same by it.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use wsloop::handshake::{
    Acceptance, ClientHandshake, ClientRequest, DeflateOptions, HeadLimits, Offer, Policy, Reply,
    Request, WsUrl,
};

#[derive(Arbitrary, Debug)]
struct Options {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: u8,
    client_max_window_bits: u8,
}

fuzz_target!(|case: (Option<Options>, Option<Options>, String)| {
    let (client, server, offer) = case;
    agree(client, server);
    if let Some(listed) = list(&offer) {
        assert_eq!(list(&listed).as_ref(), Some(&listed), "written as it was read");
    }
});

/// The extensions that a request offers, as they may be written. `None` if they are refused.
fn list(offer: &str) -> Option<String> {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Extensions: {offer}\r\n\r\n"
    );
    let offer = judge(head.as_bytes())?;
    // Whatever it is, it can be answered.
    let options = DeflateOptions::default();
    offer.accept(&Acceptance::new().deflate(options), &mut Vec::new()).expect("nothing is missing");
    let mut listed = Vec::new();
    for extension in offer.extensions() {
        let mut text = extension.name().to_owned();
        for parameter in extension.parameters() {
            text += &format!("; {}", parameter.name);
            if let Some(value) = parameter.value {
                text += &format!("={value}");
            }
        }
        listed.push(text);
    }
    Some(listed.join(", "))
}

fn judge(head: &[u8]) -> Option<Offer> {
    let request = Request::parse(head, &HeadLimits::default()).ok()?;
    Policy::default().judge(&request).ok()?
}

/// What the server agrees to is what the client takes it to have agreed to.
fn agree(client: Option<Options>, server: Option<Options>) {
    let request = ClientRequest::new(WsUrl::parse("ws://a.example/").expect("valid"));
    let request = match client {
        Some(options) => request.deflate(options.into()),
        None => request,
    };
    let (mut head, mut response) = (Vec::new(), Vec::new());
    let mut handshake = ClientHandshake::start(&request, *b"the sample nonce", &mut head);
    let acceptance = match server {
        Some(options) => Acceptance::new().deflate(options.into()),
        None => Acceptance::new(),
    };
    let offer = judge(&head).expect("our own request is valid");
    let agreed = offer.accept(&acceptance, &mut response).expect("nothing is missing");
    match handshake.receive(&mut &response[..]) {
        Ok(Some(Reply::Established(established))) => {
            assert_eq!(established.deflate(), agreed.deflate());
        }
        // A server need not do what it is asked for, and a client that insists fails.
        other => panic!("{other:?} from {}", String::from_utf8_lossy(&response)),
    }
}

impl From<Options> for DeflateOptions {
    fn from(options: Options) -> Self {
        Self {
            server_no_context_takeover: options.server_no_context_takeover,
            client_no_context_takeover: options.client_no_context_takeover,
            server_max_window_bits: options.server_max_window_bits,
            client_max_window_bits: options.client_max_window_bits,
        }
    }
}
