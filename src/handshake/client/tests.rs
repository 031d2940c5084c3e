use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::handshake::testing::Handshake;
use crate::handshake::{
    Acceptance, Credentials, HeadBuffer, HeadLimits, InvalidField, Method, OriginPolicy, Policy,
    Refusal, Request, UrlError, WsUrl,
};

mod answers;
mod hostile_servers;
mod redirections;
mod refusals;
mod requests;

/// The key of RFC 6455 §1.3, `dGhlIHNhbXBsZSBub25jZQ==`.
const KEY: [u8; 16] = *b"the sample nonce";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

fn request(url: &str) -> ClientRequest {
    ClientRequest::new(WsUrl::parse_with_credentials(url).unwrap())
}

/// A request that offers subprotocols and extensions.
fn offering(subprotocols: &[&str], extensions: &[&str]) -> ClientRequest {
    let request = request("ws://server.example/chat");
    let add = |request: ClientRequest, it: &&str| request.subprotocol(it).unwrap();
    let request = subprotocols.iter().fold(request, add);
    extensions.iter().fold(request, |request, it| request.extension(it).unwrap())
}

fn encode(request: &ClientRequest) -> String {
    let mut output = Vec::new();
    request.encode(KEY, &mut output);
    String::from_utf8(output).unwrap()
}

/// The answer that completes the handshake, in parts that tests may change.
fn response() -> Handshake {
    let fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), (ACCEPT_FIELD, ACCEPT)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
    Handshake { line: "HTTP/1.1 101 Switching Protocols".to_owned(), fields: fields.into() }
}

const ACCEPT_FIELD: &str = "Sec-WebSocket-Accept";

type Outcome = (Result<Option<Reply>, ResponseError>, usize);

/// What comes of an answer in pieces, and how many bytes were taken until then.
fn deliver<'p>(request: &ClientRequest, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut handshake = ClientHandshake::start(request, KEY, &mut Vec::new());
    let mut taken = 0;
    for mut piece in pieces {
        let length = piece.len();
        let reply = handshake.receive(&mut piece);
        taken += length - piece.len();
        match reply {
            Ok(None) => assert!(piece.is_empty(), "input is used up before more is asked for"),
            Ok(Some(reply)) => {
                let mut more = &b"more"[..];
                assert_eq!((handshake.receive(&mut more), more), (Ok(None), &b"more"[..]));
                assert_eq!(handshake.end(), Ok(None), "a reply is given once");
                return (Ok(Some(reply)), taken);
            }
            Err(error) => {
                assert_eq!(handshake.receive(&mut &b"HTTP/1.1 101"[..]), Err(error), "for good");
                assert_eq!(handshake.end(), Err(error), "for good");
                return (Err(error), taken);
            }
        }
    }
    (Ok(None), taken)
}

/// Delivers an answer whole, byte by byte, and cut in two; all must come to the same.
#[track_caller]
fn deliver_in_all_ways(request: &ClientRequest, answer: &[u8]) -> Outcome {
    let expected = deliver(request, [answer]);
    assert_eq!(deliver(request, answer.chunks(1)), expected, "byte by byte");
    for middle in (0..answer.len()).step_by(1 + answer.len() / 500) {
        let (first, second) = answer.split_at(middle);
        assert_eq!(deliver(request, [first, second]), expected, "cut at {middle}");
    }
    expected
}

