use proptest::prelude::*;

use super::*;
use crate::handshake::testing::{Handshake, deliver, deliver_in_all_ways};

const MINIMAL: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn limits(max_head_size: usize, max_request_line: usize) -> HeadLimits {
    HeadLimits { max_head_size, max_request_line, max_headers: 64 }
}

#[track_caller]
fn refused(input: impl AsRef<[u8]>, refusal: Refusal) {
    let received = deliver_in_all_ways(input.as_ref(), &HeadLimits::default());
    assert_eq!(received, Err(refusal));
}

#[test]
fn a_head_ends_with_its_blank_line() {
    let limits = HeadLimits::default();
    let input = format!("{MINIMAL}\u{1}GET /admin HTTP/1.1\r\n\r\n");
    let head = deliver_in_all_ways(input.as_bytes(), &limits);
    assert_eq!(head, Ok(Some(MINIMAL.into())));
    assert_eq!(deliver([input.as_bytes()], &limits).1, MINIMAL.len());
    // A head without fields is a head, and what ends early is none yet.
    let bare = b"GET / HTTP/1.1\r\n\r\n";
    assert_eq!(deliver_in_all_ways(bare, &limits), Ok(Some(bare.to_vec())));
    for end in 0..MINIMAL.len() {
        assert_eq!(deliver([&MINIMAL.as_bytes()[..end]], &limits), (Ok(None), end));
    }
}

#[test]
fn a_complete_head_takes_no_more() {
    let mut head = HeadBuffer::new();
    let limits = HeadLimits::default();
    assert_eq!(head.receive(&mut MINIMAL.as_bytes(), &limits), Ok(true));
    let mut more = &b"\x81\x80"[..];
    assert_eq!(head.receive(&mut more, &limits), Ok(true));
    assert_eq!((more, head.head()), (&b"\x81\x80"[..], MINIMAL.as_bytes()));
}

#[test]
fn a_refused_head_stays_refused() {
    let mut head = HeadBuffer::new();
    let limits = HeadLimits::default();
    assert_eq!(head.receive(&mut &b"\x80"[..], &limits), Err(Refusal::RequestLine));
    assert_eq!(head.receive(&mut MINIMAL.as_bytes(), &limits), Err(Refusal::RequestLine));
}

#[test]
fn two_empty_lines_before_the_head_are_ignored() {
    for empty_lines in ["\r\n", "\r\n\r\n"] {
        let input = format!("{empty_lines}{MINIMAL}");
        let head = deliver_in_all_ways(input.as_bytes(), &HeadLimits::default());
        assert_eq!(head, Ok(Some(MINIMAL.into())));
    }
    refused(format!("\r\n\r\n\r\n{MINIMAL}"), Refusal::EmptyLines);
    refused("\r\n".repeat(1000), Refusal::EmptyLines);
}

#[test]
fn lines_end_with_crlf_and_nothing_else() {
    for head in [
        "\nGET / HTTP/1.1\r\n",
        "\n",
        "\r\r\n",
        "\rGET",
        "GET / HTTP/1.1\n",
        "GET / HTTP/1.1\rHost",
        "GET /\r\r\n",
        "GET / HTTP/1.1\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\n",
        "GET / HTTP/1.1\r\nHost: a\rb",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r",
    ] {
        refused(head, Refusal::LineEnd);
    }
}

#[test]
fn what_is_not_http_is_refused_at_its_first_byte() {
    for first in 0..=u8::MAX {
        let expected = match first {
            b'\n' => Err(Refusal::LineEnd),
            0x16 => Err(Refusal::Tls),
            b'\r' => Ok(None),
            byte if is_token_byte(byte) => Ok(None),
            _ => Err(Refusal::RequestLine),
        };
        assert_eq!(deliver([&[first][..]], &HeadLimits::default()), (expected, 1));
    }
    refused(b"\x16\x03\x01\x02\x00\x01\x00", Refusal::Tls);
}

