use proptest::prelude::*;

use super::*;
use crate::handshake::testing::deliver_in_all_ways;

/// Receives a head in all ways there are, and parses it.
#[track_caller]
fn parse(head: &[u8]) -> Result<Request<'_>, Refusal> {
    let limits = HeadLimits::default();
    let received = deliver_in_all_ways(head, &limits)?.expect("the head is complete");
    // What was received is the same bytes; those of the caller live longer.
    let head = &head[..received.len()];
    assert_eq!(head, received);
    Request::parse(head, &limits)
}

#[track_caller]
fn refused(head: impl AsRef<[u8]>, refusal: Refusal) {
    let head = head.as_ref();
    assert_eq!(parse(head).err(), Some(refusal), "{}", head.escape_ascii());
}

/// A GET with these lines after its `Host`.
fn with(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

#[test]
fn the_version_of_http_is_1() {
    let minor_version = |version| {
        let head = format!("GET / {version}\r\nHost: a\r\n\r\n");
        parse(head.as_bytes()).map(|request| request.minor_version())
    };
    assert_eq!(minor_version("HTTP/1.0"), Ok(0));
    assert_eq!(minor_version("HTTP/1.1"), Ok(1));
    assert_eq!(minor_version("HTTP/1.2"), Ok(1));
    assert_eq!(minor_version("HTTP/1.9"), Ok(1));
    for version in ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9", "HTTP/9.9"] {
        assert_eq!(minor_version(version), Err(Refusal::HttpVersion), "{version}");
    }
    for version in ["http/1.1", "HTTP/1", "HTTP/1.10", "HTTP/01.1", "HTTP/1.1 ", "HTTP/1.", "X"] {
        assert_eq!(minor_version(version), Err(Refusal::RequestLine), "{version}");
    }
    // The preface of HTTP/2 looks like a request on purpose (RFC 9113 §3.4).
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::HttpVersion);
}

