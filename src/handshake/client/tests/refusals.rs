//! Servers that say no.

use super::*;

#[test]
fn a_refusal_is_handed_on_as_it_came() {
    let refusal = refused(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\
         Content-Length: 12\r\n\r\nwho are you?ignored",
    );
    assert_eq!((refusal.status(), refusal.body()), (401, &b"who are you?"[..]));
    assert_eq!(refusal.head().field("www-authenticate"), Some("Basic realm=\"x\""));
    assert_eq!(refusal.to_string(), "refused with status 401 Unauthorized");
    for status in [200, 204, 301, 304, 400, 404, 426, 500, 600, 999] {
        let answer = format!("HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n");
        assert_eq!(refused(answer).status(), status);
    }
    // Many simple servers speak HTTP/1.0 to say no, which is as good a no as any.
    assert_eq!(refused("HTTP/1.0 404 x\r\nContent-Length: 0\r\n\r\n").status(), 404);
}

#[test]
fn words_of_a_server_are_escaped() {
    let refusal = refused("HTTP/1.1 400 \u{202e}\u{9b}2J\r\nContent-Length: 0\r\n\r\n");
    let shown = refusal.to_string();
    assert!(shown.is_ascii() && shown.contains("\\x"), "{shown}");
}

#[test]
fn a_body_is_kept_up_to_the_limit() {
    let refusal = refused(["HTTP/1.1 500 x\r\n\r\n", &"x".repeat(5000)].concat());
    assert_eq!(refusal.body().len(), 4096);
    let refusal = refused("HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n");
    assert_eq!(refusal.body(), b"ab");
}

#[test]
fn a_body_ends_with_the_stream_or_with_patience() {
    for framing in ["", "Content-Length: 99\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
        let answer = format!("HTTP/1.1 503 x\r\n{framing}\r\n2\r\nab");
        assert_eq!(handshake.receive(&mut answer.as_bytes()), Ok(None));
        let Ok(Some(Reply::Refused(refusal))) = handshake.end() else { panic!("{framing}") };
        assert!(refusal.body().ends_with(b"ab") && refusal.status() == 503);
        assert_eq!(handshake.end(), Ok(None));
    }
}
