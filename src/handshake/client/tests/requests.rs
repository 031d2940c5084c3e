//! What a client asks for.

use super::*;

#[test]
fn a_request_says_what_it_must_and_nothing_else() {
    assert_eq!(
        encode(&request("ws://server.example/chat")),
        "GET /chat HTTP/1.1\r\n\
         Host: server.example\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\
         \r\n"
    );
}

#[test]
fn a_request_says_what_it_is_told_in_order() {
    let request = offering(&["b", "a.v1"], &["x; p=1", "y"])
        .header("X-First", " 1\t")
        .unwrap()
        .cookie("session", "1=2")
        .unwrap()
        .origin("https://a.example")
        .unwrap()
        .header("cookie", "c=\"3\"; d= ")
        .unwrap()
        .credentials(Credentials::new("u", "p").unwrap());
    let encoded = encode(&request);
    let (_, rest) = encoded.split_once("Version: 13\r\n").unwrap();
    assert_eq!(
        rest,
        "Sec-WebSocket-Protocol: b, a.v1\r\n\
         Sec-WebSocket-Extensions: x; p=1,y\r\n\
         Authorization: Basic dTpw\r\n\
         Cookie: session=1=2; c=\"3\"; d=\r\n\
         X-First: 1\r\n\
         Origin: https://a.example\r\n\
         \r\n"
    );
}

#[test]
fn host_has_the_port_unless_it_is_the_default() {
    for (url, host) in [
        ("ws://h:80/", "h"),
        ("ws://h:81/", "h:81"),
        ("wss://h:443", "h"),
        ("wss://h:80/", "h:80"),
        ("ws://[::1]:9/", "[::1]:9"),
        ("ws://u:p@h/", "h"),
    ] {
        let encoded = encode(&request(url));
        assert!(encoded.contains(&format!("\r\nHost: {host}\r\n")), "{encoded}");
        assert_eq!(encoded.matches("Host:").count(), 1);
    }
}

#[test]
fn credentials_of_the_url_are_sent_unless_others_are_set() {
    let url = request("ws://u:p@h/");
    let authorization = |request: &ClientRequest| {
        let encoded = encode(request);
        let mut lines = encoded.lines().filter_map(|it| it.strip_prefix("Authorization: "));
        let line = lines.next().map(String::from);
        assert_eq!(lines.next(), None);
        line
    };
    assert_eq!(authorization(&request("ws://h/")), None);
    assert_eq!(authorization(&url).as_deref(), Some("Basic dTpw"));
    let others = url.clone().credentials(Credentials::new("U", "P").unwrap());
    assert_eq!(authorization(&others).as_deref(), Some("Basic VTpQ"));
    let bearer = others.header("authorization", "Bearer x").unwrap();
    assert!(!encode(&bearer).contains("Basic"));
    assert!(!format!("{url:?}").contains("\"p\""), "{url:?}");
}

#[test]
fn offered_subprotocols_are_distinct_tokens() {
    let offer = |name| request("ws://h/").subprotocol("a").unwrap().subprotocol(name).err();
    for name in ["b", "A", "a.v1", "!#$%&'*+-.^_`|~"] {
        assert_eq!(offer(name), None, "{name}");
    }
    for name in ["", "a,b", "a b", " b", "é", "b\r\nX: 1", "b;", "b\0", "(b)"] {
        assert_eq!(offer(name), Some(InvalidOffer::Subprotocol), "{name:?}");
    }
    assert_eq!(offer("a"), Some(InvalidOffer::Repeated));
}

#[test]
fn offered_extensions_follow_the_grammar() {
    let offer = |text| request("ws://h/").extension(text).err();
    assert_eq!(offer("permessage-deflate; client_max_window_bits"), None);
    for text in ["", ",", ";;", "x;", "x; p=", "x\r\nY: z", "x; p=\"\r\n\"", "é", "x y"] {
        assert_eq!(offer(text), Some(InvalidOffer::Extension), "{text:?}");
    }
}

#[test]
fn no_field_is_injected_and_none_of_the_handshake_is_overridden() {
    let header = |name, value: &str| request("ws://h/").header(name, value).err();
    for name in ["Host", "upgrade", "Connection", "Sec-WebSocket-Key", "sec-websocket-protocol"] {
        assert_eq!(header(name, "x"), Some(InvalidField::Reserved), "{name}");
    }
    for name in ["Content-Length", "Transfer-Encoding", "Proxy-Authorization"] {
        assert_eq!(header(name, "x"), Some(InvalidField::Reserved), "{name}");
    }
    for value in ["a\r\nX: y", "a\n", "\r", "\0", "\u{7f}"] {
        assert_eq!(header("X", value), Some(InvalidField::Value), "{value:?}");
        assert_eq!(header("Cookie", value), Some(InvalidField::Value), "{value:?}");
        assert!(request("ws://h/").origin(value).is_err());
        assert!(request("ws://h/").cookie("a", value).is_err());
    }
    assert_eq!(header("X Y", "x"), Some(InvalidField::Name));
    assert!(request("ws://h/").cookie("a=b", "").is_err());
    for value in ["a;b", "a,b", "a b", "\"a\"", "\\", "é"] {
        assert_eq!(request("ws://h/").cookie("a", value).err(), Some(InvalidField::Value));
    }
    let origin = request("ws://h/").origin("https://a").unwrap();
    assert_eq!(origin.origin("https://b").err(), Some(InvalidField::Repeated));
}

proptest! {
    /// The request is what an HTTP server takes for the one that was meant.
    #[test]
    fn a_request_parses_to_what_it_was_made_of(
        path in "/[ -~é\r\n]{0,20}",
        fields in prop::collection::vec(("X-[ -~\r\n]{0,5}", "[\0-~é]{0,9}"), 0..4),
        key: [u8; 16],
    ) {
        let Ok(url) = WsUrl::parse(&format!("ws://h{path}")) else { return Ok(()) };
        let (mut request, mut sent) = (ClientRequest::new(url), vec![]);
        for (name, value) in fields {
            if let Ok(with) = request.clone().header(&name, &value) {
                request = with;
                sent.push((name, crate::handshake::syntax::trim(value.as_bytes()).to_vec()));
            }
        }
        let mut head = Vec::new();
        request.encode(key, &mut head);
        let parsed = Request::parse(&head, &HeadLimits::default()).unwrap();
        prop_assert!(parsed.is_upgrade());
        prop_assert_eq!(parsed.target(), request.url().resource_name());
        let received = parsed.fields().skip(5);
        let received: Vec<_> =
            received.map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        prop_assert_eq!(received, sent);
    }
}