#[test]
fn what_no_request_line_has_is_refused_without_waiting_for_its_end() {
    for byte in (0..b' ').chain(0x7F..=u8::MAX).filter(|byte| !b"\r\n".contains(byte)) {
        refused([b'G', b'E', byte], Refusal::RequestLine);
    }
    for line in ["GET /\r\n", "GET /a b HTTP/1.1\r\n", "get / http/1.1\r\n", "SSH-2.0-x\r\n"] {
        refused(line, Refusal::RequestLine);
    }
}

#[test]
fn control_characters_in_fields_are_refused_at_once() {
    for byte in (0..b' ').chain([0x7F]).filter(|byte| !b"\t\r\n".contains(byte)) {
        let head = [b"GET / HTTP/1.1\r\nX: ", &[byte][..]].concat();
        refused(head, Refusal::Field);
    }
}

#[test]
fn the_request_line_has_a_limit() {
    let line = |length: usize| format!("GET /{} HTTP/1.1", "a".repeat(length - 14));
    let head = |length| format!("{}\r\n\r\n", line(length)).into_bytes();
    let default = HeadLimits::default();
    for length in [8000, 8192] {
        assert_eq!(deliver([&head(length)[..]], &default).0, Ok(Some(head(length))));
    }
    assert_eq!(deliver_in_all_ways(&head(8193), &default), Err(Refusal::TargetTooLong));
    // It is enough that the line does not end.
    let endless = format!("GET /{}", "a".repeat(9000));
    assert_eq!(deliver([endless.as_bytes()], &default), (Err(Refusal::TargetTooLong), 8193));
    // The limit of the whole head applies to its first line as well.
    assert_eq!(deliver([&head(60)[..]], &limits(50, 90)).0, Err(Refusal::TargetTooLong));
    // RFC 9112 §3: a method that long is unknown.
    let method = "A".repeat(64 * 1024);
    assert_eq!(deliver([method.as_bytes()], &default), (Err(Refusal::UnknownMethod), 8193));
}

#[test]
fn the_head_has_a_limit() {
    let head = |length: usize| {
        let padding = "a".repeat(length - MINIMAL.len() - 5);
        format!("GET / HTTP/1.1\r\nHost: a\r\nX: {padding}\r\n\r\n").into_bytes()
    };
    let default = HeadLimits::default();
    assert_eq!(head(100).len(), 100);
    assert_eq!(deliver_in_all_ways(&head(100), &limits(100, 50)), Ok(Some(head(100))));
    assert_eq!(deliver_in_all_ways(&head(101), &limits(100, 50)), Err(Refusal::HeadTooLarge));
    assert_eq!(deliver([&head(16 * 1024)[..]], &default).1, 16 * 1024);
    let (refused, taken) = deliver([&head(1 << 20)[..]], &default);
    assert_eq!((refused, taken), (Err(Refusal::HeadTooLarge), 16 * 1024 + 1));
    assert_eq!(deliver([MINIMAL.as_bytes()], &limits(0, 0)).0, Err(Refusal::HeadTooLarge));
}

/// CVE-2023-43669: a head that comes byte by byte must not be looked at again with every byte.
#[test]
fn every_byte_is_taken_once() {
    let limits = limits(64 * 1024, 8000);
    let mut head = HeadBuffer::new();
    let field = format!("X: {}\r\n", "a".repeat(1017));
    let input = format!("GET / HTTP/1.1\r\n{}", field.repeat(63));
    for (index, byte) in input.bytes().enumerate() {
        let mut piece = &[byte][..];
        assert_eq!(head.receive(&mut piece, &limits), Ok(false));
        // The byte is gone from the input, and nothing but it has been added to the buffer.
        assert!(piece.is_empty());
        assert_eq!(head.head().len(), index + 1);
        // The one place that is remembered for later is the start of the last line.
        assert!(
            head.lines.line_start() <= index + 1 && index + 1 - head.lines.line_start() <= 1022
        );
    }
    assert_eq!(head.receive(&mut &b"\r\n"[..], &limits), Ok(true));
    assert_eq!(head.head().len(), input.len() + 2);
}