#[track_caller]
fn established(request: &ClientRequest, answer: &Handshake) -> Established {
    match deliver_in_all_ways(request, &answer.encode()).0 {
        Ok(Some(Reply::Established(established))) => established,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(answer: impl AsRef<[u8]>) -> ServerRefusal {
    match deliver_in_all_ways(&offering(&[], &[]), answer.as_ref()).0 {
        Ok(Some(Reply::Refused(refusal))) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Checks that an answer fails the connection.
#[track_caller]
fn fails(answer: impl AsRef<[u8]>, error: ResponseError) {
    assert_eq!(deliver_in_all_ways(&offering(&[], &[]), answer.as_ref()).0, Err(error));
}

/// Checks what comes of these lines for one field of the answer.
#[track_caller]
fn check<V: AsRef<[u8]>>(name: &str, lines: &[V], expected: Option<ResponseError>) {
    let answer = response().with(name, lines).encode();
    let (reply, taken) = deliver_in_all_ways(&offering(&["a"], &["x; p=1"]), &answer);
    assert_eq!(reply.err(), expected, "{}", answer.escape_ascii());
    assert_eq!(taken, answer.len());
}

/// What our own server answers to a request.
fn serve(policy: &Policy, request: &[u8]) -> Vec<u8> {
    let limits = HeadLimits::default();
    let mut head = HeadBuffer::new();
    let mut input = request;
    assert_eq!(head.receive(&mut input, &limits), Ok(true));
    assert!(input.is_empty(), "nothing follows a request");
    let mut output = Vec::new();
    let judged = Request::parse(head.head(), &limits)
        .and_then(|request| policy.judge(&request)?.ok_or(Refusal::UpgradeRequired));
    match judged {
        Ok(offer) => _ = offer.accept(&Acceptance::new(), &mut output).unwrap(),
        Err(refusal) => refusal.response().encode(Method::Get, UNIX_EPOCH, &mut output),
    }
    output
}

proptest! {
    /// Whatever our client offers, our server understands, and the other way around.
    #[test]
    fn client_and_server_agree(
        key: [u8; 16],
        offered in prop::sample::subsequence(vec!["a", "b", "c.v1", "D"], 0..=4).prop_shuffle(),
        spoken in prop::sample::subsequence(vec!["a", "b", "c.v1", "D"], 0..=4).prop_shuffle(),
        extensions in prop::sample::subsequence(vec!["x; p=1", "y;q=\"z\"", "w"], 0..=3),
        origin in prop::option::of(prop::sample::select(vec!["http://server.example", "null"])),
    ) {
        let mut request = offering(&offered, &extensions);
        if let Some(origin) = origin {
            request = request.origin(origin).unwrap();
        }
        let subprotocols = spoken.iter().map(|&it| it.to_owned()).collect();
        let policy = Policy { subprotocols, origins: OriginPolicy::SameHost, ..Policy::default() };

        let mut output = Vec::new();
        let mut handshake = ClientHandshake::start(&request, key, &mut output);
        let answer = serve(&policy, &output);
        match handshake.receive(&mut &answer[..]) {
            Ok(Some(Reply::Established(established))) => {
                prop_assert_ne!(origin, Some("null"));
                let expected = spoken.iter().copied().find(|it| offered.contains(it));
                prop_assert_eq!(established.subprotocol(), expected);
                prop_assert_eq!(established.extensions().count(), 0);
            }
            Ok(Some(Reply::Refused(refusal))) => {
                prop_assert_eq!(origin, Some("null"));
                prop_assert_eq!(refusal.status(), 403);
                prop_assert!(!refusal.body().is_empty() && answer.ends_with(refusal.body()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn an_offer_to_compress_must_be_answered_as_it_was_made() {
    use crate::handshake::DeflateOptions;

    let name = "Sec-WebSocket-Extensions";
    let request = offering(&[], &["x"]).deflate(DeflateOptions::default());
    let offer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                 client_max_window_bits";
    assert!(encode(&request).contains(&format!("\r\n{name}: x,{offer}\r\n")));

    let none = established(&request, &response().with(name, &["x"]));
    assert_eq!(none.deflate(), None);
    let answer = "x, permessage-deflate; server_no_context_takeover";
    let agreed = established(&request, &response().with(name, &[answer])).deflate().unwrap();
    assert!(agreed.server_no_context_takeover && agreed.client_no_context_takeover);

    for (answer, error) in [
        ("permessage-deflate", ResponseError::Deflate),
        ("permessage-deflate; foo", ResponseError::Deflate),
        ("permessage-deflate, permessage-deflate", ResponseError::RepeatedExtension),
        ("permessage-deflate;", ResponseError::Extensions),
    ] {
        let (reply, _) = deliver_in_all_ways(&request, &response().with(name, &[answer]).encode());
        assert_eq!(reply, Err(error), "{answer}");
    }
    // An offer that the application wrote is its own to judge.
    let by_hand = offering(&[], &["permessage-deflate"]);
    let answer = response().with(name, &["permessage-deflate; foo"]);
    assert_eq!(established(&by_hand, &answer).deflate(), None);
}
