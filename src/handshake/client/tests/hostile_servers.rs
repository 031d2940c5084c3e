//! Answers that are meant to do harm.

use super::*;

#[test]
fn what_is_not_http_fails_at_its_first_byte() {
    for first in 0..=u8::MAX {
        let (reply, taken) = deliver(&offering(&[], &[]), [&[first, first][..]]);
        let (expected, expected_taken) = match first {
            b'H' => (ResponseError::NotHttp, 2),
            0x15 | 0x16 => (ResponseError::Tls, 1),
            _ => (ResponseError::NotHttp, 1),
        };
        assert_eq!((reply, taken), (Err(expected), expected_taken), "{first:#04x}");
    }
    fails(b"\x15\x03\x01\x00\x02\x02\x46", ResponseError::Tls);
    fails("HTTPS/1.1 101 x\r\n\r\n", ResponseError::NotHttp);
    fails("SSH-2.0-OpenSSH_9.6\r\n", ResponseError::NotHttp);
    fails("\r\nHTTP/1.1 101 x\r\n\r\n", ResponseError::NotHttp);
    fails("HTT\r\n", ResponseError::NotHttp);
}

#[test]
fn a_status_line_is_judged_at_its_end() {
    for line in ["HTTP/1.1\r\n", "HTTP/1.1 1\r\n", "HTTP/ 101 x\r\n", "HTTP/1.1 600x\r\n"] {
        fails(line, ResponseError::StatusLine);
    }
    fails("HTTP/2.0 101 x\r\n", ResponseError::HttpVersion);
    fails(response().line("HTTP/1.0 101 x").encode(), ResponseError::HttpVersion);
    for byte in (0..b' ').chain([0x7F]).filter(|byte| !b"\r\n\t".contains(byte)) {
        fails([b"HTTP/1.1 101 x", &[byte][..]].concat(), ResponseError::StatusLine);
    }
}

#[test]
fn lines_end_with_crlf_and_nothing_else() {
    for head in [
        "HTTP/1.1 101 x\n",
        "HTTP/1.1 101 x\rX",
        "HTTP/1.1 101 x\r\r\n",
        "HTTP/1.1 101 x\r\nA: b\n",
        "HTTP/1.1 101 x\r\nA: b\rc",
        "HTTP/1.1 101 x\r\nA: b\r\n\n",
        "HTTP/1.1 101 x\r\nA: b\r\n\r\r",
    ] {
        fails(head, ResponseError::LineEnd);
    }
}

#[test]
fn fields_are_names_with_values_on_one_line() {
    for field in
        ["A : b", ": b", "A b: c", "A", " A: b", "A: b\r\n c", "A: b\r\n\tc", "é: b", "A\t: b"]
    {
        let head = format!("HTTP/1.1 101 x\r\n{field}\r\n\r\n");
        fails(head, ResponseError::Field);
    }
    for byte in (0..b' ').chain([0x7F]).filter(|byte| !b"\r\n\t".contains(byte)) {
        fails([b"HTTP/1.1 101 x\r\nA: ", &[byte][..]].concat(), ResponseError::Field);
    }
}

#[test]
fn a_head_has_a_limit() {
    let limits = ResponseLimits { max_head_size: 100, max_headers: 2, max_body_size: 9 };
    let run = |answer: &str, by: usize| {
        let start = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
        let mut handshake = start.limits(limits);
        let mut pieces = answer.as_bytes().chunks(by);
        pieces.find_map(|mut piece| handshake.receive(&mut piece).transpose())
    };
    let line = "HTTP/1.1 404 x\r\n";
    let head = |len: usize| format!("{line}A: {}\r\n\r\n", "b".repeat(len - line.len() - 7));
    for by in [1, 7, 1000] {
        assert_eq!(run(&head(100), by), None, "the body follows");
        assert_eq!(run(&head(101), by), Some(Err(ResponseError::HeadTooLarge)));
        assert_eq!(run(&head(100_000), by), Some(Err(ResponseError::HeadTooLarge)));
        let reason = format!("HTTP/1.1 404 {}", "x".repeat(1000));
        assert_eq!(run(&reason, by), Some(Err(ResponseError::HeadTooLarge)));
        assert_eq!(run(&format!("{line}A:\r\nB:\r\n\r\n"), by), None);
        let three = format!("{line}A:\r\nB:\r\nC:\r\n\r\n");
        assert_eq!(run(&three, by), Some(Err(ResponseError::TooManyFields)));
    }
}

#[test]
fn an_endless_head_is_cut_at_the_limit() {
    let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
    assert_eq!(handshake.receive(&mut &b"HTTP/1.1 101 x\r\n"[..]), Ok(None));
    let mut sent = 16;
    let error = loop {
        match handshake.receive(&mut &b"A: b\r\n"[..]) {
            Ok(reply) => assert_eq!(reply, None),
            Err(error) => break error,
        }
        sent += 6;
    };
    assert_eq!(error, ResponseError::HeadTooLarge);
    let limit = ResponseLimits::default().max_head_size;
    assert!((limit - 6..=limit).contains(&sent), "{sent}");
}

#[test]
fn a_stream_that_ends_early_is_no_answer() {
    let answer = response().encode();
    for end in 0..answer.len() {
        let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
        assert_eq!(handshake.receive(&mut &answer[..end]), Ok(None));
        let error = if end == 0 { ResponseError::NoResponse } else { ResponseError::Incomplete };
        assert_eq!(handshake.end(), Err(error));
    }
    let mut handshake = ClientHandshake::start(&offering(&[], &[]), KEY, &mut Vec::new());
    assert_eq!(handshake.receive(&mut &b"HTTP/1.1 100 x\r\n\r\n"[..]), Ok(None));
    assert_eq!(handshake.end(), Err(ResponseError::Incomplete));
}

proptest! {
    /// Whatever a server answers, cutting it does not matter, and nothing panics.
    #[test]
    fn no_answer_is_too_strange(
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        status in prop::sample::select(vec!["101", "100", "200", "302", "401"]),
        framing in prop::sample::select(vec![
            ("Content-Length", "7"), ("Transfer-Encoding", "chunked"), ("Location", "/b"),
        ]),
        middle: prop::sample::Index,
    ) {
        let answer = response()
            .line(&format!("HTTP/1.1 {status} x"))
            .with(framing.0, &[framing.1])
            .with("Sec-WebSocket-Extensions", &["x; p=\"\\z\""])
            .with("Sec-WebSocket-Protocol", &["a"]);
        let mut answer = [&answer.encode()[..], b"3\r\nabc\r\n0\r\n\r\n"].concat();
        for (index, byte) in &noise {
            let index = index.index(answer.len());
            answer[index] = *byte;
        }
        let request = offering(&["a"], &["x"]);
        let whole = deliver(&request, [&answer[..]]);
        let (first, second) = answer.split_at(middle.index(answer.len()));
        prop_assert_eq!(&deliver(&request, [first, second]), &whole);
        prop_assert_eq!(&deliver(&request, answer.chunks(1)), &whole);
        if let (Ok(Some(Reply::Refused(refusal))), _) = whole {
            _ = request.redirected(&refusal);
        }
    }
}
