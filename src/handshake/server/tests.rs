use std::time::UNIX_EPOCH;

use proptest::prelude::*;

use super::*;
use crate::handshake::testing::{Handshake, deliver_in_all_ways};
use crate::handshake::{Acceptance, HeadLimits, Method, UnofferedSubprotocol};

const GOLDEN: &str = "HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
    \r\n";

/// Receives a head in all ways there are, and judges it.
#[track_caller]
fn judge(policy: &Policy, head: &[u8]) -> Result<Option<Offer>, Refusal> {
    let limits = HeadLimits::default();
    let head = deliver_in_all_ways(head, &limits)?.expect("the head is complete");
    policy.judge(&Request::parse(&head, &limits)?)
}

#[track_caller]
fn offer(policy: &Policy, handshake: Handshake) -> Offer {
    judge(policy, &handshake.encode()).unwrap().expect("an upgrade")
}

fn accept(offer: &Offer, acceptance: &Acceptance) -> String {
    let mut output = Vec::new();
    offer.accept(acceptance, &mut output).unwrap();
    String::from_utf8(output).unwrap()
}

/// What a server that speaks nothing but WebSocket answers, by its policy alone.
#[track_caller]
fn answer(policy: &Policy, handshake: &Handshake) -> String {
    let response = match judge(policy, &handshake.encode()) {
        Ok(Some(offer)) => return accept(&offer, &Acceptance::new()),
        Ok(None) => Refusal::UpgradeRequired.response(),
        Err(refusal) => refusal.response(),
    };
    let mut output = Vec::new();
    response.encode(Method::Get, UNIX_EPOCH, &mut output);
    String::from_utf8(output).unwrap()
}

#[track_caller]
fn status(policy: &Policy, handshake: &Handshake) -> u16 {
    answer(policy, handshake)[9..12].parse().unwrap()
}

/// Checks the status that a handshake gets with these lines for one field.
#[track_caller]
fn check<V: AsRef<[u8]>>(name: &str, lines: &[V], expected: u16) {
    let handshake = Handshake::new().with(name, lines);
    assert_eq!(status(&Policy::default(), &handshake), expected, "{handshake:?}");
}

#[test]
fn the_example_of_the_rfc_is_answered_as_there() {
    assert_eq!(answer(&Policy::default(), &Handshake::new()), GOLDEN);
    let handshake = Handshake::new().with("Sec-WebSocket-Key", &["AQIDBAUGBwgJCgsMDQ4PEC=="]);
    let answer = answer(&Policy::default(), &handshake);
    assert!(answer.contains("\r\nSec-WebSocket-Accept: OfS0wDaT5NoxF2gqm7Zj2YtetzM=\r\n"));
}

#[test]
fn upgrade_lists_websocket() {
    for lines in [&["WebSocket"][..], &["h2c, websocket"], &["h2c", "WEBSOCKET"], &["websocket,"]] {
        check("Upgrade", lines, 101);
    }
    for lines in [&[][..], &[""], &["websocket2"], &["websocket/13"], &["h2c"], &["web socket"]] {
        check("Upgrade", lines, 426);
    }
}

#[test]
fn connection_lists_upgrade() {
    for lines in
        [&["upgrade"][..], &["keep-alive, Upgrade"], &[",,Upgrade ,"], &["keep-alive", "upgrade"]]
    {
        check("Connection", lines, 101);
    }
    for lines in [&[][..], &["close"], &["xupgrade"], &["Upgrade-Insecure"], &["Upgrade x"]] {
        check("Connection", lines, 426);
    }
    check("Connection", &["\u{e9}, Upgrade"], 101);
}

#[test]
fn what_is_no_upgrade_is_a_plain_request() {
    let policy = Policy::default();
    let plain = |handshake: Handshake| judge(&policy, &handshake.encode()).unwrap().is_none();
    assert!(!plain(Handshake::new()));
    assert!(plain(Handshake::new().line("GET /chat HTTP/1.0")));
    assert!(plain(Handshake::new().line("HEAD /chat HTTP/1.1")));
    // Nothing that only a handshake must obey is asked of it.
    let version = Handshake::new().with("Upgrade", &[""; 0]).with("Sec-WebSocket-Version", &["x"]);
    assert!(plain(version.with("Origin", &["null"])));
}

