use proptest::prelude::*;

use super::*;

/// One step of a conversation with a proxy: what it says, and what it is then sent.
type Step<'s> = (&'s [u8], &'s [u8]);

fn url(text: &str) -> WsUrl {
    WsUrl::parse_with_credentials(text).unwrap()
}

type Outcome = (Result<Option<TunnelReply>, ProxyError>, Vec<u8>);

/// Delivers pieces until there is a reply. Returns it, and all that was sent.
fn deliver<'p>(proxy: &str, target: &str, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut output = Vec::new();
    let mut tunnel = Proxy::parse(proxy).unwrap().open(&url(target), &mut output);
    for mut piece in pieces {
        match tunnel.receive(&mut piece, &mut output) {
            Ok(None) => assert!(piece.is_empty(), "input is used up before more is asked for"),
            Ok(Some(reply)) => {
                let mut more = &b"more"[..];
                assert_eq!(tunnel.receive(&mut more, &mut output), Ok(None));
                assert_eq!((more, tunnel.end()), (&b"more"[..], Ok(None)));
                return (Ok(Some(reply)), output);
            }
            Err(error) => {
                assert_eq!(tunnel.receive(&mut &b"\x05\x00"[..], &mut output), Err(error));
                assert_eq!(tunnel.end(), Err(error), "for good");
                return (Err(error), output);
            }
        }
    }
    (Ok(None), output)
}

/// Delivers what a proxy says whole, byte by byte, and cut in two; all must come to the same.
#[track_caller]
fn deliver_in_all_ways(proxy: &str, target: &str, received: &[u8]) -> Outcome {
    let expected = deliver(proxy, target, [received]);
    assert_eq!(deliver(proxy, target, received.chunks(1)), expected, "byte by byte");
    for middle in 0..received.len() {
        let (first, second) = received.split_at(middle);
        assert_eq!(deliver(proxy, target, [first, second]), expected, "cut at {middle}");
    }
    expected
}

