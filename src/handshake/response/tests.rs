use proptest::prelude::*;

use super::*;
use crate::handshake::{Acceptance, HeadLimits, Policy, Request, testing::Handshake};

/// Sunday, the example of RFC 9110 §5.6.7.
const NOW: Duration = Duration::from_secs(784_111_777);

fn encode(response: &Response, method: Method) -> String {
    let mut output = Vec::new();
    response.encode(method, UNIX_EPOCH + NOW, &mut output);
    String::from_utf8(output).unwrap()
}

#[test]
fn a_page_is_sent_with_its_length_and_the_connection_closed() {
    assert_eq!(
        encode(&Response::html("<p>hé"), Method::Get),
        "HTTP/1.1 200 OK\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Connection: close\r\n\
         Content-Type: text/html; charset=utf-8\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Content-Length: 6\r\n\
         \r\n\
         <p>hé"
    );
}

#[test]
fn the_response_to_head_is_the_same_without_its_body() {
    let page = Response::html("<p>hello");
    let whole = encode(&page, Method::Get);
    assert_eq!(Some(encode(&page, Method::Head).as_str()), whole.strip_suffix("<p>hello"));
}

#[test]
fn some_statuses_have_no_body() {
    let encode = |status| encode(&Response::text(status, "ignored"), Method::Get);
    let empty = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n";
    // RFC 9110 §8.6: no length at all. §15.3.6: a length of zero.
    assert_eq!(encode(204), format!("HTTP/1.1 204 No Content\r\n{empty}\r\n"));
    assert_eq!(encode(304), format!("HTTP/1.1 304 Not Modified\r\n{empty}\r\n"));
    let reset = format!("HTTP/1.1 205 Reset Content\r\n{empty}Content-Length: 0\r\n\r\n");
    assert_eq!(encode(205), reset);
}

#[test]
fn an_application_may_say_what_its_body_is() {
    let json = Response::new(200).body(&b"{}"[..]).header("content-type", "application/json");
    let json = encode(&json.unwrap(), Method::Get);
    assert_eq!(json.to_lowercase().matches("content-type:").count(), 1, "{json}");
    let own = Response::text(200, "x").header("X-Content-Type-Options", "nosniff").unwrap();
    assert_eq!(encode(&own, Method::Get).matches("nosniff").count(), 1);
}

#[test]
fn an_application_that_refuses_an_upgrade_says_what_it_expects() {
    let response = encode(&Response::new(426), Method::Get);
    assert!(response.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"));
}

#[test]
fn a_status_that_ends_no_request_is_the_servers_mistake() {
    for status in [0, 99, 100, 101, 199, 600, 999, u16::MAX] {
        assert_eq!(Response::new(status).status(), 500, "{status}");
    }
    for status in [200, 299, 418, 599] {
        assert_eq!(Response::new(status).status(), status);
    }
    // A phrase may be empty, but not the space before it (RFC 9112 §4).
    assert!(encode(&Response::new(299), Method::Get).starts_with("HTTP/1.1 299 \r\n"));
}

#[test]
fn a_time_that_no_date_can_express_is_left_out() {
    let year_10000 = Duration::from_secs(253_402_300_800);
    let second = Duration::from_secs(1);
    for (now, date) in [
        (UNIX_EPOCH - second, None),
        (UNIX_EPOCH, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
        (UNIX_EPOCH + year_10000 - second, Some("Fri, 31 Dec 9999 23:59:59 GMT")),
        (UNIX_EPOCH + year_10000, None),
    ] {
        let mut output = Vec::new();
        Response::new(200).encode(Method::Get, now, &mut output);
        let output = String::from_utf8(output).unwrap();
        let found = output.lines().find_map(|line| line.strip_prefix("Date: "));
        assert_eq!(found, date);
    }
}

#[test]
fn output_is_appended() {
    let mut output = b"before".to_vec();
    Response::new(200).encode(Method::Get, UNIX_EPOCH, &mut output);
    assert!(output.starts_with(b"beforeHTTP/1.1 200 OK\r\n"));
}

/// What was emitted: its status, its fields, and what follows.
#[derive(Debug, PartialEq)]
struct Emitted<'o>(u16, Vec<(String, Vec<u8>)>, &'o [u8]);

/// Reads an emitted head with another's eyes.
fn reparse(output: &[u8]) -> Emitted<'_> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let length = response.parse(output).unwrap().unwrap();
    let fields = response.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec()));
    Emitted(response.code.unwrap(), fields.collect(), &output[length..])
}

/// Names and values, most of them valid or nearly so.
fn any_fields() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
    let name =
        prop_oneof!["[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}", "[ -~\r\n\t]{0,6}", ".{0,4}", "Upgrade"];
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        "[ -~\t]{0,20}".prop_map(String::into_bytes),
        Just(b"a\r\nSet-Cookie: evil".to_vec()),
    ];
    prop::collection::vec((name, value), 0..8)
}

proptest! {
    /// CRLF injection: what is emitted is what was accepted, field by field, or it was refused.
    #[test]
    fn a_response_has_the_intended_fields_only(fields in any_fields(), body in ".{0,20}") {
        let mut response = Response::new(403).body(body.clone().into_bytes());
        let mut intended = vec![];
        for (name, value) in fields {
            if let Ok(extended) = response.clone().header(&name, &value) {
                response = extended;
                intended.push((name, crate::handshake::syntax::trim(&value).to_vec()));
            }
        }
        let mut output = Vec::new();
        response.encode(Method::Get, UNIX_EPOCH, &mut output);
        let Emitted(status, fields, rest) = reparse(&output);
        prop_assert_eq!((status, rest), (403, body.as_bytes()));
        let (own, custom) = fields.split_at(fields.len() - intended.len());
        prop_assert_eq!(custom, &intended[..]);
        prop_assert!((3..=5).contains(&own.len()), "{:?}", own);
        prop_assert_eq!(&own[1], &("Connection".to_owned(), b"close".to_vec()));
    }

    #[test]
    fn a_101_has_the_intended_fields_only(fields in any_fields()) {
        let head = Handshake::new().with("Sec-WebSocket-Protocol", &["a, b"]).encode();
        let request = Request::parse(&head, &HeadLimits::default()).unwrap();
        let offer = Policy::default().judge(&request).unwrap().unwrap();
        let mut acceptance = Acceptance::new().subprotocol("b");
        let mut intended: Vec<(String, Vec<u8>)> = vec![
            ("Upgrade".into(), b"websocket".into()),
            ("Connection".into(), b"Upgrade".into()),
            ("Sec-WebSocket-Accept".into(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into()),
            ("Sec-WebSocket-Protocol".into(), b"b".into()),
        ];
        for (name, value) in fields {
            if let Ok(extended) = acceptance.clone().header(&name, &value) {
                acceptance = extended;
                intended.push((name, crate::handshake::syntax::trim(&value).to_vec()));
            }
        }
        let mut output = Vec::new();
        offer.accept(&acceptance, &mut output).unwrap();
        prop_assert_eq!(reparse(&output), Emitted(101, intended, b""));
    }
}