#[test]
fn a_plain_request_is_told_to_upgrade() {
    let answer = answer(&Policy::default(), &Handshake::new().line("GET / HTTP/1.0"));
    let head = "HTTP/1.1 426 Upgrade Required\r\n\
        Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
        Upgrade: websocket\r\n\
        Connection: Upgrade, close\r\n";
    assert!(answer.starts_with(head), "{answer}");
}

#[test]
fn other_requests_are_refused_as_http_says() {
    for (line, expected) in [
        ("POST /chat HTTP/1.1", 405),
        ("OPTIONS * HTTP/1.1", 405),
        ("get /chat HTTP/1.1", 501),
        ("GET /chat HTTP/2.0", 505),
        ("GET /chat HTTP/1.2", 101),
        ("GET http://server.example.com/chat HTTP/1.1", 101),
        ("GET ws://server.example.com/chat HTTP/1.1", 400),
        ("GET * HTTP/1.1", 400),
        ("GET /a#b HTTP/1.1", 400),
        ("GET /chat", 400),
    ] {
        let handshake = Handshake::new().line(line);
        assert_eq!(status(&Policy::default(), &handshake), expected, "{line}");
    }
    check("Host", &[""; 0], 400);
    check("Content-Length", &["0"], 101);
    check("Content-Length", &["5"], 413);
    check("Transfer-Encoding", &["chunked"], 400);
    check("Expect", &["x"], 417);
}

#[test]
fn there_is_one_key_of_16_bytes() {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    check("Sec-WebSocket-Key", &[format!("\t{key} ")], 101);
    check("Sec-WebSocket-Key", &[""; 0], 400);
    check("Sec-WebSocket-Key", &[key, key], 400);
    for invalid in
        ["", "dGhlIHNhbXBsZSBub25=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNh_XBsZSBub25jZQ=="]
    {
        check("Sec-WebSocket-Key", &[invalid], 400);
    }
    check("Sec-WebSocket-Key", &[b"\xffGhlIHNhbXBsZSBub25jZQ=="], 400);
}