#[test]
fn methods_but_get_and_head_are_refused() {
    let method = |method| {
        let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        parse(head.as_bytes()).map(|request| request.method())
    };
    assert_eq!(method("GET"), Ok(Method::Get));
    assert_eq!(method("HEAD"), Ok(Method::Head));
    for known in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"] {
        assert_eq!(method(known), Err(Refusal::Method), "{known}");
    }
    for unknown in ["BREW", "get", "Get", "GETS", "M-SEARCH", "*"] {
        assert_eq!(method(unknown), Err(Refusal::UnknownMethod), "{unknown}");
    }
    refused("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method);
    refused("CONNECT h:1 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method);
}

#[test]
fn the_target_is_a_path_or_replaces_the_host() {
    let target = |target| {
        let head = format!("GET {target} HTTP/1.1\r\nHost: y\r\n\r\n").into_bytes();
        parse(&head).map(|request| {
            assert_eq!((request.target(), request.field("Host")), (target, Some("y")));
            let parts = [Some(request.path()), request.query(), request.host()];
            parts.map(|part| part.map(String::from))
        })
    };
    let parts = |path: &str, query: Option<&str>, host: &str| {
        Ok([Some(path.into()), query.map(String::from), Some(host.into())])
    };
    assert_eq!(target("/chat?room=1"), parts("/chat", Some("room=1"), "y"));
    assert_eq!(target("http://x/chat"), parts("/chat", None, "x"));
    assert_eq!(target("https://x:1?q"), parts("/", Some("q"), "x:1"));
    for invalid in ["*", "h:80", "/a#b", "ws://h/", "/%zz", "/%00", "/\\", "/<x>", "http://u@h/"] {
        assert_eq!(target(invalid), Err(Refusal::Target), "{invalid}");
    }
}

#[test]
fn there_is_one_valid_host() {
    for host in ["Host: a", "host:a.example:8080", "HOST: [::1]", "Host:\ta \t"] {
        let head = format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
        assert!(parse(head.as_bytes()).is_ok(), "{host}");
    }
    for lines in [
        "",
        "X: Host\r\n",
        "Host:\r\n",
        "Host: \r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a/b\r\n",
        "Host: u@h\r\n",
        "Host: a b\r\n",
        "Host: a,b\r\n",
        "Host: é\r\n",
        "Host: a:x\r\n",
        "Host: http://a\r\n",
    ] {
        refused(format!("GET / HTTP/1.1\r\n{lines}\r\n"), Refusal::Host);
    }
    refused(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n", Refusal::Host);
    // A URI does not make up for it, nor for a wrong one.
    refused("GET http://x/ HTTP/1.1\r\n\r\n", Refusal::Host);
    refused("GET http://x/ HTTP/1.1\r\nHost: a b\r\n\r\n", Refusal::Host);
}

#[test]
fn http_1_0_may_do_without_a_host_but_not_with_a_wrong_one() {
    let host = |head: &str| parse(head.as_bytes()).map(|request| request.host().map(String::from));
    assert_eq!(host("GET / HTTP/1.0\r\n\r\n"), Ok(None));
    assert_eq!(host("GET / HTTP/1.0\r\nHost: a\r\n\r\n"), Ok(Some("a".into())));
    assert_eq!(host("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), Err(Refusal::Host));
}

#[test]
fn field_lines_are_a_name_a_colon_and_a_value() {
    for line in [
        " X: a",
        "\tX: a",
        "X : a",
        "X\t: a",
        ": a",
        "X A: b",
        "X[]: b",
        "XA",
        "é: a",
        "X",
        "\"X\": a",
        "X: a\r\n b",
        "X: a\r\n\tb",
        "X: a\r\n ",
    ] {
        refused(with(&format!("{line}\r\n")), Refusal::Field);
        refused(format!("GET / HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n"), Refusal::Field);
    }
    refused(b"GET / HTTP/1.1\r\nHost: a\r\n\xf6: a\r\n\r\n", Refusal::Field);
    for byte in (0..=0x1F).chain([0x7F]).filter(|byte| !b"\t\r\n".contains(byte)) {
        refused([b"GET / HTTP/1.1\r\nX: a", &[byte][..], b"\r\n\r\n"].concat(), Refusal::Field);
    }
}

/// CVE-2026-42544: values are octets, and none of them may be taken for text without looking.
#[test]
fn any_octet_may_be_in_a_value() {
    for name in ["X", "Upgrade", "Connection", "Sec-WebSocket-Key", "Origin", "Cookie"] {
        let start = format!("GET / HTTP/1.1\r\nHost: a\r\n{name}: ").into_bytes();
        let head = [&start[..], b"\x80\xff\t!\r\n\r\n"].concat();
        let request = parse(&head).unwrap();
        assert_eq!(request.field(name), None);
        assert_eq!(request.fields().last(), Some((name, &b"\x80\xff\t!"[..])));
        assert!(!request.is_upgrade());
        assert!(!request.lists(name, "!"));
    }
}

/// CVE-2024-37890: one field too many is counted, not dereferenced.
#[test]
fn the_number_of_fields_is_limited() {
    let with_fields = |count: usize| with(&"X: y\r\n".repeat(count - 1));
    for count in [1, 2, 63, 64] {
        let head = with_fields(count);
        assert_eq!(parse(head.as_bytes()).unwrap().fields().count(), count);
    }
    for count in [65, 100, 2000] {
        refused(with_fields(count), Refusal::TooManyFields);
    }
    refused(with_fields(10_000), Refusal::HeadTooLarge);
}

#[test]
fn the_limits_hold_without_a_buffer_too() {
    let head = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(100));
    let parse = |max_head_size, max_request_line| {
        let limits = HeadLimits { max_head_size, max_request_line, max_headers: 1 };
        Request::parse(head.as_bytes(), &limits).err()
    };
    assert_eq!(parse(head.len(), 114), None);
    assert_eq!(parse(head.len() - 1, 114), Some(Refusal::HeadTooLarge));
    assert_eq!(parse(head.len(), 113), Some(Refusal::TargetTooLong));
}

#[test]
fn what_is_not_exactly_one_head_is_refused() {
    let parse = |head: &str| Request::parse(head.as_bytes(), &HeadLimits::default()).err();
    assert_eq!(parse(&with("")), None);
    for head in ["", "G", "GET / HTTP/1.1", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n"]
    {
        assert_eq!(parse(head), Some(Refusal::LineEnd), "{head:?}");
    }
    for head in
        ["GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", &(with("") + "X: y\r\n\r\n")]
    {
        assert_eq!(parse(head), Some(Refusal::Field), "{head:?}");
    }
    assert_eq!(parse("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Some(Refusal::RequestLine));
}

#[test]
fn a_request_with_content_is_refused() {
    for length in ["0", "00", " 0\t"] {
        assert!(parse(with(&format!("Content-Length: {length}\r\n")).as_bytes()).is_ok());
    }
    for length in ["1", "5", "005", "1000000000", "18446744073709551615"] {
        refused(with(&format!("Content-Length: {length}\r\n")), Refusal::Content);
    }
}

#[test]
fn a_length_is_one_number() {
    for length in [
        "+5",
        "+0",
        "-0",
        "0x5",
        "5_0",
        "5 0",
        "",
        "5,6",
        "0, 0",
        "18446744073709551616",
        "1e3",
        "٠",
    ] {
        refused(with(&format!("Content-Length: {length}\r\n")), Refusal::ContentLength);
    }
    for other in ["0", "5"] {
        let lines = format!("Content-Length: 0\r\nContent-Length: {other}\r\n");
        refused(with(&lines), Refusal::ContentLength);
    }
}

/// Request smuggling: whatever a proxy in front takes a transfer coding for, here the request ends.
#[test]
fn transfer_codings_are_refused() {
    for lines in [
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: Chunked\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: identity\r\n",
    ] {
        refused(with(lines), Refusal::TransferEncoding);
    }
    for coding in ["xchunked", "identity", "gzip, chunked", "chunked;q=1", "\"chunked\""] {
        let lines = format!("Transfer-Encoding: {coding}\r\n");
        refused(with(&lines), Refusal::UnknownTransferCoding);
    }
    refused(with("Transfer-Encoding: \u{b}chunked\r\n"), Refusal::Field);
    let in_1_0 = "GET / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n";
    refused(in_1_0, Refusal::TransferEncoding);
}

#[test]
fn the_only_expectation_is_to_continue() {
    let expects = |head: String| parse(head.as_bytes()).map(|request| request.expects_continue());
    assert_eq!(expects(with("")), Ok(false));
    assert_eq!(expects(with("Expect:\r\n")), Ok(false));
    assert_eq!(expects(with("Expect: 100-Continue\r\n")), Ok(true));
    assert_eq!(expects(with("Expect: ,100-continue,\r\nExpect: 100-continue\r\n")), Ok(true));
    for expectation in ["x", "100-continue, x", "100-continue;a=b", "200-ok", "é"] {
        refused(with(&format!("Expect: {expectation}\r\n")), Refusal::Expectation);
    }
    let in_1_0 = "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
    assert_eq!(expects(in_1_0.to_owned()), Ok(false));
}

#[test]
fn faults_are_judged_in_order() {
    for (head, refusal) in [
        ("BREW * HTTP/2.0\r\nHost : a\r\n\r\n", Refusal::Field),
        ("BREW * HTTP/2.0\r\nContent-Length: x\r\n\r\n", Refusal::HttpVersion),
        ("BREW * HTTP/1.1\r\nContent-Length: x\r\n\r\n", Refusal::UnknownMethod),
        ("POST * HTTP/1.1\r\nContent-Length: x\r\n\r\n", Refusal::Method),
        ("GET * HTTP/1.1\r\nContent-Length: x\r\n\r\n", Refusal::Target),
        ("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", Refusal::Host),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: x\r\n\r\n",
            Refusal::ContentLength,
        ),
    ] {
        refused(head, refusal);
    }
}

#[test]
fn the_first_of_several_values_is_the_one_that_counts() {
    let head = with("Cookie: a=1\r\ncookie: b=2\r\nOrigin: http://o\r\n");
    let request = parse(head.as_bytes()).unwrap();
    assert_eq!(request.field("COOKIE"), Some("a=1"));
    assert_eq!(request.values("Cookie").collect::<Vec<_>>(), [b"a=1", b"b=2"]);
    assert_eq!((request.origin(), request.field("X")), (Some("http://o"), None));
    assert_eq!((request.query(), request.field("")), (None, None));
}

#[test]
fn what_is_logged_of_a_request_stays_on_its_line() {
    let head = with("X: \u{202e}\u{9b}31m\u{2028}é\r\n");
    let logged = format!("{:?}", parse(head.as_bytes()).unwrap());
    assert!(
        !logged.chars().any(|c| c.is_control() || ('\u{2000}'..'\u{2100}').contains(&c)),
        "{logged}"
    );
}

proptest! {
    #[test]
    fn a_list_may_be_spread_over_lines(
        elements in prop::collection::vec(("[a-cA-C]{0,2}", "[ \t]{0,2}", any::<bool>()), 0..8),
        token in "[a-c]{1,2}",
    ) {
        let mut lines = String::from("List: ");
        for (element, space, new_line) in &elements {
            lines.push_str(&format!("{space}{element}{space}"));
            lines.push_str(if *new_line { "\r\nX: y\r\nlist:" } else { "," });
        }
        let head = with(&format!("{lines}\r\n"));
        let request = Request::parse(head.as_bytes(), &HeadLimits::default()).unwrap();
        let listed = elements.iter().any(|(element, ..)| element.eq_ignore_ascii_case(&token));
        prop_assert_eq!(request.lists("LIST", &token), listed);
    }

    #[test]
    fn every_accessor_takes_any_value(
        value in prop::collection::vec(any::<u8>(), 0..40),
        name in prop::sample::select(vec![
            "Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Origin", "X",
        ]),
    ) {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\n", name.as_bytes(), b": ", &value, b"\r\n\r\n"].concat();
        if let Ok(request) = Request::parse(&head, &HeadLimits::default()) {
            let valid = str::from_utf8(&value).ok().map(|value| value.trim_matches([' ', '\t']));
            prop_assert_eq!(request.field(name), valid);
            let _ = (request.is_upgrade(), request.origin(), format!("{request:?}"));
        }
    }
}