#[test]
fn memory_follows_what_arrived() {
    let limits = HeadLimits::default();
    let mut head = HeadBuffer::new();
    assert_eq!(head.lines.capacity(), 0);
    assert_eq!(head.receive(&mut &b"GET / HTTP/1.1\r\n"[..], &limits), Ok(false));
    assert!(head.lines.capacity() <= 64);
    // Megabytes behind a head reserve no more than a head may need.
    let mut input = &[b'a'; 1 << 20][..];
    assert_eq!(head.receive(&mut input, &limits), Err(Refusal::HeadTooLarge));
    assert!(head.lines.capacity() <= limits.max_head_size);
}

#[test]
fn a_response_to_head_is_known_to_be_one_before_the_head_is_valid() {
    let method = |mut input: &[u8]| {
        let mut head = HeadBuffer::new();
        let _ = head.receive(&mut input, &HeadLimits::default());
        head.method()
    };
    assert_eq!(method(b"\r\nHEAD /\x00"), Method::Head);
    assert_eq!(method(b"HEAD / HTTP/2.0\r\n\r\n"), Method::Head);
    for input in [&b""[..], b"HEAD", b"HEADER /", b"GET /", b"POST /", b"head /"] {
        assert_eq!(method(input), Method::Get);
    }
}

#[test]
fn a_buffer_is_empty_until_a_byte_arrives() {
    let limits = HeadLimits::default();
    for input in [&b"\r"[..], b"\r\n", b"G", b"\x16"] {
        let mut head = HeadBuffer::new();
        assert!(head.is_empty());
        let _ = head.receive(&mut &*input, &limits);
        assert!(!head.is_empty(), "{input:?}");
    }
}

#[test]
fn parts_are_put_together_again() {
    let fields = [("Host", &b"a"[..]), ("X-Any", b" \xff "), ("X-Empty", b"")];
    let mut head = HeadBuffer::from_parts("GET", "/?q", fields).unwrap();
    assert_eq!(head.head(), b"GET /?q HTTP/1.1\r\nHost: a\r\nX-Any: \xff\r\nX-Empty: \r\n\r\n");
    let mut frames = &b"\x81"[..];
    assert_eq!(head.receive(&mut frames, &HeadLimits::default()), Ok(true));
    assert_eq!(frames, b"\x81");
}

#[test]
fn parts_cannot_smuggle_others() {
    let build = |method, target, name, value: &str| {
        HeadBuffer::from_parts(method, target, [(name, value.as_bytes())]).err()
    };
    assert_eq!(build("GET", "/", "X", "y"), None);
    for (method, target) in [
        ("GET /admin HTTP/1.1\r\n", "/"),
        ("", "/"),
        ("GET", ""),
        ("GET", "/ HTTP/1.1\r\nX: y\r\n\r\nGET /"),
        ("GET", "/a b"),
        ("GET ", "/"),
        ("GET", "/é"),
    ] {
        assert_eq!(build(method, target, "X", "y"), Some(Refusal::RequestLine));
    }
    for (name, value) in [("X: y\r\nZ", ""), ("", ""), ("X", "y\r\nZ: 1"), ("X", "\0"), ("X", "\n")]
    {
        assert_eq!(build("GET", "/", name, value), Some(Refusal::Field));
    }
}

proptest! {
    #[test]
    fn how_a_head_is_cut_does_not_matter(
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        follows in prop::collection::vec(any::<u8>(), 0..20),
        max in 1..400_usize,
    ) {
        let head = Handshake::new().encode();
        let mut input = [&head[..], &follows].concat();
        for (index, byte) in &noise {
            let index = index.index(head.len());
            input[index] = *byte;
        }
        let limits = limits(max, max / 2);
        let whole = deliver([&input[..]], &limits);

        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|ends| &input[ends[0]..ends[1]]);
        prop_assert_eq!(deliver(pieces, &limits), whole.clone());
        prop_assert_eq!(deliver(input.chunks(1), &limits), whole.clone());

        // A naive search finds the same end.
        if let (Ok(Some(found)), taken) = whole {
            let end = input.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            prop_assert_eq!((&found[..], taken), (&input[..end], end));
        }
    }

    #[test]
    fn no_input_is_too_strange(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let limits = HeadLimits::default();
        prop_assert_eq!(deliver(input.chunks(1), &limits), deliver([&input[..]], &limits));
        let _ = crate::handshake::Request::parse(&input, &limits);
    }
}