/// Checks a whole conversation with a proxy, and that it opens the tunnel.
#[track_caller]
fn opens(proxy: &str, target: &str, sent_first: &[u8], steps: &[Step<'_>]) {
    let mut output = Vec::new();
    let mut tunnel = Proxy::parse(proxy).unwrap().open(&url(target), &mut output);
    assert_eq!(output, sent_first, "{}", output.escape_ascii());
    for (index, &(mut received, sent)) in steps.iter().enumerate() {
        output.clear();
        let reply = tunnel.receive(&mut received, &mut output);
        let open = (index + 1 == steps.len()).then_some(TunnelReply::Open);
        assert_eq!((reply, &output[..]), (Ok(open), sent), "step {index}");
    }
    let received: Vec<_> = steps.iter().flat_map(|(received, _)| *received).copied().collect();
    let (reply, _) = deliver_in_all_ways(proxy, target, &received);
    assert_eq!(reply, Ok(Some(TunnelReply::Open)));
}

/// Checks how a conversation with a proxy fails.
#[track_caller]
fn fails(proxy: &str, received: impl AsRef<[u8]>, error: ProxyError) {
    let (reply, _) = deliver_in_all_ways(proxy, "ws://h/", received.as_ref());
    assert_eq!(reply, Err(error));
}

#[test]
fn a_proxy_is_http_or_socks5() {
    let parts = |text| Proxy::parse(text).map(|it| (it.kind, it.host().to_owned(), it.port()));
    for (text, kind, host, port) in [
        ("http://p", Kind::Http, "p", 80),
        ("HTTP://p:3128/", Kind::Http, "p", 3128),
        ("p", Kind::Http, "p", 80),
        ("p:3128", Kind::Http, "p", 3128),
        ("u:p@p:1", Kind::Http, "p", 1),
        ("socks5://p", Kind::Socks5, "p", 1080),
        ("socks5h://[::1]:9/", Kind::Socks5, "[::1]", 9),
    ] {
        assert_eq!(parts(text), Ok((kind, host.to_owned(), port)), "{text}");
    }
    for text in ["https://p", "socks4://p", "socks://p", "ws://p", "ftp://p", "://p"] {
        assert_eq!(parts(text), Err(UrlError::ProxyScheme), "{text}");
    }
    assert_eq!(parts(""), Err(UrlError::NoHost));
    assert_eq!(parts("http://"), Err(UrlError::NoHost));
    assert_eq!(parts("http://p:0"), Err(UrlError::Port));
    assert_eq!(parts("http://p\r\n"), Err(UrlError::Control { at: 8 }));
    assert_eq!(parts("http://p#x"), Err(UrlError::Fragment { at: 8 }));
}

#[test]
fn socks_credentials_have_1_to_255_bytes_each() {
    let long = "x".repeat(255);
    assert!(Proxy::parse(&format!("socks5://{long}:{long}@p")).is_ok());
    for credentials in ["u", "u:", ":p", &format!("{long}x:p"), &format!("u:{long}x")] {
        let parsed = Proxy::parse(&format!("socks5://{credentials}@p"));
        assert_eq!(parsed, Err(UrlError::Credentials), "{credentials}");
        assert!(Proxy::parse(&format!("http://{credentials}@p")).is_ok());
    }
}

#[test]
fn credentials_are_not_shown() {
    let proxy = Proxy::parse("http://alice:secret@p").unwrap();
    let shown = format!("{proxy:?} {:?}", proxy.open(&url("ws://h/"), &mut Vec::new()));
    let socks = Proxy::parse("socks5://alice:secret@p").unwrap();
    let shown = shown + &format!("{:?}", socks.open(&url("ws://h/"), &mut Vec::new()));
    assert!(!shown.contains("secret") && !shown.contains("alice"), "{shown}");
}

mod http {
    use super::*;

    const OK: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

    #[test]
    fn a_tunnel_is_asked_for_with_connect() {
        let request = b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n";
        opens("http://p", "ws://h/chat?q", request, &[(OK, b"")]);
        let request = b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n";
        opens("http://p", "wss://[::1]", request, &[(OK, b"")]);
        let request =
            b"CONNECT h:81 HTTP/1.1\r\nHost: h:81\r\nProxy-Authorization: Basic dTpw\r\n\r\n";
        opens("http://u:p@p", "ws://h:81/", request, &[(OK, b"")]);
    }

    #[test]
    fn credentials_of_the_server_are_not_the_proxys() {
        let request = b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n";
        opens("http://p", "ws://u:p@h/", request, &[(OK, b"")]);
    }

    #[test]
    fn any_success_opens_the_tunnel_at_the_end_of_its_head() {
        for answer in [
            "HTTP/1.1 200\r\n\r\n",
            "HTTP/1.0 200 Connection established\r\n\r\n",
            "HTTP/1.1 299 x\r\nA: b\r\n\r\n",
            "HTTP/1.1 200 x\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 x\r\n\r\n",
        ] {
            let (reply, _) = deliver_in_all_ways("p", "ws://h/", answer.as_bytes());
            assert_eq!(reply, Ok(Some(TunnelReply::Open)), "{answer}");
        }
    }

    #[test]
    fn nothing_is_open_before_the_head_is_complete() {
        for end in 0..OK.len() {
            assert_eq!(deliver("p", "ws://h/", [&OK[..end]]).0, Ok(None));
        }
        let mut tunnel = Proxy::parse("p").unwrap().open(&url("ws://h/"), &mut Vec::new());
        _ = tunnel.receive(&mut &b"HTTP/1.1 200"[..], &mut Vec::new());
        assert_eq!(tunnel.end(), Err(ProxyError::Response(ResponseError::Incomplete)));
    }

    #[test]
    fn other_answers_are_refusals() {
        for status in [101, 301, 403, 407, 502] {
            let answer = format!(
                "HTTP/1.1 {status} x\r\nProxy-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno"
            );
            let (reply, _) = deliver_in_all_ways("p", "ws://h/", answer.as_bytes());
            let Ok(Some(TunnelReply::Refused(refusal))) = reply else { panic!("{reply:?}") };
            assert_eq!(refusal.status(), status);
            assert_eq!(refusal.head().field("proxy-authenticate"), Some("Basic"));
            assert_eq!(refusal.body(), if status == 101 { &b""[..] } else { b"no" });
        }
        let mut tunnel = Proxy::parse("p").unwrap().open(&url("ws://h/"), &mut Vec::new());
        let mut input = &b"HTTP/1.1 407 x\r\n\r\nwho"[..];
        assert_eq!(tunnel.receive(&mut input, &mut Vec::new()), Ok(None));
        let Ok(Some(TunnelReply::Refused(refusal))) = tunnel.end() else { panic!() };
        assert_eq!(refusal.body(), b"who");
    }

    #[test]
    fn a_proxy_that_breaks_the_rules_fails() {
        let response = |error| ProxyError::Response(error);
        fails("p", "SSH-2.0\r\n", response(ResponseError::NotHttp));
        fails("p", "HTTP/1.1 200 OK\n", response(ResponseError::LineEnd));
        fails("p", "HTTP/1.1 200 OK\r\nA b\r\n\r\n", response(ResponseError::Field));
        let endless = "HTTP/1.1 100 x\r\n\r\n".repeat(9);
        fails("p", endless, response(ResponseError::TooManyInterim));
        let mut tunnel = Proxy::parse("p").unwrap().open(&url("ws://h/"), &mut Vec::new());
        let endless = ["HTTP/1.1 200 x\r\nA: ", &"b".repeat(1 << 20)].concat();
        let reply = tunnel.receive(&mut endless.as_bytes(), &mut Vec::new());
        assert_eq!(reply, Err(response(ResponseError::HeadTooLarge)));
    }

    #[test]
    fn a_proxy_that_speaks_for_the_server_fails() {
        let early = [OK, b"HTTP/1.1 101 x\r\n"].concat();
        assert_eq!(deliver("p", "ws://h/", [&early[..]]).0, Err(ProxyError::EarlyBytes));
        let early = b"\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50x";
        assert_eq!(deliver("socks5://p", "ws://h/", [&early[..]]).0, Err(ProxyError::EarlyBytes));
    }
}

mod socks {
    use super::*;

    const CONNECTED: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50";

    #[test]
    fn a_server_is_named_rather_than_resolved() {
        let request = b"\x05\x01\x00\x03\x09a.example\x01\xbb";
        opens(
            "socks5://p",
            "wss://a.example/",
            b"\x05\x01\x00",
            &[(b"\x05\x00", request), (CONNECTED, b"")],
        );
    }

    #[test]
    fn addresses_are_sent_as_such() {
        for (target, request) in [
            ("ws://1.2.3.4:81", &b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x51"[..]),
            (
                "ws://[2001:db8::7]",
                b"\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x00\x50",
            ),
        ] {
            let steps = [(&b"\x05\x00"[..], request), (CONNECTED, b"")];
            opens("socks5h://p", target, b"\x05\x01\x00", &steps);
        }
    }

    #[test]
    fn a_name_and_password_are_sent_if_they_are_asked_for() {
        let request = b"\x05\x01\x00\x03\x01h\x00\x50";
        let proxy = "socks5://me:secret@p";
        let offer = b"\x05\x02\x00\x02";
        opens(
            proxy,
            "ws://h/",
            offer,
            &[(b"\x05\x02", b"\x01\x02me\x06secret"), (b"\x01\x00", request), (CONNECTED, b"")],
        );
        opens(proxy, "ws://h/", offer, &[(b"\x05\x00", request), (CONNECTED, b"")]);
    }

    #[test]
    fn the_address_in_a_reply_is_skipped() {
        for reply in [
            &b"\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50"[..],
            b"\x05\x00\x00\x03\x03abc\x00\x50",
            b"\x05\x00\x00\x03\x00\x00\x50",
            &[&b"\x05\x00\x00\x03\xff"[..], &[b'x'; 257]].concat(),
        ] {
            let received = [b"\x05\x00", reply].concat();
            let (opened, _) = deliver_in_all_ways("socks5://p", "ws://h/", &received);
            assert_eq!(opened, Ok(Some(TunnelReply::Open)));
            let (cut, _) = deliver("socks5://p", "ws://h/", [&received[..received.len() - 1]]);
            assert_eq!(cut, Ok(None));
        }
    }

    #[test]
    fn a_reply_says_why_there_is_no_connection() {
        for reply in 1..=u8::MAX {
            let received = [5, 0, 5, reply];
            fails("socks5://p", received, ProxyError::SocksReply(reply));
        }
        let refused = ProxyError::SocksReply(5).to_string();
        assert_eq!(refused, "the proxy could not connect: connection refused (5)");
    }

    #[test]
    fn a_proxy_that_breaks_the_rules_fails() {
        fails("socks5://p", "HTTP/1.1 400 x\r\n\r\n", ProxyError::SocksVersion);
        fails("socks5://p", b"\x04\x00", ProxyError::SocksVersion);
        fails("socks5://p", b"\x00", ProxyError::SocksVersion);
        fails("socks5://p", b"\x05\xff", ProxyError::SocksMethods);
        fails("socks5://p", b"\x05\x02", ProxyError::SocksUnofferedMethod);
        fails("socks5://u:p@p", b"\x05\x01", ProxyError::SocksUnofferedMethod);
        fails("socks5://u:p@p", b"\x05\x02\x01\x01", ProxyError::SocksCredentials);
        fails("socks5://u:p@p", b"\x05\x02\x05", ProxyError::SocksVersion);
        fails("socks5://p", b"\x05\x00\x01", ProxyError::SocksVersion);
        fails("socks5://p", b"\x05\x00\x05\x00\x00\x02", ProxyError::SocksAddress);
        let mut tunnel = Proxy::parse("socks5://p").unwrap().open(&url("ws://h/"), &mut vec![]);
        assert_eq!(tunnel.end(), Err(ProxyError::Incomplete));
    }

    proptest! {
        #[test]
        fn no_proxy_is_too_strange(
            received in prop::collection::vec(prop_oneof![0_u8..6, any::<u8>()], 0..40),
            socks: bool,
        ) {
            let proxy = if socks { "socks5://u:p@p" } else { "http://p" };
            let (whole, sent) = deliver(proxy, "ws://h/", [&received[..]]);
            let bytewise = deliver(proxy, "ws://h/", received.chunks(1));
            if whole == Err(ProxyError::EarlyBytes) {
                prop_assert_eq!(bytewise, (Ok(Some(TunnelReply::Open)), sent));
            } else {
                prop_assert_eq!(bytewise, (whole, sent));
            }
        }
    }
}

mod environment {
    use super::*;

    /// The host of the proxy for a URL, by these variables.
    fn proxy(target: &str, variables: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| Some(variables.iter().find(|(it, _)| *it == name)?.1.to_owned());
        let proxy = Proxy::from_environment(&url(target), variable).unwrap();
        proxy.map(|proxy| proxy.host().to_owned())
    }

    /// Whether a list of hosts contains that of a URL.
    #[track_caller]
    fn check(no_proxy: &str, target: &str, expected: bool) {
        let excluded = proxy(target, &[("all_proxy", "p"), ("no_proxy", no_proxy)]).is_none();
        assert_eq!(excluded, expected, "{target} by {no_proxy:?}");
    }

    #[test]
    fn each_scheme_has_its_variable() {
        let all = [
            ("http_proxy", "http"),
            ("https_proxy", "https"),
            ("HTTPS_PROXY", "HTTPS"),
            ("all_proxy", "all"),
            ("ALL_PROXY", "ALL"),
        ];
        let from = |first: usize, target| proxy(target, &all[first..]);
        assert_eq!(from(0, "ws://h/").as_deref(), Some("http"));
        assert_eq!(from(0, "wss://h/").as_deref(), Some("https"));
        assert_eq!(from(1, "ws://h/").as_deref(), Some("all"));
        assert_eq!(from(2, "wss://h/").as_deref(), Some("HTTPS"));
        assert_eq!(from(3, "wss://h/").as_deref(), Some("all"));
        assert_eq!(from(4, "ws://h/").as_deref(), Some("ALL"));
        assert_eq!(from(5, "ws://h/"), None);
    }

    /// What a CGI server makes of a request's `Proxy` field ("httpoxy").
    #[test]
    fn a_variable_that_clients_can_set_is_ignored() {
        assert_eq!(proxy("ws://h/", &[("HTTP_PROXY", "evil")]), None);
        assert_eq!(proxy("wss://h/", &[("HTTP_PROXY", "evil")]), None);
    }

    #[test]
    fn an_empty_variable_means_no_proxy() {
        assert_eq!(proxy("ws://h/", &[("http_proxy", ""), ("all_proxy", "p")]), None);
    }

    #[test]
    fn an_invalid_proxy_is_an_error_and_not_ignored() {
        let variable = |name: &str| (name == "http_proxy").then(|| "https://p".to_owned());
        let proxy = Proxy::from_environment(&url("ws://h/"), variable);
        assert_eq!(proxy, Err(UrlError::ProxyScheme));
    }

    #[test]
    fn names_stand_for_all_below_them() {
        for entry in
            ["example.com", ".example.com", "*.example.com", "Example.COM.", "a,example.com"]
        {
            for host in ["example.com", "a.example.com", "a.b.EXAMPLE.com", "example.com."] {
                check(entry, &format!("ws://{host}/"), true);
            }
            for host in ["badexample.com", "example.com.evil", "example", "com", "1.2.3.4"] {
                check(entry, &format!("ws://{host}/"), false);
            }
        }
        for list in ["", ",", ".", "*.", " , .,", "a.b"] {
            check(list, "ws://b/", false);
        }
        check("*", "ws://h/", true);
        check("x, *", "ws://[::1]/", true);
        check("x h\ty", "ws://h/", true);
    }

    #[test]
    fn addresses_and_networks_are_compared_as_such() {
        for (list, host, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/31", "10.0.0.1", true),
            ("10.0.0.0/31", "10.0.0.2", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.1/32", "10.0.0.0", false),
            ("0.0.0.0/0", "10.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("10.0.0.0/", "10.0.0.0", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("0.0.0.0/0", "[::]", false),
            ("::1", "[::1]", true),
            ("[::1]", "[0:0::1]", true),
            ("::/0", "[2001:db8::1]", true),
            ("2001:db8::/32", "[2001:db8:1::1]", true),
            ("2001:db8::/32", "[2001:db9::1]", false),
            ("::/129", "[::]", false),
            ("0.1", "10.0.0.1", false),
            (".1", "10.0.0.1", false),
        ] {
            check(list, &format!("ws://{host}/"), expected);
        }
    }

    #[test]
    fn an_entry_with_a_port_is_about_that_port() {
        check("h:80", "ws://h/", true);
        check("h:81", "ws://h/", false);
        check("h:443", "wss://h/", true);
        check("[::1]:9", "ws://[::1]:9/", true);
        check("[::1]:9", "ws://[::1]/", false);
        check("1.2.3.4:80", "ws://1.2.3.4", true);
        check("example.com:81", "ws://a.example.com:81", true);
    }

    proptest! {
        #[test]
        fn no_list_is_too_strange(list in "[0-9a-f.:/*\\[\\], %]{0,30}|\\PC*") {
            for target in ["ws://a.b/", "ws://1.2.3.4/", "ws://[::1]:9/"] {
                _ = proxy(target, &[("all_proxy", "p"), ("no_proxy", &list)]);
            }
        }
    }
}