#[test]
fn an_unsupported_version_is_told_the_supported_one() {
    for version in ["0", "7", "8", "12", "14", "25", "99", "255"] {
        let handshake = Handshake::new().with("Sec-WebSocket-Version", &[version]);
        let answer = answer(&Policy::default(), &handshake);
        assert!(answer.starts_with("HTTP/1.1 426 "), "{version}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
        assert!(answer.contains("\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"));
    }
}

#[test]
fn a_malformed_version_is_told_the_supported_one() {
    for lines in [
        &[][..],
        &[""],
        &["013"],
        &["00"],
        &["13.0"],
        &["13, 8"],
        &["+13"],
        &["-1"],
        &["1 3"],
        &["256"],
        &["1000"],
        &["abc"],
        &["0x0D"],
        &["é"],
        &["13", "13"],
        &["13", "8"],
    ] {
        let handshake = Handshake::new().with("Sec-WebSocket-Version", lines);
        let answer = answer(&Policy::default(), &handshake);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines:?}: {answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    }
}

#[test]
fn no_web_page_but_those_of_the_same_host_may_connect_by_default() {
    check("Origin", &[""; 0], 101);
    check("Origin", &["https://server.example.com"], 101);
    check("Origin", &["HTTP://SERVER.example.com:80"], 101);
    for origin in ["https://evil.example", "http://server.example.com:8080", "null", ""] {
        check("Origin", &[origin], 403);
    }
    check("Origin", &[b"https://server.example.com\xff"], 403);
    check("Origin", &["https://server.example.com", "https://server.example.com"], 400);
}

#[test]
fn the_same_host_is_that_of_the_target_if_it_is_a_uri() {
    let handshake = Handshake::new().line("GET http://other.example/chat HTTP/1.1");
    let with = |origin| status(&Policy::default(), &handshake.clone().with("Origin", &[origin]));
    assert_eq!(with("http://other.example"), 101);
    assert_eq!(with("http://server.example.com"), 403);
}

#[test]
fn listed_web_pages_may_connect() {
    let origins = OriginPolicy::any_of(["https://a.example"]);
    let policy = Policy { origins, ..Policy::default() };
    let with = |origin| status(&policy, &Handshake::new().with("Origin", &[origin]));
    assert_eq!((with("https://a.example"), with("https://A.EXAMPLE")), (101, 101));
    for origin in [
        "https://a.example.evil",
        "http://a.example",
        "https://a.example:444",
        "null",
        "https://server.example.com",
    ] {
        assert_eq!(with(origin), 403, "{origin}");
    }
    let twice = Handshake::new().with("Origin", &["https://a.example", "https://a.example"]);
    assert_eq!(status(&policy, &twice), 400);
}

/// DNS rebinding: a page of `evil.example` whose name now leads here is of the same host.
#[test]
fn other_hosts_are_misdirected_if_hosts_are_listed() {
    let allowed_hosts = Some(vec!["localhost".to_owned(), "[::1]".to_owned()]);
    let policy = Policy { allowed_hosts, ..Policy::default() };
    let with = |line: &str, host: &str| {
        let origin = format!("http://{host}");
        let handshake = Handshake::new().line(line).with("Host", &[host]);
        status(&policy, &handshake.with("Origin", &[origin]))
    };
    for host in ["localhost", "LocalHost:8080", "[::1]:1"] {
        assert_eq!(with("GET / HTTP/1.1", host), 101, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1", "localhost."] {
        assert_eq!(with("GET / HTTP/1.1", host), 421, "{host}");
        // Pages are rebound as well as sockets.
        assert_eq!(with("HEAD / HTTP/1.1", host), 421, "{host}");
        assert_eq!(with(&format!("GET http://{host}/ HTTP/1.1"), "localhost"), 421, "{host}");
    }
    let without = Handshake::new().line("GET / HTTP/1.0").with("Host", &[""; 0]);
    assert_eq!(status(&policy, &without), 421);
    assert_eq!(status(&Policy::default(), &without), 426);
    let none = Policy { allowed_hosts: Some(vec![]), ..Policy::default() };
    assert_eq!(status(&none, &Handshake::new()), 421);
}

#[test]
fn subprotocols_are_distinct_tokens() {
    for lines in [&[][..], &["a, b"], &["a", "b"], &["a,,b"], &["a, A"]] {
        check("Sec-WebSocket-Protocol", lines, 101);
    }
    for lines in [&["a b"][..], &["a;x"], &[""], &[",,"], &["a, a"], &["a", "a"], &["é"]] {
        check("Sec-WebSocket-Protocol", lines, 400);
    }
    check("Sec-WebSocket-Protocol", &[b"\x80"], 400);
    let many: Vec<_> = (0..1500).map(|number| format!("p{number}")).collect();
    check("Sec-WebSocket-Protocol", &[many.join(",")], 101);
    check("Sec-WebSocket-Protocol", &[many.join(",") + ",p0"], 400);
}

#[test]
fn the_servers_order_decides_on_the_subprotocol() {
    let subprotocols = vec!["v2".to_owned(), "v1".to_owned()];
    let policy = Policy { subprotocols, ..Policy::default() };
    let with = |offered: &[&str]| {
        let handshake = Handshake::new().with("Sec-WebSocket-Protocol", offered);
        let offer = offer(&policy, handshake);
        let answer = accept(&offer, &Acceptance::new());
        let selected =
            answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "));
        assert_eq!(selected, offer.subprotocol());
        selected.map(String::from)
    };
    assert_eq!(with(&["v1, v2"]).as_deref(), Some("v2"));
    assert_eq!(with(&["v0", "v1"]).as_deref(), Some("v1"));
    // Nothing in common, nothing offered: no field, rather than an empty one.
    assert_eq!(with(&["V1, v3"]), None);
    assert_eq!(with(&[]), None);
}

#[test]
fn the_application_may_choose_any_offered_subprotocol_and_no_other() {
    let policy = Policy { subprotocols: vec!["a".to_owned()], ..Policy::default() };
    let offer = offer(&policy, Handshake::new().with("Sec-WebSocket-Protocol", &["a, b"]));
    assert_eq!(offer.subprotocols().collect::<Vec<_>>(), ["a", "b"]);
    let mut output = Vec::new();
    let mut accept = |acceptance| {
        output.clear();
        let agreement = offer.accept(&acceptance, &mut output);
        let fields = String::from_utf8_lossy(&output).matches("Sec-WebSocket-Protocol:").count();
        (agreement.map(|agreement| agreement.into_subprotocol()), output.len(), fields)
    };
    let (chosen, _, fields) = accept(Acceptance::new().subprotocol("b"));
    assert_eq!((chosen, fields), (Ok(Some("b".into())), 1));
    assert_eq!(accept(Acceptance::new().no_subprotocol()), (Ok(None), GOLDEN.len(), 0));
    for unoffered in ["c", "B", "", "a, b", "a\r\nX: y"] {
        let (chosen, written, _) = accept(Acceptance::new().subprotocol(unoffered));
        assert_eq!((chosen, written), (Err(UnofferedSubprotocol), 0), "{unoffered:?}");
    }
}

#[test]
fn extensions_are_well_formed_and_none_is_accepted_unasked() {
    for lines in [&["x-unknown; p=1"][..], &["permessage-deflate; p=\"1\""], &["a", "b;c"]] {
        let handshake = Handshake::new().with("Sec-WebSocket-Extensions", lines);
        assert_eq!(answer(&Policy::default(), &handshake), GOLDEN);
    }
    for malformed in [";;", "a;", "a;=1", "a;b=\"x", "a;b=\"x y\"", "a b", ""] {
        check("Sec-WebSocket-Extensions", &[malformed], 400);
    }
    check("Sec-WebSocket-Extensions", &[b"a\xff"], 400);
}

#[test]
fn offered_extensions_outlive_the_request() {
    let lines = ["permessage-deflate; server_max_window_bits=\"1\\0\"", "x;y"];
    let offer =
        offer(&Policy::default(), Handshake::new().with("Sec-WebSocket-Extensions", &lines));
    let extensions: Vec<_> = offer.extensions().collect();
    assert_eq!(
        extensions.iter().map(|it| it.name()).collect::<Vec<_>>(),
        ["permessage-deflate", "x"]
    );
    let parameter = extensions[0].parameters().next().unwrap();
    assert_eq!(
        (parameter.name, parameter.value.as_deref()),
        ("server_max_window_bits", Some("10"))
    );
}

#[test]
fn whoever_waits_to_continue_is_told_so_first() {
    let handshake = Handshake::new().with("Expect", &["100-continue"]);
    let expected = format!("HTTP/1.1 100 Continue\r\n\r\n{GOLDEN}");
    assert_eq!(answer(&Policy::default(), &handshake), expected);
    // A refusal is final, and HTTP/1.0 knows no interim responses.
    assert_eq!(status(&Policy::default(), &handshake.clone().with("Origin", &["null"])), 403);
    assert_eq!(status(&Policy::default(), &handshake.line("GET / HTTP/1.0")), 426);
}

#[test]
fn faults_are_judged_in_order() {
    let all = Handshake::new()
        .with("Sec-WebSocket-Version", &["8"])
        .with("Sec-WebSocket-Key", &["x"])
        .with("Sec-WebSocket-Protocol", &["a, a"])
        .with("Sec-WebSocket-Extensions", &[";"])
        .with("Origin", &["null"]);
    let judge = |handshake: &Handshake| judge(&Policy::default(), &handshake.encode()).err();
    assert_eq!(judge(&all), Some(Refusal::UnsupportedVersion));
    let all = all.with("Sec-WebSocket-Version", &["13"]);
    assert_eq!(judge(&all), Some(Refusal::Key));
    let all = all.with("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ=="]);
    assert_eq!(judge(&all), Some(Refusal::Subprotocols));
    let all = all.with("Sec-WebSocket-Protocol", &["a"]);
    assert_eq!(judge(&all), Some(Refusal::Extensions));
    let all = all.with("Sec-WebSocket-Extensions", &["a"]);
    assert_eq!(judge(&all), Some(Refusal::Origin));
    assert_eq!(judge(&all.with("Origin", &[""; 0])), None);
}

#[test]
fn an_application_may_add_fields_to_its_acceptance() {
    let offer = offer(&Policy::default(), Handshake::new());
    let acceptance = Acceptance::new().header("Set-Cookie", "a=1").unwrap();
    let answer = accept(&offer, &acceptance.header("Set-Cookie", b"b=2").unwrap());
    let expected = GOLDEN.replace("xOo=\r\n", "xOo=\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
    assert_eq!(answer, expected);
    for name in ["Sec-WebSocket-Extensions", "Connection", "content-length", "a b"] {
        assert!(Acceptance::new().header(name, "x").is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn neither_order_nor_case_nor_other_fields_matter(
        fields in Just([Handshake::new().fields, vec![
            ("Sec-WebSocket-Protocol".to_owned(), b"a".to_vec()),
            ("Sec-WebSocket-Extensions".to_owned(), b"x;y=\"z\"".to_vec()),
            ("Cookie".to_owned(), b"\xff=\x80".to_vec()),
            ("Host2".to_owned(), vec![]),
        ]].concat()).prop_shuffle(),
        upper in prop::collection::vec(any::<bool>(), 1..30),
    ) {
        let change = |name: String| -> String {
            let case = name.chars().zip(upper.iter().cycle());
            case.map(|(c, &up)| if up { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }).collect()
        };
        let fields = fields.into_iter().map(|(name, value)| (change(name), value)).collect();
        let handshake = Handshake { fields, ..Handshake::new() };
        let policy = Policy { subprotocols: vec!["a".to_owned()], ..Policy::default() };
        let expected = GOLDEN.replace("xOo=\r\n", "xOo=\r\nSec-WebSocket-Protocol: a\r\n");
        prop_assert_eq!(answer(&policy, &handshake), expected);
    }

    /// Any bytes in any field of a handshake come to an answer that is one.
    #[test]
    fn no_handshake_is_too_strange(
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let handshake = Handshake::new()
            .with("Sec-WebSocket-Protocol", &["a, b"])
            .with("Sec-WebSocket-Extensions", &["x; y=\"\\z\""])
            .with("Origin", &["https://server.example.com:443"])
            .with("Expect", &["100-continue"])
            .with("Content-Length", &["0"]);
        let mut head = handshake.encode();
        for (index, byte) in &noise {
            let index = index.index(head.len());
            head[index] = *byte;
        }
        let limits = HeadLimits::default();
        let judged = Request::parse(&head, &limits)
            .and_then(|request| Policy::default().judge(&request));
        match judged {
            Ok(Some(offer)) => {
                prop_assert!(accept(&offer, &Acceptance::new()).starts_with("HTTP/1.1 10"));
            }
            Ok(None) => {}
            Err(refusal) => prop_assert!((400..=505).contains(&refusal.status())),
        }
    }
}

#[cfg(feature = "deflate")]
#[test]
fn compression_is_agreed_on_only_where_both_want_it() {
    use crate::handshake::DeflateOptions;

    let name = "Sec-WebSocket-Extensions";
    let acceptance = Acceptance::new().deflate(DeflateOptions::default());
    let policy = Policy::default();
    let line = |handshake: &Handshake, acceptance: &Acceptance| {
        let offer = offer(&policy, handshake.clone());
        let agreed = offer.accept(acceptance, &mut Vec::new()).unwrap().deflate();
        let response = accept(&offer, acceptance);
        let line = response.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        assert_eq!(agreed.is_some(), line.is_some());
        line
    };
    let none: [&str; 0] = [];
    assert_eq!(line(&Handshake::new().with(name, &none), &acceptance), None);
    assert_eq!(line(&Handshake::new().with(name, &["permessage-deflate; foo"]), &acceptance), None);

    let offered =
        Handshake::new().with(name, &["x, permessage-deflate; foo", "permessage-deflate"]);
    assert_eq!(line(&offered, &Acceptance::new()), None);
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert_eq!(line(&offered, &acceptance), Some(format!("{name}: {expected}")));

    // A malformed field is another matter (RFC 6455 §9.1).
    check(name, &["permessage-deflate;"], 400);
    check(name, &["permessage-deflate; server_max_window_bits="], 400);
}
